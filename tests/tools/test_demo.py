"""The demo on a tiny set: what it leaves, and that a result is never that of another seed, schedule or text."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from argparse import Namespace
from pathlib import Path

import pytest

from gspmc_mm.descriptions import TextBank, load_descriptions
from gspmc_mm.files import write_json

RUNS = ("ctrgcn_synthsign_j", "gspmc_synthsign_j")


@pytest.mark.slow
def test_the_demo_and_another_seed(commands, workplace, tiny):
    """A second call with another seed trains again; the same call again trains nothing and keeps its own time."""
    descriptions = workplace / "data" / "synthsign" / "descriptions.json"
    content = json.loads(descriptions.read_text(encoding="utf-8"))
    content["signs"][0]["primary"] += " Slowly."
    descriptions.write_text(json.dumps(content), encoding="utf-8")  # the bank beside it is of other words now

    def demo(seed: int) -> dict:
        options = ("--work-dir", "demo", "--epochs", 3, "--seed", seed, "--cfg-options", *tiny)
        done = commands.start("tools/demo.py", *options, cwd=workplace).wait(timeout=900)
        assert done.status == 0, done.said
        assert f"seed {seed};" in done.said
        return json.loads((workplace / "demo" / "result.json").read_text(encoding="utf-8"))

    first = demo(0)
    bank = TextBank.load(workplace / "data" / "synthsign" / "text_bank.safetensors")
    assert bank.descriptions_sha256 == load_descriptions(descriptions).sha256
    assert first["synthetic"]
    assert first["provenance"]["seed"] == 0
    assert {Path(path).name for path in first["provenance"]["data"]} == {"poses.arrow", "text_bank.safetensors"}
    assert (workplace / "demo" / "curves.png").stat().st_size > 1000

    other = demo(1)
    assert other["provenance"]["seed"] == 1
    checkpoints = [workplace / "demo" / name / f"seed{s}" / "fold0" / "epoch_3.pth" for name in RUNS for s in (0, 1)]
    written = [path.stat().st_mtime_ns for path in checkpoints]

    again = demo(0)
    assert [path.stat().st_mtime_ns for path in checkpoints] == written
    for what in ("runs", "comparison", "seconds", "config_sha256"):
        assert again[what] == first[what]


def test_too_few_epochs_are_refused(commands, workplace):
    done = commands.run("tools/demo.py", "--epochs", 2, cwd=workplace)
    assert done.status == 1
    assert "error: 2 epochs: two are the warm-up" in done.words


def test_another_schedule_is_trained_from_its_start(repository, workplace, monkeypatch):
    """What was trained for 12 epochs is found again, and moved aside when 24 are asked for: not gone on with."""
    monkeypatch.chdir(workplace)
    spec = importlib.util.spec_from_file_location("demo_tool", repository / "tools" / "demo.py")
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)

    def plan(epochs: int) -> list:
        return list(demo.plan(Namespace(work_dir=Path("demo"), epochs=epochs, seed=0, cfg_options=[])).values())

    for run in plan(12):
        write_json(run.folder / "fold.json", {"identity": run.identity, "trained": True})
    assert all(run.record["trained"] for run in plan(12))
    for run in plan(24):
        assert not run.record
        assert not run.folder.exists()
        assert run.folder.with_name("fold0.replaced-1").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_clean_keeps_what_is_dear(repository, tmp_path):
    """Extracted poses and trainings take days; only what `make install` and `make demo` made is removed."""
    shutil.copy(repository / "Makefile", tmp_path)
    kept = [tmp_path / "data" / "slr500", tmp_path / "work_dirs" / "gspmc_slr500_j"]
    made = [tmp_path / name for name in (".venv", "build", "x.egg-info", "data/synthsign", "work_dirs/demo")]
    for folder in (*kept, *made):
        folder.mkdir(parents=True)
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True)
    assert [folder for folder in (*kept, *made) if folder.exists()] == kept
    subprocess.run(["make", "clean-all"], cwd=tmp_path, check=True)
    assert not any(folder.exists() for folder in kept)
