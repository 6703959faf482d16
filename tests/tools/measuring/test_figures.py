"""tools/analysis/figures.py on networks with random weights and made predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gspmc_mm.evaluation import Predictions, save_predictions
from gspmc_mm.evaluation.attention import joint_attention
from gspmc_mm.evaluation.embeddings import clip_vectors, nearest_agreement
from gspmc_mm.evaluation.inference import InferenceError, batches, clip_loader, load_trained
from gspmc_mm.evaluation.provenance import fingerprint


@pytest.fixture
def draw(tool, tmp_path, capsys):
    """Run the tool: (status, what it said, OUT)."""
    main = tool("figures")

    def run(figure: str, *arguments: object, options=()) -> tuple[int, str, Path]:
        out = tmp_path / "pictures" / figure
        more = ["--cfg-options", *options] if options else []
        status = main([figure, *map(str, arguments), "--out", str(out), *more])
        said = capsys.readouterr()
        return status, " ".join((said.out + said.err).split()), out

    return run


def check_written(out: Path) -> dict:
    """All three files are there; the JSON's content."""
    for ending in ("png", "svg"):
        assert out.with_name(f"{out.name}.{ending}").stat().st_size > 3000
    record = json.loads(out.with_name(f"{out.name}.figure.json").read_text())
    assert {"command", "versions", "data"} <= set(record["provenance"])
    assert not list(out.parent.glob("*.tmp"))
    return record


@pytest.fixture
def trained(networks):
    return load_trained(networks.read(networks.texts), networks.texts_checkpoint, "cpu")


@pytest.fixture
def runs(networks, trained, tmp_path):
    """Predictions on the test clips: a first run, and a second that has one more clip right."""
    found = list(batches(trained))
    labels = np.concatenate([batch.labels for batch in found])
    clips = np.asarray([name for batch in found for name in batch.clip_ids])
    classes = tuple(clip_loader(trained.config, []).dataset.metainfo["classes"])
    places = []
    for name, right in (("first", np.arange(len(labels)) % 2 == 0), ("second", np.arange(len(labels)) % 2 < 2)):
        scores = np.full((len(labels), len(classes)), 0.1, np.float32)
        scores[np.arange(len(labels)), np.where(right, labels, (labels + 1) % len(classes))] = 1
        path = tmp_path / f"{name}.npz"
        signers = np.asarray([f"p{i % 3}" for i in range(len(labels))])
        save_predictions(path, Predictions(clips, labels, scores, signers, classes, {}))
        places.append(path)
    return places


def test_attention_of_a_sign_is_the_mean_over_its_clips(draw, networks, trained):
    dataset = clip_loader(trained.config, []).dataset
    gloss = dataset.metainfo["classes"][1]
    status, said, out = draw(
        "attention", *networks.pair, "--names", "alone", "texts", "--signs", gloss, options=networks.options
    )
    assert status == 0, said
    record = check_written(out)
    assert record["clips"] == [clip["clip_id"] for clip in dataset.load_data_list() if clip["label"] == 1]
    each = [joint_attention(trained, [clip]).nodes for clip in record["clips"]]
    assert np.allclose(record["responses"]["texts"], np.mean(each, axis=0), atol=1e-3)
    assert np.mean(record["responses"]["alone"]) == pytest.approx(1, abs=1e-3)
    assert len(record["joints"]) == 39
    assert record["provenance"]["seed"] == []  # bare weights: nobody says


def test_attention_of_one_clip_stands_on_its_own_frame(draw, networks, trained):
    clip = next(batches(trained)).clip_ids[0]
    status, said, out = draw(
        "attention", *networks.pair[2:], "--clips", clip, "--strongest", 5, options=networks.options
    )
    assert status == 0, said
    assert check_written(out)["clips"] == [clip]


