from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

from gspmc_mm.evaluation import provenance
from gspmc_mm.evaluation.provenance import (
    config_hash,
    config_inputs,
    fingerprint,
    gather_provenance,
    git_state,
)
from gspmc_mm.files import write_json


def test_everything_is_there_and_json() -> None:
    import gspmc_mm

    facts = json.loads(json.dumps(gather_provenance(seed=3, data={"a": "b"}, command="x y")))
    assert set(facts) == {"time", "command", "seed", "data", "versions", "git", "host"}
    assert (facts["seed"], facts["data"], facts["command"]) == (3, {"a": "b"}, "x y")
    assert {"python", "torch", "mmengine", "mmaction2", "gspmc_mm"} <= set(facts["versions"])
    assert facts["versions"]["gspmc_mm"] == gspmc_mm.__version__
    assert facts["time"].endswith("+00:00")
    assert facts["host"]["cpu"]
    assert facts["host"]["cores"] >= 1


def test_git_state_is_that_of_this_checkout(repository: Path) -> None:
    done = subprocess.run(["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True)
    state = git_state()
    if done.returncode == 0 and (repository / ".git").exists():
        assert state is not None
        assert state["commit"] == done.stdout.strip()
    else:
        assert state is None


def test_results_that_were_written_do_not_change_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "gspmc_mm"
    for name in ("gspmc_mm/evaluation/provenance.py", "docs/results/folds.json", "tools/train.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@x"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    monkeypatch.setattr(provenance, "__file__", str(package / "evaluation" / "provenance.py"))
    (tmp_path / "docs/results/folds.json").write_text("second")
    (tmp_path / "docs/results/new.json").write_text("second")
    assert git_state()["modified"] is False
    (tmp_path / "tools/train.py").write_text("second")
    assert git_state()["modified"] is True
    subprocess.run([*git, "checkout", "-q", "tools"], check=True)
    (package / "new.py").write_text("untracked code is code")
    assert git_state()["modified"] is True


def test_a_foreign_repository_is_not_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    package = tmp_path / ".venv" / "gspmc_mm" / "evaluation"
    package.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(package / "provenance.py"))
    assert git_state() is None


def test_fingerprint_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "bank.safetensors"
    path.write_bytes(b"abc" * 1000)
    assert fingerprint(path) == "sha256:" + hashlib.sha256(b"abc" * 1000).hexdigest()
    with pytest.raises(FileNotFoundError, match="nope"):
        fingerprint(tmp_path / "nope.json")


def test_config_inputs_finds_the_files_that_exist(tmp_path: Path) -> None:
    bank, notes = tmp_path / "bank.safetensors", tmp_path / "notes.txt"
    bank.write_bytes(b"1")
    notes.write_text("not data")
    config = {
        "model": {"head": {"text_bank": str(bank)}},
        "pipeline": [{"bank": str(bank)}, {"x": str(notes)}, {"y": ("gone.json", 3, None)}],
    }
    assert list(config_inputs(config)) == [str(bank)]
    before = config_inputs(config)
    bank.write_bytes(b"2")
    assert config_inputs(config) != before


def test_config_hash_depends_on_values_not_on_order() -> None:
    assert config_hash({"a": 1, "b": [2]}) == config_hash({"b": [2], "a": 1})
    assert config_hash({"a": 1}) != config_hash({"a": 2})


def test_config_hash_leaves_out_the_cache_of_datasets_alone() -> None:
    def loader(kind: str, **settings: object) -> dict:
        return {"train_dataloader": {"dataset": {"type": "RepeatDataset", "dataset": {"type": kind, **settings}}}}

    plain = config_hash(loader("SignPoseDataset", split="train"))
    assert config_hash(loader("SignPoseDataset", split="train", cache=True)) == plain
    assert config_hash(loader("SignPoseDataset", split="val", cache=True)) != plain
    assert config_hash(loader("Other", cache=True)) != config_hash(loader("Other", cache=False))


def test_write_json_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})

    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["r.json"]
