"""What goes wrong with a skeleton outside of the laboratory, as functions of a clip and a severity.

Every corruption stands in `CORRUPTIONS` with its unit, the severities that are measured and the one at which nothing
happens. `CorruptSkeleton` puts any of them in front of a test pipeline. What is random is drawn for each clip by its
name and the seed, never by the severity: two networks see the same clips, and a higher severity is more of the same.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from gspmc_mm.datasets.transforms.affine import apply_planar, planar_matrix
from gspmc_mm.datasets.transforms.hands import SIDES, hand_sizes, hands_of
from gspmc_mm.datasets.transforms.keypoints import seen_points, zero_missing
from gspmc_mm.datasets.transforms.signer import (
    box_frame,
    hands_frame,
    mirror_points,
    require_joints,
    shoulder_frame,
)
from gspmc_mm.skeleton import Layout

#: Frames that a hand is lost at a stretch: a quarter to a third of a second of video.
BURST = 8


@dataclass(frozen=True)
class Skeleton:
    """A clip as a corruption sees it.

    Attributes:
        keypoint: (M, T, V, C), 0 where missing.
        score: (M, T, V), 0 where missing; None where the estimator gives none.
        layout: of the V points.
        picture: (height, width) of the picture, None for coordinates about the signer.
        fps: frames a second, None where unknown.
    """

    keypoint: np.ndarray
    score: np.ndarray | None
    layout: Layout
    picture: tuple[float, float] | None = None
    fps: float | None = None

    @property
    def seen(self) -> np.ndarray:
        """Which points were seen: bool (M, T, V)."""
        return seen_points(self.keypoint, self.score)

    @property
    def frames(self) -> int:
        """Number of frames T."""
        return self.keypoint.shape[1]

    def without(self, lost: np.ndarray) -> Skeleton:
        """The clip with the points (M, T, V) that are lost marked missing."""
        score = None if self.score is None else np.where(lost, 0, self.score).astype(self.score.dtype)
        return replace(self, keypoint=zero_missing(self.keypoint, self.seen & ~lost), score=score)


def signer_unit(clip: Skeleton) -> float:
    """Shoulder width in the units of the coordinates.

    Four hand sizes, or else the longest side of the box of all points, where no shoulders are seen; 0 where nothing is.
    """
    for frame_of in (shoulder_frame, hands_frame, box_frame):
        frame = frame_of(clip.keypoint, clip.seen, clip.layout)
        if frame is not None:
            return frame[1]
    return 0.0


def joint_noise(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """Independent normal noise on every coordinate of every seen point; severity: its deviation in shoulder widths."""
    noise = rng.standard_normal(clip.keypoint.shape) * (severity * signer_unit(clip))
    keypoint = (clip.keypoint + noise).astype(clip.keypoint.dtype)
    return replace(clip, keypoint=zero_missing(keypoint, clip.seen))


def hand_noise(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """The same on the points of the hands only; severity: deviation in hand sizes (wrist to middle finger base)."""
    seen = clip.seen
    scale = np.zeros(clip.layout.num_joints)
    hands = hands_of(clip.layout)
    sizes = [hand_sizes(clip.keypoint, seen, hand) for hand in hands]
    either = np.concatenate([*sizes, np.empty(0)])
    for hand, size in zip(hands, sizes, strict=True):
        if len(either):
            scale[list(hand.joints)] = severity * np.median(size if len(size) else either)
    noise = rng.standard_normal(clip.keypoint.shape) * scale[:, None]
    keypoint = (clip.keypoint + noise).astype(clip.keypoint.dtype)
    return replace(clip, keypoint=zero_missing(keypoint, seen))


def lost_points(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """Every point of every frame is missing with probability `severity`."""
    return clip.without(rng.random(clip.keypoint.shape[:3]) < severity)


def burst_frames(frames: int, share: float, rng: np.random.Generator, length: int = BURST) -> np.ndarray:
    """Frames in bursts of `length`: blocks of a clip that is cut at a random phase, as many as make up the share.

    Returns:
        bool (frames,); those of a smaller share are among those of a larger one.
    """
    blocks = (np.arange(frames) + rng.integers(length)) // length
    order = rng.permutation(int(blocks[-1]) + 1)
    ranked = np.argsort(order)[blocks]
    sizes = np.bincount(blocks)[order].cumsum()
    # As many blocks as come closest to the share.
    count = int(np.argmin(np.abs(np.concatenate([[0], sizes]) - share * frames)))
    return ranked < count


def hand_bursts(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """One of the hands that the clip shows, drawn by lot, is missing in bursts; severity: share of the frames."""
    seen = clip.seen
    hands = [joints for side in SIDES if (joints := list(clip.layout.parts.get(f"{side}_hand", ())))]
    shown = [joints for joints in hands if seen[..., joints].any()]
    if not shown:
        return clip
    joints = shown[rng.integers(len(shown))]
    lost = np.zeros(seen.shape, dtype=bool)
    lost[..., joints] = burst_frames(clip.frames, severity, rng)[:, None]
    return clip.without(lost)


def hidden_span(frames: int, share: float, rng: np.random.Generator) -> slice:
    """One stretch of round(share x frames) frames at a random place; those of a smaller share lie inside."""
    length = round(share * frames)
    start = int(rng.random() * (frames - length + 1))
    return slice(start, start + length)


def hide_parts(clip: Skeleton, parts: tuple[str, ...], share: float, rng: np.random.Generator) -> Skeleton:
    """The joints of some parts are missing in one stretch of frames."""
    joints = [joint for part in parts for joint in clip.layout.parts.get(part, ())]
    lost = np.zeros(clip.keypoint.shape[:3], dtype=bool)
    lost[:, hidden_span(clip.frames, share, rng), joints] = True
    return clip.without(lost)


def mouth_hidden(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """The mouth is covered (a mask) for a share of the frames."""
    return hide_parts(clip, ("mouth",), severity, rng)


def face_hidden(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """Face and mouth are not seen for a share of the frames; nose, eyes and ears of the body stay."""
    return hide_parts(clip, ("face", "mouth"), severity, rng)


def left_hand_hidden(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """The left hand is not seen for a share of the frames; the arm stays."""
    return hide_parts(clip, ("left_hand",), severity, rng)


def right_hand_hidden(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """The right hand is not seen for a share of the frames; the arm stays."""
    return hide_parts(clip, ("right_hand",), severity, rng)


def frame_rate(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """`severity` times as many frames a second, on the straight line between two frames.

    A new frame shows what both of its neighbours show, with the smaller score of the two.
    """
    position = np.arange(math.floor((clip.frames - 1) * severity + 1e-6) + 1) / severity
    before = np.minimum(np.floor(position + 1e-6).astype(np.int64), clip.frames - 1)
    weight = np.clip(position - before, 0, 1)
    between = weight > 1e-6
    after = np.where(between, np.minimum(before + 1, clip.frames - 1), before)
    seen = clip.seen
    both = seen[:, before] & seen[:, after]
    step = weight[:, None, None]
    keypoint = (1 - step) * clip.keypoint[:, before] + step * clip.keypoint[:, after]
    score = None if clip.score is None else np.minimum(clip.score[:, before], clip.score[:, after])
    return replace(
        clip,
        keypoint=zero_missing(keypoint.astype(clip.keypoint.dtype), both),
        score=score,
        fps=None if clip.fps is None else clip.fps * severity,
    )


def keep_frames(clip: Skeleton, start: int, stop: int) -> Skeleton:
    """The frames from start to stop; at least one of the clip is left."""
    start = min(start, clip.frames - 1)
    stop = max(stop, start + 1)
    score = None if clip.score is None else clip.score[:, start:stop]
    return replace(clip, keypoint=clip.keypoint[:, start:stop], score=score)


def cut_start(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """The first share of the frames is missing."""
    return keep_frames(clip, round(severity * clip.frames), clip.frames)


def cut_end(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """The last share of the frames is missing."""
    return keep_frames(clip, 0, clip.frames - round(severity * clip.frames))


def mirror(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """The mirror image: a left-handed signer for a right-handed one."""
    swap = np.asarray(clip.layout.swap)
    width = None if clip.picture is None else clip.picture[1]
    keypoint = mirror_points(clip.keypoint, swap, width, clip.seen)
    return replace(clip, keypoint=keypoint, score=None if clip.score is None else clip.score[..., swap])


def move_camera(clip: Skeleton, matrix: np.ndarray, shift: np.ndarray) -> Skeleton:
    """A planar map about the middle of the picture, then a shift; what leaves the picture is missing."""
    seen = clip.seen
    if clip.picture is None:
        return replace(clip, keypoint=apply_planar(clip.keypoint, seen, matrix, shift).astype(clip.keypoint.dtype))
    size = np.array([clip.picture[1], clip.picture[0]], dtype=np.float64)
    moved = apply_planar(clip.keypoint, seen, matrix, size / 2 - matrix @ (size / 2) + shift)
    inside, still = (((p[..., :2] >= 0) & (p[..., :2] <= size)).all(axis=-1) for p in (clip.keypoint, moved))
    # Estimators guess points beyond the border; only what the camera loses is taken away.
    return replace(clip, keypoint=moved.astype(clip.keypoint.dtype)).without(seen & inside & ~still)


def camera_shift(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """The camera points elsewhere: a shift in a random direction; severity in shoulder widths."""
    angle = rng.uniform(0, 2 * np.pi)
    shift = severity * signer_unit(clip) * np.array([np.cos(angle), np.sin(angle)])
    return move_camera(clip, np.eye(2), shift)


def camera_scale(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """The camera is nearer or farther: the signer is `severity` times as large."""
    return move_camera(clip, planar_matrix(0, severity), np.zeros(2))


def camera_rotation(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """The camera is tilted by `severity` degrees to one side or the other."""
    return move_camera(clip, planar_matrix(severity * rng.choice([-1, 1])), np.zeros(2))


def confidence_removed(clip: Skeleton, severity: float, rng: np.random.Generator) -> Skeleton:
    """Every seen point has confidence 1, as of an estimator that gives none."""
    return replace(clip, score=None if clip.score is None else (clip.score > 0).astype(clip.score.dtype))


@dataclass(frozen=True)
class Corruption:
    """One kind of damage and how much of it is measured.

    Attributes:
        apply: (clip, severity, random numbers) -> clip.
        title: what figures call it.
        unit: of the severity.
        severities: those that are measured when nothing else is said.
        low: smallest severity that makes sense.
        high: largest one.
        identity: the severity at which nothing is changed.
        parts: the layout needs one of these parts; none for every layout.
    """

    apply: Callable[[Skeleton, float, np.random.Generator], Skeleton]
    title: str
    unit: str
    severities: tuple[float, ...]
    low: float = 0.0
    high: float = 1.0
    identity: float = 0.0
    parts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The key in `CORRUPTIONS`."""
        return self.apply.__name__

    @property
    def switch(self) -> bool:
        """Whether there is no more or less of it: it is on (severity 1) or off."""
        return self.low == self.high

    def why_not(self, layout: Layout) -> str | None:
        """Why this cannot happen to clips of a layout; None where it can."""
        if not self.parts or any(part in layout.parts for part in self.parts):
            return None
        return f"layout {layout.name} has no {' and no '.join(self.parts)}"

    def check(self, severity: float) -> float:
        """The severity, if it is one.

        Raises:
            ValueError: Outside of [low, high].
        """
        if not self.low <= severity <= self.high:
            raise ValueError(
                f"{self.name}: severity {severity:g} ({self.unit}) lies outside of {self.low:g} to {self.high:g}"
            )
        return float(severity)


