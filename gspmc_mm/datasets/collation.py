"""A batch of clips as one array: written once by the worker, pinned once, moved to the device once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmaction.models.data_preprocessors import ActionDataPreprocessor
from mmaction.registry import MODELS
from mmengine.registry import FUNCTIONS
from torch import Tensor
from torch.utils.data import default_collate


@FUNCTIONS.register_module()
def stack_clips(batch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the clips of a batch into one tensor, and their data samples into a list.

    mmengine's `pseudo_collate` leaves a list of clips: a worker process then hands over every clip by itself, and the
    training process pads, stacks and moves them one by one. Here a worker writes them side by side into the memory
    that it shares with the training process. The model needs `SkeletonPreprocessor`.

    Args:
        batch: What the pipeline made of each clip, `inputs` all of one shape.

    Returns:
        `inputs` (B, clips, M, T, V, C) and `data_samples`.

    Raises:
        RuntimeError: The clips are of different shapes.
    """
    return {
        "inputs": default_collate([clip["inputs"] for clip in batch]),
        "data_samples": [clip["data_samples"] for clip in batch],
    }


@MODELS.register_module()
class SkeletonPreprocessor(ActionDataPreprocessor):
    """Moves a batch to the device, whether it comes stacked (`stack_clips`) or as a list of clips.

    Skeletons need nothing else. Its arguments are those of mmaction's `ActionDataPreprocessor`, which takes lists only.
    """

    def preprocess(self, inputs: Tensor | list[Tensor], data_samples: list, training: bool = False) -> tuple:
        """(B, clips, M, T, V, C) or B tensors of (clips, M, T, V, C) -> float32 (B, clips, M, T, V, C)."""
        if isinstance(inputs, Tensor):
            inputs = inputs.float() if self.to_float32 else inputs
            return inputs, data_samples
        return super().preprocess(inputs, data_samples, training)
