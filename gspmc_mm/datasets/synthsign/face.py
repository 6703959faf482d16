"""Head and face of the signer: 68 points in iBUG order with mouth, brow and eye actions (body frame of `motion`)."""

from __future__ import annotations

import numpy as np

from gspmc_mm.datasets.synthsign.kinematics import MIRROR, minimum_jerk, rotations
from gspmc_mm.datasets.synthsign.lexicon import Sign
from gspmc_mm.datasets.synthsign.profile import SignerProfile
from gspmc_mm.datasets.synthsign.timing import Timing


def _face_points(
    mouth: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 1.0),
    brow: tuple[float, float, float] = (0.0, 0.0, 0.0),
    eye: float = 1.0,
) -> np.ndarray:
    """The 68 points of the face in iBUG order, (68, 3), in body units.

    Args:
        mouth: (width factor, opening, corners down by, lip thickness factor).
        brow: (whole brow down by, inner end down by, inner end inwards by).
        eye: opening of the lids, 1 = normal.
    """
    width, opening, corners, thickness = mouth
    face = np.zeros((68, 3))
    turn = np.linspace(0.0, np.pi, 17)
    sine = np.sin(turn)
    face[:17, 0] = -0.205 * np.cos(turn)
    face[:17, 1] = -0.67 + 0.30 * sine**0.85 + 0.75 * opening * sine**2
    face[:17, 2] = 0.04 + 0.28 * sine**1.5
    along = np.linspace(0.0, 1.0, 5)
    brows = np.stack(
        [
            -0.165 + 0.125 * along + brow[2] * along**2,
            -0.775 - 0.028 * np.sin(np.pi * along) + brow[0] + brow[1] * along**2,
            0.22 + 0.13 * along,
        ],
        axis=-1,
    )
    face[17:22] = brows
    face[22:27] = (brows * MIRROR)[::-1]
    drop = np.linspace(0.0, 1.0, 4)
    face[27:31] = np.stack([0 * drop, -0.70 + 0.11 * drop, 0.35 + 0.09 * drop], axis=-1)
    across = np.linspace(-1.0, 1.0, 5)
    face[31:36] = np.stack([0.05 * across, -0.545 - 0.012 * np.abs(across), 0.38 - 0.03 * np.abs(across)], axis=-1)
    corner = np.deg2rad([180.0, 120.0, 60.0, 0.0, -60.0, -120.0])
    right_eye = np.stack(
        [-0.088 + 0.042 * np.cos(corner), -0.70 - 0.020 * eye * np.sin(corner), 0 * corner + 0.31],
        axis=-1,
    )
    face[36:42] = right_eye
    face[42:48] = (right_eye * MIRROR)[[3, 2, 1, 0, 5, 4]]
    outer, inner = (
        np.deg2rad(np.arange(180.0, -180.0, -30.0)),
        np.deg2rad(np.arange(180.0, -180.0, -45.0)),
    )
    for span, angle, half, lips in (
        (slice(48, 60), outer, 0.088, 0.032),
        (slice(60, 68), inner, 0.072, 0.004),
    ):
        lift = np.sin(angle)
        face[span, 0] = half * width * np.cos(angle)
        face[span, 1] = -0.475 - lips * thickness * lift + opening * (0.55 - 0.45 * lift - (lift > 0) * 0.35)
        face[span, 1] += corners * np.cos(angle) ** 2 - opening * 0.25 * (np.abs(lift) < 1e-9)
        face[span, 2] = 0.36 - 0.05 * np.cos(angle) ** 2 * width
    return face


