"""The results page: built from the records in docs/results, so that no number is typed by hand.

    python tools/analysis/results.py                       # fill docs/results.md from docs/results/*.json
    python tools/analysis/results.py folds WORK_DIR --data WLASL-100 --out docs/results/wlasl100_folds.json

`folds` makes the record of signer folds from the folders that signer_folds.py left, also while some are lacking: the
table then says that it is incomplete. fuse_streams.py, compare.py, ablate.py and robustness.py write theirs themselves.
The exit status is 0 when everything was written; with --complete only if nothing on the page is lacking.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line; without a command it is `page`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    page = commands.add_parser("page", help="fill the page (what happens without a command)")
    page.add_argument("--results", type=Path, default=REPOSITORY / "docs" / "results", help="folder of the records")
    page.add_argument("--page", type=Path, default=REPOSITORY / "docs" / "results.md", help="the page")
    page.add_argument("--complete", action="store_true", help="end with 1 if a section is incomplete or not run")

    folds = commands.add_parser("folds", help="record of signer folds, from the folders of signer_folds.py")
    folds.add_argument("work_dir", type=Path, help="holds VARIANT/seedS/foldK")
    folds.add_argument("--out", type=Path, required=True, help="NAME.json")
    folds.add_argument("--data", required=True, help="what the data set is called")
    folds.add_argument("--title", default="Signer folds, pooled", help="of the table (%(default)s)")
    folds.add_argument("--note", default="", help="what a reader has to know beside the figures")
    folds.add_argument(
        "--variants", nargs="+", default=[], help="in this order, also those not run yet; default: all there"
    )
    folds.add_argument(
        "--seeds", nargs="+", type=int, default=[], help="that each variant should have; default: its own"
    )
    folds.add_argument("--folds", nargs="+", type=int, default=[], help="that there should be; default: those found")
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "page")
    return parser.parse_args(words)


def fill(args: argparse.Namespace, console: Any) -> int:
    """Fill the page and say what is lacking."""
    from gspmc_mm.evaluation.results_page import fill_page

    report = fill_page(args.page, args.results)
    for what, names in (
        ("filled", report.whole),
        ("incomplete", report.incomplete),
        ("not run yet", report.not_run),
    ):
        if names:
            console.print(f"{what}: {', '.join(names)}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"written: {args.page}", markup=False, highlight=False)
    return int(args.complete and bool(report.incomplete or report.not_run))


def collect(args: argparse.Namespace, console: Any) -> int:
    """Write the record of signer folds."""
    from gspmc_mm.evaluation import gather_provenance
    from gspmc_mm.evaluation.fold_results import collect_folds
    from gspmc_mm.evaluation.results import write_record
    from gspmc_mm.evaluation.results_tables import tables

    record = collect_folds(
        args.work_dir,
        args.title,
        args.data,
        gather_provenance(),
        variants=args.variants,
        seeds=args.seeds,
        folds=args.folds,
        note=args.note,
    )
    for sheet in tables(record):
        console.print(sheet.to_rich())
    console.print(record.independence, markup=False, highlight=False, soft_wrap=True)
    for run, reason in record.troubles():
        console.print(f"incomplete: {run}: {reason}", markup=False, highlight=False)
    console.print(f"written: {write_record(args.out, record)}", markup=False, highlight=False)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parse_args(argv)
    # after the arguments are read: the package brings torch with it, --help does not need it
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=200)
    try:
        return fill(args, console) if args.what == "page" else collect(args, console)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
