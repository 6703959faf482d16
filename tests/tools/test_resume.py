"""Training that is killed (SIGKILL) and resumed ends as the unbroken run: bit-equal on the CPU with one thread."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

CONFIG = "configs/gspmc_synthsign_j.py"
OPTIONS = (
    "train_dataloader.batch_size=2",  # eight iterations an epoch
    "default_hooks.logger.interval=1",
    "optim_wrapper.optimizer.lr=0.02",
    "val_dataloader.dataset.split=train",  # more clips, more different figures
)
WORKERS = (
    "train_dataloader.num_workers=2",
    "train_dataloader.worker_init_fn.type=seed_worker",
)
# Averaged weights have a state of their own that has to survive.
AVERAGED = """
_base_ = {base!r}
custom_hooks = [
    *_base_.custom_hooks,
    dict(type="EMAHook", ema_type="ExponentialMovingAverage", momentum=0.1, update_buffers=True),
]
"""
TIMES = ("time", "data_time", "eta", "memory")


@dataclass
class Case:
    """One way to train, and its unbroken run."""

    train: object
    unbroken: Path


@pytest.fixture(scope="module", params=["no workers", "two workers, averaged weights"])
def case(request, commands, synthsign, tiny, repository, tmp_path_factory) -> Case:
    folder = tmp_path_factory.mktemp("resume")
    config, options = repository / CONFIG, (*tiny, *OPTIONS)
    if request.param != "no workers":
        config = folder / "averaged.py"
        config.write_text(AVERAGED.format(base=str(repository / CONFIG)))
        options += WORKERS

    def train(work: Path, *arguments: str):
        words = (config, "--work-dir", work, *arguments, "--cfg-options", *options)
        return commands.start("tools/train.py", *words, cwd=synthsign)

    done = train(folder / "unbroken").wait()
    assert done.status == 0, done.said
    return Case(train, folder / "unbroken")


def differing(first: object, second: object, path: str = "") -> list[str]:
    """Where two checkpoints differ, as paths; times of the clock left out."""
    if path.rsplit("/", 1)[-1] in TIMES or path in ("/meta/time", "/meta/experiment_name", "/meta/cfg"):
        return []
    if isinstance(first, torch.Tensor):
        return [] if isinstance(second, torch.Tensor) and torch.equal(first, second) else [path]
    if type(first) is not type(second):
        return [path]
    if isinstance(first, dict):
        if first.keys() != second.keys():
            return [f"{path}: {sorted(map(str, first.keys() ^ second.keys()))}"]
        return [found for key in first for found in differing(first[key], second[key], f"{path}/{key}")]
    if isinstance(first, (list, tuple)):
        if len(first) != len(second):
            return [path]
        return [
            found
            for i, (a, b) in enumerate(zip(first, second, strict=True))
            for found in differing(a, b, f"{path}/{i}")
        ]
    return [] if first == second else [path]


def load(work: Path, epoch: int = 3) -> dict:
    checkpoint = torch.load(work / f"epoch_{epoch}.pth", weights_only=True)
    hub = checkpoint["message_hub"]["runtime_info"]
    for name in ("cfg", "experiment_name", "last_ckpt"):  # they name the work dir
        hub.pop(name, None)
    return checkpoint


def figures(work: Path) -> tuple[dict[int, dict], dict[int, dict]]:
    """What the logs of all runs in a work dir say last about every training step and every validated epoch."""
    steps, epochs = {}, {}
    for log in sorted(work.glob("*/vis_data/scalars.json")):
        for line in log.read_text().splitlines():
            entry = {key: value for key, value in json.loads(line).items() if key not in TIMES}
            (steps if "loss" in entry else epochs)[entry["step"]] = entry
    return steps, epochs


def assert_ends_as_unbroken(work: Path, unbroken: Path) -> None:
    first, second = load(unbroken), load(work)
    # Weights, momentum, schedules and the log, all of it.
    assert len(first["optimizer"]["state"]) > 50
    assert len(first["message_hub"]["log_scalars"]["train/loss"]["log"]) == 24
    assert differing(first, second) == []
    steps, epochs = figures(unbroken)
    assert list(steps) == list(range(1, 25))
    assert list(epochs) == [1, 2, 3]
    assert figures(work) == (steps, epochs)


def test_killed_in_the_middle(case, tmp_path):
    killed = case.train(tmp_path / "work").kill_when("the second epoch", "Epoch(train) [2][3/8]")
    assert killed.status == -9
    assert (tmp_path / "work" / "last_checkpoint").read_text().endswith("epoch_1.pth")
    # What a kill while the next checkpoint was written would have left as well.
    whole = (tmp_path / "work" / "epoch_1.pth").read_bytes()
    (tmp_path / "work" / "epoch_2.pth").write_bytes(whole[: len(whole) // 2])

    resumed = case.train(tmp_path / "work", "--resume").wait()
    assert resumed.status == 0, resumed.said
    assert "resumed epoch: 1" in resumed.said
    assert "Epoch(train) [1]" not in resumed.said
    assert_ends_as_unbroken(tmp_path / "work", case.unbroken)


def test_killed_before_the_first_checkpoint(case, tmp_path):
    killed = case.train(tmp_path / "work").kill_when("the first epoch", "Epoch(train) [1][3/8]")
    assert killed.status == -9
    assert not (tmp_path / "work" / "last_checkpoint").exists()
    resumed = case.train(tmp_path / "work", "--resume").wait()
    assert resumed.status == 0, resumed.said
    assert_ends_as_unbroken(tmp_path / "work", case.unbroken)


def test_killed_in_the_last_validation(case, tmp_path):
    """The last checkpoint is there, its validation is not."""
    work = tmp_path / "work"
    shutil.copytree(case.unbroken, work)
    for folder in work.iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    (work / "last_checkpoint").write_text(str(work / "epoch_3.pth"))
    resumed = case.train(work, "--resume").wait()
    assert resumed.status == 0, resumed.said
    assert "Epoch(train)" not in resumed.said
    assert figures(work)[1] == {3: figures(case.unbroken)[1][3]}
    assert differing(load(case.unbroken), load(work)) == []


def test_resume_from_a_named_checkpoint(case, tmp_path):
    resumed = case.train(tmp_path / "work", "--resume", str(case.unbroken / "epoch_2.pth")).wait()
    assert resumed.status == 0, resumed.said
    assert "resumed epoch: 2" in resumed.said
    first, second = load(case.unbroken), load(tmp_path / "work")
    for name in ("state_dict", "optimizer", "param_schedulers"):
        assert differing(first[name], second[name]) == []


def test_the_comparison_sees_differences(case):
    second, third = load(case.unbroken, 2), load(case.unbroken, 3)
    found = differing(second, third)
    for part in ("/state_dict/backbone", "/optimizer/state", "/param_schedulers", "/message_hub"):
        assert any(path.startswith(part) for path in found), part
