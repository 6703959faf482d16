from __future__ import annotations

import numpy as np
import pytest

from gspmc_mm.evaluation import Predictions, PredictionsError
from gspmc_mm.evaluation.estimates import estimate_accuracy
from gspmc_mm.evaluation.intervals import wilson_interval
from gspmc_mm.evaluation.paired import paired_difference, per_class_difference, verdict_of, verdict_sentence

CLIPS, CLASSES = 120, 4


def run_with(share: float, seed: int, signers: int = 10) -> Predictions:
    """A run that has about this share of its clips right."""
    rng = np.random.default_rng(seed)
    labels = np.arange(CLIPS) % CLASSES
    said = np.where(rng.random(CLIPS) < share, labels, (labels + 1) % CLASSES)
    scores = np.full((CLIPS, CLASSES), 0.1)
    scores[np.arange(CLIPS), said] = 0.7
    ids = np.array([f"c{i:03d}" for i in range(CLIPS)])
    return Predictions(ids, labels, scores, np.array([f"s{i % signers}" for i in range(CLIPS)]))


def test_a_large_difference_is_more_than_noise() -> None:
    first = {seed: run_with(0.3, seed) for seed in range(3)}
    second = {seed: run_with(0.9, 10 + seed) for seed in range(3)}
    difference = paired_difference(first, second, draws=500)
    shares = [[float(run.hits(1).mean()) for run in runs.values()] for runs in (first, second)]
    assert difference.mean == pytest.approx(np.mean(shares[1]) - np.mean(shares[0]))
    assert difference.std == pytest.approx(np.std(np.subtract(shares[1], shares[0]), ddof=1))
    assert len(difference.pairs) == 3
    assert difference.low_seeds is not None
    assert verdict_of(difference) == "second"
    sentence = verdict_sentence("baseline", "ours", difference, 10)
    assert sentence.startswith("ours is better than baseline by ")
    assert "more than noise" in sentence
    assert "10 signers and 3 and 3 seeds" in sentence
    assert "below 0.05 in 3 of 3 pairs" in sentence
    back = paired_difference(second, first, draws=500)
    assert verdict_of(back) == "first"
    assert "ours is worse than baseline" in verdict_sentence("baseline", "ours", back, 10)


def test_the_same_skill_is_noise() -> None:
    difference = paired_difference({0: run_with(0.6, 1)}, {0: run_with(0.6, 2)}, draws=500)
    assert verdict_of(difference) == "noise"
    assert difference.std is difference.low_seeds is None
    sentence = verdict_sentence("a", "b", difference, 10)
    assert "not more than noise" in sentence
    assert sentence.count(".") - sentence.count("0.") <= 6  # one sentence: dots of numbers and the end


def test_other_seeds_are_compared_each_with_each() -> None:
    difference = paired_difference({0: run_with(0.6, 1)}, {s: run_with(0.6, s) for s in (5, 6)}, draws=200)
    assert [(pair.first_seed, pair.second_seed) for pair in difference.pairs] == [(0, 5), (0, 6)]
    assert difference.std is None


def test_seeds_that_disagree_make_it_noise() -> None:
    # Over signers alone this looks sure; one of two seeds has no gain at all.
    same = run_with(0.5, 1)
    difference = paired_difference({0: same, 1: same}, {0: run_with(1.0, 2), 1: same}, draws=2000)
    assert difference.low > 0
    assert difference.low_seeds == 0.0
    assert verdict_of(difference) == "noise"


def test_the_difference_in_mean_accuracy_of_the_classes() -> None:
    """Drawn signer by signer in a loop, the classes that a draw lacks left out on both sides."""
    first, second = ({seed: run_with(share, 20 * k + seed) for seed in range(2)} for k, share in enumerate((0.4, 0.7)))
    # A class that few signers sign, so that draws differ in their classes.
    keep = np.flatnonzero((first[0].label != 0) | np.isin(first[0].signer, ["s0", "s3"]))
    first, second = ({seed: run.take(keep) for seed, run in side.items()} for side in (first, second))
    found = per_class_difference(first, second, draws=400, bootstrap_seed=1)
    clips = first[0]

    def mean_over_classes(side: dict[int, Predictions], weights: np.ndarray) -> float:
        hits = np.mean([run.hits(1) for run in side.values()], axis=0)
        shares = [
            np.average(hits[clips.label == c], weights=weights[clips.label == c])
            for c in range(CLASSES)
            if weights[clips.label == c].sum()
        ]
        return float(np.mean(shares))

    once = np.ones(len(clips))
    assert found.value == pytest.approx(mean_over_classes(second, once) - mean_over_classes(first, once))
    assert found.low < found.value < found.high
    names = np.unique(clips.signer)
    rng = np.random.default_rng(1)
    drawn = []
    for chosen in rng.integers(len(names), size=(400, len(names))):
        weights = np.array([(names[chosen] == signer).sum() for signer in clips.signer], dtype=float)
        drawn.append(mean_over_classes(second, weights) - mean_over_classes(first, weights))
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])))


def test_the_sentence_says_what_one_seed_leaves_out() -> None:
    one, three = {0: run_with(0.3, 0)}, {seed: run_with(0.9, 10 + seed) for seed in range(3)}
    sentence = verdict_sentence("a", "b", paired_difference(one, {0: three[0]}, draws=200), 10)
    assert "one seed each, whose luck is not in these figures" in sentence
    assert "one seed" not in verdict_sentence("a", "b", paired_difference(one, three, draws=200), 10)


def test_the_sentence_says_that_few_signers_know_little_about_others() -> None:
    first, second = {0: run_with(0.3, 0, signers=2)}, {0: run_with(0.9, 1, signers=2)}
    sentence = verdict_sentence("a", "b", paired_difference(first, second, draws=200), 2)
    assert "over 2 signers with their clips leaves out 0" in sentence
    assert sentence.endswith("; 2 signers say little about others).")
    assert estimate_accuracy(first).interval == "signers and clips"


def test_other_clips_are_refused() -> None:
    with pytest.raises(PredictionsError, match="missing: c119"):
        paired_difference({0: run_with(0.5, 1)}, {0: run_with(0.5, 2).take(range(119))})
    with pytest.raises(ValueError, match="at least two"):
        paired_difference({0: run_with(0.5, 1, signers=1)}, {0: run_with(0.5, 2, signers=1)})


def test_estimates_say_which_interval_they_have() -> None:
    runs = {seed: run_with(0.7, seed) for seed in range(3)}
    found = estimate_accuracy(runs)
    shares = [float(run.hits(1).mean()) for run in runs.values()]
    assert (found.clips, found.seeds, found.interval) == (CLIPS, 3, "signers")
    assert found.mean == pytest.approx(np.mean(shares))
    assert found.std == pytest.approx(np.std(shares, ddof=1))
    assert found.per_class == pytest.approx(np.mean(shares))  # as many clips of every class
    assert found.low < found.mean < found.high
    assert found.per_class_low < found.per_class < found.per_class_high
    alone = run_with(0.7, 0, signers=1)
    wilson = estimate_accuracy({0: alone})
    assert (wilson.low, wilson.high) == wilson_interval(int(alone.hits(1).sum()), CLIPS)
    assert (wilson.interval, wilson.std, wilson.per_class_low) == ("wilson", None, None)
