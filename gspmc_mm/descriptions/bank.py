"""The text bank: every text of a description set, encoded once, as a safetensors file.

Training reads the vectors from here and never loads a text model. One row is one (sign, term,
text); `docs/descriptions.md` describes the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from gspmc_mm.descriptions.encoders import TextEncoder, check_language, encode_texts
from gspmc_mm.descriptions.schema import GLOBAL_TERM, SYNONYM_TERM, DescriptionSet
from gspmc_mm.files import replacing

_FORMAT = "gspmc_mm.text_bank"
_FORMAT_VERSION = "1"
_ARRAYS = {"vectors": np.float32, "labels": np.int64, "terms": np.int64, "text_ids": np.int64}
_UNIT_TOLERANCE = 1e-3


class TextBankError(ValueError):
    """A text bank that cannot be used: damaged, or made for other classes."""


def center(vectors: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Subtract from every row the mean of its term and bring the rows back to length one.

    The vectors of sign descriptions lie close together (they all speak of hands); what they share
    says nothing about the sign. The mean is over rows, so a text counts as often as it is used. The
    rows of a term that are all equal carry no difference to enhance and stay as they are.

    Args:
        vectors: (R, D) float32 unit rows.
        terms: (R,) int64.

    Returns:
        (R, D) float32 unit rows.

    Raises:
        TextBankError: a row is the mean of its term, so that nothing of it is left.
    """
    centered = vectors.astype(np.float64)
    for term in np.unique(terms):
        rows = np.flatnonzero(terms == term)
        if _coincide(vectors[rows]):
            continue
        centered[rows] -= centered[rows].mean(axis=0)
    norms = np.linalg.norm(centered, axis=1, keepdims=True)
    if norms.size and norms.min() < 1e-6:
        row = int(norms.argmin())
        raise TextBankError(
            f"row {row} (term {int(terms[row])}) is exactly the mean of its term: centring leaves "
            "nothing of it; use the bank as it is"
        )
    return (centered / norms).astype(np.float32)


