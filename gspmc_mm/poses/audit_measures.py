"""What an audit measures of each clip: how much was seen, how it moves, and a signature to find copies by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gspmc_mm.poses.store import PoseStore
from gspmc_mm.poses.writer import clip_digest
from gspmc_mm.skeleton import Layout

HANDS = ("left_hand", "right_hand")
#: A hand is seen in a frame where at least half of its points have this confidence.
SEEN_SCORE = 0.3
#: A part that moves faster than this many shoulder widths a second has been lost and found elsewhere. Hands of fast
#: signers reach about 10.
JUMP_SPEED = 25.0
UNKNOWN_FPS = 25.0
SIGNATURE_PARTS = 8
_FINGERS = (4, 8, 12, 20)  # tips of thumb, index, middle and little finger of a hand of 21 points


@dataclass(frozen=True)
class Measures:
    """Measures of N clips, one row each.

    Attributes:
        seen: (N,) share of the points that are not missing.
        confidence: (N,) mean confidence of those; 0 where there are none.
        hands: (N, 2) share of the frames in which the left and the right hand is seen; NaN without such a part.
        jumps: (N,) steps from a frame to the next in which body or a hand moves faster than `JUMP_SPEED`.
        still: (N,) longest run of steps without any change of any point, though some are seen.
        outside: (N,) share of the seen points that lie outside the picture.
        path: (N, 2) way of the left and the right wrist, in shoulder widths.
        digests: (N, 16) uint8 of the points as they lie in the file; those of an intact store are `store.digests`.
        signatures: (N, D) float32, place- and size-free; `signature_distance` compares them.
    """

    seen: np.ndarray
    confidence: np.ndarray
    hands: np.ndarray
    jumps: np.ndarray
    still: np.ndarray
    outside: np.ndarray
    path: np.ndarray
    digests: np.ndarray
    signatures: np.ndarray


def measure_store(store: PoseStore, on_clip: Callable[[], object] | None = None) -> Measures:
    """Measure every clip of a store; reads each once."""
    body = _Body(store.layout)
    count = len(store)
    measures = Measures(
        seen=np.zeros(count),
        confidence=np.zeros(count),
        hands=np.full((count, 2), np.nan),
        jumps=np.zeros(count, dtype=np.int64),
        still=np.zeros(count, dtype=np.int64),
        outside=np.zeros(count),
        path=np.zeros((count, 2)),
        digests=np.zeros_like(store.digests),
        signatures=np.zeros((count, SIGNATURE_PARTS * len(body.marks) * 2), dtype=np.float32),
    )
    for index in range(count):
        stored = store.stored(index)
        clip = store.clip(index)
        seen = clip.score > 0
        measures.seen[index] = seen.mean()
        measures.confidence[index] = clip.score[seen].mean() if seen.any() else 0
        measures.hands[index] = body.hand_shares(clip.score)
        measures.still[index] = longest_still(*stored)
        measures.outside[index] = _outside(clip.keypoint, seen, clip.image_size)
        scale = body.scale(clip.keypoint, seen)
        measures.jumps[index] = body.jumps(clip.keypoint, seen, scale, clip.fps or UNKNOWN_FPS)
        measures.path[index] = body.paths(clip.keypoint, seen, scale)
        measures.digests[index] = np.frombuffer(clip_digest(*stored), np.uint8)
        measures.signatures[index] = body.signature(clip.keypoint, seen, scale)
        if on_clip is not None:
            on_clip()
    return measures


def longest_still(keypoint: np.ndarray, score: np.ndarray) -> int:
    """Longest run of frames that equal the frame before in every stored number, and in which anything is seen."""
    same = (keypoint[1:] == keypoint[:-1]).all(axis=(1, 2)) & (score[1:] == score[:-1]).all(axis=1)
    same &= score[1:].any(axis=1)
    changes = np.flatnonzero(np.concatenate([[True], ~same, [True]]))
    return int(np.diff(changes).max() - 1)


def signature_distance(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Root mean square difference of signatures (..., D), about the mean distance of points in shoulder widths."""
    return np.sqrt(2 * np.mean((first - second) ** 2, axis=-1))


def _outside(keypoint: np.ndarray, seen: np.ndarray, image_size: tuple[int, int]) -> float:
    if not seen.any():
        return 0.0
    points = keypoint[seen]
    return float(((points < 0) | (points > np.array(image_size))).any(axis=1).mean())


