"""Which detected hand is the signer's right one: place and palm of a hand, and how hands move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HAND_POINTS = 21
LEFT, RIGHT = 0, 1
WRIST = 0
_INDEX_BASE, _MIDDLE_BASE, _PINKY_BASE = 5, 9, 17
_FINGER_BASES, _FINGER_TIPS = (5, 9, 13, 17), (8, 12, 16, 20)


@dataclass(frozen=True)
class HandOrderCosts:
    """What a labelling of the hands costs.

    A hand labelled right costs `evidence` * log(1 + exp(-z)), labelled left `evidence` *
    log(1 + exp(z)), with z = `palm` * curl + `place` * (middle - x) / box width + `bias`. The curl is
    cut at +-0.6 and the place at +-0.5. Neighbouring frames say much the same, hence an `evidence`
    below 1. Motion costs the mean distance of the 21 points to those of the same hand when it was
    last seen, in palm lengths, over the square root of the frames in between, at most `jump`.
    `same_hand`: two detections nearer than this (mean over the points, palm lengths) are one hand.
    """

    palm: float = 5.4
    place: float = 17.5
    bias: float = 1.1
    evidence: float = 0.5
    jump: float = 4.0
    same_hand: float = 0.2


DEFAULT_COSTS = HandOrderCosts()


def palm_curl(hands: np.ndarray) -> np.ndarray:
    """How far the fingers point to the side on which a right hand has its palm.

    With u, v from the wrist to the bases of index and little finger, u x v leaves a right hand at
    the palm (x right, y down, z away from the camera), a left hand at the back. Fingers bend towards
    the palm. The value is the mean of tip - base over the four fingers along that normal, in palm
    lengths: positive for a right hand, negative for a left one, near zero for stiff flat hands. It
    does not change when the hand is turned, and changes its sign when it is mirrored.

    Args:
        hands: (..., 21, 3) points in MediaPipe order, equal units on the three axes.

    Returns:
        (...,) signed curl, 0 where the palm has no area.
    """
    wrist = hands[..., WRIST, :]
    across = np.cross(hands[..., _INDEX_BASE, :] - wrist, hands[..., _PINKY_BASE, :] - wrist)
    area = np.linalg.norm(across, axis=-1)
    palm = np.linalg.norm(hands[..., _MIDDLE_BASE, :] - wrist, axis=-1)
    fingers = (hands[..., _FINGER_TIPS, :] - hands[..., _FINGER_BASES, :]).mean(axis=-2)
    scale = area * palm
    return (across * fingers).sum(axis=-1) / np.where(scale > 0, scale, np.inf)


def right_hand_logit(
    hands: np.ndarray,
    seen: np.ndarray,
    middle: float,
    width: float,
    costs: HandOrderCosts = DEFAULT_COSTS,
) -> np.ndarray:
    """Log odds that a hand is the signer's right one, from its place and its palm.

    Args:
        hands: (T, 2, 21, 3) pixels.
        seen: (T, 2) bool.
        middle: x of the middle of the signer, pixels.
        width: width of the signer's box, pixels.
        costs: the weights.

    Returns:
        (T, 2) float64, 0 where no hand is seen.
    """
    curl = np.clip(palm_curl(hands), -0.6, 0.6)
    place = np.clip((middle - hands[:, :, WRIST, 0]) / width, -0.5, 0.5)
    return np.where(seen, costs.palm * curl + costs.place * place + costs.bias, 0.0)


def merge_copies(hands: np.ndarray, seen: np.ndarray, costs: HandOrderCosts = DEFAULT_COSTS) -> np.ndarray:
    """Forget the second detection where both lie on the same hand.

    Args:
        hands: (T, 2, 21, 3) pixels.
        seen: (T, 2) bool.
        costs: `same_hand` counts.

    Returns:
        (T, 2) bool, `seen` without the copies.
    """
    distance = np.linalg.norm((hands[:, 0] - hands[:, 1])[..., :2], axis=-1).mean(axis=-1)
    copies = seen.all(axis=1) & (distance < costs.same_hand * _palm_length(hands, seen))
    merged = seen.copy()
    merged[copies, 1] = False
    return merged


def _palm_length(hands: np.ndarray, seen: np.ndarray) -> float:
    palms = (hands[:, :, _MIDDLE_BASE] - hands[:, :, WRIST])[..., :2][seen]
    return max(float(np.median(np.linalg.norm(palms, axis=-1))), 1e-6) if len(palms) else 1.0


def order_hands(
    hands: np.ndarray,
    seen: np.ndarray,
    logit: np.ndarray,
    costs: HandOrderCosts = DEFAULT_COSTS,
) -> np.ndarray:
    """The cheapest labelling of the detected hands of a clip as left and right.

    A frame with two hands can be labelled in two ways, and so can a frame with one (it is left or
    right). What a frame costs depends on where each hand was last seen, so that pair is the state of
    a Viterbi search. A frame with two hands brings the states down to two, a run of n frames with
    one hand to at most 2 (n + 2), so that the search is exact and short.

    Args:
        hands: (T, 2, 21, 3) pixels (z is not read).
        seen: (T, 2) bool.
        logit: (T, 2) log odds of being the right hand (`right_hand_logit`).
        costs: the costs.

    Returns:
        (T, 2) int64: slot of the left and of the right hand in every frame, -1 where not seen.
    """
    if hands.shape[1:] != (2, HAND_POINTS, 3) or seen.shape != hands.shape[:2]:
        raise ValueError(
            f"hands {hands.shape} and seen {seen.shape} do not fit; expected (T, 2, {HAND_POINTS}, 3) and (T, 2)"
        )
    points = hands[..., :2] / _palm_length(hands, seen)
    # price[side][t, slot] of calling that hand left (side 0) or right (side 1)
    price = (
        costs.evidence * np.logaddexp(0.0, logit),
        costs.evidence * np.logaddexp(0.0, -logit),
    )
    # A state is ((frame, slot) of the left hand, (frame, slot) of the right one) when last seen.
    states: dict[tuple[tuple[int, int] | None, ...], float] = {(None, None): 0.0}
    history = []
    for t in np.flatnonzero(seen.any(axis=1)).tolist():
        moves = _Moves(points, t, costs.jump)
        arrivals: dict[tuple[tuple[int, int] | None, ...], tuple[float, tuple, tuple]] = {}
        for state, spent in states.items():
            for choice in _choices(seen[t]):
                total, following = spent, list(state)
                for side, slot in enumerate(choice):
                    if slot >= 0:
                        total += price[side][t, slot] + moves.cost(state[side], slot)
                        following[side] = (t, slot)
                key = tuple(following)
                if key not in arrivals or total < arrivals[key][0]:
                    arrivals[key] = (total, state, choice)
        history.append((t, arrivals))
        states = {key: arrival[0] for key, arrival in arrivals.items()}
    order = np.full((len(hands), 2), -1, dtype=np.int64)
    state = min(states, key=states.__getitem__)
    for t, arrivals in reversed(history):
        _, state, order[t] = arrivals[state]
    return order


def _choices(seen: np.ndarray) -> tuple[tuple[int, int], ...]:
    """The labellings of one frame as (slot of the left hand, slot of the right hand)."""
    if seen.all():
        return (0, 1), (1, 0)
    slot = int(seen[1])
    return (slot, -1), (-1, slot)


class _Moves:
    """Costs of the way to the hands of frame t, each worked out once."""

    def __init__(self, points: np.ndarray, t: int, jump: float) -> None:
        self.points, self.t, self.jump = points, t, jump
        self.known: dict[tuple[tuple[int, int], int], float] = {}

    def cost(self, last: tuple[int, int] | None, slot: int) -> float:
        """From the place where the hand was last seen (None: nowhere, free) to `slot`."""
        if last is None:
            return 0.0
        key = (last, slot)
        if key not in self.known:
            step = self.points[self.t, slot] - self.points[last]
            distance = float(np.hypot(step[:, 0], step[:, 1]).mean())
            self.known[key] = min(distance / (self.t - last[0]) ** 0.5, self.jump)
        return self.known[key]