def test_joint_attention_against_the_definition(trained):
    batch = next(batches(trained))
    found = joint_attention(trained, batch.clip_ids[:3], block=1)
    backbone = trained.model.backbone
    topologies = []
    graph = backbone.blocks[1].graph
    hook = graph.register_forward_pre_hook(lambda module, x: topologies.append(graph.channel_topology(x[0])))
    with torch.no_grad():
        features = backbone(batch.inputs[:3, 0])
    hook.remove()
    links = np.zeros((39, 39))
    nodes = np.zeros(39)
    for clip in range(3):
        links += topologies[0][clip].abs().mean(dim=(0, 1)).numpy() / 3
        length = features[clip, 0].norm(dim=0).mean(dim=0).numpy()
        nodes += length / length.mean() / 3
    np.fill_diagonal(links, 0)
    assert np.allclose(found.nodes, nodes, atol=1e-4)
    assert np.allclose(found.links, links / (links.sum() / (39 * 38)), atol=1e-4)
    assert np.allclose(found.between(), found.between().T)
    assert found.clips == 3


def test_attention_refuses_what_it_cannot_find(trained):
    with pytest.raises(InferenceError, match=r"does not have the clip\(s\) nobody"):
        joint_attention(trained, ["nobody"])
    with pytest.raises(InferenceError, match="has 3 blocks"):
        joint_attention(trained, ["nobody"], block=3)
    with pytest.raises(InferenceError, match="no clips"):
        joint_attention(trained, [])
    trained.model.fuse()
    with pytest.raises(InferenceError, match="before fuse"):
        joint_attention(trained, ["nobody"])


def test_gain_names_every_sign_with_its_lint(draw, networks, runs):
    descriptions = networks.folder / "data" / "synthsign" / "descriptions.json"
    status, said, out = draw("gain", f"base={runs[0]}", f"texts={runs[1]}", "--descriptions", descriptions)
    assert status == 0, said
    record = check_written(out)
    assert len(record["signs"]) == 4
    assert sum(sign["won"] for sign in record["signs"]) == 4  # every second of eight clips
    assert sum(sign["lost"] for sign in record["signs"]) == 0
    assert all(sign["errors"] is not None and sign["text"] for sign in record["signs"])
    for sign in record["signs"]:
        assert sign["gain"] == pytest.approx(100 * sign["won"] / sign["clips"])


def test_gain_refuses_texts_of_other_signs(draw, networks, runs, tmp_path):
    content = json.loads((networks.folder / "data" / "synthsign" / "descriptions.json").read_text())
    content["signs"][0]["gloss"] = "another"
    (tmp_path / "other.json").write_text(json.dumps(content))
    status, said, _ = draw("gain", *runs, "--descriptions", tmp_path / "other.json")
    assert status == 1
    assert "not the same signs" in said


def test_confusion_counts_the_pairs(draw, runs):
    status, said, out = draw("confusion", f"base={runs[0]}")
    assert status == 0, said
    record = check_written(out)
    assert sum(pair["count"] for pair in record["confused_pairs"]) == 4
    assert record["provenance"]["seed"] == [0]
    assert list(record["provenance"]["data"]) == [str(runs[0])]


@pytest.mark.parametrize("method", ["pca"])
def test_embedding_of_clips_and_texts(draw, networks, trained, method):
    status, said, out = draw("embedding", *networks.pair, "--method", method, options=networks.options)
    assert status == 0, said
    record = check_written(out)
    assert set(record["nearest_agreement"]) == {
        "ctrgcn_synthsign_j",
        "gspmc_synthsign_j",
        "gspmc_synthsign_j, space of the texts",
    }
    vectors = clip_vectors(trained)
    assert vectors.projected.shape == (8, 512)
    assert vectors.texts.shape == (4, 512)
    assert np.allclose(np.linalg.norm(vectors.projected, axis=1), 1, atol=1e-5)
    # The features are what the classifier sees.
    with torch.no_grad():
        batch = next(batches(trained))
        scores = trained.model.cls_head.fc(torch.as_tensor(vectors.features))
        expected, _ = trained.model.extract_feat(batch.inputs, stage="head")
    assert np.allclose(scores, expected, atol=1e-4)


