from __future__ import annotations

import numpy as np
import pytest

from gspmc_mm.evaluation.calibration import check_probabilities, reliability


def some_scores(clips: int = 200, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.full(classes, 0.5), size=clips)
    return scores, rng.integers(classes, size=clips)


def slow_ece(scores: np.ndarray, labels: np.ndarray, bins: int) -> float:
    """Clip by clip: into the bin (b / B, (b + 1) / B] that holds the confidence."""
    members: list[list[tuple[float, bool]]] = [[] for _ in range(bins)]
    for row, label in zip(scores, labels, strict=True):
        for b in range(bins):
            if b / bins < row.max() <= (b + 1) / bins:
                members[b].append((row.max(), bool(row.argmax() == label)))
    total = 0.0
    for inside in members:
        if inside:
            confidence, right = zip(*inside, strict=True)
            total += len(inside) / len(scores) * abs(sum(right) / len(inside) - sum(confidence) / len(inside))
    return total


@pytest.mark.parametrize("bins", [1, 10, 15])
def test_ece_equals_the_slow_sum(bins: int) -> None:
    scores, labels = some_scores()
    found = reliability(scores, labels, bins)
    assert found.ece == pytest.approx(slow_ece(scores, labels, bins))
    assert found.clips.sum() == 200
    assert len(found.edges) == bins + 1


def test_a_sure_model_that_is_right_half_of_the_time() -> None:
    scores = np.tile([1.0, 0.0], (4, 1))
    found = reliability(scores, np.array([0, 0, 1, 1]), bins=4)
    assert found.ece == pytest.approx(0.5)
    assert found.clips.tolist() == [0, 0, 0, 4]
    assert np.isnan(found.accuracy[0])
    assert found.accuracy[3] == 0.5


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (np.array([[2.0, -1.0]]), "row 0 goes from -1 to 2"),
        (np.array([[0.5, 0.5], [3.0, 2.0]]), "row 1 .* sums to 5"),
        (np.array([[np.nan, 1.0]]), "NaN"),
        (np.ones(3), r"expected class probabilities \(N, C\)"),
    ],
)
def test_what_is_no_probability_is_refused(scores: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_probabilities(scores)


def test_nothing_to_sort() -> None:
    with pytest.raises(ValueError, match="at least one clip"):
        reliability(np.zeros((0, 3)), np.zeros(0, np.int64))
