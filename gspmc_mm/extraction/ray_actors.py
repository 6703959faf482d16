"""Stations as actors on the machines of a Ray cluster.

One actor holds one loaded estimator. Each has one piece of work and the next one waiting, never more, so that what is
not yet needed stays undecoded. When an actor is lost, with its machine or alone, its clips are handed out again and
another actor is asked for; the ones that are left go on in the meantime. Videos and weights have to be found under the
same paths on every machine.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from gspmc_mm.extraction.clip_work import ClipJob, ClipOutcome
from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.stations import Station
from gspmc_mm.extraction.work_queue import WorkQueue
from gspmc_mm.extraction.worker_pool import limit_threads
from gspmc_mm.extras import how_to_install

_LOOK_EVERY_SECONDS = 1.0
# One piece that an actor works on and one that lies ready for it.
PIECES_PER_ACTOR = 2
# If so many actors in a row are lost before they are ready, it is not by chance.
MOST_FAILED_STARTS = 5


class RayEngine:
    """Runs stations on a Ray cluster. A context manager.

    Args:
        station: the station that each actor holds; pickled to it.
        actors: number of actors; None: one per GPU of the cluster, or as many as its CPUs allow.
        cpus: CPUs that an actor asks for.
        gpus: GPUs that an actor asks for; below 1, several share one.
        piece: clips that an actor gets at once.
        address: of the cluster ('auto' for the one of this machine); None: RAY_ADDRESS, or a Ray of its own here.
        timeout: seconds that one clip may take, times the piece, before the actor is taken for stuck; None: no limit.

    Raises:
        ImportError: Ray is not installed.
        ExtractionError: the cluster has no room for an actor.
    """

    def __init__(
        self,
        station: Station,
        actors: int | None = None,
        cpus: float = 1,
        gpus: float = 0,
        piece: int = 1,
        address: str | None = None,
        timeout: float | None = None,
    ) -> None:
        self.station, self.count, self.piece, self.timeout = station, actors, piece, timeout
        self.cpus, self.gpus, self.address = cpus, gpus, address
        self._ray: Any = None
        self._started_ray = False
        self._failed_starts = 0
        self._actors: list[_Actor] = []

    def __enter__(self) -> RayEngine:
        self._ray = import_ray()
        if not self._ray.is_initialized():
            self._ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
            self._started_ray = True
        room = self.room()
        if room < 1:
            has = self._ray.cluster_resources()
            self.__exit__()
            raise ExtractionError(
                f"the Ray cluster has no room for an actor with {self.cpus:g} CPUs and {self.gpus:g} GPUs; it has "
                f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs"
            )
        self._actors = [self._new_actor() for _ in range(self.count or room)]
        return self

    def __exit__(self, *error: object) -> None:
        for actor in self._actors:
            self._ray.kill(actor.handle)
        self._actors = []
        if self._started_ray:
            self._ray.shutdown()

    def room(self) -> int:
        """How many actors the cluster has resources for."""
        rooms = []
        for node in self._ray.nodes():
            if not node["Alive"]:
                continue
            has = node["Resources"]
            needs = [("CPU", self.cpus), ("GPU", self.gpus)]
            rooms.append(min(int(has.get(name, 0) / need) for name, need in needs if need))
        return sum(rooms)

    def run(self, jobs: Iterable[ClipJob]) -> Iterator[ClipOutcome]:
        """One outcome for each clip, as they come.

        Raises:
            ExtractionError: the station cannot be started.
        """
        work = WorkQueue(jobs, self.piece)
        while True:
            self._hand_out(work)
            if work.is_empty() and not any(actor.pieces for actor in self._actors):
                return
            expected = [actor.next_answer for actor in self._actors if actor.next_answer is not None]
            answered, _ = self._ray.wait(expected, num_returns=1, timeout=_LOOK_EVERY_SECONDS)
            for actor in list(self._actors):
                if actor.next_answer in answered:
                    yield from self._listen(actor, work)
                elif self._is_stuck(actor):
                    yield from self._give_up(actor, work)

    def _hand_out(self, work: WorkQueue) -> None:
        # one piece for everybody first, so that the last pieces of a run do not queue behind one actor
        for pieces in range(1, PIECES_PER_ACTOR + 1):
            for actor in self._actors:
                if actor.ready and len(actor.pieces) < pieces and (piece := work.take()):
                    actor.give(piece)

    def _listen(self, actor: _Actor, work: WorkQueue) -> Iterable[ClipOutcome]:
        try:
            answer = self._ray.get(actor.next_answer)
        except self._ray.exceptions.RayError as error:
            self._failed_starts += not actor.ready
            if self._failed_starts >= MOST_FAILED_STARTS:
                raise ExtractionError(f"{self._failed_starts} Ray actors were lost while starting: {error}") from error
            self._replace(actor)
            return actor.hand_back(work, "crashed", f"its Ray actor was lost ({_words(error)})")
        if actor.ready:
            actor.answered()
            return answer
        if answer:
            raise ExtractionError(answer)
        actor.ready, self._failed_starts = True, 0
        return []

    def _is_stuck(self, actor: _Actor) -> bool:
        if self.timeout is None or not actor.ready or not actor.pieces:
            return False
        return time.monotonic() - actor.since > self.timeout * len(actor.pieces[0][0])

    def _give_up(self, actor: _Actor, work: WorkQueue) -> list[ClipOutcome]:
        self._ray.kill(actor.handle)
        self._replace(actor)
        # Which clip of several it was shows when they come back one by one.
        reason = "timeout" if len(actor.pieces[0][0]) == 1 else "crashed"
        return actor.hand_back(work, reason, f"no result within {self.timeout:g} s, the limit of a clip")

    def _replace(self, actor: _Actor) -> None:
        self._actors[self._actors.index(actor)] = self._new_actor()

    def _new_actor(self) -> _Actor:
        options = {"num_cpus": self.cpus, "num_gpus": self.gpus, "max_restarts": 0}
        handle = self._ray.remote(StationActor).options(**options).remote(self.station)
        return _Actor(handle)


class StationActor:
    """A station on some machine of the cluster."""

    def __init__(self, station: Station) -> None:
        self.station = station

    def start(self) -> str:
        """Load the estimator; '' or what went wrong."""
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        if not self.station.recipe.estimator.independent_frames:
            limit_threads(1)
        try:
            self.station.start()
        except (ValueError, ImportError, OSError, RuntimeError) as error:
            return f"{error}" or type(error).__name__
        return ""

    def run(self, jobs: list[ClipJob]) -> list[ClipOutcome]:
        """One outcome for each clip."""
        return list(self.station.run(jobs))


class _Actor:
    """An actor, what it was given and what it has to answer next."""

    def __init__(self, handle: Any) -> None:
        self.handle, self.ready = handle, False
        self.starting = handle.start.remote()
        self.pieces: deque[tuple[list[ClipJob], Any]] = deque()
        self.since = time.monotonic()

    @property
    def next_answer(self) -> Any:
        """Reference of the answer that comes next; None if nothing was asked."""
        if not self.ready:
            return self.starting
        return self.pieces[0][1] if self.pieces else None

    def give(self, piece: list[ClipJob]) -> None:
        if not self.pieces:
            self.since = time.monotonic()
        self.pieces.append((piece, self.handle.run.remote(piece)))

    def answered(self) -> None:
        self.pieces.popleft()
        self.since = time.monotonic()

    def hand_back(self, work: WorkQueue, reason: str, message: str) -> list[ClipOutcome]:
        """The piece it worked on is lost, the one behind it only late."""
        for piece, _ in list(self.pieces)[1:]:
            work.give_back(piece)
        return work.lost(self.pieces[0][0], reason, message) if self.pieces else []


def import_ray() -> Any:
    """Ray, or an ImportError that says how to get it."""
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a warning about CUDA_VISIBLE_DEVICES otherwise
    try:
        import ray
    except ImportError as error:
        raise ImportError(f"--engine ray needs Ray; {how_to_install('cluster')}") from error
    return ray


def _words(error: BaseException) -> str:
    return str(error).strip().split("\n")[0][:200] or type(error).__name__
