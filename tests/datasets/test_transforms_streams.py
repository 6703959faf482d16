from __future__ import annotations

import numpy as np
import pytest
from mmaction.datasets.transforms import FormatGCNInput
from mmaction.registry import TRANSFORMS

from gspmc_mm.datasets import SkeletonStream


def loop_bones(keypoint, score, layout):
    bones, scores = np.zeros_like(keypoint), np.zeros_like(score)
    for m, t, v in np.ndindex(score.shape):
        parent = layout.parents[v]
        scores[m, t, v] = min(score[m, t, v], score[m, t, parent])
        if scores[m, t, v] > 0:
            bones[m, t, v] = keypoint[m, t, v] - keypoint[m, t, parent]
    return bones, scores


def loop_motion(points, score, num_clips=1):
    motion, scores = np.zeros_like(points), np.zeros_like(score)
    length = score.shape[1] // num_clips
    for m, t, v in np.ndindex(score.shape):
        if t % length == length - 1:
            continue
        scores[m, t, v] = min(score[m, t, v], score[m, t + 1, v])
        if scores[m, t, v] > 0:
            motion[m, t, v] = points[m, t + 1, v] - points[m, t, v]
    return motion, scores


def expected_stream(clip, stream, num_clips=1):
    points, score = clip["keypoint"], clip["keypoint_score"]
    if "b" in stream:
        points, score = loop_bones(points, score, clip["layout"])
    if "m" in stream:
        points, score = loop_motion(points, score, num_clips)
    return points, score


@pytest.mark.parametrize("stream", ["j", "b", "jm", "bm"])
@pytest.mark.parametrize("name", ["sign87", "hands20", "ntu25", "user"])
def test_streams_equal_the_loops(make_results, user_layout, stream, name):
    clip = make_results(user_layout if name == "user" else name, persons=2)
    before = clip["keypoint"].copy(), clip["keypoint_score"].copy()
    points, score = expected_stream(clip, stream)
    out = SkeletonStream(stream)(dict(clip))
    np.testing.assert_allclose(out["keypoint"], points, atol=1e-4)
    np.testing.assert_array_equal(out["keypoint_score"], score)
    assert out["stream"] == stream
    assert out["keypoint"].dtype == np.float32
    assert not out["keypoint"][out["keypoint_score"] == 0].any()
    np.testing.assert_array_equal(clip["keypoint"], before[0])
    np.testing.assert_array_equal(clip["keypoint_score"], before[1])


@pytest.mark.parametrize("stream", ["jm", "bm"])
def test_samplings_do_not_move_into_one_another(make_results, stream):
    clip = make_results(frames=12)
    clip["num_clips"] = 3
    points, score = expected_stream(clip, stream, num_clips=3)
    out = SkeletonStream(stream, extra="velocity")(dict(clip))
    np.testing.assert_allclose(out["keypoint"][..., :2], points, atol=1e-4)
    np.testing.assert_array_equal(out["keypoint_score"], score)
    single = {**clip, "num_clips": 1, "keypoint": clip["keypoint"][:, 4:8]}
    single["keypoint_score"] = clip["keypoint_score"][:, 4:8]
    alone = SkeletonStream("j", extra="velocity")(single)
    np.testing.assert_allclose(out["keypoint"][:, 4:8, :, 2:], alone["keypoint"][..., 2:])


@pytest.mark.parametrize("stream", ["j", "b", "jm", "bm"])
def test_one_frame_and_nothing_seen(make_results, stream):
    extra = ("hand_local", "velocity")
    clip = make_results(frames=1)
    out = SkeletonStream(stream, extra)(dict(clip))
    assert out["keypoint"].shape == (1, 1, 87, 6)
    assert np.isfinite(out["keypoint"]).all()
    if "m" in stream:
        assert not out["keypoint"][..., :2].any()
        assert not out["keypoint_score"].any()
    clip["keypoint"][:] = 0
    clip["keypoint_score"][:] = 0
    assert not SkeletonStream(stream, extra)(clip)["keypoint"].any()


def loop_velocity(keypoint, score):
    expected = np.zeros_like(keypoint)
    frames = score.shape[1]
    for m, t, v in np.ndindex(score.shape):
        steps = []
        for a, b in ((t - 1, t), (t, t + 1)):
            if a >= 0 and b < frames and score[m, a, v] > 0 and score[m, b, v] > 0:
                steps.append(keypoint[m, b, v] - keypoint[m, a, v])
        if steps:
            expected[m, t, v] = 4 * sum(steps) / len(steps)
    return expected


