"""Landmark archives (`.npz`) with all frames of all clips in one array: wlasl50_body_hands and bdsl55.

In both, clip i is `keypoint[offset[i]:offset[i + 1]]`, the other arrays have one row per clip, and `class_names[label]`
is the sign. What the numbers are differs:

- `wlasl50_body_hands`: (F, 53, 4) x, y in shares of width and height, z, score of 11 pose landmarks and both hands.
- `bdsl55`: (F, 143, 3), the 33 pose landmarks from the middle of the shoulders in shoulder widths, each hand from its
  wrist in palm spreads, 68 face points of iBUG from elsewhere; no picture size is given. `put_together` makes one
  signer of them again.

The third archive of this kind, wlasl100 (hands in the order of detection), needs more than a change of form: see
`gspmc_mm.datasets.wlasl`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.poses.importers.found import FoundClip, FoundPoses, Size, size_of
from gspmc_mm.poses.mediapipe_points import POSE_OF_BODY, POSE_POINTS, wholebody_from_mediapipe
from gspmc_mm.skeleton import get_layout

WLASL100, WLASL50, BDSL55 = "wlasl100", "wlasl50_body_hands", "bdsl55"
_KINDS = {(2, 21, 3): WLASL100, (53, 4): WLASL50, (143, 3): BDSL55}
_ESTIMATORS = {WLASL100: "mediapipe hands", WLASL50: "mediapipe holistic", BDSL55: "mediapipe holistic"}
_NEEDED = ("offset", "label", "class_names", "signer")

# Pose landmarks of the 11 points of wlasl50_body_hands.
_POSE_11 = (0, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26)

# bdsl55 was divided by the width and the height of the picture before it was made relative, and looks natural as 16:9.
# The shoulders are put 0.2 of the width apart, their middle a little above that of the picture.
BDSL55_SIZE = (1280, 720)
_SHOULDERS = (0.5, 0.45, 0.2)


@dataclass(frozen=True)
class SignNpz:
    """An archive of landmarks.

    Attributes:
        kind: 'wlasl100', 'wlasl50_body_hands' or 'bdsl55'.
        classes: gloss by label.
        estimator: what found the points.
        found: its clips; none for wlasl100.
    """

    kind: str
    classes: tuple[str, ...]
    estimator: dict[str, str]
    found: tuple[FoundClip, ...]


def open_sign_npz(path: str | os.PathLike[str], size: Size | Mapping[str, Size] | None = None) -> SignNpz:
    """Open an archive and find out which one it is.

    Args:
        path: the `.npz` file.
        size: width and height of the pictures, which wlasl50_body_hands does not say; one for all or by clip.

    Raises:
        FileNotFoundError: there is no such file.
        PoseStoreError: it is none of the archives, or contradicts itself.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such archive")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, AttributeError) as error:
        raise PoseStoreError(f"{path}: this is no .npz archive of numbers ({error})") from error
    kind = _KINDS.get(arrays["keypoint"].shape[1:]) if "keypoint" in arrays else None
    if kind is None:
        shape = arrays["keypoint"].shape if "keypoint" in arrays else "missing"
        raise PoseStoreError(
            f"{path}: keypoint is {shape}; known are "
            + ", ".join(f"(frames, {str(s)[1:-1]}) of {name}" for s, name in _KINDS.items())
        )
    _check(path, arrays)
    found = () if kind == WLASL100 else tuple(_clips(path, kind, arrays, size))
    classes = tuple(str(name) for name in arrays["class_names"])
    return SignNpz(kind, classes, {"name": _ESTIMATORS[kind], "version": "", "weights": ""}, found)


