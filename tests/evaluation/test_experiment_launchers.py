from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gspmc_mm.evaluation.experiments import (
    FoldRun,
    Launcher,
    SlurmLauncher,
    TorchrunLauncher,
    Variant,
)
from gspmc_mm.evaluation.experiments.execution import last_checkpoint

ARGUMENTS = ["--work-dir", "w", "--cfg-options", "a=1"]


@pytest.fixture
def run(tmp_path: Path) -> FoldRun:
    variant = Variant("tau", Path("configs/ablations/tau_02.py"), environment=("GSPMC_DATA_SET=autsl",))
    return FoldRun(variant, 1, 0, tmp_path, (), (), {})


@pytest.fixture
def scripts(repository: Path, tmp_path: Path) -> Path:
    """The scripts of tools/, and programs of their names that say how they were called."""
    tools, programs = tmp_path / "tools", tmp_path / "bin"
    tools.mkdir()
    programs.mkdir()
    for name in ("dist_train.sh", "slurm_train.sh", "slurm_test.sh"):
        shutil.copy(repository / "tools" / name, tools / name)
    for name in ("srun", "python-said"):
        path = programs / name
        path.write_text('#!/bin/sh\necho "$GSPMC_DATA_SET $(basename $0) $@"\n')
        path.chmod(0o755)
    return tmp_path


def said(command: list[str], scripts: Path) -> str:
    command = [word if not word.startswith("PYTHON=") else f"PYTHON={scripts}/bin/python-said" for word in command]
    path = f"{scripts / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True)
    return done.stdout


def test_plain_commands_can_be_pasted(run: FoldRun) -> None:
    command = Launcher(Path("tools")).train(run, ARGUMENTS)
    assert command[:2] == ["env", "GSPMC_DATA_SET=autsl"]
    assert command[3:5] == ["tools/train.py", "configs/ablations/tau_02.py"]
    assert command[5:] == ARGUMENTS
    command = Launcher(Path("tools")).test(run, "last.pth", ARGUMENTS)
    assert command[3:] == ["tools/test.py", "configs/ablations/tau_02.py", "last.pth", *ARGUMENTS]


def test_torchrun_trains_on_all_and_tests_on_one(run: FoldRun, scripts: Path) -> None:
    launcher = TorchrunLauncher(scripts / "tools", gpus=4)
    ports = {next(word for word in launcher.train(run, ()) if word.startswith("PORT=")) for _ in range(3)}
    assert len(ports) > 1  # two trainings on one machine do not meet
    words = said(launcher.train(run, ARGUMENTS), scripts)
    assert words.startswith("autsl python-said -m torch.distributed.run")
    assert "--nproc-per-node=4" in words
    assert "train.py configs/ablations/tau_02.py --launcher pytorch --work-dir w --cfg-options a=1" in words
    assert "torch.distributed.run" not in " ".join(launcher.test(run, "last.pth", ()))


def test_slurm_jobs(run: FoldRun, scripts: Path) -> None:
    launcher = SlurmLauncher(scripts / "tools", partition="big", gpus=16)
    words = said(launcher.train(run, ARGUMENTS), scripts)
    assert words.startswith("autsl srun -p big --job-name=tau-seed-1-fold-0 --gres=gpu:8 --ntasks=16")
    assert "train.py configs/ablations/tau_02.py --launcher slurm --work-dir w" in words
    words = said(launcher.test(run, "last.pth", ARGUMENTS), scripts)
    assert "--gres=gpu:1 --ntasks=1 " in words
    assert "test.py configs/ablations/tau_02.py last.pth --launcher slurm --work-dir w" in words


def test_the_last_checkpoint_is_found_in_a_moved_folder(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path) is None
    (tmp_path / "last_checkpoint").write_text("/elsewhere/epoch_9.pth\n")
    assert last_checkpoint(tmp_path) is None
    (tmp_path / "epoch_9.pth").write_text("weights")
    assert last_checkpoint(tmp_path) == tmp_path / "epoch_9.pth"


def test_the_environment_of_a_variant_is_for_its_config_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "c.py").write_text('name = "{{$GSPMC_DATA_SET:slr500}}"\n')
    monkeypatch.delenv("GSPMC_DATA_SET", raising=False)
    assert Variant("a", tmp_path / "c.py", environment=("GSPMC_DATA_SET=autsl",)).load().name == "autsl"
    assert "GSPMC_DATA_SET" not in os.environ
    assert Variant("a", tmp_path / "c.py").load().name == "slr500"
    monkeypatch.setenv("GSPMC_DATA_SET", "bdsl55")
    assert Variant("a", tmp_path / "c.py", environment=("GSPMC_DATA_SET=autsl",)).load().name == "autsl"
    assert os.environ["GSPMC_DATA_SET"] == "bdsl55"
