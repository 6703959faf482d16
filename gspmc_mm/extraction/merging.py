"""Joining stores that were filled apart, such as on machines without a common disk, into one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.ledger import PATTERN
from gspmc_mm.files import replacing
from gspmc_mm.poses import PoseStore
from gspmc_mm.poses.file_format import SUFFIX


def merge_stores(sources: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> PoseStore:
    """Copy shards and ledgers of stores into one folder, each file whole under a name that says where it is from.

    Shards of one run in a common folder need no merging: they are one store already.

    Raises:
        ExtractionError: the target is not empty, a source is still being filled or was left by a kill.
        PoseStoreError: the sources do not belong together: other estimators or signs, or a clip in two of them.
    """
    folders = [Path(source) for source in sources]
    target = Path(out)
    if target.exists() and any(target.iterdir()):
        raise ExtractionError(f"{target} is not empty; merging makes a new store")
    names = _different_names(folders)
    shards: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise ExtractionError(f"{folder}: there is no such folder of a store")
        pending = next(folder.glob(f"pending/*/*{SUFFIX}"), None)
        if pending is not None:
            raise ExtractionError(
                f"{folder}: {pending.parent.name!r} is not finished (clips are pending); run its extraction again, "
                "which ends the shard"
            )
        found = sorted(folder.glob(f"*{SUFFIX}"))
        if not found:
            raise ExtractionError(f"{folder}: no pose store (*{SUFFIX}) in it")
        shards += found
    PoseStore(shards)  # whether they belong together shows before anything is copied
    target.mkdir(parents=True, exist_ok=True)
    for folder, name in zip(folders, names, strict=True):
        for file in sorted(folder.glob(PATTERN)):
            _copy(file, target / f"ledger-{name}{file.stem.removeprefix('ledger')}.jsonl")
        for file in sorted(folder.glob(f"*{SUFFIX}")):
            _copy(file, target / f"{name}-{file.name}")
    return PoseStore(target)


def _different_names(folders: Sequence[Path]) -> list[str]:
    """A name for each folder: its own, with a number where two have the same."""
    own = [folder.resolve().name for folder in folders]
    return [name if own.count(name) == 1 else f"{name}{number}" for number, name in enumerate(own, start=1)]


def _copy(source: Path, target: Path) -> None:
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
