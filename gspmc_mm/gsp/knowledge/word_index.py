"""The index of words and character n-grams: BM25 with bm25s.

A document has two kinds of tokens. Those of its names are n-grams with marks at both ends, so that a misspelt headword
is still found; those of its text are words, or single characters and pairs in scripts without spaces.
"""

from __future__ import annotations

import itertools
import re
import tempfile
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np

from gspmc_mm.extras import how_to_install
from gspmc_mm.gsp.knowledge.entries import (
    Entry,
    KnowledgeBaseError,
    fold_case,
    is_wide,
    narrow_letters,
    normalize_headword,
)

# Runs of wide characters, and words of all others.
_WIDE_BEGIN = "\u2e80"
_WORDS = re.compile(rf"[{_WIDE_BEGIN}-\uabff\uf900-\ufaff\U00020000-\U0003ffff]+|[^\W_{_WIDE_BEGIN}-\uabff]+")
# Turkish words carry many endings; their first letters stand for the stem.
_TURKISH_STEM = 5
_EDGE = "\x02"
# Tokens that are counted at a time; some 100 bytes each while they are sorted.
BLOCK_TOKENS = 2_000_000


def name_tokens(name: str, language: str) -> list[str]:
    """Marked n-grams of a name: pairs of wide characters and single ones, triples of letters, and the whole."""
    key = normalize_headword(name, language)
    if not key:
        return []
    marked = f"{_EDGE}{key}{_EDGE}"
    if any(is_wide(c) for c in key):
        grams = [a + b for a, b in itertools.pairwise(marked)]
        return [f"{_EDGE}{marked}", *(f"{_EDGE}{gram}" for gram in grams), *(f"{_EDGE}{c}" for c in key)]
    grams = [marked[i : i + 3] for i in range(len(marked) - 2)]
    return [f"{_EDGE}{marked}", *(f"{_EDGE}{gram}" for gram in grams)]


def text_tokens(text: str, language: str) -> list[str]:
    """Words without case and marks; of runs of wide characters the characters and the pairs of neighbours."""
    tokens: list[str] = []
    for word in _WORDS.findall(narrow_letters(text)):
        if word[0] >= _WIDE_BEGIN:
            tokens += word
            tokens += [a + b for a, b in itertools.pairwise(word)]
        else:
            tokens += _word_forms(word, language)
    return tokens


@lru_cache(maxsize=200_000)
def _word_forms(word: str, language: str) -> tuple[str, ...]:
    folded = normalize_headword(fold_case(word, language), language)
    forms = [piece for piece in folded.split() if piece]
    if language == "tr":
        forms += [f"{piece[:_TURKISH_STEM]}*" for piece in forms if len(piece) >= _TURKISH_STEM]
    return tuple(forms)


def entry_tokens(entry: Entry) -> list[str]:
    """All tokens of an entry; those of the headword count twice."""
    tokens = name_tokens(entry.headword, entry.language) * 2
    for alias in entry.aliases:
        tokens += name_tokens(alias, entry.language)
    return tokens + text_tokens(entry.text, entry.language)


class WordIndex:
    """BM25 scores of all entries for a query.

    Args:
        index: of bm25s.
    """

    def __init__(self, index) -> None:
        self._index = index
        self._vocabulary: dict[str, int] = index.vocab_dict

    @classmethod
    def load(cls, folder: Path) -> WordIndex:
        """Open an index; its arrays stay on disk until they are used.

        Raises:
            ImportError: bm25s is not installed.
            KnowledgeBaseError: files are missing or broken.
        """
        bm25s = _import_bm25s()
        try:
            return cls(bm25s.BM25.load(str(folder), mmap=True, load_corpus=False))
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise KnowledgeBaseError(
                f"{folder}: the index of words cannot be read ({error}); delete this folder and build the knowledge "
                "base again"
            ) from None

    def scores(self, forms: Iterable[tuple[str, str]]) -> np.ndarray:
        """BM25 score of every entry, by number, float32.

        Args:
            forms: the query as (text, language), in several ways if it can be read so; equal tokens count once.
        """
        tokens: dict[str, None] = {}
        for text, language in forms:
            tokens.update(dict.fromkeys(name_tokens(text, language) + text_tokens(text, language)))
        ids = [self._vocabulary[token] for token in tokens if token in self._vocabulary]
        if not ids:
            return np.zeros(self._index.scores["num_docs"], np.float32)
        return self._index.get_scores_from_ids(ids)


