"""Two runs on the same clips: how far they lie apart, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from .estimates import estimate_accuracy
from .folds import mean_and_deviation
from .intervals import mcnemar
from .predictions import Predictions, PredictionsError, align
from .results import ComparisonRecord, Difference, SeedDifference
from .run_files import Source, check_different
from .signer_bootstrap import DRAWS, Interval, bootstrap_difference, bootstrap_per_class, what_is_drawn
from .signer_independence import independence_of_records

Verdict = Literal["first", "second", "noise"]


def paired_difference(
    first: Mapping[int, Predictions],
    second: Mapping[int, Predictions],
    k: int = 1,
    draws: int = DRAWS,
    bootstrap_seed: int = 0,
) -> Difference:
    """Second minus first in top-k, with intervals over signers (few: their clips too) and with McNemar.

    Seeds of the same number are paired; where the numbers differ, every seed of one stands beside every seed of the
    other, and there is no deviation over pairs (they share seeds).

    Args:
        first: Predictions by seed, the folds pooled.
        second: The same clips.
        k: Top-k.
        draws: Of the bootstrap.
        bootstrap_seed: Of its random numbers.

    Raises:
        PredictionsError: The runs are not about the same clips.
        ValueError: Unknown signers, or fewer than two.
    """
    mine, theirs, clips = _aligned_hits(first, second, k)
    paired = set(first) == set(second)
    pairs = []
    for a, b in [(s, s) for s in first] if paired else [(s, t) for s in first for t in second]:
        test = mcnemar(mine[list(first).index(a)], theirs[list(second).index(b)])
        pairs.append(
            SeedDifference(
                first_seed=a,
                second_seed=b,
                difference=test.difference,
                only_first=test.only_first,
                only_second=test.only_second,
                p_value=min(1.0, test.p_value),
            )
        )
    over_signers = bootstrap_difference(mine, theirs, clips.signer, draws=draws, seed=bootstrap_seed)
    low_seeds = high_seeds = None
    if len(mine) > 1 or len(theirs) > 1:
        both = bootstrap_difference(mine, theirs, clips.signer, draw_seeds=True, draws=draws, seed=bootstrap_seed)
        low_seeds, high_seeds = both.low, both.high
    return Difference(
        mean=over_signers.value,
        std=mean_and_deviation(pair.difference for pair in pairs)["std"] if paired else None,
        low=over_signers.low,
        high=over_signers.high,
        low_seeds=low_seeds,
        high_seeds=high_seeds,
        pairs=tuple(pairs),
    )


def _aligned_hits(
    first: Mapping[int, Predictions], second: Mapping[int, Predictions], k: int
) -> tuple[np.ndarray, np.ndarray, Predictions]:
    """Hits (seeds, N) of both on the same clips in the same order, and these clips (the first run's predictions)."""
    if not first or not second:
        raise PredictionsError("no run to compare")
    runs = align(
        {f"first, seed {s}": run for s, run in first.items()} | {f"second, seed {s}": r for s, r in second.items()}
    )
    hits = [run.hits(k) for run in runs.values()]
    return np.stack(hits[: len(first)]), np.stack(hits[len(first) :]), next(iter(runs.values()))


def per_class_difference(
    first: Mapping[int, Predictions], second: Mapping[int, Predictions], draws: int = DRAWS, bootstrap_seed: int = 0
) -> Interval:
    """P-C top-1 of the second minus that of the first, both averaged over their seeds; see `bootstrap_per_class`.

    Raises:
        PredictionsError: See `align`.
        ValueError: Unknown signers, or fewer than two.
    """
    mine, theirs, clips = _aligned_hits(first, second, k=1)
    # P-C is a mean of clips with weights that both runs share, so their difference is that of the differences.
    return bootstrap_per_class(
        theirs.mean(axis=0) - mine.mean(axis=0), clips.label, clips.signer, draws=draws, seed=bootstrap_seed
    )


def widest_interval(difference: Difference) -> tuple[float, float]:
    """Ends of what holds both 95 % intervals: over signers, and over signers and seeds where there are several."""
    low, high = difference.low, difference.high
    if difference.low_seeds is not None and difference.high_seeds is not None:
        low, high = min(low, difference.low_seeds), max(high, difference.high_seeds)
    return low, high


def verdict_of(difference: Difference) -> Verdict:
    """Which is better by more than noise: the interval (that over signers and seeds, if there is one) leaves out 0."""
    low, high = widest_interval(difference)
    if low > 0:
        return "second"
    return "first" if high < 0 else "noise"


def difference_words(difference: Difference) -> str:
    """`+1.6 [-1.3, +4.3], p 0.28, noise`: points of the second over the first, widest interval, McNemar, verdict."""
    low, high = widest_interval(difference)
    verdict = {"second": "better", "first": "worse", "noise": "noise"}[verdict_of(difference)]
    return f"{100 * difference.mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}], p {_p_values(difference)}, {verdict}"


def verdict_sentence(first: str, second: str, difference: Difference, signers: int) -> str:
    """One sentence: which is better, by how much, how sure, and on what that rests.

    With one seed each it says that neither the interval nor the test knows how another seed would have ended, with few
    signers that it does not know about others.
    """
    verdict = verdict_of(difference)
    seeds = {pair.first_seed for pair in difference.pairs}, {pair.second_seed for pair in difference.pairs}
    low, high = widest_interval(difference)
    over = f"{signers} signers"
    few = what_is_drawn(signers) == "signers and clips"
    if few:
        over += " with their clips"
    if difference.low_seeds is not None:
        over += f" and {len(seeds[0])} and {len(seeds[1])} seeds"
    interval = f"95 % interval [{100 * low:+.1f}, {100 * high:+.1f}] over {over}"
    tests = f"McNemar p {_p_values(difference)}"
    if len(difference.pairs) == 1:
        tests += "; one seed each, whose luck is not in these figures"
    else:
        below = sum(pair.p_value < 0.05 for pair in difference.pairs)
        tests += f", below 0.05 in {below} of {len(difference.pairs)} pairs of seeds"
    if few:
        tests += f"; {signers} signers say little about others"
    points = f"{100 * abs(difference.mean):.1f} points"
    if verdict == "noise":
        way = "above" if difference.mean >= 0 else "below"
        return f"{second} is {points} {way} {first}, which is not more than noise ({interval} holds 0; {tests})."
    way = "better" if verdict == "second" else "worse"
    return f"{second} is {way} than {first} by {points}, more than noise ({interval} leaves out 0; {tests})."


def _p_values(difference: Difference) -> str:
    values = [pair.p_value for pair in difference.pairs]
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return low if low == high else f"{low} to {high}"


def comparison_record(
    title: str,
    first: Source,
    second: Source,
    provenance: Mapping[str, Any],
    *,
    data: str = "",
    draws: int = DRAWS,
    bootstrap_seed: int = 0,
) -> ComparisonRecord:
    """Everything that is said about two runs.

    Raises:
        PredictionsError: Not the same clips or labels, or the same scores under both names.
        ValueError: Unknown signers, or fewer than two.
    """
    mine, theirs = first.pooled(), second.pooled()
    named = {f"{first.name}, seed {seed}": run for seed, run in mine.items()}
    named |= {f"{second.name}, seed {seed}": run for seed, run in theirs.items()}
    align(named)  # its words name the runs as the command line does
    check_different(named)
    top1, top5 = (paired_difference(mine, theirs, k, draws, bootstrap_seed) for k in (1, 5))
    per_class = per_class_difference(mine, theirs, draws, bootstrap_seed)
    times = [first.seconds, second.seconds]
    return ComparisonRecord(
        title=title,
        provenance=dict(provenance),
        independence=independence_of_records([*first.records, *second.records]),
        seconds=None if None in times else sum(times),
        data=data,
        first=first.name,
        second=second.name,
        first_top1=estimate_accuracy(mine, 1, bootstrap_seed),
        first_top5=estimate_accuracy(mine, 5, bootstrap_seed),
        second_top1=estimate_accuracy(theirs, 1, bootstrap_seed),
        second_top5=estimate_accuracy(theirs, 5, bootstrap_seed),
        top1=top1,
        top5=top5,
        per_class_low=per_class.low,
        per_class_high=per_class.high,
        signers=per_class.signers,
        draws=draws,
        bootstrap_seed=bootstrap_seed,
        verdict=verdict_of(top1),
        sentence=verdict_sentence(first.name, second.name, top1, per_class.signers),
    )
