from __future__ import annotations

import math

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS

from gspmc_mm.datasets import NormalizeSigner, RandomPlanarAffine, SkeletonStream
from gspmc_mm.datasets.transforms.affine import apply_planar, planar_matrix


def test_affine_equals_the_loop(make_results):
    clip = make_results("coco17", persons=2)
    points = np.concatenate([clip["keypoint"], np.ones((*clip["keypoint"].shape[:3], 1))], axis=-1)
    seen = clip["keypoint_score"] > 0
    found = apply_planar(points, seen, planar_matrix(20, 1.2, 0.1, -0.2), np.array([0.5, -0.25]))
    cos, sin = math.cos(math.radians(20)), math.sin(math.radians(20))
    for index in np.ndindex(seen.shape):
        x, y, z = points[index]
        if seen[index]:
            sheared = (x + 0.1 * y, y - 0.2 * x)
            x = 1.2 * (cos * sheared[0] - sin * sheared[1]) + 0.5
            y = 1.2 * (sin * sheared[0] + cos * sheared[1]) - 0.25
        np.testing.assert_allclose(found[index], (x, y, z), rtol=1e-5)


def test_scores_and_missing_points_are_untouched(results):
    clip = NormalizeSigner("box")(results)
    before, score = clip["keypoint"].copy(), clip["keypoint_score"].copy()
    np.random.seed(0)
    out = RandomPlanarAffine(rotate=30, scale=0.3, shear=0.3, shift=2)(dict(clip))
    np.testing.assert_array_equal(out["keypoint_score"], score)
    assert out["keypoint_score"] is clip["keypoint_score"]
    assert not out["keypoint"][score == 0].any()
    assert np.abs(out["keypoint"] - before)[score > 0].min() > 0
    assert out["keypoint"].dtype == np.float32
    np.testing.assert_array_equal(clip["keypoint"], before)


def test_one_matrix_per_clip(results):
    clip = NormalizeSigner("box")(results)
    seen = clip["keypoint_score"] > 0
    np.random.seed(3)
    out = RandomPlanarAffine(rotate=15, scale=0.2, shear=0.1, shift=0.3)(dict(clip))
    source = np.c_[clip["keypoint"][seen], np.ones(seen.sum())]
    fitted, *_ = np.linalg.lstsq(source, out["keypoint"][seen], rcond=None)
    np.testing.assert_allclose(source @ fitted, out["keypoint"][seen], atol=1e-5)


def test_rotation_alone_keeps_lengths_and_its_limit(results):
    clip = NormalizeSigner("box")(results)
    seen = clip["keypoint_score"] > 0
    step = RandomPlanarAffine(rotate=10, scale=0, shear=0, shift=0)
    np.random.seed(1)
    largest = 0.0
    for _ in range(60):
        points = step(dict(clip))["keypoint"][seen]
        start = clip["keypoint"][seen]
        np.testing.assert_allclose(np.linalg.norm(points, axis=1), np.linalg.norm(start, axis=1), rtol=1e-4, atol=1e-6)
        cross = start[:, 0] * points[:, 1] - start[:, 1] * points[:, 0]
        angle = np.degrees(np.arctan2(cross, (start * points).sum(1)))
        largest = max(largest, np.abs(np.median(angle)))
    assert 8 < largest <= 10


def test_prob_zero_and_all_missing(results):
    clip = NormalizeSigner("box")(results)
    out = RandomPlanarAffine(prob=0)(dict(clip))
    np.testing.assert_array_equal(out["keypoint"], clip["keypoint"])
    clip["keypoint"] = np.zeros_like(clip["keypoint"])
    clip["keypoint_score"] = np.zeros_like(clip["keypoint_score"])
    assert not RandomPlanarAffine(shift=1)(clip)["keypoint"].any()


def test_pixels_and_streams_are_refused(results):
    with pytest.raises(ValueError, match="NormalizeSigner before"):
        RandomPlanarAffine()(dict(results))
    stream = SkeletonStream("jm")(NormalizeSigner("box")(results))
    with pytest.raises(ValueError, match="before SkeletonStream"):
        RandomPlanarAffine()(stream)


@pytest.mark.parametrize("arguments", [{"rotate": -1}, {"scale": 1}, {"shear": 1.5}, {"shift": -0.1}, {"prob": 3}])
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RandomPlanarAffine(**arguments)


def test_built_from_a_config():
    step = TRANSFORMS.build({"type": "RandomPlanarAffine", "rotate": 5, "scale": 0.2})
    assert repr(step) == "RandomPlanarAffine(rotate=5, scale=0.2, shear=0.1, shift=0.1, prob=1.0)"