@dataclass(frozen=True, eq=False)
class TextBank:
    """Encoded texts of all signs.

    Attributes:
        vectors: (R, D) float32, unit rows.
        labels: (R,) int64, the sign of each row.
        terms: (R,) int64, index into `term_names`.
        text_ids: (R,) int64, index into `texts`: rows of equal text share it.
        term_names: `('global', 'synonym', *parts)`.
        classes: gloss by label; its length is the number of classes.
        texts: the distinct texts.
        encoder: id of the encoder.
        note: empty for plain CLIP vectors; says what the reader of a result has to know otherwise.
        descriptions_sha256: hash of the description set (`DescriptionSet.sha256`).

    Raises:
        TextBankError: shapes, types or ids do not fit together, or a row is not of length one.
    """

    vectors: np.ndarray
    labels: np.ndarray
    terms: np.ndarray
    text_ids: np.ndarray
    term_names: tuple[str, ...]
    classes: tuple[str, ...]
    texts: tuple[str, ...]
    encoder: str
    note: str
    descriptions_sha256: str

    def __post_init__(self) -> None:
        _check_bank(self)

    def __len__(self) -> int:
        return len(self.vectors)

    def __repr__(self) -> str:
        return (
            f"TextBank({len(self)} rows of {self.dim}, {self.num_classes} signs, terms "
            f"{', '.join(self.term_names)}, encoder {self.encoder!r}, note {self.note!r})"
        )

    @property
    def num_classes(self) -> int:
        """Number of signs."""
        return len(self.classes)

    @property
    def dim(self) -> int:
        """Length D of a vector."""
        return self.vectors.shape[1]

    @property
    def parts(self) -> tuple[str, ...]:
        """The terms that are parts of the body."""
        return self.term_names[2:]

    def term_index(self, term: str | int) -> int:
        """Index of a term given by its name (or by the index itself)."""
        if isinstance(term, str):
            if term not in self.term_names:
                raise TextBankError(f"the bank has no term {term!r}, only {', '.join(self.term_names)}")
            return self.term_names.index(term)
        if not 0 <= term < len(self.term_names):
            raise TextBankError(f"term {term} is outside 0..{len(self.term_names) - 1}")
        return int(term)

    def rows(self, label: int, term: str | int) -> np.ndarray:
        """Rows of one sign and term as (n,) int64, in the order of the texts; n may be 0."""
        if not 0 <= label < self.num_classes:
            raise TextBankError(
                f"label {label} is outside the bank's {self.num_classes} signs (0..{self.num_classes - 1})"
            )
        order, starts = self._groups
        cell = int(label) * len(self.term_names) + self.term_index(term)
        return order[starts[cell] : starts[cell + 1]]

    def max_rows(self, term: str | int) -> int:
        """Largest number of rows that one sign has of a term."""
        mine = self.labels[self.terms == self.term_index(term)]
        return int(np.bincount(mine, minlength=self.num_classes).max())

    def mean_cosine(self, term: str | int) -> float:
        """Mean cosine over all pairs of rows of one term that belong to different signs.

        Close to 1: the texts are hard to tell apart. NaN if fewer than two signs have such a row.
        """
        mine = self.terms == self.term_index(term)
        vectors, labels = self.vectors[mine].astype(np.float64), self.labels[mine]
        sums = np.zeros((self.num_classes, self.dim))
        np.add.at(sums, labels, vectors)
        counts = np.bincount(labels, minlength=self.num_classes).astype(np.float64)
        # sum over pairs of different signs = all pairs minus the pairs within a sign
        pairs = counts.sum() ** 2 - (counts**2).sum()
        if pairs == 0:
            return float("nan")
        total = sums.sum(axis=0)
        return float((total @ total - (sums * sums).sum()) / pairs)

    def distinct_texts(self, term: str | int) -> int:
        """Number of distinct texts of one term."""
        return len(np.unique(self.text_ids[self.terms == self.term_index(term)]))

    def check_classes(self, num_classes: int | None = None, classes: Sequence[str] | None = None) -> None:
        """Refuse a bank that was made for other classes.

        Args:
            num_classes: number of classes of the model or data set, if known.
            classes: class names by label, if known.

        Raises:
            TextBankError: the number differs, or a name; the first sign that differs is named.
        """
        expected = len(classes) if num_classes is None and classes is not None else num_classes
        if expected is not None and expected != self.num_classes:
            raise TextBankError(
                f"the text bank has {self.num_classes} signs, the config {expected} classes; "
                "encode the descriptions of this data set (tools/gsp/encode.py)"
            )
        if classes is None:
            return
        for label, (mine, theirs) in enumerate(zip(self.classes, classes, strict=False)):
            if mine != theirs:
                raise TextBankError(
                    f"the text bank is of another data set: label {label} is {mine!r} in the bank "
                    f"and {theirs!r} in the data; encode the descriptions of this data set"
                )
        if len(classes) != self.num_classes:
            raise TextBankError(f"the text bank has {self.num_classes} signs, the data set names {len(classes)}")

    def noted(self, more: str) -> TextBank:
        """The bank with something more in its note."""
        return replace(self, note=f"{self.note}; {more}" if self.note else more)

    def shuffled(self, seed: int) -> TextBank:
        """The control experiment: all texts of sign i given to another sign perm(i) != i.

        Whatever a model gains from the true bank and not from this one comes from the meaning of
        the texts.

        Raises:
            TextBankError: there is one sign only, so that there is no other to give its texts to.
        """
        if self.num_classes < 2:
            raise TextBankError("a bank of one sign cannot be shuffled")
        permutation = derangement(self.num_classes, seed)
        note = f"texts shuffled among the signs (seed {seed})"
        return replace(self, labels=permutation[self.labels]).noted(note)

    def centered(self) -> TextBank:
        """The bank with the mean of each term taken away (`center`), which its note records."""
        note = "centred: mean vector of each term subtracted"
        same = [
            name
            for k, name in enumerate(self.term_names)
            if (self.terms == k).any() and _coincide(self.vectors[self.terms == k])
        ]
        if same:
            note += f" (not of {', '.join(same)}: all texts equal)"
        return replace(self, vectors=center(self.vectors, self.terms)).noted(note)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the bank as safetensors, in one step: the file is whole or not there.

        Equal banks are equal files, so that a training knows its bank again after it was encoded a second time.
        """
        metadata = {
            "format": _FORMAT,
            "format_version": _FORMAT_VERSION,
            "encoder": self.encoder,
            "note": self.note,
            "descriptions_sha256": self.descriptions_sha256,
            "term_names": json.dumps(self.term_names, ensure_ascii=False),
            "classes": json.dumps(self.classes, ensure_ascii=False),
            "texts": json.dumps(self.texts, ensure_ascii=False),
        }
        arrays = {name: np.ascontiguousarray(getattr(self, name)) for name in _ARRAYS}
        with replacing(path) as temporary:
            temporary.write_bytes(_metadata_in_order(serialize(arrays, metadata=metadata)))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TextBank:
        """Read and validate a bank.

        Raises:
            FileNotFoundError: there is no such file.
            TextBankError: the file is damaged, is no text bank, or its content does not fit
                together.
        """
        header, arrays, _ = _read(Path(path), tuple(_ARRAYS))
        try:
            return cls(**arrays, **header)
        except TextBankError as error:
            raise TextBankError(f"{path}: {error}") from None

    @staticmethod
    def read_info(path: str | os.PathLike[str]) -> dict[str, Any]:
        """What the header of a bank file says, without reading the vectors.

        Returns:
            encoder, note, descriptions_sha256, term_names, classes, num_classes, num_rows,
            num_texts and dim.
        """
        header, _, shape = _read(Path(path), ())
        return {
            **{key: value for key, value in header.items() if key != "texts"},
            "num_classes": len(header["classes"]),
            "num_texts": len(header["texts"]),
            "num_rows": shape[0],
            "dim": shape[1],
        }

    @cached_property
    def _groups(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows sorted by (sign, term), and where each of the signs x terms cells begins."""
        cells = self.labels * len(self.term_names) + self.terms
        order = np.argsort(cells, kind="stable")
        borders = np.arange(self.num_classes * len(self.term_names) + 1)
        return order, np.searchsorted(cells[order], borders)


