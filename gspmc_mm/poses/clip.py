"""One clip of poses and what makes it a sound one."""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np

from gspmc_mm.poses.errors import PoseStoreError


@dataclass
class PoseClip:
    """The poses of one signer performing one sign.

    Attributes:
        clip_id: name of the clip, unique in its store.
        keypoint: (T, V, 2) float32 x, y in pixels; (0, 0) where the score is 0.
        score: (T, V) float32 confidence in [0, 1]; 0 says that the point is missing.
        label: number of the sign, from 0.
        signer: name of the signer, '' if unknown.
        fps: frames per second, 0 if unknown.
        image_size: width and height of the image in pixels.
        splits: names of the splits the clip belongs to, such as 'gsp35/train'.
    """

    clip_id: str
    keypoint: np.ndarray
    score: np.ndarray
    label: int
    signer: str
    fps: float
    image_size: tuple[int, int]
    splits: tuple[str, ...] = ()

    @property
    def num_frames(self) -> int:
        """Number of frames T."""
        return len(self.keypoint)


def check_clip(clip: PoseClip, num_joints: int, num_classes: int | None = None) -> None:
    """Refuse a clip that a store must not hold.

    Args:
        clip: the clip.
        num_joints: points per frame that the layout has.
        num_classes: number of signs, if it is known.

    Raises:
        PoseStoreError: names the clip, the field, what was found and what was expected.
    """
    if not isinstance(clip.clip_id, str) or not clip.clip_id:
        raise PoseStoreError(f"a clip needs a clip_id of at least one letter, got {clip.clip_id!r}")
    _check_facts(clip, num_classes)
    _check_points(clip, num_joints)


def _fail(clip: PoseClip, message: str) -> None:
    raise PoseStoreError(f"clip {clip.clip_id!r}: {message}")


def _check_facts(clip: PoseClip, num_classes: int | None) -> None:
    if not _is_integer(clip.label) or not 0 <= clip.label < 2**31:
        _fail(clip, f"label is {clip.label!r}; expected a whole number from 0")
    if num_classes is not None and clip.label >= num_classes:
        _fail(clip, f"label is {clip.label}, but the header names only {num_classes} classes")
    if not isinstance(clip.signer, str):
        _fail(clip, f"signer is {clip.signer!r}; expected a string ('' if unknown)")
    if not isinstance(clip.fps, numbers.Real) or not (np.isfinite(clip.fps) and clip.fps >= 0):
        _fail(clip, f"fps is {clip.fps!r}; expected a number from 0 (0 = unknown)")
    size = tuple(clip.image_size)
    if len(size) != 2 or not all(_is_integer(n) and 0 < n < 2**31 for n in size):
        _fail(clip, f"image_size is {clip.image_size!r}; expected (width, height) in pixels")
    if isinstance(clip.splits, str) or not all(isinstance(s, str) and s for s in clip.splits):
        _fail(clip, f"splits is {clip.splits!r}; expected a tuple of names")
    if len(set(clip.splits)) != len(clip.splits):
        _fail(clip, f"splits {clip.splits!r} name a split twice")


def _check_points(clip: PoseClip, num_joints: int) -> None:
    keypoint, score = np.asarray(clip.keypoint), np.asarray(clip.score)
    if keypoint.ndim != 3 or keypoint.shape[2] != 2:
        _fail(clip, f"keypoint has the shape {keypoint.shape}; expected (frames, points, 2)")
    if keypoint.shape[0] == 0:
        _fail(clip, "it has no frames")
    if keypoint.shape[1] != num_joints:
        _fail(
            clip,
            f"it has {keypoint.shape[1]} points per frame, but the layout of the store has {num_joints}",
        )
    if score.shape != keypoint.shape[:2]:
        _fail(clip, f"score has the shape {score.shape}; expected {keypoint.shape[:2]}")
    for name, values in (("keypoint", keypoint), ("score", score)):
        if values.dtype.kind not in "fiu":
            _fail(clip, f"{name} holds {values.dtype}; expected real numbers")
        finite = np.isfinite(values)
        if not finite.all():
            frame, joint = (int(i) for i in np.argwhere(~finite)[0][:2])
            _fail(clip, f"{name} of point {joint} in frame {frame} is NaN or infinite")
    if score.min() < 0 or score.max() > 1:
        _fail(clip, f"scores run from {score.min():g} to {score.max():g}; expected [0, 1]")


def _is_integer(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)
