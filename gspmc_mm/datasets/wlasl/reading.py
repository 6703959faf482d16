"""The landmark file of WLASL-100 and its splits, read and checked; sizes and rates of the videos."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gspmc_mm.datasets.wlasl.hand_order import HAND_POINTS

LANDMARK_FILE = "wlasl100_hands.npz"
SPLIT_FILE = "splits.json"
MISSING = -32768
UNITS = 10000.0
NUM_FOLDS = 5

# Width and height of the videos by where they come from. The landmark file stores neither. The
# height is the lowest edge that the signer boxes of the source reach (signers are cut by the lower
# edge of the picture). The width is height times the aspect ratio 16:9, 3:2 or 4:3 that agrees with
# the middle of the box in pixels over the middle of the shoulders, or of both hands, in fractions
# of the frame; it is also the one that makes hands as long across as they are upright.
FRAME_SIZES: Mapping[str, tuple[tuple[int, int], ...]] = {
    "aslbrick": ((640, 480), (1280, 720), (1920, 1080)),
    "asldeafined": ((640, 480),),
    "aslsearch": ((712, 400),),
    "aslsignbank": ((658, 370), (1920, 1080)),
    "elementalasl": ((320, 180),),
    "signingsavvy": ((288, 192),),
    "signschool": ((640, 360), (854, 480), (1280, 720), (1920, 1080)),
    "spreadthesign": ((320, 240),),
    "startasl": ((736, 414), (1280, 720)),
}

# The data set counts frame_end at 25 frames a second, whatever the rate of the video.
NOMINAL_FPS = 25.0
FRAME_RATES = (24.0, 25.0, 30.0, 50.0)


class WlaslError(ValueError):
    """The WLASL files are not what they are said to be: names file, clip and field."""


@dataclass(frozen=True)
class WlaslData:
    """The landmark file and its splits, checked.

    Attributes:
        keypoint: (F, 2, 21, 3) int16, frames of all clips, see the file's description.
        offset: (N + 1,) clip i is the frames offset[i] to offset[i + 1].
        clip_ids, signers, sources: (N,) of str.
        labels: (N,) int64.
        boxes: (N, 4) x0, y0, x1, y1 of the signer in pixels.
        frame_ends: (N,) number of frames at 25 frames a second.
        classes: gloss by label.
        official: clip ids of `train`, `val` and `test`.
        folds: clip ids whose signers are held out, for each fold.
    """

    keypoint: np.ndarray
    offset: np.ndarray
    clip_ids: tuple[str, ...]
    labels: np.ndarray
    signers: tuple[str, ...]
    sources: tuple[str, ...]
    boxes: np.ndarray
    frame_ends: np.ndarray
    classes: tuple[str, ...]
    official: Mapping[str, tuple[str, ...]]
    folds: tuple[tuple[str, ...], ...]

    def hands(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Clip `index` as (T, 2, 21, 3) float64 in pixels and (T, 2) bool, which hands are seen."""
        frames = self.keypoint[self.offset[index] : self.offset[index + 1]]
        seen = frames[:, :, 0, 0] != MISSING
        width, height = self.image_size(index)
        # z is relative to the width of the frame, as MediaPipe has it
        points = frames / UNITS * np.array([width, height, width], dtype=np.float64)
        points[~seen] = 0.0
        return points, seen

    def image_size(self, index: int) -> tuple[int, int]:
        """Width and height of the video of clip `index`."""
        try:
            return frame_size(self.sources[index], float(self.boxes[index, 3]))
        except WlaslError as error:
            raise WlaslError(f"clip {self.clip_ids[index]!r}: {error}") from None

    def fps(self, index: int) -> float:
        """Frames a second of the video of clip `index`."""
        frames = int(self.offset[index + 1] - self.offset[index])
        return frame_rate(frames, int(self.frame_ends[index]))


def frame_size(source: str, box_bottom: float) -> tuple[int, int]:
    """Width and height of a video, from its source and the lower edge of the signer's box.

    Raises:
        WlaslError: the source is unknown, or the box reaches below every size known for it.
    """
    if source not in FRAME_SIZES:
        known = ", ".join(FRAME_SIZES)
        raise WlaslError(f"source {source!r} has no known frame size; known are {known}")
    for width, height in FRAME_SIZES[source]:
        if box_bottom <= height:
            return width, height
    raise WlaslError(
        f"the box of the signer reaches down to {box_bottom:g} pixels, but videos of source "
        f"{source!r} are at most {FRAME_SIZES[source][-1][1]} high"
    )


def frame_rate(num_frames: int, frame_end: int) -> float:
    """Frame rate of a video with `num_frames` frames that last `frame_end` frames at 25 a second.

    Of the usual rates the one that explains both numbers best (the data set rounds generously).
    """
    return min(FRAME_RATES, key=lambda fps: abs(num_frames * NOMINAL_FPS / fps - frame_end))


