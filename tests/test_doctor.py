"""The doctor: what it reads, how it judges, and that it still speaks when the core is broken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gspmc_mm import doctor
from gspmc_mm.doctor import (
    BROKEN,
    CORE,
    MISSING,
    OK,
    WRONG_VERSION,
    Check,
    Package,
    Report,
    commands_for,
    judge,
    known_conflicts,
)

GOOD_VERSIONS = {
    "numpy": "1.26.4",
    "setuptools": "80.10.2",
    "opencv-python": "4.11.0.86",
    "opencv-contrib-python": "4.11.0.86",
    "pyarrow": "23.0.1",
    "mmcv-lite": "2.1.0",
    "mmaction2": "1.2.0",
    "faiss-cpu": "1.8.0",
    "transformers": "4.57.0",
}


def write_distribution(folder: Path, *requires: str) -> None:
    """An installed distribution called `made-up` with these requirements."""
    info = folder / "made_up-1.0.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", "Name: made-up", "Version: 1.0"]
    (info / "METADATA").write_text("\n".join([*lines, *(f"Requires-Dist: {r}" for r in requires)]) + "\n")


def test_requirements_come_from_the_metadata_of_the_installed_package(tmp_path, monkeypatch):
    write_distribution(tmp_path, "numpy<2", "openai>=1.30; extra == 'gsp'", 'ruff; extra == "dev"')
    monkeypatch.syspath_prepend(tmp_path)
    assert doctor.requirements_from_metadata("made-up") == [
        (CORE, "numpy<2"),
        ("gsp", "openai>=1.30; extra == 'gsp'"),
        ("dev", 'ruff; extra == "dev"'),
    ]


def test_a_checkout_that_is_not_installed_is_read_from_its_setup_file(tmp_path):
    path = tmp_path / "setup.cfg"
    path.write_text(
        "[options]\ninstall_requires =\n    # why\n    numpy < 2\n    PyYAML\n"
        "[options.extras_require]\n# what for\ntext =\n    open_clip_torch >= 3.0\n"
    )
    assert doctor.requirements_from_setup(path) == [
        (CORE, "numpy < 2"),
        (CORE, "PyYAML"),
        ("text", "open_clip_torch >= 3.0"),
    ]
    with pytest.raises(FileNotFoundError):
        doctor.requirements_from_setup(tmp_path / "none.cfg")


def test_the_extras_of_this_repository_are_all_there(repository):
    extras = {extra for extra, _ in doctor.requirements_from_setup(repository / "setup.cfg")}
    assert extras == set(doctor.PURPOSES)


@pytest.mark.parametrize(
    ("requirement", "version", "error", "state"),
    [
        ("numpy<2", "1.26.4", "", OK),
        ("numpy<2", "2.1.0", "", WRONG_VERSION),
        ("numpy<2", None, "", MISSING),
        ("numpy<2", "1.26.4", "ImportError: no", BROKEN),
        ("torch>=2.6,<2.15", "2.14.1+cu128", "", OK),
        ("open_clip_torch>=3.0; extra == 'text'", "2.9", "", WRONG_VERSION),
    ],
)
def test_judge(requirement, version, error, state):
    package = judge("text", requirement, lambda name: version, lambda name: error)
    assert (package.state, package.version, package.detail) == (state, version, error)


def test_a_requirement_for_another_python_is_left_out():
    assert judge(CORE, "tomli; python_version < '3'", lambda name: None) is None


@pytest.mark.parametrize(
    ("changed", "named", "fix"),
    [
        ({"numpy": "2.0.1", "pyarrow": "24.0", "xtcocotools": "1.14.3"}, "numpy 2.0.1 with xtcocotools", "numpy<2"),
        ({"setuptools": "81.0"}, "setuptools 81.0", "setuptools<81"),
        ({"opencv-python": "4.12.0.88"}, "opencv-python 4.12", "opencv-python<4.12"),
        ({"opencv-python": "4.10.0.84"}, "opencv-python 4.10", "force-reinstall"),
        ({"pyarrow": "24.0.0"}, "pyarrow 24.0.0 with numpy 1.26.4", "pyarrow>=14,<24"),
        ({"mmcv": "2.1.0"}, "mmcv 2.1.0 beside mmcv-lite 2.1.0", "uninstall -y mmcv mmcv-lite"),
        ({"mmcv-lite": "2.2.0"}, "mmcv-lite 2.2.0", "mmcv-lite>=2.1,<2.2"),
        ({"faiss-gpu-cu12": "1.8"}, "faiss-cpu beside faiss-gpu-cu12", "uninstall -y faiss-cpu"),
    ],
)
def test_each_known_conflict_is_found_alone(changed, named, fix):
    (conflict,) = known_conflicts({**GOOD_VERSIONS, **changed})
    assert named in conflict.what
    assert fix in conflict.fix
    assert not conflict.handled


def test_transformers_5_is_reported_as_taken_care_of():
    (conflict,) = known_conflicts({**GOOD_VERSIONS, "transformers": "5.1.0"})
    assert conflict.handled
    assert conflict.fix == ""


def test_versions_that_go_together_are_no_conflict():
    assert known_conflicts(GOOD_VERSIONS) == []
    assert known_conflicts({**GOOD_VERSIONS, "numpy": "2.5.2"}) == []  # nothing but mmpose's data sets needs numpy 1
    assert known_conflicts({}) == []


def test_commands_name_what_is_missing_and_nothing_else():
    packages = [
        Package(CORE, "numpy", "<2", "2.0", WRONG_VERSION),
        Package(CORE, "torch", ">=2.6", "2.14", OK),
        Package("gsp", "openai", ">=1.30", None, MISSING),
        Package("pose", "mmpose", "==1.3.2", None, MISSING),
        Package("dev", "ruff", "", "0.6", BROKEN, "OSError: no"),
        Package("text", "open_clip_torch", "", "3", BROKEN, "ModuleNotFoundError: No module named 'timm.x'"),
    ]
    commands = commands_for(packages)
    assert commands[CORE].endswith(" 'numpy<2'")
    assert commands["gsp"].endswith(" 'openai>=1.30'")
    assert commands["pose"].endswith("--no-deps mmpose==1.3.2")
    assert commands["dev"].endswith("--force-reinstall --no-deps ruff")
    assert commands["text"].endswith(" timm")
    assert all(" -m pip install" in command for command in commands.values())


def test_the_core_works_when_only_an_extra_is_missing():
    missing = Package("gsp", "openai", "", None, MISSING)
    gpu = Check("GPU", False, "none", needed=False)
    assert Report({}, [missing], [gpu], []).core_works
    assert not Report({}, [Package(CORE, "numpy", "", None, MISSING)], [gpu], []).core_works
    assert not Report({}, [], [Check("import", False, "no")], []).core_works


@pytest.mark.parametrize(
    ("abilities", "said"), [({"avx512_bf16": True}, "yes, train with --amp"), ({"avx2": True}, "no, leave --amp out")]
)
def test_without_a_gpu_the_doctor_says_whether_mixed_precision_pays(monkeypatch, abilities, said):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    (attempt,) = (attempt for name, attempt, _ in doctor.CHECKS if name == "GPU")
    assert doctor.run_check("GPU", attempt, needed=False).detail.endswith(f"bf16 of the CPU: {said}")


def test_a_check_that_fails_says_what_and_where():
    def attempt() -> str:
        raise LookupError("not\nhere")

    check = doctor.run_check("find", attempt)
    assert not check.ok
    assert check.detail.startswith("LookupError: not (tests/test_doctor.py:")


@pytest.mark.parametrize("check", doctor.CHECKS, ids=lambda check: check[0])
def test_here_everything_works(check):
    result = doctor.run_check(*check)
    assert result.ok, result.detail


def test_a_checkpoint_with_code_that_is_let_in_is_found(monkeypatch):
    import torch
    from mmengine.runner import CheckpointLoader

    def careless(filename, **kwargs):
        return torch.load(filename, weights_only=False)

    monkeypatch.setattr(CheckpointLoader, "load_checkpoint", careless)
    check = doctor.run_check("checkpoints", doctor._load_checkpoints)
    assert not check.ok
    assert "not in force" in check.detail


def test_a_component_that_is_not_registered_is_named(monkeypatch):
    monkeypatch.setattr(doctor, "COMPONENTS", {"METRICS": ("SignAccuracy", "NoSuchMetric")})
    check = doctor.run_check("components", doctor._find_components)
    assert "NoSuchMetric (METRICS)" in check.detail
    assert "SignAccuracy" not in check.detail


def run_doctor(folder: Path, repository: Path, *arguments: str) -> subprocess.CompletedProcess:
    """The doctor in a process of its own, with `folder` in front of everything installed."""
    return subprocess.run(
        [sys.executable, repository / "gspmc_mm" / "doctor.py", *arguments],
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )


def shadow(folder: Path, *modules: str) -> None:
    """Modules that fail when they are imported."""
    for module in modules:
        (folder / f"{module}.py").write_text("raise ImportError('broken on purpose')\n")


# torch is broken too, so that these two do not have to import it
def test_a_broken_core_is_described_and_the_status_is_1(tmp_path, repository):
    shadow(tmp_path, "mmengine", "torch", "openai")
    run = run_doctor(tmp_path, repository, "--json")
    assert run.returncode == 1, run.stderr
    found = json.loads(run.stdout)
    assert found["core_works"] is False
    states = {p["name"]: (p["state"], p["detail"]) for p in found["packages"] if p["extra"] == CORE}
    assert states["mmengine"] == (BROKEN, "ImportError: broken on purpose")
    assert states["numpy"][0] == OK
    assert "mmengine==" in found["commands"][CORE]
    checks = {check["name"]: check for check in found["checks"]}
    assert not checks["import"]["ok"]
    assert "broken on purpose" in checks["training step"]["detail"]


def test_without_rich_the_report_is_plain_text(tmp_path, repository):
    shadow(tmp_path, "rich", "torch", "mmengine")
    run = run_doctor(tmp_path, repository)
    assert run.returncode == 1, run.stderr
    assert "== installed" in run.stdout
    assert "rich" in run.stdout
    assert "The core does NOT work" in run.stdout


def test_the_whole_examination_ends_well_here(capsys):
    assert doctor.main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["core_works"] is True
    assert {p["extra"] for p in found["packages"]} == set(doctor.PURPOSES)


def test_the_tables_show_every_package_and_command(capsys, monkeypatch):
    package = Package("gsp", "openai", ">=1.30", None, MISSING)
    report = Report({"python": "3.11"}, [package], [Check("import", True, "fine")], [], {"gsp": "pip install x"})
    monkeypatch.setattr(doctor, "examine", lambda: report)
    assert doctor.main([]) == 0
    out = capsys.readouterr().out
    for text in ("openai", ">=1.30", "missing", "import", "pip install x", "The core works."):
        assert text in out
