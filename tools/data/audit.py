"""Say what is wrong with a pose store before a training finds out: faulty clips, leaking splits, odd ones out.

    python tools/data/audit.py data/own/poses --html work_dirs/audit.html

Prints a table; --html adds a page with small drawings of the faulty clips, --csv the measures of every clip. The exit
status is 1 if there are errors. `--allow KIND` makes a warning of an error that you know of, for example
`--allow shared-signers` for splits that are not signer-independent by design.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from gspmc_mm.poses.audit import AuditReport

SHOWN = 3


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="pose store: .arrow file or folder of shards")
    parser.add_argument("--clips", help="the CSV it was extracted from: finds clips of one video in two splits")
    parser.add_argument("--allow", action="append", default=[], metavar="KIND", help="only warn of this kind of error")
    parser.add_argument("--html", type=Path, help="page to write, with drawings")
    parser.add_argument("--csv", type=Path, help="table to write, one line per clip")
    parser.add_argument("--kinds", action="store_true", help="list the kinds of findings and stop")
    if "--kinds" in sys.argv[1:]:
        return argparse.Namespace(kinds=True)
    return parser.parse_args()


def main() -> int:
    """Audit and report; 1 if there are errors."""
    args = parse_args()
    # after the arguments are read: --help does not need the package
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from gspmc_mm.evaluation.provenance import gather_provenance
    from gspmc_mm.poses import PoseStore
    from gspmc_mm.poses.audit import KINDS, audit_store
    from gspmc_mm.poses.clip_list import read_clip_list
    from gspmc_mm.visualization.audit_page import write_audit_page

    if args.kinds:
        for kind, (severity, what) in KINDS.items():
            print(f"{kind:22} {severity:8} {what}")
        return 0
    console = Console(width=max(Console().width, 120))
    try:
        store = PoseStore(args.store)
        clips = read_clip_list(args.clips) if args.clips else None
        columns = (TextColumn("clips"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("", total=len(store))
            report = audit_store(store, clips=clips, allow=args.allow, on_clip=lambda: bar.advance(task))
        show(report, console)
        if args.html:
            facts = gather_provenance(data={str(args.store): store.fingerprint})
            print(write_audit_page(report, args.html, facts))
        if args.csv:
            print(write_measures(report, args.csv))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 1 if report.errors else 0


def show(report: AuditReport, console: Console) -> None:
    """Print the tables."""
    from rich.table import Table

    from gspmc_mm.visualization.audit_page import format_number

    store = report.store
    print(
        f"{len(store):,} clips, {int(store.frames.sum()):,} frames, layout {store.layout.name}, estimator "
        f"{store.header.estimator['name'] or 'unknown'}"
    )
    if store.header.classes:
        print(f"num_classes = {len(store.header.classes)}")
    table = Table()
    for column in ("split", "clips", "signers", "signs", "clips a sign", "frames", "left hand", "right hand", "score"):
        table.add_column(column, justify="left" if column == "split" else "right", no_wrap=True)
    for name, row in report.splits.items():
        shown = {column: format_number(column, value) for column, value in row.items()}
        table.add_row(
            name or "all clips",
            *(shown[column] for column in ("clips", "signers", "signs")),
            f"{shown['fewest']}-{shown['most']}",
            f"{shown['frames_min']} / {shown['frames_median']} / {shown['frames_max']}",
            *(shown[column] for column in ("left_hand", "right_hand", "confidence")),
        )
    console.print(table)
    print("frames: fewest / median / most of a clip; hands: share of the frames in which they are seen")
    for kind, findings in report.by_kind.items():
        print(f"{findings[0].severity}: {kind} ({len(findings):,})")
        for finding in findings[:SHOWN]:
            print(f"  {finding.subject}: {finding.message}")
        if len(findings) > SHOWN:
            print(f"  ... and {len(findings) - SHOWN:,} more")
    errors = len(report.errors)
    print(f"{errors:,} errors, {len(report.findings) - errors:,} warnings")


def write_measures(report: AuditReport, path: Path) -> Path:
    """The measures of every clip and the kinds of findings that concern it, as CSV."""
    store, measures = report.store, report.measures
    kinds: dict[int, list[str]] = {}
    for finding in report.findings:
        for index in finding.clips:
            kinds.setdefault(index, []).append(finding.kind)
    from gspmc_mm.files import replacing

    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        head = "clip_id,label,signer,frames,fps,width,height,seen,confidence,left_hand,right_hand,jumps,still"
        writer.writerow([*head.split(","), "outside", "left_path", "right_path", "findings"])
        for i in range(len(store)):
            facts = (store.clip_ids[i], store.labels[i], store.signers[i], store.frames[i], store.fps[i])
            shares = (measures.seen[i], measures.confidence[i], *measures.hands[i])
            tail = (measures.outside[i], *measures.path[i])
            writer.writerow(
                [
                    *(*facts, *store.image_sizes[i]),
                    *(f"{value:.4f}" for value in shares),
                    *(measures.jumps[i], measures.still[i]),
                    *(f"{value:.4f}" for value in tail),
                    ";".join(dict.fromkeys(kinds.get(i, ()))),
                ]
            )
    return path


if __name__ == "__main__":
    sys.exit(main())
