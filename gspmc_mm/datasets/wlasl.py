"""The hands of WLASL-100 as a pose store: which hand is which, pixels, and the given splits.

The landmark file of WLASL-100 holds the two hands of a frame in the order of detection. Which one
is the signer's right hand is found for a whole clip at once (`order_hands`), from three things that
are true of hands:

- place: signers face the camera, so their right hand is seen left of their middle;
- palm: fingers bend towards the palm, so the sign of a triple product (`palm_curl`) tells a right
  hand from a left one whichever way it is turned;
- motion: a hand moves little from one frame to the next.

Place and palm give each hand that is seen the odds of being the right one. Their weights come from a
logistic regression on the single hands of the clips for which body landmarks say the side; motion
binds the frames together. The cheapest of all labellings of the clip is found exactly, by dynamic
programming.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gspmc_mm.poses import PoseClip, PoseStoreWriter, StoreHeader
from gspmc_mm.skeleton import get_layout

LANDMARK_FILE = "wlasl100_hands.npz"
SPLIT_FILE = "splits.json"
BODY_FILE = "wlasl50_body_hands.npz"
MISSING = -32768
UNITS = 10000.0
NUM_FOLDS = 5
HAND_POINTS = 21
NOTE = (
    "Hand landmarks of the downloadable half of WLASL-100 (Li et al. 2020). Licence: C-UDA, academic "
    "and computational use only. Hands ordered left/right by gspmc_mm.datasets.wlasl; body points 9 "
    "and 10 are copies of the wrists of the hands; no other body point and no face. A point has the "
    "score 1 where its hand was detected and 0 elsewhere."
)

# Width and height of the videos by where they come from. The landmark file stores neither. The
# height is the lowest edge that the signer boxes of the source reach (signers are cut by the lower
# edge of the picture). The width is height times the aspect ratio 16:9, 3:2 or 4:3 that agrees with
# the middle of the box in pixels over the middle of the shoulders, or of both hands, in fractions
# of the frame; it is also the one that makes hands as long across as they are upright.
FRAME_SIZES: Mapping[str, tuple[tuple[int, int], ...]] = {
    "aslbrick": ((640, 480), (1280, 720), (1920, 1080)),
    "asldeafined": ((640, 480),),
    "aslsearch": ((712, 400),),
    "aslsignbank": ((658, 370), (1920, 1080)),
    "elementalasl": ((320, 180),),
    "signingsavvy": ((288, 192),),
    "signschool": ((640, 360), (854, 480), (1280, 720), (1920, 1080)),
    "spreadthesign": ((320, 240),),
    "startasl": ((736, 414), (1280, 720)),
}

# The data set counts frame_end at 25 frames a second, whatever the rate of the video.
NOMINAL_FPS = 25.0
FRAME_RATES = (24.0, 25.0, 30.0, 50.0)

_WRIST, _INDEX_BASE, _MIDDLE_BASE, _PINKY_BASE = 0, 5, 9, 17
_FINGER_BASES, _FINGER_TIPS = (5, 9, 13, 17), (8, 12, 16, 20)
_LEFT, _RIGHT = 0, 1


class WlaslError(ValueError):
    """The WLASL files are not what they are said to be: names file, clip and field."""


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


@dataclass(frozen=True)
class WlaslData:
    """The landmark file and its splits, checked.

    Attributes:
        keypoint: (F, 2, 21, 3) int16, frames of all clips, see the file's description.
        offset: (N + 1,) clip i is the frames offset[i] to offset[i + 1].
        clip_ids, signers, sources: (N,) of str.
        labels: (N,) int64.
        boxes: (N, 4) x0, y0, x1, y1 of the signer in pixels.
        frame_ends: (N,) number of frames at 25 frames a second.
        classes: gloss by label.
        official: clip ids of `train`, `val` and `test`.
        folds: clip ids whose signers are held out, for each fold.
    """

    keypoint: np.ndarray
    offset: np.ndarray
    clip_ids: tuple[str, ...]
    labels: np.ndarray
    signers: tuple[str, ...]
    sources: tuple[str, ...]
    boxes: np.ndarray
    frame_ends: np.ndarray
    classes: tuple[str, ...]
    official: Mapping[str, tuple[str, ...]]
    folds: tuple[tuple[str, ...], ...]

    def hands(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Clip `index` as (T, 2, 21, 3) float64 in pixels and (T, 2) bool, which hands are seen."""
        frames = self.keypoint[self.offset[index] : self.offset[index + 1]]
        seen = frames[:, :, 0, 0] != MISSING
        width, height = self.image_size(index)
        # z is relative to the width of the frame, as MediaPipe has it
        points = frames / UNITS * np.array([width, height, width], dtype=np.float64)
        points[~seen] = 0.0
        return points, seen

    def image_size(self, index: int) -> tuple[int, int]:
        """Width and height of the video of clip `index`."""
        try:
            return frame_size(self.sources[index], float(self.boxes[index, 3]))
        except WlaslError as error:
            raise WlaslError(f"clip {self.clip_ids[index]!r}: {error}") from None

    def fps(self, index: int) -> float:
        """Frames a second of the video of clip `index`."""
        frames = int(self.offset[index + 1] - self.offset[index])
        return frame_rate(frames, int(self.frame_ends[index]))


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


