"""Processes on this machine that survive one another: a worker may crash, hang or be killed, and the work goes on.

`concurrent.futures` gives up all of a pool's work when one of its processes dies, and does not say over which task. A
broken video can bring a decoder or MediaPipe's C++ side down, so here every process has its own pipe and its own clips.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from gspmc_mm.extraction.clip_work import ClipJob, ClipOutcome
from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.work_queue import WorkQueue

_LOOK_EVERY_SECONDS = 1.0
_GOODBYE_SECONDS = 5.0


class Engine(Protocol):
    """Where the work is done. A context manager."""

    def __enter__(self) -> Engine:
        """Make ready."""

    def __exit__(self, *error: object) -> None:
        """End what it started."""

    def run(self, jobs: Iterable[ClipJob]) -> Iterator[ClipOutcome]:
        """One outcome for each clip, in any order, as they come."""


class Worker(Protocol):
    """What a process does: pickled to it, started there once, then given clips."""

    def start(self) -> None:
        """Load what it needs; an exception stops the whole run with its words."""

    def run(self, jobs: list[ClipJob]) -> Iterable[Any]:
        """One result for each clip, in any order; each has the `clip_id` of its clip."""

    def stop(self) -> None:
        """Let go of what it holds."""


class LocalPool:
    """Worker processes. A context manager; leaving it ends them.

    Args:
        workers: what each process does, one entry for each process.
        piece: clips that a process gets at once.
        timeout: seconds without any result after which a process with work is taken for stuck; None: no limit.
        threads: threads that PyTorch may use in each process; None leaves it alone.
    """

    def __init__(
        self, workers: Sequence[Worker], piece: int = 1, timeout: float | None = None, threads: int | None = 1
    ) -> None:
        if not workers:
            raise ExtractionError("0 worker processes; expected 1 or more")
        self._idle_workers = list(workers)
        self.piece, self.timeout, self.threads = piece, timeout, threads
        self._members: list[_Member] = []

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, politely to those without work."""
        for member in self._members:
            member.say_goodbye()
        end = time.monotonic() + _GOODBYE_SECONDS
        for member in self._members:
            member.end(max(0.0, end - time.monotonic()))
            self._idle_workers.append(member.worker)
        self._members = []

    def run(self, jobs: Iterable[ClipJob]) -> Iterator[Any]:
        """Results of the worker as they come, in any order; a `ClipOutcome` for a clip that brings workers down.

        Raises:
            ExtractionError: the worker could not be started.
        """
        work = WorkQueue(jobs, self.piece)
        while True:
            self._hand_out(work)
            busy = [member for member in self._members if member.jobs]
            if not busy:
                return
            ready = wait([end for member in busy for end in member.ends], timeout=_LOOK_EVERY_SECONDS)
            for member in busy:
                if any(end in ready for end in member.ends):
                    yield from self._listen(member, work)
                elif self.timeout is not None and member.silent_for() > self.timeout:
                    yield from self._lose(
                        member, work, "timeout", f"no result within {self.timeout:g} s, the limit of a clip"
                    )

    def _hand_out(self, work: WorkQueue) -> None:
        for member in [member for member in self._members if not member.jobs]:
            piece = work.take()
            if not piece:
                return
            member.give(piece)
        while self._idle_workers and (piece := work.take()):
            member = _Member(self._idle_workers.pop(), self.threads)
            self._members.append(member)
            member.give(piece)

    def _listen(self, member: _Member, work: WorkQueue) -> Iterator[Any]:
        try:
            while member.jobs and member.connection.poll():
                kind, content = member.connection.recv()
                member.heard(kind)
                if kind == "broken":
                    raise ExtractionError(content)
                if kind == "result":
                    member.jobs.pop(content.clip_id)
                    yield content
            if not member.jobs or member.process.is_alive() or member.connection.poll():
                return
        except (EOFError, OSError):
            pass  # what was on its way when the process died; the clip is taken back below
        member.process.join(_GOODBYE_SECONDS)
        if not member.started:
            raise ExtractionError(
                f"a worker process ended while it was starting (exit status {member.process.exitcode}); "
                "its own words, if it had any, are above"
            )
        code = member.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit status {code}"
        yield from self._lose(member, work, "crashed", f"the worker process died ({how})")

    def _lose(self, member: _Member, work: WorkQueue, reason: str, message: str) -> list[ClipOutcome]:
        jobs = list(member.jobs.values())
        self._members.remove(member)
        member.end(0.0)
        self._idle_workers.append(member.worker)
        return work.lost(jobs, reason, message)


class _Member:
    """One process, its pipe and the clips that it has not answered for."""

    def __init__(self, worker: Worker, threads: int | None) -> None:
        context = process_context()
        self.worker = worker
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, worker, threads))
        self.process.start()
        theirs.close()  # so that the pipe ends with the process
        self.started = False
        self.jobs: dict[str, ClipJob] = {}
        self._heard = time.monotonic()

    @property
    def ends(self) -> tuple[Connection, int]:
        """What becomes ready when there is something to hear."""
        return self.connection, self.process.sentinel

    def give(self, jobs: list[ClipJob]) -> None:
        self.jobs = {job.clip_id: job for job in jobs}
        self._heard = time.monotonic()
        with contextlib.suppress(OSError):  # it has died; `_listen` will see it
            self.connection.send(jobs)

    def heard(self, kind: str) -> None:
        self.started = self.started or kind == "ready"
        self._heard = time.monotonic()

    def silent_for(self) -> float:
        """Seconds since the last word; loading, which may download something, has no limit."""
        return time.monotonic() - self._heard if self.started else 0.0

    def say_goodbye(self) -> None:
        if self.jobs:
            self.process.terminate()
            return
        with contextlib.suppress(OSError):
            self.connection.send(None)

    def end(self, patience: float) -> None:
        self.process.join(patience)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()
        self.process.close()


def process_context() -> Any:
    """How processes are made: from one that has imported the package and has no threads, where the system can."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gspmc_mm.extraction.clip_work"])
    return context


def _serve(connection: Connection, worker: Worker, threads: int | None) -> None:
    """Life of a worker process; it ends when the pipe does, whatever has happened to the other side."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the one that asked decides
    signal.signal(signal.SIGTERM, _leave)
    limit_threads(threads)
    with contextlib.suppress(BrokenPipeError, EOFError, ConnectionResetError):
        try:
            worker.start()
        except (ValueError, ImportError, OSError, RuntimeError) as error:
            connection.send(("broken", f"{error}"))
            return
        connection.send(("ready", None))
        try:
            while jobs := connection.recv():
                for result in worker.run(jobs):
                    connection.send(("result", result))
        finally:
            worker.stop()


def _leave(number: int, frame: Any) -> None:
    raise SystemExit(0)


def limit_threads(threads: int | None) -> None:
    """Keep libraries from starting a thread per core in each of many processes."""
    if threads is None:
        return
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(1)


def in_background(items: Iterable[Any], depth: int) -> Iterator[Any]:
    """The same items, fetched by a thread up to `depth` ahead of whoever uses them."""
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(kind: str, item: Any) -> bool:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                waiting.put((kind, item), timeout=_LOOK_EVERY_SECONDS)
                return True
        return False

    def fetch() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # handed over, to be raised where the items are used
            put("error", error)

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    try:
        while True:
            kind, item = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise item
            yield item
    finally:
        stopped.set()
        thread.join(_GOODBYE_SECONDS)
