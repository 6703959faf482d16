"""Every call and its answer on disk (SQLite in WAL mode), found again by a hash of what determines it.

An answer is committed when it arrives, so a process that is killed loses at most the calls in flight. Unusable answers
are kept too: a second run comes to the same end without asking. Keys, headers and time-outs are not part of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from gspmc_mm.gsp.client.errors import CacheError

FORMAT_VERSION = 1
# Seconds to wait for another process that writes.
_PATIENCE = 30


@dataclass(frozen=True)
class Recorded:
    """One call as it ended.

    Attributes:
        sign, step, attempt: what it was for.
        request: the messages that were sent, JSON.
        content: text of the answer; empty if there is none.
        finish_reason: as the server gave it.
        problem: why there is no text to look at (refusal, no choice, broken body, error of the server); usually ''.
        transport: whether the problem lies on the way (time-outs, 429, 5xx) and not in the answer.
        rung: how JSON was asked for.
        prompt_tokens, completion_tokens: as the server counted them, else our estimate.
        seconds: how long it took.
        created: when, UTC, ISO 8601.
    """

    sign: str
    step: str
    attempt: int
    request: str
    content: str
    finish_reason: str
    problem: str
    transport: bool
    rung: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    created: str


_COLUMNS = tuple(field.name for field in fields(Recorded))


def call_key(request: Mapping[str, Any]) -> str:
    """Hash of everything that determines a call; the order of keys does not matter."""
    canonical = json.dumps([FORMAT_VERSION, request], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


class CallCache:
    """Recorded calls in one SQLite file. Use it as a context manager, in one thread.

    Raises:
        CacheError: also by every method: the file is no cache of this version, damaged, or cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._explained():
            self._connection = sqlite3.connect(self.path, timeout=_PATIENCE, isolation_level=None)
            self._prepare()

    def _prepare(self) -> None:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, FORMAT_VERSION):
            raise CacheError(f"{self.path}: calls recorded in format {version}, expected {FORMAT_VERSION}")
        self._connection.execute("PRAGMA journal_mode=WAL")
        # a killed process loses nothing that was committed; a machine without power may lose the last calls
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS calls (key TEXT PRIMARY KEY, sign TEXT, step TEXT, attempt INTEGER,"
            " request TEXT, content TEXT, finish_reason TEXT, problem TEXT, transport INTEGER, rung TEXT,"
            " prompt_tokens INTEGER, completion_tokens INTEGER, seconds REAL, created TEXT)"
        )
        self._connection.execute("CREATE TABLE IF NOT EXISTS endpoints (endpoint TEXT PRIMARY KEY, rung TEXT)")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS lengths (encoder TEXT, text TEXT, tokens INTEGER, PRIMARY KEY (encoder, text))"
            " WITHOUT ROWID"
        )
        self._connection.execute(f"PRAGMA user_version={FORMAT_VERSION}")

    def __enter__(self) -> CallCache:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def __len__(self) -> int:
        return int(self._rows("SELECT count(*) FROM calls")[0][0])

    def get(self, key: str) -> Recorded | None:
        """The call with this hash, if it was made before."""
        rows = self._rows(f"SELECT {', '.join(_COLUMNS)} FROM calls WHERE key = ?", key)
        if not rows:
            return None
        values = dict(zip(_COLUMNS, rows[0], strict=True))
        return Recorded(**{**values, "transport": bool(values["transport"])})

    def put(self, key: str, call: Recorded) -> None:
        """Record a call; it is on disk when this returns."""
        marks = ", ".join("?" for _ in range(len(_COLUMNS) + 1))
        self._rows(
            f"INSERT OR REPLACE INTO calls (key, {', '.join(_COLUMNS)}) VALUES ({marks})", key, *asdict(call).values()
        )

    def forget(self, keys: Iterable[str]) -> None:
        """Drop calls, so that they are made again."""
        with self._explained():
            self._connection.executemany("DELETE FROM calls WHERE key = ?", [(key,) for key in keys])

    def rung(self, endpoint: str) -> str | None:
        """How JSON is asked for at an endpoint, if that was found out before."""
        rows = self._rows("SELECT rung FROM endpoints WHERE endpoint = ?", endpoint)
        return str(rows[0][0]) if rows else None

    def remember_rung(self, endpoint: str, rung: str) -> None:
        """Keep how JSON is asked for at an endpoint."""
        self._rows("INSERT OR REPLACE INTO endpoints VALUES (?, ?)", endpoint, rung)

    def tokens(self, encoder: str, text: str) -> int | None:
        """Length of a text for a text encoder, if it was counted before: loading an encoder takes seconds."""
        rows = self._rows("SELECT tokens FROM lengths WHERE encoder = ? AND text = ?", encoder, text)
        return int(rows[0][0]) if rows else None

    def remember_tokens(self, encoder: str, text: str, tokens: int) -> None:
        """Keep the length of a text."""
        self._rows("INSERT OR REPLACE INTO lengths VALUES (?, ?, ?)", encoder, text, tokens)

    def _rows(self, sql: str, *values: object) -> list[tuple]:
        with self._explained():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors of SQLite with the file that they are about."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise CacheError(
                f"{self.path}: the recorded calls cannot be read or written ({error}); does another process use the "
                "file, and is there space on the disk? What was recorded before is kept, run the same command again"
            ) from None
        except sqlite3.Error as error:
            raise CacheError(
                f"{self.path}: cannot be used as a file of recorded calls ({error}); move it away or name another one"
            ) from None
