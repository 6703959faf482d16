"""Top-k accuracy per instance and per class, as pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np


def top_k_hits(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Whether the true class is among the k best classes of each clip.

    Ties are settled the same way everywhere: of two classes with equal scores the one with the
    smaller index comes first. With k at or above the number of classes every clip is a hit.

    Args:
        scores: (N, C) class scores without NaN.
        labels: (N,) true classes in [0, C).
        k: At least 1.

    Returns:
        (N,) bool.

    Raises:
        ValueError: The shapes do not fit, k < 1, or a label lies outside [0, C).
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(f"expected scores (N, C) and labels (N,), found {scores.shape} and {labels.shape}")
    if k < 1:
        raise ValueError(f"top-k needs k >= 1, found {k}")
    classes = scores.shape[1]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"labels lie in [{labels.min()}, {labels.max()}], the scores have {classes} classes")
    if np.isnan(scores).any():
        raise ValueError("the scores hold NaN: there is no ranking of them")
    true = np.take_along_axis(scores, labels[:, None].astype(np.int64), axis=1)
    earlier = np.arange(classes)[None, :] < labels[:, None]
    rank = ((scores > true) | ((scores == true) & earlier)).sum(axis=1)
    return rank < k


def class_means(hits: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Share of hits of every class.

    Args:
        hits: (N,) bool.
        labels: (N,) true classes in [0, num_classes).
        num_classes: C.

    Returns:
        (C,) float64; NaN for a class without a clip.
    """
    counts = np.bincount(labels, minlength=num_classes)
    right = np.bincount(labels, weights=hits.astype(np.float64), minlength=num_classes)
    return np.divide(right, counts, out=np.full(num_classes, np.nan), where=counts > 0)


def per_class_accuracy(hits: np.ndarray, labels: np.ndarray, num_classes: int) -> float:
    """Mean over the classes that occur of their share of hits (macro accuracy), in [0, 1]."""
    if len(labels) == 0:
        raise ValueError("no clip: the accuracy of nothing is undefined")
    return float(np.nanmean(class_means(hits, labels, num_classes)))


def check_scores(scores: np.ndarray, name_of: Callable[[int], str] | Sequence[str]) -> None:
    """Refuse NaN scores, naming the clips.

    Args:
        scores: (N, C).
        name_of: The name of clip i, as a function or a sequence.

    Raises:
        ValueError: Some clip has a NaN score.
    """
    bad = np.flatnonzero(np.isnan(scores).any(axis=1))
    if bad.size:
        names = [name_of(int(i)) if callable(name_of) else name_of[int(i)] for i in bad[:5]]
        more = f" and {bad.size - 5} more" if bad.size > 5 else ""
        raise ValueError(
            f"NaN class scores for clip {', '.join(names)}{more}: the training has diverged or "
            "the clip holds no usable key points; no accuracy is computed from them"
        )
