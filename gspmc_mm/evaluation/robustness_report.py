"""The cells of a robustness measurement as a record, as a table, and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .corruptions import CORRUPTIONS
from .folds import markdown_table
from .intervals import mcnemar, wilson_interval
from .predictions import Predictions, align
from .results import RobustnessCell, RobustnessDifference, RobustnessRecord
from .robustness import CLEAN, Cell, Contender
from .signer_bootstrap import FEW_SIGNERS, bootstrap_difference, can_be_drawn
from .signer_independence import independence_of_records

Measured = Mapping[str, Mapping[Cell, Predictions]]


def robustness_record(
    contenders: Sequence[Contender],
    measured: Measured,
    cells: Sequence[Cell],
    *,
    title: str,
    data: str,
    provenance: Mapping[str, Any],
) -> RobustnessRecord:
    """Accuracies with Wilson intervals, paired differences to the first contender, and what could not be measured.

    Args:
        contenders: In the order of the table.
        measured: Predictions by name and cell, those that there are.
        cells: All cells, in the order of the table.
        title: Heading.
        data: Name of the data set and split.
        provenance: From `gather_provenance`.

    Raises:
        PredictionsError: The contenders are not about the same clips.
    """
    first = contenders[0].name
    differences = [
        _difference(name, cell, measured[first][cell], measured[name][cell])
        for name in list(measured)[1:]
        for cell in cells
        if cell in measured[first] and cell in measured[name]
    ]
    kinds = dict.fromkeys(cell.corruption for cell in cells if any(cell in found for found in measured.values()))
    return RobustnessRecord(
        title=title,
        data=data,
        provenance=dict(provenance),
        note=" ".join([*impossible(contenders, cells), *without_effect(measured)]),
        independence=independence_of_records([run.training() for contender in contenders for run in contender.runs]),
        checkpoints={contender.name: str(contender.checkpoint) for contender in contenders},
        corruptions={kind: _words(kind) for kind in kinds},
        cells=tuple(
            _cell(name, cell, found[cell]) for cell in cells for name, found in measured.items() if cell in found
        ),
        differences=tuple(differences),
    )


def _words(kind: str) -> str:
    if kind == CLEAN:
        return "untouched clips"
    corruption = CORRUPTIONS[kind]
    return corruption.title if corruption.switch else f"{corruption.title} ({corruption.unit})"


def _cell(name: str, cell: Cell, found: Predictions) -> RobustnessCell:
    hits = found.hits(1)
    low, high = wilson_interval(int(hits.sum()), len(found))
    return RobustnessCell(
        checkpoint=name,
        corruption=cell.corruption,
        severity=cell.severity,
        clips=len(found),
        top1=float(hits.mean()),
        low=low,
        high=high,
        top5=float(found.hits(5).mean()),
    )


def _difference(name: str, cell: Cell, first: Predictions, second: Predictions) -> RobustnessDifference:
    runs = align({"first": first, "second": second})
    hits = {key: run.hits(1) for key, run in runs.items()}
    test = mcnemar(hits["first"], hits["second"])
    signers = runs["first"].signer
    low = high = None
    if can_be_drawn(signers):
        interval = bootstrap_difference(hits["first"], hits["second"], signers)
        low, high = interval.low, interval.high
    return RobustnessDifference(
        checkpoint=name,
        corruption=cell.corruption,
        severity=cell.severity,
        difference=test.difference,
        low=low,
        high=high,
        p_value=test.p_value,
    )


def impossible(contenders: Sequence[Contender], cells: Sequence[Cell]) -> list[str]:
    """Sentences that say which corruptions cannot be measured, for whom and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for contender in contenders:
        for cell in cells:
            reason = contender.why_not(cell)
            if reason is not None:
                names = reasons.setdefault((CORRUPTIONS[cell.corruption].title, reason), [])
                if contender.name not in names:
                    names.append(contender.name)
    sentences = []
    for (title, reason), names in reasons.items():
        of_whom = "" if len(names) == len(contenders) else f" for {', '.join(names)}"
        sentences.append(f"Not measured{of_whom}: {title}, because {reason}.")
    return sentences


def without_effect(measured: Measured) -> list[str]:
    """Sentences that name the cells in which no clip got another score than without the corruption."""
    whom: dict[Cell, list[str]] = {}
    for name, found in measured.items():
        if Cell() not in found:
            continue
        clean = found[Cell()].scores
        for cell, run in found.items():
            if cell != Cell() and np.array_equal(run.scores, clean):
                whom.setdefault(cell, []).append(name)
    return [
        f"Without any effect on {' and '.join(names)} (no clip got another score): {_cell_words(cell)}."
        for cell, names in whom.items()
    ]


def _cell_words(cell: Cell) -> str:
    corruption = CORRUPTIONS[cell.corruption]
    return corruption.title if corruption.switch else f"{corruption.title} {cell.severity:g}"


def robustness_header(record: RobustnessRecord) -> tuple[str, ...]:
    """Headings of `robustness_rows`."""
    names = list(record.checkpoints)
    return (
        "corruption",
        "severity",
        *(f"{name} top-1 [95 %]" for name in names),
        *(f"{name} - {names[0]} (points) [95 %], p" for name in names[1:]),
    )


def robustness_rows(record: RobustnessRecord) -> list[tuple[str, ...]]:
    """One row for every corruption and severity; shares in percent, '-' where there is no cell."""
    cells = {(c.corruption, c.severity, c.checkpoint): c for c in record.cells}
    differences = {(d.corruption, d.severity, d.checkpoint): d for d in record.differences}
    rows = []
    for kind, severity in dict.fromkeys((c.corruption, c.severity) for c in record.cells):
        graded = kind in CORRUPTIONS and not CORRUPTIONS[kind].switch
        row = [record.corruptions[kind], f"{severity:g}" if graded else ""]
        for name in record.checkpoints:
            cell = cells.get((kind, severity, name))
            row.append("-" if cell is None else f"{_points(cell.top1)} [{_points(cell.low)}, {_points(cell.high)}]")
        for name in list(record.checkpoints)[1:]:
            found = differences.get((kind, severity, name))
            row.append("-" if found is None else _difference_text(found))
        rows.append(tuple(row))
    return rows


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _difference_text(found: RobustnessDifference) -> str:
    text = f"{100 * found.difference:+.1f}"
    if found.low is not None and found.high is not None:
        text += f" [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    return f"{text}, {found.p_value:.2g}"


def robustness_markdown(record: RobustnessRecord) -> str:
    """The record as a Markdown page."""
    parts = [
        f"# {record.title}",
        f"{record.data}. Top-1 in percent; intervals: Wilson, 95 %. Differences are on the same clips under the same "
        "corruption: 95 % interval by a bootstrap over signers (and, with fewer than "
        f"{FEW_SIGNERS}, over their clips), p by McNemar's exact test.",
        markdown_table(robustness_header(record), robustness_rows(record)),
    ]
    parts += [text for text in (record.independence, record.note) if text]
    if record.incomplete:
        parts.append("INCOMPLETE: " + "; ".join(f"{run}: {reason}" for run, reason in record.troubles()))
    facts = record.provenance
    parts.append(
        "\n".join(
            [
                *(f"- {name}: `{path}`" for name, path in record.checkpoints.items()),
                f"- command: `{facts['command']}`",
                f"- seed of the corruptions: {facts['seed']}",
                f"- time: {facts['time']}",
                *(f"- data: `{name}` {value}" for name, value in facts["data"].items()),
            ]
        )
    )
    return "\n\n".join(parts) + "\n"
