"""Finding entries for a gloss: by name first, then by spelling, by words and by vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Literal

import numpy as np

from gspmc_mm.descriptions import TextEncoder
from gspmc_mm.extras import how_to_install
from gspmc_mm.gsp.knowledge.base import KnowledgeBase
from gspmc_mm.gsp.knowledge.embedders import get_embedder
from gspmc_mm.gsp.knowledge.entries import (
    Entry,
    Kind,
    KnowledgeBaseError,
    fold_case,
    is_wide,
    narrow_letters,
    split_headword,
)
from gspmc_mm.gsp.knowledge.entry_table import NameMatch
from gspmc_mm.gsp.knowledge.spelling import closest_name

Route = Literal["exact", "alias", "spelling", "reference", "bm25", "dense", "fusion"]

# Cormack, Clarke and Buettcher (2009): ranks are added as 1 / (60 + rank).
RANK_CONSTANT = 60
_DEPTH = 50
# A filter by language or kind is applied after the search of vectors, which is asked for more then.
_FILTERED_DEPTH = 400
# So many entries show in which Chinese script a base is written.
_SAMPLED = 400
# Names that have so many letter pairs in common are taken as one word misspelt, or nearly so.
MIN_ALIKE = 0.5
_SPELLING_SCORE = 0.8
_SCORES = {(True, True): 1.0, (True, False): 0.95, (False, True): 0.9, (False, False): 0.85}


@dataclass(frozen=True)
class Hit:
    """An entry that was found, and why.

    Attributes:
        entry: the entry.
        score: 1.0 for the headword letter by letter, 0.95 for it in letters without marks, 0.9 and 0.85 for an alias,
            0.4 to 0.8 for a name that is spelt much alike; the sum of reciprocal ranks otherwise (below 0.04).
        route: how it was found; 'fusion' where both words and vectors have it, 'spelling' where a name agrees but for
            marks that make another word of it ('açı', ACI).
        ranks: its rank, from 1, in every list that has it.
        scores: its score in every list that has it: BM25 under 'bm25', the cosine of
            names under 'dense', the share of common letter pairs under 'spelling'.
        same_letters: False where a name was found that agrees only without the marks of its letters.
    """

    entry: Entry
    score: float
    route: Route
    ranks: Mapping[str, int]
    scores: Mapping[str, float] = field(default_factory=dict)
    same_letters: bool = True


class Retriever:
    """Searches a knowledge base. May be used from several threads.

    Args:
        kb: the knowledge base.
        embedder: the one that it was built with; by default it is made when it is first needed.

    Raises:
        KnowledgeBaseError: `embedder` is not the one that the base was built with.
    """

    def __init__(self, kb: KnowledgeBase, embedder: TextEncoder | None = None) -> None:
        self.kb = kb
        if embedder is not None:
            self._check(embedder)
            self.embedder = embedder

    @cached_property
    def embedder(self) -> TextEncoder | None:
        """What makes vectors of queries; None where the base has none."""
        if self.kb.vectors is None:
            return None
        embedder = get_embedder(self.kb.manifest.embedder)
        if embedder is not None:
            self._check(embedder)
        return embedder

    def search(
        self,
        query: str,
        *,
        aliases: Sequence[str] = (),
        k: int = 5,
        language: str | None = None,
        kind: Kind | None = None,
    ) -> list[Hit]:
        """The best `k` entries: those of this name, then those that words and vectors are in favour of.

        Args:
            query: a gloss as written ('爷爷（祖父）', 'thank_you', 'ÇALIŞMAK'), or any text.
            aliases: other names of the same sign.
            k: at most so many.
            language: only entries in this language.
            kind: only entries of this kind.
        """
        named = self.search_names(query, aliases=aliases, language=language, kind=kind)[:k]
        if len(named) == k:
            return named
        taken = {hit.entry.id for hit in named}
        text = " ".join((query, *aliases))
        similar = self.search_similar(text, k=k + len(named), language=language, kind=kind)
        return named + [hit for hit in similar if hit.entry.id not in taken][: k - len(named)]

    def search_names(
        self, query: str, *, aliases: Sequence[str] = (), language: str | None = None, kind: Kind | None = None
    ) -> list[Hit]:
        """Entries with this name, headwords first; then those with one of the names in its brackets or `aliases`.

        A Chinese name that is not found is looked for in the other script (traditional, simplified) too.
        """
        hits: dict[str, Hit] = {}
        head, inside = split_headword(query)
        own = [name for name in dict.fromkeys((query, head)) if name]
        for place, name in enumerate(dict.fromkeys((*own, *inside, *aliases))):
            for match in self._named(name, language, kind):
                is_own = match.is_headword and place < len(own)
                route: Route = "exact" if is_own else "alias"
                score = _SCORES[is_own, match.same_letters]
                if not is_spelling_of(name, match):
                    route, score = "spelling", _SPELLING_SCORE
                if match.entry.id not in hits:
                    ranks, scores = {route: len(hits) + 1}, {route: score}
                    hits[match.entry.id] = Hit(match.entry, score, route, ranks, scores, match.same_letters)
        return sorted(hits.values(), key=_falling_score)

    def search_similar(
        self, query: str, *, k: int = 5, language: str | None = None, kind: Kind | None = None
    ) -> list[Hit]:
        """The best `k` entries by spelling, words and vectors.

        What words and vectors find is fused by reciprocal rank. Of that, entries with a name that is spelt much like
        the query come first, the most alike foremost: ranks alone cannot tell a misspelt name from a related one.
        """
        lists = {
            "bm25": self.by_words(query, language=language, kind=kind),
            "dense": self.by_vectors(query, language=language, kind=kind),
        }
        fused = fuse_ranks({name: [n for n, _ in found] for name, found in lists.items()})
        entries = self.kb.numbered([n for n, _ in fused])
        texts = list(dict.fromkeys(text for text, _ in self._forms(query, language)))
        alike = {n: closest_name(texts, entry) for n, entry in entries.items()}
        spelt = [n for n, _ in fused if alike[n][0] >= MIN_ALIKE]
        # sorted is stable: equally alike ones stay in the order of their fused ranks
        spelt.sort(key=alike.__getitem__, reverse=True)
        lists["spelling"] = [(n, alike[n][0]) for n in spelt]
        scores = {name: dict(found) for name, found in lists.items()}
        ranks = {name: {n: i for i, (n, _) in enumerate(found, start=1)} for name, found in lists.items()}
        sums = dict(fused)
        hits = []
        for n in list(dict.fromkeys((*spelt, *sums)))[:k]:
            where = [name for name in lists if n in ranks[name]]
            route: Route = "fusion" if {"bm25", "dense"} <= set(where) else "bm25" if "bm25" in where else "dense"
            score = _SPELLING_SCORE * alike[n][0] if "spelling" in where else sums[n]
            found_at = {name: ranks[name][n] for name in where}
            hits.append(Hit(entries[n], score, route, found_at, {name: scores[name][n] for name in where}))
        return hits

    def by_words(
        self, query: str, *, count: int = _DEPTH, language: str | None = None, kind: Kind | None = None
    ) -> list[tuple[int, float]]:
        """(number, BM25 score) of the best entries."""
        scores = self.kb.words.scores(self._forms(query, language))
        allowed = self._allowed(language, kind)
        if allowed is not None:
            scores = np.where(allowed, scores, 0)
        count = min(count, len(scores))
        best = np.argpartition(scores, len(scores) - count)[len(scores) - count :]
        # equal scores in the order of the entries, so that a search gives the same every time
        best = best[np.lexsort((best, -scores[best]))]
        return [(int(n), float(scores[n])) for n in best if scores[n] > 0]

    def by_vectors(
        self, query: str, *, count: int = _DEPTH, language: str | None = None, kind: Kind | None = None
    ) -> list[tuple[int, float]]:
        """(number, cosine) of the entries with the most similar names; empty where the base has no vectors."""
        index, embedder = self.kb.vectors, self.embedder
        folded = dict.fromkeys(fold_case(text, code) for text, code in self._forms(query, language))
        names = [name for name in folded if name]
        if index is None or embedder is None or not names:
            return []
        allowed = self._allowed(language, kind)
        depth = count if allowed is None else max(count, _FILTERED_DEPTH)
        best: dict[int, float] = {}
        for vector in np.asarray(embedder.encode(names)):
            for n, score in index.search(vector, depth):
                if (allowed is None or allowed[n]) and score > best.get(n, -1.0):
                    best[n] = score
        # sorted is stable: of equal cosines, the entry that has the name as its headword stays first
        return sorted(best.items(), key=_falling_cosine)[:count]

    def _named(self, name: str, language: str | None, kind: Kind | None) -> list[NameMatch]:
        found = self.kb.named(name, language=language, kind=kind)
        if found or not any(is_wide(c) for c in name):
            return found
        for other in self._in_other_scripts(name):
            found = self.kb.named(other, language=language, kind=kind)
            if found:
                return found
        return []

    def _forms(self, query: str, language: str | None) -> list[tuple[str, str]]:
        """The query in every way that it can be read: (text, language) pairs.

        Capitals are small letters of other words in Turkish, Chinese has two scripts; a query that says no language is
        read in all those of the base.
        """
        texts = dict.fromkeys((query, *(self._in_other_scripts(query) if any(is_wide(c) for c in query) else ())))
        return [(text, code) for text in texts for code in ((language,) if language else self.kb.languages)]

    def _in_other_scripts(self, name: str) -> list[str]:
        """A Chinese name in the scripts that the base has, where these write it otherwise."""
        converted = [_converter(direction).convert(name) for direction in self._directions]
        return [other for other in dict.fromkeys(converted) if other != name]

    @cached_property
    def _directions(self) -> tuple[str, ...]:
        """Conversions that lead to the scripts of the base: to simplified, to traditional characters, or to both."""
        step = max(1, len(self.kb) // _SAMPLED)
        sample = self.kb.numbered(list(range(0, len(self.kb), step))).values()
        text = "".join(entry.headword + entry.text for entry in sample if entry.language.split("-")[0] == "zh")
        foreign = {
            way: sum(a != b for a, b in zip(text, _converter(way).convert(text), strict=False))
            for way in ("t2s", "s2t")
        }
        few, many = sorted(foreign, key=foreign.__getitem__)
        return (few,) if 10 * foreign[few] < foreign[many] else ("t2s", "s2t")

    def _allowed(self, language: str | None, kind: Kind | None) -> np.ndarray | None:
        """Which entries a filter lets through, None: all of them."""
        if language is None and kind is None:
            return None
        languages, kinds = self.kb.attributes
        allowed = np.ones(len(languages), bool)
        if language is not None:
            allowed &= languages.equals(language)
        if kind is not None:
            allowed &= kinds.equals(kind)
        return allowed

    def _check(self, embedder: TextEncoder) -> None:
        expected = self.kb.manifest.embedder_id
        if embedder.id != expected:
            raise KnowledgeBaseError(
                f"{self.kb.path} was built with the embedder {expected or 'none'!r}, and this is {embedder.id!r}: "
                "use that one, or build again"
            )


def is_spelling_of(name: str, match: NameMatch) -> bool:
    """Whether a name is that of the entry: letter by letter, or typed without the marks of its letters.

    'ol' may be ÖL typed so; 'açı' is not ACI, since who writes marks means them.
    """
    return match.same_letters or narrow_letters(name).isascii()


def fuse_ranks(lists: Mapping[str, Sequence[int]]) -> list[tuple[int, float]]:
    """Reciprocal rank fusion: (item, sum over the lists of 1 / (60 + rank)), best first.

    Items with equal sums are in the order of the better rank, then of their numbers.
    """
    sums: dict[int, float] = {}
    best: dict[int, int] = {}
    for items in lists.values():
        for rank, item in enumerate(items, start=1):
            sums[item] = sums.get(item, 0.0) + 1 / (RANK_CONSTANT + rank)
            best[item] = min(rank, best.get(item, rank))
    order = sorted(sums, key=lambda item: (-sums[item], best[item], item))
    return [(item, sums[item]) for item in order]


def _falling_score(hit: Hit) -> float:
    return -hit.score


def _falling_cosine(found: tuple[int, float]) -> float:
    return -found[1]


@cache
def _converter(direction: str):
    try:
        import opencc
    except ImportError as error:
        raise ImportError(f"traditional and simplified characters need opencc: {how_to_install('gsp')}") from error
    return opencc.OpenCC(direction)
