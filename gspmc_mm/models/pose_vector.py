"""PoseVector: no network, so that what the networks add can be seen."""

from __future__ import annotations

from mmaction.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class PoseVector(nn.Module):
    """The clip as one standardised vector; with a linear classifier behind it, the linear baseline.

    Args:
        num_features: Numbers of a clip, T * V * C.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(num_features, affine=False)

    def init_weights(self) -> None:
        """Nothing to do; recognisers call it."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, M, T, V, C) -> (N, M, T * V * C, 1, 1), each number standardised over the batch or by what was seen.

        Raises:
            ValueError: The clip has another size.
        """
        people = x.shape[:2]
        vectors = x.flatten(0, 1).flatten(1)
        if vectors.size(1) != self.norm.num_features:
            raise ValueError(
                f"PoseVector was built for {self.norm.num_features} numbers a clip and got {vectors.size(1)} "
                f"({' x '.join(map(str, x.shape[2:]))}); set num_features and the head's in_channels to T * V * C"
            )
        return self.norm(vectors).view(*people, -1, 1, 1)
