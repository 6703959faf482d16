"""The HTML page of an audit: tables, and small drawings of the clips that were found faulty. One file, no scripts."""

from __future__ import annotations

import html
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gspmc_mm.files import write_text
from gspmc_mm.poses import PoseStore
from gspmc_mm.poses.audit import ERROR, KINDS, AuditReport, Finding
from gspmc_mm.skeleton import Layout

SHOWN = 24  # findings of a kind with drawings; further ones are only counted
_THUMB = 110  # pixels
_MOMENTS = (0.25, 0.5, 0.75)

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 72em; padding: 0 1em; color: #222; }
table { border-collapse: collapse; margin: .6em 0 1.4em; }
th, td { border-bottom: 1px solid #ddd; padding: .25em .8em; text-align: right; vertical-align: middle; }
th { color: #555; font-weight: 600; }
td:first-child, th:first-child, td.text, th.text { text-align: left; overflow-wrap: anywhere; }
h2 .error { color: #b3261e; } h2 .warning { color: #8a5a00; }
svg { background: #fafafa; border: 1px solid #e5e5e5; margin: 2px; }
"""


def write_audit_page(
    report: AuditReport, path: str | os.PathLike[str], provenance: Mapping[str, Any] | None = None
) -> Path:
    """Write the page, whole or not at all.

    Args:
        report: of the audit.
        path: where to, `.html`.
        provenance: facts about the run, shown at the end.
    """
    return write_text(path, audit_page(report, provenance))


def audit_page(report: AuditReport, provenance: Mapping[str, Any] | None = None) -> str:
    """The page as text."""
    store = report.store
    estimator = store.header.estimator
    name = store.files[0].parent.name if len(store.files) > 1 else store.files[0].name
    facts = (
        f"{len(store):,} clips, {int(store.frames.sum()):,} frames, layout {store.layout.name}, estimator "
        f"{estimator['name'] or 'unknown'} {estimator['version']}, fingerprint {store.fingerprint[:16]}"
    )
    errors = len(report.errors)
    verdict = f"{errors:,} errors, {len(report.findings) - errors:,} warnings"
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>Audit of {html.escape(name)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Audit of {html.escape(name)}</h1><p>{html.escape(facts)}</p><p><b>{verdict}</b></p>",
        _table_of_kinds(report),
        _table_of_splits(report),
    ]
    for kind, findings in report.by_kind.items():
        parts.append(_section(store, kind, findings))
    if provenance:
        rows = "".join(
            f"<tr><td>{html.escape(str(key))}</td><td class='text'>{html.escape(str(value))}</td></tr>"
            for key, value in provenance.items()
        )
        parts.append(f"<h2>How this page was made</h2><table>{rows}</table>")
    parts.append("</body></html>\n")
    return "\n".join(parts)


def skeleton_svg(layout: Layout, keypoint: np.ndarray, score: np.ndarray, box: np.ndarray, size: int = _THUMB) -> str:
    """One frame as a small SVG.

    Args:
        layout: of the points.
        keypoint: (V, 2) pixels.
        score: (V,) confidence; points at 0 are left out.
        box: (2, 2) lowest and highest x, y that are shown.
        size: height in pixels.
    """
    low, high = box
    scale = size / max(float(high[1] - low[1]), 1e-6)
    width = max(20, min(3 * size, round(float(high[0] - low[0]) * scale)))
    points = np.rint((keypoint - low) * scale * 10) / 10
    paths: dict[str, list[str]] = {}
    for child, parent in layout.bones:
        if child != parent and score[child] > 0 and score[parent] > 0:
            (x0, y0), (x1, y1) = points[parent], points[child]
            paths.setdefault(layout.part_of_joint[child], []).append(f"M{x0:g} {y0:g}L{x1:g} {y1:g}")
    drawn = "".join(
        f"<path d='{''.join(lines)}' stroke='{layout.colors[part]}' fill='none' stroke-width='1.3'/>"
        for part, lines in paths.items()
    )
    return f"<svg width='{width}' height='{size}' viewBox='0 0 {width} {size}'>{drawn}</svg>"


def clip_thumbnails(store: PoseStore, index: int) -> str:
    """Three moments of a clip as SVGs, all on one scale."""
    frames = sorted({int(moment * (store.frames[index] - 1)) for moment in _MOMENTS})
    clip = store.clip(index, frames=frames)
    seen = clip.keypoint[clip.score > 0]
    if not len(seen):
        return "<i>nothing is seen</i>"
    low, high = seen.min(axis=0), seen.max(axis=0)
    margin = 0.06 * max(float((high - low).max()), 1.0)
    box = np.stack([low - margin, high + margin])
    return "".join(
        skeleton_svg(store.layout, points, score, box) for points, score in zip(clip.keypoint, clip.score, strict=True)
    )


def _table_of_kinds(report: AuditReport) -> str:
    rows = "".join(
        f"<tr><td><a href='#{kind}'>{kind}</a></td><td "
        f"class='text'>{_severity(findings)}</td><td>{len(findings):,}</td>"
        f"<td class='text'>{html.escape(KINDS[kind][1])}</td></tr>"
        for kind, findings in report.by_kind.items()
    )
    if not rows:
        return "<p>Nothing was found.</p>"
    head = "<tr><th>kind</th><th class='text'></th><th>number</th><th class='text'>what</th></tr>"
    return f"<h2>Findings</h2><table>{head}{rows}</table>"


def _table_of_splits(report: AuditReport) -> str:
    columns = list(next(iter(report.splits.values())))
    head = "".join(f"<th>{column.replace('_', ' ')}</th>" for column in ("split", *columns))
    rows = "".join(
        f"<tr><td>{html.escape(name or 'all clips')}</td>"
        + "".join(f"<td>{format_number(column, row[column])}</td>" for column in columns)
        + "</tr>"
        for name, row in report.splits.items()
    )
    return f"<h2>Splits</h2><table><tr>{head}</tr>{rows}</table>"


def format_number(column: str, value: float) -> str:
    """A number of the table of splits: shares in percent."""
    if isinstance(value, float) and math.isnan(value):
        return "-"
    if column in ("left_hand", "right_hand"):
        return f"{value:.0%}"
    if column == "confidence":
        return f"{value:.2f}"
    return f"{value:,.0f}"


def _section(store: PoseStore, kind: str, findings: list[Finding]) -> str:
    rows = []
    for finding in findings[:SHOWN]:
        pictures = "<br>".join(clip_thumbnails(store, index) for index in finding.clips[:2])
        rows.append(
            f"<tr><td>{html.escape(finding.subject)}</td><td class='text'>{html.escape(finding.message)}</td>"
            f"<td class='text'>{pictures}</td></tr>"
        )
    more = f"<p>... and {len(findings) - SHOWN:,} more</p>" if len(findings) > SHOWN else ""
    title = f"<span class='{_severity(findings)}'>{_severity(findings)}</span>: {kind} ({len(findings):,})"
    what = html.escape(KINDS[kind][1])
    return f"<h2 id='{kind}'>{title}</h2><p>{what}</p><table>{''.join(rows)}</table>{more}"


def _severity(findings: list[Finding]) -> str:
    return ERROR if any(finding.severity == ERROR for finding in findings) else findings[0].severity
