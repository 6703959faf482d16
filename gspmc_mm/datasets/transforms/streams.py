"""The four streams of a skeleton, joints, bones and their motion, and further channels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from gspmc_mm.datasets.transforms.hands import hand_sizes, hands_of
from gspmc_mm.datasets.transforms.keypoints import clip_layout, seen_points
from gspmc_mm.skeleton import Layout, get_layout

STREAMS = ("j", "b", "jm", "bm")
EXTRA_CHANNELS = ("hand_local", "velocity")

# A step between two sampled frames is a few hundredths of a shoulder width; times four it has the
# order of the other channels, so that one learning rate suits all.
VELOCITY_GAIN = 4.0


def bone_stream(keypoint: np.ndarray, score: np.ndarray, parents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vector from parent to child at the child's place; the root's is 0.

    Args:
        keypoint: (..., V, C).
        score: (..., V).
        parents: (V,), the root is its own parent.

    Returns:
        Bones (..., V, C) and their scores (..., V), the smaller one of both ends; a bone with a
        missing end is missing (0 and 0).
    """
    parents = np.asarray(parents)
    bone_score = np.minimum(score, score[..., parents])
    bone = keypoint - keypoint[..., parents, :]
    return np.where(bone_score[..., None] > 0, bone, 0).astype(keypoint.dtype), bone_score


