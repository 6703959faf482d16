"""What a pose estimator is to this room: the protocol that all of them keep, and finding one by its name."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extras import how_to_install
from gspmc_mm.poses import EstimatorInfo
from gspmc_mm.skeleton import get_layout

LAYOUT = "wholebody133"
NUM_POINTS = get_layout(LAYOUT).num_joints

#: What the decoding process makes of one frame (height, width, 3) uint8, blue first, and the box (4,) float32 of the
#: person in it: left, top, right, bottom in pixels.
Preparation = Callable[[np.ndarray, np.ndarray], Any]


@dataclass
class Poses:
    """Points of one person in N frames.

    Attributes:
        keypoint: (N, 133, 2) float32 x, y in pixels of the frame.
        score: (N, 133) float32 confidence as the estimator gives it.
    """

    keypoint: np.ndarray
    score: np.ndarray

    def __post_init__(self) -> None:
        if self.keypoint.shape[1:] != (NUM_POINTS, 2) or self.score.shape != self.keypoint.shape[:2]:
            raise ExtractionError(
                f"the estimator gave points {self.keypoint.shape} and scores {self.score.shape}; expected "
                f"(frames, {NUM_POINTS}, 2) and (frames, {NUM_POINTS}): those of COCO-WholeBody"
            )

    def __len__(self) -> int:
        return len(self.keypoint)


@runtime_checkable
class PoseEstimator(Protocol):
    """Finds the 133 points of COCO-WholeBody of one person in a frame.

    Until `load` an estimator is only its settings: cheap to make, and pickled to the processes or machines that will
    run it. `info` is known without loading, so that a wrong one is refused before anything is computed.

    Attributes:
        independent_frames: True if a frame's points do not depend on other frames: then frames of several clips and
            people share a batch, and are prepared in other processes. False for estimators that follow a person
            through a clip: they get the frames of one person in one clip, in order.
        batch_size: frames per call of `estimate` for independent frames; no meaning for the others.
        device: 'cpu', or a device of PyTorch or ONNX Runtime such as 'cuda' or 'cuda:1'.
    """

    independent_frames: bool
    batch_size: int
    device: str

    @property
    def info(self) -> EstimatorInfo:
        """Name, version (with every setting that changes the points) and weights, as the store keeps them."""

    @property
    def preparation(self) -> Preparation:
        """What happens to a frame in the decoding process; known after `load`, can be pickled."""

    def load(self) -> None:
        """Load the network. Called once, in the process that estimates.

        Raises:
            ImportError: a package is missing; names the extra.
            ExtractionError: the weights are missing or of another network.
        """

    def estimate(self, inputs: Iterable[Any]) -> Poses:
        """Points for what `preparation` made of N frames.

        With independent frames several threads may call it at once, and N is at most the batch size. Otherwise the
        frames of one clip are decoded while they are asked for, and whatever the iterable raises is passed on.
        """


#: Name on the command line to module and class.
ESTIMATORS = {
    "mediapipe": "gspmc_mm.extraction.mediapipe_holistic:MediaPipeHolistic",
    "mmpose": "gspmc_mm.extraction.mmpose_topdown:MMPoseTopdown",
    "rtmlib": "gspmc_mm.extraction.rtmlib_pose:RTMLibPose",
}


def make_estimator(name: str, **settings: Any) -> PoseEstimator:
    """An estimator that is not loaded yet.

    Args:
        name: one of `ESTIMATORS`, or `module:Class` of your own that keeps the protocol.
        settings: keyword arguments of the class.

    Raises:
        ExtractionError: there is none of this name, or it does not know a setting.
    """
    module, _, attribute = ESTIMATORS.get(name, name).partition(":")
    if not attribute:
        raise ExtractionError(
            f"there is no estimator {name!r}; known: {', '.join(sorted(ESTIMATORS))}, or module:Class of your own"
        )
    try:
        cls = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ExtractionError(f"the estimator {name!r} cannot be imported: {error}") from error
    try:
        estimator = cls(**settings)
    except TypeError as error:
        raise ExtractionError(f"the estimator {name!r} does not take these settings: {error}") from error
    if not isinstance(estimator, PoseEstimator):
        members = (*PoseEstimator.__annotations__, *vars(PoseEstimator))
        lacking = {member for member in members if not member.startswith("_") and not hasattr(cls, member)}
        raise ExtractionError(f"{name!r} is no estimator: it lacks {', '.join(sorted(lacking))}")
    return estimator


def frame_and_box(frame: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The preparation of estimators that crop by themselves."""
    return frame, box


def package_version(package: str, extra: str = "pose") -> str:
    """Version of an installed package, without importing it.

    Raises:
        ImportError: it is not installed; names the extra.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise ImportError(
            f"{package} is not installed; {how_to_install(extra)} (python -m gspmc_mm.doctor says the rest)"
        ) from error


def weights_name(weights: str) -> str:
    """How a store names weights: the same wherever the file lies.

    A published checkpoint that carries the first digits of its SHA-256 in its name (OpenMMLab:
    `..._dark-f5726563_20200918.pth`) is its name, whether it is a URL or a copy of it on disk; a copy is compared with
    the digits. Any other URL is its name, any other file its name and the first 16 digits.

    Raises:
        ExtractionError: the file does not exist, or is not what its name says.
    """
    name = weights.rstrip("/").rpartition("/")[2]
    digits = re.search(r"-([0-9a-f]{8})(?=[_.]).*\.pth$", name)
    if weights.startswith(("http://", "https://")):
        return name
    path = Path(weights).expanduser()
    if not path.is_file():
        raise ExtractionError(f"{path}: there is no such file of weights")
    with open(path, "rb") as file:
        found = file_digest(file)
    if digits is None:
        return f"{path.name} sha256:{found[:16]}"
    if not found.startswith(digits.group(1)):
        raise ExtractionError(
            f"{path}: its SHA-256 begins with {found[:8]}, its name says {digits.group(1)}: the copy is damaged or cut "
            "off; download it again (or rename it, if the weights are your own)"
        )
    return path.name


def file_digest(file: Any) -> str:
    """SHA-256 of an open file, 64 hex digits, read piece by piece."""
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()
