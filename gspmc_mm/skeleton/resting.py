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
# Numbered as in iBUG-68.
_FACE: dict[int, Point] = {
    **{8: (0.0, -0.247), 9: (0.042, -0.252), 10: (0.084, -0.268), 11: (0.125, -0.298)},  # jaw
    **{12: (0.168, -0.343), 13: (0.202, -0.405), 14: (0.223, -0.48), 15: (0.234, -0.56)},
    16: (0.237, -0.64),
    **{22: (0.052, -0.752), 23: (0.09, -0.777), 24: (0.13, -0.783)},  # brow
    **{25: (0.169, -0.77), 26: (0.202, -0.737)},
    **{27: (0.0, -0.668), 28: (0.0, -0.619), 29: (0.0, -0.57), 30: (0.0, -0.521)},  # nose
    **{33: (0.0, -0.483), 34: (0.026, -0.489), 35: (0.05, -0.501)},
    **{42: (0.06, -0.66), 43: (0.086, -0.683), 44: (0.121, -0.683), 45: (0.149, -0.66)},  # eye
    **{46: (0.121, -0.643), 47: (0.086, -0.643)},
    **{51: (0.0, -0.424), 52: (0.026, -0.431), 53: (0.064, -0.418), 54: (0.099, -0.39)},  # lips
    **{55: (0.067, -0.355), 56: (0.031, -0.338), 57: (0.0, -0.334)},
    **{62: (0.0, -0.402), 63: (0.031, -0.404), 64: (0.08, -0.39)},
    **{65: (0.031, -0.374), 66: (0.0, -0.371)},
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
_NTU25: dict[int, Point] = {
    0: (0.0, 1.35),  # spine, base
    1: (0.0, 0.7),  # spine, middle
    2: (0.0, -0.16),  # neck
    3: (0.0, -0.52),  # head
    20: (0.0, 0.06),  # spine, between the shoulders
    **{4: (0.5, 0.0), 5: (0.7, 0.72), 6: (0.845, 0.15), 7: (0.85, -0.1)},  # arm
    **{21: (0.85, -0.4), 22: (0.66, -0.1)},  # tip of the hand, thumb
    **{12: (0.23, 1.4), 13: (0.31, 2.4), 14: (0.32, 3.4), 15: (0.42, 3.6)},  # leg
}

_LEFT_AND_MIDDLE: Mapping[str, Mapping[int, Point]] = MappingProxyType(
    {
        "wholebody133": {
            **_BODY,
            **{FACE + k: point for k, point in _FACE.items()},
            **dict(zip(LEFT_HAND, _HAND, strict=True)),
        },
        "ntu25": _NTU25,
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
