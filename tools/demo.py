"""GSP-MC and its classifier-only baseline learn synthetic signs: what `make demo` runs.

Makes the signs and their text bank in data/synthsign, trains both networks side by side (one CPU thread each), tests
both on signers that neither has seen, prints the result and draws their curves. What is done already is not done
again; a training of other settings, signs or texts that lies in its place is moved aside.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from gspmc_mm.descriptions import TextBank, load_descriptions
from gspmc_mm.evaluation import accuracy_summary, compare_pair, gather_provenance
from gspmc_mm.evaluation.experiments import FoldRun, Launcher, RunPlan, Variant, cosine_options, plan_runs, run_all
from gspmc_mm.files import write_json
from gspmc_mm.visualization import CurvesError, draw_training_curves, read_training_curves

REPOSITORY = Path(__file__).resolve().parents[1]
# Where the configs of the demo look for them, from the folder that the demo is started in.
STORE = Path("data/synthsign/poses.arrow")
DESCRIPTIONS = STORE.with_name("descriptions.json")
BANK = STORE.with_name("text_bank.safetensors")
CONFIGS = {"CTR-GCN (classifier only)": "ctrgcn_synthsign_j", "GSP-MC": "gspmc_synthsign_j"}


def main() -> int:
    """Run the demo; 1 if something could not be made, trained or tested."""
    arguments = parse_arguments()
    console = Console()
    # One thread each: two trainings on two cores finish sooner than one after the other with two threads.
    os.environ.update(OMP_NUM_THREADS="1", PYTHONWARNINGS="ignore")
    try:
        console.rule("1. SYNTHETIC signs and their descriptions")
        make_signs(arguments.work_dir)
        console.rule("2. Training both networks side by side, testing on signers that neither has seen")
        runs = plan(arguments)
        with shown(runs, arguments.epochs, console):
            launcher = Launcher(REPOSITORY / "tools")
            failures = run_all(list(runs.values()), launcher, len(runs), Console(quiet=True), REPOSITORY)
        if failures:
            console.print("\n".join(str(failure) for _, failure in failures), markup=False, highlight=False)
            return 1
        console.rule("3. The result")
        report(console, runs, arguments.work_dir)
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        console.print(f"error: {error}", markup=False, highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on from here")
        return 130
    return 0


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work-dir", type=Path, default=Path("work_dirs/demo"), help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=12, help="3 at least; default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of both trainings; default: %(default)s")
    parser.add_argument("--cfg-options", nargs="+", default=[], metavar="k=v", help="changes of both configs")
    return parser.parse_args()


def make_signs(work_dir: Path) -> None:
    """The signs, their descriptions and the text bank, as far as they are not there.

    Raises:
        CalledProcessError: A tool failed; its words are on the screen.
        ValueError: Descriptions or bank are damaged.
    """
    if not (STORE.exists() and DESCRIPTIONS.exists()):
        work_dir.mkdir(parents=True, exist_ok=True)
        preview = work_dir / "signs.png"
        run_tool("tools/data/synthsign.py", "--out", STORE.parent, "--preview", preview, "--overwrite")
    words = load_descriptions(DESCRIPTIONS)
    if not (BANK.exists() and TextBank.read_info(BANK)["descriptions_sha256"] == words.sha256):
        run_tool("tools/gsp/encode.py", DESCRIPTIONS, "--encoder", "use-multilingual", "--out", BANK)


def run_tool(tool: str, *arguments: object) -> None:
    """Run a python tool of this repository, its output on the screen.

    Raises:
        CalledProcessError: It failed.
    """
    subprocess.run([sys.executable, str(REPOSITORY / tool), *map(str, arguments)], check=True)


def plan(arguments: argparse.Namespace) -> dict[str, FoldRun]:
    """Both runs by title, each in a folder of its own seed; one of another identity is moved out of the way.

    Raises:
        ValueError: The command line asks for something impossible.
    """
    variants = [Variant(name, REPOSITORY / "configs" / f"{name}.py") for name in CONFIGS.values()]
    plan = RunPlan(
        work_dir=arguments.work_dir,
        folds=(0,),
        seeds=(arguments.seed,),
        train_split="train",
        val_split="val",
        test_split="test",
        options=(*arguments.cfg_options, *cosine_options(arguments.epochs)),
        replace_changed=True,
    )
    return dict(zip(CONFIGS, plan_runs(plan, variants), strict=True))


@contextmanager
def shown(runs: Mapping[str, FoldRun], epochs: int, console: Console) -> Iterator[None]:
    """A bar for each run, which follows its log as long as the block is busy."""
    ended = threading.Event()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bars = {title: progress.add_task(title, total=epochs, state="") for title in runs}

        def follow() -> None:
            while not ended.wait(1):
                for title, run in runs.items():
                    update(progress, bars[title], run.folder)

        follower = threading.Thread(target=follow)
        follower.start()
        try:
            yield
        finally:
            ended.set()
            follower.join()
            for title, run in runs.items():
                update(progress, bars[title], run.folder)


def update(progress: Progress, bar: TaskID, folder: Path) -> None:
    """Move a bar to where the log of that run is."""
    try:
        curves = read_training_curves(folder)
    except (CurvesError, FileNotFoundError):
        return  # nothing is logged yet
    epoch = max(curves.train["loss_cls"])
    accuracy = curves.val.get(curves.val_key("top1") or "", {})
    state = f"validation top-1 {accuracy[max(accuracy)]:.3f}" if accuracy else ""
    progress.update(bar, completed=epoch, state=state)


def report(console: Console, runs: Mapping[str, FoldRun], work_dir: Path) -> None:
    """Print the table, draw the curves, write both with their provenance.

    The seconds are those of each run's own training and test, also where they were done by an earlier call.
    """
    predictions = {title: run.load_predictions() for title, run in runs.items()}
    summaries = {title: accuracy_summary(run) for title, run in predictions.items()}
    console.print(accuracy_table(summaries))
    comparison = compare_pair(*predictions.values())
    difference = comparison["top1"]
    console.print(
        f"GSP-MC minus baseline, top-1: {difference['difference']:+.3f} "
        f"(paired McNemar p = {difference['p_value']:.3g}). One seed, synthetic signs; the text encoder is "
        "an offline stand-in, not CLIP."
    )
    pictures = draw_training_curves(
        {title: run.folder for title, run in runs.items()},
        work_dir / "curves",
        title="SYNTHETIC signs, validation signers",
    )
    (seed,) = {run.seed for run in runs.values()}
    seconds = {title: run.record["seconds"] for title, run in runs.items()}
    data = {path: mark for run in runs.values() for path, mark in run.identity["inputs"].items()}
    result = write_json(
        work_dir / "result.json",
        {
            "synthetic": True,
            "runs": summaries,
            "comparison": comparison,
            "seconds": seconds,
            "config_sha256": {title: run.identity["config_sha256"] for title, run in runs.items()},
            "provenance": gather_provenance(seed=seed, data=data),
        },
    )
    told = ", ".join(f"{title} {took:.0f} s" for title, took in seconds.items())
    console.print(f"seed {seed}; training and test took, side by side: {told}")
    for path in (*pictures, result):
        console.print(f"wrote {path}")


def accuracy_table(summaries: Mapping[str, Mapping]) -> Table:
    """Both networks on the test signers."""
    table = Table(title="SYNTHETIC signs, test signers (95 % Wilson intervals)")
    for column in ("", "top-1", "top-5", "clips", "signers"):
        table.add_column(column)
    for title, summary in summaries.items():
        cells = [
            f"{summary[k]['value']:.3f}  [{summary[k]['low']:.3f}, {summary[k]['high']:.3f}]" for k in ("top1", "top5")
        ]
        table.add_row(title, *cells, str(summary["clips"]), str(summary["signers"]))
    return table


if __name__ == "__main__":
    sys.exit(main())
