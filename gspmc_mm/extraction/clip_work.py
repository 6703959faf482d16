"""What is done with one clip: decode, find people, prepare or estimate, choose the signer, judge the result."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gspmc_mm.extraction.detectors import PersonDetector
from gspmc_mm.extraction.errors import ClipError
from gspmc_mm.extraction.estimator import LAYOUT, PoseEstimator, Poses, Preparation
from gspmc_mm.extraction.signer import SURE, Track, choose_signer, follow_people, pick_person
from gspmc_mm.extraction.video import ClipFrames
from gspmc_mm.poses import EstimatorInfo, PoseClip
from gspmc_mm.poses.clip_list import ClipList, VideoClip
from gspmc_mm.skeleton import get_layout

_BODY = [get_layout(LAYOUT).landmarks[name] for name in ("nose", "left_shoulder", "right_shoulder")]


@dataclass(frozen=True)
class ClipJob:
    """A clip to extract and where its video lies."""

    clip: VideoClip
    path: str

    @property
    def clip_id(self) -> str:
        """Name of the clip."""
        return self.clip.clip_id


@dataclass
class ClipOutcome:
    """What became of a clip.

    Attributes:
        clip_id: name of the clip.
        clip: its poses; None if it failed.
        reason: '' if it was done, otherwise one of `errors.REASONS`.
        message: what went wrong, in words.
        facts: for the ledger: frames, those with each hand, seconds from opening the video to the result, people,
            chosen, why.
    """

    clip_id: str
    clip: PoseClip | None = None
    reason: str = ""
    message: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """How clips are extracted; pickled to whoever does it.

    Attributes:
        estimator: finds the points.
        detector: finds people; None: one person, the whole picture.
        person: number of the person to take, from 1 left to right; None: the main signer.
        min_person_score: a clip has nobody in it if nose and shoulders nowhere have this mean confidence.
    """

    estimator: PoseEstimator
    detector: PersonDetector | None = None
    person: int | None = None
    min_person_score: float = 0.1

    def __post_init__(self) -> None:
        if self.person is not None and self.person < 1:
            raise ValueError(f"person is {self.person}; people are numbered from 1, from left to right")
        if self.person is not None and self.detector is None:
            raise ValueError("a person can be picked only where people are found; name a detector as well")

    @property
    def info(self) -> EstimatorInfo:
        """What the store says about its points: the estimator, and whose boxes it got."""
        info = self.estimator.info
        if self.detector is None:
            return info
        return EstimatorInfo(**{**info, "version": f"{info['version']}, boxes: {self.detector.name}"})


@dataclass
class PreparedClip:
    """A clip that is decoded: for each person what the estimator needs of every frame; when it was `started`."""

    job: ClipJob
    tracks: list[Track]
    inputs: list[list[Any]]
    frames: ClipFrames
    started: float

    @property
    def clip_id(self) -> str:
        """Name of the clip."""
        return self.job.clip_id


def jobs_of(clips: ClipList) -> list[ClipJob]:
    """The clips of a list with the places of their videos."""
    return [ClipJob(clip, os.fspath(clips.path(clip))) for clip in clips.clips]


def open_frames(job: ClipJob) -> ClipFrames:
    """The frames of a clip, not decoded yet."""
    return ClipFrames(job.path, job.clip.start, job.clip.end)


def find_tracks(frames: ClipFrames, detector: PersonDetector, person: int | None) -> list[Track]:
    """The people of a clip, or the one asked for, by the detector; decodes it once.

    Raises:
        ClipError: nobody is there, or not the person asked for.
    """
    detections = [detector.people(frame) for frame in frames]
    tracks = follow_people(detections, frames.facts.fps)
    if not tracks:
        raise ClipError("no person", f"{frames.path}: the detector found nobody in {len(detections)} frames")
    return tracks if person is None else [pick_person(tracks, person)]


def prepared_frames(frames: ClipFrames, track: Track | None, preparation: Preparation) -> Iterator[Any]:
    """What the estimator needs of each frame, for one person or the whole picture, while it is decoded."""
    for number, frame in enumerate(frames):
        yield preparation(frame, whole_picture(frame) if track is None else track.boxes[number])


def whole_picture(frame: np.ndarray) -> np.ndarray:
    """The box of one signer who fills the picture."""
    return np.array([0, 0, frame.shape[1], frame.shape[0]], dtype=np.float32)


def prepare_clip(
    job: ClipJob, detector: PersonDetector | None, person: int | None, preparation: Preparation
) -> PreparedClip | ClipOutcome:
    """Decode a clip for an estimator that works elsewhere; a failure is an outcome, never an exception."""
    started = time.time()
    frames = open_frames(job)
    try:
        if detector is None:
            inputs = [list(prepared_frames(frames, None, preparation))]
            tracks = [_whole_track(frames)]
        else:
            tracks = find_tracks(frames, detector, person)
            inputs = [list(prepared_frames(frames, track, preparation)) for track in tracks]
    except Exception as error:
        return failure(job, error, started)
    return PreparedClip(job, tracks, inputs, frames, started)


def estimate_clip(job: ClipJob, recipe: Recipe) -> ClipOutcome:
    """All the work on a clip, by an estimator that follows a person; a failure is an outcome, never an exception."""
    started = time.time()
    frames = open_frames(job)
    preparation = recipe.estimator.preparation
    try:
        found: list[Track | None] = [None]
        if recipe.detector is not None:
            found = list(find_tracks(frames, recipe.detector, recipe.person))
        poses = [recipe.estimator.estimate(prepared_frames(frames, track, preparation)) for track in found]
        tracks = [_whole_track(frames) if track is None else track for track in found]
    except Exception as error:
        return failure(job, error, started)
    return finish_clip(job, recipe, tracks, poses, frames, started)


def finish_clip(
    job: ClipJob, recipe: Recipe, tracks: list[Track], poses: list[Poses], frames: ClipFrames, started: float
) -> ClipOutcome:
    """Choose the signer and make the clip for the store; a failure is an outcome, never an exception."""
    try:
        index, people = choose_signer(tracks, poses, frames.image_size, frames.facts.fps)
        chosen = poses[index]
        if len(chosen) != frames.count:
            raise ClipError("error", f"{frames.path}: points for {len(chosen)} of {frames.count} frames")
        best = float(chosen.score[:, _BODY].mean(axis=1).max())
        if best < recipe.min_person_score:
            raise ClipError(
                "no person",
                f"{frames.path}: nose and shoulders have a confidence of {best:.2f} at best in {frames.count} frames "
                f"(nobody below {recipe.min_person_score:g})",
            )
        # A store holds confidences from 0 to 1 and nothing where there is none; networks go a little beyond.
        score = np.clip(np.nan_to_num(chosen.score), 0, 1).astype(np.float32)
        keypoint = np.where(score[..., None] > 0, chosen.keypoint, 0).astype(np.float32)
        clip = PoseClip(
            clip_id=job.clip.clip_id,
            keypoint=keypoint,
            score=score,
            label=job.clip.label,
            signer=job.clip.signer,
            fps=frames.facts.fps,
            image_size=frames.image_size,
            splits=job.clip.splits,
        )
    except Exception as error:
        return failure(job, error, started)
    facts: dict[str, Any] = {"frames": len(chosen), **hands_found(score), "seconds": _since(started)}
    if recipe.detector is not None:
        if recipe.person is not None:
            people = [replace(people[0], person=recipe.person)]
        facts["people"] = [person.to_dict() for person in people]
        facts["chosen"] = people[index].person
        facts["why"] = _why(recipe, len(people))
    return ClipOutcome(job.clip_id, clip, facts=facts)


def hands_found(score: np.ndarray) -> dict[str, int]:
    """In how many frames each hand was found: most of its points surely, of scores (T, 133)."""
    layout = get_layout(LAYOUT)
    sure = score >= SURE
    return {
        side: int((sure[:, list(layout.part_indices(side))].mean(axis=1) > 0.5).sum())
        for side in ("left_hand", "right_hand")
    }


def failure(job: ClipJob, error: Exception, started: float) -> ClipOutcome:
    """The outcome of a clip that could not be extracted."""
    facts = {"seconds": _since(started)}
    if isinstance(error, ClipError):
        return ClipOutcome(job.clip_id, reason=error.reason, message=error.message, facts=facts)
    where = traceback.extract_tb(error.__traceback__)[-1]
    message = f"{job.path}: {type(error).__name__}: {error} ({os.path.basename(where.filename)}, line {where.lineno})"
    return ClipOutcome(job.clip_id, reason="error", message=message, facts=facts)


def _since(started: float) -> float:
    return round(time.time() - started, 3)


def _why(recipe: Recipe, people: int) -> str:
    if recipe.person is not None:
        return f"person {recipe.person} was asked for"
    return "the only person" if people == 1 else f"highest score of {people} people"


def _whole_track(frames: ClipFrames) -> Track:
    box = np.array([0, 0, *frames.image_size], dtype=np.float32)
    return Track(np.tile(box, (frames.count, 1)), np.ones(frames.count, dtype=bool))
