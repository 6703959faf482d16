"""Streams of several seeds and folds put together: weights for every training, fused scores, the record of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .calibration import reliability
from .estimates import estimate_accuracy
from .fusion import FIXED_WEIGHTS, check_validation, common_clips, fit_weights, fixed_weights, fuse, normalised
from .predictions import Predictions, PredictionsError, name_some
from .results import FusionRecord, FusionRow, Published
from .run_files import Run, Source, check_different, recorded_split, recorded_training, seeds_of_all
from .signer_independence import independence_of_records

_UNSEEN = (
    "weights are fitted on clips that the networks have not seen: train on a split without them (gsp35_fit and "
    "gsp35_val, foldK_fit and foldK_val) and predict those"
)


@dataclass(frozen=True)
class Weighting:
    """How streams are weighted.

    Attributes:
        weights: By seed and fold; (S,) shares in the order of the streams.
        fitted_on: What they were fitted on; empty where they are fixed in advance.
        seen_signers: Signers of the validation who are tested as well.
        unchecked: Validation files of which nobody can say by clip what their networks were trained on.
    """

    weights: Mapping[tuple[int, int], np.ndarray]
    fitted_on: str = ""
    seen_signers: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def mean(self) -> np.ndarray:
        """(S,) mean over seeds and folds."""
        return np.mean(list(self.weights.values()), axis=0)


@dataclass
class Fused:
    """Streams and their fusion by seed, on the same clips, with what was left out."""

    streams: dict[str, dict[int, Predictions]]
    fused: dict[int, Predictions]
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)


def fixed_weighting(streams: Sequence[Source], weights: Sequence[float] | None = None) -> Weighting:
    """The same weights for all; 2 : 2 : 1 : 1 for j, b, jm, bm where none are given.

    Raises:
        ValueError: See `fixed_weights` and `normalised`.
        PredictionsError: Streams with other seeds or folds.
    """
    names = [stream.name for stream in streams]
    shares = fixed_weights(names) if weights is None else normalised(weights, len(names))
    return Weighting(dict.fromkeys(_trainings(streams), shares))


def fitted_weighting(
    streams: Sequence[Source], fit: Sequence[Source], what: str, prior: Sequence[float] | None = None
) -> Weighting:
    """Weights from validation predictions of the same trainings: those of seed s, fold k from the validation of s, k.

    Where the validation is not in folds and the test is, one set of weights is fitted for all folds, and no clip of it
    may be tested in any of them.

    Args:
        streams: What is reported.
        fit: Validation predictions, streams of the same names.
        what: What the validation is called.
        prior: Weights to lean on, see `fit_weights`; the fixed ones of j, b, jm, bm by default, equal ones for others.

    Raises:
        PredictionsError: Fitting on what is reported (by clip, or by the split that is recorded) or on what was
            trained on (the same), or seeds, folds, streams that do not fit.
    """
    refuse_test_split(streams, fit, what)
    unchecked = refuse_training_clips(fit, what)
    names, fit_by_name = [source.name for source in streams], {source.name: source for source in fit}
    if set(fit_by_name) != set(names):
        raise PredictionsError(f"--fit {what}: streams {sorted(fit_by_name)}, the test has {sorted(names)}")
    fit = [fit_by_name[name] for name in names]
    if prior is None and set(names) <= set(FIXED_WEIGHTS):
        prior = fixed_weights(names)
    keys, fit_keys = _trainings(streams), _trainings(fit)
    by_fold = set(fit_keys) == set(keys)
    if not by_fold and {seed for seed, _ in fit_keys} != {seed for seed, _ in keys}:
        raise PredictionsError(f"--fit {what}: seeds and folds {fit_keys}, the test has {keys}: they need the same")
    if not by_fold and len({fold for _, fold in fit_keys}) > 1:
        raise PredictionsError(f"--fit {what}: folds {fit_keys} do not fit the test's {keys}")
    fit_fold = fit_keys[0][1]
    weights, seen = {}, set()
    for seed, fold in keys:
        validation = {s.name: s.runs[seed].folds[fold if by_fold else fit_fold] for s in fit}
        test = {s.name: s.runs[seed].folds[fold] for s in streams}
        where = f"--fit {what}, seed {seed} fold {fold}"
        seen |= set(check_validation(validation, test, where))
        check_different(validation)
        weights[seed, fold] = fit_weights(validation, prior)
    return Weighting(weights, what, tuple(sorted(seen)), unchecked)


def refuse_test_split(streams: Sequence[Source], fit: Sequence[Source], what: str) -> None:
    """Refuse validation predictions that are recorded as those of a test split.

    Raises:
        PredictionsError: Their split is called `test`, ends in `_test`, or is the one that is reported.
    """
    reported = {
        recorded_split(path, run.folds[fold])
        for source in streams
        for run in source.runs.values()
        for fold, path in run.files.items()
    }
    for source in fit:
        for run in source.runs.values():
            for fold, path in run.files.items():
                split = recorded_split(path, run.folds[fold])
                if split is not None and (split in reported or _names_a(split, "test")):
                    raise PredictionsError(
                        f"--fit {what}: {path} is about the split {split!r}, a test split: weights fitted on what is "
                        "reported are refused; predict a validation split"
                    )


def refuse_training_clips(fit: Sequence[Source], what: str) -> tuple[str, ...]:
    """Refuse validation predictions of clips that their own networks were trained on: there every stream is right.

    Returns:
        The files of which that cannot be said by clip: no record of the training, or its pose store is not at hand.

    Raises:
        PredictionsError: Their split is called a training split, is one that the network was trained on, or shares
            clips with it.
    """
    unchecked = []
    for source in fit:
        for run in source.runs.values():
            for fold, path in run.files.items():
                predictions = run.folds[fold]
                split, trained = recorded_split(path, predictions), recorded_training(path, predictions)
                where = f"--fit {what}: {path}"
                if split is not None and _names_a(split, "train"):
                    raise PredictionsError(f"{where} is about the split {split!r}, a training split; {_UNSEEN}")
                if trained is None or trained.clips is None:
                    unchecked.append(str(path))
                if trained is None:
                    continue
                if split is not None and set(split.split(" + ")) & set(trained.splits):
                    raise PredictionsError(f"{where} is about {split!r}, which its network was trained on; {_UNSEEN}")
                if shared := (trained.clips or frozenset()) & set(predictions.clip_id.tolist()):
                    raise PredictionsError(
                        f"{where}: {len(shared)} of {len(predictions)} clips ({name_some(shared)}) are in "
                        f"{', '.join(trained.splits)}, which its network was trained on; {_UNSEEN}"
                    )
    return tuple(unchecked)


def _names_a(split: str, part: str) -> bool:
    """Whether a split, or one of several joined by +, is called `test` (or `train`), or ends so."""
    return any(name == part or name.endswith(f"_{part}") for name in split.split(" + "))


def fuse_sources(streams: Sequence[Source], weighting: Weighting, intersect: bool = False) -> Fused:
    """Fuse every seed and fold with its weights, then pool the folds.

    Args:
        streams: At least two.
        weighting: Weights of every seed and fold.
        intersect: Leave out clips that not every stream has instead of refusing them.

    Raises:
        PredictionsError: Missing clips (named), other labels or classes, the same scores twice, no two streams.
        ValueError: Scores that are no probabilities.
    """
    if len(streams) < 2:
        raise PredictionsError(f"fusion needs at least two streams, found {len(streams)}")
    names = [stream.name for stream in streams]
    left_out: dict[str, set[str]] = {}
    alone: dict[str, dict[int, dict[int, Predictions]]] = {name: {} for name in names}
    fused: dict[int, dict[int, Predictions]] = {}
    for seed, fold in _trainings(streams):
        runs = {stream.name: stream.runs[seed].folds[fold] for stream in streams}
        check_different(runs)
        if intersect:
            runs, lacking = common_clips(runs)
            for name, clips in lacking.items():
                left_out.setdefault(name, set()).update(clips)
        else:
            _check_no_clip_lacks(runs, f"seed {seed} fold {fold}")
        fused.setdefault(seed, {})[fold] = fuse(runs, weighting.weights[seed, fold])
        for name, run in runs.items():
            alone[name].setdefault(seed, {})[fold] = run
    return Fused(
        streams={name: {seed: Run(f, {}).pooled() for seed, f in seeds.items()} for name, seeds in alone.items()},
        fused={seed: Run(folds, {}).pooled() for seed, folds in fused.items()},
        left_out={name: tuple(sorted(clips)) for name, clips in left_out.items()},
    )


def fusion_record(
    title: str,
    streams: Sequence[Source],
    result: Fused,
    weighting: Weighting,
    provenance: Mapping[str, object],
    data: str = "",
    published: Sequence[Published] = (),
    note: str = "",
) -> FusionRecord:
    """Everything that is said about a fusion; `note` stands below the table."""
    shares = weighting.mean
    seconds = [stream.seconds for stream in streams]
    if weighting.seen_signers:
        note += (
            f" {len(weighting.seen_signers)} signers of the validation clips are in the test as well: "
            f"{name_some(weighting.seen_signers)}."
        )
    if weighting.unchecked:
        note += (
            f" That the weights were fitted on clips which the networks have not seen is not known by clip for "
            f"{len(weighting.unchecked)} files: {name_some(weighting.unchecked)}."
        )
    return FusionRecord(
        title=title,
        provenance=dict(provenance),
        note=note.strip(),
        independence=independence_of_records([record for stream in streams for record in stream.records]),
        seconds=None if any(value is None for value in seconds) else sum(seconds),
        data=data,
        seeds=tuple(result.fused),
        weighting="fitted" if weighting.fitted_on else "fixed",
        fitted_on=weighting.fitted_on,
        fold_weights={
            f"seed {seed} fold {fold}": tuple(weights.tolist()) for (seed, fold), weights in weighting.weights.items()
        }
        if weighting.fitted_on
        else {},
        streams=tuple(
            fusion_row(
                stream.name, result.streams[stream.name], [str(path) for path in stream.files], float(shares[number])
            )
            for number, stream in enumerate(streams)
        ),
        fused=fusion_row("fused", result.fused),
        left_out=result.left_out,
        published=tuple(published),
    )


def fusion_row(
    name: str, runs: Mapping[int, Predictions], files: Sequence[str] = (), weight: float | None = None
) -> FusionRow:
    """Accuracy and calibration of one stream or of the fusion."""
    return FusionRow(
        name=name,
        files=tuple(files),
        weight=weight,
        top1=estimate_accuracy(runs, 1),
        top5=estimate_accuracy(runs, 5),
        ece=float(np.mean([reliability(run.scores, run.label).ece for run in runs.values()])),
    )


def _check_no_clip_lacks(runs: Mapping[str, Predictions], where: str) -> None:
    everything = set().union(*(run.clip_id.tolist() for run in runs.values()))
    lacking = {name: everything - set(run.clip_id.tolist()) for name, run in runs.items()}
    text = "; ".join(
        f"stream {name} lacks {len(clips)}: {name_some(clips)}" for name, clips in lacking.items() if clips
    )
    if text:
        raise PredictionsError(
            f"{where}: not all streams have the same clips; {text}. Predict them, or leave them out with --intersect"
        )


def _trainings(streams: Sequence[Source]) -> list[tuple[int, int]]:
    """Seeds and folds, the same in all streams.

    Raises:
        PredictionsError: They are not.
    """
    seeds_of_all(streams)
    trainings = {
        stream.name: [(seed, fold) for seed, run in stream.runs.items() for fold in run.folds] for stream in streams
    }
    first = next(iter(trainings.values()))
    for name, keys in trainings.items():
        if keys != first:
            raise PredictionsError(f"stream {name} has (seed, fold) {keys}, {streams[0].name} has {first}")
    return first
