"""The entries on disk: one SQLite file, written once and then only read."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gspmc_mm.gsp.knowledge.entries import Entry, Kind, KnowledgeBaseError, fold_case, normalize_headword

_SCHEMA = """
CREATE TABLE entries (
    n INTEGER PRIMARY KEY,
    file TEXT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    headword TEXT NOT NULL,
    normalized TEXT NOT NULL,
    aliases TEXT NOT NULL,
    language TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    variants TEXT NOT NULL,
    source TEXT NOT NULL,
    page INTEGER,
    licence TEXT NOT NULL,
    flags TEXT NOT NULL
);
CREATE TABLE names (key TEXT NOT NULL, folded TEXT NOT NULL, place INTEGER NOT NULL, n INTEGER NOT NULL);
"""
_INDEX = "CREATE INDEX names_by_key ON names (key)"
_COLUMNS = "id, headword, normalized, aliases, language, kind, text, variants, source, page, licence, flags"
_BATCH = 5000
_READING = ("the entries cannot be read", "delete this file and build the knowledge base again")
_WRITING = ("the entries cannot be written", "is there space left on the disk?")


@dataclass(frozen=True)
class NameMatch:
    """An entry that has a name: its number, whether as headword, and whether letter by letter.

    Attributes:
        n: number of the entry in the base.
        entry: the entry.
        is_headword: the name is the headword, not an alias.
        same_letters: equal with the marks of the letters too, not only without them.
    """

    n: int
    entry: Entry
    is_headword: bool
    same_letters: bool


@dataclass(frozen=True)
class CodedColumn:
    """A column with few different values: language and kind of an entry take three bytes, as objects 225.

    Attributes:
        values: the different values.
        codes: (n,) of each entry, by number, the place of its value; unsigned.
    """

    values: tuple[str, ...]
    codes: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)

    def equals(self, value: str) -> np.ndarray:
        """Which entries have a value: (n,) bool."""
        if value not in self.values:
            return np.zeros(len(self.codes), bool)
        return self.codes == self.values.index(value)


class EntryTableWriter:
    """Writes the table of a new knowledge base; use it in a `with` block.

    Args:
        path: a file that is not there yet.
    """

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._path = path
        with _explained(path, *_WRITING):
            self._connection = sqlite3.connect(path)
            # The file counts only once the manifest names it: a crash loses it anyway.
            self._connection.execute("PRAGMA journal_mode = OFF")
            self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.executescript(_SCHEMA)
        self._count = 0

    def __enter__(self) -> EntryTableWriter:
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                with _explained(self._path, *_WRITING):
                    self._connection.execute(_INDEX)
                    self._connection.commit()
        finally:
            self._connection.close()

    def add(self, file: str, entries: Iterable[Entry]) -> tuple[int, str]:
        """Append the entries of one source.

        Args:
            file: name of the source.
            entries: in its order.

        Returns:
            How many there were, and their hash.

        Raises:
            KnowledgeBaseError: two entries have the same id, or the file cannot be written.
        """
        before, digest = self._count, hashlib.sha256()
        rows: list[tuple[object, ...]] = []
        names: list[tuple[str, str, int, int]] = []
        for entry in entries:
            row = _to_row(entry)
            digest.update(repr(row).encode("utf-8", "backslashreplace"))
            rows.append((self._count, file, *row))
            names += _names(entry, self._count)
            self._count += 1
            if len(rows) == _BATCH:
                self._insert(rows, names)
                rows, names = [], []
        self._insert(rows, names)
        return self._count - before, digest.hexdigest()

    def _insert(self, rows: list[tuple[object, ...]], names: list[tuple[str, str, int, int]]) -> None:
        places = ", ".join("?" * 14)
        with _explained(self._path, *_WRITING):
            try:
                self._connection.executemany(f"INSERT INTO entries VALUES ({places})", rows)
            except sqlite3.IntegrityError:
                raise KnowledgeBaseError(self._explain_twice(rows)) from None
            self._connection.executemany("INSERT INTO names VALUES (?, ?, ?, ?)", names)

    def _explain_twice(self, rows: list[tuple[object, ...]]) -> str:
        seen: dict[object, object] = {}
        for row in rows:
            found = self._connection.execute("SELECT n, file FROM entries WHERE id = ?", (row[2],)).fetchone()
            earlier = seen.get(row[2]) or (found[1] if found and found[0] != row[0] else None)
            if earlier is not None:
                return (
                    f"the entry id {row[2]!r} occurs twice, in {earlier} and in {row[1]}; ids have to be distinct: "
                    "correct the id column, or leave it out and let ids be made"
                )
            seen[row[2]] = row[1]
        return "an entry id occurs twice"


class EntryTable:
    """The table of a finished knowledge base; may be used from several threads.

    Args:
        path: the SQLite file.

    Raises:
        KnowledgeBaseError: by every method, if the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with _explained(path, *_READING):
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True, check_same_thread=False
            )
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def is_sound(self) -> bool:
        """Whether the whole file can be read; reads all of it."""
        try:
            return self._query("PRAGMA quick_check(1)") == [("ok",)]
        except KnowledgeBaseError:
            return False

    def __iter__(self) -> Iterator[Entry]:
        for row in self._rows(f"SELECT {_COLUMNS} FROM entries ORDER BY n"):
            yield _to_entry(row)

    def of_file(self, name: str) -> Iterator[Entry]:
        """The entries of one source, in its order."""
        for row in self._rows(f"SELECT {_COLUMNS} FROM entries WHERE file = ? ORDER BY n", (name,)):
            yield _to_entry(row)

    def entry(self, entry_id: str) -> Entry | None:
        """The entry of this id, or None."""
        rows = self._query(f"SELECT {_COLUMNS} FROM entries WHERE id = ?", (entry_id,))
        return _to_entry(rows[0]) if rows else None

    def numbered(self, numbers: Iterable[int]) -> dict[int, Entry]:
        """Entries by their numbers."""
        wanted = [int(n) for n in numbers]
        marks = ", ".join("?" * len(wanted))
        rows = self._query(f"SELECT n, {_COLUMNS} FROM entries WHERE n IN ({marks})", wanted)
        return {row[0]: _to_entry(row[1:]) for row in rows}

    def names(self) -> Iterator[tuple[str, int]]:
        """(name without case, number of the entry): all headwords, then all aliases."""
        yield from self._rows("SELECT folded, n FROM names ORDER BY place, rowid")

    def attributes(self) -> tuple[CodedColumn, CodedColumn]:
        """Language and kind of every entry, by number."""
        languages, kinds = (tuple(self.count_by(column)) for column in ("language", "kind"))
        language_codes = {value: code for code, value in enumerate(languages)}
        kind_codes = {value: code for code, value in enumerate(kinds)}
        (count,) = self._query("SELECT COUNT(*) FROM entries")[0]
        columns = np.zeros(count, np.uint16), np.zeros(count, np.uint8)
        for n, language, kind in self._rows("SELECT n, language, kind FROM entries"):
            columns[0][n], columns[1][n] = language_codes[language], kind_codes[kind]
        return CodedColumn(languages, columns[0]), CodedColumn(kinds, columns[1])

    def count_by(self, column: str) -> dict[str, int]:
        """How many entries there are of each language or kind."""
        if column not in ("language", "kind"):
            raise ValueError(f"found column {column!r}, expected language or kind")
        return dict(self._query(f"SELECT {column}, COUNT(*) FROM entries GROUP BY {column} ORDER BY {column}"))

    def count_flagged(self) -> int:
        """How many entries carry a flag."""
        return int(self._query("SELECT COUNT(*) FROM entries WHERE flags != '[]'")[0][0])

    def named(self, name: str, language: str | None = None, kind: Kind | None = None) -> list[NameMatch]:
        """Entries with this name: headwords before aliases, same letters before same letters without marks.

        Where something matches letter by letter, matches without marks ('ol' for 'öl') are left out.
        """
        key = normalize_headword(name, language or "")
        if not key:
            return []
        columns = ", ".join(f"e.{column}" for column in _COLUMNS.split(", "))
        sql = f"SELECT m.folded, m.place, m.n, {columns} FROM names m JOIN entries e ON e.n = m.n WHERE m.key = ?"
        values: list[object] = [key]
        if language is not None:
            sql += " AND e.language = ?"
            values.append(language)
        if kind is not None:
            sql += " AND e.kind = ?"
            values.append(kind)
        best: dict[int, tuple[tuple[bool, int, int], NameMatch]] = {}
        for folded, place, n, *row in self._query(sql, values):
            entry = _to_entry(tuple(row))
            same = folded == fold_case(name, entry.language)
            rank = (not same, place, n)
            if n not in best or rank < best[n][0]:
                best[n] = (rank, NameMatch(n, entry, place == 0, same))
        ranked = sorted(best.values(), key=_headword_first)
        if any(match.same_letters for _, match in ranked):
            ranked = [found for found in ranked if found[1].same_letters]
        return [match for _, match in ranked]

    def _query(self, sql: str, values: Iterable[object] = ()) -> list[tuple]:
        with self._lock, _explained(self._path, *_READING):
            return self._connection.execute(sql, tuple(values)).fetchall()

    def _rows(self, sql: str, values: tuple[object, ...] = ()) -> Iterator[tuple]:
        # in pieces, so that the lock is not held while the caller works
        with self._lock, _explained(self._path, *_READING):
            cursor = self._connection.execute(sql, values)
        while True:
            with self._lock, _explained(self._path, *_READING):
                rows = cursor.fetchmany(_BATCH)
            if not rows:
                return
            yield from rows


