"""Clips found in foreign files, and their way into a pose store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from gspmc_mm.poses.clip import PoseClip
from gspmc_mm.poses.clip_list import UNLABELLED, ClipList, VideoClip
from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.poses.header import StoreHeader
from gspmc_mm.poses.writer import PoseStoreWriter
from gspmc_mm.skeleton import Layout

Size = tuple[int, int]

# Endings that programs hang on the name of a video when they write its key points.
_ENDINGS = (".npy", ".pose", ".json", ".mp4", ".avi", ".mov", ".mkv", ".webm", "_color")


@dataclass(frozen=True)
class FoundPoses:
    """The points of a clip as a store has them, and what the foreign file says beside.

    Attributes:
        keypoint: (T, V, 2) pixels.
        score: (T, V) confidence in [0, 1], 0 where the point is missing.
        image_size: width and height of the picture in pixels.
        fps: frames per second, 0 if unknown.
        label: number of the sign, None if the file does not say.
        signer: who signs, '' if the file does not say.
        splits: the splits that the file names.
    """

    keypoint: np.ndarray
    score: np.ndarray
    image_size: Size
    fps: float = 0.0
    label: int | None = None
    signer: str = ""
    splits: tuple[str, ...] = ()


@dataclass(frozen=True)
class FoundClip:
    """A clip that is there: its name (path below the source, without its suffix) and how to read it."""

    name: str
    read: Callable[[], FoundPoses]


@dataclass
class ImportReport:
    """What an import did.

    Attributes:
        written: number of clips in the store.
        failed: what was wrong with a clip, by its name.
        unlisted: clips that the clip list does not name, which were left out.
        missing: ids of the clip list for which no key points were found.
    """

    written: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether every clip that was found or listed is in the store."""
        return not (self.failed or self.unlisted or self.missing)


def write_found(
    found: Iterable[FoundClip],
    out: str | os.PathLike[str],
    header: StoreHeader,
    *,
    clips: ClipList | None = None,
    mirrored: bool = False,
    layout: Layout | None = None,
    overwrite: bool = False,
    on_clip: Callable[[], object] | None = None,
) -> ImportReport:
    """Read clips one by one into a store. A clip that cannot be read is reported and does not stop the others.

    Args:
        found: the clips.
        out: the `.arrow` file to write.
        header: of the store; its classes are those of `clips`, if there are any.
        clips: labels, signers and splits by clip; found clips that it does not name are left out. Without it a file
            that does not know its labels makes a store of the one class 'unlabelled'.
        mirrored: the points were found in mirrored pictures and are turned back (`unmirror`).
        layout: of the points; needed with `mirrored`.
        overwrite: replace an existing `out`.
        on_clip: called after each clip.

    Raises:
        PoseStoreError: the store exists, or not a single clip could be read.
    """
    index = None if clips is None else _ListIndex(clips)
    if clips is not None:
        header = header.model_copy(update={"classes": list(clips.classes)})
    elif header.classes is None:
        header = header.model_copy(update={"classes": [UNLABELLED]})
    report = ImportReport()
    with PoseStoreWriter(out, header, overwrite) as writer:
        for clip in found:
            listed = None if index is None else index.take(clip.name)
            if index is not None and listed is None:
                report.unlisted.append(clip.name)
            else:
                try:
                    poses = clip.read()
                    if mirrored:
                        poses = unmirror(poses, layout)
                    writer.add(_pose_clip(clip.name, poses, listed))
                except (ValueError, OSError) as error:
                    report.failed[clip.name] = str(error)
            if on_clip is not None:
                on_clip()
        report.written = len(writer)
        if index is not None:
            report.missing = index.untaken()
        if not report.written:
            raise PoseStoreError(f"{out}: {_why_nothing(report)}; nothing was written")
    return report


def unmirror(poses: FoundPoses, layout: Layout) -> FoundPoses:
    """Points of a mirrored picture as they are in the picture itself; left and right change places."""
    swap = np.asarray(layout.swap)
    keypoint = np.array(poses.keypoint, dtype=np.float32)
    keypoint[..., 0] = poses.image_size[0] - 1 - keypoint[..., 0]
    keypoint, score = keypoint[:, swap], np.asarray(poses.score)[:, swap]
    keypoint[score == 0] = 0
    return FoundPoses(keypoint, score, poses.image_size, poses.fps, poses.label, poses.signer, poses.splits)


