"""Hand shapes of the synthetic signs: joint angles, a 21-point hand from them, and their words.

Everything here is SYNTHETIC: the shapes are ordinary positions of the fingers and belong to no
sign language.

A hand lives in its own frame: the wrist is the origin, ``u`` points along the straight fingers,
``v`` to the thumb side and ``w`` out of the palm; the unit is the length from the wrist to the tip
of the straight middle finger. Point order is that of COCO-WholeBody (wrist, thumb 1-4, index 1-4,
middle 1-4, ring 1-4, little 1-4).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

NUM_ANGLES = 20
"""Angles of a hand: 4 fingers x (knuckle, middle, end joint) flexion, 4 spreads, 4 of the thumb."""

HAND_BONES = tuple((4 * f + k + 1, 0 if k == 0 else 4 * f + k) for f in range(5) for k in range(4))
"""(child, parent) pairs of the 20 bones of one hand."""

# Knuckles of index, middle, ring and little finger in (u, v), and the three phalanges of each.
_KNUCKLES = np.array([[0.47, 0.12], [0.48, 0.03], [0.45, -0.06], [0.40, -0.14]])
_PHALANGES = np.array([[0.25, 0.14, 0.11], [0.27, 0.14, 0.11], [0.25, 0.13, 0.11], [0.19, 0.10, 0.09]])
_THUMB_BASE = np.array([0.12, 0.12, 0.03])
_THUMB_BONES = np.array([0.22, 0.17, 0.14])


@dataclass(frozen=True)
class Handshape:
    """One hand shape: its joint angles in degrees and the words for it.

    Attributes:
        flexion: for index, middle, ring, little finger: flexion of the three joints.
        spread: sideways angle of the four fingers (positive to the thumb side).
        thumb: direction of the first and of the last thumb bone as (azimuth from the finger
            direction to the thumb side, elevation out of the palm).
        phrases: three noun phrases without article that say the same.
        tip_joint: the point of the hand (0..20) that touches when the sign touches with the tips.
        tip_name: the words for that point.
    """

    flexion: tuple[tuple[float, float, float], ...]
    spread: tuple[float, float, float, float]
    thumb: tuple[float, float, float, float]
    phrases: tuple[str, str, str]
    tip_joint: int
    tip_name: str

    def angles(self) -> np.ndarray:
        """All angles in radians, (20,): flexion finger by finger, spread, thumb."""
        flat = [angle for finger in self.flexion for angle in finger]
        return np.deg2rad(np.array([*flat, *self.spread, *self.thumb], dtype=np.float64))


_OPEN, _SHUT = (2.0, 4.0, 3.0), (82.0, 95.0, 60.0)
_CLAW, _CURVE = (18.0, 62.0, 40.0), (38.0, 38.0, 24.0)
_HOOK, _BENT, _BUNCH = (12.0, 85.0, 55.0), (82.0, 6.0, 4.0), (52.0, 38.0, 20.0)
_TOGETHER, _FAN = (2.0, 0.0, -2.0, -5.0), (16.0, 4.0, -9.0, -22.0)
_THUMB_ALONG = (38.0, 18.0, 12.0, 14.0)
_THUMB_OUT = (64.0, 12.0, 62.0, 4.0)
_THUMB_UP = (70.0, 4.0, 92.0, 0.0)
_THUMB_ACROSS = (40.0, 46.0, -58.0, 38.0)
_THUMB_OPPOSED = (42.0, 52.0, 4.0, 48.0)

HANDSHAPES = MappingProxyType(
    {
        "relaxed": Handshape(
            ((22, 26, 14), (26, 30, 16), (30, 34, 18), (32, 36, 20)),
            (4, 0, -3, -7),
            (45, 22, 22, 20),
            ("relaxed hand", "loose hand", "hand at ease"),
            12,
            "the fingertips",
        ),
        "fist": Handshape(
            (_SHUT,) * 4,
            (0, 0, 0, 0),
            _THUMB_ACROSS,
            ("closed fist", "fist with all fingers folded in", "fully closed fist"),
            10,
            "the knuckles",
        ),
        "flat": Handshape(
            (_OPEN,) * 4,
            _TOGETHER,
            _THUMB_ALONG,
            (
                "flat hand with the fingers together",
                "flat hand, straight fingers side by side",
                "straight flat hand",
            ),
            12,
            "the fingertips",
        ),
        "spread": Handshape(
            (_OPEN,) * 4,
            _FAN,
            _THUMB_OUT,
            (
                "wide open hand with all fingers spread",
                "spread hand, the fingers fanned out",
                "five-finger hand, fully spread",
            ),
            12,
            "the fingertips",
        ),
        "index": Handshape(
            (_OPEN, _SHUT, _SHUT, _SHUT),
            (0, 0, 0, 0),
            _THUMB_ACROSS,
            (
                "single extended index finger",
                "pointing index finger with the others closed",
                "straight index finger alone",
            ),
            8,
            "the tip of the index finger",
        ),
        "little": Handshape(
            (_SHUT, _SHUT, _SHUT, _OPEN),
            (0, 0, 0, -8),
            _THUMB_ACROSS,
            (
                "single extended little finger",
                "little finger sticking out of a closed hand",
                "straight little finger alone",
            ),
            20,
            "the tip of the little finger",
        ),
        "two": Handshape(
            (_OPEN, _OPEN, _SHUT, _SHUT),
            (13, -11, 0, 0),
            _THUMB_ACROSS,
            (
                "V of index and middle finger",
                "V shape of the first two fingers",
                "two-finger V, the others closed",
            ),
            8,
            "the tips of the two fingers",
        ),
        "pair": Handshape(
            (_OPEN, _OPEN, _SHUT, _SHUT),
            (-1, 1, 0, 0),
            _THUMB_ACROSS,
            (
                "pair of extended fingers, index and middle side by side",
                "pair of straight fingers held together",
                "closed pair of index and middle finger",
            ),
            8,
            "the tips of the two fingers",
        ),
        "thumb": Handshape(
            (_SHUT,) * 4,
            (0, 0, 0, 0),
            _THUMB_UP,
            (
                "fist with the thumb extended",
                "closed hand with the thumb sticking out",
                "fist with a straight thumb",
            ),
            4,
            "the tip of the thumb",
        ),
        "ell": Handshape(
            (_OPEN, _SHUT, _SHUT, _SHUT),
            (3, 0, 0, 0),
            _THUMB_UP,
            (
                "L of thumb and index finger",
                "L shape of the straight thumb and index finger",
                "right-angled L made of index finger and thumb",
            ),
            8,
            "the tip of the index finger",
        ),
        "horns": Handshape(
            (_OPEN, _SHUT, _SHUT, _OPEN),
            (4, 0, 0, -10),
            _THUMB_ACROSS,
            (
                "horn shape of index and little finger",
                "pair of horns from index and little finger",
                "two-horn shape, index and little finger straight",
            ),
            8,
            "the tip of the index finger",
        ),
        "ring": Handshape(
            ((55, 52, 30), _OPEN, _OPEN, _OPEN),
            (4, 2, -8, -18),
            (46, 50, 2, 30),
            (
                "ring of thumb and index finger with the other fingers straight",
                "ring from thumb and index finger",
                "round ring of index finger and thumb, the rest straight",
            ),
            8,
            "the ring of thumb and index finger",
        ),
        "claw": Handshape(
            (_CLAW,) * 4,
            _FAN,
            (62, 30, 30, 34),
            (
                "claw with all fingers spread and bent",
                "claw of five bent fingers",
                "wide claw, every finger bent",
            ),
            12,
            "the fingertips",
        ),
        "curved": Handshape(
            (_CURVE,) * 4,
            _TOGETHER,
            _THUMB_OPPOSED,
            ("C shape, as if around a cup", "curved hand like the letter C", "cup-like C shape"),
            12,
            "the fingertips",
        ),
        "bunch": Handshape(
            (_BUNCH,) * 4,
            (-3, 0, 3, 7),
            (40, 46, 2, 30),
            (
                "bunch of all fingertips on the thumb",
                "closed bunch of fingertips",
                "tight bunch, fingertips meeting the thumb",
            ),
            12,
            "the bunched fingertips",
        ),
        "bent": Handshape(
            (_BENT,) * 4,
            _TOGETHER,
            _THUMB_ALONG,
            (
                "flat hand bent at the knuckles",
                "bent hand with straight fingers",
                "hand bent at a right angle in the knuckles",
            ),
            12,
            "the fingertips",
        ),
        "hook": Handshape(
            (_HOOK, _SHUT, _SHUT, _SHUT),
            (0, 0, 0, 0),
            _THUMB_ACROSS,
            ("hooked index finger", "hook of the bent index finger", "hook formed by the index finger alone"),
            6,
            "the hooked index finger",
        ),
    }
)
"""The shapes by name; 'relaxed' is that of a resting hand and belongs to no sign."""


def hand_points(angles: np.ndarray) -> np.ndarray:
    """The 21 points of a hand in its own frame (forward kinematics).

    Args:
        angles: (..., 20) radians, in the order of :meth:`Handshape.angles`.

    Returns:
        (..., 21, 3) points (u, v, w), wrist at the origin, unit = hand length. Bone lengths do not
        depend on the angles.
    """
    if angles.shape[-1] != NUM_ANGLES:
        raise ValueError(f"a hand has {NUM_ANGLES} angles, got an array of shape {angles.shape}")
    lead = angles.shape[:-1]
    bend = np.cumsum(angles[..., :12].reshape(*lead, 4, 3), axis=-1)
    side = angles[..., 12:16, None]
    reach = np.cos(bend) * _PHALANGES
    steps = np.stack([reach * np.cos(side), reach * np.sin(side), np.sin(bend) * _PHALANGES], axis=-1)
    points = np.zeros((*lead, 21, 3))
    fingers = points[..., 5:, :].reshape(*lead, 4, 4, 3)
    fingers[..., 0, :2] = _KNUCKLES
    fingers[..., 1:, :] = fingers[..., :1, :] + np.cumsum(steps, axis=-2)
    points[..., 5:, :] = fingers.reshape(*lead, 16, 3)
    thumb = angles[..., 16:]
    share = np.array([0.0, 0.5, 1.0])
    azimuth = thumb[..., :1] + (thumb[..., 2:3] - thumb[..., :1]) * share
    lift = thumb[..., 1:2] + (thumb[..., 3:4] - thumb[..., 1:2]) * share
    bones = np.stack([np.cos(lift) * np.cos(azimuth), np.cos(lift) * np.sin(azimuth), np.sin(lift)], axis=-1)
    points[..., 1, :] = _THUMB_BASE
    points[..., 2:5, :] = _THUMB_BASE + np.cumsum(bones * _THUMB_BONES[:, None], axis=-2)
    return points
