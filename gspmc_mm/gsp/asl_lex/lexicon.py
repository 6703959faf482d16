"""Reading the file of ASL-LEX 2.0, and finding the entry for a gloss."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .codes import (
    FIELDS,
    FINGERS,
    FLEXION,
    HANDSHAPES,
    MOVEMENTS,
    ONE_HANDED,
    OTHER_SHAPE_BASE,
    PLACES,
    SAME_SHAPE_BASE,
    SYMMETRICAL,
    VIOLATIONS,
    Morpheme,
)

DATA_FILE = "signdata-2020-10-28.csv"
MAX_MORPHEMES = 6
_UNCODED = ("", "NA", "NaN", "nan")


class AslLexError(ValueError):
    """ASL-LEX is not as it is said to be, or has no sign for a gloss."""


@dataclass(frozen=True)
class Entry:
    """One sign of ASL-LEX: its id, its translations, how often it is used, and its codings."""

    entry_id: str
    dominant_translation: str
    translations: tuple[str, ...]
    frequency: float
    morphemes: tuple[Morpheme, ...]


@dataclass(frozen=True)
class AslLex:
    """The entries in the order of the file, and the hash of the file."""

    entries: tuple[Entry, ...]
    sha256: str


@dataclass(frozen=True)
class Match:
    """The entry taken for a gloss and what a human should know about the choice."""

    entry: Entry
    notes: tuple[str, ...]


def read_asl_lex(source: str | os.PathLike[str]) -> AslLex:
    """Read the codings.

    Args:
        source: the folder with `signdata-2020-10-28.csv`, or that file.

    Raises:
        FileNotFoundError: there is no such file.
        AslLexError: a column is missing, or a code is unknown (names entry, field and value).
    """
    path = Path(source)
    if path.is_dir():
        path = path / DATA_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; --source names the folder with {DATA_FILE} of ASL-LEX 2.0")
    content = path.read_bytes()
    try:
        lines = content.decode("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise AslLexError(f"{path}: expected UTF-8 text: {error}") from None
    reader = csv.DictReader(lines)
    wanted = [
        "EntryID",
        "DominantTranslation",
        "SignBankEnglishTranslations",
        "SignFrequency(M)",
        *(column_name(name, 1) for name in FIELDS),
    ]
    missing = [name for name in wanted if name not in (reader.fieldnames or ())]
    if missing:
        raise AslLexError(f"{path}: columns {', '.join(missing)} are missing")
    entries = tuple(_entry(row, path) for row in reader)
    if not entries:
        raise AslLexError(f"{path}: no sign follows the line of column names")
    return AslLex(entries, hashlib.sha256(content).hexdigest())


def column_name(name: str, morpheme: int) -> str:
    """Column of a field for the unit of a number, from 1 on."""
    return f"{name}.2.0" if morpheme == 1 else f"{name}M{morpheme}.2.0"


def _entry(row: Mapping[str, str | None], path: Path) -> Entry:
    name = (row["EntryID"] or "").strip()
    morphemes = []
    for number in range(1, MAX_MORPHEMES + 1):
        codes = {field: _code(row.get(column_name(field, number))) for field in FIELDS}
        if number > 1 and not any(codes.values()):
            break
        _check_codes(codes, f"{path}: entry {name!r}, unit {number}")
        morphemes.append(Morpheme(codes))
    frequency = _code(row["SignFrequency(M)"])
    words = (row["SignBankEnglishTranslations"] or "").split(",")
    return Entry(
        entry_id=name,
        dominant_translation=_key(row["DominantTranslation"] or ""),
        translations=tuple(_key(word) for word in words if word.strip()),
        frequency=float(frequency) if frequency else 0.0,
        morphemes=tuple(morphemes),
    )


def _code(value: str | None) -> str:
    value = (value or "").strip()
    return "" if value in _UNCODED else value


def _check_codes(codes: Mapping[str, str], where: str) -> None:
    known = {
        "Handshape": HANDSHAPES,
        "SelectedFingers": FINGERS,
        "Flexion": FLEXION,
        "Movement": MOVEMENTS,
        "MinorLocation": {*PLACES, "Other"},
        "SecondMinorLocation": {*PLACES, "Other"},
        "SignType": {ONE_HANDED, SYMMETRICAL, SAME_SHAPE_BASE, OTHER_SHAPE_BASE, *VIOLATIONS},
    }
    for field, values in known.items():
        if codes[field] and codes[field] not in values:
            raise AslLexError(
                f"{where}, field {field}: {codes[field]!r} is not a code known here; "
                f"expected one of {', '.join(sorted(values))}"
            )
    other = codes["NonDominantHandshape"]
    if other and other not in VIOLATIONS and other.lower() not in HANDSHAPES:
        raise AslLexError(f"{where}, field NonDominantHandshape: {other!r} is not a code known here")


def _key(text: str) -> str:
    return "_".join(text.strip().lower().replace("-", " ").replace("_", " ").split())


def match_gloss(gloss: str, lexicon: AslLex) -> Match | None:
    """The entry for a gloss, or None.

    First the entry of that id; then its numbered variants (`deaf_1`, `deaf_2`), of which the one
    that deaf signers rated most frequent is taken; then entries that SignBank translates by the
    gloss: before all those whose dominant translation it is, then those whose id begins with it,
    then by frequency. Every choice among several, and every match by translation, leaves a note.
    """
    key = _key(gloss)
    exact = [e for e in lexicon.entries if _key(e.entry_id) == key]
    if exact:
        return Match(exact[0], ())
    variants = [e for e in lexicon.entries if _is_variant(_key(e.entry_id), key)]
    if variants:
        chosen = max(variants, key=lambda e: e.frequency)
        others = [e.entry_id for e in variants if e is not chosen]
        if not others:
            return Match(chosen, ())
        note = f"ASL-LEX also has {listed(others)}; the variant rated most frequent was taken"
        return Match(chosen, (note,))
    translated = [e for e in lexicon.entries if key in e.translations]
    if not translated:
        return None
    ranked = sorted(
        translated,
        key=lambda e: (
            e.dominant_translation != key,
            not _key(e.entry_id).startswith(key),
            -e.frequency,
        ),
    )
    note = f"no entry of this name: {ranked[0].entry_id!r} was found through its translations"
    if len(ranked) > 1:
        note += f" (others: {listed([e.entry_id for e in ranked[1:]])})"
    return Match(ranked[0], (note,))


def _is_variant(entry: str, key: str) -> bool:
    stem, _, number = entry.rpartition("_")
    return stem == key and number.isdigit()


def listed(names: Sequence[str]) -> str:
    """Names in quotes, joined by commas, for messages."""
    return ", ".join(repr(name) for name in names)
