"""The landmarks of MediaPipe among the 133 points."""

from __future__ import annotations

import os

import numpy as np
import pytest

from gspmc_mm.poses.mediapipe_points import MESH_OF_FACE, POSE_OF_BODY, wholebody_from_mediapipe
from gspmc_mm.skeleton import get_layout

LAYOUT = get_layout("wholebody133")


def test_names_of_the_body_agree_with_mediapipe():
    if os.environ.get("CI") != "true":
        pytest.importorskip("mediapipe")
    from mediapipe.python.solutions.pose import PoseLandmark

    other = {"big_toe": "foot_index"}
    for joint, landmark in enumerate(POSE_OF_BODY):
        name = LAYOUT.joint_names[joint]
        if landmark < 0:
            assert name.endswith("small_toe")
            continue
        for ours, theirs in other.items():
            name = name.replace(ours, theirs)
        assert PoseLandmark(landmark).name.lower() == name


def test_the_face_lies_on_the_contours_of_mediapipe():
    if os.environ.get("CI") != "true":
        pytest.importorskip("mediapipe")
    from mediapipe.python.solutions import face_mesh_connections as mesh

    def points(edges):
        return {point for edge in edges for point in edge}

    assert len(set(MESH_OF_FACE)) == 68
    assert set(MESH_OF_FACE[:17]) <= points(mesh.FACEMESH_FACE_OVAL)
    # iBUG's first brow and eye are the right ones of the person.
    assert set(MESH_OF_FACE[17:22]) <= points(mesh.FACEMESH_RIGHT_EYEBROW)
    assert set(MESH_OF_FACE[22:27]) <= points(mesh.FACEMESH_LEFT_EYEBROW)
    assert set(MESH_OF_FACE[36:42]) <= points(mesh.FACEMESH_RIGHT_EYE)
    assert set(MESH_OF_FACE[42:48]) <= points(mesh.FACEMESH_LEFT_EYE)
    assert set(MESH_OF_FACE[48:]) <= points(mesh.FACEMESH_LIPS)


def test_every_landmark_comes_to_its_point():
    frames, rng = 3, np.random.default_rng(0)
    groups = {}
    for name, count in (("pose", 33), ("face", 478), ("left_hand", 21), ("right_hand", 21)):
        groups[name] = (rng.random((frames, count, 2)), rng.uniform(0.1, 1, (frames, count)))
    keypoint, score = wholebody_from_mediapipe(**groups)
    for joint in range(133):  # the slow, obvious way
        if joint < 23:
            source, landmark = "pose", POSE_OF_BODY[joint]
        elif joint < 91:
            source, landmark = "face", MESH_OF_FACE[joint - 23]
        else:
            source, landmark = ("left_hand", joint - 91) if joint < 112 else ("right_hand", joint - 112)
        if landmark < 0:
            assert not score[:, joint].any()
            assert not keypoint[:, joint].any()
            continue
        np.testing.assert_allclose(keypoint[:, joint], groups[source][0][:, landmark], rtol=1e-6)
        np.testing.assert_allclose(score[:, joint], groups[source][1][:, landmark], rtol=1e-6)


def test_groups_that_are_not_there_are_missing():
    hand = (np.ones((2, 21, 2)), np.zeros((2, 21)))
    hand[1][0] = 1
    keypoint, score = wholebody_from_mediapipe(left_hand=hand)
    assert score.sum() == 21
    assert score[0, 91:112].all()
    assert not keypoint[1].any()


@pytest.mark.parametrize(
    "groups",
    [
        {},
        {"pose": (np.ones((2, 32, 2)), np.ones((2, 32)))},
        {"face": (np.ones((2, 468, 3)), np.ones((2, 468)))},
        {"left_hand": (np.ones((2, 21, 2)), np.ones((2, 21))), "right_hand": (np.ones((3, 21, 2)), np.ones((3, 21)))},
    ],
)
def test_other_numbers_of_points_or_frames_are_refused(groups):
    with pytest.raises(ValueError, match="expected"):
        wholebody_from_mediapipe(**groups)
