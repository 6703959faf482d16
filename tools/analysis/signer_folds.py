"""Train and test the signer folds of a data set, pool them, compare variants.

Each fold is a training (`tools/train.py`) and a test (`tools/test.py`) of its own under
`WORK_DIR/VARIANT/seedS/foldK`. The same command goes on where it was stopped: finished folds are
kept, an interrupted training is resumed. What is tested is always the last checkpoint, so nothing
is chosen on the held-out clips.

Example:
    python tools/analysis/signer_folds.py configs/ctrgcn_wlasl100_j.py \\
        --variants gspmc=configs/gspmc_wlasl100_j.py --work-dir work_dirs/folds/wlasl100
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict, DictAction
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gspmc_mm.evaluation import (
    Predictions,
    check_clips,
    config_hash,
    config_inputs,
    fold_report,
    gather_provenance,
    load_predictions,
    save_predictions,
)
from gspmc_mm.evaluation.folds import (
    ACCURACY_HEADER,
    COMPARISON_HEADER,
    accuracy_rows,
    check_held_out,
    comparison_rows,
    report_markdown,
)
from gspmc_mm.evaluation.provenance import write_json, write_text

REPOSITORY = Path(__file__).resolve().parents[2]
TRAIN_TOOL = REPOSITORY / "tools" / "train.py"
TEST_TOOL = REPOSITORY / "tools" / "test.py"
TAIL_LINES = 25


class FoldsError(ValueError):
    """A request that cannot be carried out, told before anything is run."""


@dataclass(frozen=True)
class Variant:
    """One thing to be measured: a config and what is changed in it (`key=value` strings)."""

    name: str
    config: Path
    options: tuple[str, ...] = ()


@dataclass
class Job:
    """One fold of one variant and seed.

    Attributes:
        identity: What the predictions depend on; a finished fold counts only if it is the same.
        expected: Clip ids of the test split, where the data set is a pose store.
    """

    variant: Variant
    seed: int
    fold: int
    folder: Path
    train_options: tuple[str, ...]
    test_options: tuple[str, ...]
    identity: dict[str, Any]
    expected: list[str] | None = None
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.variant.name} seed {self.seed} fold {self.fold}"

    @property
    def predictions(self) -> Path:
        """Where the scores of the held-out clips are written."""
        return self.folder / "predictions.npz"

    @property
    def done(self) -> bool:
        """Whether training and test have been finished."""
        return bool(self.record.get("tested")) and self.predictions.is_file()


class JobFailed(Exception):
    """A subprocess that ended badly, with the end of its log."""

    def __init__(self, job: Job, stage: str, status: str, log: Path) -> None:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(lines[-TAIL_LINES:])
        super().__init__(f"{job.name}: {stage} {status}; the end of {log}:\n{tail}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parse_args(argv)
    console = Console() if sys.stdout.isatty() else Console(width=160)
    try:
        jobs = plan_jobs(args)
        failures = run_jobs(jobs, args.jobs, console)
        if failures:
            for failure in failures:
                console.print(f"\n{failure}", markup=False, highlight=False)
            console.print(f"{len(failures)} of {len(jobs)} folds failed, nothing was pooled")
            return 1
        write_report(args, jobs, console)
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
    parser.add_argument("--test-split", default="fold{fold}_test", help="default: %(default)s")
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


def parse_variant(text: str) -> Variant:
    """`NAME=CONFIG[:k=v,...]`; commas inside a value are kept, as in `k=[1,2]` or `k=1,2`."""
    match = re.fullmatch(r"([\w.+-]+)=([^:=]+)(?::(.+))?", text)
    if match is None:
        raise FoldsError(f"--variants expects NAME=CONFIG[:k=v,...], found {text!r}")
    name, config, options = match.groups()
    parts = tuple(re.split(r",(?=[\w.]+=)", options)) if options else ()
    return Variant(name, Path(config), parts)


def plan_jobs(args: argparse.Namespace) -> list[Job]:
    """All folds of all variants, checked against the data and against what lies in the work dir.

    Raises:
        FoldsError: Two variants of one name, a config that does not suit, a fold that was run with
            something else.
        ValueError: The splits of the data are not what they should be.
    """
    if re.search(r"[,()\[\]]", str(args.work_dir)):
        raise FoldsError(f"--work-dir may not hold commas or brackets, found {args.work_dir}")
    variants = [Variant(Path(args.config).stem, Path(args.config))] if args.config else []
    variants += [parse_variant(text) for text in args.variants]
    for what, values in (
        ("variants", [variant.name for variant in variants]),
        ("folds", args.folds),
        ("seeds", args.seeds),
    ):
        if len(set(values)) != len(values):
            raise FoldsError(f"two {what} are called the same: {values}")
    jobs = []
    for variant in variants:
        if not variant.config.is_file():
            raise FileNotFoundError(f"no config at {variant.config} (variant {variant.name})")
        config = Config.fromfile(variant.config, import_custom_modules=False)
        config.merge_from_dict(parse_options([*args.cfg_options, *variant.options]))
        inputs = config_inputs(config.to_dict())
        for fold in args.folds:
            jobs += plan_fold(args, variant, config, inputs, fold)
    for job in jobs:
        check_record(job, args.replace_changed)
    return jobs


def plan_fold(
    args: argparse.Namespace, variant: Variant, config: Config, inputs: dict[str, str], fold: int
) -> list[Job]:
    """The jobs of one fold of one variant, one for each seed."""
    train, test = fill(args.train_split, fold), fill(args.test_split, fold)
    val = test if args.val_split is None else fill(args.val_split, fold)
    hooks = [str(hook.get("type")) for hook in config.get("custom_hooks") or []]
    if val == test and any("EarlyStopping" in hook for hook in hooks):
        raise FoldsError(
            f"{variant.config} stops early by its validation, which here is the test split {test}: "
            "name another with --val-split"
        )
    splits = {"train_dataloader": train, "test_dataloader": test}
    if config.get("val_dataloader") is not None:
        splits["val_dataloader"] = val
    options = [f"{split_key(config, loader)}={split}" for loader, split in splits.items()]
    dump_key = evaluator_key(config)
    changed = Config(config.to_dict())
    changed.merge_from_dict(parse_options(options))
    expected = expected_clips(config, train, test, fold, args.allow_shared_signers)
    jobs = []
    for seed in args.seeds:
        folder = args.work_dir / variant.name / f"seed{seed}" / f"fold{fold}"
        common = (*args.cfg_options, *variant.options, *options)
        jobs.append(
            Job(
                variant=variant,
                seed=seed,
                fold=fold,
                folder=folder,
                train_options=common,
                test_options=(*common, f"{dump_key}={folder / 'predictions.npz'}"),
                identity={
                    "config_sha256": config_hash(changed.to_dict()),
                    "inputs": inputs,
                    "splits": splits,
                    "seed": seed,
                },
                expected=expected,
            )
        )
    return jobs


def fill(template: str, fold: int) -> str:
    """The name of a fold's split."""
    try:
        return template.format(fold=fold)
    except (KeyError, IndexError, ValueError) as error:
        raise FoldsError(f"a split template may hold {{fold}} only, found {template!r}") from error


