"""How sure a figure is when clips of one signer belong together: bootstrap over signers, not over clips.

A clip is not drawn alone: whoever signs unclearly does so in all clips. Signers are drawn with replacement, each with
all its clips (Field and Welsh 2007, "Bootstrapping clustered data"), and the interval is that of the percentiles
(Efron 1979).

Few signers know few outcomes (two of them three), so that the interval would be far too narrow (Cameron, Gelbach and
Miller 2008, "Bootstrap-based improvements for inference with clustered errors"). Below `FEW_SIGNERS` the clips of
every drawn signer are drawn with replacement too (Davison and Hinkley 1997, section 3.8). That interval covers the
luck of the clips; how far other signers lie from these few nobody can know from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

DRAWS = 10_000
LEVEL = 0.95
FEW_SIGNERS = 10
"""With fewer, clips are drawn as well."""

Drawn = Literal["signers", "signers and clips"]


def what_is_drawn(signers: int) -> Drawn:
    """What a bootstrap with so many signers draws: see the head of this file."""
    return "signers and clips" if signers < FEW_SIGNERS else "signers"


def can_be_drawn(signers: np.ndarray) -> bool:
    """Whether the signers of some clips can be drawn anew: all are known (none is ''), and there are at least two."""
    names = set(np.asarray(signers).tolist())
    return len(names) > 1 and "" not in names


@dataclass(frozen=True)
class Interval:
    """A figure and its percentile interval over `draws` draws of `signers` signers (few: of their clips too)."""

    value: float
    low: float
    high: float
    signers: int
    draws: int


def bootstrap_mean(
    hits: np.ndarray,
    signers: np.ndarray,
    *,
    draw_seeds: bool = False,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """Interval of an accuracy.

    Args:
        hits: (R, N) or (N,) bool or shares: clip i under seed r.
        signers: (N,) str, who signs clip i.
        draw_seeds: Draw the R seeds with replacement too, independently of the signers.
        draws: Number of draws.
        seed: Of the random numbers: the same seed gives the same interval.
        level: Share of the draws inside.

    Raises:
        ValueError: Shapes that do not fit, an unknown signer (''), or fewer than two signers.
    """
    hits = _by_seed(hits)
    return bootstrap_difference(
        np.zeros_like(hits[:1]), hits, signers, draw_seeds=draw_seeds, draws=draws, seed=seed, level=level
    )


def bootstrap_difference(
    first: np.ndarray,
    second: np.ndarray,
    signers: np.ndarray,
    *,
    draw_seeds: bool = False,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """Interval of accuracy(second) - accuracy(first) on the same clips: both see the same signers in every draw.

    Args:
        first: (R1, N) or (N,) hits of the first; several seeds are averaged for every clip.
        second: (R2, N) or (N,) hits of the second, the same clips in the same order.
        signers: (N,) str.
        draw_seeds: Draw the seeds of each run with replacement too: the interval then also covers the luck of the
            seeds, as far as so few can show it.
        draws: Number of draws.
        seed: Of the random numbers.
        level: Share of the draws inside.

    Raises:
        ValueError: See `bootstrap_mean`.
    """
    first, second = _by_seed(first), _by_seed(second)
    who, groups = _groups(signers, first.shape[1])
    if second.shape[1] != first.shape[1]:
        raise ValueError(
            f"the runs have {first.shape[1]} and {second.shape[1]} clips: a paired difference needs the same"
        )
    _check_draws(draws, level)
    rng = np.random.default_rng(seed)
    times, unit = _draw(rng, draws, who, groups)
    clips = times @ np.bincount(unit)
    drawn = np.zeros(draws)
    for sign, hits in ((1.0, second), (-1.0, first)):
        runs = len(hits)
        weights = _times_drawn(rng, draws, runs) / runs if draw_seeds else np.full((draws, runs), 1 / runs)
        right = np.stack([np.bincount(unit, weights=run) for run in hits])  # (R, U)
        drawn += sign * (weights * (times @ right.T)).sum(axis=1)
    low, high = _percentiles(drawn / clips, level)
    return Interval(float(second.mean() - first.mean()), low, high, groups, draws)


def bootstrap_per_class(
    hits: np.ndarray,
    labels: np.ndarray,
    signers: np.ndarray,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval:
    """Interval of the mean over classes of their share of hits (P-C); a class that a draw has no clip of is left out.

    Args:
        hits: (R, N) or (N,) hits; several seeds are averaged for every clip.
        labels: (N,) true classes.
        signers: (N,) str.
        draws: Number of draws; the same signers as in `bootstrap_mean` at the same seed.
        seed: Of the random numbers.
        level: Share of the draws inside.

    Raises:
        ValueError: See `bootstrap_mean`; or labels of another length.
    """
    hits = _by_seed(hits)
    who, groups = _groups(signers, hits.shape[1])
    _, kind = np.unique(np.asarray(labels), return_inverse=True)
    if len(kind) != hits.shape[1]:
        raise ValueError(f"{hits.shape[1]} clips and {len(kind)} labels")
    _check_draws(draws, level)
    times, unit = _draw(np.random.default_rng(seed), draws, who, groups)
    right, clips = (np.zeros((times.shape[1], kind.max() + 1)) for _ in range(2))  # (U, C)
    np.add.at(right, (unit, kind), hits.mean(axis=0))
    np.add.at(clips, (unit, kind), 1.0)
    low, high = _percentiles(_mean_over_classes(times @ right, times @ clips), level)
    value = _mean_over_classes(right.sum(axis=0), clips.sum(axis=0))
    return Interval(float(value), low, high, groups, draws)


def _mean_over_classes(right: np.ndarray, clips: np.ndarray) -> np.ndarray:
    """Mean over the classes (last axis) that have clips of right / clips."""
    shares = np.divide(right, clips, out=np.zeros_like(right), where=clips > 0)
    return shares.sum(axis=-1) / (clips > 0).sum(axis=-1)


def _percentiles(values: np.ndarray, level: float) -> tuple[float, float]:
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(values, [tail, 100 - tail])
    return float(low), float(high)


def _check_draws(draws: int, level: float) -> None:
    if draws < 1 or not 0 < level < 1:
        raise ValueError(f"expected draws >= 1 and a level between 0 and 1, found {draws} and {level}")


def _draw(rng: np.random.Generator, draws: int, who: np.ndarray, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """How often everything that is drawn comes up: signers, or clips where signers are few.

    Args:
        rng: Source of the random numbers.
        draws: D.
        who: (N,) number of the signer of every clip.
        groups: Number of signers.

    Returns:
        (D, U) times, and (N,) which of the U things clip i belongs to: its signer, or itself.
    """
    times = _times_drawn(rng, draws, groups)
    if what_is_drawn(groups) == "signers":
        return times, who
    of_clips = np.zeros((draws, len(who)))
    for signer in range(groups):
        mine = np.flatnonzero(who == signer)
        # A signer drawn t times gives t times as many clips as it has, each any of its clips.
        drawn = (times[:, signer] * len(mine)).astype(np.int64)
        of_clips[:, mine] = rng.multinomial(drawn, np.full(len(mine), 1 / len(mine)))
    return of_clips, np.arange(len(who))


def _times_drawn(rng: np.random.Generator, draws: int, items: int) -> np.ndarray:
    """(draws, items): how often each item comes up when as many as there are get drawn with replacement."""
    chosen = rng.integers(items, size=(draws, items))
    flat = chosen + items * np.arange(draws)[:, None]
    return np.bincount(flat.ravel(), minlength=draws * items).reshape(draws, items).astype(np.float64)


def _by_seed(hits: np.ndarray) -> np.ndarray:
    hits = np.atleast_2d(np.asarray(hits, dtype=np.float64))
    if hits.ndim != 2 or hits.size == 0 or np.isnan(hits).any():
        raise ValueError(f"expected hits (seeds, clips) without NaN, found shape {hits.shape}")
    return hits


def _groups(signers: np.ndarray, clips: int) -> tuple[np.ndarray, int]:
    signers = np.asarray(signers, dtype=np.str_)
    if signers.shape != (clips,):
        raise ValueError(f"expected one signer for each of {clips} clips, found shape {signers.shape}")
    unknown = int((signers == "").sum())
    if unknown:
        raise ValueError(
            f"{unknown} of {clips} clips have no signer: a bootstrap over signers needs to know who signs; "
            "add 'signer' to the meta_keys of PackActionInputs and test again"
        )
    names, who = np.unique(signers, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"all clips are by signer {names[0]!r}: a bootstrap over signers needs at least two")
    return who, len(names)
