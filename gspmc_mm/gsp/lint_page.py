"""The HTML page of a lint report: every sign's texts beside the entries they came from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from gspmc_mm.descriptions import SignDescription
from gspmc_mm.gsp.knowledge.entries import Entry
from gspmc_mm.gsp.lint import LintReport, Problem, SignReport

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; color: #222 }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin: 0 }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .2rem .8rem .2rem 0; text-align: left }
td.n { text-align: right }
.sign { border-top: 1px solid #ccc; padding: 1rem 0; display: grid; grid-template-columns: 1fr 1fr; gap: 0 2rem }
.sign header, .problems { grid-column: 1 / -1 }
.problems { list-style: none; padding: 0; margin: .3rem 0 } .error { color: #a40000 } .warning { color: #8a5a00 }
.note { color: #666 } dt { color: #666; font-size: .85rem } dd { margin: 0 0 .5rem } mark { background: #ffeaa0 }
.meta { color: #666; font-size: .85rem } :target { background: #f4f8ff }
@media (max-width: 50rem) { .sign { display: block } }
"""


def render_page(report: LintReport) -> str:
    """A whole HTML page; it needs no other file and no script. All texts are escaped."""
    return "\n".join(_page(report))


def _page(report: LintReport) -> Iterator[str]:
    name = escape(report.descriptions.name)
    yield "<!doctype html>"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{name}: lint</title><style>{_STYLE}</style></head><body>'
    yield f"<h1>{name}</h1>"
    settings = [f"{key}: {value}" for key, value in report.settings.items()]
    made_by = [f"{len(report.signs)} signs", f"language {report.descriptions.language}", report.descriptions.generator]
    yield f'<p class="meta">{escape(" · ".join([*made_by, *settings]))}<br>sha256 {report.descriptions.sha256}</p>'
    yield from _table(
        ("", "problem", "number", "signs"),
        [(level, rule, n, signs) for (level, rule), (n, signs) in report.by_rule().items()],
    )
    yield from _table(("texts for", "signs"), list(report.coverage.items()))
    yield from _table(("entries found by", "signs"), list(report.routes().items()))
    yield f'<ul class="problems">{"".join(map(_problem, report.problems))}</ul>'
    for note in report.notes:
        yield f'<p class="note">not checked: {escape(note)}</p>'
    for sign in report.signs:
        yield from _sign(sign)
    yield "</body></html>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield "<table><tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"
    for row in rows:
        cells = (f"<td{_class(value)}>{escape(str(value))}</td>" for value in row)
        yield "<tr>" + "".join(cells) + "</tr>"
    yield "</table>"


def _class(value: object) -> str:
    if isinstance(value, int):
        return ' class="n"'
    return f' class="{value}"' if value in ("error", "warning", "note") else ""


def _problem(problem: Problem) -> str:
    return f'<li class="{problem.level}">{problem.level}: {escape(problem.rule)}: {escape(problem.message)}</li>'


def _sign(report: SignReport) -> Iterator[str]:
    sign = report.sign
    yield f'<section class="sign" id="sign-{sign.label}"><header>'
    yield f"<h2>{sign.label} · {escape(sign.gloss)}</h2>"
    yield f'<span class="meta">route: {escape(report.route)}</span></header>'
    yield f'<ul class="problems">{"".join(map(_problem, report.problems))}</ul>'
    yield f"<div><dl>{''.join(_texts(sign))}</dl></div>"
    yield f"<div><dl>{''.join(_sources(report))}</dl></div></section>"


def _texts(sign: SignDescription) -> Iterator[str]:
    yield _item("primary, T_p", sign.primary)
    if sign.global_:
        yield _item("global, T_g", sign.global_)
    for text in sign.synonyms:
        yield _item("synonym, T_s", text)
    for segment in sign.segments:
        yield _item(f"segment: {', '.join(segment.parts)}", segment.text)


def _sources(report: SignReport) -> Iterator[str]:
    """The entries with what is quoted from them marked; the quotes alone where the entries are not known."""
    known = {entry.id for entry in report.entries}
    for entry in report.entries:
        quotes = [item.quote for item in report.sign.evidence if item.entry == entry.id]
        page = f", page {entry.page}" if entry.page is not None else ""
        title = f"{entry.headword} · {entry.id} · {entry.source}{page} · {entry.licence}"
        yield f"<dt>{escape(title)}</dt><dd>{_marked(entry, quotes)}</dd>"
        for flag in entry.flags:
            yield f'<dd class="warning">{escape(flag)}</dd>'
    for item in report.sign.evidence:
        if item.entry not in known:
            yield _item(f"quoted from {item.entry}", item.quote)


def _item(term: str, text: str) -> str:
    return f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>"


def _marked(entry: Entry, quotes: Sequence[str]) -> str:
    """The text of an entry, escaped, with the quotes found in it marked."""
    spans = sorted((at, at + len(q)) for q in quotes for at in [entry.text.find(q)] if q and at >= 0)
    pieces, position = [], 0
    for start, end in spans:
        if start < position:
            continue
        pieces += [escape(entry.text[position:start]), f"<mark>{escape(entry.text[start:end])}</mark>"]
        position = end
    return "".join([*pieces, escape(entry.text[position:])]).replace("\n", "<br>")
