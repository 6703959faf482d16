from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import mmaction
import pytest
from mmengine.registry import DefaultScope

CONFIG = """
default_scope = "mmaction"
custom_imports = dict(imports=["gspmc_mm"])
model = dict(
    type="PartPooledGCNRecognizer",
    backbone=dict(type="PartCTRGCN", layout="samslr27", base_channels=8, num_stages=2,
                  inflate_stages=(2,), down_stages=(2,)),
    cls_head=dict(type="TextConditionedHead", num_classes=7, in_channels=16),
)
pipeline = [
    dict(type="SampleSignFrames", clip_len=12, num_clips={clips}),
    dict(type="FormatGCNInput", num_person=1),
]
test_dataloader = dict(dataset=dict(type="RepeatDataset", dataset=dict(pipeline=pipeline)))
"""
TEXTS = """
model.update(part_pooling=dict(type="PartPooling", layout="samslr27"))
model["cls_head"].update(text_bank="no/such/bank.safetensors", text_dim=32)
"""
STGCN = """
model = dict(
    type="RecognizerGCN",
    backbone=dict(type="STGCN", graph_cfg=dict(layout="coco", mode="stgcn_spatial"), num_stages=2),
    cls_head=dict(type="GCNHead", num_classes=7, in_channels=64),
)
"""


@pytest.fixture(scope="module")
def tool(repository):
    return runpy.run_path(str(repository / "tools" / "analysis" / "get_flops.py"), run_name="get_flops")


@pytest.fixture(autouse=True)
def _scope_of_its_own(monkeypatch):
    monkeypatch.setattr(DefaultScope, "_instance_dict", DefaultScope._instance_dict.copy())


@pytest.fixture
def config(tmp_path):
    def write(texts: bool = False, clips: int = 1, more: str = "") -> str:
        path = tmp_path / f"{'gspmc' if texts else 'ctrgcn'}.py"
        path.write_text(CONFIG.format(clips=clips) + (TEXTS if texts else "") + more)
        return str(path)

    return write


@pytest.fixture
def run(tool, capsys):
    def run(*arguments: str):
        capsys.readouterr()
        assert tool["main"]([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_texts_cost_nothing_at_inference(run, config):
    with_text, without = run(config(texts=True)), run(config())
    assert with_text.pop("training_only_parameters") == 4 * (16 * 32 + 32)  # global and three parts
    assert without.pop("training_only_parameters") == 0
    assert with_text == without
    assert without["input"] == [1, 12, 27, 3]


def test_counts_by_hand(run, config):
    """One block of known convolutions, products and norms."""
    found = run(config(), "--cfg-options", "model.backbone.num_stages=1", "model.cls_head.in_channels=8")
    c, w, t, v, r, s, classes = 3, 8, 12, 27, 8, 3, 7
    points = t * v
    convolutions = {
        "values": s * w * c * points,
        "relations": 2 * s * r * c * v,
        "residual of the graph unit": w * c * points,
        "entry of the branches": w * w * points,
        "dilated branches": 2 * 5 * (w // 4) ** 2 * points,
        "topology": s * w * r * v * v,
        "aggregation": w * t * s * v * v,
        "classifier": w * classes,
    }
    # mmengine counts a norm in eval mode as 2 operations a number: input, graph, its residual, entry, branches.
    norms = 2 * points * (c + w + w + 3 * w // 4 + w)
    assert found["flops"] == sum(convolutions.values()) + norms


def test_frames_are_proportional(run, config):
    small, large = (run(config(), "--shape", "1", str(t), "27", "3")["flops"] for t in (12, 24))
    assert 1.6 < large / small < 2  # the topology is refined once a clip


def test_several_test_clips_are_told(tool, config, capsys):
    assert tool["main"]([config(clips=10)]) == 0
    out = capsys.readouterr().out
    assert "Input of one clip (M T V C): 1 12 27 3" in out
    assert "10 clips a sample" in out
    assert "Parameters while training only: 0" in out


def test_table_of_modules(tool, config, capsys):
    assert tool["main"]([config(), "--table"]) == 0
    assert "backbone.blocks.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shape", "1", "12", "26", "3"], "27 joints"),
        (["--cfg-options", "test_dataloader.dataset.dataset.pipeline=[]"], "how many frames"),
    ],
)
def test_input_that_cannot_be(tool, config, capsys, arguments, message):
    assert tool["main"]([config(), *arguments]) == 1
    assert message in capsys.readouterr().err


def test_missing_config(tool, capsys):
    assert tool["main"](["configs/none.py"]) == 1
    assert "configs/none.py does not exist" in capsys.readouterr().err


def test_recogniser_without_a_head_stage_of_ours(run, config):
    found = run(config(more=STGCN))
    assert found["input"] == [1, 12, 17, 3]
    assert found["flops"] > 0


def test_mmactions_own_tool_runs_and_sees_the_same_flops(config, monkeypatch, capsys):
    theirs = Path(mmaction.__file__).parent / ".mim" / "tools" / "analysis_tools" / "get_flops.py"
    figures = {}
    for texts in (True, False):
        arguments = [str(theirs), config(texts=texts), "--shape", "1", "1", "12", "27", "3"]
        monkeypatch.setattr(sys, "argv", arguments)
        runpy.run_path(str(theirs), run_name="__main__")
        out = capsys.readouterr().out
        figures[texts] = {
            line.split(":")[0]: line for line in out.splitlines() if line.startswith(("Flops:", "Params:"))
        }
    assert figures[True]["Flops"] == figures[False]["Flops"]
    assert figures[True]["Params"] != figures[False]["Params"]  # it counts the projections too


def test_overridden_steps_count(run, config):
    overridden = (
        "test_dataloader['dataset']['dataset'].update(pipeline_overrides=dict(SampleSignFrames=dict(clip_len=24)))"
    )
    assert run(config(more=overridden))["input"] == [1, 24, 27, 3]


def test_a_loader_of_several_data_sets_says_nothing(run, config):
    several = "train_dataloader, test_dataloader = test_dataloader, dict(dataset=dict(datasets=[]))"
    assert run(config(more=several))["input"] == [1, 12, 27, 3]
