"""Writing files that are whole or not there: to a temporary name beside the target, then a rename."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: str | os.PathLike[str], suffix: str = ".tmp") -> Iterator[Path]:
    """Give a temporary path beside `path`, which takes its place if the block does not raise.

    Folders on the way are made. Whatever library writes the file, it gets the permissions that new files have here
    (some create their files readable by their owner alone, which a group on a cluster then cannot read).

    Args:
        path: the file to write.
        suffix: ending of the temporary name, for libraries that go by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{suffix}")
    temporary.touch()
    permissions = temporary.stat().st_mode
    temporary.unlink()
    try:
        yield temporary
        temporary.chmod(permissions)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """Write a text file in UTF-8, whole or not at all; returns its path."""
    path = Path(path)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def write_json(path: str | os.PathLike[str], value: Any) -> Path:
    """Write indented JSON, whole or not at all; NaN is refused because it is not JSON.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return write_text(path, text + "\n")
