"""What the input side leaves out or computes otherwise for speed changes no number."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS

from gspmc_mm.datasets import SelectKeypoints, SignPoseDataset
from gspmc_mm.datasets.transforms.affine import apply_planar
from gspmc_mm.datasets.transforms.keypoints import interpolate_gaps, plane_of, with_plane, zero_missing
from gspmc_mm.datasets.transforms.signer import middle, rescale
from gspmc_mm.poses import PoseStore

STEPS = [
    {"type": "SelectKeypoints", "layout": "sign87"},
    {"type": "FillMissingKeypoints", "min_score": 0.3, "max_gap": 3},
    {"type": "NormalizeSigner"},
    {"type": "RandomPlanarAffine"},
    {"type": "SampleSignFrames", "clip_len": 6, "mode": "window"},
    {"type": "PoseDecode"},
    {"type": "SkeletonStream", "stream": "j"},
    {"type": "FormatGCNInput", "num_person": 1},
]


def test_points_left_unread_change_nothing(store_path):
    dataset = SignPoseDataset(str(store_path), pipeline=STEPS)
    steps = [TRANSFORMS.build(step) for step in STEPS]
    for index in range(len(dataset)):
        np.random.seed(index)
        got = dataset[index]
        results = dataset.get_data_info(index)
        assert results["keypoint"].shape[-2] == 133  # everybody else still gets all points
        np.random.seed(index)
        for step in steps:
            results = step(results)
        np.testing.assert_array_equal(got["keypoint"], results["keypoint"])
        assert got["layout"].name == "sign87"


def test_only_the_selected_points_are_asked_of_the_store(store_path, monkeypatch):
    asked = []

    def points(self, index, frames=None, joints=None, read=PoseStore.points):
        asked.append(None if joints is None else len(joints))
        return read(self, index, frames, joints)

    monkeypatch.setattr(PoseStore, "points", points)
    SignPoseDataset(str(store_path), pipeline=STEPS)[0]
    SignPoseDataset(str(store_path), pipeline=STEPS[1:3])[0]
    assert asked == [87, None]


def test_a_selection_of_ones_own_is_left_to_itself(store_path):
    class Careful(SelectKeypoints):
        def transform(self, results):
            assert results["keypoint"].shape[-2] == 133
            return super().transform(results)

    assert SignPoseDataset(str(store_path), pipeline=[Careful("sign87")])[0]["keypoint"].shape[-2] == 87


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_points_as_complex_numbers(dims, dtype):
    rng = np.random.default_rng(dims)
    keypoint = rng.normal(size=(2, 5, 7, dims)).astype(dtype)
    plane = plane_of(keypoint)
    assert np.array_equal(plane.real, keypoint[..., 0])
    assert np.array_equal(plane.imag, keypoint[..., 1])
    back = with_plane(keypoint, plane)
    assert back.dtype == dtype
    assert np.array_equal(back, keypoint)
    seen = rng.random((2, 5, 7)) < 0.7
    assert np.array_equal(zero_missing(keypoint, seen), np.where(seen[..., None], keypoint, 0))


def test_rescaling_and_moving_equal_the_formulas_in_float64():
    rng = np.random.default_rng(0)
    keypoint = rng.uniform(0, 2000, (1, 20, 87, 2)).astype(np.float32)
    seen = rng.random((1, 20, 87)) < 0.9
    origin, unit = np.array([960.25, 411.125]), 203.7
    wanted = (keypoint.astype(np.float64) - origin) / unit
    got = rescale(keypoint, origin, unit)
    assert got.dtype == np.float32
    # A millionth of a shoulder width is a five-thousandth of a pixel here; the store keeps eighths of a pixel.
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-6)
    matrix, shift = np.array([[1.1, -0.2], [0.3, 0.9]]), np.array([0.05, -0.02])
    moved = np.where(seen[..., None], got.astype(np.float64) @ matrix.T + shift, got)
    np.testing.assert_allclose(apply_planar(got, seen, matrix, shift), moved, rtol=0, atol=2e-6)


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_middle_is_the_median(count):
    values = np.random.default_rng(count).normal(size=(count, 3))
    np.testing.assert_array_equal(middle(values), np.median(values, axis=0))


@pytest.mark.parametrize("seed", range(6))
def test_gaps_are_filled_as_a_loop_fills_them(seed):
    rng = np.random.default_rng(seed)
    persons, frames, joints, longest = 2, int(rng.integers(1, 14)), 5, int(rng.integers(0, 5))
    score = rng.uniform(0.1, 1, (persons, frames, joints)).astype(np.float32)
    score[rng.random(score.shape) < 0.45] = 0
    keypoint = rng.normal(size=(*score.shape, 2)).astype(np.float32)
    keypoint[score == 0] = 0
    wanted, wanted_score = keypoint.copy(), score.copy()
    for m in range(persons):
        for v in range(joints):
            shown = np.flatnonzero(score[m, :, v] > 0)
            for first, last in pairwise(shown):
                if last - first - 1 > longest:
                    continue
                for t in range(first + 1, last):
                    weight = (t - first) / (last - first)
                    wanted[m, t, v] = (1 - weight) * keypoint[m, first, v] + weight * keypoint[m, last, v]
                    wanted_score[m, t, v] = min(score[m, first, v], score[m, last, v])
    got, got_score = interpolate_gaps(keypoint, score, longest)
    np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(got_score, wanted_score)
