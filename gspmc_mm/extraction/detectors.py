"""Where people are in a frame: detectors for videos in which the signer does not fill the picture."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.estimator import package_version, weights_name
from gspmc_mm.extraction.mediapipe_holistic import import_mediapipe, quiet

# How far somebody who signs reaches, measured in the box that MediaPipe draws around a face (brows to chin).
REACH_SIDE, REACH_UP, REACH_DOWN = 4.5, 1.5, 8.0
YOLOX_URL = (
    "https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/onnx_sdk/yolox_m_8xb8-300e_humanart-c2c7a14a.zip"
)


class PersonDetector(Protocol):
    """Finds people in a frame. Like an estimator it is only its settings until `load`.

    Attributes:
        name: what it is, with everything that changes the boxes; stands in the store beside the estimator.
    """

    name: str

    def load(self) -> None:
        """Load the network."""

    def people(self, frame: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) float32 left, top, right, bottom in a frame (height, width, 3) uint8, blue first."""


@dataclass
class FaceDetector:
    """People by their faces: MediaPipe's detector up to five metres, in the wheel. Signers face the camera.

    Args:
        min_confidence: below it, a face is none.
    """

    min_confidence: float = 0.5
    _faces: Any = field(default=None, init=False, repr=False)

    @property
    def name(self) -> str:
        """See `PersonDetector`."""
        return f"faces of mediapipe {package_version('mediapipe')} ({self.min_confidence:g})"

    def load(self) -> None:
        """See `PersonDetector`."""
        mediapipe = import_mediapipe()
        with quiet():
            self._faces = mediapipe.solutions.face_detection.FaceDetection(
                model_selection=1, min_detection_confidence=self.min_confidence
            )

    def people(self, frame: np.ndarray) -> np.ndarray:
        """See `PersonDetector`."""
        height, width = frame.shape[:2]
        with quiet():
            found = self._faces.process(np.ascontiguousarray(frame[..., ::-1])).detections or []
        relative = [detection.location_data.relative_bounding_box for detection in found]
        faces = [(box.xmin * width, box.ymin * height, box.width * width, box.height * height) for box in relative]
        return reach_of_faces(np.array(faces, np.float32).reshape(-1, 4), width, height)


def reach_of_faces(faces: np.ndarray, width: int, height: int) -> np.ndarray:
    """Boxes (N, 4) that hold what people sign, inside the picture, from faces (N, 4): left, top, width, height."""
    left, top, wide, high = faces.T
    middle = left + wide / 2
    boxes = np.stack(
        [
            np.clip(middle - REACH_SIDE * wide, 0, width),
            np.clip(top - REACH_UP * high, 0, height),
            np.clip(middle + REACH_SIDE * wide, 0, width),
            np.clip(top + REACH_DOWN * high, 0, height),
        ],
        axis=1,
    )
    return boxes[(boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])].astype(np.float32)


@dataclass
class YoloxDetector:
    """People by YOLOX over ONNX Runtime, through rtmlib.

    Args:
        model: path of an `.onnx` file, or a URL.
        device: 'cpu', 'cuda', 'cuda:<n>' or 'mps'.

    Raises:
        ExtractionError: there is no such file.
    """

    model: str = YOLOX_URL
    device: str = "cpu"
    _detector: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.model.startswith(("http://", "https://")) and not Path(self.model).expanduser().is_file():
            raise ExtractionError(f"{self.model}: there is no such ONNX file of a detector")
        self._name = f"rtmlib {package_version('rtmlib')} {weights_name(self.model)}"

    @property
    def name(self) -> str:
        """See `PersonDetector`."""
        return self._name

    def load(self) -> None:
        """See `PersonDetector`; downloads a URL the first time."""
        from gspmc_mm.extraction.rtmlib_pose import local_model, open_session

        path = local_model(self.model)
        height, width = open_session(path).get_inputs()[0].shape[2:]
        from rtmlib import YOLOX

        with contextlib.redirect_stdout(io.StringIO()):  # it announces itself
            self._detector = YOLOX(path, model_input_size=(width, height), backend="onnxruntime", device=self.device)

    def people(self, frame: np.ndarray) -> np.ndarray:
        """See `PersonDetector`."""
        return np.asarray(self._detector(frame), dtype=np.float32).reshape(-1, 4)


def make_detector(name: str, device: str = "cpu") -> PersonDetector:
    """A detector that is not loaded yet: 'faces', 'yolox' (downloads) or 'yolox:<file.onnx>'.

    Raises:
        ExtractionError: there is none of this name.
    """
    if name == "faces":
        return FaceDetector()
    if name == "yolox":
        return YoloxDetector(device=device)
    if name.startswith("yolox:"):
        return YoloxDetector(model=name.partition(":")[2], device=device)
    raise ExtractionError(f"there is no detector {name!r}; known: faces, yolox, yolox:<file.onnx>")
