"""Accuracy of a run of one or several seeds, as the records of `results.py` hold it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .accuracy import per_class_accuracy
from .folds import mean_and_deviation
from .intervals import wilson_interval
from .predictions import Predictions, align
from .results import Accuracy
from .signer_bootstrap import bootstrap_mean, bootstrap_per_class, can_be_drawn, what_is_drawn


def estimate_accuracy(runs: Mapping[int, Predictions], k: int = 1, bootstrap_seed: int = 0) -> Accuracy:
    """Top-k accuracy with its interval, averaged over seeds.

    The interval is a bootstrap over signers (few: over their clips too) of the clips' averages over the seeds. Where
    signers are unknown or there is only one, it is Wilson's at the mean number of hits.

    Args:
        runs: Predictions on the same clips (all folds pooled), by seed.
        k: Top-k.
        bootstrap_seed: Of the draws.

    Raises:
        PredictionsError: No run, or runs that are not about the same clips.
    """
    aligned = list(align({f"seed {seed}": run for seed, run in runs.items()}).values())
    first = aligned[0]
    hits = np.stack([run.hits(k) for run in aligned])
    over_seeds = mean_and_deviation(hits.mean(axis=1))
    per_class = [per_class_accuracy(row, first.label, first.num_classes) for row in hits]
    per_class_low = per_class_high = None
    if can_be_drawn(first.signer):
        interval = bootstrap_mean(hits, first.signer, seed=bootstrap_seed)
        low, high, kind = interval.low, interval.high, what_is_drawn(interval.signers)
        over_classes = bootstrap_per_class(hits, first.label, first.signer, seed=bootstrap_seed)
        per_class_low, per_class_high = over_classes.low, over_classes.high
    else:
        low, high = wilson_interval(round(float(hits.sum(axis=1).mean())), len(first))
        kind = "wilson"
    return Accuracy(
        clips=len(first),
        mean=over_seeds["mean"],
        std=over_seeds["std"],
        seeds=len(aligned),
        low=low,
        high=high,
        interval=kind,
        per_class=float(np.mean(per_class)),
        per_class_low=per_class_low,
        per_class_high=per_class_high,
    )
