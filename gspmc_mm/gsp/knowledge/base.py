"""The knowledge base that the rest of the room reads: entries by id and by name, and its two indexes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from gspmc_mm.gsp.knowledge.building import BuildReport, build_knowledge_base
from gspmc_mm.gsp.knowledge.entries import Entry, Kind, KnowledgeBaseError
from gspmc_mm.gsp.knowledge.entry_table import CodedColumn, EntryTable, NameMatch
from gspmc_mm.gsp.knowledge.manifest import ENTRIES, VECTORS, WORDS, Manifest, find_damage, read_manifest
from gspmc_mm.gsp.knowledge.vector_index import VectorIndex
from gspmc_mm.gsp.knowledge.word_index import WordIndex

__all__ = ["BuildReport", "KnowledgeBase", "KnowledgeBaseError", "build_knowledge_base"]


class KnowledgeBase:
    """A finished knowledge base, opened for reading. May be used from several threads.

    Attributes:
        path: its folder.
        manifest: what it is made of.
    """

    def __init__(self, path: Path, manifest: Manifest, table: EntryTable) -> None:
        self.path = path
        self.manifest = manifest
        self._table = table

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> KnowledgeBase:
        """Open the folder that `build_knowledge_base` wrote.

        Raises:
            FileNotFoundError: there is no finished knowledge base.
            KnowledgeBaseError: it is of another version, or a file of it is missing or cut.
        """
        path = Path(path)
        manifest = read_manifest(path)
        if find_damage(path, manifest) is not None:
            # a build may have replaced the data folder between the two looks
            manifest = read_manifest(path)
        if (damage := find_damage(path, manifest)) is not None:
            raise KnowledgeBaseError(f"{damage}, the knowledge base is not whole; build it again")
        return cls(path, manifest, EntryTable(path / manifest.data / ENTRIES))

    def __repr__(self) -> str:
        return f"KnowledgeBase({str(self.path)!r}, {len(self)} entries, embedder={self.manifest.embedder!r})"

    def __len__(self) -> int:
        return self.manifest.entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._table)

    @property
    def corpus_hash(self) -> str:
        """Hash of all entries, whatever embedder was used."""
        return self.manifest.corpus_hash

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages of the entries, the most frequent first."""
        counts = self.manifest.languages
        return tuple(sorted(counts, key=lambda code: (-counts[code], code)))

    def entry(self, entry_id: str) -> Entry:
        """The entry of this id.

        Raises:
            KnowledgeBaseError: there is none.
        """
        entry = self._table.entry(entry_id)
        if entry is None:
            raise KnowledgeBaseError(f"{self.path} has no entry {entry_id!r}")
        return entry

    def numbered(self, numbers: list[int]) -> dict[int, Entry]:
        """Entries by their numbers in the indexes."""
        return self._table.numbered(numbers)

    def named(self, name: str, *, language: str | None = None, kind: Kind | None = None) -> list[NameMatch]:
        """Entries that have this name, and how well it agrees; see `EntryTable.named`."""
        return self._table.named(name, language, kind)

    def lookup(self, headword: str, *, language: str | None = None, kind: Kind | None = None) -> list[Entry]:
        """Entries with this headword, then those with this alias, both without case, width and marks."""
        return [match.entry for match in self.named(headword, language=language, kind=kind)]

    @cached_property
    def attributes(self) -> tuple[CodedColumn, CodedColumn]:
        """Language and kind of every entry, by number."""
        return self._table.attributes()

    @cached_property
    def words(self) -> WordIndex:
        """The index of words and character n-grams (BM25)."""
        return WordIndex.load(self.path / self.manifest.data / WORDS)

    @cached_property
    def vectors(self) -> VectorIndex | None:
        """The index of the names' vectors; None where the base was built without an embedder."""
        if not self.manifest.vectors:
            return None
        return VectorIndex.load(self.path / self.manifest.data / VECTORS)
