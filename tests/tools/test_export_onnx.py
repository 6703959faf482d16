"""The ONNX file is the network: the same scores, any number of clips, and all that is needed to feed it."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS

from gspmc_mm.evaluation.inference import batches, load_trained, predict, read_config
from gspmc_mm.models import onnx_export
from gspmc_mm.models.onnx_export import InferenceGraph, OnnxExportError, relative_difference, write_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SIGNS = ["book", "drink", "ambience"]


@pytest.fixture(scope="module")
def tool(repository):
    return runpy.run_path(str(repository / "tools" / "export_onnx.py"), run_name="export_onnx")["main"]


@pytest.fixture
def export(tool, small_network, capsys):
    """Exit status, and what was said on both streams."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = tool([str(small_network.config), *map(str, arguments)])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


def session(path: str | Path):
    opened = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda clips: opened.run(["logits"], {"keypoints": clips})[0]


def test_help_is_quick(repository):
    """Heavy imports stand inside functions."""
    top = (repository / "tools" / "export_onnx.py").read_text(encoding="utf-8").partition("def ")[0]
    assert "gspmc_mm" not in "".join(line for line in top.splitlines() if line.startswith(("import", "from")))


def test_the_file_gives_the_predictions_of_a_test(export, small_network):
    """Fed with what the data preprocessor hands on, in batches of 2, 2 and 1 clips."""
    small_network.store("poses.arrow", SIGNS)
    checkpoint = small_network.checkpoint(classes=SIGNS)
    status, said, complained = export(checkpoint, "--out", "made/model.onnx", "--check")
    assert status == 0, complained
    assert "wrote made/model.onnx: keypoints N x 1 x 12 x 27 x 3 -> logits N x 3" in said
    assert "ONNX Runtime and PyTorch differ by at most" in said
    assert [path.name for path in Path("made").iterdir()] == ["model.onnx"]

    trained = load_trained(read_config(small_network.config), checkpoint, "cpu")
    run = session("made/model.onnx")
    logits = np.concatenate([run(batch.inputs[:, 0].numpy()) for batch in batches(trained)])
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = predict(trained).scores
    assert expected.std() > 0.05  # not all the same anyhow
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), expected, atol=1e-5)


def test_what_the_file_says_of_itself(export, small_network):
    estimator = {"name": "x", "version": "1", "weights": "w"}
    checkpoint = small_network.checkpoint(classes=SIGNS, pose_estimator=estimator)
    assert export(checkpoint, "--out", "model.onnx", "--frames", 20)[0] == 0
    model = onnx.load("model.onnx")
    (clips,) = model.graph.input
    sizes = [dimension.dim_param or dimension.dim_value for dimension in clips.type.tensor_type.shape.dim]
    assert (clips.name, sizes) == ("keypoints", ["clips", 1, 20, 27, 3])
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["classes"]) == SIGNS
    assert json.loads(said["pose_estimator"]) == estimator
    assert (said["layout"], said["stream"], said["frames"]) == ("samslr27", "b", "20")
    assert len(json.loads(said["joints"])) == 27
    assert [step["type"] for step in json.loads(said["pipeline"])][:2] == ["SelectKeypoints", "NormalizeSigner"]
    assert "no longer pixels" in said["input"]