class _Body:
    """The joints of a layout that are measured."""

    def __init__(self, layout: Layout) -> None:
        self.hands = [list(layout.parts[part]) if part in layout.parts else [] for part in HANDS]
        in_hands = {joint for hand in self.hands for joint in hand}
        self.body = [joint for part in layout.parts if part == "body" for joint in layout.parts[part]]
        self.body = self.body or [joint for joint in range(layout.num_joints) if joint not in in_hands]
        marks = layout.landmarks
        self.shoulders = [marks[name] for name in ("left_shoulder", "right_shoulder") if name in marks]
        self.wrists = [
            marks.get(f"{side}_wrist", marks.get(f"{side}_hand_root", hand[0] if hand else None))
            for side, hand in zip(("left", "right"), self.hands, strict=True)
        ]
        tips = [hand[k] for hand in self.hands for k in (_FINGERS if len(hand) == 21 else range(0, len(hand), 3))]
        chosen = sorted({*marks.values(), *tips})
        self.marks = chosen or list(range(layout.num_joints))

    def hand_shares(self, score: np.ndarray) -> list[float]:
        return [float(((score[:, h] >= SEEN_SCORE).mean(axis=1) >= 0.5).mean()) if h else np.nan for h in self.hands]

    def scale(self, keypoint: np.ndarray, seen: np.ndarray) -> float:
        """Shoulder width in pixels; without shoulders three hand lengths; without hands the height of what is seen."""
        if len(self.shoulders) == 2:
            both = seen[:, self.shoulders].all(axis=1)
            if both.any():
                across = keypoint[both][:, self.shoulders]
                return max(float(np.median(np.linalg.norm(across[:, 0] - across[:, 1], axis=-1))), 1.0)
        spans = []
        for hand in self.hands:
            frames = seen[:, hand].all(axis=1) if hand else np.zeros(len(seen), dtype=bool)
            if frames.any():
                points = keypoint[frames][:, hand]
                spans.append(float(np.median(np.linalg.norm(np.ptp(points, axis=1), axis=-1))))
        if spans:
            return max(2 * float(np.mean(spans)), 1.0)
        return max(float(np.ptp(keypoint[seen][:, 1])), 1.0) if seen.any() else 1.0

    def jumps(self, keypoint: np.ndarray, seen: np.ndarray, scale: float, fps: float) -> int:
        if len(keypoint) < 2:
            return 0
        limit = JUMP_SPEED / fps * scale
        jumped = np.zeros(len(keypoint) - 1, dtype=bool)
        for joints in (self.body, *self.hands):
            if joints:
                both = seen[1:, joints] & seen[:-1, joints]
                steps = np.linalg.norm(np.diff(keypoint[:, joints], axis=0), axis=-1)
                enough = both.sum(axis=1) >= min(3, len(joints))
                # The median of the points seen in both frames, without a loop: the others are put last.
                steps = np.sort(np.where(both, steps, np.inf), axis=1)
                middle = np.maximum(both.sum(axis=1) - 1, 0) // 2
                jumped |= enough & (steps[np.arange(len(steps)), middle] > limit)
        return int(jumped.sum())

    def paths(self, keypoint: np.ndarray, seen: np.ndarray, scale: float) -> list[float]:
        ways = []
        for wrist in self.wrists:
            if wrist is None:
                ways.append(0.0)
                continue
            frames = np.flatnonzero(seen[:, wrist])
            steps = np.linalg.norm(np.diff(keypoint[frames, wrist], axis=0), axis=-1)
            ways.append(float(steps.sum() / scale))
        return ways

    def signature(self, keypoint: np.ndarray, seen: np.ndarray, scale: float) -> np.ndarray:
        if not seen.any():
            return np.zeros(SIGNATURE_PARTS * len(self.marks) * 2, dtype=np.float32)
        points, there = keypoint[:, self.marks], seen[:, self.marks]
        middle = np.median(points[there], axis=0) if there.any() else 0
        points = np.where(there[..., None], (points - middle) / scale, 0)
        # Means over parts of the clip, and not single frames, so that a frame more or less changes little; a frame on
        # the border of two parts counts for both by its share.
        values = np.concatenate([points, there[..., None]], axis=2)
        sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
        ends = np.linspace(0, len(points), SIGNATURE_PARTS + 1)
        whole = np.minimum(ends.astype(int), len(points) - 1)
        at_ends = sums[whole] + (ends - whole)[:, None, None] * values[whole]
        parts = np.diff(at_ends, axis=0)
        return (parts[..., :2] / np.maximum(parts[..., 2:], 1e-3)).reshape(-1).astype(np.float32)
