"""Files of clips that a dataset reads: pose stores and mmaction pickles."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gspmc_mm.poses import PoseStore, read_mmaction_pickle
from gspmc_mm.skeleton import Layout, get_layout

PICKLE_SUFFIXES = (".pkl", ".pickle")

# An mmaction pickle does not say which points it holds; these numbers of points are unmistakable
# among the pickles that mmaction and pyskl publish.
_LAYOUT_BY_POINTS = {17: "coco17", 25: "ntu25", 133: "wholebody133"}

AnnFile = str | os.PathLike | Sequence[str | os.PathLike]


class PoseDataError(ValueError):
    """The clips of a dataset do not fit its configuration."""


class PoseSource(Protocol):
    """What the dataset needs of a file of clips, in the rows of that file."""

    path: str
    labels: np.ndarray
    layout: Layout
    classes: tuple[str, ...] | None
    estimator: dict[str, Any]
    split_names: tuple[str, ...]

    def split_rows(self, split: str) -> np.ndarray:
        """Rows of a split that exists, int64."""

    def clip_id(self, row: int) -> str:
        """Name of the clip in a row."""

    def check(self, rows: np.ndarray) -> None:
        """Refuse clips that cannot be used."""

    def read(self, row: int, joints: np.ndarray | None = None) -> dict[str, Any]:
        """The clip in a row, see `SignPoseDataset`; only these points of it, if they are given."""


class StoreSource:
    """Clips of a pose store, read from the memory-mapped file one by one.

    Args:
        path: What `PoseStore` takes: an `.arrow` file, a folder of shards or a list of files.
        layout: Overrides the layout that the store names.
    """

    def __init__(self, path: AnnFile, layout: Layout | None) -> None:
        self.path = show_path(path)
        self.store = PoseStore(path)
        header = self.store.header
        self.layout = get_layout(header.layout) if layout is None else layout
        if self.layout.num_joints != header.num_joints:
            raise PoseDataError(
                f"{self.path} holds {header.num_joints} points per frame, but layout "
                f"{self.layout.name!r} has {self.layout.num_joints}; leave `layout` out to take "
                "the one that the store names"
            )
        self.labels = np.asarray(self.store.labels)
        self.classes = None if header.classes is None else tuple(header.classes)
        self.estimator = dict(header.estimator)
        self.split_names = tuple(self.store.split_names)

    def split_rows(self, split: str) -> np.ndarray:
        """Rows of a named split, int64."""
        return np.asarray(self.store.indices(split), dtype=np.int64)

    def clip_id(self, row: int) -> str:
        """Name of the clip in a row."""
        return str(self.store.clip_ids[row])

    def check(self, rows: np.ndarray) -> None:
        """Nothing to do: the writer of a store refuses NaN and empty clips."""

    def read(self, row: int, joints: np.ndarray | None = None) -> dict[str, Any]:
        """The clip in a row, one person."""
        store, clip_id = self.store, self.clip_id(row)
        keypoint, score = store.points(row, joints=joints)
        width, height = store.image_sizes[row].tolist()
        return {
            "keypoint": keypoint[None],
            "keypoint_score": score[None],
            "total_frames": len(keypoint),
            "label": int(store.labels[row]),
            "clip_id": clip_id,
            "frame_dir": clip_id,
            "signer": str(store.signers[row]),
            "img_shape": (height, width),
            "fps": float(store.fps[row]),
        }


class PickleSource:
    """Clips of an mmaction pickle, all in memory; persons (M, T, V, C) as they are.

    Worker processes that are started afresh (spawn) read the file again.

    Args:
        path: A `.pkl` file with `annotations` and `split`.
        layout: Layout of the points; None to tell it from their number.
    """

    def __init__(self, path: AnnFile, layout: Layout | None) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise PoseDataError(
                f"{show_path(path)}: several pickles at once are not read; import them into a pose "
                "store with gspmc_mm.poses.import_mmaction_pickle, or join datasets with ConcatDataset"
            )
        self.path = show_path(path)
        # What an annotation has to have, and that splits name clips of the file, is checked there.
        content = read_mmaction_pickle(path)
        self._annotations: list[dict[str, Any]] = content["annotations"]
        self._splits: dict[str, list[str]] = content["split"] or {}
        self.split_names = tuple(self._splits)
        self.labels = np.array([a["label"] for a in self._annotations], dtype=np.int64)
        self.layout = self._points_layout() if layout is None else layout
        self.classes = None
        self.estimator: dict[str, Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.path, self.layout)

    def _points_layout(self) -> Layout:
        points = self._annotations[0]["keypoint"].shape[2]
        if points not in _LAYOUT_BY_POINTS:
            known = ", ".join(f"{n} ({name})" for n, name in _LAYOUT_BY_POINTS.items())
            raise PoseDataError(
                f"{self.path}: clips have {points} points, and a pickle does not say which; give "
                f"SignPoseDataset `layout=` (told by number: {known})"
            )
        return get_layout(_LAYOUT_BY_POINTS[points])

    def split_rows(self, split: str) -> np.ndarray:
        """Rows of the clips that the split names, int64, in the order of the file."""
        wanted = set(self._splits[split])
        rows = [row for row in range(len(self._annotations)) if self.clip_id(row) in wanted]
        return np.asarray(rows, dtype=np.int64)

    def clip_id(self, row: int) -> str:
        """`filename` of the annotation in a row, or else `frame_dir`, as mmaction names clips."""
        annotation = self._annotations[row]
        return annotation["filename"] if "filename" in annotation else annotation["frame_dir"]

    def check(self, rows: np.ndarray) -> None:
        """Refuse clips with NaN, scores outside [0, 1] or other points than the layout's, and names that come twice."""
        seen: set[str] = set()
        for row in rows.tolist():
            annotation = self._annotations[row]
            keypoint, score = annotation["keypoint"], annotation.get("keypoint_score")
            name = f"{self.path}: clip {self.clip_id(row)!r}"
            if keypoint.shape[2] != self.layout.num_joints:
                raise PoseDataError(
                    f"{name} has {keypoint.shape[2]} points, but layout {self.layout.name!r} has "
                    f"{self.layout.num_joints}; give the layout of the file with `layout=`"
                )
            if not (np.isfinite(keypoint).all() and (score is None or np.isfinite(score).all())):
                raise PoseDataError(
                    f"{name} holds NaN or infinite values; mark missing points by coordinates 0 and score 0"
                )
            if score is not None and (score.min() < 0 or score.max() > 1):
                raise PoseDataError(
                    f"{name}: scores run from {score.min():g} to {score.max():g}; expected [0, 1]. If they are "
                    "peaks of heat maps, turn the pickle into a store with tools/data/import_poses.py --format "
                    "mmaction, which sets those above 1 to 1"
                )
            if self.clip_id(row) in seen:
                raise PoseDataError(f"{name} comes twice; predictions are matched by name, so give every clip its own")
            seen.add(self.clip_id(row))

    def read(self, row: int, joints: np.ndarray | None = None) -> dict[str, Any]:
        """The clip in a row; three coordinates without scores: a point off the origin has 1."""
        annotation = self._annotations[row]
        keypoint, score = annotation["keypoint"], annotation.get("keypoint_score")
        if joints is not None:
            keypoint = keypoint.take(joints, axis=2)
            score = None if score is None else score.take(joints, axis=2)
        keypoint = np.array(keypoint, dtype=np.float32)
        if score is None:
            score = np.any(keypoint != 0, axis=-1)
        clip_id = self.clip_id(row)
        shape = annotation.get("img_shape", annotation.get("original_shape"))
        return {
            "keypoint": keypoint,
            "keypoint_score": np.array(score, dtype=np.float32),
            "total_frames": keypoint.shape[1],
            "label": int(annotation["label"]),
            "clip_id": clip_id,
            "frame_dir": clip_id,
            "signer": str(annotation.get("signer", "")),
            "img_shape": None if shape is None else tuple(int(side) for side in shape),
            "fps": float(annotation.get("fps", 0.0)),
        }


