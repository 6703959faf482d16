"""The index of the names' vectors: FAISS, with the kind of index that fits the number of names.

What has a vector is every distinct name (headword or alias, without case), not the texts: a gloss is a name, and names
are short, so that hundreds of thousands of them are encoded in minutes.
"""

from __future__ import annotations

import hashlib
import math
import threading
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gspmc_mm.descriptions import TextEncoder, encode_texts
from gspmc_mm.extras import how_to_install
from gspmc_mm.gsp.knowledge.entries import KnowledgeBaseError

IndexKind = Literal["flat", "ivf"]

# Up to here every vector is compared, beyond only those of the nearest lists. Both kinds run on a GPU too; a graph
# (HNSW) does not, and takes longer to build than it saves at these sizes.
FLAT_UP_TO = 40_000
_IVF_LEAST_LISTS, _IVF_TRAINED_WITH, _IVF_ROUNDS = 1024, 40, 8

_INDEX, _ROWS, _KEYS, _STARTS, _ENTRIES = "names.faiss", "vectors.npy", "keys.npy", "starts.npy", "entries.npy"
_KEY_BYTES = 16
_CHUNK = 4096


@dataclass(frozen=True)
class VectorCounts:
    """How many names have vectors, how many of those were taken over, length of a vector, and kind of index."""

    names: int
    taken_over: int
    dim: int
    kind: IndexKind


class VectorIndex:
    """Entries by the similarity of their names.

    Args:
        index: of FAISS; inner product of unit vectors.
        starts: names + 1 offsets into `entries`.
        entries: numbers of the entries that have each name.
        dim: length of a vector.
    """

    def __init__(self, index: Any, starts: np.ndarray, entries: np.ndarray, dim: int) -> None:
        self._starts, self._entries, self.dim = starts, entries, dim
        self._index, self.on_gpu = _to_gpu(index)
        # FAISS on a GPU is not safe for several threads
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: Path) -> VectorIndex:
        """Open an index.

        Raises:
            ImportError: faiss is not installed.
            KnowledgeBaseError: files are missing or broken.
        """
        faiss = _import_faiss()
        # not mapped from disk: FAISS then starts threads that read ahead for every query, a hundred times its work
        index = _read(folder / _INDEX, faiss.read_index)
        starts, entries = _read(folder / _STARTS, np.load), _read(folder / _ENTRIES, np.load)
        _set_search(faiss, index)
        return cls(index, starts, entries, index.d)

    def search(self, vector: np.ndarray, count: int) -> list[tuple[int, float]]:
        """Entries with the most similar names: (number, cosine), best first; about `count` of them."""
        with self._lock:
            scores, names = self._index.search(np.ascontiguousarray(vector.reshape(1, -1), np.float32), count)
        best: dict[int, float] = {}
        for name, score in zip(names[0].tolist(), scores[0].tolist(), strict=True):
            if name >= 0:
                for entry in self._entries[self._starts[name] : self._starts[name + 1]].tolist():
                    best.setdefault(entry, score)
        return list(best.items())


