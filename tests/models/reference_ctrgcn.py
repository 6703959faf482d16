"""CTR-GCN the obvious way: the mathematics of the paper line by line, nothing merged, nothing saved.

Chen et al., "Channel-wise Topology Refinement Graph Convolution for Skeleton-Based Action Recognition",
ICCV 2021. Every subset has four convolutions of its own, the relations are projected in every frame and then
averaged, every subset's topology is refined, shifted and multiplied by itself, and every temporal branch is a
chain of its own. Public implementations compute it in these steps, and PartCTRGCN must give the same numbers:
tests compare with this file, and tools/benchmark.py takes it as the unit of cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gspmc_mm.models import PartCTRGCN


class BlockSizes(NamedTuple):
    """Sizes of one block, as its tensors show them."""

    in_channels: int
    out_channels: int
    subsets: int
    joints: int
    relation_channels: int
    widths: list[int]


class ReferenceTopologyConv(nn.Module):
    """One subset of a graph convolution (paper, figure 3): topology of every channel, then the product."""

    def __init__(self, in_channels: int, out_channels: int, relation_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, relation_channels, 1)
        self.conv2 = nn.Conv2d(in_channels, relation_channels, 1)
        self.conv3 = nn.Conv2d(in_channels, out_channels, 1)
        self.conv4 = nn.Conv2d(relation_channels, out_channels, 1)

    def forward(self, x: Tensor, adjacency: Tensor, alpha: Tensor) -> Tensor:
        """(N, C_in, T, V), (V, V) receiving x giving -> (N, C_out, T, V)."""
        query, key = self.conv1(x).mean(2), self.conv2(x).mean(2)
        relation = torch.tanh(query.unsqueeze(-1) - key.unsqueeze(-2))  # (N, R, V, V)
        topology = self.conv4(relation) * alpha + adjacency  # (N, C_out, V, V)
        return torch.einsum("ncuv,nctv->nctu", topology, self.conv3(x))


class ReferenceGraphUnit(nn.Module):
    """Sum of the subsets, norm, residual connection, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, subsets: int, joints: int, relation_channels: int) -> None:
        super().__init__()
        self.adjacency = nn.Parameter(torch.zeros(subsets, joints, joints))
        self.alpha = nn.Parameter(torch.zeros(1))
        self.convs = nn.ModuleList(
            ReferenceTopologyConv(in_channels, out_channels, relation_channels) for _ in range(subsets)
        )
        self.norm = nn.BatchNorm2d(out_channels)
        self.residual = conv_norm(in_channels, out_channels) if in_channels != out_channels else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, T, V) -> (N, C_out, T, V)."""
        y = self.convs[0](x, self.adjacency[0], self.alpha)
        for conv, adjacency in zip(self.convs[1:], self.adjacency[1:], strict=True):
            y = y + conv(x, adjacency, self.alpha)
        return self.relu(self.norm(y) + (x if self.residual is None else self.residual(x)))


class ReferenceTemporalUnit(nn.Module):
    """Dilated, pooling and 1x1 branches side by side, each with its own convolutions and norms."""

    def __init__(
        self, in_channels: int, widths: Sequence[int], stride: int, kernel: int, dilations: Sequence[int]
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList()
        for width, dilation in zip(widths, dilations, strict=False):
            temporal = nn.Conv2d(
                width,
                width,
                (kernel, 1),
                stride=(stride, 1),
                padding=((kernel - 1) * dilation // 2, 0),
                dilation=(dilation, 1),
                bias=False,
            )
            entry = conv_norm(in_channels, width)
            self.branches.append(nn.Sequential(*entry, nn.ReLU(inplace=True), temporal, nn.BatchNorm2d(width)))
        pool = nn.MaxPool2d((3, 1), stride=(stride, 1), padding=(1, 0))
        entry = conv_norm(in_channels, widths[-2])
        self.branches.append(nn.Sequential(*entry, nn.ReLU(inplace=True), pool, nn.BatchNorm2d(widths[-2])))
        self.branches.append(conv_norm(in_channels, widths[-1], stride))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, V) -> (N, C, ceil(T / stride), V)."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class ReferenceBlock(nn.Module):
    """Graph unit, temporal unit, residual connection around both, ReLU."""

    def __init__(self, graph: nn.Module, temporal: nn.Module, residual: nn.Module | None) -> None:
        super().__init__()
        self.graph, self.temporal, self.residual = graph, temporal, residual
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, T, V) -> (N, C_out, T', V)."""
        y = self.temporal(self.graph(x))
        return self.relu(y if self.residual is None else y + self.residual(x))


