"""Batches that hold several clips of a sign."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Dataset, Sampler


def grouped_order(labels: np.ndarray, clips_per_sign: int, rng: np.random.Generator) -> np.ndarray:
    """A random order (N,) of all clips in which those of a sign stand together, `clips_per_sign` at a time.

    Every clip comes once. What is left of a sign is a smaller group.
    """
    shuffled = rng.permutation(len(labels))
    of_signs = shuffled[np.argsort(labels[shuffled], kind="stable")]
    starts = np.flatnonzero(np.diff(labels[of_signs], prepend=np.nan))
    place = np.arange(len(labels)) - np.repeat(starts, np.diff(starts, append=len(labels)))  # within its sign
    group = np.cumsum(place % clips_per_sign == 0) - 1
    turn = rng.permutation(group[-1] + 1) if len(group) else group
    return of_signs[np.argsort(turn[group], kind="stable")]


def clip_labels(dataset: Dataset) -> np.ndarray:
    """Labels (N,) int64 of a data set; those of a SignPoseDataset without reading its points."""
    if hasattr(dataset, "labels"):
        return np.asarray(dataset.labels, dtype=np.int64)
    return np.array([dataset.get_data_info(i)["label"] for i in range(len(dataset))], dtype=np.int64)


@DATA_SAMPLERS.register_module()
class SignGroupSampler(Sampler):
    """Shuffles so that `clips_per_sign` clips of a sign come one after another, hence into the same batch.

    At batch 16 of 100 signs hardly two clips of a sign meet, and a multi-positive loss has one positive. Every clip is
    still seen once an epoch. Over several ranks the order is dealt out clip by clip, so that a group stays within
    one global batch (the head gathers the features of all ranks).

    Args:
        dataset: A SignPoseDataset, or any data set with `labels` or whose `get_data_info(i)` has a `label`.
        clips_per_sign: Clips of a sign that stand together, at least 1. The batch size should be a multiple of it.
        seed: Of the order; the training's own by default.
        round_up: Repeat clips so that all ranks have the same number.

    Raises:
        ValueError: `clips_per_sign` below 1.
    """

    def __init__(
        self, dataset: Dataset, clips_per_sign: int = 2, seed: int | None = None, round_up: bool = True
    ) -> None:
        if clips_per_sign < 1:
            raise ValueError(f"SignGroupSampler: clips_per_sign is at least 1, got {clips_per_sign}.")
        self.rank, self.world_size = get_dist_info()
        self.labels = clip_labels(dataset)
        self.clips_per_sign = clips_per_sign
        self.seed = sync_random_seed() if seed is None else seed
        self.round_up = round_up
        self.epoch = 0

    def __iter__(self) -> Iterator[int]:
        order = grouped_order(self.labels, self.clips_per_sign, np.random.default_rng([self.seed, self.epoch]))
        if self.round_up:
            order = np.resize(order, len(self) * self.world_size)
        return iter(order[self.rank :: self.world_size].tolist())

    def __len__(self) -> int:
        remaining = len(self.labels) - self.rank
        if self.round_up:
            remaining = len(self.labels) + self.world_size - 1
            return remaining // self.world_size
        return (remaining + self.world_size - 1) // self.world_size

    def set_epoch(self, epoch: int) -> None:
        """Another order for another epoch."""
        self.epoch = epoch
