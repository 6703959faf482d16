"""From the runs of an ablation to its table: what is there, what failed, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gspmc_mm.evaluation.estimates import estimate_accuracy
from gspmc_mm.evaluation.experiments.ablation_data import AblationData
from gspmc_mm.evaluation.experiments.ablation_tables import AblationTable, Line
from gspmc_mm.evaluation.experiments.execution import RunFailed
from gspmc_mm.evaluation.experiments.planning import FoldRun
from gspmc_mm.evaluation.folds import pool_folds
from gspmc_mm.evaluation.predictions import Predictions
from gspmc_mm.evaluation.results import AblationRecord, AblationRow, Accuracy, Failure

HEADER = (
    "line", "published", "top-1", "95 %", "per class", "top-5", "to the first line", "seeds", "clips",
)  # fmt: skip


def ablation_row(
    line: Line,
    config: str,
    runs: Sequence[FoldRun],
    failures: Mapping[str, Exception],
    problem: str | None = None,
    shared_signers: bool = False,
) -> AblationRow:
    """A line of the table from its runs.

    Args:
        line: The line.
        config: Path of its config.
        runs: All runs that belong to it; none if `problem` kept them from being planned.
        failures: What went wrong with a run, by its name.
        problem: Why nothing could be run.
        shared_signers: Whether the folds may share signers.

    Raises:
        ValueError: Predictions that are damaged or do not fit each other.
    """
    seeds: dict[int, dict[int, FoldRun]] = {}
    for run in runs:
        seeds.setdefault(run.seed, {})[run.fold] = run
    whole: dict[int, Predictions] = {
        seed: pool_folds({fold: run.load_predictions() for fold, run in folds.items()}, not shared_signers)
        for seed, folds in seeds.items()
        if all(run.done for run in folds.values())
    }
    failed = [Failure(run=run.name, reason=_reason(failures[run.name])) for run in runs if run.name in failures]
    if problem is not None:
        failed.append(Failure(run=line.name, reason=problem))
    numbers = sorted({run.fold for run in runs})
    return AblationRow(
        name=line.name,
        config=config,
        seeds=tuple(whole),
        folds=tuple(numbers) if len(numbers) > 1 else (),
        top1=estimate_accuracy(whole, 1) if whole else None,
        top5=estimate_accuracy(whole, 5) if whole else None,
        published=None if line.published is None else line.published / 100,
        failed=tuple(failed),
        missing=tuple(run.name for run in runs if not run.done and run.name not in failures),
        seconds=round(sum(float(run.record.get("seconds", 0.0)) for run in runs), 1) if runs else None,
    )


def ablation_record(
    table: AblationTable,
    data: AblationData,
    rows: Sequence[AblationRow],
    provenance: Mapping[str, Any],
    remarks: Sequence[str] = (),
    trained: Sequence[str] = (),
) -> AblationRecord:
    """The table as it is written down; what the data set cannot have stands in its note."""
    left_out = [f"Without '{name}' on this data set: {reason}." for name, reason in table.left_out(data.name).items()]
    published = ["Published figures: SLR-500, joint stream."] if any(row.published for row in rows) else []
    return AblationRecord(
        title=f"{table.title} ({data.name})",
        provenance=dict(provenance),
        note=" ".join(filter(None, [data.note, data.notes_on.get(table.name), *remarks, *published, *left_out])),
        seconds=round(sum(row.seconds or 0.0 for row in rows), 1),
        trained=tuple(trained),
        table=table.name,
        data=data.name,
        split=f"{data.train_split} / {data.test_split}",
        rows=tuple(rows),
    )


def cells(record: AblationRecord) -> list[tuple[str, ...]]:
    """The lines under `HEADER`, in percent."""
    first = record.rows[0].top1
    return [_cells(row, first) for row in record.rows]


def _cells(row: AblationRow, first: Accuracy | None) -> tuple[str, ...]:
    published = "" if row.published is None else f"{100 * row.published:.2f}"
    if row.top1 is None:
        why = "FAILED" if row.failed else "not run"
        return (row.name, published, why, "", "", "", "", "0", "")
    difference = "" if first is None or row.top1 is first else f"{100 * (row.top1.mean - first.mean):+.1f}"
    top5 = "" if row.top5 is None else _spread(row.top5)
    per_class = "" if row.top1.per_class is None else f"{100 * row.top1.per_class:.1f}"
    interval = f"{100 * row.top1.low:.1f}-{100 * row.top1.high:.1f}"
    seeds = f"{len(row.seeds)}" + (" (incomplete)" if row.failed or row.missing else "")
    return (
        row.name, published, _spread(row.top1), interval, per_class, top5, difference, seeds, str(row.top1.clips),
    )  # fmt: skip


def _spread(accuracy: Accuracy) -> str:
    deviation = "" if accuracy.std is None else f" +- {100 * accuracy.std:.1f}"
    return f"{100 * accuracy.mean:.1f}{deviation}"


def _reason(failure: Exception) -> str:
    return failure.reason if isinstance(failure, RunFailed) else str(failure)
