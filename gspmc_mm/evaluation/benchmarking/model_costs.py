"""Time, multiply-adds and memory of networks over joints, frames and batch."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gspmc_mm.evaluation.benchmarking.arithmetic import matmul_speed, multiply_adds
from gspmc_mm.evaluation.benchmarking.contenders import CHANNELS, REFERENCE, Contender, Runner, contenders, threads
from gspmc_mm.evaluation.benchmarking.memory import (
    MIB,
    OutOfMemoryError,
    cuda_peak_bytes,
    in_memory_child,
    resident_peak_bytes,
    saved_bytes,
)
from gspmc_mm.evaluation.benchmarking.timing import summary, take_turns

# A step is skipped when twice what it keeps for backward exceeds this share of the free memory.
SHARE_OF_MEMORY = 0.8
INFER, TRAIN = "infer", "train"


class Cell(NamedTuple):
    """One size of input."""

    joints: int
    frames: int
    batch: int

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """(clips, people, frames, joints, channels)."""
        return self.batch, 1, self.frames, self.joints, CHANNELS


def grid(joints: Sequence[int], frames: Sequence[int], batch: Sequence[int], full: bool = False) -> list[Cell]:
    """Cells to measure: a cross of lines through the middle, along which one size varies and the others stay.

    Args:
        joints: The middle of a list is its entry nearest to the paper's 87; of frames 64 and of batches 4.
        frames: See joints.
        batch: See joints.
        full: Every combination.
    """
    if full:
        return [Cell(v, t, b) for v in joints for t in frames for b in batch]
    middle = Cell(*(min(sizes, key=lambda s: abs(s - m)) for sizes, m in ((joints, 87), (frames, 64), (batch, 4))))
    cells = [middle._replace(joints=v) for v in joints]
    cells += [middle._replace(frames=t) for t in frames]
    cells += [middle._replace(batch=b) for b in batch]
    return list(dict.fromkeys(cells))


def free_bytes(device: torch.device) -> int:
    """Memory that a step could take."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo has no MemAvailable")


def measure_memory(cell: Cell, contender: Contender, device: torch.device, seed: int) -> dict[str, Any]:
    """MiB kept for backward and MiB at the peak of a training step and of inference; None where it would not fit."""
    result: dict[str, Any] = {"train_peak_mib": None}
    runner = Runner(contender, cell.shape, device, seed, training=contender.trains)
    if contender.trains:
        one = Runner(contender, cell._replace(batch=2).shape, device, seed, training=True)
        result["saved_mib_per_clip"] = saved_bytes(one.loss, one.held()) / 2 / MIB
        del one
        if 2 * result["saved_mib_per_clip"] * MIB * cell.batch < SHARE_OF_MEMORY * free_bytes(device):
            runner.train()  # gradients, momentum and the libraries' own buffers are there from the first step on
            result["train_peak_mib"] = peak_bytes(runner.train, device) / MIB
    runner.model.eval()
    runner.optimizer.zero_grad(set_to_none=True)
    runner.infer()
    result["infer_peak_mib"] = peak_bytes(runner.infer, device) / MIB
    return result


def peak_bytes(step: Callable[[], object], device: torch.device) -> int:
    """Bytes at the peak of one step beyond what was held before."""
    return cuda_peak_bytes(step, device) if device.type == "cuda" else resident_peak_bytes(step)


def memory_of_cell(
    cell: Cell, names: Sequence[str], device: torch.device, seed: int, thread_count: int
) -> dict[str, dict[str, Any]]:
    """Memory of every contender in a cell, by contender; on a CPU measured in a process of its own.

    If the system kills that process for want of memory, the contenders are measured one by one, and the one that
    does not fit has no figures.
    """
    if device.type == "cuda":
        built = contenders()
        return {name: measure_memory(cell, built[name], device, seed) for name in names}
    arguments = {"cell": cell, "names": list(names), "seed": seed, "threads": thread_count}
    try:
        return in_memory_child(__name__, arguments)
    except OutOfMemoryError:
        if len(names) == 1:
            return {names[0]: {"train_peak_mib": None}}
    alone = [memory_of_cell(cell, [name], device, seed, thread_count) for name in names]
    return {name: memory for of_one in alone for name, memory in of_one.items()}