def build_word_index(entries: Iterable[Entry], folder: Path, progress: Callable[[int], None] | None = None) -> None:
    """Write the index of the entries, in their order.

    bm25s counts all documents in memory, some twenty times the size of the text. Here the counts go to disk block by
    block, sorted by token, and are put together in the files that bm25s reads; in memory are the vocabulary, a block,
    and a number for each token and document.

    Raises:
        ImportError: bm25s is not installed.
    """
    bm25s = _import_bm25s()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="counts-") as scratch:
        counts = _TokenCounts(Path(scratch), BLOCK_TOKENS)
        for number, entry in enumerate(entries, 1):
            counts.add(entry_tokens(entry))
            if progress is not None and not number % 1000:
                progress(number)
        index = bm25s.BM25(method="lucene", backend="numpy")
        index.scores = counts.score_matrix(index.k1, index.b)
        index.vocab_dict = counts.vocabulary
        index.nonoccurrence_array = None  # BM25 of this kind gives nothing to tokens that do not occur
        index.save(str(folder), show_progress=False)


class _TokenCounts:
    """How often each token occurs in each document, in files of blocks.

    Args:
        folder: empty, for the files.
        block: tokens after which a block is written.
    """

    def __init__(self, folder: Path, block: int) -> None:
        vocabulary: defaultdict[str, int] = defaultdict()
        vocabulary.default_factory = vocabulary.__len__
        self._numbers = vocabulary
        self._folder, self._block = folder, block
        self._tokens, self._lengths = array("i"), array("i")
        self._written, self._blocks = 0, 0  # documents in blocks, blocks
        self._occurs = np.zeros(0, np.int64)  # documents that have a token, by its number

    @property
    def vocabulary(self) -> dict[str, int]:
        """Number of each token; not a copy, it is the largest thing in memory."""
        return self._numbers

    def add(self, tokens: Iterable[str]) -> None:
        """Count the next document."""
        before = len(self._tokens)
        self._tokens.extend(self._numbers[token] for token in tokens)
        self._lengths.append(len(self._tokens) - before)
        if len(self._tokens) >= self._block:
            self._write_block()

    def _write_block(self) -> None:
        """Sort what has been counted by token, then by document, and put it away."""
        lengths = np.frombuffer(self._lengths, np.int32)[self._written :]
        documents = np.repeat(np.arange(self._written, len(self._lengths), dtype=np.int64), lengths)
        pairs = np.frombuffer(self._tokens, np.int32).astype(np.int64) << 32 | documents
        pairs, times = np.unique(pairs, return_counts=True)
        block = np.stack([pairs >> 32, pairs & 0xFFFFFFFF, times]).astype(np.int32)
        np.save(self._folder / f"{self._blocks}.npy", block)
        occurs = np.bincount(block[0], minlength=len(self._numbers))
        occurs[: len(self._occurs)] += self._occurs
        self._occurs = occurs
        self._written, self._blocks = len(self._lengths), self._blocks + 1
        self._tokens = array("i")

    def score_matrix(self, k1: float, b: float) -> dict[str, np.ndarray | int]:
        """BM25 (Lucene's variant) of every token in every document that has it, one column a token, as bm25s has it.

        score(t, d) = ln(1 + (N - n_t + 1/2) / (n_t + 1/2)) * f / (f + k1 (1 - b + b |d| / mean |d|)) with n_t of N
        documents having t, f times in d (Kamphuis et al. 2020, table 1).
        """
        self._write_block()
        lengths = np.frombuffer(self._lengths, np.int32)
        starts = np.concatenate([[0], np.cumsum(self._occurs)])
        inverse = np.log1p((len(lengths) - self._occurs + 0.5) / (self._occurs + 0.5))
        saturation = k1 * (1 - b + b * lengths / max(lengths.mean(), 1e-12))
        shape = (max(int(starts[-1]), 1),)  # an empty file cannot be mapped
        scores = np.lib.format.open_memmap(self._folder / "scores.npy", "w+", np.float32, shape)
        rows = np.lib.format.open_memmap(self._folder / "rows.npy", "w+", np.int32, shape)
        filled = starts[:-1].copy()
        for number in range(self._blocks):
            tokens, documents, times = np.load(self._folder / f"{number}.npy")
            first = np.searchsorted(tokens, tokens)  # where the token's run begins in this block
            places = filled[tokens] + np.arange(len(tokens)) - first
            scores[places] = inverse[tokens] * times / (times + saturation[documents])
            rows[places] = documents
            filled += np.bincount(tokens, minlength=len(filled))
        return {
            "data": scores[: starts[-1]],
            "indices": rows[: starts[-1]],
            "indptr": starts,
            "num_docs": len(lengths),
        }


def _import_bm25s():
    try:
        import bm25s
    except ImportError as error:
        raise ImportError(f"the index of words needs bm25s: {how_to_install('gsp')}") from error
    return bm25s
