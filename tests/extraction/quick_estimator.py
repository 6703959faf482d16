"""Estimators for the tests: no network, the same answer for the same frame, and ways to misbehave on purpose.

A frame of one colour is an order: `DEADLY` kills the process (as a crashing decoder would), `HANGING` never ends.
Where the environment names a file in QUICK_LOG, each clip that is begun leaves a line there (a digest of its first
frame and the node of Ray), so that a test can count them. QUICK_PAUSE is a number of seconds to wait in a frame. The
environment counts in which the estimator is made, not that of the processes that it is pickled to.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from gspmc_mm.extraction.estimator import NUM_POINTS, Poses, frame_and_box
from gspmc_mm.poses import EstimatorInfo

DEADLY, HANGING = (255, 0, 255), (255, 255, 0)


def points_in(frame: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A grid over the box, moved by the colours of the frame; the brighter, the surer."""
    left, top, right, bottom = box
    number = np.arange(NUM_POINTS)
    mean = frame.mean(axis=(0, 1)) / 255
    x = left + (right - left) * ((number % 13 + mean[0]) / 13)
    y = top + (bottom - top) * ((number // 13 + mean[1]) / 11)
    return np.stack([x, y], axis=1).astype(np.float32), np.full(NUM_POINTS, frame.mean() / 255, np.float32)


def obey(frame: np.ndarray) -> None:
    """Do what a frame of one colour orders."""
    colour = frame.reshape(-1, 3).mean(axis=0)
    if np.abs(colour - DEADLY).max() < 12:
        os.kill(os.getpid(), signal.SIGKILL)
    if np.abs(colour - HANGING).max() < 12:
        time.sleep(600)


def ray_node() -> str:
    """Name of the node of Ray that this process runs on."""
    if "ray" not in sys.modules:
        return "none"
    return sys.modules["ray"].get_runtime_context().get_node_id()


def log(frame: np.ndarray, path: str) -> None:
    """One line, whole, in a file."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{hashlib.blake2b(frame, digest_size=8).hexdigest()} {ray_node()}\n".encode())
    os.close(file)


def asked_pause() -> float:
    """QUICK_PAUSE."""
    return float(os.environ.get("QUICK_PAUSE", 0))


def asked_log() -> str:
    """QUICK_LOG."""
    return os.environ.get("QUICK_LOG", "")


@dataclass
class QuickEstimator:
    """Follows a clip, as MediaPipe does."""

    device: str = "cpu"
    version: str = "1"
    pause: float = field(default_factory=asked_pause)
    log: str = field(default_factory=asked_log)
    broken: bool = False

    independent_frames = False
    batch_size = 1

    @property
    def info(self) -> EstimatorInfo:
        return EstimatorInfo(name="quick", version=self.version, weights="none")

    preparation = staticmethod(frame_and_box)

    def load(self) -> None:
        if self.broken:
            raise RuntimeError("the quick estimator was told not to load")

    def estimate(self, inputs: Iterable[tuple[np.ndarray, np.ndarray]]) -> Poses:
        found = []
        for frame, box in inputs:
            if self.log and not found:
                log(frame, self.log)
            obey(frame)
            time.sleep(self.pause)
            found.append(points_in(frame, box))
        return Poses(np.stack([point for point, _ in found]), np.stack([score for _, score in found]))


@dataclass
class QuickNetwork:
    """Takes frames of any clips in batches, as mmpose's networks do."""

    batch_size: int = 5
    device: str = "cpu"
    broken_batches: int = 0
    batches: list[int] = field(default_factory=list)

    independent_frames = True

    @property
    def info(self) -> EstimatorInfo:
        return EstimatorInfo(name="quick network", version="1", weights="none")

    preparation = staticmethod(frame_and_box)

    def load(self) -> None:
        self.batches = []

    def estimate(self, inputs: list[tuple[np.ndarray, np.ndarray]]) -> Poses:
        self.batches.append(len(inputs))
        for frame, _ in inputs:
            obey(frame)
        if len(self.batches) <= self.broken_batches:
            raise RuntimeError("out of memory")
        found = [points_in(frame, box) for frame, box in inputs]
        return Poses(np.stack([point for point, _ in found]), np.stack([score for _, score in found]))


@dataclass
class TwoHalves:
    """A detector that sees somebody in the left and somebody in the right half of every picture."""

    name: str = "two halves"

    def load(self) -> None:
        self.loaded = True

    def people(self, frame: np.ndarray) -> np.ndarray:
        assert self.loaded
        height, width = frame.shape[:2]
        return np.array([[width / 2, 0, width, height], [0, 0, width / 2 - 4, height]], np.float32)
