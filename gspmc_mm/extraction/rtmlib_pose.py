"""RTMW and DWPose through rtmlib: whole-body estimators as ONNX files, without any of OpenMMLab's packages."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.estimator import NUM_POINTS, Poses, Preparation, frame_and_box, package_version, weights_name
from gspmc_mm.extras import how_to_install
from gspmc_mm.poses import EstimatorInfo

_OPENMMLAB = "https://download.openmmlab.com/mmpose/v1/projects"
#: Published models by a short name.
MODELS = {
    "rtmw-x": f"{_OPENMMLAB}/rtmw/onnx_sdk/rtmw-x_simcc-cocktail13_pt-ucoco_270e-384x288-0949e3a9_20230925.zip",
    "rtmw-l": f"{_OPENMMLAB}/rtmw/onnx_sdk/rtmw-dw-x-l_simcc-cocktail14_270e-384x288_20231122.zip",
    "rtmw-m": f"{_OPENMMLAB}/rtmw/onnx_sdk/rtmw-dw-m-s_simcc-cocktail14_270e-256x192_20231122.zip",
    "dwpose-l": f"{_OPENMMLAB}/rtmposev1/onnx_sdk/rtmpose-l_simcc-ucoco_dw-ucoco_270e-384x288-2438fd99_20230728.zip",
}


@dataclass
class RTMLibPose:
    """A SimCC whole-body model over ONNX Runtime.

    Args:
        model: one of `MODELS`, a URL, or the path of an `.onnx` file.
        device: 'cpu', 'cuda', 'cuda:<n>' or 'mps'.

    Raises:
        ExtractionError: there is no such model.
        ImportError: rtmlib or onnxruntime is not installed.
    """

    model: str = "rtmw-l"
    device: str = "cpu"

    # rtmlib runs one picture at a time; several processes side by side fill the cores
    independent_frames = False
    batch_size = 1
    _pose: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        known = self.model in MODELS or self.model.startswith(("http://", "https://"))
        if not known and not Path(self.model).expanduser().is_file():
            raise ExtractionError(
                f"{self.model}: there is no such ONNX file; expected a path, a URL or one of {', '.join(MODELS)}"
            )
        self._weights = MODELS.get(self.model, self.model)
        packages = [f"{name} {package_version(name)}" for name in ("rtmlib", "onnxruntime")]
        name = self.model if self.model in MODELS else Path(self._weights).stem
        self._info = EstimatorInfo(name=name, version=", ".join(packages), weights=weights_name(self._weights))

    @property
    def info(self) -> EstimatorInfo:
        """See `PoseEstimator`."""
        return self._info

    @property
    def preparation(self) -> Preparation:
        """See `PoseEstimator`."""
        return frame_and_box

    def load(self) -> None:
        """See `PoseEstimator`; downloads a published model the first time."""
        path = local_model(self._weights)
        session = open_session(path)
        from rtmlib import RTMPose

        height, width = session.get_inputs()[0].shape[2:]
        outputs = [output.shape for output in session.get_outputs()]
        if not (isinstance(height, int) and isinstance(width, int)):
            raise ExtractionError(
                f"{path}: the size of its input is not fixed ({height} x {width}); export it with one"
            )
        if len(outputs) != 2 or any(len(shape) != 3 or shape[1] != NUM_POINTS for shape in outputs):
            raise ExtractionError(
                f"{path}: its outputs have the shapes {outputs}; expected two (N, {NUM_POINTS}, length), the SimCC of "
                "COCO-WholeBody"
            )
        with contextlib.redirect_stdout(io.StringIO()):  # it announces itself
            self._pose = RTMPose(path, model_input_size=(width, height), backend="onnxruntime", device=self.device)

    def estimate(self, inputs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Poses:
        """Points of one person in the frames of one clip; see `PoseEstimator`."""
        found = [self._pose(frame, bboxes=[box]) for frame, box in inputs]
        keypoint = np.concatenate([points for points, _ in found]).astype(np.float32)
        score = np.concatenate([scores for _, scores in found]).astype(np.float32)
        return Poses(keypoint, score)


def local_model(model: str) -> str:
    """Path of a model on this machine; a URL is downloaded into rtmlib's cache, once.

    Raises:
        ExtractionError: it cannot be downloaded; says from where and how to go on without a connection.
    """
    if not model.startswith(("http://", "https://")):
        return str(Path(model).expanduser())
    try:
        from rtmlib.tools.file import download_checkpoint
    except ImportError as error:
        raise ImportError(f"{error}; rtmlib comes with the extra pose; {how_to_install('pose')}") from error

    try:
        return str(download_checkpoint(model))
    except Exception as error:  # urllib's and zipfile's errors, and whatever a proxy makes of them
        raise ExtractionError(
            f"{model} cannot be downloaded ({error}). Without a connection, download and unpack it elsewhere and name "
            "the .onnx file in it: --model FILE.onnx"
        ) from error


def open_session(path: str) -> Any:
    """A model on the CPU, to look at its inputs and outputs: a wrong picture size gives wrong points without a word.

    Raises:
        ImportError: onnxruntime is not installed.
        ExtractionError: the file is no model.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ImportError(f"{error}; ONNX Runtime comes with the extra pose; {how_to_install('pose')}") from error
    try:
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises classes of its own
        raise ExtractionError(f"{path}: no model that ONNX Runtime can read ({error})") from error
