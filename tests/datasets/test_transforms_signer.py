from __future__ import annotations

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS
from mmengine.logging import MMLogger

from gspmc_mm.datasets import MirrorSigner, NormalizeSigner, SkeletonStream
from gspmc_mm.datasets.transforms import signer
from gspmc_mm.datasets.transforms.signer import HAND_SIZES_PER_UNIT, mirror_points
from gspmc_mm.datasets.transforms.streams import bone_stream
from gspmc_mm.skeleton import get_layout


@pytest.fixture
def warnings(monkeypatch):
    """The warnings that NormalizeSigner logs, as if nothing had been reported before."""
    monkeypatch.setattr(signer, "_reported", set())
    said = []
    monkeypatch.setattr(MMLogger.get_current_instance(), "warning", said.append)
    return said


def loop_normalized(clip, origin, unit):
    expected = np.zeros_like(clip["keypoint"])
    for index in np.ndindex(clip["keypoint_score"].shape):
        if clip["keypoint_score"][index] > 0:
            for c in range(2):
                expected[index + (c,)] = (clip["keypoint"][index + (c,)] - origin[c]) / unit
    return expected


def loop_shoulders(clip, person):
    left, right = (clip["layout"].landmarks[f"{side}_shoulder"] for side in ("left", "right"))
    middles, widths = [], []
    for t in range(clip["total_frames"]):
        score = clip["keypoint_score"][person, t]
        if score[left] > 0 and score[right] > 0:
            a = clip["keypoint"][person, t, left].astype(float)
            b = clip["keypoint"][person, t, right].astype(float)
            middles.append([(a[0] + b[0]) / 2, (a[1] + b[1]) / 2])
            widths.append(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)
    return np.median(middles, axis=0), np.median(widths)


@pytest.mark.parametrize("name", ["sign87", "samslr27", "coco17"])
def test_shoulders_equal_the_loop(make_results, warnings, name):
    clip = make_results(name, frames=12, seed=5)
    before = clip["keypoint"].copy()
    out = NormalizeSigner()(dict(clip))
    expected = loop_normalized(clip, *loop_shoulders(clip, 0))
    np.testing.assert_allclose(out["keypoint"], expected, rtol=1e-4, atol=1e-5)
    assert out["keypoint"].dtype == np.float32
    assert out["normalized"] is True
    assert not out["keypoint"][clip["keypoint_score"] == 0].any()
    np.testing.assert_array_equal(clip["keypoint"], before)
    assert warnings == []


def test_body_motion_and_aspect_ratio_stay(make_results, warnings):
    clip = make_results("coco17", frames=9)
    clip["keypoint_score"][:] = 1
    steps = np.diff(clip["keypoint"], axis=1)
    out = np.diff(NormalizeSigner()(dict(clip))["keypoint"], axis=1)
    largest = np.unravel_index(np.abs(steps).argmax(), steps.shape)
    unit = steps[largest] / out[largest]
    assert unit > 1
    np.testing.assert_allclose(out * unit, steps, atol=1e-3)


def test_several_persons_share_one_frame(make_results, warnings):
    clip = make_results("coco17", frames=6, persons=2)
    clip["keypoint_score"][0] = 0
    clip["keypoint"][0] = 0
    out = NormalizeSigner()(dict(clip))
    expected = loop_normalized(clip, *loop_shoulders(clip, 1))
    np.testing.assert_allclose(out["keypoint"], expected, rtol=1e-4, atol=1e-5)


def test_hands_equal_the_loop(make_results, warnings):
    clip = make_results("hands42", frames=8)
    roots, sizes = [], []
    for t in range(8):
        for root in (0, 21):
            score, points = clip["keypoint_score"][0, t], clip["keypoint"][0, t].astype(float)
            if score[root] > 0:
                roots.append(points[root])
                if score[root + 9] > 0:
                    sizes.append(np.hypot(*(points[root + 9] - points[root])))
    unit = HAND_SIZES_PER_UNIT * np.median(sizes)
    out = NormalizeSigner("hands")(dict(clip))
    expected = loop_normalized(clip, np.median(roots, axis=0), unit)
    np.testing.assert_allclose(out["keypoint"], expected, rtol=1e-4, atol=1e-5)
    assert warnings == []


@pytest.mark.parametrize("name", ["sign87", "hands42", "hands20", "samslr27"])
def test_middle_finger_base_is_point_9_of_the_hand(name):
    layout = get_layout(name)
    middles = [hand.middle for hand in signer.hands_of(layout)]
    roots = [hand.root for hand in signer.hands_of(layout)]
    assert [layout.source_indices[v] for v in roots] == [91, 112]
    assert [layout.source_indices[v] for v in middles] == [100, 121]


def test_box_equals_the_loop(make_results, warnings):
    clip = make_results("hands42")
    points = clip["keypoint"][clip["keypoint_score"] > 0].astype(float)
    low, high = points.min(0), points.max(0)
    out = NormalizeSigner("box")(dict(clip))
    expected = loop_normalized(clip, (low + high) / 2, max(high - low))
    np.testing.assert_allclose(out["keypoint"], expected, rtol=1e-4, atol=1e-5)
    assert warnings == []
    assert np.abs(out["keypoint"]).max() <= 0.5 + 1e-6