def _check(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    missing = [name for name in _NEEDED if name not in arrays]
    if missing:
        raise PoseStoreError(f"{path}: the arrays {', '.join(missing)} are missing")
    offset, frames = arrays["offset"], len(arrays["keypoint"])
    if offset.ndim != 1 or len(offset) < 2 or offset[0] != 0 or offset[-1] != frames or (np.diff(offset) < 0).any():
        raise PoseStoreError(f"{path}: offset has to rise from 0 to the {frames} frames")
    for name in ("label", "signer"):
        if len(arrays[name]) != len(offset) - 1:
            raise PoseStoreError(f"{path}: {name} has {len(arrays[name])} rows; there are {len(offset) - 1} clips")


def _clips(path: Path, kind: str, arrays: Mapping[str, np.ndarray], size: Size | Mapping[str, Size] | None) -> list:
    offset, labels, signers = arrays["offset"], arrays["label"], arrays["signer"]
    split = arrays.get("split" if kind == WLASL50 else "repo_split")
    read = _read_wlasl50 if kind == WLASL50 else _read_bdsl55
    found = []
    for i in range(len(labels)):
        name = str(arrays["video_id"][i]) if kind == WLASL50 else f"{i:04d}_{arrays['expression'][i]}"
        facts = {
            "label": int(labels[i]),
            "signer": f"signer{signers[i]}",
            "splits": () if split is None else (str(split[i]),),
        }
        points = arrays["keypoint"][offset[i] : offset[i + 1]]
        found.append(FoundClip(name, partial(read, path, points, name, size, facts)))
    return found


def _read_wlasl50(
    path: Path, points: np.ndarray, name: str, size: Size | Mapping[str, Size] | None, facts: dict
) -> FoundPoses:
    image_size = size_of(name, size, str(path))
    pixels = points[..., :2] * np.array(image_size, dtype=np.float32)
    score = np.clip(points[..., 3], 0, 1)
    body = np.zeros((len(points), POSE_POINTS, 2), dtype=np.float32)
    body_score = np.zeros(body.shape[:2], dtype=np.float32)
    body[:, _POSE_11], body_score[:, _POSE_11] = pixels[:, :11], score[:, :11]
    keypoint, score = wholebody_from_mediapipe(
        pose=(body, body_score),
        left_hand=(pixels[:, 11:32], score[:, 11:32]),
        right_hand=(pixels[:, 32:53], score[:, 32:53]),
    )
    return FoundPoses(keypoint, score, image_size, **facts)


def _read_bdsl55(
    path: Path, points: np.ndarray, name: str, size: Size | Mapping[str, Size] | None, facts: dict
) -> FoundPoses:
    image_size = size_of(name, size or BDSL55_SIZE, str(path))
    points = np.nan_to_num(points.astype(np.float64)[..., :2])
    pose, left, right, face = (points[:, a:b] for a, b in ((0, 33), (33, 54), (54, 75), (75, 143)))
    x, y, width = _SHOULDERS
    scale = np.array(image_size) * width
    shift = np.array(image_size) * (x, y)
    whole, there = put_together(pose, left, right, face)
    keypoint = (whole * scale + shift).astype(np.float32)
    score = there.astype(np.float32)
    keypoint[~there] = 0
    return FoundPoses(keypoint, score, image_size, **facts)


def put_together(
    pose: np.ndarray, left: np.ndarray, right: np.ndarray, face: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Body, hands and face that are each in units of their own, in the units of the body.

    The pose has a few landmarks of the hands and the face. A hand is moved to the wrist of the pose and enlarged so
    that its knuckles of index and little finger are as far from the wrist as those of the pose (15 to 20); the face is
    moved and enlarged so that the corners of the eyes and of the mouth lie on those of the pose. The factor is the
    median over the clip, because the hand landmarks of the pose are rough.

    Args:
        pose: (T, 33, 2); left, right: (T, 21, 2); face: (T, 68, 2). All zero in frames where it was not seen.
        left: see pose.
        right: see pose.
        face: see pose.

    Returns:
        (T, 133, 2) coordinates and (T, 133) bool, which points there are.
    """
    layout = get_layout("wholebody133")
    whole = np.zeros((len(pose), layout.num_joints, 2))
    there = np.zeros(whole.shape[:2], dtype=bool)
    body = [joint for joint, landmark in enumerate(POSE_OF_BODY) if landmark >= 0]
    seen = pose.any(axis=(1, 2))
    whole[:, body], there[:, body] = pose[:, [POSE_OF_BODY[joint] for joint in body]], seen[:, None]

    for hand, part, wrist, index, little in ((left, "left_hand", 15, 19, 17), (right, "right_hand", 16, 20, 18)):
        frames = np.flatnonzero(hand.any(axis=(1, 2)) & seen)
        if not len(frames):
            continue
        ours = hand[frames][:, (5, 17)] - hand[frames, :1]
        theirs = pose[frames][:, (index, little)] - pose[frames, wrist][:, None]
        factor = _median_ratio(theirs, ours)
        joints = layout.part_indices(part)
        placed = (hand[frames] - hand[frames, :1]) * factor + pose[frames, wrist][:, None]
        whole[frames[:, None], joints], there[frames[:, None], joints] = placed, True

    frames = np.flatnonzero(face.any(axis=(1, 2)) & seen)
    if len(frames):
        # Outer corners of the eyes and corners of the mouth, right then left: iBUG 36, 45, 48, 54.
        ours, theirs = face[frames][:, (36, 45, 48, 54)], pose[frames][:, (6, 3, 10, 9)]
        our_middle, their_middle = ours.mean(axis=1, keepdims=True), theirs.mean(axis=1, keepdims=True)
        factor = _median_ratio(theirs - their_middle, ours - our_middle)
        joints = np.array(sorted([*layout.part_indices("face"), *layout.part_indices("mouth")]))
        placed = (face[frames] - our_middle) * factor + their_middle
        whole[frames[:, None], joints], there[frames[:, None], joints] = placed, True
    return whole, there


def _median_ratio(theirs: np.ndarray, ours: np.ndarray) -> float:
    lengths = np.linalg.norm(ours, axis=-1)
    known = lengths > 1e-6
    return float(np.median(np.linalg.norm(theirs, axis=-1)[known] / lengths[known])) if known.any() else 1.0
