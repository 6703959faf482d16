from __future__ import annotations

import copy
import pickle
import random

import numpy as np
import pytest
from mmcv.transforms import BaseTransform

from gspmc_mm.datasets import SignPoseDataset
from gspmc_mm.datasets.step_cache import StepCache

FIRST = [
    {"type": "SelectKeypoints", "layout": "sign87"},
    {"type": "TrimToSigning"},
    {"type": "FillMissingKeypoints", "min_score": 0.05, "max_gap": 2},
    {"type": "NormalizeSigner"},
]
REST = [
    {"type": "RandomPlanarAffine", "rotate": 15, "shift": 0.1},
    {"type": "MirrorSigner", "prob": 0.5},
    {"type": "SampleSignFrames", "clip_len": 6},
    {"type": "PoseDecode"},
    {"type": "SkeletonStream", "stream": "jm"},
    {"type": "FormatGCNInput", "num_person": 1},
    {"type": "PackActionInputs", "meta_keys": ("clip_id", "signer", "stream")},
]


class Add(BaseTransform):
    """Adds a number in place, as a careless step would."""

    def __init__(self, number, deterministic=None):
        self.number, self.calls = number, 0
        if deterministic is not None:
            self.deterministic = deterministic

    def transform(self, results):
        self.calls += 1
        results["x"] += self.number
        return results


def batches(dataset, epochs=3):
    random.seed(0)
    np.random.seed(0)
    return [dataset[i] for _ in range(epochs) for i in range(len(dataset))]


def count_reads(dataset, monkeypatch):
    reads = []
    read = dataset._source.read
    monkeypatch.setattr(dataset._source, "read", lambda row, joints=None: reads.append(row) or read(row, joints))
    return reads


def test_the_same_clips_as_without(store_path, monkeypatch):
    plain = SignPoseDataset(str(store_path), [*FIRST, *REST])
    cached = SignPoseDataset(str(store_path), [*FIRST, *REST], cache=True)
    reads = count_reads(cached, monkeypatch)
    for expected, result in zip(batches(plain), batches(cached), strict=True):
        np.testing.assert_array_equal(expected["inputs"], result["inputs"])
        assert expected["data_samples"].clip_id == result["data_samples"].clip_id
        assert int(expected["data_samples"].gt_label) == int(result["data_samples"].gt_label)
    assert sorted(reads) == list(range(len(cached)))  # every clip once in three epochs


def test_what_stands_behind_chance_is_not_kept():
    steps = [Add(1, True), Add(10), Add(100, True)]
    cache = StepCache()
    results = [cache.run(steps, 7, lambda: {"x": np.zeros(2)})["x"].tolist() for _ in range(3)]
    assert results == [[111, 111]] * 3  # nobody wrote into what is kept
    assert [step.calls for step in steps] == [1, 3, 3]


@pytest.mark.parametrize("steps", [[], [Add(1)], [Add(1, False)]])
def test_without_deterministic_steps_the_reading_is_kept(steps):
    cache, reads = StepCache(), []
    for _ in range(2):
        cache.run(steps, 0, lambda: reads.append(0) or {"x": np.zeros(1)})
    assert reads == [0]


def test_other_steps_begin_anew():
    cache = StepCache()
    first, second = Add(1, True), Add(2, True)
    assert cache.run([first], 0, lambda: {"x": np.zeros(1)})["x"] == 1
    assert cache.run([second], 0, lambda: {"x": np.zeros(1)})["x"] == 2
    assert cache.run([second, first], 0, lambda: {"x": np.zeros(1)})["x"] == 3


def test_a_dropped_clip_stays_dropped():
    def drop(results):
        return None

    drop.deterministic = True
    cache, reads, after = StepCache(), [], Add(1)
    for _ in range(2):
        assert cache.run([drop, after], 3, lambda: reads.append(3) or {"x": np.zeros(1)}) is None
    assert reads == [3]
    assert after.calls == 0


def test_copies_begin_empty(store_path):
    dataset = SignPoseDataset(str(store_path), [*FIRST, *REST], cache=True)
    batches(dataset, epochs=1)
    assert len(dataset._cache) == len(dataset)
    for other in (pickle.loads(pickle.dumps(dataset._cache)), copy.deepcopy(dataset._cache)):
        assert len(other) == 0


def test_subsets_name_their_own_places(store_path):
    dataset = SignPoseDataset(str(store_path), FIRST, cache=True)
    assert [dataset[i]["sample_idx"] for i in range(3)] == [0, 1, 2]
    subset = dataset.get_subset([4, 2])
    assert [(clip["sample_idx"], clip["clip_id"]) for clip in (subset[0], subset[1])] == [(0, "clip-4"), (1, "clip-2")]
    dataset.get_subset_([5, 1])
    assert [(dataset[i]["sample_idx"], dataset[i]["clip_id"]) for i in (0, -1)] == [(0, "clip-5"), (1, "clip-1")]
