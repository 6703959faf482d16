"""Build a knowledge base from sign dictionaries, or bring one up to date.

    python tools/gsp/build_kb.py lexicon.pdf alphabet.txt --out KB --profile gf0020 --profile 'gf0021=alphabet*'

Only sources that changed are read again. The exit status is 0 only if the knowledge base is there and whole.
"""

from __future__ import annotations

import argparse
import sys


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Build a knowledge base from sign dictionaries (txt, md, csv, tsv, xlsx, jsonl, docx, pdf)."
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCES", help="files, or folders with such files")
    parser.add_argument("--out", required=True, metavar="KB", help="folder of the knowledge base")
    parser.add_argument(
        "--profile",
        action="append",
        metavar="P",
        help="how the entries look: gf0020, gf0021, meb, asl_lex, plain, table, or a YAML file; 'P=PATTERN' is for the "
        "files whose names fit; may be given several times. Tables with the columns headword and text need none",
    )
    parser.add_argument("--language", default="", help="code of the sources' language (zh, tr, en); default: guessed")
    parser.add_argument(
        "--embedder",
        default="use-multilingual",
        metavar="E",
        help="vectors of the names: use-multilingual (offline), open_clip:MODEL/WEIGHTS, openai:MODEL[@URL] (key and "
        "address also from OPENAI_API_KEY, OPENAI_BASE_URL), none; default: %(default)s",
    )
    return parser.parse_args()


def main() -> int:
    """Build and report; 1 if there is no whole knowledge base afterwards."""
    args = parse_args()
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from gspmc_mm.gsp.knowledge.base import build_knowledge_base

    console, errors = Console(), Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        bars = Progress(*columns, TimeRemainingColumn(), console=errors, transient=True, disable=not errors.is_terminal)
        with bars:
            tasks: dict[str, int] = {}

            def show(stage: str, done: int, total: int | None) -> None:
                if stage not in tasks:
                    tasks[stage] = bars.add_task(stage, total=total)
                bars.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

            report = build_knowledge_base(
                args.sources,
                args.out,
                profile=args.profile,
                language=args.language,
                embedder=args.embedder,
                progress=show,
            )
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            f"error: interrupted; {args.out} is as it was, and the vectors made so far are kept for the next run",
            file=sys.stderr,
        )
        return 130

    manifest = report.manifest
    for source in manifest.sources:
        state = "taken over" if source.name in report.taken_over else "read"
        lines = [f"{source.path}: {source.entries} entries, profile {source.profile} ({state})"]
        if source.scanned_pages:
            pages = ", ".join(map(str, source.scanned_pages[:20])) + (", ..." if len(source.scanned_pages) > 20 else "")
            lines.append(
                f"  warning: {len(source.scanned_pages)} pages are scanned pictures without text (page {pages}): "
                "run character recognition on them and build again"
            )
        if source.skipped:
            lines.append(f"  {source.skipped} lines or rows belong to no entry, the first: {source.skipped_first}")
        for line in lines:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    languages = ", ".join(f"{code} {count}" for code, count in manifest.languages.items())
    vectors = (
        f"{manifest.vectors} names by {manifest.embedder} ({manifest.vector_index})" if manifest.vectors else "none"
    )
    summary = [
        f"entries: {manifest.entries} ({languages}; {', '.join(f'{k} {n}' for k, n in manifest.kinds.items())})",
        f"vectors: {vectors}, {report.vectors_made} made now",
        f"corpus hash: {manifest.corpus_hash}",
    ]
    if manifest.flagged:
        summary.append(
            f"warning: {manifest.flagged} entries are flagged (like an instruction, or with hidden characters); "
            f"tools/gsp/query.py {args.out} --flagged lists them"
        )
    if report.seconds:
        summary.append("seconds: " + ", ".join(f"{stage} {spent:.1f}" for stage, spent in report.seconds.items()))
    summary.append(f"{'unchanged' if report.unchanged else 'wrote'} {report.path}")
    for line in summary:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