def parse_options(options: Sequence[str]) -> dict[str, Any]:
    """`key=value` strings as mmengine's own command lines read them."""
    if not options:
        return {}
    wrong = [option for option in options if "=" not in option]
    if wrong:
        raise FoldsError(f"expected key=value, found {wrong[0]!r}")
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    return parser.parse_args(["--cfg-options", *options]).cfg_options


def inner_dataset(config: Config, loader: str) -> tuple[str, ConfigDict]:
    """Key and config of the data set inside a loader, under any wrappers (`RepeatDataset`, ...)."""
    if config.get(loader) is None:
        raise FoldsError(f"{config.filename} has no {loader}")
    key, dataset = f"{loader}.dataset", config[loader].get("dataset")
    while isinstance(dataset, dict) and isinstance(dataset.get("dataset"), dict):
        key, dataset = f"{key}.dataset", dataset["dataset"]
    if not isinstance(dataset, dict) or "datasets" in dataset:
        raise FoldsError(
            f"{config.filename}: {key} is not one data set with a split (several data sets in one "
            "cannot be cut into folds here)"
        )
    return key, dataset


def split_key(config: Config, loader: str) -> str:
    """The config key that names a loader's split."""
    return f"{inner_dataset(config, loader)[0]}.split"


def evaluator_key(config: Config) -> str:
    """The config key that names the dump of the test's `SignAccuracy`."""
    evaluator = config.get("test_evaluator")
    several = isinstance(evaluator, list | tuple)
    for i, entry in enumerate(evaluator if several else [evaluator]):
        if isinstance(entry, dict) and str(entry.get("type")).endswith("SignAccuracy"):
            return f"test_evaluator.{i}.dump" if several else "test_evaluator.dump"
    raise FoldsError(
        f"{config.filename}: the test_evaluator holds no dict(type='SignAccuracy'), which writes "
        f"the predictions that are pooled; found {evaluator}"
    )


