"""Clips that show one performance: equal in every number, or so near that they must be copies of one recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from gspmc_mm.poses.audit_measures import Measures, signature_distance
from gspmc_mm.poses.store import PoseStore
from gspmc_mm.skeleton import Layout

#: Copies of one recording (encoded or scaled anew, a frame more or less) differ by the noise of the estimator: 0.006 to
#: 0.016 shoulder widths in WLASL. The most alike two takes of one person differ by 0.028 in bdsl55 and 0.046 in WLASL.
COPY_DISTANCE = 0.02
_CANDIDATE_DISTANCE = 0.1
_HOPELESS = 0.2  # clips so far apart come no nearer by a shift of two frames
_SHIFTS = 2  # frames by which a copy may begin earlier or later
_SEEN_ALIKE = 0.9
_LENGTH_ALIKE = 0.1
_PROJECTED = 12


@dataclass(frozen=True)
class Copy:
    """Two clips of one recording.

    Attributes:
        first, second: numbers of the clips, first < second.
        distance: in shoulder widths; 0 where every stored number is equal.
        identical: every stored number is equal.
    """

    first: int
    second: int
    distance: float
    identical: bool


def find_copies(store: PoseStore, measures: Measures) -> list[Copy]:
    """Pairs of clips that are copies, those of equal numbers as a chain (each with the one before it).

    Candidates are near each other in a projection of their signatures to a few directions, where a tree finds them
    without comparing all pairs. They are then read and compared frame by frame. A copy that was cut elsewhere, by more
    than a tenth of its length, is not found.
    """
    seen = measures.seen > 0  # clips without any point are no copies of one another but empty
    copies = []
    first_of: dict[bytes, int] = {}
    unique = []
    for index in np.flatnonzero(seen).tolist():
        digest = measures.digests[index].tobytes()
        if digest in first_of:
            copies.append(Copy(first_of[digest], index, 0.0, identical=True))
        else:
            unique.append(index)
        first_of[digest] = index
    rows = np.array(unique, dtype=np.int64)
    for i, j in _candidates(measures.signatures[rows]):
        distance = clip_distance(store, int(rows[i]), int(rows[j]))
        if distance <= COPY_DISTANCE:
            copies.append(Copy(int(rows[i]), int(rows[j]), distance, identical=False))
    return sorted(copies, key=lambda copy: (copy.first, copy.second))


def clip_distance(store: PoseStore, first: int, second: int) -> float:
    """Root mean square distance of the points that both clips show, place- and size-free, in shoulder widths.

    The smallest one of frame against frame, shifted by up to `_SHIFTS` frames against each other, and of both resampled
    to one length. Infinite where the lengths or the seen points of the two differ too much for copies.
    """
    lengths = [int(store.frames[index]) for index in (first, second)]
    if abs(lengths[0] - lengths[1]) > max(_SHIFTS, _LENGTH_ALIKE * max(lengths)):
        return np.inf
    clips = [store.clip(index) for index in (first, second)]
    points = [clip.keypoint.astype(np.float64) for clip in clips]
    seen = [clip.score > 0 for clip in clips]
    pairs = []
    for shift in sorted(range(-_SHIFTS, _SHIFTS + 1), key=abs):
        starts = (max(shift, 0), max(-shift, 0))
        count = min(length - start for length, start in zip(lengths, starts, strict=True))
        if count >= max(lengths) - 2 * _SHIFTS and count > 0:
            pairs.append([np.arange(start, start + count) for start in starts])
    if lengths[0] != lengths[1]:
        pairs.append([np.rint(np.linspace(0, length - 1, max(lengths))).astype(int) for length in lengths])
    unit = _shoulder_width(store.layout, points[0], seen[0])
    nearest = np.inf
    for frames in pairs:
        nearest = min(nearest, _distance(points, seen, frames, unit))
        if nearest > _HOPELESS:
            break
    return nearest


def _distance(points: list[np.ndarray], seen: list[np.ndarray], frames: list[np.ndarray], unit: float) -> float:
    ours, theirs = seen[0][frames[0]], seen[1][frames[1]]
    both = ours & theirs
    if not both.any() or both.sum() < _SEEN_ALIKE * (ours | theirs).sum():
        return np.inf
    placed = [clip[rows][both] for clip, rows in zip(points, frames, strict=True)]
    placed = [clip - clip.mean(axis=0) for clip in placed]
    # One factor between the two makes them equally large.
    sizes = [float(np.sqrt((clip**2).sum(axis=-1).mean())) for clip in placed]
    if min(sizes) <= 0:
        return np.inf
    difference = placed[0] - placed[1] * (sizes[0] / sizes[1])
    return float(np.sqrt((difference**2).sum(axis=-1).mean()) / unit)


def _shoulder_width(layout: Layout, points: np.ndarray, seen: np.ndarray) -> float:
    """In pixels; without shoulders the mean distance of the points from their middle."""
    marks = layout.landmarks
    if {"left_shoulder", "right_shoulder"} <= set(marks):
        pair = [marks["left_shoulder"], marks["right_shoulder"]]
        frames = seen[:, pair].all(axis=1)
        if frames.any():
            width = float(np.median(np.linalg.norm(points[frames, pair[0]] - points[frames, pair[1]], axis=-1)))
            return max(width, 1.0)
    placed = points[seen] - points[seen].mean(axis=0)
    return max(float(np.sqrt((placed**2).sum(axis=-1).mean())), 1.0)


def _candidates(signatures: np.ndarray) -> list[tuple[int, int]]:
    if len(signatures) < 2:
        return []
    values = signatures.shape[1]
    random = np.random.default_rng(0).normal(size=(values, min(_PROJECTED, values)))
    basis, _ = np.linalg.qr(random)
    radius = _CANDIDATE_DISTANCE * np.sqrt(values / 2)
    # A projection to d of D directions keeps about d/D of a squared distance. With two and a half times that, a pair at
    # the radius is lost three times in a thousand, and a copy, at a fraction of it, practically never.
    shrunk = radius * np.sqrt(min(1.0, 2.5 * basis.shape[1] / values))
    pairs = cKDTree(signatures @ basis).query_pairs(shrunk, output_type="ndarray")
    near = signature_distance(signatures[pairs[:, 0]], signatures[pairs[:, 1]]) <= _CANDIDATE_DISTANCE
    return [(int(i), int(j)) for i, j in pairs[near]]
