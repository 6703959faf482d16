from __future__ import annotations

import numpy as np
import pytest

from gspmc_mm.evaluation import per_class_accuracy
from gspmc_mm.evaluation.signer_bootstrap import (
    FEW_SIGNERS,
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_per_class,
    what_is_drawn,
)


def some_runs(seeds: int = 1, clips: int = 60, signers: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    who = rng.integers(signers, size=clips)
    who[:signers] = np.arange(signers)  # everybody signs something
    skill = rng.random(signers)
    return rng.random((seeds, clips)) < skill[who], np.char.add("s", who.astype(str))


def slow_bootstrap(first: np.ndarray, second: np.ndarray, signers: np.ndarray, draws: int, seeds: bool) -> list[float]:
    """Draw signers, put all clips of each into a list, once for each time that the signer was drawn."""
    names = sorted(set(signers.tolist()))
    rng = np.random.default_rng(0)
    drawn = rng.integers(len(names), size=(draws, len(names)))
    of_second = rng.integers(len(second), size=(draws, len(second))) if seeds else None
    of_first = rng.integers(len(first), size=(draws, len(first))) if seeds else None
    values = []
    for i in range(draws):
        clips = [clip for who in drawn[i] for clip in np.flatnonzero(signers == names[who])]
        b = [second[seed][clips].mean() for seed in (of_second[i] if seeds else range(len(second)))]
        a = [first[seed][clips].mean() for seed in (of_first[i] if seeds else range(len(first)))]
        values.append(float(np.mean(b) - np.mean(a)))
    return values


@pytest.mark.parametrize("draw_seeds", [False, True])
def test_difference_equals_the_slow_draws(draw_seeds: bool) -> None:
    first, signers = some_runs(seeds=2)
    second = ~some_runs(seeds=3)[0]
    found = bootstrap_difference(first, second, signers, draws=300, draw_seeds=draw_seeds)
    values = slow_bootstrap(first, second, signers, 300, draw_seeds)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))
    assert found.value == pytest.approx(second.mean() - first.mean())
    assert (found.signers, found.draws) == (12, 300)


def test_mean_is_the_difference_to_nothing() -> None:
    hits, signers = some_runs()
    found = bootstrap_mean(hits[0], signers, draws=200)
    values = slow_bootstrap(np.zeros_like(hits), hits, signers, 200, False)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))
    assert found.value == pytest.approx(hits.mean())


def test_per_class_equals_the_slow_draws() -> None:
    hits, signers = some_runs(seeds=2)
    labels = np.random.default_rng(8).integers(9, size=60)
    names = sorted(set(signers.tolist()))
    values = []
    for chosen in np.random.default_rng(0).integers(len(names), size=(200, len(names))):
        shares: dict[int, list[float]] = {}
        for who in chosen:
            for clip in np.flatnonzero(signers == names[who]):
                shares.setdefault(int(labels[clip]), []).append(hits[:, clip].mean())
        values.append(np.mean([np.mean(of_class) for of_class in shares.values()]))
    found = bootstrap_per_class(hits, labels, signers, draws=200)
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))
    assert found.value == pytest.approx(np.mean([per_class_accuracy(row, labels, 9) for row in hits]))
    with pytest.raises(ValueError, match="60 clips and 2 labels"):
        bootstrap_per_class(hits, labels[:2], signers)


def slow_draws_of_signers_and_clips(signers: np.ndarray, draws: int) -> list[list[int]]:
    """Draw signers, then of every drawn signer as many of its clips as it has, both with replacement."""
    rng = np.random.default_rng(5)
    names = sorted(set(signers.tolist()))
    drawn = []
    for _ in range(draws):
        clips: list[int] = []
        for name in rng.choice(names, size=len(names)):
            mine = np.flatnonzero(signers == name)
            clips += rng.choice(mine, size=len(mine)).tolist()
        drawn.append(clips)
    return drawn


