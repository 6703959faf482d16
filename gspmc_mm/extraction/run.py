"""A whole run: what is to be done, the work, what came of it."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gspmc_mm.extraction.clip_work import ClipJob, ClipOutcome, Recipe, jobs_of
from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.estimator import LAYOUT
from gspmc_mm.extraction.ledger import FAILED, RUN
from gspmc_mm.extraction.store_folder import CLIPS_PER_SHARD, StoreFolder, describe, mending, part_name
from gspmc_mm.extraction.worker_pool import Engine
from gspmc_mm.poses import PoseStoreError, StoreHeader
from gspmc_mm.poses.clip_list import ClipList
from gspmc_mm.poses.resplit import listed_facts, stored_facts

# Failures that say nothing about the video; the next run tries again.
CHANCE = frozenset({"crashed", "timeout"})
# So many clips in a row that fail for no fault of their own are a fault of the installation or the memory.
MOST_ERRORS_IN_A_ROW = 20


@dataclass
class Report:
    """What came of a run.

    Attributes:
        clips: clips of the list (of this part of it).
        done_before: of these, the ones that earlier runs had done.
        done: clips done by this run.
        failures: ledger entry of every clip of the list that is failed now, by earlier runs too.
        skipped: how many of the failures were not tried again by this run.
        frames: frames of the clips done by this run.
        left_hand: of these, the ones in which the left hand was found.
        right_hand: the same for the right hand.
        seconds: wall time of the run.
    """

    clips: int
    done_before: int = 0
    done: int = 0
    failures: list[dict[str, Any]] = field(default_factory=list)
    skipped: int = 0
    frames: int = 0
    left_hand: int = 0
    right_hand: int = 0
    seconds: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether the store has every clip of the list."""
        return self.done_before + self.done == self.clips


@dataclass(frozen=True)
class RunSettings:
    """What a run does beside extracting.

    Attributes:
        shard: (i, n): take only every n-th clip, from the i-th.
        retry_failed: try failed clips again whose video has not changed.
        force_mixed: accept a store of another estimator.
        clips_per_shard: clips in a file of the store.
        command: the command line, for header and ledger.
        note: for the header.
    """

    shard: tuple[int, int] = (0, 1)
    retry_failed: bool = False
    force_mixed: bool = False
    clips_per_shard: int = CLIPS_PER_SHARD
    command: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        index, count = self.shard
        if not 0 <= index < count:
            raise ExtractionError(f"shard {index}/{count} does not exist; expected i/n with i from 0 to n - 1")
        if self.clips_per_shard < 1:
            raise ExtractionError(f"{self.clips_per_shard} clips per shard; expected 1 or more")


def run_extraction(
    clips: ClipList,
    recipe: Recipe,
    out: str | os.PathLike[str],
    engine: Engine,
    settings: RunSettings | None = None,
    on_start: Callable[[Report, int], None] | None = None,
    on_outcome: Callable[[ClipOutcome], None] | None = None,
) -> Report:
    """Extract the clips of a list into a store; what earlier runs did stays and is not done again.

    Args:
        clips: the list.
        recipe: how.
        out: folder of the store.
        engine: where; it is entered and left here.
        settings: the rest.
        on_start: called once with the report so far and the number of clips to do.
        on_outcome: called after each clip, when it is on disk.

    Raises:
        ExtractionError: the store is of another kind, or everything fails.
    """
    settings = settings or RunSettings()
    start = time.perf_counter()
    index, count = settings.shard
    jobs = jobs_of(clips)[index::count]
    header = StoreHeader(
        layout=LAYOUT,
        estimator=recipe.info,
        classes=list(clips.classes),
        command=settings.command,
        note=settings.note,
    )
    folder = StoreFolder(
        out,
        header,
        part_name(index, count),
        settings.clips_per_shard,
        force_mixed=settings.force_mixed,
        listed=clips.source or clips.name,
    )
    with folder as store:
        _check_done(store, clips)
        todo, report = plan_run(jobs, store, settings.retry_failed)
        if on_start is not None:
            on_start(report, len(todo))
        run_id = uuid.uuid4().hex[:12]
        store.note(_run_entry(run_id, clips, recipe, settings, len(todo)))
        if todo:
            with engine:
                _work(todo, store, engine, run_id, report, on_outcome)
    report.failures.sort(key=_by_clip)
    report.seconds = time.perf_counter() - start
    return report