def build_text_bank(descriptions: DescriptionSet, encoder: TextEncoder, progress: bool = True) -> TextBank:
    """Encode every text of a description set, each distinct text once.

    Rows of sign i: its global text (the primary one where there is none), its synonyms (the primary
    text where there is none), and for each part the texts of the segments that name it.

    Raises:
        EncoderError: the encoder does not read the language of the set, or fails.
    """
    check_language(encoder, descriptions.language)
    labels, terms, text_ids = [], [], []
    ids: dict[str, int] = {}
    for sign in descriptions.signs:
        per_term = (
            (sign.global_text,),
            sign.synonym_texts,
            *(sign.part_texts(part) for part in descriptions.parts),
        )
        for term, texts in enumerate(per_term):
            for text in texts:
                labels.append(sign.label)
                terms.append(term)
                text_ids.append(ids.setdefault(text, len(ids)))
    distinct = encode_texts(encoder, tuple(ids), progress=progress)
    rows = np.array(text_ids, dtype=np.int64)
    return TextBank(
        vectors=distinct[rows],
        labels=np.array(labels, dtype=np.int64),
        terms=np.array(terms, dtype=np.int64),
        text_ids=rows,
        term_names=descriptions.term_names,
        classes=descriptions.classes,
        texts=tuple(ids),
        encoder=encoder.id,
        note=encoder.note,
        descriptions_sha256=descriptions.sha256,
    )


def derangement(count: int, seed: int) -> np.ndarray:
    """A random permutation (count,) that leaves nothing in its place; count is at least 2."""
    rng = np.random.default_rng(seed)
    identity = np.arange(count)
    permutation = rng.permutation(identity)
    while (permutation == identity).any():  # one draw in e has no fixed point
        permutation = rng.permutation(identity)
    return permutation


def _coincide(vectors: np.ndarray) -> bool:
    return bool(np.abs(vectors - vectors[0]).max() < 1e-6)


