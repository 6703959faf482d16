"""The synthetic signers: body, habits and the camera that each was recorded with."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

IDLE_POSTURES = {
    "sides": ((-0.64, 1.36, 0.10), (1.0, 0.0, 0.2), (0.05, 1.0, 0.15)),
    "belly": ((-0.26, 1.02, 0.42), (0.0, 0.3, -1.0), (1.0, 0.25, 0.2)),
    "lap": ((-0.40, 1.22, 0.40), (0.3, 0.4, -1.0), (0.6, 0.8, 0.3)),
}
"""Wrist, direction of the palm and of the fingers of a resting right hand, in the body frame of `motion`."""


@dataclass(frozen=True)
class Camera:
    """Where the camera stands and what it records.

    Attributes:
        image_size: (width, height) in pixels.
        fps: 25 or 30.
        scale: shoulder width in parts of the image height.
        centre: place of the point between the shoulders, in parts of width and height.
        yaw, pitch, roll: in radians: signer turned to the left, camera from above, image turned.
    """

    image_size: tuple[int, int] = (640, 480)
    fps: float = 25.0
    scale: float = 0.33
    centre: tuple[float, float] = (0.5, 0.44)
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0


@dataclass(frozen=True, eq=False)
class SignerProfile:
    """Body and habits of one synthetic signer; the defaults are an average signer without habits.

    Lengths are in shoulder widths, angles in radians.

    Attributes:
        left_handed: performs the mirror image of every sign.
        upper_arm, forearm, hand: lengths (hand: wrist to tip of the middle finger).
        head, torso, hips: factors on head size, torso length, hip width.
        speed, amplitude: factors on tempo and on the size of movements.
        place_shift: (3,) habitual displacement of the place of articulation.
        turn: (3,) habitual rotation of the hands (rotation vector).
        laxness: 0 = shapes as in the lexicon, 1 = a relaxed hand.
        expression: factor on the actions of mouth, brows, eyes and head.
        idle: posture between signs: 'sides', 'belly' or 'lap'.
        face_shape: (68, 3) displacement of the points of the face.
        noise: factor on the jitter of the points.
        loss: mean number of bursts per clip in which a hand is lost.
        camera: the camera this signer was recorded with.
    """

    left_handed: bool = False
    upper_arm: float = 0.84
    forearm: float = 0.72
    hand: float = 0.50
    head: float = 1.0
    torso: float = 1.0
    hips: float = 1.0
    speed: float = 1.0
    amplitude: float = 1.0
    place_shift: np.ndarray = field(default_factory=lambda: np.zeros(3))
    turn: np.ndarray = field(default_factory=lambda: np.zeros(3))
    laxness: float = 0.0
    expression: float = 1.0
    idle: str = "sides"
    face_shape: np.ndarray = field(default_factory=lambda: np.zeros((68, 3)))
    noise: float = 1.0
    loss: float = 0.35
    camera: Camera = Camera()


def is_left_handed(index: int) -> bool:
    """Every eighth signer (12.5 %) is left-handed, the sixth being the first.

    A rule and not a draw: a small set of signers always has its share.
    """
    return index % 8 == 5


def draw_signer(seed: int, index: int) -> SignerProfile:
    """Signer ``index`` of the population ``seed``; depends on nothing else."""
    rng = np.random.default_rng([seed, 0x51673, index])
    hd = bool(rng.random() < 0.5)
    camera = Camera(
        image_size=(1280, 720) if hd else (640, 480),
        fps=float(rng.choice([25, 30])),
        scale=float(rng.uniform(0.27, 0.35)),
        centre=(float(rng.uniform(0.44, 0.56)), float(rng.uniform(0.42, 0.47))),
        yaw=float(rng.normal(0.0, 0.16)),
        pitch=float(rng.normal(0.05, 0.07)),
        roll=float(rng.normal(0.0, 0.03)),
    )
    return SignerProfile(
        left_handed=is_left_handed(index),
        upper_arm=float(rng.uniform(0.76, 0.90)),
        forearm=float(rng.uniform(0.66, 0.78)),
        hand=float(rng.uniform(0.44, 0.55)),
        head=float(rng.uniform(0.90, 1.10)),
        torso=float(rng.uniform(0.92, 1.08)),
        hips=float(rng.uniform(0.88, 1.12)),
        speed=float(np.exp(rng.normal(0.0, 0.20))),
        amplitude=float(np.exp(rng.normal(0.0, 0.25))),
        place_shift=rng.normal(0.0, (0.06, 0.06, 0.08)),
        turn=rng.normal(0.0, 0.20, 3),
        laxness=float(rng.uniform(0.0, 0.38)),
        expression=float(rng.uniform(0.45, 1.15)),
        idle=str(rng.choice(list(IDLE_POSTURES))),
        face_shape=rng.normal(0.0, 0.004, (68, 3)),
        noise=float(rng.uniform(0.7, 1.7)),
        loss=float(rng.uniform(0.1, 0.8)),
        camera=camera,
    )
