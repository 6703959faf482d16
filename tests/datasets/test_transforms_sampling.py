from __future__ import annotations

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS

from gspmc_mm.datasets import SampleSignFrames
from gspmc_mm.datasets.transforms.sampling import segment_frames


def frames_of(step, total_frames):
    return step({"total_frames": total_frames, "clip_id": "c"})["frame_inds"]


@pytest.mark.parametrize("total", [1, 3, 7, 8, 9, 20, 195])
def test_centres_of_segments_equal_the_loop(total):
    expected = []
    for i in range(8):
        start, end = i * total / 8, (i + 1) * total / 8
        expected.append(int((start + end) / 2))
    found = frames_of(SampleSignFrames(8, test_mode=True), total)
    assert found.tolist() == expected
    assert found.dtype == np.int64


@pytest.mark.parametrize("total", [1, 3, 7, 8, 9, 20, 195])
def test_training_takes_one_frame_of_each_segment(total):
    np.random.seed(total)
    step = SampleSignFrames(8)
    for _ in range(30):
        for i, frame in enumerate(frames_of(step, total)):
            assert int(i * total / 8) <= frame <= (i + 1) * total / 8
            assert frame < total


def test_every_frame_comes_up_in_training():
    np.random.seed(0)
    step = SampleSignFrames(8)
    assert set(np.concatenate([frames_of(step, 40) for _ in range(60)])) == set(range(40))


@pytest.mark.parametrize("test_mode", [False, True])
def test_short_clips_are_stretched_not_looped(test_mode):
    np.random.seed(0)
    frames = frames_of(SampleSignFrames(16, test_mode=test_mode), 5)
    assert (np.diff(frames) >= 0).all()
    assert set(frames) == set(range(5))
    np.testing.assert_array_equal(frames_of(SampleSignFrames(5, test_mode=test_mode), 5), range(5))


def test_window_stays_inside_its_part():
    np.random.seed(0)
    step = SampleSignFrames(6, mode="window", p_interval=(0.3, 0.5))
    spans, starts = [], []
    for _ in range(200):
        frames = frames_of(step, 100)
        spans.append(frames[-1] - frames[0])
        starts.append(frames[0])
    assert max(spans) < 50
    assert min(starts) < 10
    assert max(starts) > 50


def test_window_in_test_mode_is_the_middle():
    step = SampleSignFrames(10, mode="window", test_mode=True, p_interval=(0.2, 0.5))
    np.testing.assert_array_equal(frames_of(step, 40), 10 + np.arange(10) * 2 + 1)


@pytest.mark.parametrize("mode", ["uniform", "window"])
def test_test_mode_is_deterministic_and_leaves_the_global_state(mode):
    step = SampleSignFrames(16, num_clips=4, mode=mode, test_mode=True, p_interval=(0.5, 0.9))
    np.random.seed(7)
    before = np.random.get_state()
    first = frames_of(step, 61)
    after = np.random.get_state()
    assert before[2] == after[2]
    np.testing.assert_array_equal(before[1], after[1])
    np.random.seed(8)
    np.testing.assert_array_equal(frames_of(step, 61), first)


def test_clips_in_test_mode_are_shifted():
    frames = frames_of(SampleSignFrames(5, num_clips=2, test_mode=True), 20).reshape(2, 5)
    np.testing.assert_array_equal(frames[0], np.arange(5) * 4 + 1)
    np.testing.assert_array_equal(frames[1], np.arange(5) * 4 + 3)
    windows = SampleSignFrames(5, 3, "window", True, (0.5, 0.5))
    assert len(np.unique(frames_of(windows, 60).reshape(3, 5), axis=0)) == 3


def test_training_clips_differ():
    np.random.seed(0)
    frames = frames_of(SampleSignFrames(8, num_clips=3), 80).reshape(3, 8)
    assert len(np.unique(frames, axis=0)) == 3


def test_keys_for_mmaction():
    out = SampleSignFrames(8, num_clips=2, test_mode=True)({"total_frames": 10})
    assert (out["clip_len"], out["num_clips"], out["frame_interval"]) == (8, 2, None)
    assert out["frame_inds"].shape == (16,)


def test_segment_frames_reach_neither_end_wrongly():
    assert segment_frames(3, 7, 0.0).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert segment_frames(10, 5, np.nextafter(1, 0)).max() == 9


def test_a_clip_without_frames_is_refused():
    with pytest.raises(ValueError, match=r"'c'.*no frames"):
        frames_of(SampleSignFrames(4), 0)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"clip_len": 0}, "clip_len"),
        ({"clip_len": 4, "num_clips": 0}, "num_clips"),
        ({"clip_len": 4, "mode": "dense"}, "dense"),
        ({"clip_len": 4, "p_interval": (0, 1)}, "p_interval"),
        ({"clip_len": 4, "p_interval": (0.9, 0.5)}, "p_interval"),
    ],
)
def test_bad_arguments(arguments, word):
    with pytest.raises(ValueError, match=word):
        SampleSignFrames(**arguments)


def test_built_from_a_config():
    step = TRANSFORMS.build({"type": "SampleSignFrames", "clip_len": 64, "mode": "window"})
    assert repr(step) == (
        "SampleSignFrames(clip_len=64, num_clips=1, mode='window', test_mode=False, p_interval=(0.5, 1.0))"
    )
