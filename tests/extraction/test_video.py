from __future__ import annotations

import numpy as np
import pytest
from made_videos import FAULTS, SIZE, drawn_frames, write_video

from gspmc_mm.extraction.errors import ClipError
from gspmc_mm.extraction.video import ClipFrames, upright


def test_frames_in_order_as_opencv_has_them(tmp_path):
    drawn = drawn_frames(0, count=7)
    frames = ClipFrames(write_video(tmp_path / "clip.mp4", drawn, fps=30))
    decoded = list(frames)
    assert (frames.count, frames.image_size, frames.facts.fps, frames.facts.frames) == (7, SIZE, 30.0, 7)
    for ours, given in zip(decoded, drawn, strict=True):
        assert ours.dtype == np.uint8
        # H.264 loses details of colour; the wrong frame or order of the channels is ten times further off
        assert np.abs(ours.astype(float) - given).mean() < 12
    assert np.abs(decoded[0].astype(float) - drawn[3]).mean() > 25
    np.testing.assert_array_equal(np.stack(list(frames)), np.stack(decoded))  # a second time


def test_a_cut_takes_its_frames_only(tmp_path):
    path = write_video(tmp_path / "long.mp4", drawn_frames(1, count=10))
    whole = list(ClipFrames(path))
    np.testing.assert_array_equal(np.stack(list(ClipFrames(path, 2, 6))), np.stack(whole[2:6]))
    np.testing.assert_array_equal(np.stack(list(ClipFrames(path, 7))), np.stack(whole[7:]))
    with pytest.raises(ClipError, match="only 2 of 4 frames") as caught:
        list(ClipFrames(path, 8, 12))
    assert caught.value.reason == "truncated"
    with pytest.raises(ClipError, match="from frame 20 to the end has no frame"):
        list(ClipFrames(path, 20))


@pytest.mark.parametrize("fault", [name for name in FAULTS if name != "nobody"])
def test_each_fault_has_its_reason(tmp_path, fault):
    breaks, reason = FAULTS[fault]
    path = write_video(tmp_path / "clip.mp4", drawn_frames(2, count=12))
    breaks(path)
    with pytest.raises(ClipError, match=r"clip\.mp4") as caught:
        list(ClipFrames(path))
    assert caught.value.reason == reason


def test_pictures_are_turned_as_players_do():
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[0, 0] = 255  # top left
    assert upright(picture, 0) is picture
    assert upright(picture, 90)[2, 0].all()  # counter-clockwise: to the bottom left
    assert upright(picture, -90)[0, 1].all()
    assert upright(picture, 180)[1, 2].all()
    assert upright(picture, 90).shape == (3, 2, 3)
