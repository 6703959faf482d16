"""How much of a text bank can be read off the skeletons, before anything is trained: seconds instead of hours.

    python tools/analysis/text_probe.py configs/ctrgcn_wlasl100_j.py templates=data/wlasl100/text_bank.safetensors
    python tools/analysis/text_probe.py CONFIG BANK [BANK ...] --train-split train --test-split val --folds 0

A ridge regression goes from the clips of the training part to the texts of their signs. The test clips are then told
apart by text: among signs that the regression has never seen, which only the meaning of the texts makes possible, and
among all signs, where texts only have to differ. Beside the banks stand the texts of the first one given to other
signs, and one vector of its own for every sign, which has no meaning. A BANK is [NAME=]FILE.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from gspmc_mm.evaluation.results import TextProbeRecord


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="its test data set and test pipeline are read")
    parser.add_argument("banks", nargs="+", metavar="[NAME=]BANK", help="text banks of its signs")
    parser.add_argument("--term", default="global", help="which texts: global, synonym, or a part (%(default)s)")
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4], help="0 where there are no folds")
    parser.add_argument("--train-split", default="fold{fold}_train", help="%(default)s")
    parser.add_argument("--test-split", default="fold{fold}_test", help="%(default)s")
    parser.add_argument(
        "--group", type=int, default=20, help="signs left out at a time; chance is 1/GROUP (%(default)s)"
    )
    parser.add_argument(
        "--ridge", type=float, default=1.0, help="times the mean of the kernel's diagonal (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the groups and the control (%(default)s)")
    parser.add_argument("--title", default="Texts read off skeletons", help="of the table (%(default)s)")
    parser.add_argument("--data", help="what the data set is called; default: its file")
    parser.add_argument("--out", type=Path, help="write the record here (docs/results/NAME.json for the page)")
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], metavar="k=v", help="settings of the config to override"
    )
    args = parser.parse_args(argv)
    if args.ridge <= 0:
        parser.error("--ridge has to be above 0")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write; 1 where the banks or the data do not fit."""
    args = parse_args(argv)
    # after the arguments are read: the package brings torch with it, --help does not need it
    from rich.console import Console

    from gspmc_mm.evaluation.results import write_record
    from gspmc_mm.evaluation.results_tables import tables

    console = Console() if sys.stdout.isatty() else Console(width=200)
    try:
        record = measure(args, console)
        (sheet,) = tables(record)
        console.print(sheet.to_rich())
        console.print(record.independence, markup=False, highlight=False, soft_wrap=True)
        if args.out:
            console.print(f"written: {write_record(args.out, record)}", markup=False, highlight=False)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def measure(args: argparse.Namespace, console: Console) -> TextProbeRecord:
    """Read the clips and banks, regress, and put what came out into a record."""
    from rich.progress import track

    from gspmc_mm.descriptions import TextBank
    from gspmc_mm.evaluation import gather_provenance
    from gspmc_mm.evaluation.experiments.planning import parse_options
    from gspmc_mm.evaluation.folds import any_fold
    from gspmc_mm.evaluation.inference import read_config
    from gspmc_mm.evaluation.provenance import fingerprint
    from gspmc_mm.evaluation.results import TextProbeRecord, TextProbeRow
    from gspmc_mm.evaluation.signer_independence import independence_statement, signer_independence
    from gspmc_mm.evaluation.text_probe import Fold, bank_targets, probe, read_clips

    started = time.perf_counter()
    config = read_config(args.config, parse_options(args.cfg_options))
    files = named_files(args.banks)
    banks = {name: TextBank.load(path) for name, path in files.items()}
    folds = []
    for fold in track(args.folds, "reading folds", console=console):
        train, test = (read_clips(config, split.format(fold=fold)) for split in (args.train_split, args.test_split))
        for bank in banks.values():
            bank.check_classes(config.test_dataloader.dataset.get("num_classes"), train.classes or None)
        folds.append(Fold.of(train, test))
    targets = bank_targets(banks, args.term, args.seed)
    found = probe(folds, targets, args.ridge, args.group, args.seed)
    rows = [
        TextProbeRow(
            name=name,
            encoder=banks[name].encoder if name in banks else "",
            alike=banks[name].mean_cosine(args.term) if name in banks else None,
            **found[name],
        )
        for name in targets
    ]
    source = config.test_dataloader.dataset.ann_file
    return TextProbeRecord(
        title=args.title,
        provenance=gather_provenance(seed=args.seed, data={str(p): fingerprint(p) for p in (source, *files.values())}),
        independence=independence_statement(
            [signer_independence(fold.train.signers, fold.test.signers) for fold in folds]
        ),
        seconds=time.perf_counter() - started,
        data=args.data or str(source),
        split=f"{any_fold(args.train_split)} / {any_fold(args.test_split)}, folds {', '.join(map(str, args.folds))}",
        term=args.term,
        group=args.group,
        ridge=args.ridge,
        rows=rows,
    )


def named_files(sources: Sequence[str]) -> dict[str, Path]:
    """`[NAME=]FILE` by name; the name of the file where none is given.

    Raises:
        ValueError: Two of one name.
    """
    files: dict[str, Path] = {}
    for source in sources:
        name, _, path = source.rpartition("=")
        name = name or Path(path).name.removesuffix(".safetensors")
        if name in files:
            raise ValueError(f"two banks are called {name!r}; give them names, NAME=FILE")
        files[name] = Path(path)
    return files


if __name__ == "__main__":
    sys.exit(main())