@pytest.mark.parametrize("signers", [2, 3, FEW_SIGNERS - 1])
def test_of_few_signers_the_clips_are_drawn_as_well(signers: int) -> None:
    first, who = some_runs(seeds=2, clips=41, signers=signers)
    second = ~some_runs(seeds=3, clips=41, signers=signers)[0]
    labels = np.random.default_rng(8).integers(4, size=41)
    gap, mean = second.mean(axis=0) - first.mean(axis=0), first.mean(axis=0)
    drawn = slow_draws_of_signers_and_clips(who, 6000)
    per_class = [[mean[np.array(c)[labels[c] == k]].mean() for k in set(labels[c].tolist())] for c in drawn]
    for found, values in (
        (bootstrap_difference(first, second, who), [gap[clips].mean() for clips in drawn]),
        (bootstrap_mean(first, who), [mean[clips].mean() for clips in drawn]),
        (bootstrap_per_class(first, labels, who), [np.mean(shares) for shares in per_class]),
    ):
        assert (found.low, found.high) == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])), abs=0.025)
        assert found.signers == signers


def test_two_signers_alone_do_not_make_a_lucky_clip_sure() -> None:
    # Either signer gains one clip of ten: over signers alone the gain would be [0.1, 0.1].
    signers = np.repeat(np.array(["a", "b"]), 10)
    first, second = np.zeros(20, bool), np.arange(20) % 10 == 0
    found = bootstrap_difference(first, second, signers)
    assert found.value == pytest.approx(0.1)
    assert found.low == 0.0
    assert found.high > 0.2
    # As many signers as are not few: each with one such clip of ten, they are drawn alone.
    many = np.repeat(np.array([f"s{i}" for i in range(FEW_SIGNERS)]), 10)
    sure = bootstrap_difference(np.zeros(len(many), bool), np.arange(len(many)) % 10 == 0, many)
    assert (sure.low, sure.high) == pytest.approx((0.1, 0.1))
    assert [what_is_drawn(n) for n in (2, FEW_SIGNERS - 1, FEW_SIGNERS)] == [*["signers and clips"] * 2, "signers"]


def test_clips_of_one_signer_are_no_independent_witnesses() -> None:
    # Four signers, each right in all clips or in none: twenty times the clips tell nothing more.
    signers = np.repeat(np.array(list("abcd")), 5)
    hits = np.repeat([True, False, True, False], 5)
    few = bootstrap_mean(hits, signers)
    many = bootstrap_mean(np.repeat(hits, 20), np.repeat(signers, 20))
    assert (few.low, few.high) == pytest.approx((many.low, many.high))
    assert many.low == 0.0


def test_the_same_seed_gives_the_same_interval_and_another_one_another() -> None:
    hits, signers = some_runs()
    assert bootstrap_mean(hits, signers, draws=99) == bootstrap_mean(hits, signers, draws=99)
    assert bootstrap_mean(hits, signers, draws=99) != bootstrap_mean(hits, signers, draws=99, seed=1)


def test_drawing_the_seeds_too_makes_the_interval_wider_where_seeds_differ() -> None:
    signers = np.array(list("abcdef"))
    first = np.zeros((2, 6), bool)
    second = np.stack([np.ones(6, bool), np.zeros(6, bool)])
    over_signers = bootstrap_difference(first, second, signers)
    both = bootstrap_difference(first, second, signers, draw_seeds=True)
    assert (over_signers.low, over_signers.high) == (0.5, 0.5)
    assert (both.low, both.high) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("signers", "words"),
    [
        (["a"] * 4, "at least two"),
        (["a", "b", "", ""], "2 of 4 clips have no signer"),
        (["a", "b"], "one signer for each of 4 clips"),
    ],
)
def test_bad_signers(signers: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        bootstrap_mean(np.ones(4, bool), np.array(signers))


def test_bad_hits() -> None:
    with pytest.raises(ValueError, match="4 and 3 clips"):
        bootstrap_difference(np.ones(4, bool), np.ones(3, bool), np.array(list("aabb")))
    with pytest.raises(ValueError, match="NaN"):
        bootstrap_mean(np.array([np.nan, 1.0]), np.array(["a", "b"]))
    with pytest.raises(ValueError, match="draws"):
        bootstrap_mean(np.ones(2, bool), np.array(["a", "b"]), draws=0)
