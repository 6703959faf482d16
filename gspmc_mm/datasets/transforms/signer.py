"""Make signers comparable: one origin and one unit of length per clip, and their mirror image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform
from mmengine.logging import MMLogger

from gspmc_mm.datasets.transforms.hands import hand_sizes, hands_of
from gspmc_mm.datasets.transforms.keypoints import clip_layout, plane_of, seen_points, with_plane, zero_missing
from gspmc_mm.skeleton import Layout, get_layout

# Shoulders are about four times as far apart as wrist and base of the middle finger (37 cm and
# 9.5 cm in an adult), so that clips of hands alone get coordinates of the same order as others.
HAND_SIZES_PER_UNIT = 4.0

REFERENCES = ("shoulders", "hands", "box")

Frame = tuple[np.ndarray, float]

# Fallbacks already reported by this process, so that one sentence per cause is printed, not one
# per clip and epoch.
_reported: set[str] = set()


def middle(values: np.ndarray) -> np.ndarray:
    """Median over the first axis. For a hundred numbers, sorting them is ten times as fast as `np.median`."""
    ordered = np.sort(values, axis=0)
    return (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


def shoulder_frame(keypoint: np.ndarray, seen: np.ndarray, layout: Layout) -> Frame | None:
    """Origin (C,) = median shoulder midpoint, unit = median shoulder width.

    Args:
        keypoint: (M, T, V, C).
        seen: bool (M, T, V).
        layout: Layout of the V points.

    Returns:
        None where no frame shows both shoulders apart from each other. With several persons the
        first one with shoulders gives the frame of all: their places to each other remain.
    """
    if not {"left_shoulder", "right_shoulder"} <= set(layout.landmarks):
        return None
    left, right = layout.landmarks["left_shoulder"], layout.landmarks["right_shoulder"]
    for person, person_seen in zip(keypoint, seen, strict=True):
        both = person_seen[:, left] & person_seen[:, right]
        if not both.any():
            continue
        one, other = (person[both, joint].astype(np.float64) for joint in (left, right))
        unit = float(middle(np.sqrt(np.square(one - other).sum(axis=-1))))
        if unit > 0:
            return middle((one + other) / 2), unit
    return None


def hands_frame(keypoint: np.ndarray, seen: np.ndarray, layout: Layout) -> Frame | None:
    """Origin (C,) = median of the seen hand roots, unit = median hand size x 4.

    See `shoulder_frame` for the arguments; None where no hand shows root and middle finger.
    """
    roots, sizes = [], []
    for hand in hands_of(layout):
        roots.append(keypoint[..., hand.root, :][seen[..., hand.root]])
        sizes.append(hand_sizes(keypoint, seen, hand))
    if not sizes or not sum(len(size) for size in sizes):
        return None
    origin = middle(np.concatenate(roots).astype(np.float64))
    return origin, HAND_SIZES_PER_UNIT * float(middle(np.concatenate(sizes)))


def box_frame(keypoint: np.ndarray, seen: np.ndarray, layout: Layout) -> Frame | None:
    """Origin (C,) = centre of the box around all seen points of the clip, unit = its longest side.

    See `shoulder_frame` for the arguments; None where nothing is seen or all is in one place.
    """
    points = keypoint[seen].astype(np.float64)
    if not len(points):
        return None
    low, high = points.min(axis=0), points.max(axis=0)
    unit = float((high - low).max())
    return ((low + high) / 2, unit) if unit > 0 else None


def rescale(keypoint: np.ndarray, origin: np.ndarray, unit: float) -> np.ndarray:
    """(keypoint - origin) / unit of points (..., C) with two or more coordinates, in their own precision."""
    moved = with_plane(keypoint, plane_of(keypoint) - complex(*origin[:2]))
    if len(origin) > 2:
        moved[..., 2:] -= origin[2:].astype(moved.dtype)
    moved /= moved.dtype.type(unit)
    return moved


_FRAMES = {"shoulders": shoulder_frame, "hands": hands_frame, "box": box_frame}


def mirror_points(
    keypoint: np.ndarray, swap: Sequence[int], width: float | None = None, seen: Any = None
) -> np.ndarray:
    """Mirror image in x: x -> width - x (pixels) or -x, left and right joints exchanged.

    Args:
        keypoint: (..., V, C), x first.
        swap: The joint that takes the place of each, an involution (V,).
        width: Image width for pixel coordinates, None for coordinates about the origin.
        seen: bool (..., V); unseen points stay 0. None for all seen.
    """
    mirrored = keypoint.copy()
    x = -keypoint[..., 0] if width is None else width - keypoint[..., 0]
    mirrored[..., 0] = x if seen is None else np.where(seen, x, 0)
    return np.take(mirrored, np.asarray(swap), axis=-2)


@TRANSFORMS.register_module()
class NormalizeSigner(BaseTransform):
    """Put the origin and the unit of length on the signer's body.

    One origin and one unit for the whole clip (medians over its frames), so the movement of the
    body stays; one unit for all axes, so the aspect ratio stays. Missing points stay 0. If the
    reference is nowhere seen in a clip, the box of all seen points takes its place (centre and
    longest side) and a warning is logged once per process; a clip without any point stays as is.

    Required Keys:

        - keypoint (M, T, V, C)
        - keypoint_score (optional) (M, T, V)
        - layout (or see `layout` below)
        - clip_id (optional)

    Modified Keys:

        - keypoint

    Added Keys:

        - normalized (True)

    Args:
        reference: 'shoulders' (midpoint and width), 'hands' (median hand root, and four times the
            distance from wrist to middle finger base) or 'box'.
        layout: Layout of the clips that do not name theirs, as those of mmaction's PoseDataset.
    """

    deterministic = True

    def __init__(
        self, reference: str = "shoulders", layout: str | os.PathLike | Mapping | Layout | None = None
    ) -> None:
        if reference not in REFERENCES:
            raise ValueError(f"NormalizeSigner: reference {reference!r} is unknown; use one of {', '.join(REFERENCES)}")
        self.reference = reference
        self.layout = None if layout is None else get_layout(layout)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace `keypoint` by coordinates in units of the reference."""
        require_joints(results, self)
        keypoint, layout = results["keypoint"], clip_layout(results, self.layout, self)
        seen = seen_points(keypoint, results.get("keypoint_score"))
        frame = _FRAMES[self.reference](keypoint, seen, layout)
        if frame is None:
            frame = box_frame(keypoint, seen, layout)
            self._report(results, layout, nothing=frame is None)
        if frame is not None:
            keypoint = rescale(keypoint, *frame)
            if not seen.all():
                keypoint = zero_missing(keypoint, seen)
        results["keypoint"] = keypoint.astype(np.float32, copy=False)
        results["normalized"] = True
        return results

    def _report(self, results: dict[str, Any], layout: Layout, nothing: bool) -> None:
        cause = "nothing" if nothing else self.reference
        if cause in _reported:
            return
        _reported.add(cause)
        if nothing:
            text = "has no extent (no point seen, or all in one place): left as it is"
        else:
            text = f"never shows its {self.reference}: origin and unit are taken from the box of its seen points"
        MMLogger.get_current_instance().warning(
            f"NormalizeSigner: clip {results.get('clip_id')!r} (layout "
            f"{layout.name!r}) {text}. Further clips like it are not reported."
        )

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(reference={self.reference!r})"


