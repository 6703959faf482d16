"""Memory of a step: what is kept for backward, and the most that was held at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

MIB = 2**20


def saved_bytes(forward: Callable[[], Tensor], exclude: Iterable[Tensor] = ()) -> int:
    """Bytes that autograd keeps between forward and backward.

    Storages are counted once each, however many operations keep a view of them.

    Args:
        forward: Runs forward and returns what backward would start from.
        exclude: Tensors that exist anyway: parameters, buffers, inputs.
    """
    known = {tensor.untyped_storage().data_ptr() for tensor in exclude}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        # Kept alive by the graph, so no address is given out twice while `output` lives.
        return tensor

    def unpack(tensor: Tensor) -> Tensor:
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        output = forward()
    total = sum(kept.values())
    del output
    return total


def cuda_peak_bytes(step: Callable[[], object], device: torch.device) -> int:
    """Bytes at the peak of one step beyond what was held before it, from the allocator."""
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    step()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - before


def resident_peak_bytes(step: Callable[[], object]) -> int:
    """Bytes of the resident set at the peak of one step beyond what was resident before it (Linux).

    Only honest in a process whose freed memory goes back to the system at once, see `in_memory_child`.

    Raises:
        OSError: The high-water mark cannot be reset (no Linux, or /proc is not writable).
    """
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    step()
    return _status("VmHWM") - before


def own_bytes() -> int:
    """Memory of this process that it shares with no file and no other process (Linux)."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/smaps_rollup has no Anonymous")


class OutOfMemoryError(RuntimeError):
    """The system took the measuring process down, which is what it does when memory runs out."""


def in_memory_child(module: str, arguments: dict[str, Any]) -> Any:
    """Run `python -m MODULE` with JSON on stdin in a process made for measuring memory; its JSON answer.

    Every allocation of 1 MiB and more is mapped by itself there and given back when it is freed, so the resident
    set is what is in use. That costs time, so nothing is timed in that process.

    Raises:
        OutOfMemoryError: The process was killed by the system.
        RuntimeError: The process failed; its own words are on stderr.
    """
    # The allocator's own names, read when a process starts.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "1048576", "MALLOC_TRIM_THRESHOLD_": "131072"}
    environment |= {"MALLOC_MMAP_MAX_": "1000000", "MALLOC_ARENA_MAX": "2"}
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=json.dumps(arguments),
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    if done.returncode == -signal.SIGKILL:
        raise OutOfMemoryError(f"{module}: the process that measures memory was killed; too little memory")
    if done.returncode != 0:
        raise RuntimeError(f"{module}: the process that measures memory ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def _status(field: str) -> int:
    """A size out of /proc/self/status, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise OSError(f"/proc/self/status has no {field}")