BACKBONE = dict(
    type="PartCTRGCN", layout="samslr27", base_channels=8, num_stages=2, inflate_stages=(2,), down_stages=(2,)
)
HEAD = dict(type="TextConditionedHead", num_classes=3, in_channels=16)
OURS = dict(type="PartPooledGCNRecognizer", backbone=BACKBONE, cls_head=HEAD)
NETWORKS = {
    "with texts": (
        {
            **OURS,
            "part_pooling": dict(type="PartPooling", layout="samslr27"),
            "cls_head": {**HEAD, "text_bank": "no/such/bank.safetensors", "text_dim": 32},
        },
        (1, 12, 27, 3),
    ),
    "pooled by confidence, odd frames": ({**OURS, "pooling": "confidence"}, (1, 13, 27, 3)),
    "two people": ({**OURS, "backbone": {**BACKBONE, "num_person": 2}}, (2, 12, 27, 3)),
    "shared topologies": ({**OURS, "backbone": {**BACKBONE, "graph": {"refine": False}}}, (1, 12, 27, 3)),
    "mmaction's STGCN": (
        dict(
            type="RecognizerGCN",
            backbone=dict(type="STGCN", graph_cfg=dict(layout="coco", mode="stgcn_spatial"), num_stages=2),
            cls_head=dict(type="GCNHead", num_classes=3, in_channels=64),
        ),
        (2, 12, 17, 3),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, small_network):
    config, shape = NETWORKS[name]
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmaction"):
        graph = InferenceGraph(MODELS.build(config))
    write_onnx(graph, "model.onnx", shape, {})
    assert relative_difference(graph, session("model.onnx"), shape, sizes=(1, 2, 5)) < 1e-5
    stored = {initializer.name for initializer in onnx.load("model.onnx").graph.initializer}
    assert not any("text" in name or "loss" in name for name in stored)


def test_what_cannot_be_exported(tmp_path, capsys):
    class Decomposed(torch.nn.Module):
        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            return torch.linalg.svdvals(clips[:, 0, 0])

    with pytest.raises(OnnxExportError, match=r"cannot be written as ONNX.*svd"):
        write_onnx(Decomposed(), tmp_path / "model.onnx", (1, 4, 3, 3), {})
    assert capsys.readouterr().out == ""
    with pytest.raises(OnnxExportError, match="Linear is no recogniser of skeletons"):
        InferenceGraph(torch.nn.Linear(2, 3))
    with pytest.raises(OnnxExportError, match=r"give scores \(1, 2\) instead of \(1, 3\)"):
        relative_difference(torch.nn.Flatten(), lambda clips: clips.reshape(1, -1)[:, :2], (1, 1, 1, 3), sizes=(1,))


def test_bad_input_leaves_nothing(export, small_network, monkeypatch):
    checkpoint = small_network.checkpoint()
    other = small_network.checkpoint("other.pth", classes=[*SIGNS, "dog"])
    steps = ("--cfg-options", "test_dataloader.dataset.pipeline=[]", "model.backbone.layout=samslr27")
    Path("model.onnx").write_text("an earlier one")
    before = {path.name: path.stat().st_size for path in Path().iterdir()}
    for arguments, message in (
        (("nowhere.pth",), "error: no checkpoint at nowhere.pth"),
        ((other,), "was trained on 4 signs"),
        ((checkpoint, *steps), "the test pipeline does not say what a clip is"),
    ):
        status, _, complained = export(*arguments[:1], "--out", "model.onnx", *arguments[1:])
        assert status == 1
        assert message in complained
    with monkeypatch.context() as patch:
        patch.setattr(onnx_export, "relative_difference", lambda *_: 0.5)
        status, _, complained = export(checkpoint, "--out", "model.onnx")
        assert status == 1
        assert "differ by 5.0e-01 of the largest score, more than 1e-03; nothing was written" in complained
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnx", None)
        assert "onnx is not installed: pip install" in export(checkpoint, "--out", "model.onnx")[2]
    assert {path.name: path.stat().st_size for path in Path().iterdir()} == before
    with pytest.raises(SystemExit):
        export(checkpoint, "--out", "model.pt")


def test_without_onnxruntime(export, small_network, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    checkpoint = small_network.checkpoint()
    status, _, complained = export(checkpoint, "--out", "model.onnx", "--check")
    assert status == 1
    assert "--check needs onnxruntime: pip install" in complained
    assert not Path("model.onnx").exists()
    status, said, _ = export(checkpoint, "--out", "model.onnx")
    assert status == 0
    assert "not compared with PyTorch: onnxruntime is not installed" in said
    assert "the names of the signs are not known" in said
    assert Path("model.onnx").exists()