def motion_stream(keypoint: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Step to the next frame, x[t + 1] - x[t]; the last frame has none (0, score 0).

    Args:
        keypoint: (..., T, V, C).
        score: (..., T, V).

    Returns:
        Steps (..., T, V, C) and their scores (..., T, V), the smaller one of both frames; where a
        point is missing in one of the two, the step is missing (0 and 0).
    """
    motion_score = np.zeros_like(score)
    motion_score[..., :-1, :] = np.minimum(score[..., :-1, :], score[..., 1:, :])
    motion = np.zeros_like(keypoint)
    motion[..., :-1, :, :] = keypoint[..., 1:, :, :] - keypoint[..., :-1, :, :]
    return np.where(motion_score[..., None] > 0, motion, 0).astype(keypoint.dtype), motion_score


def hand_local(keypoint: np.ndarray, seen: np.ndarray, layout: Layout) -> np.ndarray:
    """Each hand joint relative to its hand root, in hand sizes; 0 for all other joints.

    The size of a hand is the clip's median distance from its root to its middle finger's base; a
    hand that never shows both has the other one's size. Missing joints, and joints of a missing
    root, are 0.

    Args:
        keypoint: (M, T, V, C).
        seen: bool (M, T, V).
        layout: Layout of the V points.

    Returns:
        (M, T, V, C).

    Raises:
        ValueError: The layout has no hands.
    """
    hands = hands_of(layout)
    if not hands:
        raise ValueError(
            f"layout {layout.name!r} has no hands (parts left_hand / right_hand with a landmark "
            "left_hand_root / right_hand_root and a joint named middle...), so there are no "
            "'hand_local' channels"
        )
    local = np.zeros_like(keypoint)
    sizes = [hand_sizes(keypoint, seen, hand) for hand in hands]
    either = np.concatenate(sizes)
    if not len(either):
        return local
    for hand, size in zip(hands, sizes, strict=True):
        joints = list(hand.joints)
        unit = float(np.median(size if len(size) else either))
        offset = (keypoint[..., joints, :] - keypoint[..., [hand.root], :]) / unit
        both = seen[..., joints] & seen[..., [hand.root]]
        local[..., joints, :] = np.where(both[..., None], offset, 0)
    return local


def velocity(keypoint: np.ndarray, seen: np.ndarray, gain: float = VELOCITY_GAIN) -> np.ndarray:
    """Mean of the steps from the frame before and to the frame after, times `gain`.

    That is the central difference inside a clip and the one-sided one at its ends and beside a
    missing frame; 0 where no step is known.

    Args:
        keypoint: (..., T, V, C).
        seen: bool (..., T, V).
        gain: Factor, see VELOCITY_GAIN.

    Returns:
        (..., T, V, C), per sampled frame.
    """
    step = keypoint[..., 1:, :, :] - keypoint[..., :-1, :, :]
    known = (seen[..., 1:, :] & seen[..., :-1, :])[..., None]
    step = np.where(known, step, 0)
    total = np.zeros_like(keypoint)
    count = np.zeros((*seen.shape, 1), dtype=keypoint.dtype)
    total[..., :-1, :, :] += step
    total[..., 1:, :, :] += step
    count[..., :-1, :, :] += known
    count[..., 1:, :, :] += known
    return gain * total / np.maximum(count, 1)


@TRANSFORMS.register_module()
class SkeletonStream(BaseTransform):
    """Turn joints into one of the streams joint, bone, joint motion and bone motion.

    Comes after frame sampling (PoseDecode): motion is the step between two sampled frames, and
    its unit is length per sampled frame. Samplings of one clip (`num_clips` > 1) do not move into
    one another. mmaction's FormatGCNInput then appends `keypoint_score` as the last channel.

    Required Keys:

        - keypoint (M, num_clips * T, V, C)
        - keypoint_score (optional) (M, num_clips * T, V)
        - layout (or see `layout` below)
        - num_clips (optional)

    Modified Keys:

        - keypoint (M, num_clips * T, V, C * (1 + number of extra channels))
        - keypoint_score (removed with score=False)

    Added Keys:

        - stream

    Args:
        stream: 'j' joints, 'b' bones (child minus parent), 'jm' and 'bm' their motion.
        extra: Further channels behind the stream's, always of the joints, whatever the stream:
            'hand_local' (hand joints relative to their hand root, in hand sizes) and 'velocity'
            (four times the step per frame).
        score: Keep the score for the network. False drops it.
        layout: Layout of the clips that do not name theirs, as those of mmaction's PoseDataset.
    """

    def __init__(
        self,
        stream: str = "j",
        extra: Sequence[str] = (),
        score: bool = True,
        layout: str | os.PathLike | Mapping | Layout | None = None,
    ) -> None:
        if stream not in STREAMS:
            raise ValueError(f"SkeletonStream: stream {stream!r} is unknown; use one of {', '.join(STREAMS)}")
        if isinstance(extra, str):
            extra = (extra,)
        for name in extra:
            if name not in EXTRA_CHANNELS:
                raise ValueError(
                    f"SkeletonStream: extra channel {name!r} is unknown; use some of {', '.join(EXTRA_CHANNELS)}"
                )
        self.stream = stream
        self.extra = tuple(extra)
        self.score = score
        self.layout = None if layout is None else get_layout(layout)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace `keypoint` and `keypoint_score` by the stream's."""
        if "stream" in results:
            raise ValueError(
                f"SkeletonStream stands twice in the pipeline (the clip is stream "
                f"{results['stream']!r} already); keep one"
            )
        layout = clip_layout(results, self.layout, self)
        joints = results["keypoint"]
        seen = seen_points(joints, results.get("keypoint_score"))
        score = results.get("keypoint_score")
        if score is None:
            score = seen.astype(joints.dtype)
        points = joints
        if self.stream in ("b", "bm"):
            points, score = bone_stream(points, score, layout.parents)
        if self.stream in ("jm", "bm"):
            clips = results.get("num_clips", 1)
            moved, moved_score = motion_stream(split_clips(points, clips), split_clips(score, clips))
            points, score = moved.reshape(points.shape), moved_score.reshape(score.shape)
        channels = [points, *(self._extra(name, joints, seen, layout, results) for name in self.extra)]
        results["keypoint"] = np.concatenate(channels, axis=-1) if self.extra else points
        if not self.score:
            results.pop("keypoint_score", None)
        elif results.get("keypoint_score") is not None:
            results["keypoint_score"] = score
        results["stream"] = self.stream
        return results

    def _extra(
        self, name: str, joints: np.ndarray, seen: np.ndarray, layout: Layout, results: dict[str, Any]
    ) -> np.ndarray:
        if name == "hand_local":
            return hand_local(joints, seen, layout)
        clips = results.get("num_clips", 1)
        return velocity(split_clips(joints, clips), split_clips(seen, clips)).reshape(joints.shape)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(stream={self.stream!r}, extra={self.extra}, score={self.score})"


def split_clips(array: np.ndarray, num_clips: int) -> np.ndarray:
    """(M, num_clips * T, ...) -> (M, num_clips, T, ...)."""
    return array.reshape(array.shape[0], num_clips, -1, *array.shape[2:])