def expected_clips(config: Config, train: str, test: str, fold: int, shared_signers: bool) -> list[str] | None:
    """Clip ids of the test split after a check that training holds none of them.

    None where the data set is no pose store: then the folds are only checked against each other.
    """
    signers: list[dict[str, str]] = []
    for loader, split in (("train_dataloader", train), ("test_dataloader", test)):
        path = inner_dataset(config, loader)[1].get("ann_file")
        if path is None or not (str(path).endswith(".arrow") or Path(path).is_dir()):
            return None
        from gspmc_mm.poses import PoseStore

        store = PoseStore(path)
        signers.append({str(store.clip_ids[i]): str(store.signers[i]) for i in store.indices(split)})
    check_held_out(*signers, where=f"fold {fold}", signers_disjoint=not shared_signers)
    return list(signers[1])


def check_record(job: Job, replace_changed: bool) -> None:
    """Take up what was recorded of this fold, or refuse it if it was something else.

    Raises:
        FoldsError: The folder holds a run of another config, other data or unknown origin.
    """
    path = job.folder / "fold.json"
    if path.is_file():
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            old = record["identity"]
        except (ValueError, KeyError, TypeError) as error:
            raise FoldsError(f"{path} is damaged ({error}): move {job.folder} away") from error
        if old == job.identity:
            job.record = record
            return
        keys = sorted(set(old) | set(job.identity))
        changed = [key for key in keys if old.get(key) != job.identity.get(key)]
        reason = f"was run with another {' and '.join(changed)}"
    elif (job.folder / "last_checkpoint").exists():
        reason = "holds a training that was not started by this command"
    else:
        return
    if not replace_changed:
        raise FoldsError(f"{job.folder} {reason}: give another --work-dir, or --replace-changed to move it aside")
    number = 1
    while (aside := job.folder.with_name(f"{job.folder.name}.replaced-{number}")).exists():
        number += 1
    job.folder.rename(aside)


class Processes:
    """The subprocesses that are running, so that an interruption ends them too."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, command: Sequence[str], log: Path, env: Mapping[str, str], lock: int) -> int:
        """Run a command with its output appended to a log; returns its status.

        The child inherits the lock's file, so that a fold stays locked as long as anything works
        on it, even when this process was killed.
        """
        with log.open("ab") as file:
            file.write(f"$ {shlex.join(command)}\n".encode())
            file.flush()
            with self._lock:
                if self._stopped:
                    raise KeyboardInterrupt
                process = subprocess.Popen(
                    command, stdout=file, stderr=subprocess.STDOUT, env=dict(env), pass_fds=(lock,)
                )
                self._running.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)

    def stop(self) -> None:
        """End what runs and start nothing more."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.terminate()


def run_jobs(jobs: Sequence[Job], parallel: int, console: Console) -> list[Exception]:
    """Run the folds that are not done; one that fails does not keep the others from running."""
    pending = [job for job in jobs if not job.done]
    console.print(f"{len(jobs)} folds, {len(jobs) - len(pending)} of them done before")
    env = dict(os.environ)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(REPOSITORY), env.get("PYTHONPATH")]))
    if parallel > 1:
        env.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // parallel)))
    failures: list[Exception] = []
    processes = Processes()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with (
        stop_on_sigterm(),
        Progress(*columns, console=console) as progress,
        ThreadPoolExecutor(max_workers=parallel) as pool,
    ):
        bar = progress.add_task("folds", total=len(pending))
        futures = {pool.submit(run_fold, job, processes, env): job for job in pending}
        try:
            for future in as_completed(futures):
                job = futures[future]
                try:
                    future.result()
                    console.print(f"{job.name}: done ({job.record['seconds']:.0f} s)")
                except (JobFailed, FoldsError) as failure:
                    failures.append(failure)
                    console.print(f"{job.name}: FAILED")
                progress.advance(bar)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.stop()
            raise
    return failures