def measure_cell(
    cell: Cell,
    chosen: Sequence[Contender],
    memory: dict[str, dict[str, Any]],
    device: torch.device,
    repeats: int,
    warm_up: int,
    seed: int,
    max_seconds: float | None,
    count: bool,
) -> dict[str, Any]:
    """Times of all contenders in one cell, inference and training."""
    result: dict[str, Any] = {"joints": cell.joints, "frames": cell.frames, "batch": cell.batch, "memory": memory}
    for what in (INFER, TRAIN):
        fitting = [
            contender
            for contender in chosen
            if what == INFER or (contender.trains and memory[contender.name]["train_peak_mib"] is not None)
        ]
        runners = {c.name: Runner(c, cell.shape, device, seed, training=what == TRAIN) for c in fitting}
        steps = {name: getattr(runner, what) for name, runner in runners.items()}
        seconds = take_turns(steps, repeats, warm_up, device, max_seconds=max_seconds)
        result[what] = summary(seconds, REFERENCE)
        for name, runner in runners.items():
            row = result[what][name]
            row["clips_per_s"] = cell.batch / row["median_s"]
            if count:
                row["multiply_adds_per_clip"] = multiply_adds(getattr(runner, what)) // cell.batch
    return result


def measure_models(
    cells: Sequence[Cell],
    names: Sequence[str] | None,
    device: torch.device,
    repeats: int = 5,
    warm_up: int = 1,
    seed: int = 0,
    thread_count: int | None = None,
    max_seconds: float | None = None,
    on_cell: Callable[[Cell], object] | None = None,
    on_result: Callable[[dict[str, Any]], object] | None = None,
) -> dict[str, Any]:
    """Measure contenders in all cells.

    Args:
        cells: Sizes of input.
        names: Contenders; all that there are by default.
        device: Where.
        repeats: Rounds of turns.
        warm_up: Rounds before that do not count.
        seed: Of weights and inputs.
        thread_count: CPU threads; PyTorch's by default.
        max_seconds: No further round of a cell after this time (three are always run).
        on_cell: Called before each cell.
        on_result: Called after each cell with the result so far, so that hours are not lost to an interruption.

    Raises:
        ValueError: A contender that does not exist.
    """
    known = contenders()
    names = list(known) if names is None else list(names)
    for name in names:
        if name not in known:
            raise ValueError(f"contender {name!r} is unknown; there are {', '.join(known)}")
    chosen = [known[name] for name in names]
    with threads(thread_count) as used:
        speeds = {}
        for dtype in sorted({c.precision for c in chosen}, key=str):
            speeds[str(dtype).removeprefix("torch.")] = matmul_speed(device, dtype)
        result: dict[str, Any] = {
            "device": str(device) if device.type == "cpu" else torch.cuda.get_device_name(device),
            "threads": used,
            "unit": REFERENCE,
            "matmul_multiply_adds_per_s": speeds,
            "cells": [],
        }
        for cell in cells:
            if on_cell is not None:
                on_cell(cell)
            memory = memory_of_cell(cell, names, device, seed, used)
            row = measure_cell(cell, chosen, memory, device, repeats, warm_up, seed, max_seconds, count=True)
            for what in (INFER, TRAIN):
                for name, entry in row[what].items():
                    dtype = str(known[name].precision).removeprefix("torch.")
                    done = entry["multiply_adds_per_clip"] * cell.batch / entry["median_s"]
                    entry["share_of_matmul_speed"] = done / speeds[dtype]
            result["cells"].append(row)
            if on_result is not None:
                on_result(result)
    return result


def main() -> None:
    """In the process that measures memory: a cell as JSON on stdin, MiB of each contender as JSON on stdout."""
    arguments = json.load(sys.stdin)
    torch.set_num_threads(arguments["threads"])
    built, cell = contenders(), Cell(*arguments["cell"])
    device, seed = torch.device("cpu"), arguments["seed"]
    print(json.dumps({name: measure_memory(cell, built[name], device, seed) for name in arguments["names"]}))


if __name__ == "__main__":
    main()