@contextmanager
def _explained(path: Path, what: str, advice: str) -> Iterator[None]:
    """Errors of SQLite with the file that they are about."""
    try:
        yield
    except sqlite3.Error as error:
        raise KnowledgeBaseError(f"{path}: {what} ({error}); {advice}") from None


def _headword_first(found: tuple[tuple[bool, int, int], NameMatch]) -> tuple[bool, bool, int, int]:
    (_, place, n), match = found
    return not match.is_headword, not match.same_letters, place, n


def _names(entry: Entry, n: int) -> list[tuple[str, str, int, int]]:
    names = []
    for place, name in enumerate((entry.headword, *entry.aliases)):
        key = normalize_headword(name, entry.language)
        if key:
            names.append((key, fold_case(name, entry.language), place, n))
    return names


def _to_row(entry: Entry) -> tuple[object, ...]:
    variants = "" if entry.variants == (entry.text,) else _to_json(entry.variants)
    return (
        entry.id,
        entry.headword,
        entry.normalized,
        _to_json(entry.aliases),
        entry.language,
        entry.kind,
        entry.text,
        variants,
        entry.source,
        entry.page,
        entry.licence,
        _to_json(entry.flags),
    )


def _to_entry(row: tuple) -> Entry:
    return Entry(
        id=row[0],
        headword=row[1],
        normalized=row[2],
        aliases=_from_json(row[3]),
        language=row[4],
        kind=row[5],
        text=row[6],
        variants=_from_json(row[7]) if row[7] else (row[6],),
        source=row[8],
        page=row[9],
        licence=row[10],
        flags=_from_json(row[11]),
    )


def _to_json(values: tuple[str, ...]) -> str:
    return json.dumps(values, ensure_ascii=False) if values else "[]"


def _from_json(text: str) -> tuple[str, ...]:
    return () if text == "[]" else tuple(json.loads(text))
