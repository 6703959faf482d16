from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from gspmc_mm.extraction.clip_work import ClipJob, Recipe, estimate_clip, hands_found
from gspmc_mm.extraction.detectors import FaceDetector, make_detector, reach_of_faces
from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.mediapipe_holistic import MediaPipeHolistic, crop_around, points_of
from gspmc_mm.extraction.video import ClipFrames
from gspmc_mm.poses.clip_list import VideoClip
from gspmc_mm.poses.mediapipe_points import MESH_OF_FACE
from gspmc_mm.skeleton import get_layout

LAYOUT = get_layout("wholebody133")


def landmarks(count, place=0.5, visibility=0.7):
    points = [SimpleNamespace(x=place, y=place, visibility=visibility) for _ in range(count)]
    return SimpleNamespace(landmark=points)


def answer(**groups):
    names = ("pose_landmarks", "face_landmarks", "left_hand_landmarks", "right_hand_landmarks")
    return SimpleNamespace(**{name: groups.get(name) for name in names})


def steps(contour, vertices):
    """Edges from each vertex to the next along a contour of MediaPipe's mesh; fails if one is not on it."""
    neighbours = {}
    for start, end in contour:
        neighbours.setdefault(start, set()).add(end)
        neighbours.setdefault(end, set()).add(start)
    found = []
    for start, end in pairwise(vertices):
        reached, front, count = {start}, {start}, 0
        while end not in reached:
            front = {near for vertex in front for near in neighbours[vertex]} - reached
            assert front, f"{end} is not on the contour of {start}"
            reached, count = reached | front, count + 1
        found.append(count)
    return found


def test_the_face_points_run_along_mediapipe_s_own_contours():
    """MediaPipe says which vertices are an eye, a lip, the outline: ours have to lie on them, in the right order."""
    import mediapipe

    mesh = mediapipe.solutions.face_mesh_connections
    face = list(MESH_OF_FACE)  # by the numbers of iBUG-68
    outline = steps(mesh.FACEMESH_FACE_OVAL, face[0:17])
    ear_to_chin = steps(mesh.FACEMESH_FACE_OVAL, [face[0], face[8]])
    assert sum(outline) == 2 * ear_to_chin[0]  # to the chin and up again, never back
    assert outline == outline[::-1]  # left as right
    for right, left, ring in (
        (steps(mesh.FACEMESH_RIGHT_EYE, [*face[36:42], face[36]]), steps(mesh.FACEMESH_LEFT_EYE, face[42:48]), 16),
        (steps(mesh.FACEMESH_LIPS, [*face[48:60], face[48]]), steps(mesh.FACEMESH_LIPS, face[54:60]), 20),
        (steps(mesh.FACEMESH_LIPS, [*face[60:68], face[60]]), steps(mesh.FACEMESH_LIPS, face[64:68]), 20),
    ):
        assert sum(right) == ring  # once around
        assert min(left) > 0
    brows = [steps(mesh.FACEMESH_RIGHT_EYEBROW, face[17:22]), steps(mesh.FACEMESH_LEFT_EYEBROW, face[26:21:-1])]
    assert brows[0] == brows[1]
    nose = {vertex for edge in mesh.FACEMESH_NOSE for vertex in edge}
    assert set(face[27:36]) <= nose


def test_groups_go_to_their_points_and_confidences_are_said_plainly():
    keypoint, score = points_of(
        answer(pose_landmarks=landmarks(33), right_hand_landmarks=landmarks(21, place=0.25)), 200, 100
    )
    body, right = list(LAYOUT.part_indices("body")), list(LAYOUT.part_indices("right_hand"))
    np.testing.assert_allclose(keypoint[right], np.tile([50, 25], (21, 1)))
    np.testing.assert_array_equal(score[right], 1)
    assert not score[list(LAYOUT.part_indices("left_hand"))].any()
    assert not score[list(LAYOUT.part_indices("face"))].any()
    missing = [joint for joint in body if score[joint] == 0]
    assert [LAYOUT.joint_names[joint] for joint in missing] == ["left_small_toe", "right_small_toe"]
    np.testing.assert_allclose(score[5], 0.7)
    np.testing.assert_array_equal(keypoint[missing], 0)


def test_hands_are_counted_where_most_of_their_points_are_sure():
    score = np.zeros((4, 133), np.float32)
    score[0:2, list(LAYOUT.part_indices("left_hand"))] = 0.9
    score[2, 91:95] = 0.9  # four of 21
    score[:, list(LAYOUT.part_indices("right_hand"))] = 0.1
    score[3, list(LAYOUT.part_indices("right_hand"))] = 0.4
    assert hands_found(score) == {"left_hand": 2, "right_hand": 1}