def _check_bank(bank: TextBank) -> None:
    """Refuse arrays that do not fit together; the vectors must be finite and of length one."""
    for name, dtype in _ARRAYS.items():
        array = getattr(bank, name)
        ndim = 2 if name == "vectors" else 1
        if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != ndim:
            found = f"{array.dtype} {array.shape}" if hasattr(array, "dtype") else type(array)
            raise TextBankError(f"{name}: found {found}, expected {dtype.__name__} of {ndim}-D")
    count = len(bank.vectors)
    if count == 0 or bank.vectors.shape[1] == 0:
        raise TextBankError(f"vectors: found shape {bank.vectors.shape}, expected at least one row")
    if bank.term_names[:2] != (GLOBAL_TERM, SYNONYM_TERM) or len(set(bank.term_names)) != len(bank.term_names):
        raise TextBankError(
            f"term_names: found {bank.term_names}, expected ('{GLOBAL_TERM}', '{SYNONYM_TERM}', "
            "then distinct part names)"
        )
    limits = {
        "labels": len(bank.classes),
        "terms": len(bank.term_names),
        "text_ids": len(bank.texts),
    }
    for name, limit in limits.items():
        array = getattr(bank, name)
        if len(array) != count:
            raise TextBankError(f"{name}: found {len(array)} entries, expected {count}, one a row")
        if array.min() < 0 or array.max() >= limit:
            raise TextBankError(f"{name}: found values {array.min()}..{array.max()}, expected 0..{limit - 1}")
    if len(bank.descriptions_sha256) != 64 or not bank.encoder:
        raise TextBankError(
            f"provenance: found encoder {bank.encoder!r} and descriptions_sha256 "
            f"{bank.descriptions_sha256!r}, expected an encoder id and 64 hexadecimal digits"
        )
    norms = np.linalg.norm(bank.vectors.astype(np.float64), axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= _UNIT_TOLERANCE))  # catches NaN too
    if len(wrong):
        raise TextBankError(
            f"vectors: row {wrong[0]} has length {norms[wrong[0]]:.6g}, expected 1 ({len(wrong)} such rows)"
        )


def _metadata_in_order(content: bytes) -> bytes:
    """A safetensors file with its metadata sorted by key; the library writes them in an order drawn anew each time.

    The file is eight bytes that say how long its header is, the header as JSON, filled up with spaces, and the arrays.
    """
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    written = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    written += b" " * (-len(written) % 8)
    return len(written).to_bytes(8, "little") + written + content[end:]


def _read(path: Path, names: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, np.ndarray], tuple[int, ...]]:
    """Header of a bank file, the arrays asked for, and the shape of the vectors."""
    if not path.is_file():
        raise FileNotFoundError(f"text bank {path} does not exist; tools/gsp/encode.py makes one")
    try:
        with safe_open(path, framework="numpy") as file:
            header = _header(path, file.metadata() or {})
            shape = tuple(file.get_slice("vectors").get_shape())
            return header, {name: file.get_tensor(name) for name in names}, shape
    except (SafetensorError, OSError) as error:
        raise TextBankError(
            f"{path}: damaged or cut text bank ({error}); encode it anew with tools/gsp/encode.py"
        ) from None


def _header(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a bank that are not arrays, from the metadata of its file."""
    if metadata.get("format") != _FORMAT:
        raise TextBankError(f"{path}: a safetensors file, but not a text bank")
    if metadata.get("format_version") != _FORMAT_VERSION:
        raise TextBankError(
            f"{path}: text bank of version {metadata.get('format_version')!r}, "
            f"this program reads version {_FORMAT_VERSION}"
        )
    lists = ("term_names", "classes", "texts")
    keys = ("encoder", "note", "descriptions_sha256", *lists)
    missing = [key for key in keys if key not in metadata]
    if missing:
        raise TextBankError(f"{path}: header without {', '.join(missing)}")
    header: dict[str, Any] = {key: metadata[key] for key in keys}
    for key in lists:
        try:
            values = json.loads(metadata[key])
        except json.JSONDecodeError:
            values = None
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise TextBankError(f"{path}: header field {key}: expected a list of strings")
        header[key] = tuple(values)
    return header
