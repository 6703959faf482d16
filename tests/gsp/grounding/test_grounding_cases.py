"""The planted cases: enough of them, and no worse than measured."""

from __future__ import annotations

import importlib.util
import json

import pytest


@pytest.fixture(scope="module")
def tool(repository):
    spec = importlib.util.spec_from_file_location(
        "grounding_quality", repository / "tools" / "analysis" / "grounding_quality.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("half", "caught", "flagged"), [("development", 0.98, 0.04), ("heldout", 0.95, 0.15)])
def test_shares(tool, half, caught, flagged):
    checked = tool.check_cases(tool.CASES / f"cases_{half}.yaml")
    shares = tool.shares(checked)
    assert shares["errors: all"]["number"] >= 60
    assert shares["errors: all"]["share"] >= caught
    assert shares["errors: of the kind planted"]["share"] >= caught - 0.05
    assert shares["correct: all"]["number"] >= 45
    assert shares["correct: all"]["share"] <= flagged


def test_all_kinds_and_languages_are_there(tool):
    checked = [c for half in tool.HALVES for c in tool.check_cases(tool.CASES / f"cases_{half}.yaml")]
    assert {c["kind"] for c in checked} == {*tool.KINDS_OF, "correct"}
    assert {(c["source_language"], c["language"]) for c in checked if c["kind"] == "correct"} == {
        (a, b) for a in ("en", "tr", "zh") for b in ("en", "tr", "zh")
    }


def test_command(command, tmp_path):
    out = tmp_path / "quality.json"
    assert command("analysis/grounding_quality.py", "--out", out, "--show").status == 0
    written = json.loads(out.read_text("utf-8"))
    assert set(written["shares"]) == {"development", "heldout"}
    assert any(path.endswith("cases_heldout.yaml") for path in written["provenance"]["data"])
    failed = command("analysis/grounding_quality.py", "--cases", tmp_path)
    assert failed.status == 1
    assert failed.err.startswith("error: ")