def test_nobody_is_no_point_and_guesses_far_outside_are_dropped():
    _, score = points_of(answer(), 200, 100)
    assert score.shape == (133,)
    assert not score.any()
    _, just_outside = points_of(answer(pose_landmarks=landmarks(33, place=1.2)), 200, 100)
    _, far_outside = points_of(answer(pose_landmarks=landmarks(33, place=1.3)), 200, 100)
    assert just_outside[5] > 0
    assert far_outside[5] == 0


def test_crops_stay_in_the_picture():
    assert crop_around(np.array([0, 0, 640, 480], np.float32), 640, 480) == (0, 0, 640, 480)
    assert crop_around(np.array([100, 100, 200, 300], np.float32), 640, 480) == (87, 75, 213, 325)
    left, top, right, bottom = crop_around(np.array([700, 500, 800, 600], np.float32), 640, 480)
    assert (right - left, bottom - top) == (1, 1)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ExtractionError, match="runs on the CPU only"):
        MediaPipeHolistic(device="cuda")
    with pytest.raises(ExtractionError, match="min_tracking_confidence is 2"):
        MediaPipeHolistic(min_tracking_confidence=2)
    assert MediaPipeHolistic(smooth=False).info != MediaPipeHolistic().info


def test_a_face_becomes_the_space_that_its_signer_reaches():
    (box,) = reach_of_faces(np.array([[500, 200, 50, 60]], np.float32), 1280, 720)
    np.testing.assert_allclose(box, [525 - 4.5 * 50, 200 - 1.5 * 60, 525 + 4.5 * 50, 200 + 8 * 60])
    (edge,) = reach_of_faces(np.array([[0, 0, 100, 100]], np.float32), 640, 480)
    np.testing.assert_allclose(edge, [0, 0, 500, 480])
    assert reach_of_faces(np.zeros((0, 4), np.float32), 640, 480).shape == (0, 4)


def test_detectors_have_names():
    assert isinstance(make_detector("faces"), FaceDetector)
    with pytest.raises(ExtractionError, match="no detector 'hog'; known: faces"):
        make_detector("hog")
    with pytest.raises(ExtractionError, match=r"nowhere\.onnx: there is no such"):
        make_detector("yolox:nowhere.onnx")


@pytest.fixture(scope="module")
def holistic():
    estimator = MediaPipeHolistic()
    estimator.load()
    return estimator


@pytest.mark.slow
def test_a_real_signer_has_hands_where_the_wrists_are(shared_data, holistic):
    path = shared_data / "ksl_videos" / "dinner_example1.mp4"
    job = ClipJob(VideoClip("dinner", path.name, 0, "dinner", "s1", start=0, end=16), str(path))
    first = estimate_clip(job, Recipe(holistic))
    assert first.reason == ""
    clip = first.clip
    assert clip.num_frames == 16
    right = clip.score[:, 112] > 0
    assert first.facts["right_hand"] == right.sum() > 8
    assert first.facts["left_hand"] == 0
    apart = np.linalg.norm(clip.keypoint[:, 112] - clip.keypoint[:, 10], axis=1)
    assert np.median(apart[right]) < 60  # hand root on the wrist of the same side, in a picture of 1280 x 720
    assert clip.keypoint[0, 5, 0] > clip.keypoint[0, 6, 0]  # the signer's left is right in the picture
    again = estimate_clip(job, Recipe(holistic))  # nothing is remembered from one clip to the next
    np.testing.assert_array_equal(again.clip.keypoint, clip.keypoint)


@pytest.mark.slow
def test_the_signer_is_found_beside_a_picture_of_somebody(shared_data, holistic):
    """Two signers side by side, one of them frozen: the one who moves is taken, unless the other is asked for."""
    detector = FaceDetector()
    detector.load()
    moving = ClipFrames(shared_data / "ksl_videos" / "dinner_example1.mp4", 8, 20)
    still = next(iter(ClipFrames(shared_data / "ksl_videos" / "age_example2.mp4")))

    class SideBySide(ClipFrames):
        """The frames of both, as one video."""

        def __iter__(self):
            for frame in moving:
                yield np.concatenate([still[:, 240:1040], frame[:, 240:1040]], axis=1)
            self.facts, self.count, self.image_size = moving.facts, moving.count, (1600, 720)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gspmc_mm.extraction.clip_work.ClipFrames", SideBySide)
        job = ClipJob(VideoClip("both", "both.mp4", 0, "sign", ""), "both.mp4")
        found = estimate_clip(job, Recipe(holistic, detector))
        asked = estimate_clip(job, Recipe(holistic, detector, person=1))
    assert found.facts["chosen"] == 2
    assert found.facts["why"] == "highest score of 2 people"
    assert [person["person"] for person in found.facts["people"]] == [1, 2]
    assert found.facts["people"][1]["hands"] > found.facts["people"][0]["hands"]
    assert found.clip.keypoint[:, 0, 0].min() > 800
    assert asked.facts["chosen"] == 1
    assert asked.facts["why"] == "person 1 was asked for"
    assert asked.clip.keypoint[:, 0, 0].max() < 800