_HANDS = ("left_hand", "right_hand")
_SHARE = "share of the frames"

#: Every corruption by name, in the order of tables and figures.
CORRUPTIONS: Mapping[str, Corruption] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Corruption(joint_noise, "joint noise", "deviation in shoulder widths", (0.01, 0.02, 0.05, 0.1), high=10),
            Corruption(
                hand_noise, "finger noise", "deviation in hand sizes", (0.05, 0.1, 0.2, 0.4), high=10, parts=_HANDS
            ),
            Corruption(lost_points, "lost points", "share of the points", (0.1, 0.25, 0.5, 0.75)),
            Corruption(hand_bursts, "a hand lost in bursts", _SHARE, (0.1, 0.25, 0.5, 0.75), parts=_HANDS),
            Corruption(right_hand_hidden, "right hand hidden", _SHARE, (0.25, 0.5, 1.0), parts=("right_hand",)),
            Corruption(left_hand_hidden, "left hand hidden", _SHARE, (0.25, 0.5, 1.0), parts=("left_hand",)),
            Corruption(mouth_hidden, "mouth hidden", _SHARE, (0.5, 1.0), parts=("mouth",)),
            Corruption(face_hidden, "face and mouth hidden", _SHARE, (0.5, 1.0), parts=("face", "mouth")),
            Corruption(frame_rate, "frame rate", "factor", (0.25, 0.5, 2.0), low=0.01, high=16, identity=1),
            Corruption(cut_start, "beginning cut", _SHARE, (0.1, 0.2, 0.3, 0.5), high=0.99),
            Corruption(cut_end, "end cut", _SHARE, (0.1, 0.2, 0.3, 0.5), high=0.99),
            Corruption(mirror, "left-handed mirror image", "on", (1.0,), low=1),
            Corruption(camera_shift, "camera shifted", "shoulder widths", (0.25, 0.5, 1.0), high=10),
            Corruption(camera_scale, "signer larger or smaller", "factor", (0.5, 0.75, 1.5, 2.0), 0.05, 20, identity=1),
            Corruption(camera_rotation, "camera tilted", "degrees", (5.0, 10.0, 20.0, 30.0), high=180),
            Corruption(confidence_removed, "confidence removed", "on", (1.0,), low=1),
        )
    }
)


