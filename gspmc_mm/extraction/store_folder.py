"""The folder that a run fills: shards, the clips that are not in a shard yet, and the ledger.

    STORE/<part>00001.arrow       shards; a `PoseStore` opens the folder
    STORE/ledger[-<part>].jsonl   what is done and what failed
    STORE/pending/<part>/*.arrow  clips of the shard that is growing, one file each
    STORE/pending/lock            held while a part opens the store, STORE/pending/<part>/lock while it fills it

Every clip is on disk, whole, before its line in the ledger is, so a kill loses the clips in flight and no more. When
enough are pending they become a shard, under its name at once, and are removed after that; an opening removes what a
kill left of them. Parts (`--shard i/n`) write side by side: each has its lock, its names and its ledger. One opens the
store at a time, while the others go on: a pending clip that is gone when it is looked at is in a shard by then.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.ledger import DONE, Ledger, ledger_name, read_clips
from gspmc_mm.poses import EstimatorInfo, PoseClip, PoseStore, PoseStoreWriter, StoreHeader
from gspmc_mm.poses.file_format import SUFFIX
from gspmc_mm.poses.resplit import rewrite as rewrite_file

CLIPS_PER_SHARD = 500
WHOLE = "all"  # folder of the pending clips of a run without parts


class StoreFolder:
    """A store that is being filled by one process. A context manager.

    Args:
        path: the folder; made if needed.
        header: of every shard.
        part: name of the part that this process fills, '' for a store with one part.
        clips_per_shard: a shard is written when so many clips are pending.
        force_mixed: accept clips of another estimator; all shards then name both.
        listed: what the list of clips is called in messages.

    Attributes:
        done: ids of the clips that the store has, of all parts.
        entries: latest ledger entry of every clip, of all parts, as they were at the opening.

    Raises:
        ExtractionError: another process fills the same part, the store has another estimator or other signs, or the
            system knows no locks of files.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: StoreHeader,
        part: str = "",
        clips_per_shard: int = CLIPS_PER_SHARD,
        force_mixed: bool = False,
        listed: str = "LIST",
    ) -> None:
        self.path, self.header, self.part, self.listed = Path(path), header, part, listed
        self.clips_per_shard, self.force_mixed = clips_per_shard, force_mixed
        self.done: set[str] = set()
        self.entries: dict[str, dict[str, Any]] = {}
        self._pending: list[Path] = []
        self._ledger: Ledger | None = None
        self._lock: int | None = None

    def __enter__(self) -> StoreFolder:
        if self.path.is_file():
            raise ExtractionError(f"{self.path} is a file; a store that grows is a folder, name another one")
        import_fcntl()  # where there is none nothing is begun
        self._pending_folder(self.part).mkdir(parents=True, exist_ok=True)
        with _alone(self.path):
            self._open()
        return self

    def _open(self) -> None:
        self._lock = _lock(self._pending_folder(self.part))
        if self._lock is None:
            raise ExtractionError(
                f"{self.path}: another run is filling it; wait for its end, or give each a --shard i/n"
            )
        try:
            self._check_kind()
            self.entries = read_clips(self.path)
            self._ledger = Ledger(self.path / ledger_name(self.part)).__enter__()
            self._recover()
        except BaseException:
            os.close(self._lock)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._pending:
                self._write_shard(self._pending, self.part)
                self._pending = []
        finally:
            self._ledger.__exit__(kind, error, trace)
            os.close(self._lock)

    def add(self, clip: PoseClip, entry: dict[str, Any]) -> None:
        """Keep a clip and enter it as done.

        Raises:
            PoseStoreError: the clip is not sound; nothing is kept.
        """
        path = self._pending_folder(self.part) / pending_name(clip.clip_id)
        with PoseStoreWriter(path, self.header, overwrite=True) as writer:
            writer.add(clip)
        self.note({**entry, "status": DONE})
        self.done.add(clip.clip_id)
        self._pending.append(path)
        if len(self._pending) >= self.clips_per_shard:
            self._write_shard(self._pending, self.part)
            self._pending = []

    def note(self, entry: dict[str, Any]) -> None:
        """Enter something that is not a clip done: a clip failed, or a run begun."""
        self._ledger.append(entry)

    def open(self) -> PoseStore | None:
        """The shards as a store; None if there are none yet. Clips that are still pending are not in it."""
        return PoseStore(self.path) if any(self.path.glob(f"*{SUFFIX}")) else None

    def _pending_folder(self, part: str) -> Path:
        return self.path / "pending" / (part or WHOLE)

    def stores(self) -> Iterator[tuple[Path, PoseStore]]:
        """Every file of the store by itself, with its path.

        Pending clips come first: one that another part moves into a shard meanwhile is seen there, or in both places.
        """
        for pattern in (f"pending/*/*{SUFFIX}", f"*{SUFFIX}"):
            for file in sorted(self.path.glob(pattern)):
                if store := _still_there(file):
                    yield file, store

    def _check_kind(self) -> None:
        """Refuse a store of another estimator, or rename all of it if that was asked for."""
        found: dict[tuple[str, ...], Path] = {}
        for file, store in self.stores():
            if store.header.classes != self.header.classes:
                raise ExtractionError(self._other_signs(file, store.header.classes))
            found.setdefault(tuple(store.header.estimator.values()), file)
        ours = self.header.estimator
        others = [EstimatorInfo(**dict(zip(ours, kind, strict=True))) for kind in found]
        if all(ours == other for other in others):
            return
        if not self.force_mixed:
            other = next(other for other in others if other != ours)
            raise ExtractionError(
                f"{self.path} was made by {describe(other)}; this run is {describe(ours)}. Points of different "
                "estimators are not mixed: name another store, the same settings, or --force-mixed"
            )
        self.header = self.header.model_copy(update={"estimator": mixed_estimator([*others, ours])})
        # A part that goes on meanwhile would write further shards under the name that it began with.
        with _filled_by_nobody(
            self.path, [folder for folder in _parts(self.path) if folder.name != (self.part or WHOLE)]
        ):
            for file, store in self.stores():
                if store.header.estimator != self.header.estimator:
                    rewrite(file, self.header.estimator)

    def _other_signs(self, file: Path, classes: list[str] | None) -> str:
        said = f"{file} names other signs ({_few(classes)}) than the list of clips ({_few(self.header.classes)}); "
        lost = [gloss for gloss in classes or () if gloss not in (self.header.classes or ())]
        if not classes:
            return said + "extract them into another store"
        if lost:
            return said + (
                f"the list has no {_few(lost)}. Put them into it (signs without a clip are named in its .classes.txt), "
                "or extract into another store"
            )
        return said + f"nothing has to be extracted again: {mending(self.path, self.listed)}, then this command again"

    def _recover(self) -> None:
        """Find out what is there, and clear away what a kill left half done."""
        for left in self._pending_folder(self.part).glob("*.tmp"):
            left.unlink()
        for left in self._shards(self.part, f"{SUFFIX}.tmp").values():
            left.unlink()
        self.done = self._in_shards()
        self._pending = self._sound_pending(self.part)
        for folder in _parts(self.path):
            if folder == self._pending_folder(self.part):
                continue
            lock = _lock(folder)
            if lock is None:  # a run that is under way; its clips are its own
                self.done |= _clip_ids(folder)
                continue
            try:
                self._take_over("" if folder.name == WHOLE else folder.name)
            finally:
                os.close(lock)
        # A clip that went from a pending folder into a shard since we looked at the shards was in neither.
        self.done |= self._in_shards()

    def _take_over(self, part: str) -> None:
        """Make a shard of what a run left that was killed and not taken up again."""
        if not any(self._pending_folder(part).glob(f"*{SUFFIX}")):
            return
        # That run may have gone on until a moment ago: what it has entered and written since then counts.
        self.entries, self.done = read_clips(self.path), self.done | self._in_shards()
        if pending := self._sound_pending(part):
            self._write_shard(pending, part)

    def _in_shards(self) -> set[str]:
        store = self.open()
        return set() if store is None else set(store.clip_ids.tolist())

    def _sound_pending(self, part: str) -> list[Path]:
        """Pending clips of a part that count; the others are removed."""
        sound = []
        for file in sorted(self._pending_folder(part).glob(f"*{SUFFIX}")):
            clip_id = str(PoseStore(file).clip_ids[0])
            entered = self.entries.get(clip_id, {}).get("status") == DONE
            if clip_id in self.done or not entered:  # in a shard already, or killed before its line was written
                file.unlink()
                continue
            self.done.add(clip_id)
            sound.append(file)
        return sound

    def _shards(self, part: str, suffix: str = SUFFIX) -> dict[int, Path]:
        """The shards of a part by their numbers."""
        name = re.compile(rf"{_prefix(part)}(\d+){re.escape(suffix)}")
        return {int(match[1]): file for file in self.path.iterdir() if (match := name.fullmatch(file.name))}

    def _write_shard(self, pending: list[Path], part: str) -> Path:
        path = self.path / f"{_prefix(part)}{max(self._shards(part), default=0) + 1:05d}{SUFFIX}"
        with PoseStoreWriter(path, self.header) as writer:
            for clip in _clips_of(pending):
                writer.add(clip)
        for file in pending:
            file.unlink()
        return path


