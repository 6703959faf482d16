"""Which points a clip has, and what to do about those that were not seen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from gspmc_mm.skeleton import Layout, get_layout


def seen_points(keypoint: np.ndarray, score: np.ndarray | None) -> np.ndarray:
    """Tell which points were seen.

    Args:
        keypoint: Coordinates (..., V, C).
        score: Confidence (..., V), or None where the estimator gives none; then a point at
            exactly zero counts as missing.

    Returns:
        bool (..., V).
    """
    if score is not None:
        return score > 0
    return np.any(keypoint != 0, axis=-1)


def clip_layout(
    results: Mapping[str, Any],
    given: Layout | None,
    transform: BaseTransform,
    argument: str = "layout",
    state: str = "",
) -> Layout:
    """The layout of a clip's points: what the data set says, else what the transform was given.

    Args:
        results: The clip. SignPoseDataset names its layout, mmaction's PoseDataset does not.
        given: What the transform was given.
        transform: Who asks.
        argument: Name of the transform's argument.
        state: What makes the layout matter, for the message.

    Raises:
        ValueError: Neither says it, or the clip has another number of points than the given one.
    """
    if results.get("layout") is not None:
        return results["layout"]
    name = type(transform).__name__
    clip = f"{name}: clip {results.get('clip_id', results.get('frame_dir'))!r}"
    if given is None:
        raise ValueError(
            f"{clip}{state} does not say its layout: use SignPoseDataset or give {name} `{argument}=`, the "
            "layout of the clip's points"
        )
    if "keypoint" in results and results["keypoint"].shape[-2] != given.num_joints:
        raise ValueError(
            f"{clip} has {results['keypoint'].shape[-2]} points, but its `{argument}=` {given.name!r} "
            f"has {given.num_joints}; give the layout of the clip's points"
        )
    return given


def plane_of(keypoint: np.ndarray) -> np.ndarray:
    """The points in the image plane as complex numbers x + iy, which numpy computes with much faster than with pairs.

    Args:
        keypoint: float (..., V, C), C >= 2.

    Returns:
        (..., V) of the same precision; a view of `keypoint` where it is contiguous and has two coordinates.
    """
    pairs = np.ascontiguousarray(keypoint[..., :2])
    return pairs.view(np.result_type(pairs, np.complex64))[..., 0]


def with_plane(keypoint: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """A new array of key points whose x and y are those of complex `plane`, see `plane_of`."""
    pairs = plane[..., None].view(plane.real.dtype)
    if keypoint.shape[-1] == 2:
        return pairs
    return np.concatenate([pairs, keypoint[..., 2:]], axis=-1)


def zero_missing(keypoint: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The points that were seen, and zeros in place of the others.

    Args:
        keypoint: (..., V, C).
        seen: bool (..., V).

    Returns:
        A new array (..., V, C) of the same type.
    """
    if keypoint.shape[-1] == 2:
        return with_plane(keypoint, np.where(seen, plane_of(keypoint), 0))
    return np.where(seen[..., None], keypoint, 0).astype(keypoint.dtype, copy=False)


def gate_points(keypoint: np.ndarray, score: np.ndarray, min_score: float) -> tuple[np.ndarray, np.ndarray]:
    """Declare points below a confidence missing: coordinates 0 and score 0.

    Args:
        keypoint: (..., V, C).
        score: (..., V).
        min_score: The lowest score that is believed; a score of 0 never is.

    Returns:
        Arrays of the same shapes; those that were given if every point is believed.
    """
    keep = score >= min_score if min_score > 0 else score > 0
    if keep.all():
        return keypoint, score
    return zero_missing(keypoint, keep), score * keep


def find_gaps(seen: np.ndarray, max_gap: int) -> tuple[np.ndarray, ...] | None:
    """Runs of missing frames between two that show the point, `max_gap` frames at most.

    Args:
        seen: bool (M, T, V).
        max_gap: The longest run.

    Returns:
        Person, joint, last frame before and first frame behind of each run; None where there is none.
    """
    if max_gap < 1:
        return None
    # One line of frames for every joint that is missing at times.
    person, joint = np.nonzero(~seen.all(axis=1))
    lines = seen[person, :, joint]
    # Where a line changes from seen to missing and, next in the same line, back, is a run.
    changes = np.flatnonzero(lines[:, 1:] != lines[:, :-1])
    line, frame = np.divmod(changes, max(1, seen.shape[1] - 1))
    begin = np.flatnonzero(lines[line, frame][:-1] & (line[1:] == line[:-1]))
    first, last = frame[begin], frame[begin + 1] + 1
    short = last - first - 1 <= max_gap
    if not short.any():
        return None
    line = line[begin[short]]
    return person[line], joint[line], first[short], last[short]


