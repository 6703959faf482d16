"""Fair timing: contenders take turns in one process, and ratios are taken within a turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles
from typing import Any

import torch


def timed(step: Callable[[], object], device: torch.device) -> float:
    """Seconds of one step; on a GPU between two events of its stream, so that launching is not counted twice."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(device)
        start.record()
        step()
        end.record()
        torch.cuda.synchronize(device)
        return start.elapsed_time(end) / 1e3
    begin = time.perf_counter()
    step()
    return time.perf_counter() - begin


def take_turns(
    steps: Mapping[str, Callable[[], object]],
    repeats: int,
    warm_up: int,
    device: torch.device,
    on_round: Callable[[], object] | None = None,
    max_seconds: float | None = None,
) -> dict[str, list[float]]:
    """Seconds of every step in `repeats` rounds; in every other round the order is reversed.

    What the machine does besides (another job, a hot processor) hits all contenders alike.

    Args:
        steps: What to run, by name.
        repeats: Rounds that count.
        warm_up: Rounds before them that do not.
        device: Where the steps run.
        on_round: Called after every round.
        max_seconds: No further round begins after this time, but three rounds are always run.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps)
    begin = time.perf_counter()
    for number in range(warm_up + repeats):
        counted = number - warm_up
        if max_seconds is not None and counted >= 3 and time.perf_counter() - begin > max_seconds:
            break
        for name in order:
            spent = timed(steps[name], device)
            if counted >= 0:
                seconds[name].append(spent)
        order.reverse()
        if on_round is not None:
            on_round()
    return seconds


def summary(seconds: Mapping[str, Sequence[float]], unit: str) -> dict[str, dict[str, Any]]:
    """Median of each contender, and how many times faster than the unit it is.

    Args:
        seconds: By contender, round by round.
        unit: The contender that counts as 1.

    Returns:
        For each contender `rounds`, `median_s`, `seconds` and, if the unit took part, `speedup` (median over the
        rounds of the unit's time / its time) with `speedup_quartiles`.
    """
    result: dict[str, dict[str, Any]] = {}
    for name, values in seconds.items():
        result[name] = {
            "rounds": len(values),
            "median_s": median(values),
            "seconds": [round(value, 6) for value in values],
        }
        if unit in seconds:
            ratios = [theirs / ours for theirs, ours in zip(seconds[unit], values, strict=True)]
            low, _, high = quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
            result[name] |= {"speedup": median(ratios), "speedup_quartiles": [low, high]}
    return result
