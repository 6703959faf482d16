"""The measure of a hand: how far the root of its middle finger is from the wrist."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gspmc_mm.skeleton import Layout

SIDES = ("left", "right")


@dataclass(frozen=True)
class Hand:
    """Where one hand lies in a layout.

    Attributes:
        side: 'left' or 'right'.
        root: Index of the hand's wrist point.
        middle: Index of the base of its middle finger.
        joints: Indices of all its joints, the root among them.
    """

    side: str
    root: int
    middle: int
    joints: tuple[int, ...]


def hands_of(layout: Layout) -> tuple[Hand, ...]:
    """The hands of a layout: parts `left_hand` / `right_hand` with a root and a middle finger.

    The base of the middle finger is the first joint of the part with "middle" in its name: along
    a finger the layouts count from the palm to the tip.
    """
    hands = []
    for side in SIDES:
        joints = tuple(int(joint) for joint in layout.parts.get(f"{side}_hand", ()))
        root = layout.landmarks.get(f"{side}_hand_root")
        middle = [joint for joint in joints if "middle" in layout.joint_names[joint]]
        if root is not None and middle:
            hands.append(Hand(side, int(root), middle[0], joints))
    return tuple(hands)


def hand_sizes(keypoint: np.ndarray, seen: np.ndarray, hand: Hand) -> np.ndarray:
    """Distances from root to middle base in the frames that show both.

    Args:
        keypoint: (M, T, V, C).
        seen: bool (M, T, V).
        hand: The hand to measure.

    Returns:
        (number of such frames of all persons,); zero lengths are left out, for a hand has a size.
    """
    both = seen[..., hand.root] & seen[..., hand.middle]
    offset = keypoint[..., hand.middle, :][both] - keypoint[..., hand.root, :][both]
    length = np.linalg.norm(offset.astype(np.float64), axis=-1)
    return length[length > 0]
