"""Stations: one loaded estimator each, through which clips go. Engines put stations on processes or machines."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from gspmc_mm.extraction.clip_work import (
    ClipJob,
    ClipOutcome,
    PreparedClip,
    Recipe,
    estimate_clip,
    failure,
    finish_clip,
    prepare_clip,
)
from gspmc_mm.extraction.detectors import PersonDetector
from gspmc_mm.extraction.estimator import NUM_POINTS, Poses, Preparation
from gspmc_mm.extraction.worker_pool import LocalPool, in_background

# Batches under way at once: while one is in the network the other is decoded from heat maps to points.
BATCHES_AT_ONCE = 2


class SequentialStation:
    """One clip after another, by an estimator that follows a person through it."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def start(self) -> None:
        """Load estimator and detector."""
        self.recipe.estimator.load()
        if self.recipe.detector is not None:
            self.recipe.detector.load()

    def run(self, jobs: list[ClipJob]) -> Iterator[ClipOutcome]:
        """One outcome for each clip."""
        for job in jobs:
            yield estimate_clip(job, self.recipe)

    def stop(self) -> None:
        """Nothing is held."""


class ClipPreparer:
    """The decoding process of a `BatchedStation`."""

    def __init__(self, detector: PersonDetector | None, person: int | None, preparation: Preparation) -> None:
        self.detector, self.person, self.preparation = detector, person, preparation

    def start(self) -> None:
        """Load the detector."""
        if self.detector is not None:
            self.detector.load()

    def run(self, jobs: list[ClipJob]) -> Iterator[PreparedClip | ClipOutcome]:
        """Each clip prepared, or failed."""
        for job in jobs:
            yield prepare_clip(job, self.detector, self.person, self.preparation)

    def stop(self) -> None:
        """Nothing is held."""


class BatchedStation:
    """One network that is kept busy: other processes decode and prepare, and batches run across clips.

    Args:
        recipe: how clips are extracted; its estimator has independent frames.
        decoders: decoding processes.
        timeout: seconds that decoding one clip may take; None: no limit.
    """

    def __init__(self, recipe: Recipe, decoders: int, timeout: float | None = None) -> None:
        self.recipe, self.decoders, self.timeout = recipe, decoders, timeout
        self._pool: LocalPool | None = None
        self._threads: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Load the estimator; the decoding processes begin with the first clip."""
        estimator = self.recipe.estimator
        estimator.load()
        preparer = ClipPreparer(self.recipe.detector, self.recipe.person, estimator.preparation)
        self._pool = LocalPool([preparer] * self.decoders, timeout=self.timeout)
        self._threads = ThreadPoolExecutor(BATCHES_AT_ONCE)

    def stop(self) -> None:
        """End the decoding processes."""
        if self._pool is not None:
            self._pool.close()
            self._threads.shutdown(cancel_futures=True)

    def run(self, jobs: list[ClipJob]) -> Iterator[ClipOutcome]:
        """One outcome for each clip, about in the order in which their last frames get through the network."""
        size = self.recipe.estimator.batch_size
        waiting: list[_Frame] = []
        under_way: deque[tuple[list[_Frame], Future]] = deque()
        prepared = in_background(self._pool.run(jobs), depth=self.decoders)
        try:
            for clip in prepared:
                if isinstance(clip, ClipOutcome):
                    yield clip
                    continue
                waiting += _frames_of(clip)
                while len(waiting) >= size:
                    under_way.append(self._submit(waiting[:size]))
                    waiting = waiting[size:]
                    if len(under_way) == BATCHES_AT_ONCE:
                        yield from self._settle(*under_way.popleft())
        finally:
            prepared.close()
        if waiting:
            under_way.append(self._submit(waiting))
        while under_way:
            yield from self._settle(*under_way.popleft())

    def _submit(self, batch: list[_Frame]) -> tuple[list[_Frame], Future]:
        return batch, self._threads.submit(self.recipe.estimator.estimate, [frame.content for frame in batch])

    def _settle(self, batch: list[_Frame], future: Future) -> Iterator[ClipOutcome]:
        try:
            poses: Poses = future.result()
        except Exception as error:
            for clip in {id(frame.clip): frame.clip for frame in batch}.values():
                if clip.open:
                    clip.open = False
                    yield failure(clip.prepared.job, error, clip.prepared.started)
            return
        for frame, keypoint, score in zip(batch, poses.keypoint, poses.score, strict=True):
            clip = frame.clip
            clip.poses[frame.person].keypoint[frame.number] = keypoint
            clip.poses[frame.person].score[frame.number] = score
            clip.missing -= 1
            if clip.open and clip.missing == 0:
                clip.open = False
                done = clip.prepared
                yield finish_clip(done.job, self.recipe, done.tracks, clip.poses, done.frames, done.started)


Station = SequentialStation | BatchedStation


def make_station(recipe: Recipe, decoders: int, timeout: float | None = None) -> Station:
    """The station that an estimator needs."""
    if recipe.estimator.independent_frames:
        return BatchedStation(recipe, decoders, timeout)
    return SequentialStation(recipe)


class _OpenClip:
    """A clip whose frames are on their way through the network."""

    def __init__(self, prepared: PreparedClip) -> None:
        self.prepared, self.open = prepared, True
        counts = [len(inputs) for inputs in prepared.inputs]
        self.missing = sum(counts)
        self.poses = [
            Poses(np.zeros((count, NUM_POINTS, 2), np.float32), np.zeros((count, NUM_POINTS), np.float32))
            for count in counts
        ]


class _Frame:
    """One person in one frame of a clip."""

    __slots__ = ("clip", "content", "number", "person")

    def __init__(self, clip: _OpenClip, person: int, number: int, content: Any) -> None:
        self.clip, self.person, self.number, self.content = clip, person, number, content


def _frames_of(prepared: PreparedClip) -> list[_Frame]:
    clip = _OpenClip(prepared)
    frames = [
        _Frame(clip, person, number, content)
        for person, inputs in enumerate(prepared.inputs)
        for number, content in enumerate(inputs)
    ]
    prepared.inputs = []  # each frame holds its own; what is through can be forgotten
    return frames
