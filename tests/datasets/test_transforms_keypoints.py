from __future__ import annotations

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS

from gspmc_mm.datasets import FillMissingKeypoints, SelectKeypoints
from gspmc_mm.datasets.transforms.keypoints import gate_points, interpolate_gaps, seen_points
from gspmc_mm.skeleton import LayoutError, get_layout


def loop_interpolation(keypoint, score, max_gap):
    filled, filled_score = keypoint.copy(), score.copy()
    persons, frames, joints = score.shape
    for m in range(persons):
        for v in range(joints):
            for t in range(frames):
                if score[m, t, v] > 0:
                    continue
                before = [s for s in range(t) if score[m, s, v] > 0]
                after = [s for s in range(t + 1, frames) if score[m, s, v] > 0]
                if not before or not after or after[0] - before[-1] - 1 > max_gap:
                    continue
                a, b = before[-1], after[0]
                for c in range(keypoint.shape[-1]):
                    slope = (keypoint[m, b, v, c] - keypoint[m, a, v, c]) / (b - a)
                    filled[m, t, v, c] = keypoint[m, a, v, c] + slope * (t - a)
                filled_score[m, t, v] = min(score[m, a, v], score[m, b, v])
    return filled, filled_score


@pytest.mark.parametrize("max_gap", [0, 1, 2, 5])
def test_interpolation_equals_the_loop(make_results, max_gap):
    clip = make_results("coco17", frames=15, persons=2, seed=3)
    rng = np.random.default_rng(1)
    clip["keypoint_score"][rng.random(clip["keypoint_score"].shape) < 0.4] = 0
    clip["keypoint"][clip["keypoint_score"] == 0] = 0
    expected = loop_interpolation(clip["keypoint"], clip["keypoint_score"], max_gap)
    found = interpolate_gaps(clip["keypoint"], clip["keypoint_score"], max_gap)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(found[1], expected[1])
    assert (found[1] > 0).sum() > (clip["keypoint_score"] > 0).sum() or max_gap == 0


def test_gate_makes_doubtful_points_missing():
    keypoint = np.full((1, 1, 3, 2), 5.0, np.float32)
    score = np.array([[[0.2, 0.5, 0.0]]], np.float32)
    points, scores = gate_points(keypoint, score, 0.5)
    np.testing.assert_array_equal(scores, [[[0, 0.5, 0]]])
    np.testing.assert_array_equal(points[0, 0], [[0, 0], [5, 5], [0, 0]])
    # Without a threshold, a point of score 0 is missing all the same.
    np.testing.assert_array_equal(gate_points(keypoint, score, 0.0)[0][0, 0, 2], [0, 0])


def test_fill_gates_before_it_fills(results):
    keypoint, score = results["keypoint"].copy(), results["keypoint_score"].copy()
    out = FillMissingKeypoints(min_score=0.4, max_gap=2)(dict(results))
    gated = gate_points(keypoint, score, 0.4)
    expected = loop_interpolation(*gated, 2)
    np.testing.assert_allclose(out["keypoint"], expected[0], rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(out["keypoint_score"], expected[1])
    np.testing.assert_array_equal(results["keypoint"], keypoint)  # the input is left alone
    assert out["keypoint"].dtype == np.float32
    assert out["keypoint_score"].dtype == np.float32


@pytest.mark.parametrize("frames", [1, 2])
def test_fill_leaves_very_short_and_empty_clips(make_results, frames):
    clip = make_results(frames=frames)
    out = FillMissingKeypoints(max_gap=3)(dict(clip))
    np.testing.assert_array_equal(out["keypoint"], clip["keypoint"])
    clip["keypoint"][:] = 0
    clip["keypoint_score"][:] = 0
    assert not FillMissingKeypoints(max_gap=3)(clip)["keypoint"].any()


@pytest.mark.parametrize("arguments", [{"min_score": 1.5}, {"min_score": -1}, {"max_gap": -1}])
def test_fill_refuses_bad_arguments(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        FillMissingKeypoints(**arguments)


@pytest.mark.parametrize("name", ["sign87", "samslr27", "hands42", "coco17"])
def test_select_takes_the_source_points(make_results, name):
    clip = make_results("wholebody133")
    out = SelectKeypoints(name)(dict(clip))
    layout = get_layout(name)
    assert out["layout"] == layout
    for v, source in enumerate(layout.source_indices):
        np.testing.assert_array_equal(out["keypoint"][:, :, v], clip["keypoint"][:, :, source])
        np.testing.assert_array_equal(out["keypoint_score"][:, :, v], clip["keypoint_score"][:, :, source])
    assert not np.shares_memory(out["keypoint"], clip["keypoint"])


def test_select_out_of_another_choice(make_results):
    clip = make_results("sign87")
    direct = clip["keypoint"][:, :, get_layout("sign87").part_indices("left_hand")]
    out = SelectKeypoints("hands42")(clip)
    np.testing.assert_array_equal(out["keypoint"][:, :, :21], direct)


def test_select_keeps_a_layout_of_its_own(make_results, user_layout):
    clip = make_results(user_layout)
    out = SelectKeypoints(user_layout)(dict(clip))
    np.testing.assert_array_equal(out["keypoint"], clip["keypoint"])


def test_select_refuses_points_that_are_not_there(make_results):
    with pytest.raises(LayoutError, match="coco17"):
        SelectKeypoints("sign87")(make_results("coco17"))
    with pytest.raises(LayoutError, match="ntu25"):
        SelectKeypoints("sign87")(make_results("ntu25"))
    with pytest.raises(LayoutError, match="sing87"):
        SelectKeypoints("sing87")


def test_one_pipeline_serves_clips_of_two_layouts(make_results):
    select = SelectKeypoints("hands42")
    for name in ("wholebody133", "sign87", "wholebody133"):
        assert select(make_results(name))["keypoint"].shape[2] == 42


def test_seen_without_scores_is_off_the_origin():
    points = np.array([[0.0, 0.0], [0.0, 1.0]])
    np.testing.assert_array_equal(seen_points(points, None), [False, True])


def test_built_from_a_config():
    fill = TRANSFORMS.build({"type": "FillMissingKeypoints", "min_score": 0.3, "max_gap": 4})
    assert repr(fill) == "FillMissingKeypoints(min_score=0.3, max_gap=4)"
    select = TRANSFORMS.build({"type": "SelectKeypoints", "layout": "masa49"})
    assert repr(select) == "SelectKeypoints(layout='masa49')"
