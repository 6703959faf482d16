"""Multiply-adds of a step, and how many of them the machine does in a second at best."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gspmc_mm.evaluation.benchmarking.timing import timed


class ProductCounter(TorchDispatchMode):
    """Counts the operations of matrix products and convolutions with PyTorch's own formulas.

    PyTorch's FlopCounterMode has the same formulas, but its bookkeeping by module stops at a module that is given a
    parameter as an argument.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Run one operation and add its cost."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        formula = flop_registry.get(func.overloadpacket)
        if formula is not None:
            self.operations += formula(*args, **kwargs, out_val=out)
        return out


def multiply_adds(step: Callable[[], object]) -> int:
    """Multiplications with an addition in the products and convolutions that a step runs, backward ones included.

    Element-wise work (tanh, ReLU, norms, sums) is not counted.
    """
    with ProductCounter() as counter:
        step()
    return counter.operations // 2


def matmul_speed(device: torch.device, dtype: torch.dtype, size: int = 2048, repeats: int = 7) -> float:
    """Multiply-adds per second of a square matrix product with the threads that PyTorch has now, the median."""
    if device.type == "cuda":
        size *= 4
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    out = torch.empty(size, size, device=device, dtype=dtype)

    def product() -> None:
        torch.mm(a, b, out=out)

    product()
    return size**3 / median(timed(product, device) for _ in range(repeats))
