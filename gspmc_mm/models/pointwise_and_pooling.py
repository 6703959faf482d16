"""The 1x1 convolutions and the pooling of a block as the products and maxima that current processors do fastest.

Each function gives what PyTorch's own layer gives, to rounding; docs/speed.md has what they save.
"""

from __future__ import annotations

import torch
from torch import Tensor


def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1) -> Tensor:
    """A 1x1 convolution as one matrix product per clip, which leaves the features where they lie.

    Args:
        x: (N, C_in, T, V).
        weight: (C_out, C_in, ...) with nothing but ones behind.
        bias: (C_out,), or (C_out, V) for one that every joint has of its own.
        stride: Step over time.

    Returns:
        (N, C_out, ceil(T / stride), V).
    """
    x = x[:, :, ::stride]
    n, _, t, v = x.shape
    weight = weight.flatten(1).expand(n, -1, -1)
    flat = x.flatten(2)
    if bias is None:
        return torch.bmm(weight, flat).view(n, -1, t, v)
    bias = bias.unsqueeze(-1) if bias.dim() == 1 else bias.unsqueeze(1).expand(-1, t, -1).flatten(1)
    if torch.jit.is_tracing():  # counters of FLOPs know bmm, not baddbmm
        y = torch.bmm(weight, flat) + bias
    else:
        y = torch.baddbmm(bias, weight, flat)
    return y.view(n, -1, t, v)


def max_of_three(x: Tensor, stride: int = 1) -> Tensor:
    """The greatest of every frame and its neighbours: max-pooling 3x1 with padding 1.

    PyTorch's own pooling takes 30 times as long on a CPU. As there, the earliest of equal frames gets the gradient.

    Args:
        x: (N, C, T, V).
        stride: Step over time.

    Returns:
        (N, C, ceil(T / stride), V).
    """
    # The first and the last frame are their own neighbours beyond the ends, which no maximum notices.
    before = torch.cat([x[:, :, :1], x[:, :, :-1]], dim=2)[:, :, ::stride]
    after = torch.cat([x[:, :, 1:], x[:, :, -1:]], dim=2)[:, :, ::stride]
    greater = _Greater.apply if torch.is_grad_enabled() else torch.maximum
    return greater(greater(before, x[:, :, ::stride]), after)


class _Greater(torch.autograd.Function):
    """torch.maximum whose gradient goes to the first of two equals, in two passes instead of six."""

    @staticmethod
    def forward(ctx, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(first >= second)
        return torch.maximum(first, second)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        (taken,) = ctx.saved_tensors
        to_first = torch.where(taken, grad, 0)
        return to_first, grad - to_first
