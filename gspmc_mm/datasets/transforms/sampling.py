"""Which frames of a clip the network sees."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from gspmc_mm.datasets.transforms.hands import SIDES
from gspmc_mm.datasets.transforms.keypoints import clip_layout, seen_points
from gspmc_mm.skeleton import Layout, get_layout

MODES = ("uniform", "window")


def segment_frames(num_frames: int, clip_len: int, offsets: float | np.ndarray) -> np.ndarray:
    """One frame out of each of `clip_len` equal segments of a clip.

    A clip shorter than `clip_len` is stretched by repeating frames (nearest in time). It is not
    played again from the start: a sign that loops jumps from its last posture to its first, and
    the motion streams would see a spike there that no signer made.

    Args:
        num_frames: Frames of the clip, T >= 1.
        clip_len: Frames wanted.
        offsets: Place inside the segments in [0, 1), one for all or one each (clip_len,).

    Returns:
        int64 (clip_len,), never decreasing, from 0 to T - 1.
    """
    position = (np.arange(clip_len) + offsets) * (num_frames / clip_len)
    return np.minimum(position.astype(np.int64), num_frames - 1)


def signing_span(seen: np.ndarray, layout: Layout) -> tuple[int, int]:
    """First frame, and the one behind the last, in which a hand is seen.

    Args:
        seen: bool (M, T, V).
        layout: Layout of the V points; without hands every point counts.

    Returns:
        `(start, stop)`; the whole clip, (0, T), when no hand is seen at all.
    """
    hands = [joint for side in SIDES for joint in layout.parts.get(f"{side}_hand", ())]
    shown = np.flatnonzero((seen[..., hands] if hands else seen).any(axis=(0, 2)))
    return (int(shown[0]), int(shown[-1]) + 1) if len(shown) else (0, seen.shape[1])


@TRANSFORMS.register_module()
class TrimToSigning(BaseTransform):
    """Cut off what comes before the first and after the last frame in which a hand is seen.

    Recordings begin and end with the hands at rest, often out of the picture. Sampled over the whole recording,
    the same sign lies at another place of the window in every clip.

    Required Keys:

        - keypoint (M, T, V, C)
        - keypoint_score (optional) (M, T, V)
        - layout (or see `layout` below)

    Modified Keys:

        - keypoint
        - keypoint_score
        - total_frames

    Args:
        layout: Layout of the clips that do not name theirs, as those of mmaction's PoseDataset.
    """

    deterministic = True

    def __init__(self, layout: str | os.PathLike | Mapping | Layout | None = None) -> None:
        self.layout = None if layout is None else get_layout(layout)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Shorten `keypoint`, `keypoint_score` and `total_frames`."""
        if "frame_inds" in results:
            raise ValueError("TrimToSigning has to come before SampleSignFrames in the pipeline")
        layout, score = clip_layout(results, self.layout, self), results.get("keypoint_score")
        start, stop = signing_span(seen_points(results["keypoint"], score), layout)
        results["keypoint"] = results["keypoint"][:, start:stop]
        if score is not None:
            results["keypoint_score"] = score[:, start:stop]
        results["total_frames"] = stop - start
        return results

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}()"


@TRANSFORMS.register_module()
class SampleSignFrames(BaseTransform):
    """Choose `clip_len` frames for mmaction's PoseDecode.

    'uniform' cuts the clip into `clip_len` equal segments and takes a random frame of each; in
    test mode the middle one. 'window' first cuts out a random part of the clip, `p_interval` of its
    length, and samples that; in test mode the largest allowed part, from the middle. With
    `num_clips` > 1 training draws that often; testing takes `num_clips` samplings that are shifted
    evenly inside the segments (and windows). Test mode is a function of the clip's length alone: it
    draws nothing, so it leaves the global random state as it is.

    Required Keys:

        - total_frames
        - clip_id (optional)

    Added Keys:

        - frame_inds (num_clips * clip_len,) int64
        - clip_len
        - num_clips
        - frame_interval (None: the step depends on the clip)

    Args:
        clip_len: Frames per sampling.
        num_clips: Samplings per clip.
        mode: 'uniform' or 'window'.
        test_mode: Deterministic sampling.
        p_interval: Smallest and largest part of the clip for 'window'.

    Raises:
        ValueError: At a clip without frames.
    """

    def __init__(
        self,
        clip_len: int,
        num_clips: int = 1,
        mode: str = "uniform",
        test_mode: bool = False,
        p_interval: Sequence[float] = (0.5, 1.0),
    ) -> None:
        if clip_len < 1 or num_clips < 1:
            raise ValueError(
                f"SampleSignFrames: clip_len ({clip_len}) and num_clips ({num_clips}) have to be at least 1"
            )
        if mode not in MODES:
            raise ValueError(f"SampleSignFrames: mode {mode!r} is unknown; use one of {', '.join(MODES)}")
        if len(p_interval) != 2 or not 0 < p_interval[0] <= p_interval[1] <= 1:
            raise ValueError(
                "SampleSignFrames: p_interval is (smallest, largest) part of the clip, "
                f"0 < smallest <= largest <= 1, not {tuple(p_interval)}"
            )
        self.clip_len = clip_len
        self.num_clips = num_clips
        self.mode = mode
        self.test_mode = test_mode
        self.p_interval = tuple(p_interval)

    def _train_frames(self, num_frames: int) -> np.ndarray:
        start, length = 0, num_frames
        if self.mode == "window":
            length = max(1, round(np.random.uniform(*self.p_interval) * num_frames))
            start = np.random.randint(0, num_frames - length + 1)
        return start + segment_frames(length, self.clip_len, np.random.rand(self.clip_len))

    def _test_frames(self, num_frames: int, clip: int) -> np.ndarray:
        shift = (clip + 0.5) / self.num_clips
        start, length = 0, num_frames
        if self.mode == "window":
            length = max(1, round(self.p_interval[1] * num_frames))
            start = int(shift * (num_frames - length))
        return start + segment_frames(length, self.clip_len, shift)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add `frame_inds` and the numbers that describe it."""
        num_frames = int(results["total_frames"])
        if num_frames < 1:
            raise ValueError(
                f"SampleSignFrames: clip {results.get('clip_id')!r} has no frames; leave it out of the data"
            )
        results["frame_inds"] = np.concatenate(
            [
                self._test_frames(num_frames, clip) if self.test_mode else self._train_frames(num_frames)
                for clip in range(self.num_clips)
            ]
        )
        results["clip_len"] = self.clip_len
        results["num_clips"] = self.num_clips
        results["frame_interval"] = None
        return results

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(clip_len={self.clip_len}, num_clips={self.num_clips}, "
            f"mode={self.mode!r}, test_mode={self.test_mode}, p_interval={self.p_interval})"
        )