def test_nearest_agreement_against_a_loop():
    rng = np.random.default_rng(0)
    vectors, labels = rng.normal(size=(30, 5)), rng.integers(4, size=30)
    right = 0
    for i in range(30):
        cosines = [
            -2 if i == j else vectors[i] @ vectors[j] / np.linalg.norm(vectors[i]) / np.linalg.norm(vectors[j])
            for j in range(30)
        ]
        right += labels[int(np.argmax(cosines))] == labels[i]
    assert nearest_agreement(vectors, labels) == pytest.approx(right / 30)


def test_severity_is_drawn_from_the_record(draw, tool, networks, tmp_path):
    work = tmp_path / "work"
    measured = tool("robustness")(
        [*networks.pair[:2], "--work-dir", str(work), "--corruptions", "mirror", "frame_rate=0.5", "--cfg-options"]
        + list(networks.options)
    )
    assert measured == 0
    status, said, out = draw("severity", work / "robustness.json")
    assert status == 0, said
    assert check_written(out)["provenance"]["seed"] == [0]
    assert "frame rate" in out.with_suffix(".svg").read_text()


def test_curves_of_a_training(draw, tmp_path):
    folder = tmp_path / "run" / "20260101_000000" / "vis_data"
    folder.mkdir(parents=True)
    lines = [{"loss": 2.0, "loss_cls": 2.0, "epoch": 1, "step": 1}, {"acc/top1": 0.5, "step": 1}]
    (folder / "scalars.json").write_text("\n".join(map(json.dumps, lines)))
    status, said, out = draw("curves", f"mine={tmp_path / 'run'}")
    assert status == 0, said
    record = check_written(out)
    assert list(record["runs"]) == ["mine"]
    assert record["provenance"]["seed"] == []
    assert record["provenance"]["data"] == {str(folder / "scalars.json"): fingerprint(folder / "scalars.json")}
    # The seed is that of the config which mmengine writes into the work dir, or of fold.json.
    (tmp_path / "run" / "config.py").write_text("randomness = dict(seed=3)\n")
    assert draw("curves", f"mine={tmp_path / 'run'}")[0] == 0
    assert check_written(out)["provenance"]["seed"] == [3]
    (tmp_path / "run" / "fold.json").write_text(json.dumps({"identity": {"seed": 2}}))
    assert draw("curves", f"mine={tmp_path / 'run'}")[0] == 0
    assert check_written(out)["provenance"]["seed"] == [2]
    assert draw("curves", f"a={tmp_path / 'run'}", f"a={tmp_path / 'run'}")[0] == 1
    assert draw("curves", tmp_path / "none")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["attention", "{config}", "{checkpoint}", "--signs", "nonsense"], "no sign 'nonsense' among the 4"),
        (["attention", "{config}", "{checkpoint}", "--clips", "nobody"], "does not have the clip(s) nobody"),
        (["attention", "{config}", "{checkpoint}", "{config}", "{checkpoint}", "--clips", "x"], "different names"),
        (["embedding", "{config}", "{checkpoint}", "--signs", "nonsense", "--method", "pca"], "no sign 'nonsense'"),
        (["embedding", "{config}", "none.pth", "--method", "pca"], "no checkpoint at none.pth"),
        (["confusion", "none.npz"], "no predictions at none.npz"),
        (["severity", "none.json"], "no record at none.json"),
    ],
)
def test_figures_that_cannot_be_drawn(draw, networks, arguments, words):
    places = {"config": networks.baseline, "checkpoint": networks.baseline_checkpoint}
    options = networks.options if arguments[0] in ("attention", "embedding") else ()
    status, said, out = draw(*[text.format(**places) for text in arguments], options=options)
    assert status == 1
    assert "error: " in said
    assert words in said
    assert not out.parent.exists()


def test_networks_come_in_pairs(tool, capsys):
    with pytest.raises(SystemExit):
        tool("figures")(["attention", "a.py", "--clips", "x", "--out", "o"])
    assert "CONFIG CKPT" in capsys.readouterr().err
