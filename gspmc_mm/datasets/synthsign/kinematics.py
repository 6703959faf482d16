"""Small mathematics of moving bodies: minimum jerk, rotations, the frame of a hand, two-link inverse kinematics."""

from __future__ import annotations

import numpy as np

MIRROR = np.array([-1.0, 1.0, 1.0])
"""Turns what is right into what is left, in the body frame of `motion`."""


def minimum_jerk(x: np.ndarray) -> np.ndarray:
    """Minimum-jerk rise from 0 to 1, clipped outside (Flash and Hogan 1985)."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * x * (10.0 + x * (-15.0 + 6.0 * x))


def back_and_forth(phase: np.ndarray, repeat: int) -> np.ndarray:
    """0 -> 1 in minimum jerk, made ``repeat`` times (with the ways back between), (T,) -> (T,)."""
    halves = 2 * repeat - 1
    position = np.clip(phase, 0.0, 1.0) * halves
    half = np.minimum(np.floor(position), halves - 1)
    rise = minimum_jerk(position - half)
    return np.where(half % 2 == 0, rise, 1.0 - rise)


def rotations(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) of rotation vectors (..., 3) (Rodrigues)."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    angle = np.sqrt(x * x + y * y + z * z)
    safe = np.where(angle > 1e-12, angle, 1.0)
    x, y, z = x / safe, y / safe, z / safe
    cos, sin = np.cos(angle), np.sin(angle)
    rest = 1.0 - cos
    matrices = np.empty((*vectors.shape, 3))
    matrices[..., 0, 0] = cos + rest * x * x
    matrices[..., 1, 1] = cos + rest * y * y
    matrices[..., 2, 2] = cos + rest * z * z
    for row, column, symmetric, skew in ((0, 1, x * y, z), (2, 0, x * z, y), (1, 2, y * z, x)):
        matrices[..., row, column] = rest * symmetric - sin * skew
        matrices[..., column, row] = rest * symmetric + sin * skew
    return matrices


def rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Rotation vector (3,) of one rotation matrix (3, 3); inverse of :func:`rotations`."""
    angle = np.arccos(np.clip((np.trace(matrix) - 1.0) / 2.0, -1.0, 1.0))
    skew = np.array([matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]])
    if angle < 1e-9:
        return np.zeros(3)
    if np.pi - angle < 1e-6:  # the skew part vanishes at half a turn; the axis is in R + 1
        columns = matrix + np.eye(3)
        axis = columns[:, np.argmax(np.linalg.norm(columns, axis=0))]
    else:
        axis = skew
    return axis / np.linalg.norm(axis) * angle


def hand_frame(palm: np.ndarray, fingers: np.ndarray, tilt: float = 0.0) -> np.ndarray:
    """Frame (3, 3) of a right hand, columns u (fingers), v (thumb side), w (palm), in body axes.

    ``tilt`` bends the fingers a little up and inwards, as a relaxed wrist does.
    """
    w = palm / np.sqrt(palm @ palm)
    u = fingers + tilt * np.array([0.4, -0.8, 0.3])
    u = u - (u @ w) * w
    u = u / np.sqrt(u @ u)
    v = (w[1] * u[2] - w[2] * u[1], w[2] * u[0] - w[0] * u[2], w[0] * u[1] - w[1] * u[0])
    return np.array([u, v, w]).T


def solve_elbow(
    shoulder: np.ndarray, wrist: np.ndarray, upper_arm: float, forearm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Two-link inverse kinematics of a right arm, elbow down and outwards.

    Args:
        shoulder: (T, 3).
        wrist: (T, 3), where it should go.
        upper_arm: length of the upper arm.
        forearm: length of the forearm.

    Returns:
        elbow and wrist (T, 3); a wrist out of reach is moved along the line from the shoulder, so
        both lengths always hold.
    """
    line = wrist - shoulder
    far = np.linalg.norm(line, axis=-1, keepdims=True)
    direction = line / np.maximum(far, 1e-9)
    reach = np.clip(far, abs(upper_arm - forearm) + 0.05, 0.995 * (upper_arm + forearm))
    along = (upper_arm**2 - forearm**2 + reach**2) / (2.0 * reach)
    height = np.sqrt(np.maximum(upper_arm**2 - along**2, 0.0))
    pole = np.array([-0.75, 0.9, -0.25])
    side = pole - (direction @ pole)[:, None] * direction
    side /= np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-9)
    return shoulder + along * direction + height * side, shoulder + reach * direction
