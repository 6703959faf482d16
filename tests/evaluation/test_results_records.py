from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.evaluation import Predictions, gather_provenance, save_predictions
from gspmc_mm.evaluation.fold_results import collect_folds
from gspmc_mm.evaluation.folds import any_fold
from gspmc_mm.evaluation.published import published_figures, published_names
from gspmc_mm.evaluation.results import (
    AblationRecord,
    AblationRow,
    Accuracy,
    FiguresRecord,
    ResultsError,
    RobustnessCell,
    RobustnessRecord,
    parse_record,
    read_record,
    read_records,
    write_record,
)

FACTS = {
    "time": "2026-01-02T03:04:05+00:00",
    "command": "tool --flag",
    "seed": [0, 1],
    "data": {"poses.arrow": "sha256:0123456789abcdef"},
    "versions": {"python": "3.11", "torch": "2"},
    "git": {"commit": "c" * 40, "modified": False},
    "host": {"system": "Linux", "cpu": "a processor", "cores": 2, "gpus": []},
}
ACCURACY = Accuracy(clips=10, mean=0.5, std=0.1, seeds=2, low=0.4, high=0.6, interval="signers", per_class=0.45)


def ablation(**changes: object) -> AblationRecord:
    rows = [AblationRow(name="all", config="configs/a.py", seeds=(0, 1), top1=ACCURACY, published=0.9581)]
    return AblationRecord(
        **{"title": "T", "provenance": FACTS, "table": "table5", "data": "d", "rows": rows, **changes}
    )


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    record = ablation(note="synthetic", figures=("figures/x.png",))
    path = write_record(tmp_path / "a.json", record)
    assert read_record(path).model_dump() == record.model_dump()
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
    assert list(read_records(tmp_path)) == ["a"]
    assert read_records(tmp_path / "none") == {}


def test_what_gather_provenance_says_is_enough(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", ablation(provenance=gather_provenance(seed=0)))
    assert read_record(tmp_path / "a.json").provenance["seed"] == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"provenance": {"command": "x"}}, "provenance lacks time, seed"),
        ({"rows": []}, "rows"),
        ({"figures": ["/elsewhere/x.png"]}, "relative to docs/"),
        ({"figures": ["../x.png"]}, "relative to docs/"),
        ({"colour": "red"}, "colour"),
        ({"kind": "poem"}, "poem"),
        ({"title": ""}, "title"),
    ],
)
def test_a_record_that_cannot_be(changes: dict, words: str) -> None:
    content = {**ablation().model_dump(mode="json"), **changes}
    with pytest.raises(ResultsError, match=words):
        parse_record(content, "x.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": 50.0},
        {"mean": float("nan")},
        {"low": 0.7},
        {"std": None},
        {"seeds": 1},
        {"interval": "guess"},
        {"clips": 0},
    ],
)
def test_an_accuracy_that_cannot_be(changes: dict) -> None:
    with pytest.raises(ValueError, match=r"Accuracy"):
        Accuracy(**{**ACCURACY.model_dump(), **changes})


