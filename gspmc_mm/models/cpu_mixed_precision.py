"""Mixed precision on a CPU, which mmengine's AmpOptimWrapper leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """An OptimWrapper whose forward passes run under bfloat16 autocast on the CPU.

    Products and convolutions take and give bfloat16; weights, their gradients, optimizer and losses stay float32.
    bfloat16 reaches as far as float32, so no loss has to be scaled, and a checkpoint is the same as without. It pays
    where the processor multiplies bfloat16 itself (`bfloat16_is_native`); docs/speed.md has how much.
    """

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """Autocast around the forward pass of a training step."""
        with super().optim_context(model), torch.autocast("cpu", torch.bfloat16):
            yield


def bfloat16_is_native() -> bool | None:
    """Whether this CPU multiplies bfloat16 itself (AVX512_BF16, AMX, bf16 of Arm) and does not imitate it.

    Returns:
        None where PyTorch is too old to say.
    """
    if not hasattr(torch.cpu, "get_capabilities"):
        return None
    abilities = torch.cpu.get_capabilities()
    return any(abilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
