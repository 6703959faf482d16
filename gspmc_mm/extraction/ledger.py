"""The ledger of a store: one line of JSON for every clip that is done or failed, written as it happens.

A line is on disk before the next clip is counted. The line that a killed process was writing is cut off and ignored.
Several machines that write shards of one store have a ledger each; together they are the store's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from gspmc_mm.extraction.errors import ExtractionError

PATTERN = "ledger*.jsonl"
RUN, DONE, FAILED = "run", "done", "failed"


class Ledger:
    """One file that grows by a line at a time. A context manager.

    Args:
        path: the file; made if it is not there. A cut last line is removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def __enter__(self) -> Ledger:
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            os.ftruncate(self._file, whole)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)
        self._file = None

    def append(self, entry: Mapping[str, Any]) -> None:
        """Write one line; it is on disk when this returns."""
        line = json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
        os.write(self._file, line.encode())
        os.fsync(self._file)


def ledger_name(part: str) -> str:
    """File name of the ledger of a part of a store ('' = the only one)."""
    return f"ledger-{part}.jsonl" if part else "ledger.jsonl"


def read_lines(folder: Path) -> Iterator[dict[str, Any]]:
    """All lines of all ledgers of a store, ledger by ledger.

    Raises:
        ExtractionError: a line that is not the last of its file is no entry.
    """
    for path in sorted(folder.glob(PATTERN)):
        lines = path.read_bytes().split(b"\n")
        for number, line in enumerate(lines[:-1], start=1):  # behind the last line break: nothing, or a line cut off
            try:
                entry = json.loads(line)
                if entry["status"] not in (RUN, DONE, FAILED):
                    raise KeyError("status")
            except (ValueError, KeyError, TypeError) as error:
                raise ExtractionError(
                    f"{path}, line {number}: no entry of a ledger: {line[:80]!r}; something else changed the "
                    "file. Remove that line to go on"
                ) from error
            yield entry


def read_clips(folder: Path) -> dict[str, dict[str, Any]]:
    """The latest entry of each clip of a store."""
    clips: dict[str, dict[str, Any]] = {}
    for entry in read_lines(folder):
        if entry["status"] == RUN:
            continue
        earlier = clips.get(entry["clip_id"])
        # in different ledgers the order of the lines says nothing; a done clip stays done
        if earlier is None or earlier["status"] == FAILED or entry["status"] == DONE:
            clips[entry["clip_id"]] = entry
    return clips