def read_wlasl(source: str | os.PathLike[str]) -> WlaslData:
    """Read and check the landmark file and the splits.

    Args:
        source: the folder with `wlasl100_hands.npz` and `splits.json`.

    Raises:
        FileNotFoundError: one of the two files is missing.
        WlaslError: an array is missing or has the wrong form, a label has no class name, a clip is
            named by a split and not there, is in two splits of a kind or in none without being a
            known copy, or a signer is in two folds.
    """
    folder = Path(source)
    for name in (LANDMARK_FILE, SPLIT_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder / name} does not exist; --source names the folder with {LANDMARK_FILE} and {SPLIT_FILE}"
            )
    path = folder / LANDMARK_FILE
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    _check_arrays(arrays, path)
    try:
        splits = json.loads((folder / SPLIT_FILE).read_text("utf-8"))
        official = {name: tuple(splits["official"][name]) for name in ("train", "val", "test")}
        folds = tuple(tuple(fold) for fold in splits["signer_folds"])
        copies = {clip for group in splits["duplicates"] for clip in group}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise WlaslError(
            f"{folder / SPLIT_FILE}: expected official (train, val, test), signer_folds and "
            f"duplicates; found another form ({error!r})"
        ) from error
    data = WlaslData(
        keypoint=arrays["keypoint"],
        offset=arrays["offset"],
        clip_ids=tuple(arrays["video_id"].tolist()),
        labels=arrays["label"].astype(np.int64),
        signers=tuple(str(signer) for signer in arrays["signer"].tolist()),
        sources=tuple(arrays["source"].tolist()),
        boxes=arrays["bbox"].astype(np.float64),
        frame_ends=arrays["frame_end"].astype(np.int64),
        classes=tuple(arrays["class_names"].tolist()),
        official=official,
        folds=folds,
    )
    _check_clips(data, path)
    _check_splits(data, copies, folder / SPLIT_FILE)
    return data


def _check_arrays(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    per_clip = ("video_id", "label", "signer", "source", "bbox", "frame_end")
    missing = [n for n in ("keypoint", "offset", "class_names", *per_clip) if n not in arrays]
    if missing:
        raise WlaslError(f"{path}: arrays {', '.join(missing)} are missing")
    keypoint, offset = arrays["keypoint"], arrays["offset"]
    if keypoint.dtype != np.int16 or keypoint.shape[1:] != (2, HAND_POINTS, 3):
        raise WlaslError(
            f"{path}: keypoint is {keypoint.dtype} {keypoint.shape}; expected int16 (frames, 2, {HAND_POINTS}, 3)"
        )
    if offset.ndim != 1 or len(offset) < 2 or offset[0] != 0 or offset[-1] != len(keypoint):
        raise WlaslError(f"{path}: offset has to run from 0 to the {len(keypoint)} frames")
    for name in per_clip:
        if len(arrays[name]) != len(offset) - 1:
            raise WlaslError(f"{path}: {name} has {len(arrays[name])} rows; expected {len(offset) - 1} clips")
    if arrays["bbox"].shape[1:] != (4,):
        raise WlaslError(f"{path}: bbox has the shape {arrays['bbox'].shape}; expected (clips, 4)")


def _check_clips(data: WlaslData, path: Path) -> None:
    if len(set(data.clip_ids)) != len(data.clip_ids):
        raise WlaslError(f"{path}: a video_id occurs twice")
    if len(set(data.classes)) != len(data.classes):
        raise WlaslError(f"{path}: class_names names a sign twice")
    for clip, label in zip(data.clip_ids, data.labels.tolist(), strict=True):
        if not 0 <= label < len(data.classes):
            raise WlaslError(
                f"{path}: clip {clip!r} has the label {label}, but class_names names {len(data.classes)} signs"
            )
    empty = np.flatnonzero(np.diff(data.offset) <= 0)
    if len(empty):
        raise WlaslError(f"{path}: clip {data.clip_ids[empty[0]]!r} has no frames")
    unused = sorted(set(range(len(data.classes))) - set(data.labels.tolist()))
    if unused:
        raise WlaslError(f"{path}: no clip shows the sign {data.classes[unused[0]]!r}")
    flat = np.flatnonzero((data.boxes[:, 2] <= data.boxes[:, 0]) | (data.boxes[:, 3] <= data.boxes[:, 1]))
    if len(flat):
        raise WlaslError(
            f"{path}: the bbox of clip {data.clip_ids[flat[0]]!r} is {data.boxes[flat[0]]}; "
            "expected x0 < x1 and y0 < y1"
        )


def _check_splits(data: WlaslData, copies: set[str], path: Path) -> None:
    signer_of = dict(zip(data.clip_ids, data.signers, strict=True))
    if len(data.folds) != NUM_FOLDS:
        raise WlaslError(f"{path}: {len(data.folds)} signer folds; expected {NUM_FOLDS}")
    folds = {f"signer_folds[{k}]": fold for k, fold in enumerate(data.folds)}
    official = {f"official {name}": clips for name, clips in data.official.items()}
    for kind in (official, folds):
        place: dict[str, str] = {}
        for name, clips in kind.items():
            if not clips:
                raise WlaslError(f"{path}: {name} is empty")
            for clip in clips:
                if clip not in signer_of:
                    raise WlaslError(f"{path}: {name} names clip {clip!r}, which is not in the data")
                if clip in place:
                    raise WlaslError(f"{path}: clip {clip!r} is in {place[clip]} and in {name}")
                place[clip] = name
        lost = sorted(set(signer_of) - set(place) - copies)
        if lost:
            raise WlaslError(
                f"{path}: clip {lost[0]!r} ({len(lost)} in all) is in no "
                f"{next(iter(kind)).split()[0]} split and no known copy of another clip"
            )
    in_folds, in_official = ({c for v in kind.values() for c in v} for kind in (folds, official))
    if in_folds != in_official:
        clip = sorted(in_folds ^ in_official)[0]
        raise WlaslError(f"{path}: clip {clip!r} is in only one of official and signer_folds")
    home: dict[str, str] = {}
    for name, clips in folds.items():
        for signer in sorted({signer_of[clip] for clip in clips}):
            if signer in home:
                raise WlaslError(
                    f"{path}: signer {signer} is in {home[signer]} and in {name}; folds hold out whole signers"
                )
            home[signer] = name
