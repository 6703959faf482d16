"""Pictures of clips: points land where they are, streams and layouts are shown, files are whole or not there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from gspmc_mm.poses import PoseClip
from gspmc_mm.skeleton import get_layout, resting_pose
from gspmc_mm.visualization.clip_pictures import (
    PictureError,
    clip_frames,
    contact_sheet,
    draw_skeleton,
    select_layout,
    write_clip_video,
    write_picture,
)

LAYOUT = get_layout("wholebody133")


@pytest.fixture
def clip():
    frames = 6
    points = np.repeat(resting_pose(LAYOUT)[None], frames, axis=0) * 40 + (160, 60)
    points[:, 112:] += 8 * np.arange(frames)[:, None, None]
    score = np.ones(points.shape[:2], np.float32)
    score[:, 23:91] = 0
    return PoseClip("a", points.astype(np.float32), score, 0, "s", 25.0, (320, 240))


@pytest.fixture
def video(tmp_path):
    """Ten frames, each of one colour."""
    frames = (np.full((240, 320, 3), (20 * n, 100, 255 - 20 * n), np.uint8) for n in range(10))
    return write_clip_video(frames, tmp_path / "video.mp4", 25)


def test_points_are_drawn_where_they_are_in_the_colour_of_their_part():
    layout = get_layout("coco17")
    keypoint, score = np.full((17, 2), 50.0), np.zeros(17)
    keypoint[9], score[9] = (200, 100), 1
    image = np.full((300, 400, 3), 255, np.uint8)
    draw_skeleton(image, layout, keypoint, score)
    color = layout.colors[layout.part_of_joint[9]]
    assert image[100, 200].tolist() == [int(color[i : i + 2], 16) for i in (5, 3, 1)]
    changed = np.argwhere((image != 255).any(axis=-1))
    assert np.abs(changed - (100, 200)).max() < 5  # the missing points are not there


def test_points_at_or_below_the_least_score_and_not_finite_ones_are_left_out():
    layout = get_layout("coco17")
    keypoint, score = np.full((17, 2), 50.0), np.full(17, 0.3)
    keypoint[3], score[3] = np.nan, 1
    image = np.full((100, 100, 3), 255, np.uint8)
    draw_skeleton(image, layout, keypoint, score, min_score=0.3)
    assert (image == 255).all()


@pytest.mark.parametrize("stream", ["j", "b", "jm", "bm"])
@pytest.mark.parametrize("layout", [None, "sign87", "hands42", "samslr27"])
def test_every_stream_in_every_layout(clip, stream, layout):
    wanted = None if layout is None else get_layout(layout)
    images = list(clip_frames(clip, LAYOUT, wanted=wanted, stream=stream, height=120))
    assert len(images) == 6
    assert all(image.shape == images[0].shape and image.shape[0] == 120 for image in images)
    assert all((image != 255).any() for image in images)


def test_motion_is_an_arrow_where_something_moves(clip):
    still = PoseClip("b", clip.keypoint[:1].repeat(6, 0), clip.score, 0, "s", 25.0, (320, 240))
    options = {"stream": "jm", "height": 240, "whole_picture": True}
    colours = [
        [int((np.ptp(image.astype(int), axis=-1) > 20).sum()) for image in clip_frames(c, LAYOUT, **options)]
        for c in (clip, still)
    ]
    assert all(n > 20 for n in colours[0][:-1])
    assert colours[0][-1] == 0  # the last frame has no next one
    assert colours[1] == [0] * 6


def test_the_video_is_under_the_skeleton(clip, video):
    images = list(clip_frames(clip, LAYOUT, video=video, start=3, frames=[0, 5], height=240))
    for image, number in zip(images, (3, 8), strict=True):
        np.testing.assert_allclose(image[2, 2].astype(int), (20 * number, 100, 255 - 20 * number), atol=12)


def test_a_video_that_does_not_fit_the_clip(clip, video, tmp_path):
    with pytest.raises(PictureError, match="10 frames could be read; the clip needs frame 12"):
        list(clip_frames(clip, LAYOUT, video=video, start=7))
    with pytest.raises(FileNotFoundError):
        list(clip_frames(clip, LAYOUT, video=tmp_path / "none.mp4"))


def test_an_empty_clip_is_drawn_empty(clip):
    clip.score[:] = 0
    images = list(clip_frames(clip, LAYOUT, height=100))
    assert len(images) == 6


def test_layouts_and_streams_that_cannot_be_shown(clip):
    with pytest.raises(PictureError, match="stream 'x'"):
        list(clip_frames(clip, LAYOUT, stream="x"))
    with pytest.raises(ValueError, match="ntu25"):
        select_layout(clip, LAYOUT, get_layout("ntu25"))


def test_a_sheet_has_every_picture():
    images = [np.full((30, 40, 3), n, np.uint8) for n in range(7)]
    sheet = contact_sheet(images, columns=3, title="hello")
    assert sheet.shape[1] == 3 * 44
    assert all((sheet == n).all(axis=-1).sum() >= 30 * 40 for n in range(7))
    with pytest.raises(PictureError):
        contact_sheet([])


def test_files_are_whole_or_not_there(tmp_path):
    def frames():
        yield np.zeros((21, 33, 3), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_clip_video(frames(), tmp_path / "a.mp4", 25)
    with pytest.raises(PictureError, match="no pictures"):
        write_clip_video(iter(()), tmp_path / "a.mp4", 25)
    with pytest.raises(PictureError, match=r"\.mp4"):
        write_clip_video(iter(()), tmp_path / "a.avi", 25)
    with pytest.raises(PictureError, match=r"\.png or \.jpg"):
        write_picture(np.zeros((4, 4, 3), np.uint8), tmp_path / "a.xyz")
    assert list(tmp_path.iterdir()) == []
    path = write_picture(np.zeros((4, 4, 3), np.uint8), tmp_path / "deep" / "a.png")
    assert cv2.imread(str(path)).shape == (4, 4, 3)


def test_a_written_video_can_be_read(video):
    capture = cv2.VideoCapture(str(video))
    assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == 10
    capture.release()