def open_source(path: AnnFile, layout: Layout | None = None) -> StoreSource | PickleSource:
    """Open a pose store or an mmaction pickle.

    Raises:
        FileNotFoundError: With what to run to get the file.
        PoseDataError: The file is neither.
    """
    paths = [path] if isinstance(path, (str, os.PathLike)) else list(path)
    if not paths or not os.fspath(paths[0]):
        raise PoseDataError("SignPoseDataset: ann_file is empty; give a pose store or a pickle")
    for name in paths:
        if not Path(name).exists():
            raise FileNotFoundError(
                f"pose file {os.fspath(name)!r} does not exist. Make it from videos with tools/pose/extract.py (the "
                "lists of SLR-500 and AUTSL are written by tools/data/slr500.py and autsl.py), from key points that "
                "are there already with tools/data/import_poses.py, for synthetic signs with tools/data/synthsign.py, "
                "for WLASL-100 with tools/data/wlasl.py"
            )
    if Path(paths[0]).suffix.lower() in PICKLE_SUFFIXES:
        return PickleSource(path, layout)
    if Path(paths[0]).is_dir() or Path(paths[0]).suffix.lower() == ".arrow":
        return StoreSource(path, layout)
    raise PoseDataError(
        f"{show_path(path)} is neither a pose store (.arrow, or a folder of them) nor an mmaction "
        "pickle (.pkl); turn other data into a store with gspmc_mm.poses.PoseStoreWriter"
    )


def show_path(path: AnnFile) -> str:
    """A path, or the first of several, as text."""
    if isinstance(path, (str, os.PathLike)):
        return os.fspath(path)
    return f"{os.fspath(path[0])} (+ {len(path) - 1} more)"
