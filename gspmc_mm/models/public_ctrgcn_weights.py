"""Weights of the public CTR-GCN implementations under the names of PartCTRGCN.

Two families of names are known, told apart by themselves:

========================  =====================================  =============================================
what                      original (`Uason-Chen/CTR-GCN`)        pyskl, mmaction2's `projects/ctrgcn`
========================  =====================================  =============================================
block 1                   `l1.`                                  `net.0.`
shared topology           `gcn1.PA`, row u receives              `gcn1.A`, column v receives
behind the branches       nothing                                a ReLU: `temporal=dict(final_relu=True)`
========================  =====================================  =============================================

With columns that receive, B[u, v] = A[u, v] + alpha (w . tanh(q_u - k_v) + b) and y_v = sum_u B[u, v] x_u. Read by
rows, as PartCTRGCN does, that is the transposed A, the roles of q and k exchanged and, tanh being odd, -w.

Their convolutions have biases in front of batch norms. Such a bias only shifts the norm's running mean, and is taken
off there, so nothing is lost.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

# What stands in front of the names: DistributedDataParallel, recognisers of pyskl and mmaction2.
_PREFIX = re.compile(r"^(module\.)?(backbone\.)?")
_BLOCK = {"original": "l{}.", "mmaction": "net.{}."}
_FIRST = {"original": 1, "mmaction": 0}
_TOPOLOGY = {"original": "gcn1.PA", "mmaction": "gcn1.A"}
_NORM = ("weight", "bias", "running_mean", "running_var")


class PublicWeightsError(ValueError):
    """A state dict that is none of a public CTR-GCN, or of one that PartCTRGCN cannot hold."""


class FinalReLUWarning(UserWarning):
    """The weights come from a network with a ReLU that PartCTRGCN has on demand only."""


def is_public_ctrgcn(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict has the names of a public CTR-GCN."""
    return naming_of(_bare(state)) is not None


def naming_of(state: Mapping[str, Tensor]) -> str | None:
    """'original', 'mmaction' (pyskl too) or None, from names without prefixes."""
    for naming in _BLOCK:
        if _BLOCK[naming].format(_FIRST[naming]) + _TOPOLOGY[naming] in state:
            return naming
    return None


