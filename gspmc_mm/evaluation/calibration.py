"""Whether a model is right as often as it says: expected calibration error and the bars of a reliability diagram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .accuracy import top_k_hits


@dataclass(frozen=True)
class Reliability:
    """Clips sorted into bins of equal width by the confidence of their best class.

    Attributes:
        edges: (B + 1,) from 0 to 1; a bin holds its upper end.
        clips: (B,) number of clips.
        confidence: (B,) mean confidence; NaN in an empty bin.
        accuracy: (B,) share of clips whose best class is the true one; NaN in an empty bin.
    """

    edges: np.ndarray
    clips: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @property
    def ece(self) -> float:
        """Expected calibration error (Naeini et al. 2015): mean over clips of |accuracy - confidence| of their bin."""
        filled = self.clips > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float((gaps * self.clips[filled]).sum() / self.clips.sum())


def reliability(scores: np.ndarray, labels: np.ndarray, bins: int = 15) -> Reliability:
    """Sort clips into bins of confidence (Guo et al. 2017, 15 bins).

    Args:
        scores: (N, C) class probabilities.
        labels: (N,) true classes.
        bins: Number of bins B.

    Raises:
        ValueError: No clip, no bins, or scores that are no probabilities.
    """
    scores = np.asarray(scores, dtype=np.float64)
    check_probabilities(scores)
    if len(scores) == 0 or bins < 1:
        raise ValueError(f"expected at least one clip and one bin, found {len(scores)} and {bins}")
    confidence = scores.max(axis=1).clip(0.0, 1.0)
    edges = np.linspace(0.0, 1.0, bins + 1)
    where = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    clips = np.bincount(where, minlength=bins)
    empty = np.full(bins, np.nan)
    sums = np.bincount(where, weights=confidence, minlength=bins)
    right = np.bincount(where, weights=top_k_hits(scores, labels, 1).astype(np.float64), minlength=bins)
    return Reliability(
        edges=edges,
        clips=clips,
        confidence=np.divide(sums, clips, out=empty.copy(), where=clips > 0),
        accuracy=np.divide(right, clips, out=empty.copy(), where=clips > 0),
    )


def check_probabilities(scores: np.ndarray, where: str = "the scores", tolerance: float = 1e-3) -> None:
    """Refuse scores that are no class probabilities.

    Raises:
        ValueError: A score below 0, or a clip whose scores do not sum to 1; `where` stands before it.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 2:
        raise ValueError(f"{where}: expected class probabilities (N, C), found shape {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(f"{where}: NaN or infinity among the class probabilities")
    sums = scores.sum(axis=1)
    wrong = np.flatnonzero((np.abs(sums - 1) > tolerance) | (scores < -tolerance).any(axis=1))
    if wrong.size:
        i = int(wrong[0])
        raise ValueError(
            f"{where}: no class probabilities (row {i} goes from {scores[i].min():.3g} to {scores[i].max():.3g} and "
            f"sums to {sums[i]:.3g}, not 1): test with model.test_cfg average_clips='prob' (the default of the configs)"
        )
