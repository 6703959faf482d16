"""What camera and pose estimator make of a signer: weak perspective, jitter, confidence, lost hands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gspmc_mm.datasets.synthsign.kinematics import rotations
from gspmc_mm.datasets.synthsign.lexicon import Sign
from gspmc_mm.datasets.synthsign.motion import FACE, LEFT_HAND, NUM_POINTS, RIGHT_HAND, Motion, body_motion
from gspmc_mm.datasets.synthsign.profile import Camera, SignerProfile

_CAMERA_DISTANCE = 6.0


@dataclass(frozen=True)
class Performance(Motion):
    """A sign performed once and seen by camera and pose estimator.

    Attributes:
        keypoint: (T, 133, 2) float32 pixels.
        score: (T, 133) float32 in [0, 1].
    """

    keypoint: np.ndarray
    score: np.ndarray


def project(points: np.ndarray, camera: Camera, tilt: np.ndarray | None = None) -> np.ndarray:
    """Weak perspective image of (T, V, 3) body points: (T, V, 2) pixels, y down.

    ``tilt`` (3,) is added to pitch, yaw and roll of the camera (radians).
    """
    pitch, yaw, roll = np.array([camera.pitch, camera.yaw, camera.roll]) + (0.0 if tilt is None else tilt)
    turn = rotations(np.array([-pitch, 0, 0])) @ rotations(np.array([0, yaw, 0]))
    # One flat product of float32: an error of 1e-4 pixel, a quarter of the time.
    seen = points.reshape(-1, 3).astype(np.float32) @ turn.T.astype(np.float32)
    width, height = camera.image_size
    near = 1.0 - np.minimum(seen[:, 2:], 2.0) / _CAMERA_DISTANCE
    cos, sin = np.cos(roll), np.sin(roll)
    roll_and_scale = camera.scale * height * np.array([[cos, sin], [-sin, cos]], dtype=np.float32)
    image = (seen[:, :2] / near) @ roll_and_scale
    image += np.array([camera.centre[0] * width, camera.centre[1] * height], dtype=np.float32)
    return image.reshape(*points.shape[:-1], 2)


def _jitter_sizes() -> np.ndarray:
    """Standard deviation of the jitter of every point, in shoulder widths (133,)."""
    sizes = np.full(NUM_POINTS, 0.010)
    sizes[11:23] = 0.03
    sizes[FACE] = 0.0045
    sizes[LEFT_HAND] = sizes[RIGHT_HAND] = 0.009
    sizes[[95, 99, 103, 107, 111, 116, 120, 124, 128, 132]] = 0.012
    return sizes.astype(np.float32)


_JITTER = _jitter_sizes()
# Jitter added per shoulder width of movement between two frames: fingers blur most.
_BLUR = np.where(np.arange(NUM_POINTS) >= 91, 0.10, 0.03).astype(np.float32)


def observe(
    clean: np.ndarray, profile: SignerProfile, rng: np.random.Generator, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """What a pose estimator makes of the true image points.

    Jitter that is correlated in time and grows with the speed of the hands, confidence that falls
    with it, points outside the image pushed to its border with low confidence, and bursts of frames
    in which a hand is lost: half of them missing (coordinates and confidence 0), half of them
    scattered with low confidence.

    Args:
        clean: (T, 133, 2) pixels.
        profile: gives camera, jitter and losses.
        rng: source of the draws.
        noise: factor on all of it; 0 = perfect estimator (border handling stays).

    Returns:
        keypoint (T, 133, 2) and score (T, 133), float32.
    """
    width, height = profile.camera.image_size
    unit = profile.camera.scale * height
    clean = clean.astype(np.float32)
    frames = len(clean)
    level = noise * profile.noise
    speed = np.zeros(clean.shape[:2], dtype=np.float32)
    step = np.diff(clean, axis=0)
    speed[1:] = np.sqrt(np.square(step[..., 0]) + np.square(step[..., 1])) / unit
    sigma = (_JITTER + _BLUR * np.minimum(speed, 0.3)) * np.float32(unit * level)
    white = rng.standard_normal((frames + 1, NUM_POINTS, 2), dtype=np.float32)
    smooth = (white[1:] + 0.75 * white[:-1]) / 1.25
    keypoint = clean + smooth * sigma[..., None]
    score = 0.93 - noise * (1.1 * np.minimum(speed, 0.35) + 0.05 * np.abs(white[1:, :, 0]))
    score[:, 91:] -= 0.04 * noise
    for hand in (LEFT_HAND, RIGHT_HAND):
        for _ in range(rng.poisson(noise * profile.loss * 0.5)):
            begin = int(rng.integers(0, frames))
            end = begin + int(rng.integers(2, 13))
            if rng.random() < 0.5:
                keypoint[begin:end, hand] = 0.0
                score[begin:end, hand] = 0.0
            else:
                lost = keypoint[begin:end, hand]
                lost += rng.normal(0.0, 0.12 * unit, lost.shape)
                score[begin:end, hand] = rng.uniform(0.03, 0.22, lost.shape[:2])
    gone = score == 0.0
    x, y = keypoint[..., 0], keypoint[..., 1]
    outside = ((x < 0) | (x > width - 1) | (y < 0) | (y > height - 1)) & ~gone
    score = np.where(outside, 0.02 + 0.10 * rng.random(score.shape, dtype=np.float32), score)
    score = np.where(gone, 0.0, np.clip(score, 0.02, 1.0))
    border = np.array([width - 1, height - 1], dtype=np.float32)
    keypoint = np.clip(keypoint, np.float32(0.0), border)
    return keypoint.astype(np.float32), score.astype(np.float32)


def perform(sign: Sign, profile: SignerProfile, rng: np.random.Generator, noise: float = 1.0) -> Performance:
    """One take of a sign by a signer, seen by camera and pose estimator.

    Args:
        sign: what to perform.
        profile: who performs it.
        rng: all draws of this take.
        noise: factor on the variation between takes, on jitter and on losses; 0 = none of them.
    """
    motion = body_motion(sign, profile, rng, noise)
    clean = project(motion.points3d, profile.camera, 0.03 * noise * rng.standard_normal(3))
    keypoint, score = observe(clean, profile, rng, noise)
    return Performance(**vars(motion), keypoint=keypoint, score=score)
