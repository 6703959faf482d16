"""How often the order of the hands is that of a whole-body estimate of the same videos."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gspmc_mm.datasets.wlasl.conversion import order_clip
from gspmc_mm.datasets.wlasl.hand_order import DEFAULT_COSTS, HAND_POINTS, LEFT, RIGHT, WRIST, HandOrderCosts
from gspmc_mm.datasets.wlasl.reading import WlaslData

BODY_FILE = "wlasl50_body_hands.npz"


@dataclass(frozen=True)
class SideAgreement:
    """How many labelled hands are on the side that a whole-body estimate gives them.

    Attributes:
        clips: clips that could be compared.
        hands: labelled hands of those clips whose true side is known.
        right: those labelled alike.
        right_by_x: those that the x rule labels alike (two hands: by the smaller x; one hand: by the
            middle of the signer).
    """

    clips: int
    hands: int
    right: int
    right_by_x: int


def side_agreement(
    data: WlaslData,
    body_source: str | os.PathLike[str],
    max_clips: int | None = None,
    costs: HandOrderCosts = DEFAULT_COSTS,
) -> SideAgreement:
    """Compare the order of the hands with the same videos in `wlasl50_body_hands`.

    There a whole-body model (which tells left from right by the arms) saw fewer frames of a part of
    the videos. A detection here is given the side of the hand there that lies on it: mean difference
    of the 21 points below 0.012 of the frame, and the other detection of the frame at least 2.5
    times as far. Detections claimed for both sides are dropped.

    Args:
        data: the landmarks.
        body_source: folder with `wlasl50_body_hands.npz`.
        max_clips: compare the first so many clips only.
        costs: the costs of the order.

    Raises:
        FileNotFoundError: the file is missing.
    """
    path = Path(body_source) / BODY_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    with np.load(path, allow_pickle=False) as archive:
        keypoint, offset = archive["keypoint"], archive["offset"]
        ids = archive["video_id"].tolist()
    index_of = {clip: i for i, clip in enumerate(data.clip_ids)}
    clips = hands_known = right = right_by_x = 0
    for j, clip in list(enumerate(ids))[:max_clips]:
        if clip not in index_of:
            continue
        index = index_of[clip]
        hands, counted, order = order_clip(data, index, costs)
        body = keypoint[offset[j] : offset[j + 1], 11:, :2].reshape(-1, 2, HAND_POINTS, 2)
        truth = _known_sides(hands[..., :2] / data.image_size(index), counted, body)
        x, two = hands[:, :, WRIST, 0], counted.all(axis=1)
        middle = (data.boxes[index, 0] + data.boxes[index, 2]) / 2
        # left of the other hand, or of the middle of the signer where there is no other
        by_x = (x < np.where(two[:, None], x[:, ::-1], middle)).astype(np.int64)
        before = hands_known
        for side in (LEFT, RIGHT):
            frames = np.flatnonzero(order[:, side] >= 0)
            slots = order[frames, side]
            true = truth[frames, slots]
            hands_known += int((true >= 0).sum())
            right += int((true == side).sum())
            right_by_x += int(((true == by_x[frames, slots]) & (true >= 0)).sum())
        clips += hands_known > before
    return SideAgreement(clips=clips, hands=hands_known, right=right, right_by_x=right_by_x)


def _known_sides(points: np.ndarray, seen: np.ndarray, body: np.ndarray) -> np.ndarray:
    """(T, 2) true side of each detection, -1 unknown; `body` is (T', left and right, 21, 2)."""
    sides = np.full(seen.shape, -1)
    claimed_twice = np.zeros(seen.shape, dtype=bool)
    for side in (LEFT, RIGHT):
        for hand in body[:, side][body[:, side].any(axis=(1, 2))]:
            distance = np.where(seen, np.abs(points - hand).mean(axis=(2, 3)), np.inf)
            frame, slot = np.unravel_index(distance.argmin(), distance.shape)
            nearest, other = distance[frame, slot], distance[frame, 1 - slot]
            if nearest < 0.012 and other > 2.5 * nearest:
                claimed_twice[frame, slot] |= sides[frame, slot] == 1 - side
                sides[frame, slot] = side
    sides[claimed_twice] = -1
    return sides