@contextlib.contextmanager
def stop_on_sigterm() -> Iterator[None]:
    """Treat a termination like Ctrl-C, so that subprocesses are ended."""

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Hold a fold's folder alone; yields the lock's file number.

    Raises:
        FoldsError: Another process works on this fold.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FoldsError(f"another process works on {folder}: wait for it or end it, then start again") from error
        yield file.fileno()


def run_fold(job: Job, processes: Processes, env: Mapping[str, str]) -> None:
    """Train and test one fold, as far as it has not been done, and keep record of it.

    Raises:
        JobFailed: The training or the test ended badly, or left nothing.
    """
    with locked(job.folder) as lock:
        started = time.monotonic()
        before = float(job.record.get("seconds", 0.0))

        def keep(**facts: Any) -> None:
            seconds = before + time.monotonic() - started
            job.record = {**job.record, **facts, "seconds": round(seconds, 1)}
            write_json(job.folder / "fold.json", job.record)

        python, folder = sys.executable, str(job.folder)
        config = str(job.variant.config)
        if not (job.record.get("trained") and last_checkpoint(job.folder)):
            command = [python, str(TRAIN_TOOL), config, "--work-dir", folder]
            command += ["--seed", str(job.seed)]
            if last_checkpoint(job.folder):
                command.append("--resume")
            command += ["--cfg-options", *job.train_options]
            keep(identity=job.identity, train_command=shlex.join(command), trained=False)
            log = job.folder / "train.log"
            status = processes.run(command, log, env, lock)
            if status:
                keep()
                raise JobFailed(job, "training", f"ended with status {status}", log)
            if last_checkpoint(job.folder) is None:
                raise JobFailed(job, "training", "left no last_checkpoint", log)
            keep(trained=True)
        checkpoint = str(last_checkpoint(job.folder))
        command = [python, str(TEST_TOOL), config, checkpoint]
        command += ["--work-dir", str(job.folder / "test"), "--cfg-options", *job.test_options]
        keep(test_command=shlex.join(command), checkpoint=checkpoint, tested=False)
        log = job.folder / "test.log"
        status = processes.run(command, log, env, lock)
        if status:
            raise JobFailed(job, "test", f"ended with status {status}", log)
        if not job.predictions.is_file():
            raise JobFailed(job, "test", f"wrote no {job.predictions}", log)
        keep(tested=True)


def last_checkpoint(folder: Path) -> Path | None:
    """The checkpoint that mmengine's `last_checkpoint` names; found again in a moved folder."""
    pointer = folder / "last_checkpoint"
    if not pointer.is_file():
        return None
    named = Path(pointer.read_text(encoding="utf-8").strip())
    for path in (named, folder / named.name):
        if path.is_file():
            return path
    return None


def write_report(args: argparse.Namespace, jobs: Sequence[Job], console: Console) -> None:
    """Pool the folds, print the tables, write `results.json`, `results.md` and the pooled scores.

    Raises:
        ValueError: Predictions that are incomplete or do not fit each other.
    """
    runs: dict[str, dict[int, dict[int, Predictions]]] = {}
    for job in jobs:
        predictions = load_predictions(job.predictions)
        if job.expected is not None:
            check_clips(predictions.clip_id.tolist(), job.expected, str(job.predictions))
        runs.setdefault(job.variant.name, {}).setdefault(job.seed, {})[job.fold] = predictions
    report, pooled = fold_report(runs, signers_disjoint=not args.allow_shared_signers)
    data = {path: mark for job in jobs for path, mark in job.identity["inputs"].items()}
    report["splits"] = f"{args.train_split} / {args.test_split}, folds {args.folds}"
    report["provenance"] = gather_provenance(seed=args.seeds, data=data)
    for job in jobs:
        entry = report["variants"][job.variant.name]
        entry["config"] = str(job.variant.config)
        entry["cfg_options"] = [*args.cfg_options, *job.variant.options]
        summary = entry["seeds"][str(job.seed)]["folds"][str(job.fold)]
        summary["run"] = {
            key: job.record.get(key) for key in ("train_command", "test_command", "checkpoint", "seconds")
        } | {"config_sha256": job.identity["config_sha256"]}
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
