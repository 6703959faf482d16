from __future__ import annotations

import importlib.util
import json
import subprocess

import pytest
import torch
from torch import nn

from gspmc_mm.evaluation.benchmarking import model_costs
from gspmc_mm.evaluation.benchmarking.arithmetic import multiply_adds
from gspmc_mm.evaluation.benchmarking.capacity import computed_capacity, growth, memory_line
from gspmc_mm.evaluation.benchmarking.memory import OutOfMemoryError, in_memory_child, saved_bytes
from gspmc_mm.evaluation.benchmarking.model_costs import Cell, grid
from gspmc_mm.evaluation.benchmarking.page import filled
from gspmc_mm.evaluation.benchmarking.timing import summary, take_turns
from gspmc_mm.visualization.cost_growth import draw_cost_growth

FACTS = {
    "command": "tools/benchmark.py model",
    "time": "2026-01-02T03:04:05+00:00",
    "versions": {"torch": "2.0"},
    "git": {"commit": "0123456789abcdef", "modified": False},
    "host": {"cpu": "a processor", "gpus": []},
}


def cell(joints: int, frames: int, batch: int) -> dict:
    """A made-up cell: time 1 ms x V x T x batch / 1000 and memory 100 + 50 a clip, half of it for ours."""
    row = {}
    for name, factor in (("reference", 1.0), ("ours", 0.5)):
        time = {"median_s": factor * joints * frames * batch / 1e6, "speedup": 1 / factor}
        row[name] = {**time, "share_of_matmul_speed": 0.2, "multiply_adds_per_clip": joints**2}
    memory = {
        name: {"train_peak_mib": factor * (100 + 50 * batch), "infer_peak_mib": 3.0, "saved_mib_per_clip": 40.0}
        for name, factor in (("reference", 1.0), ("ours", 0.5))
    }
    return {"joints": joints, "frames": frames, "batch": batch, "memory": memory, "infer": row, "train": row}


@pytest.fixture
def model_result() -> dict:
    cells = [cell(v, t, 4) for v in (27, 87, 133) for t in (32, 64, 128)] + [cell(87, 64, b) for b in (1, 16)]
    speeds = {"float32": 1e11}
    common = {"device": "cpu", "threads": 2, "unit": "reference", "provenance": FACTS}
    return {**common, "cells": cells, "matmul_multiply_adds_per_s": speeds}


def test_contenders_take_turns_and_ratios_are_paired():
    order = []
    steps = {"a": lambda: order.append("a"), "b": lambda: order.append("b")}
    seconds = take_turns(steps, repeats=2, warm_up=1, device=torch.device("cpu"))
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert [len(values) for values in seconds.values()] == [2, 2]
    # Ratios of rounds, not of medians: 2/1, 8/2, 3/3.
    row = summary({"unit": [2.0, 8.0, 3.0], "ours": [1.0, 2.0, 3.0]}, "unit")["ours"]
    assert row["speedup"] == 2.0
    assert row["median_s"] == 2.0


def test_three_rounds_are_run_however_slow_they_are():
    calls = []
    take_turns({"a": lambda: calls.append(1)}, 9, 0, torch.device("cpu"), max_seconds=0.0)
    assert len(calls) == 3


def test_multiply_adds_of_a_layer_and_its_backward():
    layer, x = nn.Linear(5, 7, bias=False), torch.randn(3, 5)
    assert multiply_adds(lambda: layer(x)) == 3 * 5 * 7
    assert multiply_adds(lambda: layer(x).sum().backward()) == 2 * 3 * 5 * 7  # x takes no gradient


def test_kept_storages_are_counted_once():
    x = torch.randn(1000, requires_grad=True)

    def forward() -> torch.Tensor:
        y = x.exp()  # keeps its result
        return (y.view(10, 100) * y.view(10, 100)).sum()  # keeps two views of the same storage

    assert saved_bytes(forward, exclude=[x]) == 4000


