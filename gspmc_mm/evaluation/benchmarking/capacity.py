"""What measured memory and counted multiply-adds say about machines that nobody measured on: all of it COMPUTED."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# The paper's training on SLR-500 (gsp35).
TRAIN_CLIPS, GLOBAL_BATCH, EPOCHS = 87_500, 120, 110
# CUDA context, cuDNN and fragmentation: what a card cannot give to tensors.
RESERVED_MIB = 1536


@dataclass(frozen=True)
class Machine:
    """Cards of one kind.

    Attributes:
        name: What the table says.
        cards: How many.
        memory_gib: Of each.
        multiply_adds_per_s: Nominal peak of each in TF32 (half the FLOPS on the data sheet, without sparsity).
    """

    name: str
    cards: int
    memory_gib: float
    multiply_adds_per_s: float


MACHINES = (
    Machine("8 x A100 40 GB", 8, 40, 78e12),
    Machine("1 x 24 GB card (RTX 4090)", 1, 24, 41e12),
)


def memory_line(result: Mapping[str, Any], name: str, joints: int, frames: int) -> tuple[float, float] | None:
    """Peak of a training step in MiB as (fixed, per clip), the straight line through all measured batches.

    Args:
        result: JSON of the section `model`.
        name: Contender.
        joints: V.
        frames: T.

    Returns:
        None where fewer than two batches were measured.
    """
    points = [
        (cell["batch"], cell["memory"][name]["train_peak_mib"])
        for cell in result["cells"]
        if (cell["joints"], cell["frames"]) == (joints, frames)
        and cell["memory"].get(name, {}).get("train_peak_mib") is not None
    ]
    if len(points) < 2:
        return None
    slope, start = np.polyfit(*zip(*points, strict=True), 1)
    return max(float(start), 0.0), float(slope)


def computed_capacity(
    result: Mapping[str, Any], joints: int = 87, frames: int = 64, machines: Sequence[Machine] = MACHINES
) -> list[dict[str, Any]]:
    """For each machine and contender: clips that fit a card, steps of the paper's training, time at nominal peak.

    The time is a bound from below: no network reaches a card's nominal peak.
    """
    rows = []
    names = next(iter(result["cells"]))["memory"]
    for name in names:
        line = memory_line(result, name, joints, frames)
        if line is None:
            continue
        fixed, per_clip = line
        counted = max(
            cell["train"][name]["multiply_adds_per_clip"]
            for cell in result["cells"]
            if (cell["joints"], cell["frames"]) == (joints, frames) and name in cell["train"]
        )
        for machine in machines:
            fits = int((machine.memory_gib * 1024 - RESERVED_MIB - fixed) // per_clip)
            wanted = GLOBAL_BATCH // machine.cards
            accumulate = -(-wanted // max(fits, 1))
            steps = TRAIN_CLIPS // GLOBAL_BATCH
            seconds = GLOBAL_BATCH * counted / (machine.cards * machine.multiply_adds_per_s)
            rows.append(
                {
                    "machine": machine.name,
                    "contender": name,
                    "mib_per_clip": per_clip,
                    "clips_that_fit_a_card": max(fits, 0),
                    "clips_wanted_per_card": wanted,
                    "passes_per_step": accumulate,
                    "steps_per_epoch": steps,
                    "steps": steps * EPOCHS,
                    "minutes_at_nominal_peak": seconds * steps * EPOCHS / 60,
                }
            )
    return rows


def growth(sizes: Sequence[float], costs: Sequence[float]) -> dict[str, float]:
    """How a cost grows: the exponent of size between its two ends, and the quadratic share at the largest size.

    The share is that of the second term of the best fit cost = a size + b size**2 with a, b >= 0.
    """
    x, y = np.asarray(sizes, dtype=float), np.asarray(costs, dtype=float)
    exponent = float(np.log(y[-1] / y[0]) / np.log(x[-1] / x[0]))
    # Relative errors count, or the largest size decides alone.
    terms = np.stack([x, x**2], axis=1)
    fit = np.linalg.lstsq(terms / y[:, None], np.ones_like(y), rcond=None)[0]
    if fit[1] < 0:
        fit = np.array([1.0, 0.0])
    elif fit[0] < 0:
        fit = np.array([0.0, 1.0])
    linear, quadratic = fit * terms[-1]
    return {"exponent": exponent, "quadratic_share": float(quadratic / (linear + quadratic))}
