"""Late fusion of streams: a weighted mean of class probabilities, weights fixed in advance or fitted on validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .calibration import check_probabilities
from .predictions import Predictions, PredictionsError, align, name_some

# GSP-MC fuses joint, bone, joint motion and bone motion as 2 : 2 : 1 : 1.
FIXED_WEIGHTS = {"j": 2.0, "b": 2.0, "jm": 1.0, "bm": 1.0}
# The fit starts from the fixed weights as if they had been seen on so many validation clips.
PRIOR_CLIPS = 20.0
_TINY = 1e-12


def normalised(weights: Sequence[float], count: int) -> np.ndarray:
    """Weights that sum to 1.

    Raises:
        ValueError: Not one finite weight of at least 0 for each of `count` streams, or all of them 0.
    """
    values = np.asarray(weights, dtype=np.float64)
    if values.shape != (count,):
        raise ValueError(f"expected {count} weights, one for each stream, found {values.size}")
    if not np.isfinite(values).all() or (values < 0).any() or values.sum() <= 0:
        raise ValueError(f"weights are finite, not negative and not all 0, found {values.tolist()}")
    return values / values.sum()


def fixed_weights(streams: Sequence[str]) -> np.ndarray:
    """The paper's weights of streams called j, b, jm, bm, as shares.

    Raises:
        ValueError: A stream of another name.
    """
    unknown = [name for name in streams if name not in FIXED_WEIGHTS]
    if unknown:
        raise ValueError(
            f"no fixed weight for stream {', '.join(unknown)}: call the streams j, b, jm, bm or give weights"
        )
    return normalised([FIXED_WEIGHTS[name] for name in streams], len(streams))


def fuse(streams: Mapping[str, Predictions], weights: Sequence[float]) -> Predictions:
    """Weighted mean of the class probabilities, clip by clip id.

    Args:
        streams: Class probabilities by name, about the same clips in any order.
        weights: One for each stream; only their ratios matter.

    Raises:
        PredictionsError: Other clips, labels or classes; the missing clips are named.
        ValueError: Weights that are none, or scores that are no probabilities.
    """
    shares = normalised(weights, len(streams))
    aligned = align(streams)
    for name, run in aligned.items():
        check_probabilities(run.scores, f"stream {name}")
    first = next(iter(aligned.values()))
    scores = sum(w * run.scores.astype(np.float64) for w, run in zip(shares, aligned.values(), strict=True))
    info = {"streams": {name: dict(run.info) for name, run in aligned.items()}, "weights": shares.tolist()}
    return Predictions(first.clip_id, first.label, scores, first.signer, first.classes, info)


def fit_weights(
    streams: Mapping[str, Predictions],
    prior: Sequence[float] | None = None,
    prior_clips: float = PRIOR_CLIPS,
    tolerance: float = 1e-10,
    max_steps: int = 20_000,
) -> np.ndarray:
    """Weights on the simplex under which the true classes of validation clips are most likely.

    Maximises sum_n log(sum_s w_s p_s(y_n | x_n)) + prior_clips * sum_s prior_s log(w_s). The objective is concave, so
    there is one maximum; expectation maximisation climbs to it without a step size (Dempster, Laird and Rubin 1977).
    The second term keeps weights near the prior where there are few clips, and a stream above 0.

    Args:
        streams: Class probabilities on validation clips, by name.
        prior: Weights to start from and to lean on; equal ones by default.
        prior_clips: How many clips the prior counts for, at least 0.
        tolerance: Stop when no weight moves by more.
        max_steps: At most so many steps.

    Returns:
        (S,) weights that sum to 1.

    Raises:
        PredictionsError: The streams are not about the same clips.
        ValueError: Scores that are no probabilities, or a prior that is none.
    """
    aligned = align(streams)
    for name, run in aligned.items():
        check_probabilities(run.scores, f"stream {name} (validation)")
    count = len(aligned)
    lean = normalised(np.ones(count) if prior is None else prior, count)
    if prior_clips < 0:
        raise ValueError(f"prior_clips is at least 0, found {prior_clips}")
    labels = next(iter(aligned.values())).label
    true = np.stack([run.scores[np.arange(len(run)), run.label] for run in aligned.values()]).astype(np.float64)
    true = np.maximum(true, _TINY)  # (S, N); a clip that every stream is sure to have wrong must not end in 0 / 0
    weights = lean.copy()
    for _ in range(max_steps):
        joint = weights[:, None] * true
        new = (joint / joint.sum(axis=0)).sum(axis=1) + prior_clips * lean
        new /= len(labels) + prior_clips
        moved, weights = np.abs(new - weights).max(), new
        if moved < tolerance:
            break
    return weights


def check_validation(
    fit: Mapping[str, Predictions], test: Mapping[str, Predictions], where: str = "--fit"
) -> list[str]:
    """Refuse to fit weights on clips that are tested; names the signers of the validation who are tested too.

    Args:
        fit: Predictions to fit on, by stream.
        test: Predictions to report, by stream.
        where: What the message calls the first.

    Returns:
        Signers of the validation clips who are in the test as well (not refused: a split may be by clip).

    Raises:
        PredictionsError: Other streams or classes, or a validation clip that is among the test clips.
    """
    if set(fit) != set(test):
        raise PredictionsError(f"{where} has streams {sorted(fit)}, the test {sorted(test)}: they need the same")
    fit_clips = {clip for run in fit.values() for clip in run.clip_id.tolist()}
    test_clips = {clip for run in test.values() for clip in run.clip_id.tolist()}
    if shared := fit_clips & test_clips:
        raise PredictionsError(
            f"{where}: {len(shared)} of {len(fit_clips)} clips to fit on are test clips ({name_some(shared)}): weights "
            "fitted on what is reported are refused; predict a validation split"
        )
    for name, run in fit.items():
        other = test[name]
        if run.num_classes != other.num_classes or (run.classes and other.classes and run.classes != other.classes):
            raise PredictionsError(f"{where}: stream {name} has other classes than in the test")
    fit_signers = {signer for run in fit.values() for signer in run.signer.tolist()}
    return sorted((fit_signers & {signer for run in test.values() for signer in run.signer.tolist()}) - {""})


def common_clips(streams: Mapping[str, Predictions]) -> tuple[dict[str, Predictions], dict[str, list[str]]]:
    """Keep the clips that every stream has.

    Returns:
        The streams, and for each the clips that others have and it lacks (streams that lack none are left out).

    Raises:
        PredictionsError: No clip is in all of them.
    """
    clips = {name: set(run.clip_id.tolist()) for name, run in streams.items()}
    shared, everything = set.intersection(*clips.values()), set.union(*clips.values())
    if not shared:
        raise PredictionsError(f"no clip is in all of {', '.join(streams)}: predictions of different splits?")
    kept = {
        name: run.take([i for i, clip in enumerate(run.clip_id.tolist()) if clip in shared])
        for name, run in streams.items()
    }
    return kept, {name: sorted(everything - mine) for name, mine in clips.items() if everything - mine}
