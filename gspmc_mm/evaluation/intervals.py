"""How sure a figure is: Wilson intervals and the exact McNemar test."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest


def wilson_interval(successes: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Score interval of a share (Wilson 1927, "Probable inference").

    Args:
        successes: How many of n, in [0, n].
        n: Number of trials, at least 1.
        z: Normal quantile; 1.96 for 95 %.

    Returns:
        Lower and upper end, both in [0, 1].

    Raises:
        ValueError: n < 1, or successes outside [0, n].
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"expected 0 <= successes <= n and n >= 1, found {successes} of {n}")
    share = successes / n
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    centre, scale = share + z * z / (2 * n), 1 + z * z / n
    # At 0 and at n the ends are exactly 0 and 1; rounding must not push them past.
    low = 0.0 if successes == 0 else max(0.0, (centre - spread) / scale)
    high = 1.0 if successes == n else min(1.0, (centre + spread) / scale)
    return low, high


@dataclass(frozen=True)
class McNemar:
    """Paired comparison of two classifiers on the same clips.

    Attributes:
        both: Clips that both have right.
        only_first: Clips that only the first has right.
        only_second: Clips that only the second has right.
        neither: Clips that neither has right.
        p_value: Two-sided exact probability under "both are equally good".
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float

    @property
    def n(self) -> int:
        """Number of clips."""
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def difference(self) -> float:
        """Accuracy of the second minus accuracy of the first, in [-1, 1]."""
        return (self.only_second - self.only_first) / self.n


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Exact McNemar test (McNemar 1947, binomial form) of two vectors of hits.

    The clips are taken as independent; clips of one signer are not quite, so a p-value on a few
    signers is on the hopeful side.

    Args:
        first: (N,) bool, whether the first classifier has clip i right.
        second: (N,) bool, the same clips in the same order.

    Raises:
        ValueError: Not two bool vectors of one length of at least 1.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.ndim != 1 or first.shape != second.shape or first.size == 0:
        raise ValueError(f"expected two vectors of hits of one length, found {first.shape} and {second.shape}")
    if first.dtype != np.bool_ or second.dtype != np.bool_:
        raise ValueError(f"hits are bool, found {first.dtype} and {second.dtype}")
    only_first = int((first & ~second).sum())
    only_second = int((~first & second).sum())
    discordant = only_first + only_second
    p_value = float(binomtest(only_first, discordant, 0.5).pvalue) if discordant else 1.0
    return McNemar(
        both=int((first & second).sum()),
        only_first=only_first,
        only_second=only_second,
        neither=int((~first & ~second).sum()),
        p_value=p_value,
    )
