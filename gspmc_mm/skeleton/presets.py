"""The preset layouts, as data: the only place where key points have numbers.

``wholebody133`` and ``ntu25`` are written out; the others are choices from ``wholebody133`` whose
tree follows from its tree, except ``sign87``, whose bones and edges are its own. The form is the one
that a user's layout file has (docs/layouts.md).

COCO-WholeBody (Jin et al. 2020): 0-16 body, 17-22 feet, 23-90 face in the order of iBUG-68, 91-111
left hand, 112-132 right hand. Left and right are the signer's own. The choices follow Table 6 of the
GSP-MC paper, which prints the sizes and not the indices: SAM-SLR's 27, MASA's 49, CoSign's 76.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

FACE = 23  # first face point in wholebody133; FACE + k is point k of iBUG-68
LEFT_HAND = range(91, 112)
RIGHT_HAND = range(112, 133)

# Where the points of a hand lie from its root: the root, then base (or tip) of each finger. The
# choice of SAM-SLR: thumb tip; base and tip of the other four.
HAND_TIPS_AND_BASES = (0, 4, 5, 8, 9, 12, 13, 16, 17, 20)

Edge = tuple[int, int]


def _finger_bones(root: int) -> list[Edge]:
    """Bones of the 20 finger points of a hand whose root has this number."""
    return [
        (root + 4 * finger + knuckle, root + 4 * finger + knuckle - 1 if knuckle > 1 else root)
        for finger in range(5)
        for knuckle in range(1, 5)
    ]


def _face(*edges: Edge) -> list[Edge]:
    """Edges between iBUG-68 points, in the numbering of wholebody133."""
    return [(FACE + start, FACE + end) for start, end in edges]


def _chain(*points: int) -> list[Edge]:
    """Bones along a contour: each point hangs on the next."""
    return list(pairwise(points))


# fmt: off
_BODY_NAMES = [
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow",
    "left_wrist", "right_wrist", "left_hip", "right_hip",
    "left_knee", "right_knee", "left_ankle", "right_ankle",
    "left_big_toe", "left_small_toe", "left_heel",
    "right_big_toe", "right_small_toe", "right_heel",
]
# fmt: on
_HAND_NAMES = ["hand_root"] + [
    f"{finger}{knuckle}"
    for finger in ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
    for knuckle in range(1, 5)
]

_BODY_PAIRS = [(left, left + 1) for left in range(1, 16, 2)] + [(17, 20), (18, 21), (19, 22)]
_FACE_PAIRS = _face(
    *((k, 16 - k) for k in range(8)),  # jaw
    *((17 + k, 26 - k) for k in range(5)),  # brows
    *((31, 35), (32, 34)),  # nostrils
    *((36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)),  # eyes
    *((48, 54), (49, 53), (50, 52), (59, 55), (58, 56)),  # outer lip
    *((60, 64), (61, 63), (67, 65)),  # inner lip
)
_HAND_PAIRS = list(zip(LEFT_HAND, RIGHT_HAND, strict=True))

_BODY_BONES = [
    *((0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (5, 0), (6, 0), (7, 5), (8, 6), (9, 7), (10, 8)),
    *((11, 5), (12, 6), (13, 11), (14, 12)),
]
_LEG_BONES = [(15, 13), (16, 14), (17, 15), (18, 15), (19, 15), (20, 16), (21, 16), (22, 16)]
# The face hangs on the tip of the nose (iBUG 30), that on the nose of the body. Contours run
# outward: the jaw from the chin, the brows and eyes from the bridge of the nose, the lips from their
# middle, so that the bone between the lips is the opening of the mouth.
_FACE_BONES = [(FACE + 30, 0)] + _face(
    *_chain(27, 28, 29, 30),  # bridge of the nose
    *_chain(31, 32, 33, 30),  # nostrils
    *_chain(35, 34, 33),
    *_chain(0, 1, 2, 3, 4, 5, 6, 7, 8, 30),  # jaw
    *_chain(16, 15, 14, 13, 12, 11, 10, 9, 8),
    *_chain(17, 18, 19, 20, 21, 27),  # brows
    *_chain(26, 25, 24, 23, 22, 27),
    *_chain(36, 37, 38, 39, 27),  # eyes: the upper lid out to the corner, then the lower lid
    *_chain(41, 40, 39),
    *_chain(45, 44, 43, 42, 27),
    *_chain(46, 47, 42),
    *_chain(48, 49, 50, 51, 33),  # lips
    *_chain(54, 53, 52, 51),
    *_chain(60, 61, 62, 51),
    *_chain(64, 63, 62),
    *_chain(67, 66, 62),
    *_chain(65, 66),
    *_chain(59, 58, 57, 66),
    *_chain(55, 56, 57),
)
# The edges that close the contours.
_FACE_EDGES = [(FACE, 4), (FACE + 16, 3)] + _face(
    *((36, 41), (45, 46)),  # outer corners of the eyes
    *((48, 59), (54, 55), (60, 67), (64, 65), (60, 48), (64, 54)),  # corners of the mouth
)

_WHOLEBODY133: dict[str, Any] = {
    "name": "wholebody133",
    "joint_names": [
        *_BODY_NAMES,
        *(f"face-{k}" for k in range(68)),
        *(f"left_{joint}" for joint in _HAND_NAMES),
        *(f"right_{joint}" for joint in _HAND_NAMES),
    ],
    "parts": {
        "body": range(23),
        "left_hand": LEFT_HAND,
        "right_hand": RIGHT_HAND,
        "mouth": range(FACE + 48, FACE + 68),
        "face": range(FACE, FACE + 48),
    },
    "bones": [
        *_BODY_BONES,
        *_LEG_BONES,
        *_FACE_BONES,
        (LEFT_HAND[0], 9),
        *_finger_bones(LEFT_HAND[0]),
        (RIGHT_HAND[0], 10),
        *_finger_bones(RIGHT_HAND[0]),
    ],
    "extra_edges": _FACE_EDGES,
    "swap": _BODY_PAIRS + _FACE_PAIRS + _HAND_PAIRS,
    "landmarks": {
        "left_shoulder": 5,
        "right_shoulder": 6,
        "left_wrist": 9,
        "right_wrist": 10,
        "left_hand_root": LEFT_HAND[0],
        "right_hand_root": RIGHT_HAND[0],
        "nose": 0,
    },
}

# The 87 points of GSP-MC: 15 body, 21 + 21 hands, 10 mouth, 20 face (the last: the tip of the nose).
_SIGN87: dict[str, Any] = {
    "name": "sign87",
    "subset_of": "wholebody133",
    "joints": [
        *range(15),
        *LEFT_HAND,
        *RIGHT_HAND,
        *range(71, 90, 2),
        *range(23, 40, 2),  # jaw
        *(40, 42, 44, 45, 47, 49),  # brows
        *(59, 62, 65, 68),  # corners of the eyes
        53,  # tip of the nose
    ],
    "bones": [
        *_BODY_BONES,
        (15, 9),
        *_finger_bones(15),
        (36, 10),
        *_finger_bones(36),
        *((point, 86) for point in range(57, 86)),
        (86, 0),
    ],
    "extra_edges": [
        *((67, 68), (68, 69), (69, 70), (70, 71), (75, 74), (74, 73), (73, 72), (72, 71)),  # jaw
        *((76, 77), (77, 78), (81, 80), (80, 79)),  # brows
        *((82, 83), (85, 84)),  # eyes
        *((58, 57), (59, 60), (61, 60), (62, 57), (63, 57), (65, 60)),  # outer lip, corners
        *((64, 63), (64, 65), (66, 63), (66, 65)),  # inner lip
    ],
}

# Kinect v2 as in NTU RGB+D (Shahroudy et al. 2016), from 0; the data set's own numbers are one more.
# fmt: off
_NTU25_NAMES = [
    "spine_base", "spine_middle", "neck", "head",
    "left_shoulder", "left_elbow", "left_wrist", "left_hand",
    "right_shoulder", "right_elbow", "right_wrist", "right_hand",
    "left_hip", "left_knee", "left_ankle", "left_foot",
    "right_hip", "right_knee", "right_ankle", "right_foot",
    "spine_shoulder",
    "left_hand_tip", "left_thumb", "right_hand_tip", "right_thumb",
]
# fmt: on
_NTU25: dict[str, Any] = {
    "name": "ntu25",
    "joint_names": _NTU25_NAMES,
    "parts": {
        "head": [2, 3],
        "torso": [0, 1, 20],
        "left_arm": [4, 5, 6, 7, 21, 22],
        "right_arm": [8, 9, 10, 11, 23, 24],
        "left_leg": [12, 13, 14, 15],
        "right_leg": [16, 17, 18, 19],
    },
    "bones": [
        *((20, 20), (1, 20), (0, 1), (2, 20), (3, 2)),
        *((4, 20), (5, 4), (6, 5), (7, 6), (21, 7), (22, 7)),
        *((8, 20), (9, 8), (10, 9), (11, 10), (23, 11), (24, 11)),
        *((12, 0), (13, 12), (14, 13), (15, 14), (16, 0), (17, 16), (18, 17), (19, 18)),
    ],
    "swap": [
        *((4, 8), (5, 9), (6, 10), (7, 11), (21, 23), (22, 24)),
        *((12, 16), (13, 17), (14, 18), (15, 19)),
    ],
    "landmarks": {"left_shoulder": 4, "right_shoulder": 8, "left_wrist": 6, "right_wrist": 10},
    "colors": {
        "head": "#009E73",
        "torso": "#56606B",
        "left_arm": "#E69F00",
        "right_arm": "#0072B2",
        "left_leg": "#D55E00",
        "right_leg": "#56B4E9",
    },
}

_HANDS20_JOINTS = [hand[k] for hand in (LEFT_HAND, RIGHT_HAND) for k in HAND_TIPS_AND_BASES]


def _choice(name: str, joints: list[int]) -> dict[str, Any]:
    return {"name": name, "subset_of": "wholebody133", "joints": joints}


#: Preset name to its description, in the form of a layout file.
PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        spec["name"]: spec
        for spec in (
            _SIGN87,
            _WHOLEBODY133,
            _choice("samslr27", [0, *range(5, 11), *_HANDS20_JOINTS]),
            _choice("masa49", [0, *range(5, 11), *LEFT_HAND, *RIGHT_HAND]),
            _choice(
                "cosign76",
                [0, *range(3, 11), *LEFT_HAND, *RIGHT_HAND, *range(83, 91), *range(23, 40)],
            ),
            _choice("hands42", [*LEFT_HAND, *RIGHT_HAND]),
            _choice("hands20", _HANDS20_JOINTS),
            # All five parts in few points, for a CPU: the upper body, tips and bases of the
            # fingers, corners and middles of the lips, chin, brows and the tip of the nose.
            _choice(
                "sign39",
                [
                    *(0, *range(5, 11)),
                    *_HANDS20_JOINTS,
                    *(71, 74, 77, 80),
                    *(31, 40, 42, 44, 45, 47, 49, 53),
                ],
            ),
            _choice("coco17", list(range(17))),
            _NTU25,
        )
    }
)
