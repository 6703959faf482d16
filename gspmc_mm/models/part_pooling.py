"""Part pooling: one feature vector per body part (GSP-MC, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmaction.registry import MODELS
from torch import Tensor, nn

from gspmc_mm.skeleton import get_layout


def part_matrix(parts: Sequence[Sequence[int]], num_joints: int) -> Tensor:
    """Averaging matrix (P, V): row p holds 1 / size at the joints of part p."""
    matrix = torch.zeros(len(parts), num_joints)
    for row, joints in enumerate(parts):
        matrix[row, list(joints)] = 1.0 / len(joints)
    return matrix


@MODELS.register_module()
class PartPooling(nn.Module):
    """Mean over people, frames and the joints of each part.

    Args:
        layout: The layout of the joints, see `gspmc_mm.skeleton`.
        parts: Names of the parts to pool, in this order. All parts of the layout by default.

    Raises:
        ValueError: The layout has no part of that name.
    """

    def __init__(self, layout: str | dict = "sign87", parts: Sequence[str] | None = None) -> None:
        super().__init__()
        layout = get_layout(layout)
        self.parts = tuple(parts if parts is not None else layout.parts)
        unknown = [part for part in self.parts if part not in layout.parts]
        if unknown:
            raise ValueError(f"PartPooling: layout {layout.name} has the parts {list(layout.parts)}, not {unknown}.")
        matrix = part_matrix([layout.parts[part] for part in self.parts], layout.num_joints)
        self.register_buffer("matrix", matrix, persistent=False)

    def forward(self, features: Tensor, weights: Tensor | None = None) -> dict[str, Tensor]:
        """(N, M, C, T, V) -> one (N, C) per part, by name.

        Args:
            features: Feature map of the backbone.
            weights: (N, M, T, V), how much a joint counts in a frame, see `confidence_weights`. Equal by default.
        """
        if features.size(-1) != self.matrix.size(1):
            raise ValueError(
                f"PartPooling was built for {self.matrix.size(1)} joints and got features of shape "
                f"{tuple(features.shape)}; backbone and part pooling have to name the same layout."
            )
        if weights is None:
            per_joint = features.mean(dim=(1, 3))  # (N, C, V)
            pooled = per_joint @ self.matrix.to(per_joint.dtype).t()  # (N, C, P)
        else:
            matrix = self.matrix.to(weights.dtype).t()
            weighted = (features * weights[:, :, None]).sum(dim=(1, 3)) @ matrix
            pooled = weighted / (weights.sum(dim=(1, 2)) @ matrix)[:, None]
        return dict(zip(self.parts, pooled.unbind(-1), strict=True))

    def extra_repr(self) -> str:
        """The parts, for `print(model)`."""
        return f"parts={self.parts}"


# A part that was never seen keeps its uniform mean: weights are nowhere smaller than this.
_LEAST_WEIGHT = 1e-3


def confidence_weights(scores: Tensor, num_frames: int) -> Tensor:
    """Confidences (N, M, T, V) of the input as weights (N, M, T', V) of the feature map, all above 0.

    A step of the feature map has the mean confidence of the input frames that it stands for.
    """
    return F.adaptive_avg_pool2d(scores, (num_frames, scores.size(-1))).clamp(min=_LEAST_WEIGHT)


def global_pooling(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """(N, M, C, T, V) -> (N, C): mean over people, frames and joints, weighted by (N, M, T, V) if given."""
    if weights is None:
        return features.mean(dim=(1, 3, 4))
    return (features * weights[:, :, None]).sum(dim=(1, 3, 4)) / weights.sum(dim=(1, 2, 3))[:, None]
