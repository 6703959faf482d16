"""How alike two names are spelt."""

from __future__ import annotations

from collections.abc import Iterable

from gspmc_mm.gsp.knowledge.entries import Entry, normalize_headword


def spelling_similarity(first: str, second: str, language: str) -> float:
    """Share of the pairs of neighbouring letters that two names have in common (Dice), from 0 to 1.

    Both ends of a name count as letters. Case, marks and punctuation are left aside.
    """
    return _dice(_pairs(normalize_headword(first, language)), _pairs(normalize_headword(second, language)))


def closest_name(queries: Iterable[str], entry: Entry) -> tuple[float, bool]:
    """Similarity of the entry's most similar name to any of the queries, and whether that is the headword."""
    language = entry.language
    asked = [_pairs(normalize_headword(query, language)) for query in queries]
    names = [_pairs(entry.normalized), *(_pairs(normalize_headword(alias, language)) for alias in entry.aliases)]
    return max((_dice(a, b), place == 0) for a in asked for place, b in enumerate(names))


def _pairs(name: str) -> frozenset[str]:
    marked = f"^{name}$" if name else ""
    return frozenset(marked[i : i + 2] for i in range(len(marked) - 1))


def _dice(first: frozenset[str], second: frozenset[str]) -> float:
    return 2 * len(first & second) / (len(first) + len(second)) if first and second else 0.0