class ReferenceCTRGCN(nn.Module):
    """The network that a PartCTRGCN stands for; `reference_of` makes one and gives it the same weights.

    Args:
        sizes: What `block_sizes` reads from the tensors of a PartCTRGCN, a block each.
        num_features: Channels of the input norm: people x joints x channels.
        num_person: People with statistics of their own in the input norm.
        down_stages: Blocks, counted from 1, with stride 2.
        kernel: Frames of a dilated branch.
        dilations: One temporal branch each.
    """

    def __init__(
        self,
        sizes: Sequence[BlockSizes],
        num_features: int,
        num_person: int = 1,
        down_stages: Sequence[int] = (5, 8),
        kernel: int = 5,
        dilations: Sequence[int] = (1, 2),
    ) -> None:
        super().__init__()
        self.num_person = num_person
        self.input_norm = nn.BatchNorm1d(num_features)
        self.blocks = nn.ModuleList()
        for stage, size in enumerate(sizes, 1):
            stride = 2 if stage in down_stages else 1
            graph = ReferenceGraphUnit(
                size.in_channels, size.out_channels, size.subsets, size.joints, size.relation_channels
            )
            temporal = ReferenceTemporalUnit(size.out_channels, size.widths, stride, kernel, dilations)
            if stage == 1:
                residual = None
            elif size.in_channels == size.out_channels and stride == 1:
                residual = nn.Identity()
            else:
                residual = conv_norm(size.in_channels, size.out_channels, stride)
            self.blocks.append(ReferenceBlock(graph, temporal, residual))

    def forward(self, x: Tensor) -> Tensor:
        """(N, M, T, V, C_in) -> (N, M, C, T', V)."""
        n, m, t, v, c = x.shape
        x = x.permute(0, 1, 3, 4, 2).reshape(n * m // self.num_person, self.num_person * v * c, t)
        x = self.input_norm(x).view(n * m, v, c, t).permute(0, 2, 3, 1).contiguous()
        for block in self.blocks:
            x = block(x)
        return x.view(n, m, *x.shape[1:])


def conv_norm(in_channels: int, out_channels: int, stride: int = 1) -> nn.Sequential:
    """1x1 convolution without a bias and its norm."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 1, stride=(stride, 1), bias=False), nn.BatchNorm2d(out_channels)
    )


def block_sizes(tensors: Mapping[str, Tensor]) -> list[BlockSizes]:
    """Sizes of every block of a PartCTRGCN, from its parameters and buffers by name."""
    sizes = []
    while (prefix := f"blocks.{len(sizes)}.") + "graph.refine_weight" in tensors:
        block = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
        subsets, out_channels, relation_channels = block["graph.refine_weight"].shape
        sizes.append(
            BlockSizes(
                block["graph.values.weight"].shape[1],
                out_channels,
                subsets,
                block["graph.topology"].shape[-1],
                relation_channels,
                branch_widths(block, "temporal."),
            )
        )
    return sizes


def branch_widths(tensors: Mapping[str, Tensor], prefix: str) -> list[int]:
    """Channels of the dilated branches, the pooling branch and the 1x1 branch."""
    widths = []
    while (name := f"{prefix}dilated.{len(widths)}.weight") in tensors:
        widths.append(tensors[name].shape[0])
    entered, total = (tensors[f"{prefix}{name}.weight"].shape[0] for name in ("entry_norm", "norm"))
    return [*widths, entered - sum(widths), total - entered]


def split_tensors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of a PartCTRGCN by name -> those of its reference.

    Nothing is computed, merged tensors are cut: gradients are translated as weights are.
    """
    split: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        prefix, _, leaf = name.rpartition("graph.") if "graph." in name else name.rpartition("temporal.")
        if "graph." in name:
            subsets, channels, relation = tensors[f"{prefix}graph.refine_weight"].shape
            graph = f"{prefix}graph."
            kind, _, which = leaf.partition(".")
            if kind == "relations":  # (2 S R, C) or (2 S R,): queries of all subsets, then their keys
                parts = tensor.reshape(2, subsets, relation, *tensor.shape[1:])
                for s in range(subsets):
                    for side in range(2):
                        part = parts[side, s]
                        weight = part.reshape(relation, -1, 1, 1) if which == "weight" else part
                        split[f"{graph}convs.{s}.conv{side + 1}.{which}"] = weight
            elif kind == "values":
                for s, part in enumerate(tensor.reshape(subsets, channels, *tensor.shape[1:])):
                    weight = part.reshape(channels, -1, 1, 1) if which == "weight" else part
                    split[f"{graph}convs.{s}.conv3.{which}"] = weight
            elif kind == "refine_weight":
                for s, part in enumerate(tensor):
                    split[f"{graph}convs.{s}.conv4.weight"] = part.reshape(channels, relation, 1, 1)
            elif kind == "refine_bias":
                for s, part in enumerate(tensor):
                    split[f"{graph}convs.{s}.conv4.bias"] = part
            elif kind == "topology":
                split[f"{graph}adjacency"] = tensor
            else:  # alpha, norm, residual
                split[name] = tensor
        elif "temporal." in name:
            temporal = f"{prefix}temporal."
            widths = branch_widths(tensors, temporal)
            kind, _, which = leaf.partition(".")
            if kind == "dilated":
                number, _, which = which.partition(".")
                split[f"{temporal}branches.{number}.3.{which}"] = tensor
                continue
            # Places in a branch: 0 entry, 1 its norm, 2 ReLU, 3 convolution or pooling, 4 norm.
            if kind == "norm":
                places = [4] * (len(widths) - 1) + [1]
            else:
                places = [{"entry": 0, "entry_norm": 1}[kind]] * len(widths)
            if kind == "entry_norm":
                widths = widths[:-1]
            parts = tensor.split(widths) if tensor.dim() else [tensor] * len(widths)
            for number, (part, place) in enumerate(zip(parts, places, strict=False)):
                weight = part.reshape(*part.shape[:2], 1, 1) if kind == "entry" else part
                split[f"{temporal}branches.{number}.{place}.{which}"] = weight
        elif tensor.dim() >= 2:  # a block's own residual
            split[name] = tensor.reshape(*tensor.shape[:2], 1, 1)
        else:
            split[name] = tensor
    return split


def reference_of(
    model: PartCTRGCN, down_stages: Sequence[int] = (5, 8), kernel: int = 5, dilations: Sequence[int] = (1, 2)
) -> ReferenceCTRGCN:
    """The reference with a copy of a PartCTRGCN's weights and buffers, in the same mode and on the same device.

    Args:
        model: Not fused. Its dropout is not copied.
        down_stages: As the model was built.
        kernel: As the model was built.
        dilations: As the model was built.
    """
    tensors = {name: tensor.detach() for name, tensor in (*model.named_parameters(), *model.named_buffers())}
    reference = ReferenceCTRGCN(
        block_sizes(tensors),
        tensors["input_norm.weight"].shape[0],
        model.num_person,
        down_stages,
        kernel,
        dilations,
    )
    reference.load_state_dict(split_tensors(tensors))
    return reference.to(tensors["input_norm.weight"].device).train(model.training)


def split_gradients(model: PartCTRGCN) -> dict[str, Tensor]:
    """Gradients of a PartCTRGCN under the names and in the shapes of its reference's parameters."""
    return split_tensors({name: parameter.grad for name, parameter in model.named_parameters()})
