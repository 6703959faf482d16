"""GSP-MC and its classifier-only baseline learn synthetic signs: what `make demo` runs.

Makes the signs and their text bank, trains both networks side by side (one CPU thread each), tests both on signers
that neither has seen, prints the result and draws their curves. What is done already is not done again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gspmc_mm.evaluation import (
    Predictions,
    accuracy_summary,
    compare_pair,
    fingerprint,
    gather_provenance,
    load_predictions,
)
from gspmc_mm.evaluation.experiments import cosine_options
from gspmc_mm.files import write_json
from gspmc_mm.visualization import CurvesError, draw_training_curves, read_training_curves

REPOSITORY = Path(__file__).resolve().parents[1]
STORE = REPOSITORY / "data" / "synthsign" / "poses.arrow"
DESCRIPTIONS = STORE.with_name("descriptions.json")
BANK = STORE.with_name("text_bank.safetensors")
RUNS = {"CTR-GCN (classifier only)": "ctrgcn_synthsign_j", "GSP-MC": "gspmc_synthsign_j"}


def run(*command: object, log: Path | None = None) -> subprocess.Popen:
    """Start a python tool of this repository, output into a log or onto the screen."""
    stream = None if log is None else log.open("w", encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        cwd=REPOSITORY,
        stdout=stream,
        stderr=subprocess.STDOUT if stream else None,
        # One thread each: two trainings on two cores finish sooner than one after the other with two threads.
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
    )


def finish(process: subprocess.Popen, what: str, log: Path | None = None) -> None:
    """Wait for a tool; if it failed, show the end of its log and stop."""
    if process.wait() == 0:
        return
    if log is not None:
        sys.stderr.write("\n".join(log.read_text(encoding="utf-8").splitlines()[-30:]) + "\n")
    raise SystemExit(f"{what} failed with exit status {process.returncode}" + (f"; all of it: {log}" if log else ""))


def train(work_dir: Path, epochs: int, seed: int) -> float:
    """Train both networks at the same time; returns the seconds it took."""
    start = time.monotonic()
    running = {}
    for title, name in RUNS.items():
        folder = work_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        log = folder / "train.log"
        command = ["tools/train.py", f"configs/{name}.py", "--work-dir", folder, "--seed", seed, "--resume"]
        command += ["--cfg-options", *cosine_options(epochs)]
        running[title] = (run(*command, log=log), folder, log)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
    )
    try:
        with Progress(*columns) as progress:
            bars = {title: progress.add_task(title, total=epochs, state="") for title in running}
            while any(process.poll() is None for process, _, _ in running.values()):
                time.sleep(1)
                for title, (_, folder, _) in running.items():
                    update(progress, bars[title], folder)
            for title, (_, folder, _) in running.items():
                update(progress, bars[title], folder)
    finally:
        for process, _, _ in running.values():
            if process.poll() is None:
                process.terminate()
    for title, (process, _, log) in running.items():
        finish(process, f"training {title}", log)
    return time.monotonic() - start


def update(progress: Progress, bar: int, folder: Path) -> None:
    """Move a bar to where the log of that run is."""
    try:
        curves = read_training_curves(folder)
    except CurvesError:
        return  # nothing is logged yet
    epoch = max(curves.train["loss_cls"])
    accuracy = curves.val.get(curves.val_key("top1") or "", {})
    state = f"validation top-1 {accuracy[max(accuracy)]:.3f}" if accuracy else ""
    progress.update(bar, completed=epoch, state=state)


def report(console: Console, predictions: Mapping[str, Predictions], work_dir: Path, seconds: float, seed: int) -> None:
    """Print the table, draw the curves, write both with their provenance."""
    summaries = {title: accuracy_summary(run) for title, run in predictions.items()}
    table = Table(title="SYNTHETIC signs, test signers (95 % Wilson intervals)")
    for column in ("", "top-1", "top-5", "clips", "signers"):
        table.add_column(column)
    for title, summary in summaries.items():
        cells = [
            f"{summary[k]['value']:.3f}  [{summary[k]['low']:.3f}, {summary[k]['high']:.3f}]" for k in ("top1", "top5")
        ]
        table.add_row(title, *cells, str(summary["clips"]), str(summary["signers"]))
    console.print(table)
    comparison = compare_pair(*predictions.values())
    difference = comparison["top1"]
    console.print(
        f"GSP-MC minus baseline, top-1: {difference['difference']:+.3f} "
        f"(paired McNemar p = {difference['p_value']:.3g}). One seed, synthetic signs; the text encoder is "
        "an offline stand-in, not CLIP."
    )
    pictures = draw_training_curves(
        {title: work_dir / name for title, name in RUNS.items()},
        work_dir / "curves",
        title="SYNTHETIC signs, validation signers",
    )
    data = {str(path.relative_to(REPOSITORY)): fingerprint(path) for path in (STORE, BANK)}
    result = write_json(
        work_dir / "result.json",
        {
            "synthetic": True,
            "runs": summaries,
            "comparison": comparison,
            "training_seconds": seconds,
            "provenance": gather_provenance(seed=seed, data=data),
        },
    )
    console.print(f"training took {seconds:.0f} s")
    for path in (*pictures, result):
        console.print(f"wrote {path}")


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work-dir", type=Path, default=REPOSITORY / "work_dirs" / "demo")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    console = Console()
    work_dir = arguments.work_dir.resolve()

    console.rule("1. SYNTHETIC signs and their descriptions")
    if not (STORE.exists() and DESCRIPTIONS.exists()):
        work_dir.mkdir(parents=True, exist_ok=True)
        make = ["tools/data/synthsign.py", "--out", STORE.parent, "--preview", work_dir / "signs.png"]
        finish(run(*make, "--overwrite"), "making the signs")
    if not BANK.exists():
        encode = ["tools/gsp/encode.py", DESCRIPTIONS, "--encoder", "use-multilingual", "--out", BANK]
        finish(run(*encode), "encoding the descriptions")

    console.rule("2. Training both networks side by side")
    seconds = train(work_dir, arguments.epochs, arguments.seed)

    console.rule("3. Signers that neither network has seen")
    predictions = {}
    for title, name in RUNS.items():
        folder = work_dir / name
        checkpoint = (folder / "last_checkpoint").read_text(encoding="utf-8").strip()
        dump, log = folder / "predictions.npz", folder / "test.log"
        test = ["tools/test.py", f"configs/{name}.py", checkpoint, "--work-dir", folder, "--dump", dump]
        finish(run(*test, log=log), f"testing {title}", log)
        predictions[title] = load_predictions(dump)
    report(console, predictions, work_dir, seconds, arguments.seed)


if __name__ == "__main__":
    main()