class KnownVectors:
    """Vectors of names that an earlier build has written, whole or not; in memory are 24 bytes a name."""

    def __init__(self) -> None:
        # sorted keys, the row of each, and the rows
        self._sets: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, keys: np.ndarray, rows: np.ndarray) -> None:
        """Take up rows (n, dim) with their keys (n, 16)."""
        words = _as_words(keys)
        order = np.argsort(words)
        self._sets.append((words[order], order, rows))

    def add_index(self, folder: Path, dim: int) -> None:
        """Take up those of a finished index with vectors of this length; none, if it is damaged."""
        try:
            keys, rows = _read(folder / _KEYS, np.load), _read(folder / _ROWS, _map)
        except KnowledgeBaseError:
            return  # they are made again
        if rows.shape == (len(keys), dim):
            self.add(keys, rows)

    def add_journal(self, journal: Journal) -> None:
        """Take up those of an interrupted build."""
        keys, rows = journal.read()
        if len(keys):
            self.add(keys, rows)

    def fill(self, keys: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Write the vectors that are known into the rows of their names.

        Args:
            keys: (n, 16) of the names.
            rows: (n, dim) to write to.

        Returns:
            Numbers of the rows whose vectors are not known, rising.
        """
        unknown = np.arange(len(keys))
        for known, order, vectors in self._sets:
            if not len(known):
                continue
            wanted = _as_words(keys)[unknown]
            places = np.searchsorted(known, wanted).clip(max=len(known) - 1)
            found = known[places] == wanted
            taken, there = unknown[found], order[places[found]]
            for start in range(0, len(taken), _CHUNK):
                rows[taken[start : start + _CHUNK]] = vectors[there[start : start + _CHUNK]]
            unknown = unknown[~found]
        return unknown


class Journal:
    """Vectors as they are made, so that an interrupted build goes on where it was.

    Args:
        folder: where it lies.
        embedder: id of the embedder; another one begins another journal.
        dim: length of a vector.
    """

    def __init__(self, folder: Path, embedder: str, dim: int) -> None:
        name = hashlib.sha256(embedder.encode()).hexdigest()[:16]
        self._keys, self._rows = folder / f"{name}.keys", folder / f"{name}.vectors"
        self._dim = dim

    def append(self, keys: np.ndarray, rows: np.ndarray) -> None:
        """Write a batch, keys (n, 16) and rows (n, dim); the keys come last, and only rows with a key count."""
        for path, data in ((self._rows, rows.astype(np.float16).tobytes()), (self._keys, keys.tobytes())):
            with path.open("ab") as file:
                file.write(data)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys (n, 16) and rows (n, dim), these on disk; what a crash left half written is cut off."""
        if not (self._keys.is_file() and self._rows.is_file()):
            return np.zeros((0, _KEY_BYTES), np.uint8), np.zeros((0, self._dim), np.float16)
        width = 2 * self._dim
        count = min(self._keys.stat().st_size // _KEY_BYTES, self._rows.stat().st_size // width)
        # both files end at the same name again, so that appending goes on
        for path, size in ((self._keys, _KEY_BYTES), (self._rows, width)):
            with path.open("r+b") as file:
                file.truncate(count * size)
        if not count:  # an empty file cannot be mapped
            return np.zeros((0, _KEY_BYTES), np.uint8), np.zeros((0, self._dim), np.float16)
        keys = np.fromfile(self._keys, np.uint8).reshape(count, _KEY_BYTES)
        return keys, np.memmap(self._rows, np.float16, "r", shape=(count, self._dim))

    def remove(self) -> None:
        """Delete it."""
        self._keys.unlink(missing_ok=True)
        self._rows.unlink(missing_ok=True)


def name_key(name: str) -> bytes:
    """What a name's vector is found again by."""
    return hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_KEY_BYTES).digest()


def build_vector_index(
    names: Iterable[tuple[str, int]],
    folder: Path,
    embedder: TextEncoder,
    known: KnownVectors,
    journal: Journal,
    progress: Callable[[int, int], None] | None = None,
) -> VectorCounts:
    """Write the vectors of names and their index.

    Args:
        names: (name, number of the entry) pairs.
        folder: of the index.
        embedder: makes the vectors that are not known.
        known: vectors that need not be made again.
        journal: keeps the new ones until the build is finished.
        progress: is told how many of how many names have vectors.

    Raises:
        ImportError: faiss is not installed.
    """
    faiss = _import_faiss()
    folder.mkdir(parents=True, exist_ok=True)
    numbers: dict[str, int] = {}
    of_name, of_entry = array("i"), array("i")
    for name, entry in names:
        of_name.append(numbers.setdefault(name, len(numbers)))
        of_entry.append(entry)
    texts = list(numbers)
    del numbers
    keys = _keys_of(texts)
    rows = np.lib.format.open_memmap(folder / _ROWS, mode="w+", dtype=np.float16, shape=(len(texts), embedder.dim))
    missing = known.fill(keys, rows)
    for start in range(0, len(missing), _CHUNK):
        batch = missing[start : start + _CHUNK]
        vectors = _encode(embedder, [texts[row] for row in batch])
        journal.append(keys[batch], vectors)
        rows[batch] = vectors
        if progress is not None:
            progress(len(keys) - len(missing) + start + len(batch), len(keys))
    rows.flush()
    distinct = len(texts)
    del texts  # a tenth of what the index takes
    np.save(folder / _KEYS, keys)
    # entries put together by name; stable, so that headwords stay before aliases
    places = np.frombuffer(of_name, np.int32)
    np.save(folder / _STARTS, np.concatenate([[0], np.cumsum(np.bincount(places, minlength=distinct))]))
    np.save(folder / _ENTRIES, np.frombuffer(of_entry, np.int32)[np.argsort(places, kind="stable")])
    kind = choose_index(len(keys))
    faiss.write_index(_fill_index(faiss, kind, rows), str(folder / _INDEX))
    return VectorCounts(len(keys), len(keys) - len(missing), embedder.dim, kind)


def choose_index(count: int) -> IndexKind:
    """Kind of index for a number of vectors."""
    return "flat" if count <= FLAT_UP_TO else "ivf"


def ivf_lists(count: int) -> int:
    """Lists of an index of so many vectors: 2 sqrt(n), so that neither lists nor their vectors become too many."""
    return max(_IVF_LEAST_LISTS, round(2 * math.sqrt(count)))


def ivf_probes(lists: int) -> int:
    """Lists that a query looks at: 24 of 1,024 (recall@10 of 0.98 where it was measured), 54 of 5,138."""
    return round(0.75 * math.sqrt(lists))


def _keys_of(texts: Sequence[str]) -> np.ndarray:
    """Keys (n, 16) of names, without an object for each."""
    keys = bytearray()
    for text in texts:
        keys += name_key(text)
    return np.frombuffer(keys, np.uint8).reshape(len(texts), _KEY_BYTES)


def _as_words(keys: np.ndarray) -> np.ndarray:
    """Keys (n, 16) as n values that can be sorted."""
    return np.ascontiguousarray(keys).view(f"S{_KEY_BYTES}").reshape(len(keys))


def _map(path: str) -> np.ndarray:
    return np.load(path, mmap_mode="r")


def _read(path: Path, read: Callable[[str], Any]) -> Any:
    """What a file holds.

    Raises:
        KnowledgeBaseError: it is missing or broken.
    """
    try:
        return read(str(path))
    except (OSError, ValueError, EOFError, RuntimeError) as error:
        raise KnowledgeBaseError(
            f"{path}: the vectors cannot be read ({error}); delete this file and build the knowledge base again, what "
            "is whole is taken over"
        ) from None


def _encode(embedder: TextEncoder, texts: Sequence[str]) -> np.ndarray:
    """Unit vectors in large batches; a name that is too long for the encoder is encoded in pieces."""
    if embedder.max_tokens is None:
        return np.asarray(embedder.encode(texts), np.float32)
    return encode_texts(embedder, texts)


def _fill_index(faiss: Any, kind: IndexKind, rows: np.ndarray) -> Any:
    dim = rows.shape[1]
    if kind == "flat":
        index = faiss.IndexFlatIP(dim)
    else:
        quantizer = faiss.IndexFlatIP(dim)
        half = faiss.ScalarQuantizer.QT_fp16
        lists = ivf_lists(len(rows))
        index = faiss.IndexIVFScalarQuantizer(quantizer, dim, lists, half, faiss.METRIC_INNER_PRODUCT)
        index.cp.niter = _IVF_ROUNDS
        sample = np.random.default_rng(0).choice(len(rows), min(len(rows), lists * _IVF_TRAINED_WITH), False)
        index.train(np.ascontiguousarray(rows[np.sort(sample)], np.float32))
    for start in range(0, len(rows), _CHUNK):
        index.add(np.ascontiguousarray(rows[start : start + _CHUNK], np.float32))
    return index


def _set_search(faiss: Any, index: Any) -> None:
    """How much of an index is looked at."""
    if isinstance(index, faiss.IndexIVF):
        index.nprobe = ivf_probes(index.nlist)


def _to_gpu(index: Any) -> tuple[Any, bool]:
    """The index on the first GPU, where faiss-gpu and a GPU are there."""
    faiss = _import_faiss()
    if not hasattr(faiss, "StandardGpuResources") or not faiss.get_num_gpus():
        return index, False
    return faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), 0, index), True


def _import_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            f"the index of vectors needs faiss: {how_to_install('gsp')} (or build with --embedder none)"
        ) from error
    return faiss