def describe(estimator: EstimatorInfo) -> str:
    """An estimator in words."""
    return f"{estimator['name']} ({estimator['version']}; weights {estimator['weights']})"


def mixed_estimator(estimators: list[EstimatorInfo]) -> EstimatorInfo:
    """The name of a mixture: each part once, in the order of the alphabet."""
    fields = {}
    for name in ("name", "version", "weights"):
        values = {value for estimator in estimators for value in estimator[name].removeprefix("MIXED ").split(" + ")}
        fields[name] = "MIXED " * (name == "name") + " + ".join(sorted(values))
    return EstimatorInfo(**fields)


def rewrite(file: Path, estimator: EstimatorInfo) -> None:
    """Give a shard another name of its estimator; nothing else of it changes."""
    rewrite_file(file, PoseStore(file).header.model_copy(update={"estimator": estimator}))


def mending(path: Path, listed: str) -> str:
    """The command that gives a store the splits, signers and signs of a list."""
    return shlex.join(["python", "tools/data/resplit.py", str(path), "--clips", listed])


@contextlib.contextmanager
def at_rest(path: str | os.PathLike[str]) -> Iterator[list[Path]]:
    """All files of a store, pending clips too; while the block runs nobody can begin to fill it.

    Args:
        path: one `.arrow` file, or a folder.

    Raises:
        ExtractionError: a run is filling the folder.
        FileNotFoundError: there is no such store.
    """
    path = Path(path)
    with contextlib.ExitStack() as locks:
        if (path / "pending").is_dir():  # filled by extractions
            locks.enter_context(_alone(path))
        locks.enter_context(_filled_by_nobody(path, _parts(path)))
        patterns = (f"*{SUFFIX}", f"pending/*/*{SUFFIX}")
        files = [path] if path.is_file() else [file for pattern in patterns for file in sorted(path.glob(pattern))]
        if not files:
            raise FileNotFoundError(f"{path}: there is no pose store (a {SUFFIX} file, or a folder of them)")
        yield files


