"""The tables of result records: for a terminal, for a page (Markdown) and for a paper (LaTeX)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .benchmarking.tables import NONE, Sheet
from .experiments.ablation_report import cells, header
from .results import (
    AblationRecord,
    Accuracy,
    ComparisonRecord,
    Difference,
    FoldsRecord,
    FusionRecord,
    FusionRow,
    Published,
    Record,
    RobustnessRecord,
    TextProbeRecord,
)
from .robustness_report import robustness_header, robustness_rows
from .signer_bootstrap import FEW_SIGNERS, what_is_drawn

SHOWN_PAIRS = 5
_LATEX = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "<": r"$<$",
        ">": r"$>$",
    }
)


def tables(record: Record) -> list[Sheet]:
    """All tables of a record; percent, intervals of 95 % in brackets."""
    if isinstance(record, FoldsRecord):
        return list(_folds(record))
    if isinstance(record, ComparisonRecord):
        return [_comparison(record)]
    if isinstance(record, FusionRecord):
        return [_fusion(record)]
    if isinstance(record, AblationRecord):
        return [_ablation(record)]
    if isinstance(record, RobustnessRecord):
        return [_robustness(record)]
    if isinstance(record, TextProbeRecord):
        return [_text_probe(record)]
    return []  # pictures speak for themselves


def latex_table(sheet: Sheet, caption: str = "", label: str = "") -> str:
    """A table as LaTeX (package booktabs); the title stands in a comment."""
    rows = [" & ".join(cell.translate(_LATEX) for cell in row) + r" \\" for row in sheet.rows]
    lines = [
        f"% {' '.join(sheet.title.split())}",
        r"\begin{table}",
        r"\centering",
        *([rf"\caption{{{caption.translate(_LATEX)}}}"] if caption else []),
        *([rf"\label{{{label}}}"] if label else []),
        rf"\begin{{tabular}}{{l{'r' * (len(sheet.headings) - 1)}}}",
        r"\toprule",
        " & ".join(heading.translate(_LATEX) for heading in sheet.headings) + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def percent(share: float | None) -> str:
    """A share in percent with one digit, `-` where there is none."""
    return NONE if share is None else f"{100 * share:.1f}"


def accuracy_cell(accuracy: Accuracy | None) -> str:
    """`46.0 ± 0.8 [40.7, 50.7]`: mean, deviation over the seeds, interval."""
    if accuracy is None:
        return NONE
    spread = "" if accuracy.std is None else f" ± {percent(accuracy.std)}"
    return f"{percent(accuracy.mean)}{spread} [{percent(accuracy.low)}, {percent(accuracy.high)}]"


def interval_note(accuracies: Sequence[Accuracy | None]) -> str:
    """What the brackets of a table are."""
    kinds = {accuracy.interval for accuracy in accuracies if accuracy is not None}
    words = {
        "signers": "bootstrap over signers",
        "signers and clips": "bootstrap over signers and, as these are few, their clips; little is known of others",
        "wilson": "Wilson, clips taken as independent",
    }
    return "; ".join(words[kind] for kind in sorted(kinds))


def _per_class(accuracy: Accuracy | None) -> str:
    if accuracy is None or accuracy.per_class_low is None:
        return NONE if accuracy is None else percent(accuracy.per_class)
    return f"{percent(accuracy.per_class)} [{percent(accuracy.per_class_low)}, {percent(accuracy.per_class_high)}]"


def _clips(accuracy: Accuracy | None) -> str:
    return NONE if accuracy is None else str(accuracy.clips)


def _numbers(values: Sequence[int]) -> str:
    return ", ".join(str(value) for value in values) or NONE


def _hours(seconds: float | None) -> str:
    return NONE if seconds is None else f"{seconds / 3600:.1f}"


def _folds(record: FoldsRecord) -> Iterator[Sheet]:
    title = f"{record.data}, {record.splits}, folds {_numbers(record.folds)}"
    note = interval_note([row.top1 for row in record.rows])
    headings = ["variant", "seeds", "clips", "top-1", "top-5", "P-C top-1", "P-C top-5", "ECE", "hours"]
    sheet = Sheet(f"{title}; brackets: {note}" if note else title, headings)
    for row in record.rows:
        sheet.rows.append(
            [row.name, _numbers(row.seeds), _clips(row.top1), accuracy_cell(row.top1), accuracy_cell(row.top5)]
            + [_per_class(row.top1), _per_class(row.top5), percent(row.ece), _hours(row.seconds)]
        )
    yield sheet
    if any(row.confused for row in record.rows):
        pairs = Sheet("Signs taken for one another most often: clips of both, all seeds", ["variant", "pairs"])
        for row in record.rows:
            shown = [f"{' / '.join(pair.signs)} {pair.count} of {pair.of}" for pair in row.confused[:SHOWN_PAIRS]]
            pairs.rows.append([row.name, "; ".join(shown) or NONE])
        yield pairs


def _comparison(record: ComparisonRecord) -> Sheet:
    title = (
        f"{record.second} against {record.first}, {record.first_top1.clips} clips of {record.signers} signers; "
        f"{record.draws} draws"
    )
    drawn = what_is_drawn(record.signers)
    over = [f"over {drawn}", f"over {drawn.replace(' and', ',')} and seeds"]
    headings = ["", record.first, record.second, "difference", *over, "McNemar p"]
    sheet = Sheet(title, headings)
    for name, first, second, difference in (
        ("top-1", record.first_top1, record.second_top1, record.top1),
        ("top-5", record.first_top5, record.second_top5, record.top5),
    ):
        sheet.rows.append(
            [name, accuracy_cell(first), accuracy_cell(second), _difference(difference)]
            + [_gap(difference.low, difference.high), _gap(difference.low_seeds, difference.high_seeds)]
            + [", ".join(f"{pair.p_value:.2g}" for pair in difference.pairs)]
        )
    sheet.rows.append(
        ["P-C top-1", _per_class(record.first_top1), _per_class(record.second_top1)]
        + [_points(record.first_top1.per_class, record.second_top1.per_class)]
        + [_gap(record.per_class_low, record.per_class_high), NONE, NONE]
    )
    return sheet


def _difference(difference: Difference) -> str:
    spread = "" if difference.std is None else f" ± {percent(difference.std)}"
    return f"{100 * difference.mean:+.1f}{spread}"


def _gap(low: float | None, high: float | None) -> str:
    return NONE if low is None or high is None else f"[{100 * low:+.1f}, {100 * high:+.1f}]"


def _points(first: float | None, second: float | None) -> str:
    return NONE if first is None or second is None else f"{100 * (second - first):+.1f}"


def _fusion(record: FusionRecord) -> Sheet:
    how = f"fitted on {record.fitted_on}" if record.weighting == "fitted" else "fixed in advance"
    note = interval_note([record.fused.top1])
    title = f"{record.data or 'streams'}, seeds {_numbers(record.seeds)}, weights {how}; brackets: {note}"
    headings = ["stream", "weight", "clips", "top-1", "top-5", "P-C top-1", "P-C top-5", "ECE"]
    if record.published:
        headings += ["published top-1", "published top-5"]
    sheet = Sheet(title, headings)
    mine = {row.name for row in (*record.streams, record.fused)}
    beside = {figure.row: figure for figure in record.published if figure.row in mine}
    for row in (*record.streams, record.fused):
        sheet.rows.append(_fusion_row(row) + (_printed(beside.get(row.name)) if record.published else []))
    for figure in record.published:
        if figure.row not in mine:
            sheet.rows.append([figure.method] + [NONE] * 7 + _printed(figure))
    return sheet


def _fusion_row(row: FusionRow) -> list[str]:
    weight = NONE if row.weight is None else f"{row.weight:.3f}"
    cells = [row.name, weight, _clips(row.top1), accuracy_cell(row.top1), accuracy_cell(row.top5)]
    return [*cells, _per_class(row.top1), _per_class(row.top5), percent(row.ece)]


def _printed(figure: Published | None) -> list[str]:
    """Two digits, as the papers print them."""
    if figure is None:
        return [NONE, NONE]
    return [NONE if share is None else f"{100 * share:.2f}" for share in (figure.top1, figure.top5)]


def _ablation(record: AblationRecord) -> Sheet:
    note = interval_note([row.top1 for row in record.rows])
    title = ", ".join(filter(None, [record.table, record.data, record.split]))
    differences = "differences: points [95 %], McNemar p, and whether it is more than noise"
    return Sheet(f"{title}; 95 %: {note}; {differences}" if note else title, header(record), list(cells(record)))


def _robustness(record: RobustnessRecord) -> Sheet:
    few = f"and, with fewer than {FEW_SIGNERS}, over their clips"
    title = f"{record.data}; accuracies: Wilson, clips taken as independent; differences: over signers ({few}), McNemar"
    return Sheet(title, robustness_header(record), list(robustness_rows(record)))


def _text_probe(record: TextProbeRecord) -> Sheet:
    note = interval_note([row.unseen for row in record.rows])
    chance = f"chance on signs never seen {percent(1 / record.group)}"
    sheet = Sheet(
        f"{record.data}, {record.split}, texts '{record.term}'; {chance}; brackets: {note}",
        ["targets", "encoder", "mean cosine", "clips", "signs never seen, top-1", "signs seen, top-1"],
    )
    for row in record.rows:
        alike = NONE if row.alike is None else f"{row.alike:.2f}"
        accuracies = [accuracy_cell(row.unseen), accuracy_cell(row.seen)]
        sheet.rows.append([row.name, row.encoder or NONE, alike, _clips(row.unseen), *accuracies])
    return sheet
