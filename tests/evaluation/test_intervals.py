from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from gspmc_mm.evaluation.intervals import mcnemar, wilson_interval


def test_wilson_known_values() -> None:
    # Newcombe 1998, Table I, method 3 (score, without continuity correction).
    for successes, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert wilson_interval(successes, n) == pytest.approx((low, high), abs=6e-5)


@pytest.mark.parametrize(("successes", "n"), [(3, 10), (511, 1003), (9, 10)])
def test_wilson_ends_solve_the_score_equation(successes: int, n: int) -> None:
    share = successes / n

    def excess(p: float) -> float:
        return (share - p) ** 2 - 1.96**2 * p * (1 - p) / n

    low, high = wilson_interval(successes, n)
    assert low == pytest.approx(brentq(excess, 1e-12, share), abs=1e-9)
    assert high == pytest.approx(brentq(excess, share, 1 - 1e-12), abs=1e-9)


def test_wilson_stays_inside_and_mirrors() -> None:
    for n in (1, 7, 1003):
        assert wilson_interval(0, n)[0] == 0.0
        assert wilson_interval(n, n)[1] == 1.0
        low, high = wilson_interval(0, n)
        assert wilson_interval(n, n) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_bad_input(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes"):
        wilson_interval(successes, n)


def binomial_two_sided(b: int, c: int) -> float:
    """Sum of the probabilities of all outcomes that are at most as likely as this one."""
    n = b + c
    here = math.comb(n, b)
    return sum(math.comb(n, i) for i in range(n + 1) if math.comb(n, i) <= here) / 2**n


@pytest.mark.parametrize(("b", "c"), [(0, 1), (5, 5), (2, 9), (40, 61), (0, 12)])
def test_mcnemar_equals_the_binomial_sum(b: int, c: int) -> None:
    first = np.array([True] * b + [False] * c + [True] * 4 + [False] * 3)
    second = np.array([False] * b + [True] * c + [True] * 4 + [False] * 3)
    test = mcnemar(first, second)
    assert (test.only_first, test.only_second, test.both, test.neither) == (b, c, 4, 3)
    assert test.p_value == pytest.approx(min(1.0, binomial_two_sided(b, c)), rel=1e-9)
    assert test.difference == pytest.approx(second.mean() - first.mean())
    assert mcnemar(second, first).p_value == pytest.approx(test.p_value)


def test_mcnemar_of_equal_runs_is_one() -> None:
    hits = np.array([True, False])
    assert mcnemar(hits, hits).p_value == 1.0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.ones(3, bool), np.ones(2, bool)),
        (np.zeros(0, bool), np.zeros(0, bool)),
        (np.ones(3), np.ones(3)),
    ],
)
def test_mcnemar_bad_input(first: np.ndarray, second: np.ndarray) -> None:
    with pytest.raises(ValueError, match="hits"):
        mcnemar(first, second)