def frame_size(source: str, box_bottom: float) -> tuple[int, int]:
    """Width and height of a video, from its source and the lower edge of the signer's box.

    Raises:
        WlaslError: the source is unknown, or the box reaches below every size known for it.
    """
    if source not in FRAME_SIZES:
        known = ", ".join(FRAME_SIZES)
        raise WlaslError(f"source {source!r} has no known frame size; known are {known}")
    for width, height in FRAME_SIZES[source]:
        if box_bottom <= height:
            return width, height
    raise WlaslError(
        f"the box of the signer reaches down to {box_bottom:g} pixels, but videos of source "
        f"{source!r} are at most {FRAME_SIZES[source][-1][1]} high"
    )


def frame_rate(num_frames: int, frame_end: int) -> float:
    """Frame rate of a video with `num_frames` frames that last `frame_end` frames at 25 a second.

    Of the usual rates the one that explains both numbers best (the data set rounds generously).
    """
    return min(FRAME_RATES, key=lambda fps: abs(num_frames * NOMINAL_FPS / fps - frame_end))


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
    wrist = hands[..., _WRIST, :]
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
    place = np.clip((middle - hands[:, :, _WRIST, 0]) / width, -0.5, 0.5)
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
    palms = (hands[:, :, _MIDDLE_BASE] - hands[:, :, _WRIST])[..., :2][seen]
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
    for side, name in ((_LEFT, "left"), (_RIGHT, "right")):
        frames = np.flatnonzero(order[:, side] >= 0)
        hand = hands[frames, order[frames, side], :, :2]
        joints = np.asarray(layout.part_indices(f"{name}_hand"))
        keypoint[frames[:, None], joints] = hand
        score[frames[:, None], joints] = 1.0
        wrist = layout.landmarks[f"{name}_wrist"]
        keypoint[frames, wrist] = hand[:, _WRIST]
        score[frames, wrist] = 1.0
    return keypoint, score


def read_wlasl(source: str | os.PathLike[str]) -> WlaslData:
    """Read and check the landmark file and the splits.

    Args:
        source: the folder with `wlasl100_hands.npz` and `splits.json`.

    Raises:
        FileNotFoundError: one of the two files is missing.
        WlaslError: an array is missing or has the wrong form, a label has no class name, a clip is
            named by a split and not there, is in two splits of a kind or in none without being a
            known copy, or a signer is in two folds.
    """
    folder = Path(source)
    for name in (LANDMARK_FILE, SPLIT_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"{folder / name} does not exist; --source names the folder with {LANDMARK_FILE} and {SPLIT_FILE}"
            )
    path = folder / LANDMARK_FILE
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    _check_arrays(arrays, path)
    try:
        splits = json.loads((folder / SPLIT_FILE).read_text("utf-8"))
        official = {name: tuple(splits["official"][name]) for name in ("train", "val", "test")}
        folds = tuple(tuple(fold) for fold in splits["signer_folds"])
        copies = {clip for group in splits["duplicates"] for clip in group}
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise WlaslError(
            f"{folder / SPLIT_FILE}: expected official (train, val, test), signer_folds and "
            f"duplicates; found another form ({error!r})"
        ) from error
    data = WlaslData(
        keypoint=arrays["keypoint"],
        offset=arrays["offset"],
        clip_ids=tuple(arrays["video_id"].tolist()),
        labels=arrays["label"].astype(np.int64),
        signers=tuple(str(signer) for signer in arrays["signer"].tolist()),
        sources=tuple(arrays["source"].tolist()),
        boxes=arrays["bbox"].astype(np.float64),
        frame_ends=arrays["frame_end"].astype(np.int64),
        classes=tuple(arrays["class_names"].tolist()),
        official=official,
        folds=folds,
    )
    _check_clips(data, path)
    _check_splits(data, copies, folder / SPLIT_FILE)
    return data


