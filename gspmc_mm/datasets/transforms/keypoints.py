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


def gate_points(keypoint: np.ndarray, score: np.ndarray, min_score: float) -> tuple[np.ndarray, np.ndarray]:
    """Declare points below a confidence missing: coordinates 0 and score 0.

    Args:
        keypoint: (..., V, C).
        score: (..., V).
        min_score: The lowest score that is believed; a score of 0 never is.

    Returns:
        New arrays of the same shapes.
    """
    keep = (score > 0) & (score >= min_score)
    return np.where(keep[..., None], keypoint, 0).astype(keypoint.dtype), np.where(keep, score, 0).astype(score.dtype)


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
    frames = score.shape[1]
    if max_gap < 1 or frames < 3:
        return keypoint.copy(), score.copy()
    time = np.arange(frames)[None, :, None]
    seen = score > 0
    before = np.maximum.accumulate(np.where(seen, time, -1), axis=1)
    after = np.minimum.accumulate(np.where(seen, time, frames)[:, ::-1], axis=1)[:, ::-1]
    fill = ~seen & (before >= 0) & (after < frames) & (after - before - 1 <= max_gap)
    person, frame, joint = np.nonzero(fill)
    first, last = before[fill], after[fill]
    weight = ((frame - first) / (last - first))[:, None]
    filled, filled_score = keypoint.copy(), score.copy()
    filled[person, frame, joint] = (1 - weight) * keypoint[person, first, joint] + (
        weight * keypoint[person, last, joint]
    )
    filled_score[person, frame, joint] = np.minimum(score[person, first, joint], score[person, last, joint])
    return filled, filled_score


@TRANSFORMS.register_module()
class SelectKeypoints(BaseTransform):
    """Keep the joints of one layout, in its order.

    Required Keys:

        - keypoint (M, T, V, C)
        - keypoint_score (optional) (M, T, V)
        - layout

    Modified Keys:

        - keypoint
        - keypoint_score
        - layout

    Args:
        layout: Preset name, path of a layout file, dict or Layout.

    Raises:
        LayoutError: At the first clip whose points do not contain the layout.
    """

    def __init__(self, layout: str | os.PathLike | Mapping | Layout = "sign87") -> None:
        self.layout = get_layout(layout)
        self._positions: tuple[Layout, np.ndarray] | None = None

    def positions(self, current: Layout) -> np.ndarray:
        """Indices of the wanted joints in the clip's layout; remembered, as clips rarely differ."""
        if self._positions is None or self._positions[0] is not current:
            self._positions = (current, self.layout.indices_in(current))
        return self._positions[1]

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Take the layout's joints out of `keypoint` and `keypoint_score`."""
        positions = self.positions(results["layout"])
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
        - keypoint_score (M, T, V)

    Modified Keys:

        - keypoint
        - keypoint_score

    Args:
        min_score: Points with a lower score become missing (coordinates 0, score 0).
        max_gap: The longest gap in frames that is interpolated; 0 for none.
    """

    def __init__(self, min_score: float = 0.0, max_gap: int = 0) -> None:
        if not 0 <= min_score <= 1:
            raise ValueError(f"FillMissingKeypoints: min_score is a confidence, 0 to 1, not {min_score}")
        if max_gap < 0:
            raise ValueError(f"FillMissingKeypoints: max_gap is a number of frames >= 0, not {max_gap}")
        self.min_score = min_score
        self.max_gap = max_gap

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace `keypoint` and `keypoint_score` by gated and filled ones."""
        keypoint, score = gate_points(results["keypoint"], results["keypoint_score"], self.min_score)
        results["keypoint"], results["keypoint_score"] = interpolate_gaps(keypoint, score, self.max_gap)
        return results

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(min_score={self.min_score}, max_gap={self.max_gap})"
