"""Which joints a PartCTRGCN looks at, and between which of them it passes messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gspmc_mm.models import PartCTRGCN

from .inference import InferenceError, Trained, batches


@dataclass(frozen=True)
class JointAttention:
    """Attention of a network, a mean over clips.

    Attributes:
        nodes: (V,) response of the joints, mean 1: the length of the joint's feature vector in the last map, the mean
            over frames of the clip, divided by the mean over joints.
        links: (V, V) strength of the messages, row receives, diagonal 0, mean 1 over the pairs: the absolute refined
            topology (shared part + alpha x refinement, CTR-GCN, equation 7), the mean over subsets and channels of a
            block. Its scale alone means nothing, as a batch norm follows.
        clips: How many clips the mean is over.
    """

    nodes: np.ndarray
    links: np.ndarray
    clips: int

    def between(self) -> np.ndarray:
        """(V, V) symmetric: the mean of both directions of every pair."""
        return (self.links + self.links.T) / 2


@torch.no_grad()
def joint_attention(trained: Trained, clips: Iterable[str], block: int = -1) -> JointAttention:
    """Mean attention over some clips of the test loader; the first sampling of each.

    Args:
        trained: network with a PartCTRGCN.
        clips: ids of the clips.
        block: whose topology, counted from 0, negative from the end.

    Raises:
        InferenceError: Another backbone, no such block, or a clip that the test loader does not have.
    """
    backbone = trained.model.backbone
    if not isinstance(backbone, PartCTRGCN):
        raise InferenceError(
            f"the backbone is {type(backbone).__name__}; a refined topology is what PartCTRGCN has, before fuse()"
        )
    if not -len(backbone.blocks) <= block < len(backbone.blocks):
        raise InferenceError(f"block {block}: the network has {len(backbone.blocks)} blocks")
    wanted = set(clips)
    if not wanted:
        raise InferenceError("no clips to take the mean attention of")
    graph = backbone.blocks[block].graph
    topologies: list[Tensor] = []

    def keep(module: torch.nn.Module, arguments: tuple[Tensor, ...]) -> None:
        topologies.append(graph.channel_topology(arguments[0]).abs().mean(dim=(1, 2)))

    nodes, links, found = 0.0, 0.0, set()
    hook = graph.register_forward_pre_hook(keep)
    try:
        for batch in batches(trained):
            chosen = [i for i, name in enumerate(batch.clip_ids) if name in wanted]
            if not chosen:
                continue
            inputs = batch.inputs[chosen][:, 0]  # (B, M, T, V, C)
            features = backbone(inputs)  # (B, M, C, T', V)
            response = features.float().norm(dim=2).mean(dim=(1, 2))  # (B, V)
            nodes = nodes + (response / response.mean(dim=1, keepdim=True).clamp_min(1e-12)).sum(0).cpu().numpy()
            # People of a clip lie side by side in the blocks.
            each = topologies.pop().float().unflatten(0, (len(chosen), -1)).mean(1)
            links = links + each.sum(0).cpu().numpy()
            found |= {batch.clip_ids[i] for i in chosen}
    finally:
        hook.remove()
    missing = sorted(wanted - found)
    if missing:
        raise InferenceError(f"the test data set of the config does not have the clip(s) {', '.join(missing[:5])}")
    np.fill_diagonal(links, 0.0)
    pairs = len(links) * (len(links) - 1)
    return JointAttention(nodes / len(found), links * (pairs / max(float(links.sum()), 1e-12)), len(found))
