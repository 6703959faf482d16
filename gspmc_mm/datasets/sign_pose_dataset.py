"""Clips of a pose store or an mmaction pickle as an mmengine dataset."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from mmaction.datasets.base import BaseActionDataset
from mmaction.registry import DATASETS, TRANSFORMS
from mmengine.dataset import force_full_init
from mmengine.utils import is_abs

from gspmc_mm.datasets.pose_sources import AnnFile, PoseDataError, PoseSource, open_source, show_path
from gspmc_mm.datasets.step_cache import StepCache
from gspmc_mm.datasets.transforms import LoadSignDescriptions, SelectKeypoints
from gspmc_mm.skeleton import Layout, LayoutError, get_layout


def override_steps(
    pipeline: Sequence[Mapping | Callable], overrides: Mapping[str, Mapping[str, Any]]
) -> list[Mapping | Callable]:
    """The pipeline with the arguments of some steps replaced, by the type of the step.

    Raises:
        ValueError: The pipeline has no step of that type.
    """
    types = [step.get("type") if isinstance(step, Mapping) else None for step in pipeline]
    unknown = [name for name in overrides if name not in types]
    if unknown:
        raise ValueError(
            f"pipeline_overrides names {unknown}, and the pipeline has no such step; its steps are "
            f"{[name for name in types if name]}"
        )
    return [
        {**step, **overrides[name]} if name in overrides else step for name, step in zip(types, pipeline, strict=True)
    ]


@DATASETS.register_module()
class SignPoseDataset(BaseActionDataset):
    """Isolated signs as skeletons, from a pose store or an mmaction pickle.

    Only one array of row numbers lies in memory; clips are read from the store when they are asked
    for, so workers (fork or spawn) and ranks share the pages of one file. A clip enters the
    pipeline as keypoint (M, T, V, 2) float32 in pixels (M = 1 from a store), keypoint_score
    (M, T, V) float32, total_frames, label, clip_id, frame_dir (the same), signer, img_shape
    (h, w), fps, layout (a `Layout`), sample_idx, modality and start_index.

    Args:
        ann_file: `.arrow` store, folder of `.arrow` shards, list of such files, or an mmaction
            `.pkl`.
        pipeline: Transforms; configs are built with mmaction's registry, whatever the scope.
        pipeline_overrides: Arguments of steps of the pipeline, by the type of the step: `dict(SkeletonStream=
            dict(stream='b'))`. mmengine cannot change an element of an inherited list; with this a child
            config says what differs in one line.
        split: Name of a split inside the file, or several (their union). None for all clips.
        num_classes: Number of signs; every label has to be below it. Told by the classes if None.
        classes: Sign names by label (or the path of a text file with one name per line). The store
            knows its own; others are refused.
        layout: Layout of the points in the file. A store names it itself; for a pickle it is told
            from 17, 25 or 133 points and has to be given otherwise.
        metainfo: Further meta information; `classes` may stand here as well.
        data_root: Folder that a relative `ann_file` is in.
        data_prefix: Taken for the sake of mmaction's configs; poses have no further files.
        indices: The first n (int), the last n (negative int) or these clips of the split.
        clips_per_sign: At most so many clips of every sign, drawn by chance; all of them if None. For asking how
            many clips a sign needs: those of a smaller number are among those of a larger one.
        clips_seed: Of that draw.
        cache: Keep in memory what the first steps of the pipeline make of a clip, up to the first step with chance in
            it (`StepCache`): the same batches, for less work from the second epoch on. It takes the memory of the
            clips as they are then (WLASL-100: 12 MB). For data that are read without worker processes: those end
            with their epoch, and what they keep with them.
        serialize_data: Taken for the sake of mmengine's configs: there is no list to serialise.
        test_mode: Never replace a clip by another one when the pipeline returns None.
        lazy_init: Open the file later, when it is needed or `full_init` is called.
        max_refetch: How often another clip is tried when the pipeline returns None.
        start_index: Handed to the pipeline.
        modality: Handed to the pipeline.

    Raises:
        FileNotFoundError: There is no such file.
        PoseDataError: Unknown or empty split, label out of range, classes of another data set; in a pickle NaN,
            empty clips, scores outside [0, 1] or two clips of one name.
    """

    def __init__(
        self,
        ann_file: AnnFile,
        pipeline: Sequence[Mapping | Callable] = (),
        split: str | Sequence[str] | None = None,
        num_classes: int | None = None,
        classes: Sequence[str] | str | None = None,
        layout: str | os.PathLike | Mapping | Layout | None = None,
        metainfo: Mapping | None = None,
        data_root: str | None = "",
        data_prefix: Mapping[str, str] | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
        start_index: int = 0,
        modality: str = "Pose",
        pipeline_overrides: Mapping[str, Mapping[str, Any]] | None = None,
        clips_per_sign: int | None = None,
        clips_seed: int = 0,
        cache: bool = False,
    ) -> None:
        if clips_per_sign is not None and clips_per_sign < 1:
            raise PoseDataError(f"SignPoseDataset: clips_per_sign={clips_per_sign}; a sign needs at least one clip")
        self.split = split
        self.clips_per_sign, self.clips_seed = clips_per_sign, clips_seed
        self.layout = None if layout is None else get_layout(layout)
        self._cache = StepCache() if cache else None
        self._source: PoseSource | None = None
        self._wanted: tuple[Layout, np.ndarray] | None = None
        self._rows = np.empty(0, dtype=np.int64)
        metainfo = dict(metainfo or {})
        if classes is not None:
            if "classes" in metainfo and list(metainfo["classes"]) != list(classes):
                raise PoseDataError("SignPoseDataset: `classes` and `metainfo['classes']` differ; give one of them")
            metainfo["classes"] = classes
        # Built here because mmengine builds pipelines in its own registry, which does not find
        # mmaction's transforms unless a default scope is set (a notebook sets none).
        steps = [
            TRANSFORMS.build(step) if isinstance(step, dict) else step
            for step in override_steps(pipeline, pipeline_overrides or {})
        ]
        super().__init__(
            ann_file,
            pipeline=steps,
            data_prefix=dict(data_prefix or {}),
            test_mode=test_mode,
            num_classes=num_classes,
            start_index=start_index,
            modality=modality,
            metainfo=metainfo,
            data_root=data_root,
            indices=indices,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def _join_prefix(self) -> None:
        """Put `data_root` before relative paths, also when `ann_file` is a list of shards."""
        if isinstance(self.ann_file, (str, os.PathLike)):
            self.ann_file = os.fspath(self.ann_file)
            super()._join_prefix()
            return
        root = self.data_root or ""
        self.ann_file = [
            os.fspath(path) if is_abs(os.fspath(path)) else os.path.join(root, path) for path in self.ann_file
        ]

    def full_init(self) -> None:
        """Open the file, take the split and check its labels; done once."""
        if self._fully_initialized:
            return
        self._source = open_source(self.ann_file, self.layout)
        rows = self._split_rows(self._source)
        if self.clips_per_sign is not None:
            rows = few_of_each(rows, self._source.labels[rows], self.clips_per_sign, self.clips_seed)
        classes = self._agree_on_classes(self._source)
        self._check_labels(self._source, rows)
        self._source.check(rows)
        for step in self.pipeline.transforms:
            if isinstance(step, LoadSignDescriptions):
                step.check_classes(self.num_classes, classes)
        if classes is not None:
            self._metainfo["classes"] = classes
        self._metainfo.setdefault("layout", self._source.layout.name)
        self._metainfo.setdefault("estimator", self._source.estimator)
        self._rows = rows if self._indices is None else take_rows(rows, self._indices)
        self._wanted = self._first_selection(self._source)
        self._fully_initialized = True

    def _first_selection(self, source: PoseSource) -> tuple[Layout, np.ndarray] | None:
        """Layout and points that the pipeline begins by taking, so that the others need not be read."""
        first = next(iter(self.pipeline.transforms), None)
        if type(first) is not SelectKeypoints:
            return None
        try:
            return first.layout, first.positions(source.layout)
        except LayoutError:  # the step itself refuses the first clip and names it
            return None

    def _split_rows(self, source: PoseSource) -> np.ndarray:
        if self.split is None:
            names: tuple[str, ...] = ()
            rows = np.arange(len(source.labels), dtype=np.int64)
        else:
            names = (self.split,) if isinstance(self.split, str) else tuple(self.split)
            for name in names:
                if name not in source.split_names:
                    known = ", ".join(sorted(source.split_names)) or "none"
                    raise PoseDataError(f"{source.path}: no split {name!r}; splits inside: {known}")
            parts = [source.split_rows(name) for name in names]
            # Sorted, as in the file: neighbouring clips are read from neighbouring pages.
            rows = np.unique(np.concatenate(parts)) if len(parts) > 1 else parts[0]
        if not len(rows):
            what = f"split {' + '.join(names)!r} is empty" if names else "there are no clips inside"
            raise PoseDataError(f"{source.path}: {what}; choose another split or build the file again")
        return rows

    def _agree_on_classes(self, source: PoseSource) -> tuple[str, ...] | None:
        given = self._metainfo.get("classes")
        if isinstance(given, str):
            raise FileNotFoundError(
                f"classes {given!r}: no such file; give a list of names or the path of a text file "
                "with one name per line"
            )
        classes = source.classes if given is None else tuple(str(name) for name in given)
        if classes is None:
            return None
        if given is not None and source.classes is not None and classes != source.classes:
            pairs = zip(classes, source.classes, strict=False)
            first = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
            difference = (
                f"{len(classes)} against {len(source.classes)} names"
                if first is None
                else f"label {first} is {classes[first]!r} in the configuration and "
                f"{source.classes[first]!r} in the file"
            )
            raise PoseDataError(
                f"{source.path}: the classes of the configuration are not those of the file "
                f"({difference}); leave `classes` out to take the file's"
            )
        if self.num_classes is None:
            self.num_classes = len(classes)
        elif self.num_classes != len(classes):
            raise PoseDataError(
                f"{source.path}: num_classes is {self.num_classes}, but there are {len(classes)} "
                f"class names ({classes[0]!r} to {classes[-1]!r}); set num_classes to "
                f"{len(classes)} here and in the model's head, or use another file"
            )
        return classes

    def _check_labels(self, source: PoseSource, rows: np.ndarray) -> None:
        labels = source.labels[rows]
        wrong = labels < 0
        if self.num_classes is not None:
            wrong |= labels >= self.num_classes
        if wrong.any():
            row = int(rows[np.argmax(wrong)])
            bound = "" if self.num_classes is None else f" to {self.num_classes - 1}"
            raise PoseDataError(
                f"{source.path}: clip {source.clip_id(row)!r} has label {source.labels[row]}, but "
                f"there are {self.num_classes} classes (labels 0{bound}); {int(wrong.sum())} of "
                f"{len(rows)} clips are out of range. Correct num_classes or the labels"
            )

    @property
    @force_full_init
    def labels(self) -> np.ndarray:
        """Labels of all clips of this dataset, (len(self),) int64."""
        return self._source.labels[self._rows]

    @force_full_init
    def __len__(self) -> int:
        return len(self._rows)

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Clip `idx` (negative: from the end) with all the points of the file."""
        return self._read(idx, self._source.layout, None)

    @force_full_init
    def prepare_data(self, idx: int) -> Any:
        """Clip `idx` as the pipeline makes it. Of points that its first step would drop, nothing is read."""
        layout, joints = (self._source.layout, None) if self._wanted is None else self._wanted
        if self._cache is None:
            return self.pipeline(self._read(idx, layout, joints))
        row = int(self._rows[self._place(idx)])
        return self._cache.run(self.pipeline.transforms, row, lambda: self._read(idx, layout, joints))

    def _place(self, idx: int) -> int:
        size = len(self._rows)
        if not -size <= idx < size:
            raise IndexError(f"clip {idx} of a dataset of {size}")
        return int(idx) % size

    def _read(self, idx: int, layout: Layout, joints: np.ndarray | None) -> dict[str, Any]:
        idx = self._place(idx)
        info = self._source.read(int(self._rows[idx]), joints)
        info.update(
            layout=layout,
            sample_idx=idx,
            modality=self.modality,
            start_index=self.start_index,
        )
        return info

    @force_full_init
    def get_cat_ids(self, idx: int) -> list[int]:
        """The label of clip `idx` in a list, as ClassBalancedDataset asks for it."""
        return [int(self._source.labels[self._rows[idx]])]

    @force_full_init
    def load_data_list(self) -> list[dict[str, Any]]:
        """Clip id and label of every clip, for tools that list a dataset. It loads no poses."""
        return [
            {"clip_id": self._source.clip_id(int(row)), "label": int(self._source.labels[row])} for row in self._rows
        ]

    @force_full_init
    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep the first n, the last n (negative) or the given clips."""
        self._rows = take_rows(self._rows, indices)
        self._cache = None if self._cache is None else StepCache()  # clips know their place

    @force_full_init
    def get_subset(self, indices: int | Sequence[int]) -> SignPoseDataset:
        """A dataset of the first n, the last n (negative) or the given clips, on the same file."""
        # Everything is copied but the source: a pickle's clips need not be in memory twice.
        subset = self._copy_without_annotation({id(self._source): self._source})
        subset.get_subset_(indices)
        return subset

    def __repr__(self) -> str:
        state = f"{len(self._rows)} clips" if self._fully_initialized else "not opened yet"
        return (
            f"{type(self).__name__}({show_path(self.ann_file)!r}, split={self.split!r}, {state}, "
            f"num_classes={self.num_classes})"
        )


def few_of_each(rows: np.ndarray, labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """At most `count` rows of every label, drawn by chance, in the order that they had.

    Under one seed the rows of a smaller count are among those of a larger one.
    """
    drawn = np.random.default_rng(seed).permutation(len(rows))
    drawn = drawn[np.argsort(labels[drawn], kind="stable")]
    of_label = labels[drawn]
    place = np.arange(len(rows)) - np.searchsorted(of_label, of_label)  # 0, 1, ... within its label
    return rows[np.sort(drawn[place < count])]


def take_rows(rows: np.ndarray, indices: int | Sequence[int]) -> np.ndarray:
    """The first n rows (int), the last n (negative int) or the given ones.

    Raises:
        PoseDataError: More rows than there are.
    """
    if isinstance(indices, (int, np.integer)):
        if abs(indices) > len(rows):
            raise PoseDataError(f"indices={indices}: there are only {len(rows)} clips")
        return copy.copy(rows[:indices] if indices >= 0 else rows[indices:])
    chosen = np.asarray(indices, dtype=np.int64).reshape(-1)
    outside = chosen[(chosen < -len(rows)) | (chosen >= len(rows))]
    if len(outside):
        raise PoseDataError(f"indices name clip {outside[0]}, but there are only {len(rows)}")
    return rows[chosen]
