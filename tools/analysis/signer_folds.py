"""Train and test the signer folds of a data set, pool them, compare variants.

Each fold is a training (`tools/train.py`) and a test (`tools/test.py`) of its own under
`WORK_DIR/VARIANT/seedS/foldK`. The same command goes on where it was stopped: finished folds are
kept, an interrupted training is resumed. What is tested is always the last checkpoint, so nothing
is chosen on the held-out clips.

A training is one process. Where its batch is not the `auto_scale_lr.base_batch_size` of the config, the learning rate
is scaled to it.

Example:
    python tools/analysis/signer_folds.py configs/ctrgcn_wlasl100_j.py \\
        --variants gspmc=configs/gspmc_wlasl100_j.py --work-dir work_dirs/folds/wlasl100
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gspmc_mm.evaluation import Predictions, fold_report, gather_provenance, save_predictions
from gspmc_mm.evaluation.experiments import (
    FoldRun,
    Launcher,
    RunPlan,
    Variant,
    parse_variant,
    plan_runs,
    run_all,
)
from gspmc_mm.evaluation.folds import (
    ACCURACY_HEADER,
    COMPARISON_HEADER,
    accuracy_rows,
    any_fold,
    comparison_rows,
    report_markdown,
)
from gspmc_mm.files import write_json, write_text

REPOSITORY = Path(__file__).resolve().parents[2]
TRAIN_TOOL = REPOSITORY / "tools" / "train.py"
TEST_TOOL = REPOSITORY / "tools" / "test.py"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parse_args(argv)
    console = Console() if sys.stdout.isatty() else Console(width=160)
    try:
        runs = plan_runs(plan_of(args), variants_of(args))
        launcher = Launcher(REPOSITORY / "tools", TRAIN_TOOL, TEST_TOOL)
        failures = run_all(runs, launcher, args.jobs, console, REPOSITORY)
        if failures:
            for _, failure in failures:
                console.print(f"\n{failure}", markup=False, highlight=False)
            console.print(f"{len(failures)} of {len(runs)} folds failed, nothing was pooled")
            return 1
        write_report(args, runs, console)
    except (ValueError, FileNotFoundError) as error:
        console.print(f"error: {error}", markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from here")
        return 130
    return 0


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", help="the first variant, named after its file")
    parser.add_argument(
        "--variants",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=CONFIG[:k=v,...]",
        help="further variants; k=v changes their config",
    )
    parser.add_argument("--work-dir", type=Path, required=True)
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--train-split", default="fold{fold}_train", help="default: %(default)s")
    parser.add_argument(
        "--test-split", default="fold{fold}_test", help="default: %(default)s; several are joined by commas: val,test"
    )
    parser.add_argument("--val-split", help="what the curves are taken on during training; default: the test split")
    parser.add_argument("--jobs", type=int, default=1, help="folds at a time (default: 1)")
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="k=v", help="changes for all variants")
    parser.add_argument(
        "--allow-shared-signers",
        action="store_true",
        help="the splits are not by signer: the same signer may be in training and in test",
    )
    parser.add_argument(
        "--replace-changed",
        action="store_true",
        help="move folds aside that were run with another config or other data, and run them again",
    )
    args = parser.parse_args(argv)
    if args.config is None and not args.variants:
        parser.error("give a CONFIG or --variants NAME=CONFIG")
    if args.jobs < 1:
        parser.error("--jobs is at least 1")
    return args


def variants_of(args: argparse.Namespace) -> list[Variant]:
    """What the command line wants measured."""
    first = [Variant(Path(args.config).stem, Path(args.config))] if args.config else []
    return first + [parse_variant(text) for text in args.variants]


def plan_of(args: argparse.Namespace) -> RunPlan:
    """What the command line says about all variants."""
    return RunPlan(
        work_dir=args.work_dir,
        folds=args.folds,
        seeds=args.seeds,
        train_split=args.train_split,
        test_split=args.test_split,
        val_split=args.val_split,
        options=args.cfg_options,
        shared_signers=args.allow_shared_signers,
        replace_changed=args.replace_changed,
    )


def write_report(args: argparse.Namespace, runs: Sequence[FoldRun], console: Console) -> None:
    """Pool the folds, print the tables, write `results.json`, `results.md` and the pooled scores.

    Raises:
        ValueError: Predictions that are incomplete or do not fit each other.
    """
    scores: dict[str, dict[int, dict[int, Predictions]]] = {}
    for run in runs:
        scores.setdefault(run.variant.name, {}).setdefault(run.seed, {})[run.fold] = run.load_predictions()
    report, pooled = fold_report(scores, signers_disjoint=not args.allow_shared_signers)
    data = {path: mark for run in runs for path, mark in run.identity["inputs"].items()}
    report["splits"] = f"{any_fold(args.train_split)} / {any_fold(args.test_split)}, folds {args.folds}"
    report["provenance"] = gather_provenance(seed=args.seeds, data=data)
    for run in runs:
        entry = report["variants"][run.variant.name]
        entry["config"] = str(run.variant.config)
        entry["cfg_options"] = [*args.cfg_options, *run.variant.options]
        summary = entry["seeds"][str(run.seed)]["folds"][str(run.fold)]
        summary["run"] = {
            key: run.record.get(key) for key in ("train_command", "test_command", "checkpoint", "seconds")
        } | {"config_sha256": run.identity["config_sha256"]}
    for name, seeds in pooled.items():
        for seed, predictions in seeds.items():
            save_predictions(args.work_dir / name / f"seed{seed}" / "pooled.npz", predictions)
    write_json(args.work_dir / "results.json", report)
    page = report_markdown(report, f"Signer folds: {', '.join(report['variants'])}")
    write_text(args.work_dir / "results.md", page)
    show(console, "Held-out signers, percent", ACCURACY_HEADER, accuracy_rows(report))
    if report["comparisons"]:
        rows = comparison_rows(report)
        show(console, "Paired comparison on the pooled clips", COMPARISON_HEADER, rows)
    console.print(f"written: {args.work_dir}/results.json, results.md, */seed*/pooled.npz")


def show(console: Console, title: str, header: Sequence[str], rows: Sequence[tuple]) -> None:
    """Print a table; what is pooled stands out."""
    table = Table(title=title)
    for name in header:
        table.add_column(name)
    for row in rows:
        table.add_row(*row, style="bold" if "pooled" in row else None)
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