def plan_run(jobs: Sequence[ClipJob], store: StoreFolder, retry_failed: bool) -> tuple[list[ClipJob], Report]:
    """The clips that are still to be done, and a report with those that are not."""
    report = Report(clips=len(jobs))
    todo = []
    for job in jobs:
        entry = store.entries.get(job.clip_id)
        if job.clip_id in store.done:
            report.done_before += 1
        elif entry is not None and entry["status"] == FAILED and not (retry_failed or _worth_another_try(entry, job)):
            report.failures.append(entry)
            report.skipped += 1
        else:
            todo.append(job)
    return todo, report


def _work(
    todo: list[ClipJob],
    store: StoreFolder,
    engine: Engine,
    run_id: str,
    report: Report,
    on_outcome: Callable[[ClipOutcome], None] | None,
) -> None:
    by_id = {job.clip_id: job for job in todo}
    errors_in_a_row = 0
    for outcome in engine.run(todo):
        entry = {"clip_id": outcome.clip_id, **outcome.facts, **_file_facts(by_id[outcome.clip_id].path)}
        entry |= {"run": run_id, "time": _now()}
        if outcome.clip is not None:
            try:
                store.add(outcome.clip, entry)
            except PoseStoreError as error:
                outcome = ClipOutcome(outcome.clip_id, reason="error", message=str(error), facts=outcome.facts)
        if outcome.clip is None:
            entry |= {"status": FAILED, "reason": outcome.reason, "message": outcome.message}
            store.note(entry)
            report.failures.append(entry)
        else:
            report.done += 1
            report.frames += outcome.clip.num_frames
            report.left_hand += outcome.facts["left_hand"]
            report.right_hand += outcome.facts["right_hand"]
        if on_outcome is not None:
            on_outcome(outcome)
        errors_in_a_row = errors_in_a_row + 1 if outcome.reason in ("error", "crashed") else 0
        if errors_in_a_row >= MOST_ERRORS_IN_A_ROW and errors_in_a_row < len(todo):
            raise ExtractionError(
                f"{errors_in_a_row} clips in a row failed for no fault of theirs; the last: {outcome.message}. "
                "Stopped; what is done is kept. With the cause removed, go on with --retry-failed"
            )


def _worth_another_try(entry: dict[str, Any], job: ClipJob) -> bool:
    if entry["reason"] in CHANCE:
        return True
    now = _file_facts(job.path)
    return any(entry.get(name) != now[name] for name in ("bytes", "modified_ns"))


def _file_facts(path: str) -> dict[str, Any]:
    """What says whether a video is still the same."""
    try:
        facts = os.stat(path)
    except OSError:
        return {"video": path, "bytes": None, "modified_ns": None}
    return {"video": path, "bytes": facts.st_size, "modified_ns": facts.st_mtime_ns}


def _check_done(store: StoreFolder, clips: ClipList) -> None:
    """Refuse to add to a store whose clips have other labels, signers or splits than the list now says.

    They would keep them without a word: clips that are done are not looked at again.
    """
    listed = listed_facts(clips)
    differ: dict[str, str] = {}
    for _, kept in store.stores():
        for clip_id, facts in stored_facts(kept).items():
            said = listed.get(clip_id, facts)
            if fields := facts.differences(said):
                ours, theirs = (getattr(each, fields[0]) for each in (facts, said))
                differ[clip_id] = (
                    f"clip {clip_id!r} has {fields[0]} {_value(ours)} there and {_value(theirs)} in the list"
                )
    if differ:
        raise ExtractionError(
            f"{store.path}: {next(iter(differ.values()))}; the list has changed since ({len(differ)} of the "
            f"{len(store.done)} clips that are done differ). Nothing has to be extracted again: "
            f"{mending(store.path, store.listed)}, then this command again"
        )


def _value(value: int | str | tuple[str, ...]) -> str:
    if isinstance(value, int):
        return str(value)
    return repr(value if isinstance(value, str) else ";".join(value))


def _run_entry(run_id: str, clips: ClipList, recipe: Recipe, settings: RunSettings, todo: int) -> dict[str, Any]:
    listed = "\n".join(f"{clip.clip_id}\t{clip.video}\t{clip.label}" for clip in clips.clips)
    return {
        "status": RUN,
        "run": run_id,
        "time": _now(),
        "command": settings.command,
        "estimator": describe(recipe.info),
        "list": clips.name,
        "list_sha256": hashlib.sha256(listed.encode()).hexdigest(),
        "clips": len(clips),
        "shard": "/".join(map(str, settings.shard)),
        "todo": todo,
        "versions": {"python": platform.python_version(), "gspmc_mm": _own_version()},
        "host": platform.node(),
        "process": os.getpid(),
    }


def _own_version() -> str:
    # The package itself is above this room and is not imported from here; it is loaded whenever this runs.
    return sys.modules[__name__.partition(".")[0]].__version__


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def _by_clip(entry: dict[str, Any]) -> str:
    return entry["clip_id"]
