"""Folders of OpenPose's JSON: one folder per clip, one `*_keypoints.json` per frame."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.poses.importers.found import FoundClip, FoundPoses, Size, size_of, sound_scores
from gspmc_mm.skeleton import get_layout

ESTIMATOR = {"name": "openpose", "version": "", "weights": ""}
FACE_POINTS = 70  # iBUG-68 and the two pupils

# fmt: off
#: BODY_25 and COCO-18 point of the points 0 to 22 of COCO-WholeBody; -1: there is none.
BODY_25 = (0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11, 19, 20, 21, 22, 23, 24)
COCO_18 = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10, -1, -1, -1, -1, -1, -1)
# fmt: on
_BODIES = {25: BODY_25, 18: COCO_18}
_FRAME = re.compile(r"(\d+)_keypoints\.json")


def find_openpose_json(
    source: str | os.PathLike[str], size: Size | Mapping[str, Size], fps: float = 0.0, normalized: bool = False
) -> list[FoundClip]:
    """The folders below a folder that hold `*_keypoints.json` files.

    Args:
        source: the folder.
        size: width and height of the pictures, which the files do not say; one for all or by clip.
        fps: frames per second of the videos.
        normalized: the coordinates are shares of the width and height (OpenPose's `--keypoint_scale 3`).

    Raises:
        FileNotFoundError: there are no such files.
    """
    source = Path(source)
    if not source.is_dir():
        raise FileNotFoundError(f"{source}: there is no such folder of OpenPose's *_keypoints.json")
    folders = sorted({path.parent for path in source.rglob("*_keypoints.json")})
    if not folders:
        raise FileNotFoundError(f"{source}: no *_keypoints.json in it or below")
    found = []
    for folder in folders:
        name = source.resolve().name if folder == source else folder.relative_to(source).as_posix()
        found.append(FoundClip(name, partial(_read_folder, folder, name, size, fps, normalized)))
    return found


def _read_folder(folder: Path, name: str, size: Size | Mapping[str, Size], fps: float, normalized: bool) -> FoundPoses:
    files = {}
    for path in folder.glob("*_keypoints.json"):
        number = _FRAME.search(path.name)
        if number is None:
            raise PoseStoreError(f"{path}: the name has no frame number; expected <name>_<number>_keypoints.json")
        files[int(number[1])] = path
    first, last = min(files), max(files)
    lost = sorted(set(range(first, last + 1)) - set(files))
    if lost:
        raise PoseStoreError(
            f"{folder}: the file of frame {lost[0]} is missing ({len(lost)} of {first} to {last}); OpenPose writes one "
            "for "
            "every frame, also where nobody is seen"
        )
    people = [_people(files[number]) for number in range(first, last + 1)]
    points = follow_person(people)
    image_size = size_of(name, size, "a folder of OpenPose")
    keypoint, score = points[..., :2], sound_scores(points[..., 2], points[..., :2])
    _check_units(folder, keypoint[score > 0], normalized)
    if normalized:
        keypoint = keypoint * np.array(image_size, dtype=np.float32)
    return FoundPoses(keypoint, score, image_size, fps)


def follow_person(people: list[np.ndarray]) -> np.ndarray:
    """One person through the frames of a clip: OpenPose lists the people of a frame in any order.

    It begins with the surest person of the clip (highest sum of confidences of any frame) and goes on, forward and
    backward, with whoever is nearest to where the person was last seen: median distance of the points seen in both.

    Args:
        people: for each frame (M, V, 3) x, y, confidence of the M people in it.

    Returns:
        (T, V, 3); all 0 in frames without anybody.
    """
    joints = next((frame.shape[1] for frame in people if len(frame)), get_layout("wholebody133").num_joints)
    followed = np.zeros((len(people), joints, 3), dtype=np.float32)
    sureness = [frame[..., 2].sum(axis=1).max(initial=-1.0) for frame in people]
    start = int(np.argmax(sureness))
    if sureness[start] < 0:
        return followed
    followed[start] = people[start][people[start][..., 2].sum(axis=1).argmax()]
    for steps in (range(start + 1, len(people)), range(start - 1, -1, -1)):
        last = followed[start]
        for t in steps:
            if len(people[t]):
                distance = [_distance(person, last) for person in people[t]]
                last = followed[t] = people[t][int(np.argmin(distance))]
    return followed


def _distance(person: np.ndarray, other: np.ndarray) -> float:
    both = (person[:, 2] > 0) & (other[:, 2] > 0)
    if not both.any():
        return np.inf
    return float(np.median(np.linalg.norm(person[both, :2] - other[both, :2], axis=1)))


def wholebody_from_openpose(
    body: np.ndarray, face: np.ndarray, left_hand: np.ndarray, right_hand: np.ndarray, where: str
) -> np.ndarray:
    """The 133 points of COCO-WholeBody (..., 133, 3) from OpenPose's groups (..., points, 3); empty groups are missing.

    Raises:
        PoseStoreError: a group has another number of points.
    """
    layout = get_layout("wholebody133")
    out = np.zeros((*body.shape[:-2], layout.num_joints, 3), dtype=np.float32)
    if body.shape[-2]:
        if body.shape[-2] not in _BODIES:
            raise PoseStoreError(f"{where}: the body has {body.shape[-2]} points; expected 25 (BODY_25) or 18 (COCO)")
        sources = np.array(_BODIES[body.shape[-2]])
        known = np.flatnonzero(sources >= 0)
        out[..., known, :] = body[..., sources[known], :]
    hands = ((left_hand, "left_hand"), (right_hand, "right_hand"))
    for group, part in hands:
        if group.shape[-2]:
            joints = layout.part_indices(part)
            if group.shape[-2] != len(joints):
                raise PoseStoreError(f"{where}: the {part} has {group.shape[-2]} points; expected {len(joints)}")
            out[..., joints, :] = group
    if face.shape[-2]:
        joints = sorted([*layout.part_indices("face"), *layout.part_indices("mouth")])
        if face.shape[-2] not in (FACE_POINTS, len(joints)):
            raise PoseStoreError(f"{where}: the face has {face.shape[-2]} points; expected {FACE_POINTS}")
        out[..., joints, :] = face[..., : len(joints), :]
    return out


def _people(path: Path) -> np.ndarray:
    """(M, 133, 3) of the people of one frame."""
    try:
        people = json.loads(path.read_text(encoding="utf-8"))["people"]
        groups = [[_group(person, name) for name in ("pose", "face", "hand_left", "hand_right")] for person in people]
    except (ValueError, KeyError, TypeError) as error:
        raise PoseStoreError(f"{path}: this is no JSON of OpenPose ({type(error).__name__}: {error})") from error
    found = [wholebody_from_openpose(*person, str(path)) for person in groups]
    return np.stack(found) if found else np.zeros((0, get_layout("wholebody133").num_joints, 3), dtype=np.float32)


def _group(person: Mapping[str, Any], name: str) -> np.ndarray:
    # Before 1.3 the keys had no _2d.
    values = person.get(f"{name}_keypoints_2d", person.get(f"{name}_keypoints", []))
    return np.asarray(values, dtype=np.float32).reshape(-1, 3)


def _check_units(folder: Path, seen: np.ndarray, normalized: bool) -> None:
    if not len(seen):
        return
    small = bool(np.abs(seen).max() <= 2)
    if small and not normalized:
        raise PoseStoreError(f"{folder}: no coordinate is above 2, so they are no pixels; say that they are normalized")
    if normalized and not small:
        raise PoseStoreError(
            f"{folder}: coordinates run to {np.abs(seen).max():.0f}, so they are pixels, not normalized"
        )
