"""From the landmark file to a pose store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from gspmc_mm.datasets.wlasl.hand_order import (
    DEFAULT_COSTS,
    LEFT,
    RIGHT,
    WRIST,
    HandOrderCosts,
    merge_copies,
    order_hands,
    right_hand_logit,
)
from gspmc_mm.datasets.wlasl.reading import WlaslData, read_wlasl
from gspmc_mm.datasets.wlasl.splitting import split_clips
from gspmc_mm.poses import PoseClip, PoseStoreWriter, StoreHeader
from gspmc_mm.skeleton import get_layout

NOTE = (
    "Hand landmarks of the downloadable half of WLASL-100 (Li et al. 2020). Licence: C-UDA, academic "
    "and computational use only. Hands ordered left/right by gspmc_mm.datasets.wlasl; body points 9 "
    "and 10 are copies of the wrists of the hands; no other body point and no face. A point has the "
    "score 1 where its hand was detected and 0 elsewhere."
)


@dataclass(frozen=True)
class WlaslReport:
    """What a conversion did.

    Attributes:
        clips, frames: how many were written.
        left_out: clips in no split (copies of others), which are not written.
        no_hand, one_hand, two_hands: frames by the number of hands, copies of one hand merged.
        merged: frames whose two detections were one hand.
        side_agreement: share of the frames with two hands whose right hand has the smaller x.
        switches: pairs of neighbouring frames, both with two hands, where labelling the second the
            other way round would have moved the hands less; among `pairs` of them.
        x_rule_switches: the same for the labelling by the smaller x, frame by frame.
        split_sizes: clips by split.
    """

    clips: int
    frames: int
    left_out: int
    no_hand: int
    one_hand: int
    two_hands: int
    merged: int
    side_agreement: float
    switches: int
    x_rule_switches: int
    pairs: int
    split_sizes: Mapping[str, int] = field(default_factory=dict)


def hands_to_wholebody(hands: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put ordered hands into the 133 points of COCO-WholeBody.

    Args:
        hands: (T, 2, 21, 3) pixels.
        order: (T, 2) slot of the left and of the right hand, -1 where not seen.

    Returns:
        keypoint (T, 133, 2) float32 and score (T, 133) float32, 1 for the points of seen hands and
        the two body wrists, 0 (and coordinates 0) elsewhere.
    """
    layout = get_layout("wholebody133")
    keypoint = np.zeros((len(hands), layout.num_joints, 2), dtype=np.float32)
    score = np.zeros(keypoint.shape[:2], dtype=np.float32)
    for side, name in ((LEFT, "left"), (RIGHT, "right")):
        frames = np.flatnonzero(order[:, side] >= 0)
        hand = hands[frames, order[frames, side], :, :2]
        joints = np.asarray(layout.part_indices(f"{name}_hand"))
        keypoint[frames[:, None], joints] = hand
        score[frames[:, None], joints] = 1.0
        wrist = layout.landmarks[f"{name}_wrist"]
        keypoint[frames, wrist] = hand[:, WRIST]
        score[frames, wrist] = 1.0
    return keypoint, score


