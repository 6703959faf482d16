"""Which clips are still to be handed out, and what happens to those whose worker was lost."""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Iterable

from gspmc_mm.extraction.clip_work import ClipJob, ClipOutcome

#: A clip is given up when that many workers died over it. One can die by chance (a machine that goes away).
MOST_ATTEMPTS = 3


class WorkQueue:
    """Hands out clips in pieces and takes lost ones back.

    Args:
        jobs: the clips, asked for one piece at a time.
        piece: how many clips a worker gets at once.
    """

    def __init__(self, jobs: Iterable[ClipJob], piece: int = 1) -> None:
        self._jobs, self._piece = iter(jobs), piece
        self._fresh: deque[ClipJob] = deque()
        self._again: deque[ClipJob] = deque()
        self._attempts: Counter[str] = Counter()

    def take(self) -> list[ClipJob]:
        """The next piece; empty if nothing is left now (lost ones may still come back).

        A clip that was lost once goes out alone, so that it takes no others with it if it was the cause.
        """
        if self._again:
            return [self._again.popleft()]
        if self.is_empty():
            return []
        return [self._fresh.popleft(), *itertools.islice(self._jobs, self._piece - 1)]

    def is_empty(self) -> bool:
        """Whether there is nothing to hand out now."""
        if not self._again and not self._fresh:
            self._fresh.extend(itertools.islice(self._jobs, 1))
        return not self._again and not self._fresh

    def give_back(self, jobs: Iterable[ClipJob]) -> None:
        """Take back clips that their worker had not begun with."""
        self._again.extend(jobs)

    def lost(self, jobs: Iterable[ClipJob], reason: str, message: str) -> list[ClipOutcome]:
        """Take back clips over which a worker went away; the outcome of those that are given up."""
        failed = []
        for job in jobs:
            self._attempts[job.clip_id] += 1
            if reason == "timeout" or self._attempts[job.clip_id] >= MOST_ATTEMPTS:
                tried = f"tried {self._attempts[job.clip_id]} times" if reason != "timeout" else "given up"
                failed.append(ClipOutcome(job.clip_id, reason=reason, message=f"{job.path}: {message} ({tried})"))
            else:
                self._again.append(job)
        return failed