def test_a_contender_that_the_system_kills_for_its_memory_leaves_the_others_their_figures(monkeypatch):
    def child(module, arguments):
        if "big" in arguments["names"]:
            raise OutOfMemoryError("killed")
        return {name: {"train_peak_mib": 5.0} for name in arguments["names"]}

    monkeypatch.setattr(model_costs, "in_memory_child", child)
    found = model_costs.memory_of_cell(Cell(27, 8, 1), ["small", "big"], torch.device("cpu"), seed=0, thread_count=1)
    assert found == {"small": {"train_peak_mib": 5.0}, "big": {"train_peak_mib": None}}


def test_the_result_so_far_is_handed_over_after_every_size(monkeypatch):
    row = {"reference": {"median_s": 1.0, "speedup": 1.0, "multiply_adds_per_clip": 10}}
    monkeypatch.setattr(model_costs, "memory_of_cell", lambda *args: {})
    monkeypatch.setattr(model_costs, "measure_cell", lambda cell, *args, **options: {"infer": row, "train": row})
    seen = []
    cells = [Cell(17, 8, 1), Cell(17, 8, 2)]
    model_costs.measure_models(
        cells, ["reference"], torch.device("cpu"), on_result=lambda result: seen.append(len(result["cells"]))
    )
    assert seen == [1, 2]


def test_a_killed_measuring_process_is_told_from_a_failed_one(monkeypatch):
    for status, error in ((-9, OutOfMemoryError), (1, RuntimeError)):
        done = subprocess.CompletedProcess([], status, stdout="")
        monkeypatch.setattr(subprocess, "run", lambda *args, done=done, **options: done)
        with pytest.raises(RuntimeError) as raised:
            in_memory_child("some.module", {})
        assert type(raised.value) is error


def test_grid_is_a_cross_of_lines_through_the_middle():
    cells = grid((27, 87), (32, 64), (1, 4))
    assert cells == [Cell(27, 64, 4), Cell(87, 64, 4), Cell(87, 32, 4), Cell(87, 64, 1)]
    assert len(grid((27, 87), (32, 64), (1, 4), full=True)) == 8


def test_growth_tells_linear_from_quadratic():
    sizes = [27, 49, 87, 133]
    assert growth(sizes, [3 * n for n in sizes]) == pytest.approx({"exponent": 1, "quadratic_share": 0}, abs=1e-6)
    assert growth(sizes, [n * n for n in sizes]) == pytest.approx({"exponent": 2, "quadratic_share": 1}, abs=1e-6)
    half = growth(sizes, [133 * n + n * n for n in sizes])
    assert half["quadratic_share"] == pytest.approx(0.5)


