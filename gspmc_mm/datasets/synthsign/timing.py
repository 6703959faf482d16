"""When what happens in a sign: rest, preparation, stroke, hold, retraction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gspmc_mm.datasets.synthsign.kinematics import minimum_jerk
from gspmc_mm.datasets.synthsign.lexicon import Sign
from gspmc_mm.datasets.synthsign.profile import SignerProfile

MIN_FRAMES, MAX_FRAMES = 30, 90


@dataclass(frozen=True)
class Timing:
    """The course of one take.

    Attributes:
        seconds: (T,) of every frame.
        envelope: (T,) 0 at rest, 1 during stroke and hold.
        phase: (T,) 0 before the stroke, 1 after it.
    """

    seconds: np.ndarray
    envelope: np.ndarray
    phase: np.ndarray


def time_sign(sign: Sign, profile: SignerProfile, draw: np.ndarray) -> Timing:
    """How a signer times a sign.

    Args:
        sign: What is performed; repeated and curved movements take longer.
        profile: Gives tempo and frame rate.
        draw: (8,) standard normal: six for the tempo of the phases, two for the length of beginning and end.

    Returns:
        MIN_FRAMES to MAX_FRAMES frames.
    """
    movement = sign.movement
    cycles = movement.repeat if movement.path != "still" or movement.local != "none" else 1
    stroke = 0.50 + 0.38 * (cycles - 1)
    if movement.path in ("circle", "zigzag"):
        stroke += 0.35
    tempo = np.exp(0.10 * draw[:6]) / profile.speed
    spans = np.array([0.12, 0.42, stroke, 0.22, 0.42, 0.12]) * tempo
    spans[0] *= np.exp(0.6 * draw[6])
    spans[5] = max(spans[5] + 0.15 * draw[7], -0.5 * spans[4])  # some clips are cut during the way back
    begin, ready, done, leave, rest = np.cumsum(spans[:5])
    total = rest + spans[5]
    frames = int(np.clip(round(total * profile.camera.fps), MIN_FRAMES, MAX_FRAMES))
    seconds = np.linspace(0.0, total, frames)
    rise = minimum_jerk((seconds - begin) / (ready - begin))
    fall = minimum_jerk((seconds - leave) / (rest - leave))
    phase = np.clip((seconds - ready) / (done - ready), 0.0, 1.0)
    return Timing(seconds, rise * (1.0 - fall), phase)
