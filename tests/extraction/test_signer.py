from __future__ import annotations

import numpy as np
import pytest

from gspmc_mm.extraction.errors import ClipError
from gspmc_mm.extraction.estimator import NUM_POINTS, Poses
from gspmc_mm.extraction.signer import WEIGHTS, choose_signer, follow_people, hand_speed, overlap, pick_person
from gspmc_mm.skeleton import get_layout

MARKS = get_layout("wholebody133").landmarks
IMAGE = (1000, 600)


def box(x, y=300, width=200, height=400):
    return np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2], np.float32)


def body(track, moves=0.0, fps=25.0, sure=0.9):
    """Somebody 100 wide whose right hand goes to and fro by `moves` shoulder widths per second."""
    frames = len(track.boxes)
    keypoint, score = np.zeros((frames, NUM_POINTS, 2), np.float32), np.full((frames, NUM_POINTS), sure, np.float32)
    middle = (track.boxes[:, :2] + track.boxes[:, 2:]) / 2
    keypoint += middle[:, None]
    keypoint[:, MARKS["left_shoulder"], 0] += 50
    keypoint[:, MARKS["right_shoulder"], 0] -= 50
    keypoint[:, MARKS["right_hand_root"], 1] += (np.arange(frames) % 2) * moves * 100 / fps
    return Poses(keypoint, score)


def test_overlap_of_boxes_by_hand():
    first = np.array([[0, 0, 2, 2], [10, 10, 11, 11]], float)
    second = np.array([[1, 0, 3, 2]], float)
    np.testing.assert_allclose(overlap(first, second), [[2 / 6], [0]])
    assert overlap(np.zeros((0, 4)), second).shape == (0, 1)


def test_people_keep_their_numbers_when_the_detector_changes_its_order():
    left, right = box(300), box(700)
    detections = [np.stack([left, right]) if frame % 2 else np.stack([right, left]) for frame in range(20)]
    tracks = follow_people(detections, 25)
    assert len(tracks) == 2
    np.testing.assert_allclose(tracks[0].boxes, np.tile(left, (20, 1)), atol=1e-3)
    np.testing.assert_allclose(tracks[1].boxes, np.tile(right, (20, 1)), atol=1e-3)


def test_gaps_are_bridged_and_crossing_people_followed():
    none = np.zeros((0, 4), np.float32)
    detections = [box(300 + 5 * frame)[None] if frame not in (4, 5, 6) else none for frame in range(20)]
    (track,) = follow_people(detections, 25)
    assert track.seen.sum() == 17
    np.testing.assert_allclose(track.boxes[5], box(325), atol=6)


def test_small_and_brief_people_are_left_out_and_most_are_kept():
    frames = 40
    detections = []
    for frame in range(frames):
        people = [box(300), box(700, width=60, height=100)]  # the second one far behind
        if frame < 4:
            people.append(box(900))  # walks through the picture
        detections.append(np.stack(people))
    (track,) = follow_people(detections, 25)
    np.testing.assert_allclose(track.boxes[0], box(300), atol=1e-3)
    assert follow_people([np.zeros((0, 4), np.float32)] * 5, 25) == []
    crowd = [np.stack([box(100 + 150 * k, width=100) for k in range(6)])] * 5
    assert len(follow_people(crowd, 25)) == 4


def test_the_one_who_moves_the_hands_is_the_signer_not_the_larger_one():
    detections = [np.stack([box(300, width=240), box(700)])] * 30
    tracks = follow_people(detections, 25)
    index, facts = choose_signer(tracks, [body(tracks[0]), body(tracks[1], moves=3)], IMAGE, 25)
    assert index == 1
    assert [fact.person for fact in facts] == [1, 2]
    assert facts[0].hands == 0
    assert facts[1].hands == 1
    assert facts[1].hand_speed == pytest.approx(3, rel=1e-3)
    assert facts[0].size == 1
    assert facts[1].size == pytest.approx(200 / 240, rel=1e-3)
    assert facts[0].score == pytest.approx(sum(WEIGHTS[name] * getattr(facts[0], name) for name in WEIGHTS))


def test_without_hands_size_and_centre_decide():
    detections = [np.stack([box(500, width=240), box(850)])] * 30
    tracks = follow_people(detections, 25)
    index, facts = choose_signer(tracks, [body(track) for track in tracks], IMAGE, 25)
    assert index == 0
    assert facts[0].centre == pytest.approx(1, abs=1e-3)
    assert 0 < facts[1].centre < 0.5


def test_hand_speed_ignores_what_is_not_sure():
    (track,) = follow_people([box(500)[None]] * 30, 25)
    moving = body(track, moves=4)
    assert hand_speed(moving, 25) == pytest.approx(4, rel=1e-3)
    assert hand_speed(moving, 0) == pytest.approx(4, rel=1e-3)  # unknown: 25 is taken
    moving.score[:, [MARKS["right_hand_root"], MARKS["right_wrist"]]] = 0.1
    assert hand_speed(moving, 25) == 0
    assert hand_speed(body(track, moves=4, sure=0.1), 25) == 0
    far = body(track, moves=500)
    assert hand_speed(far, 25) <= 10


def test_a_person_can_be_picked_by_number():
    tracks = follow_people([np.stack([box(700), box(300)])] * 5, 25)
    assert pick_person(tracks, 1) is tracks[0]
    assert pick_person(tracks, 2).boxes[0, 0] == pytest.approx(600)
    with pytest.raises(ClipError, match="person 3 was asked for, but there are 2"):
        pick_person(tracks, 3)
