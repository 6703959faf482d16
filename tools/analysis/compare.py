"""Compare two runs on the same clips, and say in a sentence whether they differ by more than noise.

    python tools/analysis/compare.py baseline=a.npz ours=b.npz
    python tools/analysis/compare.py WORK/ctrgcn_wlasl100_j WORK/gspmc --out docs/results/gspmc_against_baseline.json
    python tools/analysis/compare.py A=a1.npz,a2.npz,a3.npz B=b1.npz,b2.npz,b3.npz

A run is [NAME=]PLACE[,PLACE...]: an .npz of SignAccuracy's dump, a folder of signer_folds.py (its folds are pooled, its
seeds averaged), or a quoted pattern of folds; several places are several seeds. The interval is a bootstrap over
signers, each drawn with all clips (where signers are few their clips are drawn as well), of the clips' averages over
the seeds; with several seeds there is another one that draws the seeds too, and the sentence goes by both. The exit
status is 0 if the comparison was made, whatever it says.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", metavar="A", help="[NAME=]PLACE[,PLACE...], usually the baseline")
    parser.add_argument("second", metavar="B", help="the same clips")
    parser.add_argument("--draws", type=int, default=10_000, help="of the bootstrap (%(default)s)")
    parser.add_argument("--bootstrap-seed", type=int, default=0, help="of its random numbers (%(default)s)")
    parser.add_argument("--title", help="of the table; default: B against A")
    parser.add_argument("--data", default="", help="what the data set is called")
    parser.add_argument("--out", type=Path, help="write OUT.json (docs/results/NAME.json for the page) and OUT.md")
    args = parser.parse_args(argv)
    if args.draws < 100:
        parser.error("--draws is at least 100")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, print and write; 1 where the runs do not fit each other."""
    args = parse_args(argv)
    # after the arguments are read: the package brings torch with it, --help does not need it
    from rich.console import Console

    from gspmc_mm.evaluation import gather_provenance
    from gspmc_mm.evaluation.paired import comparison_record
    from gspmc_mm.evaluation.results import write_record
    from gspmc_mm.evaluation.results_tables import tables
    from gspmc_mm.evaluation.run_files import read_sources
    from gspmc_mm.files import write_text

    console = Console() if sys.stdout.isatty() else Console(width=200)
    try:
        first, second = read_sources([args.first, args.second])
        record = comparison_record(
            args.title or f"{second.name} against {first.name}",
            first,
            second,
            gather_provenance(seed=sorted({*first.runs, *second.runs}), data={**first.data, **second.data}),
            data=args.data,
            draws=args.draws,
            bootstrap_seed=args.bootstrap_seed,
        )
        (sheet,) = tables(record)
        console.print(sheet.to_rich())
        for line in (record.sentence, record.independence):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        if args.out:
            base = args.out.with_suffix("") if args.out.suffix == ".json" else args.out
            write_text(Path(f"{base}.md"), f"{sheet.to_markdown()}\n{record.sentence}\n")
            console.print(f"written: {write_record(f'{base}.json', record)}, .md", markup=False, highlight=False)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
