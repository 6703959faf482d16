"""Make an ablation table: train and test its lines, print it with the published figures beside it, write it down.

Every line is a config under `configs/ablations/`, every run a training (`tools/train.py`) and a test (`tools/test.py`)
under `WORK_DIR/CONFIG/seedS/foldK`. Text banks that are missing are encoded. The same command goes on where it was
stopped and repeats nothing, also not what another table has run. A run that fails is named, the table says that it is
incomplete, and the exit status is 1.

A table has all its lines and compares each with its own first one, also where --lines, --folds or --seeds ask for a
part: what was finished before is taken from the work dir with the same settings, and what is not there is named as
missing.

The learning rate of a config is for its auto_scale_lr.base_batch_size (120 clips a step on SLR-500, 80 on AUTSL, 16
elsewhere). Where the batches of all processes of a training together have another size, it is scaled to that.

Examples:
    python tools/analysis/ablate.py table5 --data synthsign --seeds 3 --epochs 12
    python tools/analysis/ablate.py controls --data wlasl100 --seeds 3 --jobs 2
    python tools/analysis/ablate.py table4 table5 --data slr500 --seeds 3 --launcher slurm --partition gpu --jobs 4
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from gspmc_mm.evaluation.experiments import FoldRun, Launcher, Variant
    from gspmc_mm.evaluation.experiments.ablation_data import AblationData
    from gspmc_mm.evaluation.experiments.ablation_tables import AblationTable
    from gspmc_mm.evaluation.results import AblationRecord

REPOSITORY = Path(__file__).resolve().parents[2]
TRAIN_TOOL = REPOSITORY / "tools" / "train.py"
TEST_TOOL = REPOSITORY / "tools" / "test.py"
QUICK_EPOCHS = 3
NAMES = (
    *("table4", "table5", "table6", "controls", "alpha", "tau", "pairs", "pooling"),
    *("topology", "text_encoder", "synonyms", "schedule", "sign_groups"),
)
DATA = ("synthsign", "wlasl100", "bdsl55", "slr500", "autsl")


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", choices=NAMES, metavar="TABLE", help=", ".join(NAMES))
    parser.add_argument("--data", required=True, choices=DATA)
    parser.add_argument("--seeds", type=int, default=3, help="trainings of every line, seeds 0, 1, ... (%(default)s)")
    parser.add_argument("--folds", nargs="+", type=int, help="run only these; default: all folds of the data set")
    parser.add_argument("--epochs", type=int, help="length of the cosine schedule; default: the configs'")
    parser.add_argument(
        "--lines", nargs="+", metavar="CONFIG", help="run only the lines of these configs (without .py)"
    )
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time (%(default)s)")
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm"],
        default="none",
        help="none: one process; pytorch: torchrun, --gpus processes a training; slurm: every run a job of --partition",
    )
    parser.add_argument(
        "--gpus", type=int, default=8, help="processes of a training with a launcher, a batch each (%(default)s)"
    )
    parser.add_argument("--partition", help="of Slurm")
    parser.add_argument("--work-dir", type=Path, help="default: work_dirs/ablations/DATA")
    parser.add_argument("--out", type=Path, help="folder of the records; default: docs/results of this checkout")
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="k=v", help="changes of all configs")
    parser.add_argument("--replace-changed", action="store_true", help="move aside what was run with other settings")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"{QUICK_EPOCHS} epochs, one seed, one fold: whether everything works; records stay in the work dir",
    )
    args = parser.parse_args(argv)
    for name in ("seeds", "jobs", "gpus"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} is at least 1")
    if args.epochs is not None and args.epochs < 3:
        parser.error("--epochs is at least 3: two of them are the warm-up")
    if args.launcher == "slurm" and not args.partition:
        parser.error("--launcher slurm needs --partition")
    if args.quick:
        args.seeds, args.epochs = 1, args.epochs or QUICK_EPOCHS
    if args.work_dir is None:
        args.work_dir = Path("work_dirs") / "ablations" / (args.data + ("_quick" if args.quick else ""))
    if args.out is None:
        args.out = args.work_dir if args.quick else REPOSITORY / "docs" / "results"
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parse_args(argv)
    # after the arguments are read: the package brings torch with it, --help does not need it
    from mmengine.logging import MMLogger
    from rich.console import Console

    from gspmc_mm.evaluation.experiments.ablation_data import DATA_SETS
    from gspmc_mm.evaluation.experiments.ablation_tables import TABLES
    from gspmc_mm.evaluation.results import write_record

    console = Console() if sys.stdout.isatty() else Console(width=160)
    MMLogger.get_instance("ablate").setLevel("WARNING")  # or every config is announced by its environment
    data = DATA_SETS[args.data]
    try:
        tables = [TABLES[name] for name in dict.fromkeys(args.tables)]
        records = make_tables(args, tables, data, console)
        for record in records:
            show(record, console)
            path = write_record(args.out / f"ablation_{record.table}_{record.data}.json", record)
            console.print(f"written: {path}", markup=False, highlight=False)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 1 if any(row.failed for record in records for row in record.rows) else 0


def make_tables(
    args: argparse.Namespace, tables: Sequence[AblationTable], data: AblationData, console: Console
) -> list[AblationRecord]:
    """Prepare, run and collect all tables.

    Raises:
        ValueError: A table that the data set cannot have, or runs of something else in the work dir.
    """
    from gspmc_mm.evaluation.experiments import ExperimentError, RunPlan, cosine_options, plan_runs, run_all
    from gspmc_mm.evaluation.experiments.ablation_data import files_of, prepare

    chosen = dict.fromkeys(path for table in tables for path in choose_lines(table, args.data, args.lines).values())
    for table in tables:
        if not choose_lines(table, args.data, args.lines):
            reasons = "; ".join(sorted(set(table.left_out(args.data).values()))) or "--lines names none of them"
            raise ExperimentError(f"{table.name} has no line on {args.data}: {reasons}")
    paths = dict.fromkeys(path for table in tables for path in choose_lines(table, args.data, None).values())
    variants = {path: variant_of(path, args.data) for path in paths}
    configs = {path: variant.load() for path, variant in variants.items()}
    if args.epochs is not None:
        check_schedules(configs)
    needed = {path: files_of(config, data) for path, config in configs.items()}
    problems = prepare([file for path in chosen for file in needed[path]], data, REPOSITORY, console.print)
    blocked = {
        path: "; ".join(problems[file] for file in needed[path] if file in problems)
        for path in chosen
        if any(file in problems for file in needed[path])
    }
    shorter = [] if args.epochs is None else [*cosine_options(args.epochs), f"train_cfg.val_begin={args.epochs}"]
    launcher, (folds, asked) = launcher_of(args), folds_of(args, data)
    plan = RunPlan(
        work_dir=args.work_dir,
        folds=asked,
        seeds=range(args.seeds),
        train_split=data.train_split,
        test_split=data.test_split,
        val_split=data.val_split,
        options=[*shorter, *args.cfg_options],
        shared_signers=data.shared_signers,
        replace_changed=args.replace_changed,
        processes=launcher.processes,
    )
    wanted = [variants[path] for path in chosen if path not in blocked]
    runs = plan_runs(plan, wanted)
    failed = run_all(runs, launcher, args.jobs, console, REPOSITORY)
    for _, failure in failed:
        console.print(f"\n{failure}", markup=False, highlight=False)
    # What is not asked for and was made before: the other folds and seeds, and the lines whose files are there.
    runs += plan_runs(replace(plan, folds=[fold for fold in folds if fold not in asked]), wanted, to_run=False)
    possible = range(max(args.seeds, seeds_there(args.work_dir)))
    runs += plan_runs(replace(plan, folds=folds, seeds=possible[args.seeds :]), wanted, to_run=False)
    others = [path for path in variants if path not in chosen and all(file.exists() for file in needed[path])]
    runs += plan_runs(replace(plan, folds=folds, seeds=possible), [variants[path] for path in others], to_run=False)
    # As with the folds, a part of the seeds never takes the place of more that were run with the same settings.
    seeds = range(max([args.seeds, *(run.seed + 1 for run in runs if run.done)]))
    failures = {run.name: failure for run, failure in failed}
    return [collect(args, table, data, runs, seeds, failures, blocked) for table in tables]


def seeds_there(work_dir: Path) -> int:
    """One more than the highest seed that has a folder, `LINE/seedS`; 0 where there is none."""
    numbers = [folder.name.removeprefix("seed") for folder in work_dir.glob("*/seed*")]
    return max((int(number) + 1 for number in numbers if number.isdecimal()), default=0)


def folds_of(args: argparse.Namespace, data: AblationData) -> tuple[list[int], list[int]]:
    """The folds that a table should have, and those that the command line asks for; --quick wants no others."""
    asked = sorted(set(args.folds or (data.folds[:1] if args.quick else data.folds)))
    return asked if args.quick else sorted({*data.folds, *asked}), asked


def choose_lines(table: AblationTable, data: str, wanted: Sequence[str] | None) -> dict[str, str]:
    """Config of every line that is to be run, by the name of the line."""
    lines = {line.name: line.path(data) for line in table.lines_on(data)}
    return {name: path for name, path in lines.items() if wanted is None or Path(path).stem in wanted}


def variant_of(path: str, data: str) -> Variant:
    """A config under `configs/` as what is to be run."""
    from gspmc_mm.evaluation.experiments import Variant
    from gspmc_mm.evaluation.experiments.ablation_tables import DATA_SET_VARIABLE

    file = REPOSITORY / "configs" / path
    if file.is_relative_to(Path.cwd()):
        file = file.relative_to(Path.cwd())  # as one types it, in the records
    environment = (f"{DATA_SET_VARIABLE}={data}",) if path.startswith("ablations/") else ()
    return Variant(file.stem, file, environment=environment)


def check_schedules(configs: Mapping[str, Mapping]) -> None:
    """Refuse to shorten a schedule that is no cosine.

    Raises:
        ValueError: Names the config.
    """
    for path, config in configs.items():
        schedulers = config.get("param_scheduler") or []
        if len(schedulers) != 2 or schedulers[1].get("type") != "CosineAnnealingLR":
            raise ValueError(f"--epochs and --quick shorten a cosine schedule, and configs/{path} has another")


def launcher_of(args: argparse.Namespace) -> Launcher:
    """How the command line wants the runs started."""
    from gspmc_mm.evaluation.experiments import Launcher, SlurmLauncher, TorchrunLauncher

    tools = REPOSITORY / "tools"
    if args.launcher == "pytorch":
        return TorchrunLauncher(tools, gpus=args.gpus)
    if args.launcher == "slurm":
        return SlurmLauncher(tools, partition=args.partition, gpus=args.gpus)
    return Launcher(tools, TRAIN_TOOL, TEST_TOOL)


def collect(
    args: argparse.Namespace,
    table: AblationTable,
    data: AblationData,
    runs: Sequence[FoldRun],
    seeds: Sequence[int],
    failures: Mapping[str, Exception],
    blocked: Mapping[str, str],
) -> AblationRecord:
    """One table from the runs of all."""
    from gspmc_mm.evaluation import gather_provenance
    from gspmc_mm.evaluation.experiments.ablation_report import (
        Extent,
        LineRuns,
        ablation_record,
        ablation_rows,
        folds_to_pool,
    )
    from gspmc_mm.evaluation.provenance import origins

    paths = choose_lines(table, data.name, None)
    lines = [
        LineRuns(
            line,
            f"configs/{paths[line.name]}",
            [run for run in runs if run.variant.name == Path(paths[line.name]).stem],
            blocked.get(paths[line.name]),
        )
        for line in table.lines_on(data.name)
    ]
    folds, asked = folds_of(args, data)
    pooled = folds_to_pool(lines, folds, asked)
    rows = ablation_rows(
        lines, Extent(seeds, folds, pooled, not data.shared_signers), failures, table.references(data.name)
    )
    used = [run for one in lines for run in one.runs if run.record]
    inputs = {path: mark for run in used for path, mark in run.identity["inputs"].items()}
    remarks = [f"{args.epochs} epochs."] if args.epochs is not None else []
    if list(pooled) != folds:
        remarks.insert(0, f"Only fold {', '.join(map(str, pooled))} of {', '.join(map(str, folds))}.")
    if args.quick:
        remarks.insert(0, "QUICK: a check of the machinery, no result.")
    provenance = gather_provenance(seed=list(seeds), data=inputs)
    return ablation_record(
        table,
        data,
        rows,
        provenance,
        remarks,
        origins(run.record for run in used),
        [run.record for run in used if run.done and run.fold in pooled],
    )


def show(record: AblationRecord, console: Console) -> None:
    """Print the table, what is to be known about it, and what it lacks."""
    from gspmc_mm.evaluation.results_tables import tables

    console.print(f"{record.title}, percent", style="bold", markup=False, highlight=False)
    for sheet in tables(record):
        console.print(sheet.to_rich())
    for text in filter(None, (record.independence, record.note)):
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    if record.incomplete:
        console.print("INCOMPLETE:", style="bold red")
        for run, reason in record.troubles():
            console.print(f"  {run}: {reason}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