def _check_arrays(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    per_clip = ("video_id", "label", "signer", "source", "bbox", "frame_end")
    missing = [n for n in ("keypoint", "offset", "class_names", *per_clip) if n not in arrays]
    if missing:
        raise WlaslError(f"{path}: arrays {', '.join(missing)} are missing")
    keypoint, offset = arrays["keypoint"], arrays["offset"]
    if keypoint.dtype != np.int16 or keypoint.shape[1:] != (2, HAND_POINTS, 3):
        raise WlaslError(
            f"{path}: keypoint is {keypoint.dtype} {keypoint.shape}; expected int16 (frames, 2, {HAND_POINTS}, 3)"
        )
    if offset.ndim != 1 or len(offset) < 2 or offset[0] != 0 or offset[-1] != len(keypoint):
        raise WlaslError(f"{path}: offset has to run from 0 to the {len(keypoint)} frames")
    for name in per_clip:
        if len(arrays[name]) != len(offset) - 1:
            raise WlaslError(f"{path}: {name} has {len(arrays[name])} rows; expected {len(offset) - 1} clips")
    if arrays["bbox"].shape[1:] != (4,):
        raise WlaslError(f"{path}: bbox has the shape {arrays['bbox'].shape}; expected (clips, 4)")


def _check_clips(data: WlaslData, path: Path) -> None:
    if len(set(data.clip_ids)) != len(data.clip_ids):
        raise WlaslError(f"{path}: a video_id occurs twice")
    if len(set(data.classes)) != len(data.classes):
        raise WlaslError(f"{path}: class_names names a sign twice")
    for clip, label in zip(data.clip_ids, data.labels.tolist(), strict=True):
        if not 0 <= label < len(data.classes):
            raise WlaslError(
                f"{path}: clip {clip!r} has the label {label}, but class_names names {len(data.classes)} signs"
            )
    empty = np.flatnonzero(np.diff(data.offset) <= 0)
    if len(empty):
        raise WlaslError(f"{path}: clip {data.clip_ids[empty[0]]!r} has no frames")
    unused = sorted(set(range(len(data.classes))) - set(data.labels.tolist()))
    if unused:
        raise WlaslError(f"{path}: no clip shows the sign {data.classes[unused[0]]!r}")
    flat = np.flatnonzero((data.boxes[:, 2] <= data.boxes[:, 0]) | (data.boxes[:, 3] <= data.boxes[:, 1]))
    if len(flat):
        raise WlaslError(
            f"{path}: the bbox of clip {data.clip_ids[flat[0]]!r} is {data.boxes[flat[0]]}; "
            "expected x0 < x1 and y0 < y1"
        )


def _check_splits(data: WlaslData, copies: set[str], path: Path) -> None:
    signer_of = dict(zip(data.clip_ids, data.signers, strict=True))
    if len(data.folds) != NUM_FOLDS:
        raise WlaslError(f"{path}: {len(data.folds)} signer folds; expected {NUM_FOLDS}")
    folds = {f"signer_folds[{k}]": fold for k, fold in enumerate(data.folds)}
    official = {f"official {name}": clips for name, clips in data.official.items()}
    for kind in (official, folds):
        place: dict[str, str] = {}
        for name, clips in kind.items():
            if not clips:
                raise WlaslError(f"{path}: {name} is empty")
            for clip in clips:
                if clip not in signer_of:
                    raise WlaslError(f"{path}: {name} names clip {clip!r}, which is not in the data")
                if clip in place:
                    raise WlaslError(f"{path}: clip {clip!r} is in {place[clip]} and in {name}")
                place[clip] = name
        lost = sorted(set(signer_of) - set(place) - copies)
        if lost:
            raise WlaslError(
                f"{path}: clip {lost[0]!r} ({len(lost)} in all) is in no "
                f"{next(iter(kind)).split()[0]} split and no known copy of another clip"
            )
    in_folds, in_official = ({c for v in kind.values() for c in v} for kind in (folds, official))
    if in_folds != in_official:
        clip = sorted(in_folds ^ in_official)[0]
        raise WlaslError(f"{path}: clip {clip!r} is in only one of official and signer_folds")
    home: dict[str, str] = {}
    for name, clips in folds.items():
        for signer in sorted({signer_of[clip] for clip in clips}):
            if signer in home:
                raise WlaslError(
                    f"{path}: signer {signer} is in {home[signer]} and in {name}; folds hold out whole signers"
                )
            home[signer] = name


def hold_out_signers(signers: Sequence[str], share: float, rng: np.random.Generator) -> frozenset[str]:
    """Draw whole signers who have about `share` of the clips together.

    Signers are tried in a random order and taken while they fit. Somebody with more than half of the
    wanted clips is never taken: a part for validation of one signer would say little of others.

    Args:
        signers: signer of each clip.
        share: wanted share of the clips, between 0 and 1.
        rng: where the order comes from.
    """
    names, counts = np.unique(np.asarray(signers), return_counts=True)
    wanted = share * len(signers)
    taken: list[str] = []
    total = 0
    for i in rng.permutation(len(names)).tolist():
        if counts[i] <= wanted / 2 and total + counts[i] <= 1.05 * wanted:
            taken.append(str(names[i]))
            total += int(counts[i])
    return frozenset(taken)


def split_clips(data: WlaslData, val_share: float = 0.2, seed: int = 0) -> dict[str, tuple[str, ...]]:
    """All splits of the store, by name.

    `official_train`, `official_val`, `official_test` and, for each fold k, `fold{k}_test` (the
    signers held out) and `fold{k}_train` (all others) are the given ones. `fold{k}_fit` and
    `fold{k}_val` part the training clips of fold k by signer, for finding a recipe without a look at
    the test signers; they depend on `seed` only.

    Args:
        data: the data.
        val_share: share of the clips of `fold{k}_train` that go to `fold{k}_val`.
        seed: of the draw of validation signers.
    """
    signer_of = dict(zip(data.clip_ids, data.signers, strict=True))
    splits = {f"official_{name}": clips for name, clips in data.official.items()}
    for k, test in enumerate(data.folds):
        train = tuple(clip for j, fold in enumerate(data.folds) if j != k for clip in fold)
        held = hold_out_signers([signer_of[clip] for clip in train], val_share, np.random.default_rng([seed, k]))
        splits[f"fold{k}_train"] = train
        splits[f"fold{k}_test"] = test
        splits[f"fold{k}_fit"] = tuple(clip for clip in train if signer_of[clip] not in held)
        splits[f"fold{k}_val"] = tuple(clip for clip in train if signer_of[clip] in held)
    return splits


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
        x, two = hands[:, :, _WRIST, 0], counted.all(axis=1)
        middle = (data.boxes[index, 0] + data.boxes[index, 2]) / 2
        # left of the other hand, or of the middle of the signer where there is no other
        by_x = (x < np.where(two[:, None], x[:, ::-1], middle)).astype(np.int64)
        before = hands_known
        for side in (_LEFT, _RIGHT):
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
    for side in (_LEFT, _RIGHT):
        for hand in body[:, side][body[:, side].any(axis=(1, 2))]:
            distance = np.where(seen, np.abs(points - hand).mean(axis=(2, 3)), np.inf)
            frame, slot = np.unravel_index(distance.argmin(), distance.shape)
            nearest, other = distance[frame, slot], distance[frame, 1 - slot]
            if nearest < 0.012 and other > 2.5 * nearest:
                claimed_twice[frame, slot] |= sides[frame, slot] == 1 - side
                sides[frame, slot] = side
    sides[claimed_twice] = -1
    return sides


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
        wrist_x = hands[two, :, _WRIST, 0]
        x_right = np.argmin(wrist_x, axis=1)
        self.agree += int((order[two, _RIGHT] == x_right).sum())
        pairs = np.flatnonzero(np.diff(two) == 1)
        self.pairs += len(pairs)
        x_order = np.stack([1 - x_right, x_right], axis=1)
        self.switches += _switches(hands[two], order[two], pairs)
        self.x_rule_switches += _switches(hands[two], x_order, pairs)


def _switches(hands: np.ndarray, order: np.ndarray, pairs: np.ndarray) -> int:
    ordered = np.take_along_axis(hands[..., _WRIST, :2], order[..., None], axis=1)
    before, after = ordered[pairs], ordered[pairs + 1]
    kept = np.linalg.norm(after - before, axis=-1).sum(axis=-1)
    swapped = np.linalg.norm(after[:, ::-1] - before, axis=-1).sum(axis=-1)
    return int((swapped < kept).sum())
