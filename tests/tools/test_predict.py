"""Recognising signs in new material: stores and videos, names of the signs, estimators, and what goes wrong."""

from __future__ import annotations

import csv
import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gspmc_mm.evaluation.checkpoint_facts import TrainedFacts
from gspmc_mm.evaluation.inference import load_trained, predict, read_config
from gspmc_mm.evaluation.recognition import best_guesses, choose_estimator, compare_estimators
from gspmc_mm.poses import EstimatorInfo, PoseStore

SIGNS = ["book", "drink", "ambience"]
QUICK = EstimatorInfo(name="quick", version="1", weights="none")


@pytest.fixture(scope="module")
def tool(repository):
    return runpy.run_path(str(repository / "tools" / "predict.py"), run_name="predict")["main"]


@pytest.fixture
def run(tool, small_network, capsys, monkeypatch):
    """Exit status, and what was said on both streams."""
    monkeypatch.setenv("COLUMNS", "300")

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = tool([str(small_network.config), *map(str, arguments), "--device", "cpu"])
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def videos(repository, tmp_path, monkeypatch):
    """Two videos and one that shows nobody; the estimator of the tests of extraction finds points in them."""
    pytest.importorskip("av")
    here = repository / "tests" / "extraction"
    monkeypatch.syspath_prepend(str(here))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(repository), str(here)]))
    made = __import__("made_videos")
    for number, name in enumerate(("first", "second")):
        made.write_video(tmp_path / "videos" / f"{name}.mp4", made.drawn_frames(number, count=12))
    made.nobody(tmp_path / "videos" / "empty_room.mp4")
    yield tmp_path / "videos"
    for name in ("made_videos", "quick_estimator"):
        sys.modules.pop(name, None)


def test_help_is_quick(repository):
    """Heavy imports stand inside functions."""
    top = (repository / "tools" / "predict.py").read_text(encoding="utf-8").partition("def ")[0]
    assert "gspmc_mm" not in "".join(line for line in top.splitlines() if line.startswith(("import", "from")))


def test_probabilities_are_those_of_a_test(run, small_network):
    small_network.store("poses.arrow", SIGNS)
    checkpoint = small_network.checkpoint(dataset_meta={"classes": tuple(SIGNS)})
    status, said, noted = run(checkpoint, "poses.arrow", "--top", 3, "--out", "made/guesses.json")
    assert (status, noted) == (0, "")
    tested = predict(load_trained(read_config(small_network.config), checkpoint, "cpu"))
    found = json.loads(Path("made/guesses.json").read_text(encoding="utf-8"))
    assert found["names_from"] == "the checkpoint"
    assert [clip["clip"] for clip in found["clips"]] == tested.clip_id.tolist()
    for clip, scores in zip(found["clips"], tested.scores, strict=True):
        labels = [sign["label"] for sign in clip["signs"]]
        assert labels == np.argsort(-scores).tolist()
        assert [sign["gloss"] for sign in clip["signs"]] == [SIGNS[label] for label in labels]
        assert [sign["probability"] for sign in clip["signs"]] == pytest.approx(scores[labels].tolist())
    best = found["clips"][0]["signs"][0]
    (line,) = (line for line in said.splitlines() if "clip0" in line)
    assert f"{best['gloss']}" in line
    assert f"{best['probability']:.2f}" in line


