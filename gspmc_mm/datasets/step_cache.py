"""Keep what the first steps of a pipeline make of a clip, as long as there is no chance in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any

import numpy as np

Results = dict[str, Any]
Step = Callable[[Results], Results | None]


class StepCache:
    """Clips as the leading deterministic steps of a pipeline leave them, by their row; they stay in memory.

    A step says of itself that it always makes the same of a clip by an attribute `deterministic = True`, as
    `SelectKeypoints`, `TrimToSigning`, `FillMissingKeypoints` and `NormalizeSigner` do. Steps that say nothing, and all
    steps behind them, are run every time, so what comes out is what the pipeline would have made.

    Clips are not pickled along: a worker process that is started afresh (spawn) begins with none, and every worker
    keeps its own.
    """

    def __init__(self) -> None:
        self._steps: list[Step] = []
        self._kept: dict[int, Results | None] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def __getstate__(self) -> dict[str, Any]:
        return {"_steps": [], "_kept": {}}

    def run(self, steps: Sequence[Step], row: int, read: Callable[[], Results]) -> Any:
        """What the steps make of the clip in a row; `read` is called for clips that are not kept.

        Other leading steps than last time, and everything that was kept is dropped. None where a step drops the clip.
        """
        fixed = list(takewhile(is_deterministic, steps))
        if fixed != self._steps:
            self._steps, self._kept = fixed, {}
        if row not in self._kept:
            self._kept[row] = apply(fixed, read())
        kept = self._kept[row]
        return None if kept is None else apply(steps[len(fixed) :], with_own_arrays(kept))


def is_deterministic(step: Step) -> bool:
    """Whether a step says that it makes the same of a clip every time."""
    return bool(getattr(step, "deterministic", False))


def apply(steps: Sequence[Step], results: Results) -> Any:
    """One step after the other; None as soon as one returns that, as in mmengine's Compose."""
    for step in steps:
        results = step(results)
        if results is None:
            return None
    return results


def with_own_arrays(results: Results) -> Results:
    """A dict that steps may change: arrays are copied, and steps put other values in the place of the rest."""
    return {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in results.items()}
