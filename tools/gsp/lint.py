"""Look through a description set before it is encoded.

    python tools/gsp/lint.py DESC.json --kb KB --html lint.html

The exit status is 0 if no text claims what its sources do not say (with --strict: if there are no warnings either), and
1 if one does or if the set could not be read. Warnings are for a human to look at.
"""

from __future__ import annotations

import argparse
import sys


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Check a description set: coverage, sources, unsupported claims, lengths, parts, texts too alike."
    )
    parser.add_argument("descriptions", help="description set, JSON (docs/descriptions.md)")
    parser.add_argument(
        "--kb", help="knowledge base that the texts were made from: claims are compared with its entries"
    )
    parser.add_argument(
        "--encoder",
        default="use-multilingual",
        help="finds texts of different signs that it cannot tell apart: as for encode.py, or 'none'; "
        "default: %(default)s",
    )
    parser.add_argument(
        "--near",
        type=float,
        default=0.98,
        metavar="COSINE",
        help="two texts at least this near count as one; default: %(default)s",
    )
    parser.add_argument(
        "--tokens-of",
        metavar="ENCODER",
        help="whose tokens are counted: as for encode.py, 'estimate' or 'none'; default: CLIP's for English, else "
        "use-multilingual",
    )
    parser.add_argument("--max-tokens", type=int, default=77, metavar="N", help="longest text; default: %(default)s")
    parser.add_argument("--html", metavar="FILE", help="write a page with every sign's texts beside its entries")
    parser.add_argument("--json", metavar="FILE", help="write what was found as JSON")
    parser.add_argument("--signs", action="store_true", help="list every sign: its route, parts with text, problems")
    parser.add_argument("--strict", action="store_true", help="exit status 1 for warnings too")
    parser.add_argument("--show", type=int, default=20, metavar="N", help="problems to list; default: %(default)s")
    args = parser.parse_args()
    if not -1.0 <= args.near <= 1.0:
        parser.error("--near is a cosine, between -1 and 1")
    return args


def sign_line(summary: dict) -> str:
    """A sign in one line."""
    there = [name for name in ("described", "global") if summary[name]]
    texts = [*there, *(f"{summary[name]} {name}" for name in ("synonyms", "evidence"))]
    problems = ", ".join(f"{summary[level]} {level}" for level in ("errors", "warnings", "notes"))
    parts = ", ".join(summary["parts"]) or "none"
    said = [f"route {summary['route']}", f"parts: {parts}", ", ".join(texts), problems]
    return f"{summary['gloss']} ({summary['label']}): {'; '.join(said)}"


def main() -> int:
    """Check and report."""
    args = parse_args()
    # after the arguments are read: the package brings torch with it, --help does not need it
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from gspmc_mm.descriptions import get_encoder, load_descriptions
    from gspmc_mm.files import write_text
    from gspmc_mm.gsp.knowledge.base import KnowledgeBase
    from gspmc_mm.gsp.length_budget import LengthBudget, default_encoder
    from gspmc_mm.gsp.lint import lint_descriptions
    from gspmc_mm.gsp.lint_page import render_page

    console = Console()
    try:
        descriptions = load_descriptions(args.descriptions)
        kb = KnowledgeBase.open(args.kb) if args.kb else None
        encoder = None if args.encoder == "none" else get_encoder(args.encoder)
        counter = args.tokens_of or default_encoder(descriptions.language)
        budget = None if counter == "none" else LengthBudget(counter, args.max_tokens)
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("checking", total=len(descriptions.signs))
            report = lint_descriptions(
                descriptions,
                kb=kb,
                encoder=encoder,
                budget=budget,
                near_duplicate=args.near,
                advance=lambda: progress.advance(task),
            )
        if args.html:
            write_text(args.html, render_page(report))
        if args.json:
            write_text(args.json, report.to_json())
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130

    table = Table(title=f"{descriptions.name}: {len(descriptions.signs)} signs ({descriptions.language})")
    for heading in ("", "problem", "number", "signs"):
        table.add_column(heading, justify="right" if heading in ("number", "signs") else "left")
    for (level, rule), (number, signs) in report.by_rule().items():
        table.add_row(level, rule, str(number), str(signs) if signs else "")
    console.print(table)
    lines = [sign_line(sign.summary()) for sign in report.signs] if args.signs else []
    lines += [
        "texts for: " + ", ".join(f"{name} {count}" for name, count in report.coverage.items()),
        "entries found by: " + ", ".join(f"{route} {count}" for route, count in report.routes().items()),
    ]
    if report.nearest is not None:
        lines.append(f"mean cosine of a sign's global text to the nearest other sign's: {report.nearest:.3f}")
    lines += [f"not checked: {note}" for note in report.notes]
    glosses = {sign.sign.label: sign.sign.gloss for sign in report.signs}
    shown = [p for p in report.all_problems if p.level != "note"]
    shown.sort(key=lambda p: p.level != "error")
    for problem in shown[: args.show]:
        where = f"{glosses[problem.label]} ({problem.label}): " if problem.label is not None else ""
        lines.append(f"{problem.level}: {where}{problem.rule}: {problem.message}")
    if len(shown) > args.show:
        lines.append(f"... and {len(shown) - args.show} more (--show, --html)")
    lines += [f"wrote {path}" for path in (args.html, args.json) if path]
    lines.append(f"{report.count('error')} errors, {report.count('warning')} warnings, {report.count('note')} notes")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return int(bool(report.count("error") or (args.strict and report.count("warning"))))


if __name__ == "__main__":
    sys.exit(main())