def order_clip(
    data: WlaslData, index: int, costs: HandOrderCosts = DEFAULT_COSTS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hands of clip `index` in pixels, which count (copies merged), and their order.

    Returns:
        (T, 2, 21, 3) float64, (T, 2) bool, and (T, 2) int64 slot of the left and right hand or -1.
    """
    hands, seen = data.hands(index)
    counted = merge_copies(hands, seen, costs)
    x0, _, x1, _ = data.boxes[index]
    logit = right_hand_logit(hands, counted, (x0 + x1) / 2, x1 - x0, costs)
    return hands, counted, order_hands(hands, counted, logit, costs)


def convert_wlasl(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    command: str = "",
    val_share: float = 0.2,
    seed: int = 0,
    overwrite: bool = False,
) -> WlaslReport:
    """Turn the landmark file into a pose store (layout `wholebody133`).

    Args:
        source: folder with the landmark file and the splits.
        out: the store to write, `.arrow`.
        command: the command line, for the header.
        val_share: share of a fold's training clips in its validation part.
        seed: of the choice of the validation signers.
        overwrite: replace a store that exists.

    Raises:
        FileNotFoundError: a file is missing.
        WlaslError: the files contradict themselves.
        gspmc_mm.poses.PoseStoreError: the store exists, or a clip is not sound.
    """
    data = read_wlasl(source)
    splits = split_clips(data, val_share, seed)
    names_of: dict[str, list[str]] = {}
    for name, clips in splits.items():
        for clip in clips:
            names_of.setdefault(clip, []).append(name)
    header = StoreHeader(
        layout="wholebody133",
        num_joints=133,
        estimator={"name": "mediapipe hands", "version": "", "weights": ""},
        classes=list(data.classes),
        command=command,
        note=f"{NOTE} Validation signers of the folds: {val_share:g} of the clips, seed {seed}.",
    )
    count = _Count()
    with PoseStoreWriter(out, header, overwrite=overwrite) as writer:
        for i, clip_id in enumerate(data.clip_ids):
            if clip_id not in names_of:
                continue
            hands, counted, order = order_clip(data, i)
            count.add(hands, data.hands(i)[1], counted, order)
            keypoint, score = hands_to_wholebody(hands, order)
            writer.add(
                PoseClip(
                    clip_id=clip_id,
                    keypoint=keypoint,
                    score=score,
                    label=int(data.labels[i]),
                    signer=data.signers[i],
                    fps=data.fps(i),
                    image_size=data.image_size(i),
                    splits=tuple(names_of[clip_id]),
                )
            )
    return WlaslReport(
        clips=len(names_of),
        frames=count.frames,
        left_out=len(data.clip_ids) - len(names_of),
        no_hand=count.hands[0],
        one_hand=count.hands[1],
        two_hands=count.hands[2],
        merged=count.merged,
        side_agreement=count.agree / max(count.hands[2], 1),
        switches=count.switches,
        x_rule_switches=count.x_rule_switches,
        pairs=count.pairs,
        split_sizes={name: len(clips) for name, clips in splits.items()},
    )


class _Count:
    """Adds up the figures of the report, clip by clip."""

    def __init__(self) -> None:
        self.frames = self.merged = self.agree = 0
        self.switches = self.x_rule_switches = self.pairs = 0
        self.hands = [0, 0, 0]

    def add(self, hands: np.ndarray, seen: np.ndarray, counted: np.ndarray, order: np.ndarray) -> None:
        self.frames += len(hands)
        self.merged += int((seen.sum(axis=1) - counted.sum(axis=1)).sum())
        for n in range(3):
            self.hands[n] += int((counted.sum(axis=1) == n).sum())
        two = np.flatnonzero(counted.all(axis=1))
        wrist_x = hands[two, :, WRIST, 0]
        x_right = np.argmin(wrist_x, axis=1)
        self.agree += int((order[two, RIGHT] == x_right).sum())
        pairs = np.flatnonzero(np.diff(two) == 1)
        self.pairs += len(pairs)
        x_order = np.stack([1 - x_right, x_right], axis=1)
        self.switches += _switches(hands[two], order[two], pairs)
        self.x_rule_switches += _switches(hands[two], x_order, pairs)


def _switches(hands: np.ndarray, order: np.ndarray, pairs: np.ndarray) -> int:
    ordered = np.take_along_axis(hands[..., WRIST, :2], order[..., None], axis=1)
    before, after = ordered[pairs], ordered[pairs + 1]
    kept = np.linalg.norm(after - before, axis=-1).sum(axis=-1)
    swapped = np.linalg.norm(after[:, ::-1] - before, axis=-1).sum(axis=-1)
    return int((swapped < kept).sum())
