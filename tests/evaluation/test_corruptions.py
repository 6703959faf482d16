"""Every corruption does what its name says, to the clips of any layout, and to the same clips the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS

from gspmc_mm.datasets.transforms import NormalizeSigner
from gspmc_mm.evaluation.corruptions import (
    BURST,
    CORRUPTIONS,
    Skeleton,
    burst_frames,
    get_corruption,
    hidden_span,
    signer_unit,
)
from gspmc_mm.skeleton import get_layout, resting_pose

FRAMES, PICTURE = 40, (480.0, 640.0)


def make_clip(
    name: str = "sign87", frames: int = FRAMES, picture=PICTURE, seen: float = 1.0, seed: int = 0
) -> Skeleton:
    """A signer who sways a little, 100 pixels between the shoulders, in the middle of the picture."""
    layout = get_layout(name)
    rng = np.random.default_rng(seed)
    height, width = picture
    pose = 60 * resting_pose(layout) + [width / 2, height / 2 - 40]
    keypoint = (pose + rng.normal(0, 3, (1, frames, layout.num_joints, 2))).astype(np.float32)
    score = rng.uniform(0.3, 0.9, keypoint.shape[:3]).astype(np.float32)
    score[rng.random(score.shape) >= seen] = 0
    keypoint[score == 0] = 0
    return Skeleton(keypoint, score, layout, picture, 25.0)


def apply(name: str, clip: Skeleton, severity: float, seed: int = 3) -> Skeleton:
    return CORRUPTIONS[name].apply(clip, severity, np.random.default_rng(seed))


@pytest.mark.parametrize("layout", ["sign87", "hands20", "coco17", "ntu25"])
@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_any_layout_keeps_its_promises(name: str, layout: str) -> None:
    """Shapes and types stay, what is missing is zero, the input is not written into, chance is that of the seed."""
    clip = make_clip(layout, seen=0.8)
    before = clip.keypoint.copy(), clip.score.copy()
    for severity in CORRUPTIONS[name].severities:
        out = apply(name, clip, severity)
        assert out.keypoint.dtype == np.float32
        assert out.score.dtype == np.float32
        assert out.keypoint.shape == (*out.score.shape, 2)
        assert out.score.shape[0] == 1
        assert out.score.shape[2] == clip.layout.num_joints
        assert out.frames >= 1
        assert np.isfinite(out.keypoint).all()
        assert not out.keypoint[out.score == 0].any()
        again = apply(name, clip, severity)
        assert np.array_equal(again.keypoint, out.keypoint)
        assert np.array_equal(again.score, out.score)
    assert np.array_equal(clip.keypoint, before[0])
    assert np.array_equal(clip.score, before[1])


@pytest.mark.parametrize("name", [name for name, entry in CORRUPTIONS.items() if entry.low != 1])
def test_nothing_happens_at_the_severity_that_says_so(name: str) -> None:
    clip = make_clip(seen=0.8)
    out = apply(name, clip, CORRUPTIONS[name].identity)
    assert np.allclose(out.keypoint, clip.keypoint, atol=1e-3)
    assert np.array_equal(out.score, clip.score)


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_short_clips_and_clips_in_which_nothing_is_seen(name: str) -> None:
    severity = CORRUPTIONS[name].severities[-1]
    for frames in (1, 2):
        assert apply(name, make_clip(frames=frames), severity).frames >= 1
    clip = make_clip()
    nothing = Skeleton(np.zeros_like(clip.keypoint), np.zeros_like(clip.score), clip.layout, PICTURE)
    assert not apply(name, nothing, severity).keypoint.any()


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_an_estimator_without_confidence(name: str) -> None:
    clip = make_clip()
    out = apply(name, Skeleton(clip.keypoint, None, clip.layout, PICTURE), CORRUPTIONS[name].severities[0])
    assert out.score is None


def test_the_unit_is_the_shoulder_width_or_four_hands() -> None:
    clip = make_clip(frames=400)
    left, right = (clip.layout.landmarks[f"{side}_shoulder"] for side in ("left", "right"))
    widths = np.linalg.norm(clip.keypoint[0, :, left] - clip.keypoint[0, :, right], axis=-1)
    assert signer_unit(clip) == pytest.approx(np.median(widths), rel=1e-5)
    hands = make_clip("hands20")
    size = 60 * np.linalg.norm(np.diff(resting_pose(get_layout("wholebody133"))[[91, 100]], axis=0))
    assert signer_unit(hands) == pytest.approx(4 * size, rel=0.1)


def test_joint_noise_has_the_deviation_that_was_asked_for() -> None:
    clip = make_clip(frames=300)
    moved = apply("joint_noise", clip, 0.1).keypoint - clip.keypoint
    assert moved.std() == pytest.approx(0.1 * signer_unit(clip), rel=0.02)
    assert abs(moved.mean()) < 0.1


def test_twice_the_severity_is_twice_the_same_noise() -> None:
    clip = make_clip()
    small, large = (apply("joint_noise", clip, s).keypoint - clip.keypoint for s in (0.05, 0.1))
    assert np.allclose(2 * small, large, atol=1e-3)


def test_finger_noise_leaves_the_body_alone() -> None:
    clip = make_clip(frames=300)
    moved = apply("hand_noise", clip, 0.2).keypoint - clip.keypoint
    hands = [joint for part in ("left_hand", "right_hand") for joint in clip.layout.parts[part]]
    others = np.setdiff1d(np.arange(87), hands)
    assert not moved[:, :, others].any()
    size = 60 * np.linalg.norm(np.diff(resting_pose(clip.layout)[[15, 24]], axis=0))
    assert moved[:, :, hands].std() == pytest.approx(0.2 * size, rel=0.1)


def test_lost_points_are_that_share_and_those_of_less_are_among_them() -> None:
    clip = make_clip(frames=100)
    lost = {share: apply("lost_points", clip, share).score == 0 for share in (0.1, 0.25, 1.0)}
    assert lost[0.25].mean() == pytest.approx(0.25, abs=0.02)
    assert not (lost[0.1] & ~lost[0.25]).any()
    assert lost[1.0].all()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
@pytest.mark.parametrize("frames", [1, 7, 40, 121])
def test_bursts_make_up_the_share_in_blocks(share: float, frames: int) -> None:
    for seed in range(5):
        lost = burst_frames(frames, share, np.random.default_rng(seed))
        assert lost.shape == (frames,)
        assert abs(lost.sum() - share * frames) <= BURST / 2
        more = burst_frames(frames, min(1.0, share + 0.2), np.random.default_rng(seed))
        assert not (lost & ~more).any()
        # Inside of the clip no burst is shorter than a block.
        edges = np.flatnonzero(np.diff(np.concatenate([[0], lost.astype(int), [0]])))
        for start, stop in edges.reshape(-1, 2):
            assert stop - start >= BURST or start == 0 or stop == frames


def test_one_hand_is_lost_in_bursts_and_only_one_that_was_there() -> None:
    clip = make_clip()
    out = apply("hand_bursts", clip, 0.5)
    gone = [part for part, joints in clip.layout.parts.items() if (out.score[..., list(joints)] == 0).any()]
    assert gone in (["left_hand"], ["right_hand"])
    joints = list(clip.layout.parts[gone[0]])
    frames = (out.score[0][:, joints] == 0).all(axis=1)
    assert frames.sum() == pytest.approx(FRAMES / 2, abs=BURST / 2)
    assert {tuple(row) for row in (out.score[0][:, joints] == 0)} == {(True,) * 21, (False,) * 21}
    score = clip.score.copy()
    score[..., list(clip.layout.parts["left_hand"])] = 0
    for seed in range(6):
        one = apply("hand_bursts", Skeleton(clip.keypoint, score, clip.layout), 0.5, seed)
        assert (one.score[..., list(clip.layout.parts["right_hand"])] == 0).any()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("mouth_hidden", {"mouth"}),
        ("face_hidden", {"mouth", "face"}),
        ("left_hand_hidden", {"left_hand"}),
        ("right_hand_hidden", {"right_hand"}),
    ],
)
def test_hidden_parts_are_gone_in_one_stretch_and_nothing_else_is(name: str, parts: set[str]) -> None:
    clip = make_clip()
    whole, half = (apply(name, clip, share) for share in (1.0, 0.5))
    for part, joints in clip.layout.parts.items():
        joints = list(joints)
        assert (whole.score[..., joints] == 0).all() == (part in parts)
        missing = np.flatnonzero((half.score[0][:, joints] == 0).all(axis=1))
        if part in parts:
            assert len(missing) == FRAMES // 2
            assert np.array_equal(missing, np.arange(missing[0], missing[0] + FRAMES // 2))
        else:
            assert np.array_equal(half.score[..., joints], clip.score[..., joints])


def test_a_smaller_span_lies_inside_a_larger_one() -> None:
    for seed in range(50):
        small, large = (hidden_span(37, share, np.random.default_rng(seed)) for share in (0.3, 0.7))
        assert large.start <= small.start
        assert small.stop <= large.stop <= 37


def test_half_the_frame_rate_is_every_second_frame() -> None:
    clip = make_clip(frames=11, seen=0.9)
    out = apply("frame_rate", clip, 0.5)
    assert np.allclose(out.keypoint, clip.keypoint[:, ::2])
    assert np.array_equal(out.score, clip.score[:, ::2])
    assert out.fps == 12.5


def test_twice_the_frame_rate_is_halfway_between_frames_that_both_show_the_point() -> None:
    clip = make_clip(frames=6, seen=0.8)
    out = apply("frame_rate", clip, 2)
    assert out.frames == 11
    assert np.allclose(out.keypoint[:, ::2], clip.keypoint)
    for t in range(5):
        for v in range(87):
            both = clip.score[0, t, v] > 0 and clip.score[0, t + 1, v] > 0
            expected = (clip.keypoint[0, t, v] + clip.keypoint[0, t + 1, v]) / 2 if both else [0, 0]
            assert np.allclose(out.keypoint[0, 2 * t + 1, v], expected, atol=1e-3)
            assert out.score[0, 2 * t + 1, v] == min(clip.score[0, t, v], clip.score[0, t + 1, v])


def test_cuts_take_frames_from_their_end() -> None:
    clip = make_clip(frames=10)
    assert np.array_equal(apply("cut_start", clip, 0.3).keypoint, clip.keypoint[:, 3:])
    assert np.array_equal(apply("cut_end", clip, 0.3).score, clip.score[:, :7])
    assert apply("cut_end", make_clip(frames=1), 0.9).frames == 1
    assert np.array_equal(apply("cut_start", make_clip(frames=2), 0.9).keypoint, make_clip(frames=2).keypoint[:, 1:])


def test_the_mirror_image_exchanges_the_hands_and_twice_is_the_clip() -> None:
    clip = make_clip(seen=0.9)
    out = apply("mirror", clip, 1)
    left, right = (list(clip.layout.parts[f"{side}_hand"]) for side in ("left", "right"))
    assert np.array_equal(out.score[..., left], clip.score[..., right])
    seen = clip.score[0, :, right[0]] > 0
    assert np.allclose(out.keypoint[0, seen, left[0], 0], 640 - clip.keypoint[0, seen, right[0], 0])
    assert np.allclose(apply("mirror", out, 1).keypoint, clip.keypoint, atol=1e-3)


def test_camera_moves_are_about_the_middle_of_the_picture() -> None:
    clip = make_clip(picture=(4800.0, 6400.0))  # nothing leaves it
    centre = np.array([3200, 2400])
    large = apply("camera_scale", clip, 1.5).keypoint
    assert np.allclose(large - centre, 1.5 * (clip.keypoint - centre), atol=1e-2)
    turned = apply("camera_rotation", clip, 30).keypoint - centre
    original = clip.keypoint - centre
    assert np.allclose(np.linalg.norm(turned, axis=-1), np.linalg.norm(original, axis=-1), rtol=1e-4)
    angle = np.angle((turned @ [1, 1j]) / (original @ [1, 1j]), deg=True)
    assert np.allclose(np.abs(angle), 30, atol=1e-2)
    assert np.ptp(angle) < 1e-2
    shifted = apply("camera_shift", clip, 0.5).keypoint - clip.keypoint
    assert np.allclose(np.linalg.norm(shifted, axis=-1), 0.5 * signer_unit(clip), rtol=1e-3)
    assert np.ptp(shifted.reshape(-1, 2), axis=0).max() < 1e-2


def test_what_leaves_the_picture_is_missing_but_guesses_beyond_it_stay() -> None:
    clip = make_clip(picture=(480.0, 640.0))
    clip.keypoint[0, :, 3] = [-50, 200]  # an ear that the estimator guesses beyond the border
    out = apply("camera_scale", clip, 3.0)
    moved = 3 * (clip.keypoint - [320, 240]) + [320, 240]
    inside = ((clip.keypoint >= 0) & (clip.keypoint <= [640, 480])).all(axis=-1)
    still = ((moved >= 0) & (moved <= [640, 480])).all(axis=-1)
    assert (inside & ~still).any()
    assert np.array_equal(out.score == 0, inside & ~still)


def test_a_normalised_signer_does_not_see_shift_and_scale() -> None:
    clip = make_clip(picture=(48000.0, 64000.0))
    normalize = NormalizeSigner()

    def normal(one: Skeleton) -> np.ndarray:
        return normalize.transform(
            {"keypoint": one.keypoint, "keypoint_score": one.score, "layout": one.layout, "clip_id": "c"}
        )["keypoint"]

    for name, severity in (("camera_shift", 1.0), ("camera_scale", 0.5)):
        assert np.allclose(normal(apply(name, clip, severity)), normal(clip), atol=2e-2)


def test_without_confidence_every_seen_point_is_certain() -> None:
    clip = make_clip(seen=0.7)
    assert np.array_equal(apply("confidence_removed", clip, 1).score, (clip.score > 0).astype(np.float32))


def test_what_a_layout_lacks_is_said() -> None:
    assert get_corruption("mouth_hidden").why_not(get_layout("hands20")) == "layout hands20 has no mouth"
    assert "no left_hand and no right_hand" in get_corruption("hand_bursts").why_not(get_layout("ntu25"))
    assert get_corruption("face_hidden").why_not(get_layout("sign39")) is None
    assert get_corruption("lost_points").why_not(get_layout("coco17")) is None


def results_of(clip: Skeleton, **more) -> dict:
    return {
        "keypoint": clip.keypoint,
        "keypoint_score": clip.score,
        "layout": clip.layout,
        "img_shape": clip.picture,
        "fps": clip.fps,
        "total_frames": clip.frames,
        "clip_id": "one",
        **more,
    }


def test_the_registered_step_draws_by_clip_and_seed_alone() -> None:
    step = TRANSFORMS.build(dict(type="CorruptSkeleton", corruption="lost_points", severity=0.5, seed=1))
    clip = make_clip()
    state = np.random.get_state()[1].copy()
    first, again = (step.transform(results_of(clip))["keypoint_score"] for _ in range(2))
    other_clip = step.transform(results_of(clip, clip_id="two"))["keypoint_score"]
    other_seed = TRANSFORMS.build(dict(type="CorruptSkeleton", corruption="lost_points", severity=0.5, seed=2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other_clip)
    assert not np.array_equal(first, other_seed.transform(results_of(clip))["keypoint_score"])
    assert np.array_equal(np.random.get_state()[1], state)  # the random numbers of others are left alone


def test_the_registered_step_keeps_the_books() -> None:
    step = TRANSFORMS.build(dict(type="CorruptSkeleton", corruption="frame_rate", severity=2))
    results = step.transform(results_of(make_clip(frames=10)))
    assert results["total_frames"] == results["keypoint"].shape[1] == 19
    assert results["fps"] == 50
    assert "frame_rate" in repr(step)
    about_the_signer = TRANSFORMS.build(dict(type="CorruptSkeleton", corruption="mirror", severity=1))
    results = about_the_signer.transform(results_of(make_clip(), normalized=True))
    assert results["keypoint"][..., 0].max() <= 0  # no width of a picture is added


@pytest.mark.parametrize(
    ("corruption", "severity", "words"),
    [
        ("rain", 1, "'rain' is unknown; there are joint_noise"),
        ("lost_points", 1.5, "severity 1.5 .* outside of 0 to 1"),
        ("mirror", 0.5, "outside of 1 to 1"),
        ("frame_rate", 0, "outside of 0.01"),
        ("joint_noise", math.nan, "severity nan"),
    ],
)
def test_requests_that_cannot_be(corruption: str, severity: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        TRANSFORMS.build(dict(type="CorruptSkeleton", corruption=corruption, severity=severity))


def test_the_step_belongs_in_front() -> None:
    step = TRANSFORMS.build(dict(type="CorruptSkeleton", corruption="mirror", severity=1))
    with pytest.raises(ValueError, match="before SampleSignFrames"):
        step.transform(results_of(make_clip(), frame_inds=np.arange(3)))
    with pytest.raises(ValueError, match="SignPoseDataset"):
        step.transform({"keypoint": make_clip().keypoint, "clip_id": "one"})
    with pytest.raises(ValueError, match="SkeletonStream"):
        step.transform(results_of(make_clip(), stream="b"))
