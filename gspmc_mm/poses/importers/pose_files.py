"""`.pose` files of the sign language processing community (PyPI `pose-format`), in and out.

Read are files with the points of COCO-WholeBody (components BODY, FACE, LEFT_HAND, RIGHT_HAND), of MediaPipe Holistic
(POSE_LANDMARKS, ...; a reduced face too), of OpenPose (pose_keypoints_2d, ...) and those that were written here for any
layout. Written is one file per clip, for `wholebody133` with the components of COCO-WholeBody that other tools know.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gspmc_mm.extras import how_to_install
from gspmc_mm.files import replacing
from gspmc_mm.poses.clip import PoseClip
from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.poses.importers.found import FoundClip, FoundPoses, find_files, sound_scores
from gspmc_mm.poses.importers.openpose_json import wholebody_from_openpose
from gspmc_mm.poses.mediapipe_points import FACE_POINTS, wholebody_from_mediapipe
from gspmc_mm.poses.store import PoseStore
from gspmc_mm.skeleton import Layout

if TYPE_CHECKING:
    from pose_format import Pose
    from pose_format.pose_header import PoseHeader

VERSION = 0.2
_OPENPOSE = ("pose_keypoints_2d", "face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d")
_MEDIAPIPE = {
    "POSE_LANDMARKS": "pose",
    "FACE_LANDMARKS": "face",
    "LEFT_HAND_LANDMARKS": "left_hand",
    "RIGHT_HAND_LANDMARKS": "right_hand",
}
# The form that pose-format itself has for COCO-WholeBody: component, its parts here, names of its points.
_WHOLEBODY = {
    "BODY": ("body",),
    "FACE": ("face", "mouth"),
    "LEFT_HAND": ("left_hand",),
    "RIGHT_HAND": ("right_hand",),
}


def find_pose_files(source: str | os.PathLike[str], layout: Layout) -> list[FoundClip]:
    """The `.pose` files of a folder and below, or the one file.

    Args:
        source: the folder or file.
        layout: of the points that are wanted: `wholebody133` for files of COCO-WholeBody, MediaPipe and OpenPose.

    Raises:
        FileNotFoundError: there are no such files.
        ImportError: pose-format is not installed.
    """
    _pose_format()
    files = find_files(source, ".pose", ".pose files")
    return [FoundClip(name, partial(_read, path, layout)) for name, path in files]


def write_pose_files(
    store: PoseStore, folder: str | os.PathLike[str], on_clip: Callable[[], object] | None = None
) -> list[Path]:
    """Write every clip of a store as `<folder>/<clip id>.pose`; each file whole or not at all.

    The format has no place for labels, signers and splits; write a clip list beside it. A frame rate of 0 (unknown)
    stays 0.

    Raises:
        ImportError: pose-format is not installed.
        PoseStoreError: the id of a clip leads out of the folder.
    """
    _pose_format()
    folder = Path(folder)
    written = []
    for index in range(len(store)):
        clip = store.clip(index)
        path = folder / f"{clip.clip_id}.pose"
        if not Path(os.path.abspath(path)).is_relative_to(os.path.abspath(folder)):
            raise PoseStoreError(f"clip {clip.clip_id!r}: no file of this name can be in {folder}")
        with replacing(path) as temporary, open(temporary, "wb") as file:
            _pose_of(clip, store.layout).write(file)
        written.append(path)
        if on_clip is not None:
            on_clip()
    return written


def _pose_format() -> Any:
    try:
        import pose_format
    except ImportError as error:
        raise ImportError(f".pose files are read and written by pose-format; {how_to_install('pose')}") from error
    return pose_format


def _components(layout: Layout) -> dict[str, tuple[list[int], list[str]]]:
    """Joints and names of the points of each component of a layout."""
    if layout.name != "wholebody133":
        return {
            part.upper(): (list(joints), [layout.joint_names[joint] for joint in joints])
            for part, joints in layout.parts.items()
        }
    found = {}
    for component, parts in _WHOLEBODY.items():
        joints = sorted(joint for part in parts for joint in layout.parts[part])
        names = [layout.joint_names[joint] for joint in joints]
        if component.endswith("HAND"):
            names = [f"hand_{k}" for k in range(len(joints))]
        found[component] = (joints, names)
    return found


def _pose_of(clip: PoseClip, layout: Layout) -> Pose:
    from pose_format import Pose, PoseHeader
    from pose_format.numpy import NumPyPoseBody
    from pose_format.pose_header import PoseHeaderComponent, PoseHeaderDimensions

    components, order = [], []
    for name, (joints, points) in _components(layout).items():
        place = {joint: k for k, joint in enumerate(joints)}
        limbs = [(place[a], place[b]) for a, b in layout.bones if a != b and a in place and b in place]
        color = layout.colors[layout.part_of_joint[joints[0]]]
        rgb = tuple(int(color[i : i + 2], 16) for i in (1, 3, 5))
        components.append(PoseHeaderComponent(name, points, limbs, [rgb], "XYC"))
        order += joints
    width, height = clip.image_size
    header = PoseHeader(VERSION, PoseHeaderDimensions(width, height), components)
    keypoint, score = clip.keypoint[:, None, order], clip.score[:, None, order]
    return Pose(header, NumPyPoseBody(clip.fps, np.ascontiguousarray(keypoint), np.ascontiguousarray(score)))


def _read(path: Path, layout: Layout) -> FoundPoses:
    from pose_format import Pose

    try:
        pose = Pose.read(path.read_bytes())
    except Exception as error:  # a damaged file fails in any way
        raise PoseStoreError(f"{path}: this is no .pose file ({type(error).__name__}: {error})") from error
    points = np.ma.filled(np.ma.asarray(pose.body.data)[..., :2], 0).astype(np.float32)
    confidence = np.asarray(pose.body.confidence, dtype=np.float32)
    if not points.shape[0] or not points.shape[1]:
        raise PoseStoreError(f"{path}: {points.shape[0]} frames of {points.shape[1]} people; there is nothing to read")
    person = int(confidence.astype(np.float64).sum(axis=(0, 2)).argmax())
    points, confidence = points[:, person], sound_scores(confidence[:, person], points[:, person])
    size = pose.header.dimensions
    if not (size.width > 0 and size.height > 0):
        raise PoseStoreError(f"{path}: the header says {size.width} x {size.height} pixels")
    keypoint, score = _points_of(path, pose.header, points, confidence, layout)
    fps = float(pose.body.fps)
    return FoundPoses(keypoint, score, (int(size.width), int(size.height)), fps if np.isfinite(fps) else 0.0)


def _points_of(
    path: Path, header: PoseHeader, points: np.ndarray, confidence: np.ndarray, layout: Layout
) -> tuple[np.ndarray, np.ndarray]:
    """Points (T, V, 2) and scores (T, V) of the layout."""
    groups: dict[str, tuple[list[str], np.ndarray, np.ndarray]] = {}
    start = 0
    for component in header.components:
        end = start + len(component.points)
        groups[component.name] = (list(component.points), points[:, start:end], confidence[:, start:end])
        start = end
    wanted = _components(layout)
    if set(wanted) <= set(groups) and all(groups[name][0] == names for name, (_, names) in wanted.items()):
        keypoint = np.zeros((len(points), layout.num_joints, 2), dtype=np.float32)
        score = np.zeros(keypoint.shape[:2], dtype=np.float32)
        for name, (joints, _) in wanted.items():
            keypoint[:, joints], score[:, joints] = groups[name][1:]
        return keypoint, score
    if layout.name == "wholebody133" and set(_MEDIAPIPE) & set(groups):
        return _from_mediapipe(path, groups)
    if layout.name == "wholebody133" and _OPENPOSE[0] in groups:
        none = (np.zeros((len(points), 0, 2)), np.zeros((len(points), 0)))
        triples = [
            np.concatenate([g[0], g[1][..., None]], axis=-1) for g in (_group(groups, n, none) for n in _OPENPOSE)
        ]
        joined = wholebody_from_openpose(*triples, str(path))
        return joined[..., :2], joined[..., 2]
    raise PoseStoreError(
        f"{path}: its components are {', '.join(groups)}; for the layout {layout.name!r} "
        f"{', '.join(wanted)} are expected, with the layout's points"
    )


def _group(groups: dict, name: str, none: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return groups[name][1:] if name in groups else none


def _from_mediapipe(path: Path, groups: dict) -> tuple[np.ndarray, np.ndarray]:
    parts = {}
    for component, name in _MEDIAPIPE.items():
        if component not in groups:
            continue
        names, points, confidence = groups[component]
        if name == "face" and len(names) < FACE_POINTS:  # names are numbers of the mesh
            full = np.zeros((len(points), FACE_POINTS, 2), dtype=np.float32)
            full_confidence = np.zeros(full.shape[:2], dtype=np.float32)
            known = [k for k, vertex in enumerate(names) if vertex.isdigit() and int(vertex) < FACE_POINTS]
            vertices = [int(names[k]) for k in known]
            full[:, vertices], full_confidence[:, vertices] = points[:, known], confidence[:, known]
            points, confidence = full, full_confidence
        parts[name] = (points, confidence)
    try:
        return wholebody_from_mediapipe(**parts)
    except ValueError as error:
        raise PoseStoreError(f"{path}: {error}") from error