def fill_gaps(keypoint: np.ndarray, score: np.ndarray, gaps: tuple[np.ndarray, ...]) -> None:
    """Write the straight line between its ends into every run of `find_gaps`.

    Args:
        keypoint: (M, T, V, C), changed in place.
        score: (M, T, V), changed in place.
        gaps: What `find_gaps` found.
    """
    person, joint, first, last = gaps
    sizes = last - first - 1
    start, end = keypoint[person, first, joint], keypoint[person, last, joint]
    lower = np.minimum(score[person, first, joint], score[person, last, joint])
    run = np.repeat(np.arange(len(sizes)), sizes)
    # 1, 2, ... inside each run.
    step = np.arange(1, len(run) + 1) - (np.cumsum(sizes) - sizes)[run]
    weight = (step / (sizes[run] + 1))[:, None]
    places = person[run], first[run] + step, joint[run]
    keypoint[places] = (1 - weight) * start[run] + weight * end[run]
    score[places] = lower[run]


def interpolate_gaps(keypoint: np.ndarray, score: np.ndarray, max_gap: int) -> tuple[np.ndarray, np.ndarray]:
    """Fill short losses of a point on the straight line between its neighbours in time.

    Args:
        keypoint: (M, T, V, C), 0 where missing.
        score: (M, T, V), 0 where missing.
        max_gap: The longest run of missing frames that is filled. Losses at the start or the end
            of the clip have a neighbour on one side only and stay.

    Returns:
        New arrays; a filled point gets the smaller score of its two neighbours, for it cannot be
        better known than they are.
    """
    filled, filled_score = keypoint.copy(), score.copy()
    gaps = find_gaps(score > 0, max_gap)
    if gaps is not None:
        fill_gaps(filled, filled_score, gaps)
    return filled, filled_score


@TRANSFORMS.register_module()
class SelectKeypoints(BaseTransform):
    """Keep the joints of one layout, in its order.

    Required Keys:

        - keypoint (M, T, V, C)
        - keypoint_score (optional) (M, T, V)
        - layout (optional, see `clip_layout`)

    Modified Keys:

        - keypoint
        - keypoint_score
        - layout

    Args:
        layout: Preset name, path of a layout file, dict or Layout.
        clip_layout: Layout of the clips that do not name theirs, as those of mmaction's PoseDataset. Steps behind this
            one are told `layout`, and need no more.

    Raises:
        LayoutError: At the first clip whose points do not contain the layout.
        ValueError: At a clip whose layout nobody says.
    """

    deterministic = True

    def __init__(
        self,
        layout: str | os.PathLike | Mapping | Layout = "sign87",
        clip_layout: str | os.PathLike | Mapping | Layout | None = None,
    ) -> None:
        self.layout = get_layout(layout)
        self.clip_layout = None if clip_layout is None else get_layout(clip_layout)
        self._positions: tuple[Layout, np.ndarray] | None = None

    def positions(self, current: Layout) -> np.ndarray:
        """Indices of the wanted joints in the clip's layout; remembered, as clips rarely differ."""
        if self._positions is None or self._positions[0] is not current:
            self._positions = (current, self.layout.indices_in(current))
        return self._positions[1]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Take the layout's joints out of `keypoint` and `keypoint_score`."""
        current = clip_layout(results, self.clip_layout, self, argument="clip_layout")
        if current is not self.layout:  # else read from the store like that
            positions = self.positions(current)
            results["keypoint"] = np.take(results["keypoint"], positions, axis=-2)
            if results.get("keypoint_score") is not None:
                results["keypoint_score"] = np.take(results["keypoint_score"], positions, axis=-1)
        results["layout"] = self.layout
        return results

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(layout={self.layout.name!r})"


@TRANSFORMS.register_module()
class FillMissingKeypoints(BaseTransform):
    """Gate points by confidence, then fill short gaps in time on a straight line.

    Required Keys:

        - keypoint (M, T, V, C)
        - keypoint_score (optional) (M, T, V); without it a point off the origin has confidence 1

    Modified Keys:

        - keypoint
        - keypoint_score

    Args:
        min_score: Points with a lower score become missing (coordinates 0, score 0).
        max_gap: The longest gap in frames that is interpolated; 0 for none.
    """

    deterministic = True

    def __init__(self, min_score: float = 0.0, max_gap: int = 0) -> None:
        if not 0 <= min_score <= 1:
            raise ValueError(f"FillMissingKeypoints: min_score is a confidence, 0 to 1, not {min_score}")
        if max_gap < 0:
            raise ValueError(f"FillMissingKeypoints: max_gap is a number of frames >= 0, not {max_gap}")
        self.min_score = min_score
        self.max_gap = max_gap

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace `keypoint` and `keypoint_score` by gated and filled ones."""
        given = results.get("keypoint_score")
        if given is None:
            given = seen_points(results["keypoint"], None).astype(np.float32)
        keypoint, score = gate_points(results["keypoint"], given, self.min_score)
        gaps = find_gaps(score > 0, self.max_gap)
        if gaps is not None:
            if score is given:  # the gate had nothing to do and made no new arrays
                keypoint, score = keypoint.copy(), score.copy()
            fill_gaps(keypoint, score, gaps)
        results["keypoint"] = keypoint
        if results.get("keypoint_score") is not None:
            results["keypoint_score"] = score
        return results

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(min_score={self.min_score}, max_gap={self.max_gap})"