def test_files_that_are_no_records(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no record at"):
        read_record(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(ResultsError, match=r"broken\.json is no JSON"):
        read_record(tmp_path / "broken.json")
    with pytest.raises(ResultsError, match=r"written as \.json"):
        write_record(tmp_path / "a.txt", ablation())


def test_a_failed_or_missing_run_makes_it_incomplete() -> None:
    assert not ablation().incomplete
    assert list(ablation(missing=("all seed 2",)).troubles()) == [("all seed 2", "not run")]
    rows = [
        AblationRow(name="none", config="c.py"),
        AblationRow(name="half", config="c.py", top1=ACCURACY, missing=("x",)),
    ]
    assert list(ablation(rows=rows).troubles()) == [("none", "no figure"), ("x", "not run")]


def test_robustness_cells_belong_to_something() -> None:
    cell = RobustnessCell(checkpoint="a", corruption="noise", severity=1, clips=5, top1=0.5, low=0.1, high=0.9)
    common = dict(title="R", provenance=FACTS, data="d", checkpoints={"a": "a.pth"}, corruptions={"noise": "px"})
    assert not RobustnessRecord(**common, cells=(cell,)).incomplete
    for cells, words in (
        ((cell, cell), "two cells"),
        ((cell.model_copy(update={"checkpoint": "b"}),), "not among the checkpoints"),
        ((cell.model_copy(update={"corruption": "fog"}),), "not among the corruptions"),
    ):
        with pytest.raises(ValueError, match=words):
            RobustnessRecord(**common, cells=cells)


def test_a_figure_is_a_record_too(tmp_path: Path) -> None:
    (tmp_path / "gain.svg").write_text("<svg/>")
    (tmp_path / "gain.figure.json").write_text(json.dumps({"figure": "gain", "provenance": FACTS, "signs": []}))
    record = read_records(tmp_path)["gain.figure"]
    assert isinstance(record, FiguresRecord)
    assert record.figures == (f"{tmp_path.name}/gain.svg",)
    (tmp_path / "bad.figure.json").write_text("{}")
    with pytest.raises(ResultsError, match="is no figure"):
        read_records(tmp_path)


def test_published_figures_are_shares() -> None:
    assert published_names() == ["autsl", "slr500"]
    for name in published_names():
        assert all(0.8 < figure.top1 <= 1 for figure in published_figures(name))
    four = next(figure for figure in published_figures("slr500") if figure.row == "fused")
    assert four.top1 == 0.971
    with pytest.raises(ValueError, match="autsl, slr500"):
        published_figures("imagenet")


def fold(folder: Path, number: int, seed: int = 0, **record: object) -> None:
    rng = np.random.default_rng(100 * seed + number)
    labels = np.arange(6) % 3
    run = Predictions(
        np.array([f"f{number}-{i}" for i in range(6)]),
        labels,
        rng.dirichlet(np.ones(3), size=6),
        np.array([f"signer{number}{i % 2}" for i in range(6)]),
        ("hello", "book", "bird"),
    )
    place = folder / f"seed{seed}" / f"fold{number}"
    save_predictions(place / "predictions.npz", run)
    identity = {
        "inputs": {"data/poses.arrow": "mark"},
        "splits": {"train_dataloader": f"fold{number}_train", "test_dataloader": f"fold{number}_test"},
    }
    command = (
        f"/somewhere/python /somewhere/tools/train.py configs/a.py --work-dir {place.name} --seed {seed} --cfg-options "
        f"alpha=0.25 train_dataloader.dataset.split=fold{number}_train"
    )
    facts = {"identity": identity, "trained": True, "tested": True, "seconds": 60.0, "train_command": command, **record}
    (place / "fold.json").write_text(json.dumps(facts))


def test_folds_are_collected_from_their_folders(tmp_path: Path) -> None:
    for seed in (0, 1):
        for number in range(3):
            fold(tmp_path / "ours", number, seed)
    record = collect_folds(tmp_path, "Folds", "toy", FACTS)
    (row,) = record.rows
    assert not record.incomplete
    assert (record.folds, record.splits, record.provenance["seed"]) == ((0, 1, 2), "foldK_train / foldK_test", [0, 1])
    assert record.provenance["data"]["data/poses.arrow"] == "mark"
    assert (row.name, row.config, row.cfg_options, row.seeds) == ("ours", "configs/a.py", ("alpha=0.25",), (0, 1))
    assert row.command.startswith("python tools/train.py configs/a.py")
    assert (row.top1.clips, row.top1.seeds, row.top1.interval) == (18, 2, "signers and clips")
    assert row.seconds == record.seconds == 360.0
    assert {sign for pair in row.confused for sign in pair.signs} <= {"hello", "book", "bird"}


def test_unfinished_folds_are_named_and_their_seed_does_not_count(tmp_path: Path) -> None:
    for number in range(2):
        fold(tmp_path / "ours", number)
        fold(tmp_path / "theirs", number)
    fold(tmp_path / "ours", 0, seed=1)
    fold(tmp_path / "theirs", 1, trained=False)
    record = collect_folds(tmp_path, "Folds", "toy", FACTS)
    assert dict(record.troubles()) == {
        "ours seed 1 fold 1": "not run",
        "theirs seed 0 fold 1": "has not been trained to the end",
    }
    ours, theirs = record.rows
    assert (ours.seeds, theirs.seeds, theirs.top1) == ((0,), (), None)
    wanted = collect_folds(tmp_path, "Folds", "toy", FACTS, variants=["ours"], seeds=[0, 1, 2])
    assert set(wanted.missing) == {"ours seed 1 fold 1", "ours seed 2 fold 0", "ours seed 2 fold 1"}


def test_nothing_to_collect(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no VARIANT"):
        collect_folds(tmp_path, "Folds", "toy", FACTS)


def test_a_variant_that_was_not_run_yet_is_a_row_that_says_so(tmp_path: Path) -> None:
    for number in range(2):
        fold(tmp_path / "ours", number)
    record = collect_folds(tmp_path, "Folds", "toy", FACTS, variants=["ours", "theirs"])
    assert [(row.name, row.top1 is None) for row in record.rows] == [("ours", False), ("theirs", True)]
    assert dict(record.troubles()) == {f"theirs seed 0 fold {number}": "not run" for number in range(2)}


@pytest.mark.parametrize(
    ("split", "general"),
    [
        ("fold3_train / fold3_test", "foldK_train / foldK_test"),
        ("fold{fold}_fit", "foldK_fit"),
        ("part{fold}", "partK"),
        ("gsp35_train / gsp35_test", "gsp35_train / gsp35_test"),
        ("unfold2_test", "unfold2_test"),
    ],
)
def test_only_the_number_of_the_fold_gives_way(split: str, general: str) -> None:
    assert any_fold(split) == general
