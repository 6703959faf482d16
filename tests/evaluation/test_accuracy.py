from __future__ import annotations

import numpy as np
import pytest

from gspmc_mm.evaluation.accuracy import (
    check_scores,
    class_means,
    per_class_accuracy,
    top_k_hits,
)


def loop_hits(scores: np.ndarray, labels: np.ndarray, k: int) -> list[bool]:
    """Sort the classes of every clip by hand: better score first, then smaller index."""
    hits = []
    for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda c: (-row[c], c))
        hits.append(label in order[:k])
    return hits


@pytest.mark.parametrize("k", [1, 2, 5, 9])
@pytest.mark.parametrize("classes", [1, 3, 7])
def test_top_k_equals_the_loop_with_many_ties(k: int, classes: int) -> None:
    rng = np.random.default_rng(k * 10 + classes)
    scores = rng.integers(0, 3, (200, classes)).astype(np.float32)
    labels = rng.integers(0, classes, 200)
    assert top_k_hits(scores, labels, k).tolist() == loop_hits(scores, labels, k)


def test_of_equal_scores_the_smaller_class_comes_first() -> None:
    scores = np.zeros((3, 3))
    assert top_k_hits(scores, np.array([0, 1, 2]), 1).tolist() == [True, False, False]
    assert top_k_hits(scores, np.array([0, 1, 2]), 2).tolist() == [True, True, False]


def test_infinite_scores_are_ranked() -> None:
    scores = np.array([[-np.inf, np.inf, 0.0]])
    assert top_k_hits(scores, np.array([1]), 1).all()
    assert not top_k_hits(scores, np.array([0]), 2).any()


def test_per_class_is_the_mean_of_the_classes_that_occur() -> None:
    labels = np.array([0, 0, 0, 0, 2])
    hits = np.array([True, True, True, False, False])
    means = class_means(hits, labels, 4)
    assert means[0] == 0.75
    assert means[2] == 0.0
    assert np.isnan(means[[1, 3]]).all()
    assert per_class_accuracy(hits, labels, 4) == pytest.approx(0.375)


@pytest.mark.parametrize(
    ("scores", "labels", "k", "words"),
    [
        (np.zeros((2, 3)), np.array([0]), 1, r"\(2, 3\)"),
        (np.zeros((1, 3)), np.array([3]), 1, "3 classes"),
        (np.zeros((1, 3)), np.array([-1]), 1, "3 classes"),
        (np.zeros((1, 3)), np.array([0]), 0, "k >= 1"),
        (np.full((1, 3), np.nan), np.array([0]), 1, "NaN"),
    ],
)
def test_bad_input(scores: np.ndarray, labels: np.ndarray, k: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        top_k_hits(scores, labels, k)


def test_nan_clips_are_named_and_counted() -> None:
    scores = np.zeros((8, 2))
    scores[1:] = np.nan
    with pytest.raises(ValueError, match=r"b, c, d, e, f and 2 more"):
        check_scores(scores, list("abcdefgh"))


def test_no_clip_has_no_accuracy() -> None:
    with pytest.raises(ValueError, match="no clip"):
        per_class_accuracy(np.zeros(0, bool), np.zeros(0, np.int64), 3)