def pending_name(clip_id: str) -> str:
    """File name of a pending clip: ids may have letters that file names may not."""
    return hashlib.blake2b(clip_id.encode(), digest_size=12).hexdigest() + SUFFIX


@contextlib.contextmanager
def _filled_by_nobody(path: Path, folders: list[Path]) -> Iterator[None]:
    """Hold the locks of parts of a store, given by their folders of pending clips.

    Raises:
        ExtractionError: a run is filling one of them.
    """
    with contextlib.ExitStack() as locks:
        for folder in folders:
            lock = _lock(folder)
            if lock is None:
                raise ExtractionError(f"{path}: a run is filling it ({folder.name}); wait for its end")
            locks.callback(os.close, lock)
        yield


def part_name(index: int, count: int) -> str:
    """Name of part i of n; '' if there is only one."""
    return "" if count == 1 else f"{index:04d}-of-{count:04d}"


def _prefix(part: str) -> str:
    return f"{part}-" if part else ""


def _clips_of(files: list[Path]) -> Iterator[PoseClip]:
    for file in files:
        store = PoseStore(file)
        for index in range(len(store)):
            yield store.clip(index)


def _clip_ids(folder: Path) -> set[str]:
    """Ids of the pending clips of a part that goes on meanwhile."""
    stores = filter(None, map(_still_there, folder.glob(f"*{SUFFIX}")))
    return {clip_id for store in stores for clip_id in store.clip_ids.tolist()}


def _still_there(file: Path) -> PoseStore | None:
    """A file that was listed; None if it has gone, as a pending clip of another part does when it is in a shard."""
    try:
        return PoseStore(file)
    except FileNotFoundError:
        return None


def _parts(path: Path) -> list[Path]:
    """Folders of pending clips, of all parts that ever filled a store."""
    return sorted(folder for folder in path.glob("pending/*") if folder.is_dir())


def import_fcntl() -> ModuleType:
    """Locks of files, or an ExtractionError that says where there are some."""
    try:
        import fcntl
    except ModuleNotFoundError as error:
        raise ExtractionError(
            "a store that grows needs the file locks of Linux, which native Windows has not; run this in WSL (Windows "
            "Subsystem for Linux) or on Linux"
        ) from error
    return fcntl


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process opens the store or changes what its parts have in common."""
    lock = _lock(path / "pending", wait=True)
    try:
        yield
    finally:
        os.close(lock)


def _lock(folder: Path, wait: bool = False) -> int | None:
    """Take the lock of a folder; None if another process has it. The system lets go of it when the process dies."""
    fcntl = import_fcntl()
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(file)
        return None
    except OSError as error:
        # Some network file systems know no locks: then nobody watches over two runs of the same part.
        if error.errno not in (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP):
            os.close(file)
            raise
    return file


def _few(classes: list[str] | None) -> str:
    if not classes:
        return "none"
    return ", ".join(classes[:3]) + (f", ... {len(classes)} in all" if len(classes) > 3 else "")
