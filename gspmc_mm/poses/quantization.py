"""Pixels and confidences as small integers, and back.

A coordinate is kept as int16 in steps of 1/8 pixel, measured from the centre of the image, so that
the error is at most 1/16 pixel and images of up to 8192 x 8192 pixels fit. A confidence is kept as
uint8 in steps of 1/255. A point with confidence 0 is *missing*: it has no place, and comes back as
exactly (0, 0) with confidence 0, whatever coordinates it had.
"""

from __future__ import annotations

import numpy as np

STEPS_PER_PIXEL = 8
SCORE_STEPS = 255
KEYPOINT_DTYPE = np.dtype("<i2")
SCORE_DTYPE = np.dtype("u1")

_INT16 = np.iinfo(np.int16)


def quantize(keypoint: np.ndarray, score: np.ndarray, image_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and confidences to integers.

    Args:
        keypoint: (T, V, 2) finite x, y in pixels.
        score: (T, V) confidences in [0, 1].
        image_size: width and height of the image in pixels.

    Returns:
        int16 (T, V, 2) eighths of a pixel from the image centre, 0 where the point is missing, and
        uint8 (T, V) confidences in 255ths. A confidence above 0 never becomes 0.

    Raises:
        ValueError: a point with confidence lies more than 4096 pixels from the centre.
    """
    score = np.asarray(score, dtype=np.float64)
    small_score = np.rint(score * SCORE_STEPS).astype(np.uint8)
    # Rounding a faint point to 0 would turn it into a missing one.
    small_score[(small_score == 0) & (score > 0)] = 1

    # In float64: a float32 offset times 8 could round before rint does.
    steps = np.asarray(keypoint, dtype=np.float64) - np.asarray(image_size, dtype=np.float64) / 2
    steps = np.rint(steps * STEPS_PER_PIXEL)
    steps[small_score == 0] = 0
    outside = (steps < _INT16.min) | (steps > _INT16.max)
    if outside.any():
        frame, joint = (int(i) for i in np.argwhere(outside.any(axis=-1))[0])
        x, y = (float(c) for c in keypoint[frame, joint])
        raise ValueError(
            f"point {joint} of frame {frame} lies at ({x:.1f}, {y:.1f}), more than 4096 pixels "
            f"from the centre of the {image_size[0]} x {image_size[1]} image; give points that "
            "the estimator lost a score of 0"
        )
    return steps.astype(KEYPOINT_DTYPE), small_score


def dequantize(keypoint: np.ndarray, score: np.ndarray, image_size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Integers of `quantize` back to float32 pixels (T, V, 2) and confidences (T, V)."""
    pixels = keypoint.astype(np.float32, order="C")
    pixels *= np.float32(1 / STEPS_PER_PIXEL)
    # As x + iy: numpy adds one complex number to each point five times as fast as a pair.
    plane = pixels.view(np.complex64)
    plane += complex(image_size[0] / 2, image_size[1] / 2)
    missing = score == 0
    if missing.any():
        pixels[missing] = 0
    return pixels, score.astype(np.float32) / np.float32(SCORE_STEPS)