def convert_public_ctrgcn(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of a public CTR-GCN as one of PartCTRGCN, which gives the same numbers with it.

    The layout has to have the joints in the order of the public network's graph; its edges do not matter, because the
    topologies come from the weights. The classifier is left out.

    Args:
        state: The state dict itself (not the checkpoint around it); `module.` and `backbone.` in front are taken off.

    Returns:
        For `PartCTRGCN.load_state_dict`.

    Raises:
        PublicWeightsError: No public CTR-GCN, a tensor is missing, or branches of unequal width.

    Warns:
        FinalReLUWarning: The names are pyskl's or mmaction2's, whose temporal unit ends with a ReLU:
            the network needs `temporal=dict(final_relu=True)`.
    """
    bare = _bare(state)
    naming = naming_of(bare)
    if naming is None:
        some = ", ".join(list(state)[:4])
        raise PublicWeightsError(
            f"no public CTR-GCN: neither l1.gcn1.PA (original) nor net.0.gcn1.A (pyskl, mmaction2) is among the names "
            f"({some}, ...); give the state dict of an adaptive CTR-GCN"
        )
    if naming == "mmaction":
        warnings.warn(
            "pyskl and mmaction2 have a ReLU behind the branches of the temporal unit: build PartCTRGCN with "
            "temporal=dict(final_relu=True), or its predictions will be others",
            FinalReLUWarning,
            stacklevel=2,
        )
    try:
        converted = {f"input_norm.{name}": bare[f"data_bn.{name}"] for name in (*_NORM, "num_batches_tracked")}
        number = 0
        while (block := _BLOCK[naming].format(number + _FIRST[naming])) + _TOPOLOGY[naming] in bare:
            converted |= _graph(bare, f"{block}", f"blocks.{number}.graph.", naming)
            converted |= _temporal(bare, f"{block}tcn1.branches.", f"blocks.{number}.temporal.")
            if f"{block}residual.conv.weight" in bare:
                pair = (f"{block}residual.conv.", f"{block}residual.bn.")
                converted |= _projection(bare, *pair, f"blocks.{number}.residual.")
            number += 1
    except KeyError as error:
        raise PublicWeightsError(f"the state dict of a public CTR-GCN ({naming} names) lacks {error}") from error
    return converted


def _bare(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors without what stands in front of their names."""
    return {_PREFIX.sub("", name): tensor for name, tensor in state.items()}


def _graph(state: Mapping[str, Tensor], block: str, target: str, naming: str) -> dict[str, Tensor]:
    """The graph unit of one block."""
    unit = f"{block}gcn1."
    topology = state[block + _TOPOLOGY[naming]]
    rows = naming == "original"
    convs = [f"{unit}convs.{subset}." for subset in range(topology.size(0))]

    def stacked(name: str) -> Tensor:
        return torch.stack([state[conv + name] for conv in convs])

    query, key = ("conv1", "conv2") if rows else ("conv2", "conv1")
    refine = stacked("conv4.weight").flatten(2)
    converted = {
        f"{target}relations.weight": torch.cat([stacked(f"{c}.weight").flatten(0, 1) for c in (query, key)])[..., 0],
        f"{target}relations.bias": torch.cat([stacked(f"{c}.bias").flatten() for c in (query, key)]),
        f"{target}values.weight": stacked("conv3.weight").flatten(0, 1),
        f"{target}values.bias": stacked("conv3.bias").flatten(),
        f"{target}refine_weight": refine if rows else -refine,
        f"{target}refine_bias": stacked("conv4.bias"),
        f"{target}alpha": state[f"{unit}alpha"],
        f"{target}topology": topology if rows else topology.transpose(1, 2).contiguous(),
        f"{target}norm.num_batches_tracked": state[f"{unit}bn.num_batches_tracked"],
    }
    converted |= {f"{target}norm.{name}": state[f"{unit}bn.{name}"] for name in _NORM}
    if f"{unit}down.0.weight" in state:
        converted |= _projection(state, f"{unit}down.0.", f"{unit}down.1.", f"{target}residual.")
    return converted


def _projection(state: Mapping[str, Tensor], convolution: str, norm: str, target: str) -> dict[str, Tensor]:
    """A 1x1 convolution and its norm."""
    converted = {f"{target}1.{name}": tensor for name, tensor in _norm_behind(state, convolution, norm).items()}
    converted[f"{target}1.num_batches_tracked"] = state[f"{norm}num_batches_tracked"]
    converted[f"{target}0.weight"] = state[f"{convolution}weight"]
    return converted


def _norm_behind(state: Mapping[str, Tensor], convolution: str | None, norm: str) -> dict[str, Tensor]:
    """A norm whose running mean is that of the convolution before it without its bias."""
    tensors = {name: state[norm + name] for name in _NORM}
    if convolution is not None and f"{convolution}bias" in state:
        tensors["running_mean"] = tensors["running_mean"] - state[f"{convolution}bias"]
    return tensors


def _temporal(state: Mapping[str, Tensor], branches: str, target: str) -> dict[str, Tensor]:
    """The temporal unit: dilated branches, pooling branch, 1x1 branch; their tensors side by side."""
    dilated = []
    while f"{branches}{len(dilated)}.3.conv.weight" in state:
        dilated.append(f"{branches}{len(dilated)}.")
    pooled, straight = f"{branches}{len(dilated)}.", f"{branches}{len(dilated) + 1}."
    everything = [*dilated, pooled, straight]
    entries = [state[f"{branch}0.weight"] for branch in everything]
    if len({len(entry) for entry in entries}) > 1:
        raise PublicWeightsError(
            f"{branches}: branches of {[len(entry) for entry in entries]} channels; PartCTRGCN gives a remainder to "
            "the first branch, the public networks to the last: the channels have to be a multiple of the branches"
        )
    entry_norms = [_norm_behind(state, f"{branch}0.", f"{branch}1.") for branch in [*dilated, pooled]]
    norms = [_norm_behind(state, f"{branch}3.conv.", f"{branch}3.bn.") for branch in dilated]
    norms += [_norm_behind(state, None, f"{pooled}4."), _norm_behind(state, f"{straight}0.", f"{straight}1.")]
    seen = state[f"{straight}1.num_batches_tracked"]
    converted = {f"{target}entry.weight": torch.cat(entries)}
    for name, group in (("entry_norm", entry_norms), ("norm", norms)):
        converted |= {f"{target}{name}.{key}": torch.cat([norm[key] for norm in group]) for key in _NORM}
        converted[f"{target}{name}.num_batches_tracked"] = seen
    for number, branch in enumerate(dilated):
        converted[f"{target}dilated.{number}.weight"] = state[f"{branch}3.conv.weight"]
    return converted