def find_files(source: str | os.PathLike[str], suffix: str, what: str) -> list[tuple[str, Path]]:
    """Names and paths of the files with this suffix in a folder and below, or of the one file.

    Raises:
        FileNotFoundError: there is no such path, or no such file in the folder.
    """
    source = Path(source)
    if source.is_file():
        return [(source.stem, source)]
    if not source.is_dir():
        raise FileNotFoundError(f"{source}: there is no such file or folder; expected {what}")
    files = sorted(path for path in source.rglob(f"*{suffix}") if not path.name.startswith("."))
    if not files:
        raise FileNotFoundError(f"{source}: no *{suffix} in it or below; expected {what}")
    return [(path.relative_to(source).with_suffix("").as_posix(), path) for path in files]


def size_of(name: str, size: Size | Mapping[str, Size] | None, what: str) -> Size:
    """Width and height of the picture of a clip.

    Raises:
        PoseStoreError: it is not known.
    """
    found = size.get(name) if isinstance(size, Mapping) else size
    if found is None:
        raise PoseStoreError(f"{name}: {what} does not say how large the picture was; give its width and height")
    return found


def sound_scores(score: np.ndarray, keypoint: np.ndarray) -> np.ndarray:
    """Scores in [0, 1] as float32; 0 where a coordinate is no number. Peaks of heat maps may be a little above 1."""
    score = np.nan_to_num(np.asarray(score, dtype=np.float32), nan=0.0)
    score[~np.isfinite(keypoint).all(axis=-1)] = 0
    return np.clip(score, 0, 1)


def _pose_clip(name: str, poses: FoundPoses, listed: VideoClip | None) -> PoseClip:
    keypoint = np.where(poses.score[..., None] > 0, poses.keypoint, 0)
    clip_id, label = name, poses.label or 0
    signer, splits = poses.signer, poses.splits
    if listed is not None:
        clip_id, label = listed.clip_id, listed.label
        signer, splits = listed.signer, listed.splits
        if listed.start is not None or listed.end is not None:
            keypoint = keypoint[listed.start : listed.end]
            poses = FoundPoses(keypoint, poses.score[listed.start : listed.end], poses.image_size, poses.fps)
    return PoseClip(clip_id, keypoint, poses.score, label, signer, poses.fps, poses.image_size, splits)


def _why_nothing(report: ImportReport) -> str:
    if report.failed:
        name, reason = next(iter(report.failed.items()))
        return f"none of {len(report.failed)} clips could be read; the first, {name!r}: {reason}"
    if report.unlisted:
        return (
            f"the clip list names none of the {len(report.unlisted)} clips that were found, such as "
            f"{report.unlisted[0]!r}, but for example {report.missing[0]!r}"
        )
    return "no clips were found"


class _ListIndex:
    """Finds the clip of a list that a name of found key points stands for."""

    def __init__(self, clips: ClipList) -> None:
        self._clips = clips.clips
        self._ids = {clip.clip_id: clip for clip in clips.clips}
        self._taken: set[str] = set()
        # The name of the video alone is enough where no other clip has one of that name.
        by_name: dict[str, list[VideoClip]] = {}
        for clip in clips.clips:
            names = {_bare(clip.clip_id), _bare(clip.video), _bare(PurePosixPath(clip.video).name)}
            for name in names:
                by_name.setdefault(name, []).append(clip)
        self._names = {name: found[0] for name, found in by_name.items() if len(found) == 1}

    def take(self, name: str) -> VideoClip | None:
        """The clip, which is then counted as found; None if the list has none of that name."""
        for candidate in _spellings(name):
            clip = self._ids.get(candidate) or self._names.get(candidate)
            if clip is not None:
                self._taken.add(clip.clip_id)
                return clip
        return None

    def untaken(self) -> list[str]:
        return [clip.clip_id for clip in self._clips if clip.clip_id not in self._taken]


def _spellings(name: str) -> Sequence[str]:
    bare = _bare(name)
    return (name, bare, PurePosixPath(bare).name)


def _bare(name: str) -> str:
    """A name without the endings that say what it is a file of: 'a_color.mp4.npy' is 'a'."""
    ending = next((ending for ending in _ENDINGS if name.endswith(ending) and len(name) > len(ending)), None)
    return name if ending is None else _bare(name[: -len(ending)])
