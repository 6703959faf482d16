"""Who signs: people are followed through a clip, and the main signer is chosen among them.

A person counts as the signer the more they move their hands, the larger and the nearer to the centre they are, and the
longer they are in the clip. What each person scored is kept with the choice, so that it can be looked at and overruled.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import linear_sum_assignment

from gspmc_mm.extraction.errors import ClipError
from gspmc_mm.extraction.estimator import LAYOUT, Poses
from gspmc_mm.skeleton import get_layout

# A box belongs to a track if it overlaps its last one by this much (intersection over union)...
SAME_PERSON = 0.2
# ... and the track was seen at most this long ago.
LOST_AFTER_SECONDS = 1.5
DEFAULT_FPS = 25.0
# Whoever is this much smaller than the largest, or in this few of the frames, is not looked at further.
SMALL, BRIEF = 0.15, 0.2
MOST_PEOPLE = 4
# Boxes of a detector tremble; the crop should not.
STEADY_FRAMES = 3.0

#: What makes a signer, and by how much. All four lie between 0 and 1.
WEIGHTS = {"hands": 0.4, "size": 0.3, "centre": 0.15, "continuity": 0.15}
# Hands seen with less confidence than this say nothing about activity.
SURE = 0.3
# Shoulder widths per second: nobody signs faster, jumps of an estimator are.
FASTEST = 10.0
# Below it nobody moves, and the quickest of the resting is no signer for that.
RESTING = 0.15

_MARKS = get_layout(LAYOUT).landmarks


@dataclass
class Track:
    """One person through a clip of T frames.

    Attributes:
        boxes: (T, 4) float32 left, top, right, bottom in every frame, bridged where the person was not seen.
        seen: (T,) bool, where the detector saw the person.
    """

    boxes: np.ndarray
    seen: np.ndarray


@dataclass(frozen=True)
class PersonFacts:
    """What one person scored. `person` counts from 1, from left to right in the picture.

    `size` is the area relative to the largest person's, `centre` 1 in the middle of the picture and 0 in its corner,
    `continuity` the share of frames in which they were seen, `hands` the speed of their quicker hand relative to the
    most active person's, `hand_speed` that speed in shoulder widths per second.
    """

    person: int
    size: float
    centre: float
    continuity: float
    hands: float
    hand_speed: float
    score: float

    def to_dict(self) -> dict[str, float]:
        """For the ledger, to three digits."""
        return {name: value if name == "person" else round(value, 3) for name, value in asdict(self).items()}


def follow_people(detections: list[np.ndarray], fps: float) -> list[Track]:
    """Join the boxes of each frame to people.

    Frame by frame the boxes go to the tracks so that the sum of the overlaps is largest.

    Args:
        detections: for each of T frames the boxes (N, 4) found in it.
        fps: frames per second, 0 if unknown.

    Returns:
        Those who are worth looking at, at most `MOST_PEOPLE`, from left to right.
    """
    patience = max(1, round(LOST_AFTER_SECONDS * (fps or DEFAULT_FPS)))
    paths: list[dict[int, np.ndarray]] = []
    for frame, boxes in enumerate(detections):
        alive = [path for path in paths if frame - max(path) <= patience]
        overlaps = overlap(np.array([path[max(path)] for path in alive]).reshape(-1, 4), boxes)
        free = set(range(len(boxes)))
        for row, column in zip(*linear_sum_assignment(-overlaps), strict=True):
            if overlaps[row, column] >= SAME_PERSON:
                alive[row][frame] = boxes[column]
                free.discard(column)
        paths += [{frame: boxes[column]} for column in sorted(free)]
    tracks = [_bridged(path, len(detections)) for path in paths]
    areas = [_median_area(track) for track in tracks]
    worth = [
        (area * track.seen.mean(), track)
        for area, track in zip(areas, tracks, strict=True)
        if area >= SMALL * max(areas) and track.seen.mean() >= BRIEF
    ]
    worth.sort(key=_importance, reverse=True)
    return sorted((track for _, track in worth[:MOST_PEOPLE]), key=_middle)


def overlap(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (N, 4) and (M, 4): (N, M)."""
    corner = np.maximum(first[:, None, :2], second[None, :, :2])
    opposite = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.clip(opposite - corner, 0, None).prod(axis=-1)
    areas = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (first, second)]
    return shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)


