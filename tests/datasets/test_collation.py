"""Batches as one tensor: the same numbers as mmengine's lists, in one piece of memory."""

from __future__ import annotations

import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.dataset import pseudo_collate
from mmengine.registry import FUNCTIONS

from gspmc_mm.datasets import SkeletonPreprocessor, stack_clips


def clips(count: int = 3, frames: int = 4) -> list[dict]:
    generator = torch.Generator().manual_seed(0)
    return [
        {
            "inputs": torch.randn(1, 1, frames, 5, 3, generator=generator),
            "data_samples": ActionDataSample().set_gt_label(label),
        }
        for label in range(count)
    ]


def test_stacked_and_listed_clips_are_the_same_batch():
    preprocessor = MODELS.build(dict(type="SkeletonPreprocessor"))
    stacked = preprocessor(stack_clips(clips()), training=True)
    listed = preprocessor(pseudo_collate(clips()), training=True)
    assert stacked["inputs"].shape == (3, 1, 1, 4, 5, 3)
    assert torch.equal(stacked["inputs"], listed["inputs"])
    for batch in (stacked, listed):
        assert [int(sample.gt_label) for sample in batch["data_samples"]] == [0, 1, 2]


def test_nothing_is_copied_after_the_worker_wrote_the_batch():
    batch = stack_clips(clips())
    address = batch["inputs"].data_ptr()
    assert SkeletonPreprocessor()(batch)["inputs"].data_ptr() == address


def test_half_precision_clips_become_float32():
    batch = stack_clips(clips())
    batch["inputs"] = batch["inputs"].half()
    assert SkeletonPreprocessor()(batch)["inputs"].dtype == torch.float32


def test_clips_of_different_lengths_are_refused():
    with pytest.raises(RuntimeError, match="equal size"):
        stack_clips(clips(1, frames=4) + clips(1, frames=5))


def test_configs_can_name_it():
    assert FUNCTIONS.get("stack_clips") is stack_clips