_FACE = _face_points()
_MOUTHS = {
    "open": _face_points(mouth=(0.92, 0.11, 0.0, 1.0)),
    "rounded": _face_points(mouth=(0.55, 0.035, 0.0, 1.25)),
    "smile": _face_points(mouth=(1.35, 0.012, -0.034, 0.85)),
    "pressed": _face_points(mouth=(1.05, -0.012, 0.0, 0.30)),
    "corners_down": _face_points(mouth=(0.98, 0.0, 0.034, 1.0)),
    "open_close": _face_points(mouth=(0.92, 0.10, 0.0, 1.0)),
}
_BROWS = {
    "raised": _face_points(brow=(-0.048, 0.0, 0.0)),
    "furrowed": _face_points(brow=(0.014, 0.032, 0.018)),
}
_EYES = {
    "wide": _face_points(eye=1.6),
    "narrowed": _face_points(eye=0.45),
    "closed": _face_points(eye=0.06),
}
# Eyes and ears of the body skeleton: left eye, right eye, left ear, right ear.
EYES_AND_EARS = np.array([[0.088, -0.70, 0.31], [-0.088, -0.70, 0.31], [0.215, -0.655, 0.03], [-0.215, -0.655, 0.03]])
NOSE_TIP = 30


def head_turns(sign: Sign, profile: SignerProfile, timing: Timing, draw: np.ndarray) -> np.ndarray:
    """Rotations of the head (T, 3, 3)."""
    wave = 2.0 * np.pi * timing.seconds[:, None]
    idle = np.deg2rad(2.5) * (draw[:3] + 0.6 * np.sin(0.45 * wave + 3.0 * draw[3:6]))
    pitch, yaw, roll = 0.0, 0.0, 0.0
    beat = np.sin(2.0 * np.pi * 2.0 * timing.phase)
    if sign.head == "nod":
        pitch = 12.0 * (1.0 - np.cos(2.0 * np.pi * 2.0 * timing.phase))
    elif sign.head == "shake":
        yaw = 20.0 * beat
    elif sign.head == "tilt_right":
        roll = 14.0
    elif sign.head == "tilt_left":
        roll = -14.0
    elif sign.head == "back":
        pitch = -17.0
    elif sign.head == "turn_left":
        yaw = 24.0
    pitch, yaw, roll = (
        np.deg2rad(a) * profile.expression * timing.envelope + idle[:, k] for k, a in enumerate((pitch, yaw, roll))
    )
    # Pitch is positive downwards, yaw to the signer's left, roll to the signer's right.
    return rotations(np.stack([-pitch, yaw, -roll], axis=-1))


def face_points(sign: Sign, profile: SignerProfile, timing: Timing, draw: np.ndarray) -> np.ndarray:
    """Face points (T, 68, 3) before the head turns."""
    weight = minimum_jerk(1.4 * timing.envelope) * profile.expression
    drift = 0.10 * draw
    base = _FACE + profile.face_shape
    moving = []
    for table, action, idle, wander in (
        (_MOUTHS, sign.mouth, "open", abs(drift[0])),
        (_BROWS, sign.brows, "raised", drift[1]),
        (_EYES, sign.eyes, "narrowed", drift[2]),
    ):
        base = base + wander * (table[idle] - _FACE)
        if action == "neutral":
            continue
        amount = weight
        if action == "open_close":
            amount = weight * 0.5 * (1.0 - np.cos(2.0 * np.pi * 2.0 * timing.phase))
        elif action == "closed":
            amount = np.minimum(weight * 1.6, 1.0)  # closed eyes are closed, however shy the signer
        moving.append((amount, table[action] - _FACE))
    if sign.eyes != "closed":  # a blink of about a fifth of a second in some clips
        when = (draw[3] * 0.25 + 0.5) * timing.seconds[-1]
        blink = np.exp(-(((timing.seconds - when) / 0.07) ** 2)) * (draw[4] > 0.3)
        moving.append((blink, _EYES["closed"] - _FACE))
    # (T, actions) @ (actions, 68 * 3): all actions in one product
    amounts = np.stack([amount for amount, _ in moving] + [np.ones_like(weight)], axis=1)
    shapes = np.stack([shape for _, shape in moving] + [base]).reshape(-1, 68 * 3)
    return (amounts @ shapes).reshape(-1, 68, 3)
