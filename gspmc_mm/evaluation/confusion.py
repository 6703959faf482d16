"""Which signs are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ConfusedPair:
    """Two signs and how often one is taken for the other.

    Attributes:
        true: Name of the true sign; of a pair that is taken together, the one with the smaller label.
        predicted: Name of the other.
        count: Number of clips.
        of: Clips of the true sign (of both, where the pair is taken together).
    """

    true: str
    predicted: str
    count: int
    of: int


def confusion_matrix(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(C, C) int64: clips of class row whose best class is column; of equal scores the smaller label is best.

    Args:
        scores: (N, C) without NaN.
        labels: (N,) true classes in [0, C).
    """
    scores, labels = np.asarray(scores), np.asarray(labels, dtype=np.int64)
    classes = scores.shape[1]
    return np.bincount(labels * classes + scores.argmax(axis=1), minlength=classes * classes).reshape(classes, classes)


def confused_pairs(
    matrix: np.ndarray, classes: Sequence[str] = (), *, both_ways: bool = False, limit: int | None = None
) -> list[ConfusedPair]:
    """The pairs of different signs that are confused, the most frequent first, then by label.

    Args:
        matrix: (C, C) counts, from `confusion_matrix`; matrices of several seeds may be summed.
        classes: Names by label; the labels themselves where empty.
        both_ways: Count "A taken for B" and "B taken for A" together.
        limit: At most so many pairs.

    Raises:
        ValueError: No square matrix, or names for another number of classes.
    """
    matrix = np.asarray(matrix)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"a confusion matrix is square, found shape {matrix.shape}")
    if classes and len(classes) != len(matrix):
        raise ValueError(f"{len(classes)} names for {len(matrix)} classes")
    names = list(classes) or [str(label) for label in range(len(matrix))]
    wrong, totals = matrix - np.diag(np.diag(matrix)), matrix.sum(axis=1)
    if both_ways:
        wrong = np.triu(wrong + wrong.T)
    rows, columns = np.nonzero(wrong)
    order = np.lexsort((columns, rows, -wrong[rows, columns]))[:limit]
    return [
        ConfusedPair(
            true=names[i],
            predicted=names[j],
            count=int(wrong[i, j]),
            of=int(totals[i] + totals[j]) if both_ways else int(totals[i]),
        )
        for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True)
    ]
