"""Small random changes of camera: rotation, scale, shear and shift in the image plane."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mmaction.registry import TRANSFORMS
from mmcv.transforms import BaseTransform

from gspmc_mm.datasets.transforms.keypoints import plane_of, seen_points, with_plane
from gspmc_mm.datasets.transforms.signer import require_joints


def planar_matrix(degrees: float, scale: float = 1.0, shear_x: float = 0.0, shear_y: float = 0.0) -> np.ndarray:
    """The 2 x 2 matrix rotation(degrees) @ [[1, shear_x], [shear_y, 1]] * scale.

    A positive angle turns x towards y: clockwise to the eye, as y points down in images.
    """
    angle = math.radians(degrees)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return scale * rotation @ np.array([[1.0, shear_x], [shear_y, 1.0]])


def apply_planar(keypoint: np.ndarray, seen: np.ndarray, matrix: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """x, y -> matrix (x, y) + shift for the seen points; further coordinates stay.

    Args:
        keypoint: (..., V, C), C >= 2.
        seen: bool (..., V).
        matrix: (2, 2).
        shift: (2,).
    """
    # Any real 2 x 2 matrix is z -> turn z + fold conj(z), z = x + iy.
    (xx, xy), (yx, yy) = matrix.tolist()
    turn, fold = complex(xx + yy, yx - xy) / 2, complex(xx - yy, yx + xy) / 2
    plane = plane_of(keypoint)
    moved = plane.conj()
    moved *= fold
    moved += turn * plane
    moved += complex(*shift)
    return with_plane(keypoint, moved if seen.all() else np.where(seen, moved, plane))


@TRANSFORMS.register_module()
class RandomPlanarAffine(BaseTransform):
    """Rotate, scale, shear and shift a clip in the plane, one random draw for all its frames.

    About the origin, so `NormalizeSigner` has to come before. Missing points stay 0, scores are
    never touched.

    Required Keys:

        - keypoint (M, T, V, C)
        - keypoint_score (optional) (M, T, V)
        - normalized, for clips that came in pixels

    Modified Keys:

        - keypoint

    Args:
        rotate: Largest angle in degrees, drawn from [-rotate, rotate].
        scale: Largest change of size; the factor is drawn from [1 - scale, 1 + scale].
        shear: Largest shear of x along y and of y along x, drawn one by one.
        shift: Largest shift in x and in y, in units of the coordinates (shoulder widths).
        prob: Probability that a clip is changed at all.
    """

    def __init__(
        self,
        rotate: float = 10.0,
        scale: float = 0.1,
        shear: float = 0.1,
        shift: float = 0.1,
        prob: float = 1.0,
    ) -> None:
        largest = {"rotate": rotate, "scale": scale, "shear": shear, "shift": shift}
        for name, value in largest.items():
            if value < 0:
                raise ValueError(f"RandomPlanarAffine: {name} is a largest amount >= 0, not {value}")
        if scale >= 1 or shear >= 1:
            raise ValueError(
                f"RandomPlanarAffine: scale ({scale}) and shear ({shear}) have to be below 1, or "
                "the signer may vanish or turn inside out"
            )
        if not 0 <= prob <= 1:
            raise ValueError(f"RandomPlanarAffine: prob is a probability, 0 to 1, not {prob}")
        self.rotate = rotate
        self.scale = scale
        self.shear = shear
        self.shift = shift
        self.prob = prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace `keypoint` by a randomly moved copy."""
        require_joints(results, self)
        if not results.get("normalized", False) and results.get("img_shape") is not None:
            raise ValueError(
                f"RandomPlanarAffine: clip {results.get('clip_id')!r} is in pixels, where the "
                "origin is a corner of the image; put NormalizeSigner before RandomPlanarAffine"
            )
        if np.random.rand() >= self.prob:
            return results
        degrees = np.random.uniform(-self.rotate, self.rotate)
        scale = np.random.uniform(1 - self.scale, 1 + self.scale)
        shear_x, shear_y = np.random.uniform(-self.shear, self.shear, size=2)
        shift = np.random.uniform(-self.shift, self.shift, size=2)
        keypoint = results["keypoint"]
        results["keypoint"] = apply_planar(
            keypoint,
            seen_points(keypoint, results.get("keypoint_score")),
            planar_matrix(degrees, scale, shear_x, shear_y),
            shift,
        )
        return results

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(rotate={self.rotate}, scale={self.scale}, "
            f"shear={self.shear}, shift={self.shift}, prob={self.prob})"
        )
