from __future__ import annotations

import numpy as np
import pytest

from gspmc_mm.evaluation.confusion import ConfusedPair, confused_pairs, confusion_matrix


def test_matrix_equals_a_count_by_hand() -> None:
    rng = np.random.default_rng(1)
    scores, labels = rng.random((80, 6)), rng.integers(6, size=80)
    slow = np.zeros((6, 6), np.int64)
    for row, label in zip(scores, labels, strict=True):
        slow[label, row.argmax()] += 1
    assert np.array_equal(confusion_matrix(scores, labels), slow)


MATRIX = np.array([[5, 2, 0], [3, 4, 1], [2, 0, 6]])


def test_pairs_one_way() -> None:
    assert confused_pairs(MATRIX, ["a", "b", "c"]) == [
        ConfusedPair("b", "a", 3, 8),
        ConfusedPair("a", "b", 2, 7),
        ConfusedPair("c", "a", 2, 8),
        ConfusedPair("b", "c", 1, 8),
    ]


def test_pairs_both_ways_and_limit() -> None:
    assert confused_pairs(MATRIX, both_ways=True, limit=2) == [
        ConfusedPair("0", "1", 5, 15),
        ConfusedPair("0", "2", 2, 15),
    ]


def test_a_perfect_model_confuses_nothing() -> None:
    assert confused_pairs(np.diag([3, 4])) == []


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="square"):
        confused_pairs(np.ones((2, 3)))
    with pytest.raises(ValueError, match="2 names for 3"):
        confused_pairs(MATRIX, ["a", "b"])
