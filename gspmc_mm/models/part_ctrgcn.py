"""PartCTRGCN: channel-wise topology refinement graph convolution over the parts of a signing body.

Source: Chen et al., "Channel-wise Topology Refinement Graph Convolution for Skeleton-Based Action
Recognition", ICCV 2021 (equations 4 to 8), used as the visual encoder of GSP-MC (arXiv 2505.02304,
section 3). Written from the mathematics of the paper.

Differences from the paper's block, all exact:

- the mean over time is taken before the two relation projections (both are linear), which are one product for all
  subsets,
- no topology is kept: see `refined_graph_convolution`,
- 1x1 convolutions are matrix products, and pooling is a maximum of three.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from mmaction.models.utils import Graph
from mmaction.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from gspmc_mm.models.pointwise_and_pooling import max_of_three, pointwise
from gspmc_mm.models.refined_graph_convolution import mixing_weights, refined_graph_convolution, refined_topology
from gspmc_mm.models.shared_graph_convolution import shared_graph_convolution
from gspmc_mm.skeleton import Layout, get_layout

if TYPE_CHECKING:
    from gspmc_mm.models.fused_ctrgcn import FusedCTRGCN

MEMORY = ("normal", "low")


def init_convolution(convolution: nn.Conv2d) -> nn.Conv2d:
    """Kaiming normal weights by fan-out; returns what it got."""
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution


class ResidualProjection(nn.Sequential):
    """A 1x1 convolution and its norm beside a unit that changes channels or frames.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out.
        stride: Step over time.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        convolution = nn.Conv2d(in_channels, out_channels, 1, stride=(stride, 1), bias=False)
        super().__init__(init_convolution(convolution), nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, T, V) -> (N, C_out, ceil(T / stride), V)."""
        convolution, norm = self
        return norm(pointwise(x, convolution.weight, stride=convolution.stride[0]))


class CTRGraphConv(nn.Module):
    """Channel-wise topology refinement graph convolution with a residual connection.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out.
        adjacency: (S, V, V), `adjacency[s, u, v]` = how much joint u takes from joint v; rows sum to 1 or 0.
        relation_reduction: Relation channels are `in_channels // relation_reduction`, but at least 8.
        learn_topology: Whether the shared topology is a parameter.
        refine: Whether every channel of every clip has a topology of its own, as in the paper. Without, all share the
            subsets' topologies. With few clips of every class the refinement learns the clips by heart:
            docs/results.md has what that costs. `relation_reduction` and `pad_joints_to` belong to the refinement.
        norm_init: Initial scale of the batch norm behind the aggregation. 1 lets the unit take part at once;
            a small value (1e-6 in the literature) starts every block as its residual.
        pad_joints_to: See `refined_graph_convolution`; 8 may be faster on a GPU in half precision, which
            `tools/benchmark.py model --contenders "ours bf16" "ours padded bf16"` tells.

    Raises:
        ValueError: `pad_joints_to` is less than 1, or more than 1 without refinement.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        adjacency: Tensor,
        relation_reduction: int = 8,
        learn_topology: bool = True,
        refine: bool = True,
        norm_init: float = 1.0,
        pad_joints_to: int = 1,
    ) -> None:
        super().__init__()
        if pad_joints_to < 1:
            raise ValueError(f"CTRGraphConv: pad_joints_to has to be 1 (no padding) or more, got {pad_joints_to}")
        if pad_joints_to > 1 and not refine:
            raise ValueError(
                "CTRGraphConv: pad_joints_to is for the refined topologies; leave it out with refine=False"
            )
        self.pad_joints_to = pad_joints_to
        subsets = adjacency.size(0)
        self.subsets, self.out_channels, self.refine = subsets, out_channels, refine
        if refine:
            self.relation = max(in_channels // relation_reduction, 8)
            # Query and key of all subsets are one product over the time mean.
            self.relations = nn.Conv1d(in_channels, 2 * subsets * self.relation, 1)
            self.refine_weight = nn.Parameter(torch.empty(subsets, out_channels, self.relation))
            self.refine_bias = nn.Parameter(torch.zeros(subsets, out_channels))
            self.alpha = nn.Parameter(torch.zeros(1))
        self.values = nn.Conv2d(in_channels, subsets * out_channels, 1)
        if learn_topology:
            self.topology = nn.Parameter(adjacency.clone())
        else:
            self.register_buffer("topology", adjacency.clone(), persistent=False)
        self.norm = nn.BatchNorm2d(out_channels)
        self.norm_init = norm_init
        if in_channels == out_channels:
            self.residual = nn.Identity()
        else:
            self.residual = ResidualProjection(in_channels, out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Kaiming fan-out, where one subset counts as a convolution of its own."""
        if self.refine:
            nn.init.normal_(self.relations.weight, std=(2.0 / self.relation) ** 0.5)
        nn.init.normal_(self.values.weight, std=(2.0 / self.out_channels) ** 0.5)
        nn.init.zeros_(self.values.bias)
        if self.refine:
            nn.init.normal_(self.refine_weight, std=(2.0 / self.out_channels) ** 0.5)
            nn.init.zeros_(self.relations.bias)
            nn.init.zeros_(self.refine_bias)
        nn.init.constant_(self.norm.weight, self.norm_init)

    def channel_topology(self, x: Tensor) -> Tensor:
        """The topology of every channel, shared part + alpha * refinement (CTR-GCN, eq. 7).

        Args:
            x: (N, C_in, T, V).

        Returns:
            (N, S, C_out, V, V), (receiving, giving).
        """
        if not self.refine:
            return self.topology.unsqueeze(1).expand(x.size(0), -1, self.out_channels, -1, -1)
        return refined_topology(*self.query_and_key(x), self.mixing, self.topology)

    def query_and_key(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C_in, T, V) -> projections of the receiving and of the giving joints, each (N, S, R, V)."""
        # The mean over time comes first: both are linear.
        projected = pointwise(x.mean(2, keepdim=True), self.relations.weight, self.relations.bias)
        return projected.view(x.size(0), 2, self.subsets, self.relation, x.size(3)).unbind(1)

    @property
    def mixing(self) -> Tensor:
        """(S, C_out, R + 2), see `mixing_weights`."""
        return mixing_weights(self.refine_weight, self.refine_bias, self.alpha)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, T, V) -> (N, C_out, T, V)."""
        weight = self.values.weight.view(self.subsets, self.out_channels, -1)
        bias = self.values.bias.view(self.subsets, self.out_channels)
        if self.refine:
            y = refined_graph_convolution(
                x,
                weight,
                bias,
                *self.query_and_key(x),
                self.mixing,
                self.topology,
                pad_joints_to=self.pad_joints_to,
            )
        else:
            y = shared_graph_convolution(x, weight, bias, self.topology)
        return self.relu(self.norm(y).add_(self.residual(x)))


class MultiScaleTemporalConv(nn.Module):
    """Temporal convolution in parallel branches: dilated 5x1, max-pooling 3x1 and 1x1 (CTR-GCN, section 3.4).

    Every branch begins with a 1x1 convolution and ends with a batch norm; all branches but the 1x1 have a batch norm
    and ReLU in between. The entries of all branches are one convolution and the norms one norm each: the same numbers
    in a third of the calls.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out; shared equally by the branches, a remainder goes to the first.
        stride: Step over time.
        kernel_size: Frames a dilated branch sees before dilation, odd.
        dilations: One branch each.
        final_relu: Whether a ReLU follows the last norm, as in pyskl and mmaction2; the paper's block has none there.

    Raises:
        ValueError: Fewer channels than branches.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        kernel_size: int = 5,
        dilations: Sequence[int] = (1, 2),
        final_relu: bool = False,
    ) -> None:
        super().__init__()
        self.final_relu = final_relu
        branches = len(dilations) + 2
        width = out_channels // branches
        if width == 0:
            raise ValueError(f"{branches} temporal branches need at least {branches} channels, got {out_channels}.")
        self.widths = [out_channels - width * (branches - 1)] + [width] * (branches - 1)
        self.stride = stride
        # No biases: a norm follows every convolution.
        self.entry = init_convolution(nn.Conv2d(in_channels, out_channels, 1, bias=False))
        self.entry_norm = nn.BatchNorm2d(out_channels - width)
        self.relu = nn.ReLU(inplace=True)
        self.dilated = nn.ModuleList(
            init_convolution(
                nn.Conv2d(
                    channels,
                    channels,
                    (kernel_size, 1),
                    stride=(stride, 1),
                    padding=((kernel_size - 1) * dilation // 2, 0),
                    dilation=(dilation, 1),
                    bias=False,
                )
            )
            for channels, dilation in zip(self.widths, dilations, strict=False)
        )
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, T, V) -> (N, C_out, ceil(T / stride), V)."""
        rest = self.widths[-1]
        active = self.relu(self.entry_norm(pointwise(x, self.entry.weight[:-rest])))
        *dilated, pooled = active.split(self.widths[:-1], dim=1)
        branches = [convolution(part) for convolution, part in zip(self.dilated, dilated, strict=True)]
        branches += [
            max_of_three(pooled, self.stride),
            pointwise(x, self.entry.weight[-rest:], stride=self.stride),
        ]
        y = self.norm(torch.cat(branches, dim=1))
        return self.relu(y) if self.final_relu else y


class CTRGCNBlock(nn.Module):
    """One block: graph convolution, multi-scale temporal convolution, residual connection.

    Args:
        in_channels: Channels that come in.
        out_channels: Channels that go out.
        adjacency: (S, V, V), rows receive.
        stride: Step over time.
        residual: Whether the block has a residual connection around both units.
        graph: Further arguments of `CTRGraphConv`.
        temporal: Further arguments of `MultiScaleTemporalConv`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        adjacency: Tensor,
        stride: int = 1,
        residual: bool = True,
        graph: dict | None = None,
        temporal: dict | None = None,
    ) -> None:
        super().__init__()
        self.graph = CTRGraphConv(in_channels, out_channels, adjacency, **(graph or {}))
        self.temporal = MultiScaleTemporalConv(out_channels, out_channels, stride, **(temporal or {}))
        if not residual:
            self.residual = None
        elif in_channels == out_channels and stride == 1:
            self.residual = nn.Identity()
        else:
            self.residual = ResidualProjection(in_channels, out_channels, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, T, V) -> (N, C_out, ceil(T / stride), V)."""
        y = self.temporal(self.graph(x))
        if self.temporal.final_relu:  # the gradient of that ReLU is read off what it gave, which has to stay
            return torch.relu(y if self.residual is None else y + self.residual(x))
        return self.relu(y if self.residual is None else y.add_(self.residual(x)))


def check_skeletons(x: Tensor, layout: Layout, in_channels: int, num_person: int) -> None:
    """Refuse skeletons (N, M, T, V, C) that a network was not built for.

    Raises:
        ValueError: Joints, channels or people are others.
    """
    _, m, _, v, c = x.shape
    if v != layout.num_joints or c != in_channels:
        raise ValueError(
            f"PartCTRGCN was built for {layout.num_joints} joints ({layout.name}) of "
            f"{in_channels} channels and got {v} joints of {c} channels; the pipeline's SelectKeypoints "
            "and SkeletonStream have to name the same layout and channels as the backbone."
        )
    if m % num_person:
        raise ValueError(f"PartCTRGCN was built for num_person={num_person} and got {m} people.")


@contextmanager
def running_statistics_kept(module: nn.Module) -> Iterator[None]:
    """Inside, batch norms still use the batch's statistics and do not add them to the running ones a second time."""
    norms = [one for one in module.modules() if isinstance(one, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # running statistics of which nothing is replaced
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked -= 1


@MODELS.register_module()
class PartCTRGCN(BaseModule):
    """CTR-GCN on the joints of a signing body: 64 x 4, 128 x 3, 256 x 3 channels by default.

    Args:
        layout: Name of a skeleton layout, a layout of one's own (dict or file), see `gspmc_mm.skeleton`.
        in_channels: Channels of a joint: 3 for (x, y, confidence).
        base_channels: Channels of the first stage.
        num_stages: Number of blocks.
        inflate_stages: Blocks (counted from 1) at which the channels double.
        down_stages: Blocks (counted from 1) with stride 2 over time.
        channel_ratio: Factor by which the channels grow.
        num_person: People in a clip that have statistics of their own in the input normalisation; they share
            them when it is 1.
        graph: Further arguments of `CTRGraphConv`, for instance `dict(norm_init=1e-6)`.
        temporal: Further arguments of `MultiScaleTemporalConv`.
        dropout: Probability with which a channel of a clip is dropped behind each block. 0 is the paper's.
        memory: 'normal', or 'low': training keeps each block's input only and computes the block again in backward.

    Raises:
        LayoutError: The layout is unknown or not valid.
        ValueError: `memory` is neither.
    """

    def __init__(
        self,
        layout: str | dict = "sign87",
        in_channels: int = 3,
        base_channels: int = 64,
        num_stages: int = 10,
        inflate_stages: Sequence[int] = (5, 8),
        down_stages: Sequence[int] = (5, 8),
        channel_ratio: float = 2,
        num_person: int = 1,
        graph: dict | None = None,
        temporal: dict | None = None,
        dropout: float = 0.0,
        memory: str = "normal",
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if memory not in MEMORY:
            raise ValueError(f"memory={memory!r} is none of {MEMORY}")
        self.memory = memory
        self.layout = get_layout(layout)
        # mmaction's matrices are normalised by column: column i holds the neighbours that joint i takes from.
        # Transposed, row u receives, and the aggregation is a mean over neighbours.
        matrices = Graph(layout=self.layout.graph(), mode="spatial").A
        adjacency = torch.tensor(matrices, dtype=torch.float32).transpose(1, 2).contiguous()
        self.in_channels = in_channels
        self.num_person = num_person
        self.input_norm = nn.BatchNorm1d(num_person * self.layout.num_joints * in_channels)
        blocks = []
        width, channels = float(base_channels), in_channels
        for stage in range(1, num_stages + 1):
            if stage in inflate_stages:
                width *= channel_ratio
            blocks.append(
                CTRGCNBlock(
                    channels,
                    int(width),
                    adjacency,
                    stride=2 if stage in down_stages else 1,
                    residual=stage > 1,
                    graph=graph,
                    temporal=temporal,
                )
            )
            channels = int(width)
        self.blocks = nn.ModuleList(blocks)
        self.out_channels = channels
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Features of every joint.

        Args:
            x: (N, M, T, V, C_in), M people of N clips.

        Returns:
            (N, M, C, T', V).

        Raises:
            ValueError: The joints or channels are not those of this network.
        """
        check_skeletons(x, self.layout, self.in_channels, self.num_person)
        n, m, t, v, c = x.shape
        groups = self.num_person
        x = x.permute(0, 1, 3, 4, 2).reshape(n * m // groups, groups * v * c, t)
        x = self.input_norm(x).view(n * m, v, c, t).permute(0, 2, 3, 1).contiguous()
        for block in self.blocks:
            x = self.dropout(self._run(block, x))
        return x.view(n, m, *x.shape[1:])

    def _run(self, block: CTRGCNBlock, x: Tensor) -> Tensor:
        """One block; with little memory it is run again in backward instead of being remembered."""
        if self.memory == "normal" or not (self.training and torch.is_grad_enabled()):
            return block(x)

        def contexts() -> tuple[AbstractContextManager, AbstractContextManager]:
            return nullcontext(), running_statistics_kept(block)

        return checkpoint(block, x, use_reentrant=False, preserve_rng_state=False, context_fn=contexts)

    def fuse(self) -> FusedCTRGCN:
        """This network for inference, its norms folded into the products; this one is left as it is.

        Returns:
            A module that takes and returns what this one does, equal to `eval()` to rounding. It cannot be trained.
        """
        from gspmc_mm.models.fused_ctrgcn import FusedCTRGCN

        return FusedCTRGCN(self)
