"""A resting pose, as data: where the points of a signer lie who stands with both hands raised.

The signer faces the camera and shows both palms, fingers up. Schematic, with about the proportions of
an adult and a slightly large head. Only the left half and the middle are written down; the right
half is their mirror image.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from .layout import Layout, LayoutError
from .presets import FACE, LEFT_HAND
from .reading import get_layout

Point = tuple[float, float]

_BODY: dict[int, Point] = {
    0: (0.0, -0.53),  # nose
    1: (0.104, -0.663),  # eye
    3: (0.26, -0.61),  # ear
    5: (0.5, 0.0),  # shoulder
    7: (0.7, 0.72),  # elbow
    9: (0.845, 0.15),  # wrist
    11: (0.29, 1.35),  # hip
    13: (0.31, 2.4),  # knee
    15: (0.32, 3.4),  # ankle
    17: (0.39, 3.62),  # big toe
    18: (0.47, 3.58),  # small toe
    19: (0.31, 3.54),  # heel
}
# fmt: off
# First iBUG-68 number of a contour to its points from there on.
_FACE: dict[int, tuple[Point, ...]] = {
    # jaw, from the chin
    8: (
        (0.0, -0.247), (0.042, -0.252), (0.084, -0.268), (0.125, -0.298), (0.168, -0.343),
        (0.202, -0.405), (0.223, -0.48), (0.234, -0.56), (0.237, -0.64),
    ),
    # brow
    22: (
        (0.052, -0.752), (0.09, -0.777), (0.13, -0.783), (0.169, -0.77), (0.202, -0.737),
    ),
    # bridge to tip of the nose
    27: (
        (0.0, -0.668), (0.0, -0.619), (0.0, -0.57), (0.0, -0.521),
    ),
    # nostril
    33: (
        (0.0, -0.483), (0.026, -0.489), (0.05, -0.501),
    ),
    # eye
    42: (
        (0.06, -0.66), (0.086, -0.683), (0.121, -0.683), (0.149, -0.66), (0.121, -0.643),
        (0.086, -0.643),
    ),
    # outer lip
    51: (
        (0.0, -0.424), (0.026, -0.431), (0.064, -0.418), (0.099, -0.39), (0.067, -0.355),
        (0.031, -0.338), (0.0, -0.334),
    ),
    # inner lip
    62: (
        (0.0, -0.402), (0.031, -0.404), (0.08, -0.39), (0.031, -0.374), (0.0, -0.371),
    ),
}
# The left hand from its root: thumb, then index, middle, ring, little finger, base to tip.
_HAND: tuple[Point, ...] = (
    (0.85, 0.1),
    *((0.775, 0.045), (0.708, -0.025), (0.66, -0.09), (0.622, -0.15)),
    *((0.778, -0.135), (0.756, -0.24), (0.742, -0.31), (0.73, -0.37)),
    *((0.845, -0.155), (0.845, -0.275), (0.845, -0.353), (0.845, -0.42)),
    *((0.908, -0.138), (0.924, -0.248), (0.935, -0.322), (0.944, -0.385)),
    *((0.962, -0.095), (0.998, -0.175), (1.021, -0.23), (1.041, -0.28)),
)
_NTU25: dict[int, tuple[Point, ...]] = {
    # base and middle of the spine, neck, head
    0: (
        (0.0, 1.35), (0.0, 0.7), (0.0, -0.16), (0.0, -0.52),
    ),
    # arm: shoulder, elbow, wrist, hand
    4: (
        (0.5, 0.0), (0.7, 0.72), (0.845, 0.15), (0.85, -0.1),
    ),
    # leg: hip, knee, ankle, foot
    12: (
        (0.23, 1.4), (0.31, 2.4), (0.32, 3.4), (0.42, 3.6),
    ),
    # spine between the shoulders
    20: (
        (0.0, 0.06),
    ),
    # tip of the hand, thumb
    21: (
        (0.85, -0.4), (0.66, -0.1),
    ),
}
# fmt: on


def _numbered(runs: Mapping[int, tuple[Point, ...]]) -> dict[int, Point]:
    return {first + k: point for first, points in runs.items() for k, point in enumerate(points)}


_LEFT_AND_MIDDLE: Mapping[str, Mapping[int, Point]] = MappingProxyType(
    {
        "wholebody133": {
            **_BODY,
            **{FACE + k: point for k, point in _numbered(_FACE).items()},
            **dict(zip(LEFT_HAND, _HAND, strict=True)),
        },
        "ntu25": _numbered(_NTU25),
    }
)


def resting_pose(layout: Layout) -> np.ndarray:
    """Where the joints of a layout lie in the resting pose.

    Returns:
        (V, 2) float64: x to the right in the image, y down, in shoulder widths from the middle of
        the shoulders. The signer faces the camera: the signer's right side has x < 0.

    Raises:
        LayoutError: If the joints are neither points of ``wholebody133`` nor of ``ntu25``.
    """
    full = layout.name if layout.source is None else layout.source
    if full not in _LEFT_AND_MIDDLE:
        raise LayoutError(
            f"layout {layout.name!r}: no resting pose is known for points of {full!r}, only for "
            f"{', '.join(_LEFT_AND_MIDDLE)}; give the points yourself"
        )
    source = get_layout(full)
    pose = np.full((source.num_joints, 2), np.nan)
    for joint, (x, y) in _LEFT_AND_MIDDLE[full].items():
        pose[source.swap[joint]] = (-x, y)
        pose[joint] = (x, y)
    return layout.select(pose)
