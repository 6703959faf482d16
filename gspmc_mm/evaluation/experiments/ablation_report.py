"""From the runs of an ablation to its table: what is there, what failed, what is missing.

A table always has all its lines and always compares with its own first line, whatever of it a command has run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gspmc_mm.evaluation.estimates import estimate_accuracy
from gspmc_mm.evaluation.experiments.ablation_data import AblationData
from gspmc_mm.evaluation.experiments.ablation_tables import AblationTable, Line
from gspmc_mm.evaluation.experiments.execution import RunFailed
from gspmc_mm.evaluation.experiments.planning import FoldRun
from gspmc_mm.evaluation.folds import any_fold, pool_folds
from gspmc_mm.evaluation.paired import difference_words, paired_difference
from gspmc_mm.evaluation.predictions import Predictions
from gspmc_mm.evaluation.results import AblationRecord, AblationRow, Accuracy, Failure
from gspmc_mm.evaluation.signer_bootstrap import can_be_drawn
from gspmc_mm.evaluation.signer_independence import independence_of_records


@dataclass(frozen=True)
class LineRuns:
    """What there is of one line.

    Attributes:
        line: The line.
        config: Path of its config.
        runs: Its runs, finished or not; a seed and fold without one has not been made.
        problem: Why nothing of it could be run.
    """

    line: Line
    config: str
    runs: Sequence[FoldRun]
    problem: str | None = None

    def whole(self, folds: Sequence[int], signers_disjoint: bool) -> dict[int, Predictions]:
        """Pooled predictions of the seeds that have all these folds."""
        seeds: dict[int, dict[int, FoldRun]] = {}
        for run in self.runs:
            if run.done and run.fold in folds:
                seeds.setdefault(run.seed, {})[run.fold] = run
        return {
            seed: pool_folds({fold: found[fold].load_predictions() for fold in folds}, signers_disjoint)
            for seed, found in sorted(seeds.items())
            if len(found) == len(folds)
        }


@dataclass(frozen=True)
class Extent:
    """How much of a data set the figures of a table are about.

    Attributes:
        seeds: That every line should have.
        folds: That every seed should have.
        pooled: Those of `folds` that the figures are about, see `folds_to_pool`.
        signers_disjoint: Whether no signer may be in two folds.
    """

    seeds: Sequence[int]
    folds: Sequence[int]
    pooled: Sequence[int]
    signers_disjoint: bool = True


def folds_to_pool(lines: Sequence[LineRuns], folds: Sequence[int], asked: Sequence[int]) -> Sequence[int]:
    """The folds that figures are about: `asked`, but all as soon as one seed of one line has all of them.

    So a part of the folds never takes the place of the whole.
    """
    done: dict[tuple[str, int], set[int]] = {}
    for one in lines:
        for run in one.runs:
            if run.done:
                done.setdefault((one.line.name, run.seed), set()).add(run.fold)
    return folds if any(found >= set(folds) for found in done.values()) else asked


def ablation_rows(
    lines: Sequence[LineRuns], extent: Extent, failures: Mapping[str, Exception], references: Sequence[str] = ()
) -> list[AblationRow]:
    """The lines of a table from their runs.

    Args:
        lines: All lines of the table.
        extent: Seeds and folds.
        failures: What went wrong with a run, by its name.
        references: Lines that every other one is compared with.

    Raises:
        ValueError: Predictions that are damaged or do not fit each other.
    """
    whole = {one.line.name: one.whole(extent.pooled, extent.signers_disjoint) for one in lines}
    return [
        _row(one, extent, failures, {name: whole[name] for name in references}, whole[one.line.name]) for one in lines
    ]


def _row(
    one: LineRuns,
    extent: Extent,
    failures: Mapping[str, Exception],
    references: Mapping[str, Mapping[int, Predictions]],
    whole: Mapping[int, Predictions],
) -> AblationRow:
    failed = [Failure(run=run.name, reason=_reason(failures[run.name])) for run in one.runs if run.name in failures]
    if one.problem is not None:
        failed.append(Failure(run=one.line.name, reason=one.problem))
    made = {(run.seed, run.fold) for run in one.runs if run.done or run.name in failures}
    missing = [
        f"{Path(one.config).stem} seed {seed} fold {fold}"
        for seed in extent.seeds
        for fold in extent.folds
        if (seed, fold) not in made
    ]
    seconds = [float(run.record["seconds"]) for run in one.runs if "seconds" in run.record]
    return AblationRow(
        name=one.line.name,
        config=one.config,
        seeds=tuple(whole),
        folds=tuple(extent.pooled) if whole and len(extent.folds) > 1 else (),
        top1=estimate_accuracy(whole, 1) if whole else None,
        top5=estimate_accuracy(whole, 5) if whole else None,
        published=None if one.line.published is None else one.line.published / 100,
        differences={
            name: paired_difference(*_on_common_seeds(other, whole))
            for name, other in references.items()
            if whole and other and name != one.line.name and can_be_drawn(next(iter(whole.values())).signer)
        },
        failed=tuple(failed),
        missing=() if one.problem is not None else tuple(missing),
        seconds=round(sum(seconds), 1) if seconds else None,
    )


def _on_common_seeds(
    first: Mapping[int, Predictions], second: Mapping[int, Predictions]
) -> tuple[Mapping[int, Predictions], Mapping[int, Predictions]]:
    """Both with the seeds that both have, so that an unfinished line is not judged by the luck of those it lacks.

    As they are where no seed is in both.
    """
    common = [seed for seed in first if seed in second]
    if not common:
        return first, second
    return {seed: first[seed] for seed in common}, {seed: second[seed] for seed in common}


def ablation_record(
    table: AblationTable,
    data: AblationData,
    rows: Sequence[AblationRow],
    provenance: Mapping[str, Any],
    remarks: Sequence[str] = (),
    trained: Sequence[str] = (),
    records: Sequence[Mapping[str, Any]] = (),
) -> AblationRecord:
    """The table as it is written down; what the data set cannot have stands in its note.

    Args:
        table: Which.
        data: On what.
        rows: From `ablation_rows`.
        provenance: From `gather_provenance`.
        remarks: Further sentences of the note.
        trained: From `origins`.
        records: Contents of `fold.json` of the runs behind the figures: whose signers were trained on.
    """
    without: dict[str, list[str]] = {}
    for name, reason in table.left_out(data.name).items():
        without.setdefault(reason, []).append(f"'{name}'")
    left_out = [f"Without {', '.join(names)} on this data set: {reason}." for reason, names in without.items()]
    published = ["Published figures: SLR-500, joint stream."] if any(row.published for row in rows) else []
    return AblationRecord(
        title=f"{table.title} ({data.name})",
        provenance=dict(provenance),
        note=" ".join(filter(None, [data.note, data.notes_on.get(table.name), *remarks, *published, *left_out])),
        independence=independence_of_records(records) if records else "",
        seconds=round(sum(row.seconds or 0.0 for row in rows), 1),
        trained=tuple(trained),
        table=table.name,
        data=data.name,
        split=f"{any_fold(data.train_split)} / {any_fold(data.test_split)}",
        references=table.references(data.name),
        rows=tuple(rows),
    )


def header(record: AblationRecord) -> tuple[str, ...]:
    """Headings of `cells`; a difference is in points, with 95 % interval, McNemar p and verdict."""
    differences = (f"to {name}" for name in _references(record))
    return ("line", "published", "top-1", "95 %", "per class", "top-5", *differences, "seeds", "clips")


def cells(record: AblationRecord) -> list[tuple[str, ...]]:
    """The lines under `header`, in percent."""
    rows = {row.name: row for row in record.rows}
    references = [(name, rows.get(name)) for name in _references(record)]
    return [_cells(row, references) for row in record.rows]


def _references(record: AblationRecord) -> tuple[str, ...]:
    return record.references or (record.rows[0].name,)


def _cells(row: AblationRow, references: Sequence[tuple[str, AblationRow | None]]) -> tuple[str, ...]:
    published = "" if row.published is None else f"{100 * row.published:.2f}"
    if row.top1 is None:
        why = "FAILED" if row.failed else "not run"
        return (row.name, published, why, "", "", "", *[""] * len(references), "0", "")
    top5 = "" if row.top5 is None else _spread(row.top5)
    per_class = "" if row.top1.per_class is None else f"{100 * row.top1.per_class:.1f}"
    interval = f"{100 * row.top1.low:.1f}-{100 * row.top1.high:.1f}"
    differences = [_difference(row, row.top1, name, other) for name, other in references]
    seeds = f"{len(row.seeds)}" + (" (incomplete)" if row.failed or row.missing else "")
    return (
        row.name, published, _spread(row.top1), interval, per_class, top5, *differences, seeds, str(row.top1.clips),
    )  # fmt: skip


def _difference(row: AblationRow, top1: Accuracy, name: str, other: AblationRow | None) -> str:
    """What a line has more than another one, or why that cannot be said."""
    if row.name == name:
        return ""
    if name in row.differences:
        return difference_words(row.differences[name])
    if other is None or other.top1 is None:
        return f"{name}: not run"
    return f"{100 * (top1.mean - other.top1.mean):+.1f} (no interval: signers not known)"


def _spread(accuracy: Accuracy) -> str:
    deviation = "" if accuracy.std is None else f" +- {100 * accuracy.std:.1f}"
    return f"{100 * accuracy.mean:.1f}{deviation}"


def _reason(failure: Exception) -> str:
    return failure.reason if isinstance(failure, RunFailed) else str(failure)
