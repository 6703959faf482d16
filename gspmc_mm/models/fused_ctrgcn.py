"""PartCTRGCN for inference: batch norms are folded into the products before them.

The numbers are those of `PartCTRGCN.eval()` to rounding; what falls away are the passes over the features that only
scale, shift and add.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gspmc_mm.models.part_ctrgcn import CTRGCNBlock, PartCTRGCN, check_skeletons
from gspmc_mm.models.pointwise_and_pooling import max_of_three, pointwise
from gspmc_mm.models.refined_graph_convolution import refined_graph_convolution
from gspmc_mm.models.shared_graph_convolution import shared_graph_convolution


def scale_and_shift(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """What a batch norm does in evaluation, as y = scale x + shift; each (C,)."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def fold(weight: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (C_out, ...) and bias of a convolution without bias that a norm follows."""
    return weight * scale.view(-1, *[1] * (weight.dim() - 1)), shift


class FusedModule(nn.Module):
    """A module whose tensors are constants: they move and change type with it and take no gradient."""

    def keep(self, **tensors: Tensor) -> None:
        """Register copies under these names."""
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor.detach().clone())


class FusedShortcut(FusedModule):
    """A residual connection: the identity, or a 1x1 convolution with its norm; a shift may be added.

    Args:
        residual: What the block has, `nn.Identity` or a sequence of convolution and norm.
        shift: (C,) that is added.
        stride: Step over time.
    """

    def __init__(self, residual: nn.Module, shift: Tensor | None = None, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.projected = isinstance(residual, nn.Sequential)
        self.shifted = shift is not None
        if self.projected:
            weight, bias = fold(residual[0].weight, *scale_and_shift(residual[1]))
            self.keep(weight=weight, bias=bias + shift if self.shifted else bias)
        elif self.shifted:
            self.keep(shift=shift[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, T, V) -> (N, C_out, ceil(T / stride), V); x itself where nothing is to be done."""
        if self.projected:
            return pointwise(x, self.weight, self.bias, self.stride)
        return x + self.shift if self.shifted else x


class FusedBlock(FusedModule):
    """One block of PartCTRGCN.

    Args:
        block: A `CTRGCNBlock` with its learned statistics.
    """

    def __init__(self, block: CTRGCNBlock) -> None:
        super().__init__()
        graph, temporal = block.graph, block.temporal
        scale, shift = scale_and_shift(graph.norm)
        self.refine, self.subsets, self.pad_joints_to = graph.refine, graph.subsets, graph.pad_joints_to
        self.graph_shortcut = FusedShortcut(graph.residual, shift)
        self.keep(
            value_weight=graph.values.weight.view(graph.subsets, graph.out_channels, -1) * scale[:, None],
            value_bias=graph.values.bias.view(graph.subsets, -1) * scale,
            shared=graph.topology,
        )
        if self.refine:
            self.keep(
                relation_weight=graph.relations.weight[..., 0],
                relation_bias=graph.relations.bias,
                mixing=graph.mixing,
            )
        self.widths, self.stride = list(temporal.widths), temporal.stride
        self.final_relu = temporal.final_relu
        scale, shift = scale_and_shift(temporal.norm)
        *_, pooled, straight = zip(scale.split(self.widths), shift.split(self.widths), strict=True)
        rest = self.widths[-1]
        entry_weight, entry_bias = fold(temporal.entry.weight[:-rest], *scale_and_shift(temporal.entry_norm))
        straight_weight, straight_bias = fold(temporal.entry.weight[-rest:], *straight)
        self.keep(
            entry_weight=entry_weight,
            entry_bias=entry_bias,
            straight_weight=straight_weight,
            straight_bias=straight_bias,
            pool_scale=pooled[0][:, None, None],
            pool_shift=pooled[1][:, None, None],
        )
        self.geometry = []
        first = 0
        for number, convolution in enumerate(temporal.dilated):
            own = slice(first, first + self.widths[number])
            weight, bias = fold(convolution.weight, scale[own], shift[own])
            self.keep(**{f"dilated_weight{number}": weight, f"dilated_bias{number}": bias})
            self.geometry.append((convolution.stride, convolution.padding, convolution.dilation))
            first = own.stop
        self.shortcut = None if block.residual is None else FusedShortcut(block.residual, stride=self.stride)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, T, V) -> (N, C_out, ceil(T / stride), V)."""
        y = self.temporal(self.graph(x))
        if self.shortcut is not None:
            y += self.shortcut(x)
        return y.relu_()

    def graph(self, x: Tensor) -> Tensor:
        """The graph unit: (N, C_in, T, V) -> (N, C_out, T, V)."""
        if not self.refine:
            y = shared_graph_convolution(x, self.value_weight, self.value_bias, self.shared)
            return (y + self.graph_shortcut(x)).relu_()
        n, _, _, v = x.shape
        projected = pointwise(x.mean(2, keepdim=True), self.relation_weight, self.relation_bias)
        query, key = projected.view(n, 2, self.subsets, -1, v).unbind(1)
        y = refined_graph_convolution(
            x,
            self.value_weight,
            self.value_bias,
            query,
            key,
            self.mixing,
            self.shared,
            start=self.graph_shortcut(x),
            pad_joints_to=self.pad_joints_to,
        )
        return y.relu_()

    def temporal(self, x: Tensor) -> Tensor:
        """The temporal unit: (N, C_out, T, V) -> (N, C_out, ceil(T / stride), V)."""
        active = pointwise(x, self.entry_weight, self.entry_bias).relu_()
        *dilated, pooled = active.split(self.widths[:-1], dim=1)
        branches = [
            F.conv2d(part, self.get_buffer(f"dilated_weight{i}"), self.get_buffer(f"dilated_bias{i}"), *geometry)
            for i, (part, geometry) in enumerate(zip(dilated, self.geometry, strict=True))
        ]
        branches.append(max_of_three(pooled, self.stride) * self.pool_scale + self.pool_shift)
        branches.append(pointwise(x, self.straight_weight, self.straight_bias, self.stride))
        y = torch.cat(branches, dim=1)
        return y.relu_() if self.final_relu else y


class FusedCTRGCN(FusedModule):
    """A trained PartCTRGCN with everything folded that can be; `PartCTRGCN.fuse()` makes it.

    It may be moved to a device and to bfloat16 or float16; what comes out has the type of what comes in.

    Args:
        backbone: A `PartCTRGCN`.
    """

    def __init__(self, backbone: PartCTRGCN) -> None:
        super().__init__()
        self.layout, self.in_channels, self.num_person = backbone.layout, backbone.in_channels, backbone.num_person
        self.out_channels = backbone.out_channels
        scale, shift = scale_and_shift(backbone.input_norm)
        shape = (self.num_person, self.layout.num_joints, self.in_channels)
        self.keep(scale=scale.view(shape).unsqueeze(1), shift=shift.view(shape).unsqueeze(1))
        self.blocks = nn.ModuleList(FusedBlock(block) for block in backbone.blocks)
        self.eval()

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Features of every joint without gradient: (N, M, T, V, C_in) -> (N, M, C, T', V)."""
        check_skeletons(x, self.layout, self.in_channels, self.num_person)
        n, m, *_ = x.shape
        y = x.to(self.scale.dtype).unflatten(1, (-1, self.num_person)) * self.scale + self.shift
        y = y.flatten(0, 2).permute(0, 3, 1, 2).contiguous()
        for block in self.blocks:
            y = block(y)
        return y.view(n, m, *y.shape[1:]).to(x.dtype)