@TRANSFORMS.register_module()
class MirrorSigner(BaseTransform):
    """Turn a signer into the left-handed (right-handed) one, with probability `prob`.

    Left and right joints change places, in coordinates and scores; `LoadSignDescriptions` reads
    `mirrored` and exchanges the texts of left and right parts, so it has to come later.

    Required Keys:

        - keypoint (M, T, V, C)
        - keypoint_score (optional) (M, T, V)
        - layout (or see `layout` below)
        - normalized (optional)
        - img_shape (h, w), for clips in pixels

    Modified Keys:

        - keypoint
        - keypoint_score

    Added Keys:

        - mirrored (bool; mirroring a mirrored clip gives False)

    Args:
        prob: Probability of mirroring a clip.
        layout: Layout of the clips that do not name theirs, as those of mmaction's PoseDataset.
    """

    def __init__(self, prob: float = 0.5, layout: str | os.PathLike | Mapping | Layout | None = None) -> None:
        if not 0 <= prob <= 1:
            raise ValueError(f"MirrorSigner: prob is a probability, 0 to 1, not {prob}")
        self.prob = prob
        self.layout = None if layout is None else get_layout(layout)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Mirror the clip or leave it, and say which in `mirrored`."""
        require_joints(results, self)
        if "text_rows" in results:
            raise ValueError(
                "MirrorSigner comes after LoadSignDescriptions in the pipeline, so the texts of "
                "left and right would not be exchanged; put it before"
            )
        swap = np.asarray(clip_layout(results, self.layout, self).swap)
        results.setdefault("mirrored", False)
        if np.random.rand() >= self.prob:
            return results
        score = results.get("keypoint_score")
        width = None
        if not results.get("normalized", False):
            if results.get("img_shape") is None:
                raise ValueError(
                    f"MirrorSigner: clip {results.get('clip_id')!r} is in pixels and has no "
                    "img_shape; put NormalizeSigner before MirrorSigner"
                )
            width = float(results["img_shape"][1])
        seen = seen_points(results["keypoint"], score)
        results["keypoint"] = mirror_points(results["keypoint"], swap, width, seen)
        if score is not None:
            results["keypoint_score"] = np.take(score, swap, axis=-1)
        results["mirrored"] = not results["mirrored"]
        return results

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(prob={self.prob})"


def require_joints(results: dict[str, Any], transform: BaseTransform) -> None:
    """Refuse a clip whose channels are no longer the coordinates of joints.

    Raises:
        ValueError: `SkeletonStream` came before `transform`.
    """
    if "stream" in results:
        raise ValueError(
            f"{type(transform).__name__} works on joint coordinates, but SkeletonStream "
            f"(stream={results['stream']!r}) comes before it in the pipeline; put it before "
            "SkeletonStream"
        )
