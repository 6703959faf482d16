"""The graph convolution that is left of CTR-GCN's when no topology is refined: one topology a subset, for all."""

from __future__ import annotations

import torch
from torch import Tensor

from gspmc_mm.models.pointwise_and_pooling import pointwise


def shared_graph_convolution(x: Tensor, value_weight: Tensor, value_bias: Tensor, shared: Tensor) -> Tensor:
    """Sum over subsets and giving joints of topology times values (CTR-GCN, eq. 8 without refinement).

    Equal to `einsum("suv,nsctv->nctu", shared, value_weight x + value_bias)`. Joints are summed before channels are
    mixed: two matrix products for all subsets, and no values have to be kept.

    Args:
        x: (N, C_in, T, V) features.
        value_weight: (S, C, C_in) of the 1x1 convolution that makes the values.
        value_bias: (S, C).
        shared: (S, V, V), (receiving, giving).

    Returns:
        (N, C, T, V).
    """
    n, c_in, t, v = x.shape
    subsets, c, _ = value_weight.shape
    gathered = torch.matmul(x.reshape(-1, v), shared.flatten(0, 1).t())  # (N C_in T, S V)
    gathered = gathered.view(n, c_in, t, subsets, v).permute(0, 3, 1, 2, 4).reshape(n, subsets * c_in, t, v)
    weight = value_weight.transpose(0, 1).reshape(c, -1)
    # A value's bias reaches every joint as often as the joint receives.
    bias = torch.matmul(value_bias.t(), shared.sum(-1))  # (C, V)
    return pointwise(gathered, weight, bias.to(gathered.dtype))