def test_a_store_without_labels_and_with_labels_beyond_the_network(run, small_network):
    """Neither the only class 'unlabelled' nor labels up to 4 of a store without names matter."""
    checkpoint = small_network.checkpoint(classes=SIGNS)
    small_network.store("new.arrow", ["unlabelled"])
    small_network.store("other.arrow", None)
    status, _, _ = run(checkpoint, "new.arrow", "other.arrow", "--out", "guesses.csv", "--top", 2)
    assert status == 0
    with open("guesses.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 5 * 2
    assert {row["input"] for row in rows} == {"new.arrow", "other.arrow"}
    assert {row["gloss"] for row in rows} <= set(SIGNS)
    assert [row["rank"] for row in rows[:4]] == ["1", "2", "1", "2"]


def test_where_the_names_come_from(run, small_network):
    small_network.store("new.arrow", ["unlabelled"])
    checkpoint = small_network.checkpoint()
    _, _, noted = run(checkpoint, "new.arrow", "--out", "numbers.json")
    assert "the names of the signs are not known, so they are numbers; give them with --classes FILE" in noted
    assert json.loads(Path("numbers.json").read_text())["clips"][0]["signs"][0]["gloss"] in {"0", "1", "2"}

    small_network.store("poses.arrow", SIGNS)  # the store that the config trains on
    run(checkpoint, "new.arrow", "--out", "names.json")
    found = json.loads(Path("names.json").read_text())
    assert found["names_from"] == "the training store"
    assert {sign["gloss"] for sign in found["clips"][0]["signs"]} == set(SIGNS)

    Path("other.txt").write_text("Buch\ntrinken\nUmgebung\n", encoding="utf-8")
    run(checkpoint, "new.arrow", "--out", "names.json", "--classes", "other.txt")
    found = json.loads(Path("names.json").read_text())
    assert {sign["gloss"] for sign in found["clips"][0]["signs"]} == {"Buch", "trinken", "Umgebung"}


def test_videos(run, small_network, videos):
    """The poses are extracted; a video without anybody is named and the others are recognised."""
    checkpoint = small_network.checkpoint(classes=SIGNS, pose_estimator=dict(QUICK))
    quick = ("--estimator", "quick_estimator:QuickEstimator")
    status, said, noted = run(checkpoint, "videos", videos / "first.mp4", *quick, "--out", "guesses.json")
    assert (status, noted) == (1, "")
    assert "1 videos could not be used" in said
    assert "nose and shoulders have a confidence of" in said
    found = json.loads(Path("guesses.json").read_text())
    assert [(one["clip"], one["reason"]) for one in found["failed"]] == [("empty_room", "no person")]
    names = {(one["input"], one["clip"]): one["signs"] for one in found["clips"]}
    assert set(names) == {("videos", "first"), ("videos", "second"), (str(videos / "first.mp4"), "first")}
    assert names["videos", "first"] == names[str(videos / "first.mp4"), "first"]
    assert found["estimator"] == QUICK

    status, said, _ = run(checkpoint, videos / "empty_room.mp4", *quick, "--out", "none.json")
    assert status == 1
    assert "no person" in said
    assert not Path("none.json").exists()


def test_the_estimator_of_the_training_is_taken():
    pytest.importorskip("mediapipe")
    info = dict(choose_estimator(TrainedFacts(), "mediapipe")[0].info)
    recipe, notes = choose_estimator(TrainedFacts(estimator=info, estimator_from="the checkpoint"), None)
    assert (dict(recipe.info), notes) == (info, [])
    _, (note,) = choose_estimator(TrainedFacts(), None)
    assert "nothing says which estimator the training poses are of; taking mediapipe" in note
    other = TrainedFacts(estimator={**info, "version": "mediapipe 0.9"}, estimator_from="the checkpoint")
    _, (note,) = choose_estimator(other, None)
    assert "but the network was trained on poses of 'mediapipe-holistic mediapipe 0.9" in note


def test_an_estimator_that_has_no_name_here_or_is_not_installed(monkeypatch):
    with pytest.raises(ValueError, match=r"'quick 1 none'.*which is none of mediapipe, mmpose, rtmlib; name it with"):
        choose_estimator(TrainedFacts(estimator=QUICK, estimator_from="the checkpoint"), None)

    def missing(package: str) -> str:
        raise ImportError(f"{package} is not installed")

    monkeypatch.setattr("gspmc_mm.extraction.mediapipe_holistic.package_version", missing)
    with pytest.raises(ImportError, match="mediapipe is not installed"):
        choose_estimator(TrainedFacts(), None)


def test_a_store_of_another_estimator_is_named(run, small_network):
    small_network.store("new.arrow", None, estimator="hrnet")
    status, _, noted = run(small_network.checkpoint(classes=SIGNS, pose_estimator=dict(QUICK)), "new.arrow")
    assert status == 0
    assert "the poses of new.arrow are of 'hrnet 1 w', but the network was trained on poses of 'quick 1 none'" in noted
    assert compare_estimators(TrainedFacts(), QUICK, "x") == []


def test_best_guesses():
    guesses = best_guesses(np.array([0.2, 0.4, 0.4]), TrainedFacts(classes=tuple(SIGNS)), 2)
    assert [(guess.label, guess.gloss) for guess in guesses] == [(1, "drink"), (2, "ambience")]
    assert len(best_guesses(np.array([0.2, 0.8]), TrainedFacts(), 5)) == 2


def test_bad_input(run, small_network):
    store = small_network.store("new.arrow", None)
    small_network.store("poses.arrow", SIGNS)
    good = small_network.checkpoint()
    four = small_network.checkpoint("four.pth", classes=[*SIGNS, "dog"])
    other = small_network.checkpoint("other.pth", classes=["book", "dog", "ambience"])
    weights = torch.load(good, weights_only=True)
    weights["state_dict"]["cls_head.fc.weight"] = torch.zeros(4, 16)
    torch.save(weights, "shape.pth")
    Path("two.txt").write_text("a\nb\n")
    Path("broken.pth").write_text("no checkpoint")
    torch.save({"state_dict": {}, "meta": Path()}, "code.pth")
    Path("hollow").mkdir()
    named = ("--cfg-options", f"train_dataloader.dataset.classes={SIGNS}")
    before = set(Path().iterdir())
    for arguments, message in (
        ((good, "nowhere.mp4"), "error: nowhere.mp4: no such list of clips (a CSV), folder of videos, or video"),
        ((good, "hollow"), "error: hollow: no videos as"),
        (("nowhere.pth", store), "error: no checkpoint at nowhere.pth"),
        (("broken.pth", store), "error: checkpoint broken.pth cannot be read"),
        (("code.pth", store), "code.pth"),
        ((four, store), "was trained on 4 signs ('book' to 'dog'), but the config has num_classes=3"),
        ((other, store, *named), "label 1 is 'dog' in the checkpoint and 'drink' in the config"),
        (("shape.pth", store), "cls_head.fc.weight is (4, 16) in the file and (3, 16) in the network"),
        ((good, store, "--classes", "two.txt"), "two.txt: 2 names, but the network has 3 classes"),
        ((good, store, "--out", "guesses.txt"), "guesses.txt: predictions are written as .json or .csv"),
    ):
        status, _, complained = run(*arguments, *(() if "--out" in arguments else ("--out", "guesses.json")))
        assert status == 1, arguments
        assert message in complained
    assert set(Path().iterdir()) == before


@pytest.mark.slow
def test_mediapipe_on_a_real_video(run, small_network, shared_data):
    """With the estimator that the checkpoint names, in processes of its own."""
    pytest.importorskip("mediapipe")
    info = dict(choose_estimator(TrainedFacts(), "mediapipe")[0].info)
    checkpoint = small_network.checkpoint(classes=SIGNS, pose_estimator=info)
    Path("clips.csv").write_text(
        f"video,gloss,start,end\n{shared_data / 'ksl_videos' / 'dinner_example1.mp4'},whatever,20,32\n"
    )
    status, said, noted = run(checkpoint, "clips.csv", "--out", "guesses.json")
    assert (status, noted) == (0, ""), said
    (clip,) = json.loads(Path("guesses.json").read_text())["clips"]
    assert sum(sign["probability"] for sign in clip["signs"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_what_a_training_leaves_is_enough(commands, workplace, tiny, repository):
    """Checkpoints carry the names of the signs and the estimator; the store may be gone."""
    config = repository / "configs" / "gspmc_synthsign_j.py"
    options = ("--cfg-options", *tiny, "train_cfg.max_epochs=1")
    trained = commands.run("tools/train.py", config, "--work-dir", "work", *options, cwd=workplace)
    assert trained.status == 0, trained.said
    data = workplace / "data" / "synthsign"
    signs = PoseStore(data / "poses.arrow").header.classes
    (data / "poses.arrow").rename(workplace / "new.arrow")
    (data / "text_bank.safetensors").unlink()
    new = ("work/epoch_1.pth", "new.arrow", "--out", "new.json")
    done = commands.run("tools/predict.py", config, *new, *options, cwd=workplace)
    assert done.status == 0, done.said
    assert "note:" not in done.said
    found = json.loads((workplace / "new.json").read_text(encoding="utf-8"))
    assert len(found["clips"]) == 4 * 4 * 2
    assert {sign["gloss"] for sign in found["clips"][0]["signs"]} == set(signs)
    video = commands.run("tools/predict.py", config, "work/epoch_1.pth", __file__, *options, cwd=workplace)
    assert video.status == 1
    assert "the first line is" in video.words  # neither a video nor a list
