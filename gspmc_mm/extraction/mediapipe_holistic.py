"""MediaPipe Holistic: the estimator that works offline, because its models lie inside the wheel.

Version 0.10.21; later wheels bring no models. Which of its 33 + 468 + 21 + 21 landmarks becomes which of the 133 points
is data: `gspmc_mm.poses.mediapipe_points`. MediaPipe gives a visibility for the landmarks of the body only; a hand or a
face is found as a whole or not at all, so its points have confidence 1 or 0.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.estimator import NUM_POINTS, Poses, Preparation, frame_and_box, package_version
from gspmc_mm.extras import how_to_install
from gspmc_mm.poses import EstimatorInfo
from gspmc_mm.poses.mediapipe_points import FACE_POINTS, HAND_POINTS, POSE_POINTS, wholebody_from_mediapipe

# The person fills this share of the crop around its box; mmpose's top-down pipelines use the same (padding 1.25).
PADDING = 1.25
# Holistic goes on guessing beyond the edge of the picture. Elbows and wrists just outside are worth having, feet a
# whole picture further down are not.
OUTSIDE = 0.25


@dataclass
class MediaPipeHolistic:
    """MediaPipe Holistic with its model of medium complexity, the one in the wheel.

    Args:
        device: only 'cpu'; Python's MediaPipe has no other.
        min_detection_confidence: below it, nobody is found in a frame.
        min_tracking_confidence: below it, a person is looked for anew instead of followed.
        smooth: steady the body's points from frame to frame (MediaPipe's own filter).

    Raises:
        ExtractionError: another device, or a confidence outside [0, 1].
    """

    device: str = "cpu"
    min_detection_confidence: float = 0.5
    min_tracking_confidence: float = 0.5
    smooth: bool = True

    independent_frames = False
    batch_size = 1
    _holistic: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.device != "cpu":
            raise ExtractionError(f"MediaPipe runs on the CPU only, not on {self.device!r}")
        for name in ("min_detection_confidence", "min_tracking_confidence"):
            if not 0 <= getattr(self, name) <= 1:
                raise ExtractionError(f"{name} is {getattr(self, name)}; expected a number between 0 and 1")

    @property
    def info(self) -> EstimatorInfo:
        """See `PoseEstimator`."""
        settings = [f"detection {self.min_detection_confidence:g}", f"tracking {self.min_tracking_confidence:g}"]
        if not self.smooth:
            settings.append("not smoothed")
        version = f"mediapipe {package_version('mediapipe')}, {', '.join(settings)}"
        return EstimatorInfo(name="mediapipe-holistic", version=version, weights="in the wheel, complexity 1")

    @property
    def preparation(self) -> Preparation:
        """See `PoseEstimator`."""
        return frame_and_box

    def load(self) -> None:
        """See `PoseEstimator`."""
        mediapipe = import_mediapipe()
        with quiet():
            self._holistic = mediapipe.solutions.holistic.Holistic(
                static_image_mode=False,
                model_complexity=1,
                smooth_landmarks=self.smooth,
                min_detection_confidence=self.min_detection_confidence,
                min_tracking_confidence=self.min_tracking_confidence,
            )

    def estimate(self, inputs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Poses:
        """Follow one person through the frames of one clip; see `PoseEstimator`."""
        keypoints, scores = [], []
        with quiet():
            self._holistic.reset()  # nothing of the clip before is remembered
            for frame, box in inputs:
                left, top, right, bottom = crop_around(box, frame.shape[1], frame.shape[0])
                crop = np.ascontiguousarray(frame[top:bottom, left:right, ::-1])
                keypoint, score = points_of(self._holistic.process(crop), crop.shape[1], crop.shape[0])
                keypoints.append(np.where(score[:, None] > 0, keypoint + (left, top), 0).astype(np.float32))
                scores.append(score)
        return Poses(np.stack(keypoints), np.stack(scores))


def crop_around(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the part of a picture around a padded box, at least one pixel wide and high."""
    left, top, right, bottom = (float(value) for value in box)
    more_x, more_y = (right - left) * (PADDING - 1) / 2, (bottom - top) * (PADDING - 1) / 2
    left, top = int(np.clip(left - more_x, 0, width - 1)), int(np.clip(top - more_y, 0, height - 1))
    right = int(np.clip(np.ceil(right + more_x), left + 1, width))
    bottom = int(np.clip(np.ceil(bottom + more_y), top + 1, height))
    return left, top, right, bottom


def points_of(result: Any, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """The 133 points (133, 2) in pixels and their confidences (133,) of one answer of Holistic."""
    groups: dict[str, tuple[np.ndarray, np.ndarray] | None] = {}
    for name, landmarks, count in (
        ("pose", result.pose_landmarks, POSE_POINTS),
        ("face", result.face_landmarks, FACE_POINTS),
        ("left_hand", result.left_hand_landmarks, HAND_POINTS),
        ("right_hand", result.right_hand_landmarks, HAND_POINTS),
    ):
        if landmarks is None:
            groups[name] = None
            continue
        found = landmarks.landmark
        points = np.array([(point.x, point.y) for point in found], dtype=np.float32).reshape(1, count, 2)
        if name == "pose":
            confidence = np.array([[point.visibility for point in found]], dtype=np.float32)
        else:
            confidence = np.ones((1, count), dtype=np.float32)
        groups[name] = points, confidence
    if all(group is None for group in groups.values()):
        return np.zeros((NUM_POINTS, 2), np.float32), np.zeros(NUM_POINTS, np.float32)
    keypoint, score = (array[0] for array in wholebody_from_mediapipe(**groups))
    inside = ((keypoint >= -OUTSIDE) & (keypoint <= 1 + OUTSIDE)).all(axis=-1)
    score = np.where(inside, np.clip(score, 0, 1), 0).astype(np.float32)
    return keypoint * np.array([width, height], np.float32), score


def import_mediapipe() -> Any:
    """MediaPipe, or an error that says how to get the version that has its models inside.

    Raises:
        ImportError: it is not installed.
        ExtractionError: it is a version without Holistic.
    """
    os.environ.setdefault("GLOG_minloglevel", "2")
    try:
        with quiet():
            import mediapipe
    except ImportError as error:
        raise ImportError(f"{error}; MediaPipe comes with the extra pose; {how_to_install('pose')}") from error
    if not hasattr(getattr(mediapipe, "solutions", None), "holistic"):
        raise ExtractionError(
            f"mediapipe {package_version('mediapipe')} has no Holistic solution; 0.10.21 is the last one with its "
            "models inside: pip install mediapipe==0.10.21"
        )
    return mediapipe


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep MediaPipe's C++ side from writing to stderr, which its own switches do not do until it has begun."""
    saved, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    os.close(nothing)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