def pick_person(tracks: list[Track], person: int) -> Track:
    """The person of this number, from 1, left to right.

    Raises:
        ClipError: there are fewer people.
    """
    if person > len(tracks):
        raise ClipError("no person", f"person {person} was asked for, but there are {len(tracks)} in the clip")
    return tracks[person - 1]


def choose_signer(
    tracks: list[Track], poses: list[Poses], image_size: tuple[int, int], fps: float
) -> tuple[int, list[PersonFacts]]:
    """Index of the main signer among the tracks, and what each of them scored."""
    speeds = [hand_speed(found, fps) for found in poses]
    areas = [_median_area(track) for track in tracks]
    facts = []
    for number, (track, area, speed) in enumerate(zip(tracks, areas, speeds, strict=True), start=1):
        parts = {
            "hands": speed / max(speeds) if max(speeds) > RESTING else 0.0,
            "size": float(area / max(areas)),
            "centre": _centrality(track, image_size),
            "continuity": float(track.seen.mean()),
        }
        score = sum(WEIGHTS[name] * value for name, value in parts.items())
        facts.append(PersonFacts(person=number, hand_speed=speed, score=score, **parts))
    scores = [fact.score for fact in facts]
    return int(np.argmax(scores)), facts


def hand_speed(poses: Poses, fps: float) -> float:
    """Mean speed of the quicker hand relative to the shoulders, in shoulder widths per second; 0 if never seen."""
    shoulders = [_MARKS["left_shoulder"], _MARKS["right_shoulder"]]
    width = np.linalg.norm(np.diff(poses.keypoint[:, shoulders], axis=1)[:, 0], axis=-1)
    sure_body = (poses.score[:, shoulders] >= SURE).all(axis=1)
    if not sure_body.any():
        return 0.0
    unit = max(float(np.median(width[sure_body])), 1.0)
    origin = poses.keypoint[:, shoulders].mean(axis=1)
    speeds = []
    for side in ("left", "right"):
        root, wrist = _MARKS[f"{side}_hand_root"], _MARKS[f"{side}_wrist"]
        use_root = poses.score[:, root] >= SURE
        place = np.where(use_root[:, None], poses.keypoint[:, root], poses.keypoint[:, wrist]) - origin
        sure = sure_body & (use_root | (poses.score[:, wrist] >= SURE))
        steps = np.linalg.norm(np.diff(place, axis=0), axis=-1) / unit * (fps or DEFAULT_FPS)
        steps = np.minimum(steps[sure[1:] & sure[:-1]], FASTEST)
        speeds.append(float(steps.sum()) / max(len(sure) - 1, 1))
    return max(speeds)


def _bridged(path: dict[int, np.ndarray], frames: int) -> Track:
    known = np.array(sorted(path))
    values = np.array([path[frame] for frame in known], dtype=np.float64)
    every = np.arange(frames)
    boxes = np.stack([np.interp(every, known, values[:, side]) for side in range(4)], axis=1)
    boxes = gaussian_filter1d(boxes, STEADY_FRAMES, axis=0, mode="nearest")
    return Track(boxes.astype(np.float32), np.isin(every, known))


def _median_area(track: Track) -> float:
    sides = track.boxes[track.seen, 2:] - track.boxes[track.seen, :2]
    return float(np.median(sides.prod(axis=1)))


def _middle(track: Track) -> float:
    return float(np.median(track.boxes[track.seen][:, [0, 2]].mean(axis=1)))


def _importance(weighed: tuple[float, Track]) -> float:
    return weighed[0]


def _centrality(track: Track, image_size: tuple[int, int]) -> float:
    half = np.array(image_size) / 2
    middle = np.median((track.boxes[track.seen, :2] + track.boxes[track.seen, 2:]) / 2, axis=0)
    return float(1 - np.linalg.norm(middle - half) / np.linalg.norm(half))
