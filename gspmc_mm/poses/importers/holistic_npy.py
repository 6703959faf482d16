"""Landmarks of MediaPipe Holistic that somebody saved with `numpy.save`.

There is no one form. Read here are, per clip:

- one file (T, N, 3 or 4): N landmarks of the groups pose (33), face (468, with irises 478), left_hand and right_hand
  (21 each) one after the other. The order of the groups differs from script to script and has to be said; with a fourth
  number it is the visibility, which only the pose has;
- one file (T, 1662), or a folder with one file (1662,) per frame, 0.npy, 1.npy, ...: 33 x 4, 468 x 3, 21 x 3, 21 x 3,
  the form of many tutorials; here the order is known.

Coordinates are shares of the width and height. A group whose numbers are all zero or no numbers in a frame was not
seen.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.poses.importers.found import FoundClip, FoundPoses, Size, find_files, size_of
from gspmc_mm.poses.mediapipe_points import (
    FACE_POINTS,
    FACE_POINTS_WITH_IRISES,
    HAND_POINTS,
    POSE_POINTS,
    wholebody_from_mediapipe,
)

ESTIMATOR = {"name": "mediapipe holistic", "version": "", "weights": ""}
GROUPS = ("pose", "face", "left_hand", "right_hand")
FLAT_VALUES = POSE_POINTS * 4 + FACE_POINTS * 3 + 2 * HAND_POINTS * 3
_SIZES = {"pose": POSE_POINTS, "left_hand": HAND_POINTS, "right_hand": HAND_POINTS}


def find_holistic_npy(
    source: str | os.PathLike[str],
    size: Size | Mapping[str, Size],
    order: Sequence[str] | None = None,
    fps: float = 0.0,
) -> list[FoundClip]:
    """The clips of a folder of `.npy` files, or of folders with one `.npy` per frame.

    Args:
        source: the folder or file.
        size: width and height of the pictures; one for all or by clip.
        order: the groups in their order in the file, of 'pose', 'face', 'left_hand', 'right_hand'.
        fps: frames per second of the videos.

    Raises:
        FileNotFoundError: there are no such files.
        PoseStoreError: the order names a group that there is not, or one twice.
    """
    if order is not None and (not set(order) <= set(GROUPS) or len(set(order)) != len(order) or not order):
        raise PoseStoreError(f"order is {','.join(order)!r}; expected some of {', '.join(GROUPS)}, each once")
    by_clip: dict[str, list[Path]] = {}
    for name, path in find_files(source, ".npy", "landmarks of MediaPipe Holistic"):
        # A file that is a number is a frame, and its folder the clip.
        frame = path.stem.isdigit() and path != Path(source)
        clip = path.parent.relative_to(source).as_posix() if frame else name
        by_clip.setdefault(clip, []).append(path)
    found = []
    for clip, paths in by_clip.items():
        if len(paths) > 1 or paths[0].stem.isdigit():
            paths.sort(key=_frame_number)
        found.append(FoundClip(clip, partial(_read, paths, clip, size, order, fps)))
    return found


def _read(
    paths: Sequence[Path], name: str, size: Size | Mapping[str, Size], order: Sequence[str] | None, fps: float
) -> FoundPoses:
    frames = [_load(path) for path in paths]
    values = frames[0] if len(frames) == 1 and frames[0].ndim > 1 else _stack(paths, frames)
    groups = _flat_groups(values) if values.shape[1:] == (FLAT_VALUES,) else _ordered_groups(paths[0], values, order)
    image_size = size_of(name, size, str(paths[0]))
    scale = np.array(image_size, dtype=np.float32)
    parts = {}
    for group, (points, confidence) in groups.items():
        if np.abs(points[confidence > 0]).max(initial=0) > 16:
            raise PoseStoreError(
                f"{paths[0]}: {group} has coordinates of {np.abs(points[confidence > 0]).max():.0f}; expected shares "
                f"of "
                ""
                "the width and height, about 0 to 1"
            )
        parts[group] = (points * scale, confidence)
    keypoint, score = wholebody_from_mediapipe(**parts)
    return FoundPoses(keypoint, score, image_size, fps)


def _flat_groups(values: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    ends = np.cumsum([POSE_POINTS * 4, FACE_POINTS * 3, HAND_POINTS * 3])
    parts = np.split(values, ends, axis=1)
    widths = (4, 3, 3, 3)
    return {
        group: _seen(group, part.reshape(len(values), -1, width))
        for group, part, width in zip(GROUPS, parts, widths, strict=True)
    }


def _ordered_groups(
    path: Path, values: np.ndarray, order: Sequence[str] | None
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if values.ndim != 3 or values.shape[2] not in (3, 4):
        raise PoseStoreError(
            f"{path}: the array is {values.shape}; expected (frames, landmarks, 3 or 4) or (frames, {FLAT_VALUES})"
        )
    if order is None:
        raise PoseStoreError(
            f"{path}: {values.shape[1]} landmarks, and nothing says in which order; give it, such as "
            "pose,face,left_hand,right_hand or face,left_hand,pose,right_hand"
        )
    others = sum(_SIZES.get(group, 0) for group in order)
    face = values.shape[1] - others
    wrong = face not in (FACE_POINTS, FACE_POINTS_WITH_IRISES) if "face" in order else face != 0
    if wrong:
        raise PoseStoreError(
            f"{path}: {values.shape[1]} landmarks; {', '.join(order)} have {others}"
            + (f" and {FACE_POINTS} or {FACE_POINTS_WITH_IRISES} of the face" if "face" in order else "")
        )
    ends = np.cumsum([_SIZES.get(group, face) for group in order])[:-1]
    parts = np.split(values, ends, axis=1)
    return {group: _seen(group, part) for group, part in zip(order, parts, strict=True)}


def _seen(group: str, part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (T, n, 2) and confidences (T, n) of one group."""
    points = np.array(part[..., :2], dtype=np.float32)
    there = np.isfinite(points).all(axis=-1)
    there &= (np.nan_to_num(points) != 0).any(axis=(1, 2))[:, None]
    points[~there] = 0
    confidence = there.astype(np.float32)
    if group == "pose" and part.shape[2] == 4:
        confidence *= np.clip(np.nan_to_num(part[..., 3]), 0, 1)
    return points, confidence


def _load(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise PoseStoreError(f"{path}: this is no .npy file of numbers ({error})") from error
    if values.dtype.kind not in "fiu":
        raise PoseStoreError(f"{path}: the array holds {values.dtype}; expected real numbers")
    return values


def _frame_number(path: Path) -> int:
    if not path.stem.isdigit():
        raise PoseStoreError(f"{path}: lies among files that are numbered by frame; its name is no number")
    return int(path.stem)


def _stack(paths: Sequence[Path], frames: Sequence[np.ndarray]) -> np.ndarray:
    odd = [i for i, frame in enumerate(frames) if frame.shape != frames[0].shape]
    if odd:
        raise PoseStoreError(f"{paths[odd[0]]}: shape {frames[odd[0]].shape}; {paths[0].name} has {frames[0].shape}")
    return np.stack(frames)