def test_missing_shoulders_fall_back_to_the_box_and_say_so_once(make_results, warnings):
    clip = make_results()
    shoulders = [clip["layout"].landmarks[f"{side}_shoulder"] for side in ("left", "right")]
    clip["keypoint_score"][:, :, shoulders[0]] = 0
    clip["keypoint"][:, :, shoulders[0]] = 0
    box = NormalizeSigner("box")(dict(clip))["keypoint"]
    normalize = NormalizeSigner()
    np.testing.assert_array_equal(normalize(dict(clip))["keypoint"], box)
    normalize(dict(clip))
    assert len(warnings) == 1
    assert "clip-1" in warnings[0]
    assert "shoulders" in warnings[0]


@pytest.mark.parametrize("reference", ["shoulders", "hands", "box"])
def test_a_clip_without_points_stays_zero(make_results, warnings, reference):
    clip = make_results(frames=1)
    clip["keypoint"][:] = 0
    clip["keypoint_score"][:] = 0
    out = NormalizeSigner(reference)(clip)
    assert out["keypoint"].shape == (1, 1, 87, 2)
    assert not out["keypoint"].any()
    assert len(warnings) == 1


def test_one_frame_and_shoulders_in_one_place(make_results, warnings):
    clip = make_results("coco17", frames=1)
    clip["keypoint_score"][:] = 1
    clip["keypoint"][:, :, 6] = clip["keypoint"][:, :, 5]
    assert np.isfinite(NormalizeSigner()(clip)["keypoint"]).all()


def test_user_layout_normalizes(make_results, user_layout, warnings):
    clip = make_results(user_layout, frames=5)
    expected = loop_normalized(clip, *loop_shoulders(clip, 0))
    np.testing.assert_allclose(NormalizeSigner()(dict(clip))["keypoint"], expected, atol=1e-5)
    assert np.isfinite(NormalizeSigner("hands")(dict(clip))["keypoint"]).all()
    assert warnings == []


def loop_mirror(clip, width):
    expected = np.zeros_like(clip["keypoint"])
    scores = np.zeros_like(clip["keypoint_score"])
    for m, t, v in np.ndindex(scores.shape):
        other = clip["layout"].swap[v]
        scores[m, t, v] = clip["keypoint_score"][m, t, other]
        if scores[m, t, v] > 0:
            x, y = clip["keypoint"][m, t, other]
            expected[m, t, v] = (width - x, y)
    return expected, scores


@pytest.mark.parametrize("name", ["sign87", "hands42", "ntu25"])
@pytest.mark.parametrize("normalized", [False, True])
def test_mirror_equals_the_loop(make_results, name, normalized):
    clip = make_results(name)
    clip["normalized"] = normalized
    before = clip["keypoint"].copy()
    out = MirrorSigner(prob=1)(dict(clip))
    expected, scores = loop_mirror(clip, 0 if normalized else 512)
    np.testing.assert_allclose(out["keypoint"], expected, rtol=1e-6)
    np.testing.assert_array_equal(out["keypoint_score"], scores)
    assert out["mirrored"] is True
    np.testing.assert_array_equal(clip["keypoint"], before)


def test_mirror_twice_is_nothing(make_results):
    clip = make_results("wholebody133")
    mirror = MirrorSigner(prob=1)
    out = mirror(mirror(dict(clip)))
    np.testing.assert_allclose(out["keypoint"], clip["keypoint"], atol=1e-3)
    np.testing.assert_array_equal(out["keypoint_score"], clip["keypoint_score"])
    assert out["mirrored"] is False


def test_mirror_probability(results):
    np.random.seed(0)
    assert MirrorSigner(prob=0)(dict(results))["mirrored"] is False
    flips = [MirrorSigner(prob=0.3)(dict(results))["mirrored"] for _ in range(400)]
    assert 0.2 < np.mean(flips) < 0.4


def test_mirror_commutes_with_bones_up_to_the_sign_of_x(make_results):
    clip = make_results("sign87")
    layout, keypoint, score = clip["layout"], clip["keypoint"], clip["keypoint_score"]
    swapped = score[..., list(layout.swap)]
    mirrored = mirror_points(keypoint, layout.swap, 512.0, score > 0)
    one_way = bone_stream(mirrored, swapped, layout.parents)[0]
    bones, bone_score = bone_stream(keypoint, score, layout.parents)
    other_way = mirror_points(bones, layout.swap, None, bone_score > 0)
    np.testing.assert_allclose(one_way, other_way, atol=1e-3)
    assert np.abs(one_way).max() > 10


def test_order_of_the_pipeline_is_enforced(results):
    stream = SkeletonStream("b")(dict(results))
    for step in (MirrorSigner(), NormalizeSigner()):
        with pytest.raises(ValueError, match="before SkeletonStream"):
            step(dict(stream))
    with pytest.raises(ValueError, match="LoadSignDescriptions"):
        MirrorSigner()({**results, "text_rows": np.zeros((1, 1))})
    with pytest.raises(ValueError, match="img_shape"):
        MirrorSigner(prob=1)({**results, "img_shape": None})


def test_bad_arguments():
    with pytest.raises(ValueError, match="hips"):
        NormalizeSigner("hips")
    with pytest.raises(ValueError, match="prob"):
        MirrorSigner(prob=2)


def test_built_from_a_config():
    step = TRANSFORMS.build({"type": "NormalizeSigner", "reference": "hands"})
    assert repr(step) == "NormalizeSigner(reference='hands')"
    step = TRANSFORMS.build({"type": "MirrorSigner", "prob": 0.25})
    assert repr(step) == "MirrorSigner(prob=0.25)"
