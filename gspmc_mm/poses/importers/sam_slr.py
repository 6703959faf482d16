"""Key points in the files of SAM-SLR (Jiang et al. 2021, the winner of the AUTSL challenge).

Its script writes one `.npy` per video, float (T, 133, 3): x, y in pixels and the peak of the heat map, of HRNet-W48 on
COCO-WholeBody. The network was shown the *mirrored* picture, so left and right are exchanged in these files. A second
script joins the 27 points of all clips of a split into `<part>_data_joint.npy`, (N, 3, 150, 27, 1), shorter clips
repeated up to 150 frames, and their names and labels into the pickle `<part>_label.pkl` beside it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.poses.importers.found import FoundClip, FoundPoses, Size, find_files, size_of, sound_scores
from gspmc_mm.poses.mmaction_pickle import load_plain_pickle
from gspmc_mm.skeleton import Layout

ESTIMATOR = {"name": "hrnet_w48_coco_wholebody_384x288_dark", "version": "SAM-SLR", "weights": ""}
AUTSL_SIZE = (512, 512)
AUTSL_FPS = 30.0
_JOINED = "_data_joint.npy"


def find_sam_slr(
    source: str | os.PathLike[str],
    layout: Layout,
    size: Size | Mapping[str, Size] = AUTSL_SIZE,
    fps: float = AUTSL_FPS,
) -> list[FoundClip]:
    """The clips of a folder of `.npy` files, one per video, or of one joined `<part>_data_joint.npy`.

    Args:
        source: the folder or file.
        layout: of the points: `wholebody133` for the single files, `samslr27` for the joined ones.
        size: of the pictures; AUTSL's by default.
        fps: of the videos; AUTSL's by default.

    Raises:
        FileNotFoundError: there are no such files.
        PoseStoreError: a joined file and the pickle beside it do not fit.
    """
    source = Path(source)
    if source.is_file() and source.name.endswith(_JOINED):
        return _find_joined(source, layout, size, fps)
    files = find_files(source, ".npy", "the .npy files of SAM-SLR, one per video")
    return [FoundClip(name, partial(_read_single, path, name, layout, size, fps)) for name, path in files]


def _read_single(path: Path, name: str, layout: Layout, size: Size | Mapping[str, Size], fps: float) -> FoundPoses:
    points = _load(path)
    if points.ndim != 3 or points.shape[1:] != (layout.num_joints, 3):
        raise PoseStoreError(
            f"{path}: the array is {points.dtype} {points.shape}; expected real numbers (frames, "
            f"{layout.num_joints}, 3) "
            f""
            f"for the layout {layout.name!r}"
        )
    return _poses(points, size_of(name, size, str(path)), fps)


def _find_joined(path: Path, layout: Layout, size: Size | Mapping[str, Size], fps: float) -> list[FoundClip]:
    points = _load(path)  # memory-mapped: nothing is read yet
    if points.ndim != 5 or points.shape[1] != 3 or points.shape[3:] != (layout.num_joints, 1):
        raise PoseStoreError(
            f"{path}: the array is {points.shape}; expected (clips, 3, frames, {layout.num_joints}, 1) for the layout "
            f"{layout.name!r}"
        )
    part = path.name.removesuffix(_JOINED)
    beside = path.with_name(f"{part}_label.pkl")
    if not beside.is_file():
        raise FileNotFoundError(f"{beside}: the names and labels of the clips of {path.name} are missing")
    content = load_plain_pickle(beside)
    if not isinstance(content, (tuple, list)) or len(content) != 2 or not all(isinstance(c, list) for c in content):
        raise PoseStoreError(f"{beside}: expected a pair of lists, names and labels")
    names, labels = content
    if not len(names) == len(labels) == len(points):
        raise PoseStoreError(f"{beside}: {len(names)} names, {len(labels)} labels; {path.name} has {len(points)} clips")
    found = []
    for row, (name, label) in enumerate(zip(names, labels, strict=True)):
        read = partial(_read_joined, points, row, str(name), int(label), part, size, fps)
        found.append(FoundClip(str(name), read))
    return found


def _read_joined(
    points: np.ndarray,
    row: int,
    name: str,
    label: int,
    part: str,
    size: Size | Mapping[str, Size],
    fps: float,
) -> FoundPoses:
    clip = np.array(points[row, ..., 0]).transpose(1, 2, 0)
    poses = _poses(clip[: true_length(clip)], size_of(name, size, "the file"), fps)
    signer = name.partition("_")[0] if name.startswith("signer") else ""
    return FoundPoses(poses.keypoint, poses.score, poses.image_size, fps, label, signer, (part,))


def true_length(clip: np.ndarray) -> int:
    """Number of frames before a clip (T, ...) begins to repeat itself; T if it does not."""
    frames = len(clip)
    for length in np.flatnonzero((clip[1:] == clip[0]).all(axis=tuple(range(1, clip.ndim)))) + 1:
        if (clip[length:] == clip[: frames - length]).all():
            return int(length)
    return frames


def _poses(points: np.ndarray, image_size: Size, fps: float) -> FoundPoses:
    keypoint = points[..., :2]
    return FoundPoses(keypoint, sound_scores(points[..., 2], keypoint), image_size, fps)


def _load(path: Path) -> np.ndarray:
    try:
        points = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise PoseStoreError(f"{path}: this is no .npy file of numbers ({error})") from error
    if points.dtype.kind not in "fiu":
        raise PoseStoreError(f"{path}: the array holds {points.dtype}; expected real numbers")
    return points
