"""Carrying runs out: each is a training and a test in processes of their own, under a lock, with a record.

What is finished is kept, an interrupted training is resumed, and one run that fails does not keep the others from
running. What is tested is always the last checkpoint, so nothing is chosen on the held-out clips.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from gspmc_mm.evaluation.experiments.planning import ExperimentError, FoldRun
from gspmc_mm.evaluation.provenance import gather_provenance
from gspmc_mm.files import write_json

TAIL_LINES = 25


class RunFailed(Exception):
    """A subprocess that ended badly, with the end of its log.

    Attributes:
        reason: Stage, status and the last line of the log.
    """

    def __init__(self, run: FoldRun, stage: str, status: str, log: Path) -> None:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(lines[-TAIL_LINES:])
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        self.reason = f"{stage} {status}: {last}"
        super().__init__(f"{run.name}: {stage} {status}; the end of {log}:\n{tail}")


@dataclass(frozen=True)
class Launcher:
    """Starts training and test as plain processes of this machine.

    Attributes:
        tools: The folder of train.py and test.py, or of the scripts of a subclass.
        train_tool: What trains; `tools/train.py` if None.
        test_tool: What tests; `tools/test.py` if None.
    """

    tools: Path
    train_tool: Path | None = None
    test_tool: Path | None = None

    @property
    def processes(self) -> int:
        """Processes of a training, see `RunPlan.processes`."""
        return 1

    def train(self, run: FoldRun, arguments: Sequence[str]) -> list[str]:
        """The command that trains a run."""
        tool = self.train_tool or self.tools / "train.py"
        return [*_with(run.variant.environment), sys.executable, str(tool), str(run.variant.config), *arguments]

    def test(self, run: FoldRun, checkpoint: str, arguments: Sequence[str]) -> list[str]:
        """The command that tests a checkpoint."""
        tool = self.test_tool or self.tools / "test.py"
        config = str(run.variant.config)
        return [*_with(run.variant.environment), sys.executable, str(tool), config, checkpoint, *arguments]


@dataclass(frozen=True)
class TorchrunLauncher(Launcher):
    """Trains on several GPUs of this machine with torchrun (`tools/dist_train.sh`); the test takes one.

    Attributes:
        gpus: Processes of a training.
    """

    gpus: int = 8

    @property
    def processes(self) -> int:
        """Processes of a training, see `RunPlan.processes`."""
        return self.gpus

    def train(self, run: FoldRun, arguments: Sequence[str]) -> list[str]:
        """The command that trains a run; every training gets a port of its own."""
        settings = (*run.variant.environment, f"PORT={free_port()}", f"PYTHON={sys.executable}")
        script = str(self.tools / "dist_train.sh")
        return [*_with(settings), "bash", script, str(run.variant.config), str(self.gpus), *arguments]


@dataclass(frozen=True)
class SlurmLauncher(Launcher):
    """Trains and tests as Slurm jobs (`tools/slurm_train.sh`), and waits for them.

    Attributes:
        partition: Slurm partition.
        gpus: GPUs of a training; the test takes one.
    """

    partition: str = ""
    gpus: int = 8

    @property
    def processes(self) -> int:
        """Processes of a training, see `RunPlan.processes`."""
        return self.gpus

    def train(self, run: FoldRun, arguments: Sequence[str]) -> list[str]:
        """The command that trains a run."""
        return [*self._script(run, "slurm_train.sh", self.gpus), str(run.variant.config), *arguments]

    def test(self, run: FoldRun, checkpoint: str, arguments: Sequence[str]) -> list[str]:
        """The command that tests a checkpoint."""
        return [*self._script(run, "slurm_test.sh", 1), str(run.variant.config), checkpoint, *arguments]

    def _script(self, run: FoldRun, name: str, gpus: int) -> list[str]:
        settings = (f"GPUS={gpus}", f"GPUS_PER_NODE={min(gpus, 8)}", f"PYTHON={sys.executable}")
        job = run.name.replace(" ", "-")
        return [*_with((*run.variant.environment, *settings)), "bash", str(self.tools / name), self.partition, job]


def run_all(
    runs: Sequence[FoldRun], launcher: Launcher, parallel: int, console: Console, python_path: Path
) -> list[tuple[FoldRun, Exception]]:
    """Carry out the runs that are not done; one that fails does not keep the others from running.

    Args:
        runs: From `plan_runs`.
        launcher: How training and test are started.
        parallel: Runs at a time.
        console: Where progress is shown.
        python_path: Put in front of PYTHONPATH, so that this checkout is what is run.

    Returns:
        The runs that failed, each with its `RunFailed` or `ExperimentError`.
    """
    pending = [run for run in runs if not run.done]
    console.print(f"{len(runs)} folds, {len(runs) - len(pending)} of them done before")
    env = dict(os.environ)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(python_path), env.get("PYTHONPATH")]))
    if parallel > 1:
        env.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // parallel)))
    failures: list[tuple[FoldRun, Exception]] = []
    processes = _Processes()
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
        futures = {pool.submit(_carry_out, run, launcher, processes, env): run for run in pending}
        try:
            for future in as_completed(futures):
                run = futures[future]
                try:
                    future.result()
                    console.print(f"{run.name}: done ({run.record['seconds']:.0f} s)")
                except (RunFailed, ExperimentError) as failure:
                    failures.append((run, failure))
                    console.print(f"{run.name}: FAILED")
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
        ExperimentError: Another process works on this fold.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ExperimentError(
                f"another process works on {folder}: wait for it or end it, then start again"
            ) from error
        yield file.fileno()


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


class _Processes:
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


def _carry_out(run: FoldRun, launcher: Launcher, processes: _Processes, env: Mapping[str, str]) -> None:
    """Train and test one fold, as far as it has not been done, and keep record of it.

    Raises:
        RunFailed: The training or the test ended badly, or left nothing.
    """
    with locked(run.folder) as lock:
        started = time.monotonic()
        before = float(run.record.get("seconds", 0.0))

        def keep(**facts: Any) -> None:
            seconds = before + time.monotonic() - started
            run.record = {**run.record, **facts, "seconds": round(seconds, 1)}
            write_json(run.folder / "fold.json", run.record)

        if not (run.record.get("trained") and last_checkpoint(run.folder)):
            arguments = ["--work-dir", str(run.folder), "--seed", str(run.seed)]
            if run.auto_scale_lr:
                arguments.append("--auto-scale-lr")
            if last_checkpoint(run.folder):
                arguments.append("--resume")
            command = launcher.train(run, [*arguments, "--cfg-options", *run.train_options])
            made_by = shlex.join(command)
            facts = gather_provenance(seed=run.seed, data=run.identity["inputs"], command=made_by)
            keep(identity=run.identity, provenance=facts, train_command=made_by, trained=False)
            log = run.folder / "train.log"
            status = processes.run(command, log, env, lock)
            if status:
                keep()
                raise RunFailed(run, "training", f"ended with status {status}", log)
            if last_checkpoint(run.folder) is None:
                raise RunFailed(run, "training", "left no last_checkpoint", log)
            keep(trained=True)
        checkpoint = str(last_checkpoint(run.folder))
        arguments = ["--work-dir", str(run.folder / "test"), "--cfg-options", *run.test_options]
        command = launcher.test(run, checkpoint, arguments)
        keep(test_command=shlex.join(command), checkpoint=checkpoint, tested=False)
        log = run.folder / "test.log"
        status = processes.run(command, log, env, lock)
        if status:
            raise RunFailed(run, "test", f"ended with status {status}", log)
        if not run.predictions.is_file():
            raise RunFailed(run, "test", f"wrote no {run.predictions}", log)
        keep(tested=True)


def _with(settings: Sequence[str]) -> list[str]:
    """The beginning of a command that sets environment variables; it stands in the record and can be pasted."""
    return ["env", *settings] if settings else []


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