def loop_hand_local(clip):
    keypoint, score, layout = clip["keypoint"], clip["keypoint_score"], clip["layout"]
    expected = np.zeros_like(keypoint)
    for side in ("left", "right"):
        joints = layout.parts[f"{side}_hand"]
        root = layout.landmarks[f"{side}_hand_root"]
        middle = next(v for v in joints if "middle" in layout.joint_names[v])
        sizes = []
        for m, t in np.ndindex(score.shape[:2]):
            if score[m, t, root] > 0 and score[m, t, middle] > 0:
                sizes.append(np.hypot(*(keypoint[m, t, middle] - keypoint[m, t, root])))
        for m, t in np.ndindex(score.shape[:2]):
            for v in joints:
                if score[m, t, root] > 0 and score[m, t, v] > 0:
                    offset = keypoint[m, t, v] - keypoint[m, t, root]
                    expected[m, t, v] = offset / np.median(sizes)
    return expected


@pytest.mark.parametrize("name", ["sign87", "hands20", "user"])
@pytest.mark.parametrize("stream", ["j", "bm"])
def test_extra_channels_are_of_the_joints(make_results, user_layout, name, stream):
    clip = make_results(user_layout if name == "user" else name, frames=9, seed=2)
    out = SkeletonStream(stream, extra=("hand_local", "velocity"))(dict(clip))
    points, _ = expected_stream(clip, stream)
    expected = [points, loop_hand_local(clip), loop_velocity(*points_of(clip))]
    np.testing.assert_allclose(out["keypoint"], np.concatenate(expected, -1), rtol=1e-4, atol=1e-3)
    only = SkeletonStream(stream, extra="velocity")(dict(clip))
    np.testing.assert_array_equal(only["keypoint"][..., 2:], out["keypoint"][..., 4:])


def points_of(clip):
    return clip["keypoint"], clip["keypoint_score"]


def test_a_hand_never_measured_has_the_size_of_the_other(make_results):
    clip = make_results("hands42")
    clip["keypoint_score"][:, :, 21 + 9] = 0
    clip["keypoint"][:, :, 21 + 9] = 0
    local = SkeletonStream(extra="hand_local")(dict(clip))["keypoint"][..., 2:]
    seen = (clip["keypoint_score"][..., 0] > 0) & (clip["keypoint_score"][..., 9] > 0)
    offset = clip["keypoint"][:, :, 9] - clip["keypoint"][:, :, 0]
    size = np.median(np.linalg.norm(offset[seen], axis=-1))
    t = np.flatnonzero((clip["keypoint_score"][0][:, [21, 22]] > 0).all(1))[0]
    expected = (clip["keypoint"][0, t, 22] - clip["keypoint"][0, t, 21]) / size
    np.testing.assert_allclose(local[0, t, 22], expected, rtol=1e-4)


def test_no_hands_no_hand_local(make_results):
    with pytest.raises(ValueError, match=r"coco17.*no hands"):
        SkeletonStream(extra="hand_local")(make_results("coco17"))


def test_channels_after_formatting(results):
    with_score = SkeletonStream("j", extra=("hand_local", "velocity"))(dict(results))
    without = SkeletonStream("j", score=False)(dict(results))
    formatted = FormatGCNInput(num_person=1)
    assert formatted(with_score)["keypoint"].shape == (1, 1, 7, 87, 7)
    assert "keypoint_score" not in without
    assert formatted(without)["keypoint"].shape == (1, 1, 7, 87, 2)


def test_streams_of_clips_without_scores(results):
    score = (results["keypoint_score"] > 0).astype(np.float32)
    expected = expected_stream({**results, "keypoint_score": score}, "bm")[0]
    del results["keypoint_score"]
    out = SkeletonStream("bm")(results)
    np.testing.assert_allclose(out["keypoint"], expected, atol=1e-4)
    assert "keypoint_score" not in out


def test_bad_arguments_and_twice(results):
    with pytest.raises(ValueError, match="'mj'"):
        SkeletonStream("mj")
    with pytest.raises(ValueError, match="'depth'"):
        SkeletonStream("j", extra=("depth",))
    with pytest.raises(ValueError, match="twice"):
        SkeletonStream("b")(SkeletonStream("j")(results))


def test_built_from_a_config():
    step = TRANSFORMS.build({"type": "SkeletonStream", "stream": "bm", "extra": ["velocity"]})
    assert repr(step) == "SkeletonStream(stream='bm', extra=('velocity',), score=True)"
