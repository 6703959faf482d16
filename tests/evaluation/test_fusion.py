from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from gspmc_mm.evaluation import Predictions, PredictionsError
from gspmc_mm.evaluation.fusion import (
    check_validation,
    common_clips,
    fit_weights,
    fixed_weights,
    fuse,
    normalised,
)

CLASSES = 5


def stream(seed: int, clips: int = 40, skill: float = 1.0, prefix: str = "clip") -> Predictions:
    """Probabilities that lean to the true class by `skill`; the labels are the same for all seeds."""
    labels = np.random.default_rng(0).integers(CLASSES, size=clips)
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(clips, CLASSES))
    logits[np.arange(clips), labels] += skill
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    ids = np.array([f"{prefix}{i:03d}" for i in range(clips)])
    return Predictions(ids, labels, scores, np.array([f"{prefix}-s{i % 4}" for i in range(clips)]))


def test_fusion_is_the_weighted_mean_clip_by_clip_id() -> None:
    runs = {"j": stream(1), "b": stream(2).take(np.random.default_rng(5).permutation(40))}
    fused = fuse(runs, [2, 1])
    b = dict(zip(runs["b"].clip_id.tolist(), runs["b"].scores, strict=True))
    for i, clip in enumerate(runs["j"].clip_id.tolist()):
        where = fused.clip_id.tolist().index(clip)
        assert fused.scores[where] == pytest.approx((2 * runs["j"].scores[i] + b[clip]) / 3, abs=1e-6)
        assert fused.label[where] == runs["j"].label[i]
    assert fused.info["weights"] == pytest.approx([2 / 3, 1 / 3])


def test_the_weights_of_the_paper() -> None:
    assert fixed_weights(["j", "b", "jm", "bm"]) == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6])
    assert fixed_weights(["bm", "j"]) == pytest.approx([1 / 3, 2 / 3])
    with pytest.raises(ValueError, match="no fixed weight for stream rgb"):
        fixed_weights(["j", "rgb"])


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0], [0.0, 0.0], [1.0, float("nan")]])
def test_weights_that_are_none(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        normalised(weights, 2)


@pytest.mark.parametrize("prior_clips", [0.0, 20.0])
def test_fitted_weights_are_the_most_likely_ones(prior_clips: float) -> None:
    runs = {"j": stream(1, 300, 2.0), "b": stream(2, 300, 1.5), "jm": stream(3, 300, 0.5)}
    prior = np.array([0.4, 0.4, 0.2])
    true = np.stack([run.scores[np.arange(300), run.label] for run in runs.values()]).astype(float)

    def loss(weights: np.ndarray) -> float:
        lean = prior_clips * (prior * np.log(weights)).sum()
        return -np.log(weights @ true).sum() - lean

    slow = minimize(
        loss,
        np.full(3, 1 / 3),
        method="SLSQP",
        bounds=[(1e-9, 1)] * 3,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    fitted = fit_weights(runs, prior, prior_clips)
    assert fitted.sum() == pytest.approx(1)
    assert fitted == pytest.approx(slow.x, abs=2e-3)
    assert loss(np.maximum(fitted, 1e-300)) <= slow.fun + 1e-4


def test_the_better_stream_gets_more_and_few_clips_stay_near_the_prior() -> None:
    good_and_bad = {"j": stream(1, 400, 3.0), "b": stream(2, 400, 0.0)}
    assert fit_weights(good_and_bad)[0] > 0.8
    few = {name: run.take(range(2)) for name, run in good_and_bad.items()}
    assert abs(fit_weights(few)[0] - 0.5) < 0.1


def test_a_clip_that_all_streams_are_sure_to_have_wrong_is_survived() -> None:
    scores = np.array([[1.0, 0.0], [0.0, 1.0]])
    runs = {
        name: Predictions(np.array(["a", "b"]), np.array([1, 1]), scores, np.array(["s", "t"])) for name in ("j", "b")
    }
    assert np.isfinite(fit_weights(runs)).all()


def test_logits_are_refused() -> None:
    run = stream(1)
    raw = Predictions(run.clip_id, run.label, 10 * run.scores, run.signer)
    with pytest.raises(ValueError, match="stream b: no class probabilities"):
        fuse({"j": run, "b": raw}, [1, 1])
    with pytest.raises(ValueError, match=r"stream b \(validation\)"):
        fit_weights({"j": run, "b": raw})


def test_fitting_on_test_clips_is_refused() -> None:
    test = {"j": stream(1), "b": stream(2)}
    half = {name: run.take([39]) for name, run in test.items()}
    with pytest.raises(PredictionsError, match=r"1 of 1 clips to fit on are test clips \(clip039\)"):
        check_validation(half, test)
    with pytest.raises(PredictionsError, match="they need the same"):
        check_validation({"j": stream(1, prefix="val")}, test)
    assert check_validation({name: stream(3, prefix="val") for name in test}, test) == []


def test_signers_of_the_validation_who_are_tested_are_named() -> None:
    test = {"j": stream(1)}
    other = stream(4, prefix="val")
    fit = {"j": Predictions(other.clip_id, other.label, other.scores, np.array(["clip-s1", "new"] * 20))}
    assert check_validation(fit, test) == ["clip-s1"]


def test_common_clips() -> None:
    kept, lacking = common_clips({"j": stream(1), "b": stream(2).take(range(2, 40))})
    assert len(kept["j"]) == len(kept["b"]) == 38
    assert lacking == {"b": ["clip000", "clip001"]}
    with pytest.raises(PredictionsError, match="no clip is in all of j, b"):
        common_clips({"j": stream(1), "b": stream(1, prefix="other")})