def test_capacity_is_computed_from_the_line_through_the_batches(model_result):
    assert memory_line(model_result, "reference", 87, 64) == pytest.approx((100, 50))
    row = next(
        r for r in computed_capacity(model_result) if r["contender"] == "ours" and r["machine"].startswith("1 x")
    )
    assert row["clips_that_fit_a_card"] == ((24 * 1024 - 1536 - 50) // 25)
    assert row["passes_per_step"] == 1
    assert row["steps"] == 729 * 110


def test_page_is_filled_and_filling_twice_changes_nothing(model_result):
    page = "# Page\n<!-- speed:model -->\nold\n<!-- end -->\ntext\n<!-- speed:text -->\n<!-- end -->\n"
    once = filled(page, {"model": model_result})
    assert "old" not in once
    assert "| ours | 11.1 | 2.00 | 20% | 3 | 11.1 | 2.00 | 20% | 150 | 0.50 | 40 |" in once
    assert "Not measured yet: `python tools/benchmark.py text" in once
    assert "commit 012345678" in once
    assert filled(once, {"model": model_result}) == once
    small = filled("<!-- speed:small -->\n<!-- end -->\n", {})
    assert "Not measured yet: `python tools/benchmark.py model --joints 20 " in small
    assert " --out docs/speed/small.json`" in small
    with pytest.raises(ValueError, match="no mark"):
        filled("# Page", {})


def test_the_page_of_the_repository_has_every_section(repository, model_result):
    text = (repository / "docs" / "speed.md").read_text(encoding="utf-8")
    for section in ("model", "small", "growth", "pipeline", "text", "store", "scaling", "capacity"):
        assert f"<!-- speed:{section} -->" in text
    results = {p.stem: json.loads(p.read_text()) for p in (repository / "docs" / "speed").glob("*.json")}
    assert filled(text, results) == text or not results, "run `python tools/benchmark.py page`"
    assert not any(result["quick"] for result in results.values())


def test_growth_is_drawn(model_result, tmp_path):
    for path in draw_cost_growth(model_result, tmp_path / "speed"):
        assert path.stat().st_size > 10_000
    model_result["cells"] = model_result["cells"][:1]
    with pytest.raises(ValueError, match="nothing grows"):
        draw_cost_growth(model_result, tmp_path / "speed")


@pytest.fixture
def benchmark(repository):
    """The command line as a module."""
    spec = importlib.util.spec_from_file_location("benchmark_tool", repository / "tools" / "benchmark.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_networks_are_measured(benchmark, tmp_path, capsys):
    out = tmp_path / "model.json"
    options = ("--quick", "--threads", "1", "--contenders", "reference", "ours", "--out", str(out))
    assert benchmark.main(["model", *options]) == 0
    (row,) = json.loads(out.read_text())["cells"]
    for what in ("infer", "train"):
        assert row[what]["reference"]["speedup"] == 1
        assert row[what]["ours"]["clips_per_s"] > 0
    # The rewrite keeps less for backward and needs no more multiply-adds at inference than the reference.
    assert row["memory"]["ours"]["saved_mib_per_clip"] < row["memory"]["reference"]["saved_mib_per_clip"]
    assert row["memory"]["reference"]["train_peak_mib"] > 0
    assert row["infer"]["ours"]["multiply_adds_per_clip"] <= row["infer"]["reference"]["multiply_adds_per_clip"]
    assert "V=17 T=8 batch=2" in capsys.readouterr().out


@pytest.mark.slow
def test_input_side_is_measured(benchmark, tmp_path, capsys):
    out = tmp_path / "pipeline.json"
    assert benchmark.main(["pipeline", "--quick", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert {row["rounds"] for row in result["speed"].values()} == {20}
    assert all(row["clips_per_s"] > 0 for row in result["speed"].values())
    memory = result["memory"]
    assert memory["PoseDataset"]["kib_per_clip"] > memory["ours"]["kib_per_clip"]
    assert "EXTRAPOLATED" in capsys.readouterr().out


@pytest.mark.slow
def test_ranks_are_measured(benchmark, tmp_path, capsys):
    out = tmp_path / "scaling.json"
    assert benchmark.main(["scaling", "--quick", "--out", str(out)]) == 0
    assert [row["ranks"] for row in json.loads(out.read_text())["rows"]] == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("model", "--quick", "--contenders", "nobody"), "contender 'nobody' is unknown"),
        (("page", "--page", "no_such.md"), "no page no_such.md"),
    ],
)
def test_what_cannot_be_done_is_said(benchmark, capsys, arguments, words):
    assert benchmark.main(list(arguments)) == 1
    assert words in capsys.readouterr().err


def test_sizes_below_one_are_refused(benchmark, capsys):
    with pytest.raises(SystemExit) as stop:
        benchmark.main(["model", "--batch", "0"])
    assert stop.value.code == 2
    assert "--batch has to be at least 1" in capsys.readouterr().err


def test_help_needs_no_heavy_import(benchmark, capsys):
    with pytest.raises(SystemExit) as stop:
        benchmark.main(["model", "--help"])
    assert stop.value.code == 0
    assert "--full-grid" in capsys.readouterr().out
    assert "torch" not in vars(benchmark)
