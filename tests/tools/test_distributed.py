from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.evaluation import load_predictions

CONFIG = "configs/gspmc_synthsign_j.py"
SCRIPTS = ("dist_train.sh", "dist_test.sh", "slurm_train.sh", "slurm_test.sh")
FAKE_SRUN = """#!/bin/sh
printf '%s\\n' "$@" > srun_arguments.txt
"""


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def run_script(script: Path, *arguments: object, cwd: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", str(script), *map(str, arguments)],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_two_processes_train_and_test(
    workplace: Path, commands, command_environment: dict[str, str], tiny: tuple[str, ...], repository: Path
) -> None:
    options = (
        *tiny,
        "train_dataloader.batch_size=2",
        "train_cfg.max_epochs=2",
        # An odd number: the clip that fills the last rank up must not be counted twice.
        "test_dataloader.dataset.indices=7",
        "test_dataloader.batch_size=2",
    )
    said = run_script(
        repository / "tools" / "dist_train.sh",
        *(repository / CONFIG, 2, "--work-dir", "work", "--cfg-options", *options),
        cwd=workplace,
        env={**command_environment, "PORT": free_port()},
    )
    # 16 clips, two processes of batch 2.
    assert "Epoch(train) [2][4/4]" in said
    assert "GPU number: 2" in said
    runs = [path for path in (workplace / "work").iterdir() if path.is_dir()]
    assert len(runs) == 1
    assert len(list(runs[0].glob("*.log"))) == 1
    checkpoint = "work/epoch_2.pth"
    assert (workplace / checkpoint).is_file()

    said = run_script(
        repository / "tools" / "dist_test.sh",
        *(repository / CONFIG, checkpoint, 2, "--work-dir", "two", "--dump", "two.npz", "--cfg-options", *options),
        cwd=workplace,
        env={**command_environment, "PORT": free_port()},
    )
    assert "Epoch(test) [2/2]" in said
    alone = commands.run(
        "tools/test.py",
        *(repository / CONFIG, checkpoint, "--work-dir", "one", "--dump", "one.npz", "--cfg-options", *options),
        cwd=workplace,
    )
    assert alone.status == 0, alone.said
    one, two = load_predictions(workplace / "one.npz"), load_predictions(workplace / "two.npz")
    assert len(one) == 7
    assert one.clip_id.tolist() == two.clip_id.tolist()
    np.testing.assert_array_equal(one.label, two.label)
    np.testing.assert_allclose(one.scores, two.scores, rtol=1e-5, atol=1e-7)
    accuracy = f"acc/top1: {one.hits(1).mean():.4f}"
    assert accuracy in said
    assert accuracy in alone.said


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_sound(name: str, repository: Path, command_environment: dict[str, str], tmp_path: Path) -> None:
    script = repository / "tools" / name
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
    done = subprocess.run([str(script)], capture_output=True, text=True, env=command_environment, cwd=tmp_path)
    assert done.returncode != 0
    assert f"usage: tools/{name} " in done.stderr


@pytest.fixture
def slurm(repository: Path, command_environment: dict[str, str], tmp_path: Path):
    """Run a script with an srun that only writes down what it was asked for."""
    fake = tmp_path / "bin" / "srun"
    fake.parent.mkdir()
    fake.write_text(FAKE_SRUN)
    fake.chmod(0o755)

    def run(script: str, *arguments: str, **env: str) -> list[str]:
        path = os.pathsep.join([str(fake.parent), command_environment["PATH"]])
        full = {**command_environment, "PATH": path, "PYTHON": "/opt/python", **env}
        run_script(repository / "tools" / script, *arguments, cwd=tmp_path, env=full)
        return (tmp_path / "srun_arguments.txt").read_text().splitlines()

    return run


def test_slurm_train(slurm, repository: Path) -> None:
    asked = slurm(
        "slurm_train.sh",
        *("vision", "signs", "configs/a b.py", "--amp", "--cfg-options", "x=1 2"),
        GPUS="16",
        GPUS_PER_NODE="4",
        CPUS_PER_TASK="3",
        SRUN_ARGS="--quotatype=auto --exclusive",
    )
    script = asked.index("-u") + 1
    assert asked[: script - 2] == [
        *("-p", "vision", "--job-name=signs", "--gres=gpu:4", "--ntasks=16", "--ntasks-per-node=4"),
        *("--cpus-per-task=3", "--kill-on-bad-exit=1", "--quotatype=auto", "--exclusive"),
    ]
    assert asked[script - 2] == "/opt/python"
    assert Path(asked[script]).resolve() == repository / "tools" / "train.py"
    assert asked[script + 1 :] == ["configs/a b.py", "--launcher", "slurm", "--amp", "--cfg-options", "x=1 2"]


def test_slurm_test(slurm, repository: Path) -> None:
    asked = slurm(
        "slurm_test.sh", "vision", "signs", "c.py", "epoch_1.pth", "--dump", "p.npz", GPUS="2", GPUS_PER_NODE="2"
    )
    script = asked.index("-u") + 1
    assert {"--gres=gpu:2", "--ntasks=2", "--ntasks-per-node=2", "--cpus-per-task=5"} <= set(asked[:script])
    assert Path(asked[script]).resolve() == repository / "tools" / "test.py"
    assert asked[script + 1 :] == ["c.py", "epoch_1.pth", "--launcher", "slurm", "--dump", "p.npz"]


def test_slurm_without_a_gpu(
    commands, synthsign: Path, tiny: tuple[str, ...], repository: Path, tmp_path: Path
) -> None:
    done = commands.run(
        "tools/train.py",
        *(repository / CONFIG, "--work-dir", tmp_path / "work", "--launcher", "slurm", "--cfg-options", *tiny),
        cwd=synthsign,
    )
    assert done.status != 0
    assert "--launcher slurm needs a GPU" in done.last
    assert not (tmp_path / "work").exists()
