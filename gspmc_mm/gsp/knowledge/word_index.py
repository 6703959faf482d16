"""The index of words and character n-grams: BM25 with bm25s.

A document has two kinds of tokens. Those of its names are n-grams with marks at both ends, so that a misspelt headword
is still found; those of its text are words, or single characters and pairs in scripts without spaces.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np

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
        except (OSError, ValueError, KeyError) as error:
            raise KnowledgeBaseError(f"{folder}: the index of words cannot be read ({error}); build it again") from None

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

    Raises:
        ImportError: bm25s is not installed.
    """
    bm25s = _import_bm25s()
    vocabulary: defaultdict[str, int] = defaultdict()
    vocabulary.default_factory = vocabulary.__len__
    documents: list[list[int]] = []
    for entry in entries:
        # the numbers are shared objects, so that a document costs its pointers only
        documents.append([vocabulary[token] for token in entry_tokens(entry)])
        if progress is not None and not len(documents) % 1000:
            progress(len(documents))
    index = bm25s.BM25(method="lucene", backend="numpy")
    index.index((documents, dict(vocabulary)), show_progress=False)
    index.save(str(folder), show_progress=False)


def _import_bm25s():
    try:
        import bm25s
    except ImportError as error:
        raise ImportError("the index of words needs bm25s: pip install 'gspmc_mm[gsp]'") from error
    return bm25s
