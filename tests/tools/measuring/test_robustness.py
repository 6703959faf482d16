"""tools/analysis/robustness.py on networks with random weights: what it says does not depend on how good they are."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gspmc_mm.evaluation.robustness as robustness
from gspmc_mm.evaluation import align, load_predictions, mcnemar, wilson_interval
from gspmc_mm.evaluation.results import RobustnessRecord, read_record

CORRUPTIONS = ("lost_points=0.9,0.1", "mirror", "hand_noise=1")
CELLS = ["clean", "lost_points 0.1", "lost_points 0.9", "mirror 1", "hand_noise 1"]


@pytest.fixture
def measure(networks, tool, tmp_path, capsys):
    """Run the tool on both networks: (status, what it said)."""
    main = tool("robustness")

    def run(*arguments: str, pairs=None, corruptions=CORRUPTIONS) -> tuple[int, str]:
        options = ["--cfg-options", *networks.options]
        chosen = ["--corruptions", *corruptions] if corruptions else []
        pairs = networks.pair if pairs is None else pairs
        status = main([*pairs, "--work-dir", str(tmp_path / "work"), *chosen, *arguments, *options])
        said = capsys.readouterr()
        return status, " ".join((said.out + said.err).split())

    return run


@pytest.fixture
def predicted(monkeypatch):
    """Which corruptions a network was asked to predict, in order."""
    asked = []
    original = robustness.predict

    def watch(trained, before=(), advance=None, info=None):
        asked.append([step["corruption"] for step in before])
        return original(trained, before, advance, info)

    monkeypatch.setattr(robustness, "predict", watch)
    return asked


def test_table_record_and_figure(measure, networks, tmp_path, predicted):
    status, said = measure("--names", "base", "texts", "--json", str(tmp_path / "docs" / "results" / "rob.json"))
    assert status == 0, said
    assert len(predicted) == 2 * len(CELLS)
    work = tmp_path / "work"
    record = read_record(work / "robustness.json")
    assert isinstance(record, RobustnessRecord)
    assert list(record.checkpoints) == ["base", "texts"]
    assert list(record.corruptions) == ["clean", "lost_points", "mirror", "hand_noise"]
    assert [(c.corruption, c.severity) for c in record.cells if c.checkpoint == "base"] == [
        ("clean", 0),
        ("lost_points", 0.1),
        ("lost_points", 0.9),
        ("mirror", 1),
        ("hand_noise", 1),
    ]
    # Every figure again from the kept predictions.
    for cell in record.cells:
        kept = load_predictions(work / cell.checkpoint / f"{name_of(cell)}.npz")
        hits = kept.scores.argmax(axis=1) == kept.label
        assert cell.clips == len(kept) == 8
        assert cell.top1 == hits.mean()
        assert (cell.low, cell.high) == wilson_interval(int(hits.sum()), len(hits))
    for difference in record.differences:
        runs = align({n: load_predictions(work / n / f"{name_of(difference)}.npz") for n in ("base", "texts")})
        test = mcnemar(runs["base"].hits(1), runs["texts"].hits(1))
        assert difference.difference == test.difference
        assert difference.p_value == test.p_value
    assert len(record.differences) == len(CELLS)
    assert record.provenance["seed"] == 0
    assert "igner-independent: " in record.independence  # from the splits of the configs
    assert record.independence in page_of(work)
    assert any(path.endswith("poses.arrow") for path in record.provenance["data"])
    page = page_of(work)
    assert "| lost points (share of the points) | 0.9 |" in page
    assert "lost points" in said
    for picture in (work / "robustness.png", work / "robustness.svg", tmp_path / "docs" / "results" / "rob.svg"):
        assert picture.stat().st_size > 5000
    assert read_record(tmp_path / "docs" / "results" / "rob.json").figures == ("results/rob.svg",)


def page_of(work: Path) -> str:
    return (work / "robustness.md").read_text()


def name_of(cell) -> str:
    return "clean" if cell.corruption == "clean" else f"{cell.corruption}_{cell.severity:g}"


def test_clean_cells_are_what_the_test_tool_says(measure, networks, tmp_path, commands):
    status, said = measure(pairs=networks.pair[2:], corruptions=("mirror",))
    assert status == 0, said
    dump = tmp_path / "dump.npz"
    done = commands.run(
        "tools/test.py",
        *(networks.texts, networks.texts_checkpoint, "--dump", dump, "--work-dir", tmp_path / "test"),
        *("--cfg-options", *networks.options),
        cwd=networks.folder,
    )
    assert done.status == 0, done.said
    runs = align(
        {
            "ours": load_predictions(tmp_path / "work" / networks.texts.stem / "clean.npz"),
            "theirs": load_predictions(dump),
        }
    )
    assert np.allclose(runs["ours"].scores, runs["theirs"].scores, atol=1e-5)
    assert runs["ours"].classes == runs["theirs"].classes


def test_what_was_measured_is_not_measured_again(measure, predicted, tmp_path, monkeypatch):
    watched = robustness.predict

    def interrupt(*arguments):
        if len(predicted) == 3:
            raise KeyboardInterrupt
        return watched(*arguments)

    monkeypatch.setattr(robustness, "predict", interrupt)
    status, said = measure()
    assert status == 130
    assert "the same command goes on" in said
    monkeypatch.setattr(robustness, "predict", watched)
    status, said = measure()
    assert status == 0, said
    assert "3 of them measured before" in said
    assert len(predicted) == 2 * len(CELLS)
    record = (tmp_path / "work" / "robustness.json").read_text()
    assert measure()[0] == 0
    assert len(predicted) == 2 * len(CELLS)
    again = json.loads((tmp_path / "work" / "robustness.json").read_text())
    assert again["cells"] == json.loads(record)["cells"]
    assert not list((tmp_path / "work").rglob("*.tmp"))


def test_other_weights_another_seed_and_damage_are_measured_again(measure, networks, predicted, tmp_path):
    one = networks.pair[:2]
    assert measure(pairs=one)[0] == 0
    kept = tmp_path / "work" / networks.baseline.stem
    scores = {path.name: load_predictions(path).scores for path in kept.glob("*.npz")}
    (kept / "mirror_1.npz").write_bytes(b"half a file")
    assert measure(pairs=one)[0] == 0
    assert predicted[len(CELLS) :] == [["mirror"]]
    assert measure("--seed", "5", pairs=one)[0] == 0
    assert len(predicted) == 2 * len(CELLS)  # all but the clean cell
    changed = {name for name, old in scores.items() if not np.array_equal(load_predictions(kept / name).scores, old)}
    assert changed == {"lost_points_0.1.npz", "lost_points_0.9.npz", "hand_noise_1.npz"}  # a mirror draws nothing
    other = networks.write_checkpoint(networks.baseline, tmp_path / "other.pth", 7)
    assert measure(pairs=[one[0], str(other)])[0] == 0
    assert len(predicted) == 3 * len(CELLS)


def test_folds_are_pooled_each_with_its_own_network(measure, networks, tmp_path):
    # Signers of val and test: two folds of two networks.
    folds = networks.write_folds(tmp_path / "base" / "seed0", networks.baseline, ["val", "test"])
    status, said = measure("--names", "folds", pairs=[str(networks.baseline), str(folds)], corruptions=("mirror",))
    assert status == 0, said
    clean = load_predictions(tmp_path / "work" / "folds" / "clean.npz")
    expected = {}
    for number in range(2):
        run = load_predictions(folds / f"fold{number}" / "predictions.npz")
        expected |= dict(zip(run.clip_id.tolist(), run.scores, strict=True))
    assert sorted(clean.clip_id) == sorted(expected)
    for clip, scores in zip(clean.clip_id.tolist(), clean.scores, strict=True):
        assert np.allclose(scores, expected[clip], atol=1e-5)
    # Two signers: the difference of two networks has an interval.
    texts = networks.write_folds(tmp_path / "texts" / "seed0", networks.texts, ["val", "test"], seed=4)
    pairs = [str(networks.baseline), str(folds), str(networks.texts), str(texts)]
    status, said = measure(pairs=pairs, corruptions=("mirror",))
    assert status == 0, said
    record = read_record(tmp_path / "work" / "robustness.json")
    assert all(d.low is not None and d.low <= d.difference <= d.high for d in record.differences)
    assert "val + test" in record.data


def test_what_cannot_exist_is_said(measure, networks, tmp_path):
    hands = tmp_path / "hands.py"
    hands.write_text(
        f"_base_ = [{str(networks.baseline)!r}]\n"
        "hands = dict(SelectKeypoints=dict(layout='hands20'), NormalizeSigner=dict(reference='hands'))\n"
        "model = dict(backbone=dict(layout='hands20'))\n"
        "test_dataloader = dict(dataset=dict(pipeline_overrides=hands))\n"
    )
    checkpoint = networks.write_checkpoint(hands, tmp_path / "hands.pth", 0)
    status, said = measure(
        pairs=[*networks.pair[:2], str(hands), str(checkpoint)], corruptions=("mouth_hidden=1", "camera_shift=0")
    )
    assert status == 0, said
    assert "Not measured for hands: mouth hidden, because layout hands20 has no mouth." in said
    assert "Without any effect on ctrgcn_synthsign_j and hands (no clip got another score): camera shifted 0." in said
    record = read_record(tmp_path / "work" / "robustness.json")
    assert {c.checkpoint for c in record.cells if c.corruption == "mouth_hidden"} == {"ctrgcn_synthsign_j"}
    assert [d.corruption for d in record.differences] == ["clean", "camera_shift"]
    row = next(line for line in (tmp_path / "work" / "robustness.md").read_text().splitlines() if "mouth" in line)
    assert row.split("|")[4:6] == [" - ", " - "]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(pairs=["{folder}/none.py", "{checkpoint}"]), "config {folder}/none.py does not exist"),
        (dict(pairs=["{config}", "{folder}/none.pth"]), "no checkpoint at {folder}/none.pth"),
        (dict(pairs=["{config}", "{folder}"]), "a folder without foldK"),
        (dict(pairs=["{config}", "{half}"]), "has not been tested to the end"),
        (dict(pairs=["{texts}", "{folds}"]), "not trained with gspmc_synthsign_j.py: its training wrote ctrgcn"),
        (dict(pairs=["{config}", "{wide}"]), "is not of the network that the config describes"),
        (dict(corruptions=["rain"]), "corruption 'rain' is unknown; there are joint_noise"),
        (dict(corruptions=["lost_points=a"]), "NAME=SEVERITY,SEVERITY with numbers"),
        (dict(corruptions=["lost_points=3"]), "outside of 0 to 1"),
        (dict(corruptions=["mirror", "mirror"]), "asked for more than once: mirror 1"),
        (dict(arguments=["--names", "a", "a"]), "two networks are called the same"),
    ],
)
def test_requests_that_cannot_be_measured(measure, networks, tmp_path, change, words):
    half = tmp_path / "half" / "fold0"
    half.mkdir(parents=True)
    (half / "fold.json").write_text('{"trained": true, "tested": false}')
    folds = tmp_path / "base" / "seed0" / "fold0"
    folds.mkdir(parents=True)
    (folds / "fold.json").write_text('{"trained": true, "tested": true}')
    (folds / "predictions.npz").write_bytes(b"")
    (folds / "ctrgcn_synthsign_j.py").write_text("")
    wide = networks.read(networks.baseline, "model.backbone.base_channels=12", "model.cls_head.in_channels=24")
    wide.dump(tmp_path / "wide.py")
    places = {
        "folder": str(tmp_path),
        "config": str(networks.baseline),
        "texts": str(networks.texts),
        "checkpoint": str(networks.baseline_checkpoint),
        "half": str(half.parent),
        "folds": str(folds.parent),
        "wide": "",
    }
    if "{wide}" in str(change):
        bench = type(networks)(networks.folder, (), *networks_fields(networks))
        places["wide"] = str(bench.write_checkpoint(tmp_path / "wide.py", tmp_path / "wide.pth", 0))
    pairs = [text.format(**places) for text in change["pairs"]] if "pairs" in change else None
    status, said = measure(
        *change.get("arguments", ()), pairs=pairs, corruptions=change.get("corruptions", CORRUPTIONS)
    )
    assert status == 1
    assert "error: " in said
    assert words.format(**places) in said


def networks_fields(bench) -> tuple[Path, ...]:
    return bench.baseline, bench.texts, bench.baseline_checkpoint, bench.texts_checkpoint


@pytest.mark.parametrize("arguments", [["a.py"], ["a.py", "b.pth", "--names", "x", "y"]])
def test_a_wrong_command_line(tool, capsys, arguments):
    with pytest.raises(SystemExit) as end:
        tool("robustness")([*arguments, "--work-dir", "w"])
    assert end.value.code == 2
    assert "CONFIG CKPT" in capsys.readouterr().err


def test_the_corruptions_can_be_listed(tool, capsys):
    with pytest.raises(SystemExit) as end:
        tool("robustness")(["--list"])
    assert end.value.code == 0
    said = capsys.readouterr().out
    assert "hand_bursts" in said
    assert "share of the frames" in said


@pytest.mark.parametrize("name", ["robustness", "figures"])
def test_help_needs_no_heavy_imports(repository, name):
    code = (
        "import runpy, sys\n"
        f"sys.argv = ['{name}', '--help']\n"
        "try:\n"
        f"    runpy.run_path({str(repository / 'tools' / 'analysis' / f'{name}.py')!r}, run_name='__main__')\n"
        "finally:\n"
        "    print(sorted({'torch', 'mmengine', 'gspmc_mm', 'matplotlib'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "[]"