def get_corruption(name: str) -> Corruption:
    """A corruption by name.

    Raises:
        ValueError: There is none of that name.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f"corruption {name!r} is unknown; there are {', '.join(CORRUPTIONS)}")
    return CORRUPTIONS[name]


@TRANSFORMS.register_module()
class CorruptSkeleton(BaseTransform):
    """One corruption of one severity, in front of a test pipeline.

    Required Keys:

        - keypoint (M, T, V, C)
        - keypoint_score (optional) (M, T, V)
        - layout
        - clip_id
        - img_shape (optional) (h, w)
        - normalized (optional)

    Modified Keys:

        - keypoint
        - keypoint_score
        - total_frames
        - fps

    Args:
        corruption: One of `CORRUPTIONS`.
        severity: See its unit.
        seed: The same clips come out of the same seed, whatever else is measured.

    Raises:
        ValueError: No such corruption, or a severity out of its range; at a clip, when frames have been chosen before.
    """

    def __init__(self, corruption: str, severity: float, seed: int = 0) -> None:
        self.corruption = get_corruption(corruption)
        self.severity = self.corruption.check(severity)
        self.seed = seed

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace the skeleton of a clip by a corrupted one."""
        require_joints(results, self)
        if "frame_inds" in results:
            raise ValueError("CorruptSkeleton has to come before SampleSignFrames in the pipeline")
        if "layout" not in results:
            raise ValueError(
                "CorruptSkeleton has to know the joints (results['layout']): read clips by SignPoseDataset"
            )
        picture = None if results.get("normalized", False) else results.get("img_shape")
        clip = Skeleton(
            results["keypoint"], results.get("keypoint_score"), results["layout"], picture, results.get("fps")
        )
        names = [zlib.crc32(text.encode()) for text in (self.corruption.name, str(results["clip_id"]))]
        clip = self.corruption.apply(clip, self.severity, np.random.default_rng([self.seed, *names]))
        results["keypoint"] = clip.keypoint
        if clip.score is not None:
            results["keypoint_score"] = clip.score
        if clip.fps is not None:
            results["fps"] = clip.fps
        results["total_frames"] = clip.frames
        return results

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(corruption={self.corruption.name!r}, severity={self.severity:g}, "
            f"seed={self.seed})"
        )
