"""docs/results.md: what stands between its marks is written from docs/results/*.json, so no number is typed by hand.

A mark is `<!-- results:NAME COMMAND -->` ... `<!-- end -->`: the section is filled from NAME.json, and says COMMAND as
long as there is no such file. Records that no mark names come where `<!-- results:* -->` stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gspmc_mm.files import write_text

from .provenance import origin
from .results import (
    AblationRecord,
    ComparisonRecord,
    FoldsRecord,
    FusionRecord,
    Record,
    RobustnessRecord,
    read_records,
)
from .results_tables import tables

_MARK = re.compile(r"(<!-- results:([\w.*-]+)(?: ([^\n]*?))? -->\n).*?(<!-- end -->)", re.DOTALL)
# A command is shown as it is typed in the root of a checkout, wherever the checkout of the run lay.
_TOOL = re.compile(r"^(?:\S*/)?(tools/\S+\.py)(?=\s|$)")
_OPENING = re.compile(r"<!-- results:")
_SHOWN_HASH = 12


@dataclass
class PageReport:
    """What became of a page: names of sections that are whole, incomplete, or without a file."""

    whole: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)


def filled(page: str, records: Mapping[str, Record], folder: Path) -> tuple[str, PageReport]:
    """The page with the tables of every record.

    Args:
        page: Markdown with marks.
        records: By name.
        folder: Where the page lies; pictures are looked for from there.

    Raises:
        ValueError: The page has no mark, one that is not closed, one name twice, or a record has no place on it.
    """
    marks = list(_MARK.finditer(page))
    if not marks:
        raise ValueError("the page has no mark <!-- results:NAME COMMAND --> ... <!-- end --> to fill")
    if len(marks) != len(_OPENING.findall(page)):
        raise ValueError("a mark <!-- results:... --> of the page is not closed by <!-- end -->")
    names = [mark[2] for mark in marks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"the page has two marks for {', '.join(twice)}")
    others = [name for name in records if name not in names]
    if others and "*" not in names:
        raise ValueError(f"no mark for {', '.join(others)}: add one, or <!-- results:* --> for all others")
    report = PageReport()

    def section(name: str) -> str:
        record = records[name]
        (report.incomplete if record.incomplete else report.whole).append(name)
        return section_text(record, folder)

    def fill(mark: re.Match[str]) -> str:
        name, command = mark[2], mark[3]
        if name == "*":
            text = "\n".join(f"### {records[other].title}\n\n{section(other)}" for other in others)
        elif name in records:
            text = section(name)
        else:
            report.not_run.append(name)
            text = "**Not run yet.**" + (f" `{command}`" if command else "") + "\n"
        return f"{mark[1]}\n{text}\n{mark[4]}" if text else f"{mark[1]}{mark[4]}"

    return _MARK.sub(fill, page), report


def gathered(troubles: Sequence[tuple[str, str]]) -> list[str]:
    """What is not there, a line each; the folds of one seed that have the same trouble share a line.

    Args:
        troubles: Run and reason. Runs of folds are called 'NAME seed S fold K'.
    """
    folds: dict[tuple[str, str], list[str]] = {}
    for run, reason in troubles:
        name, _, fold = run.rpartition(" fold ")
        folds.setdefault((name if fold.isdecimal() else run, " ".join(reason.split())), []).append(fold)
    lines = []
    for (name, reason), numbers in folds.items():
        known = [number for number in numbers if number.isdecimal()]
        which = f" fold{'s' * (len(known) > 1)} {', '.join(known)}" if known else ""
        lines.append(f"{name}{which}: {reason}")
    return lines


def section_text(record: Record, folder: Path) -> str:
    """What stands below a heading: verdict, troubles, tables, figures, and where it all comes from."""
    parts = []
    if isinstance(record, ComparisonRecord):
        parts.append(f"**{record.sentence}**\n")
    if record.incomplete:
        troubles = list(record.troubles())
        lines = [f"- {line}" for line in gathered(troubles)]
        parts.append(
            "\n".join([f"**Incomplete:** {len(troubles)} of the runs behind this table are lacking.", "", *lines, ""])
        )
    parts += [sheet.to_markdown() for sheet in tables(record)]
    if isinstance(record, FusionRecord) and record.left_out:
        lines = [f"{name}: {len(clips)}" for name, clips in record.left_out.items()]
        parts.append(f"Left out, because a stream lacks them (clips): {', '.join(lines)}.\n")
    parts += [f"{text}\n" for text in (record.independence, record.note) if text]
    if commands := _commands(record):
        parts.append("\n".join([*commands, ""]))
    for figure in record.figures:
        if (folder / figure).is_file():
            parts.append(f"![{record.title}]({figure})\n")
        else:
            parts.append(f"**Figure not drawn yet:** `{figure}`\n")
    return "\n".join([*parts, made_by(record.provenance, record.seconds, record.trained)])


def _commands(record: Record) -> list[str]:
    """What was trained, a line for each row."""
    if isinstance(record, FoldsRecord):
        return [f"- {row.name}: `{row.command or row.config}`" for row in record.rows if row.command or row.config]
    if isinstance(record, AblationRecord):
        return [f"- {row.name}: `{row.config}`" for row in record.rows if row.config]
    if isinstance(record, RobustnessRecord):
        return [f"- {name}: `{place}`" for name, place in record.checkpoints.items()]
    return []


def made_by(facts: Mapping[str, Any], seconds: float | None, trained: Sequence[str] = ()) -> str:
    """The lines below a table: command, seeds, commit, data, machine, versions, time; other origins of trainings."""
    seeds = facts["seed"] if isinstance(facts["seed"], list) else [facts["seed"]]
    shown = ", ".join(str(seed) for seed in seeds if seed is not None)
    spent = "" if seconds is None else f" · computing time of the runs {_duration(seconds)}"
    lines = [
        f"`{_TOOL.sub(_from_root, facts['command'])}`",
        "",
        f"{facts['time'][:10]} · seeds {shown or '-'} · {origin(facts)}{spent}",
    ]
    if other := [text for text in trained if text != origin(facts)]:
        lines += ["", f"Trained with {'; '.join(other)}"]
    if facts["data"]:
        marks = [f"`{name}` {mark.removeprefix('sha256:')[:_SHOWN_HASH]}" for name, mark in facts["data"].items()]
        lines += ["", f"Data: {'; '.join(marks)}"]
    return "\n".join(lines) + "\n"


def _from_root(tool: re.Match[str]) -> str:
    return f"python {tool[1]}"


def fill_page(page: Path, results: Path) -> PageReport:
    """Fill a page from the records of a folder.

    Raises:
        FileNotFoundError: There is no such page.
        ValueError: See `filled` and `read_record`.
    """
    if not page.is_file():
        raise FileNotFoundError(f"no page {page} to fill")
    text, report = filled(page.read_text(encoding="utf-8"), read_records(results), page.parent)
    write_text(page, text)
    return report


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
