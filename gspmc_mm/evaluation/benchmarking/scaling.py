"""Training on several CPU ranks: clips per second of a step with the gradients of all ranks averaged (gloo)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import torch
from torch import distributed, nn

from gspmc_mm.evaluation.benchmarking.contenders import CHANNELS, Runner, contenders
from gspmc_mm.evaluation.experiments.execution import free_port


def run_ranks(ranks: int, arguments: dict[str, Any]) -> list[float]:
    """Seconds of the steps of `ranks` processes that train together.

    Raises:
        RuntimeError: A process failed; its own words are on stderr.
    """
    environment = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(ranks)}
    environment["OMP_NUM_THREADS"] = str(arguments["threads"])
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment, "RANK": str(rank)},
        )
        for rank in range(ranks)
    ]
    try:
        for process in processes:
            process.stdin.write(json.dumps(arguments))
            process.stdin.close()
        said = [process.stdout.read() for process in processes]
        failed = [rank for rank, process in enumerate(processes) if process.wait() != 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if failed:
        raise RuntimeError(f"scaling: ranks {failed} of {ranks} failed")
    return json.loads(said[0].splitlines()[-1])


def measure_scaling(
    ranks: Sequence[int] = (1, 2),
    joints: int = 87,
    frames: int = 64,
    batch: int = 4,
    repeats: int = 5,
    warm_up: int = 1,
    seed: int = 0,
    threads: int = 1,
    rounds: int = 2,
) -> dict[str, Any]:
    """Clips per second by number of ranks, `batch` clips and `threads` threads each.

    Ranks cannot take turns in one process; the numbers of ranks take turns instead, `rounds` times.
    """
    arguments = {"shape": [batch, 1, frames, joints, CHANNELS], "repeats": repeats, "warm_up": warm_up}
    arguments |= {"seed": seed, "threads": threads}
    seconds: dict[int, list[float]] = {count: [] for count in ranks}
    for _ in range(rounds):
        for count in ranks:
            seconds[count] += run_ranks(count, arguments)
    rows = []
    for count, values in seconds.items():
        speed = count * batch / median(values)
        rows.append({"ranks": count, "median_s": median(values), "clips_per_s": speed, "seconds": values})
    for row in rows:
        row["efficiency"] = row["clips_per_s"] / row["ranks"] / (rows[0]["clips_per_s"] / rows[0]["ranks"])
    shape = {"joints": joints, "frames": frames, "batch_per_rank": batch, "threads_per_rank": threads}
    return {**shape, "rows": rows}


class Step(nn.Module):
    """The loss of a runner as a module, as DistributedDataParallel wants it."""

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self.model = runner.model
        self._runner = [runner]  # in a list, so that it is not registered

    def forward(self) -> torch.Tensor:
        """Forward and cross entropy."""
        return self._runner[0].loss()


def main() -> None:
    """One rank: arguments as JSON on stdin, seconds of its steps as JSON on stdout."""
    arguments = json.load(sys.stdin)
    torch.set_num_threads(arguments["threads"])
    distributed.init_process_group("gloo")
    runner = Runner(contenders()["ours"], arguments["shape"], torch.device("cpu"), arguments["seed"], training=True)
    step = nn.parallel.DistributedDataParallel(Step(runner))
    seconds = []
    for number in range(arguments["warm_up"] + arguments["repeats"]):
        distributed.barrier()
        begin = time.perf_counter()
        runner.optimizer.zero_grad(set_to_none=True)
        step().backward()
        runner.optimizer.step()
        if number >= arguments["warm_up"]:
            seconds.append(time.perf_counter() - begin)
    distributed.destroy_process_group()
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
