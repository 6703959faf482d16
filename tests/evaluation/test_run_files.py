from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.evaluation import Predictions, PredictionsError, save_predictions
from gspmc_mm.evaluation.run_files import check_different, read_source, read_sources, recorded_split, seeds_of_all

Write = Callable[..., Path]


def some_run(prefix: str, seed: int = 0, split: str | None = None) -> Predictions:
    scores = np.random.default_rng(seed).dirichlet(np.ones(3), size=4)
    info = {} if split is None else {"split": split}
    ids = np.array([f"{prefix}-{i}" for i in range(4)])
    return Predictions(ids, np.array([0, 1, 2, 0]), scores, np.array([f"signer{prefix}"] * 4), info=info)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write predictions, and a record beside them where one is given."""

    def write(path: str, prefix: str = "c", seed: int = 0, record: dict | None = None) -> Path:
        target = save_predictions(tmp_path / path, some_run(prefix, seed))
        if record is not None:
            (target.parent / "fold.json").write_text(json.dumps(record))
        return target

    return write


def folds(write: Write, variant: str, seeds: int = 1, count: int = 2) -> None:
    for seed in range(seeds):
        for fold in range(count):
            record = {
                "trained": True,
                "tested": True,
                "seconds": 2.0,
                "identity": {"inputs": {"data.arrow": "mark"}, "splits": {"test_dataloader": f"fold{fold}_test"}},
            }
            write(f"{variant}/seed{seed}/fold{fold}/predictions.npz", f"f{fold}", 10 * seed + fold, record)


def test_one_file(write: Write) -> None:
    source = read_source(str(write("a.npz")))
    assert source.name == "a"
    assert list(source.pooled()) == [0]
    assert source.seconds is None
    assert next(iter(source.data.values())).startswith("sha256:")


def test_several_files_are_several_seeds(write: Write) -> None:
    places = ",".join(str(write(f"{name}.npz", seed=i)) for i, name in enumerate("abc"))
    source = read_source(f"ours={places}")
    assert source.name == "ours"
    assert list(source.pooled()) == [0, 1, 2]


def test_a_folder_of_signer_folds(write: Write, tmp_path: Path) -> None:
    folds(write, "gspmc", seeds=2)
    (tmp_path / "gspmc" / "seed0" / "fold0.replaced-1").mkdir()
    source = read_source(str(tmp_path / "gspmc"))
    assert source.name == "gspmc"
    assert {seed: len(run) for seed, run in source.pooled().items()} == {0: 8, 1: 8}
    assert source.seconds == 8.0
    assert source.data == {"data.arrow": "mark"}
    one = read_source(str(tmp_path / "gspmc" / "seed1"))
    assert (one.name, list(one.runs)) == ("gspmc", [1])


def test_a_pattern_of_folds(write: Write, tmp_path: Path) -> None:
    folds(write, "gspmc", seeds=2, count=3)
    source = read_source(f"x={tmp_path}/gspmc/seed0/fold*/predictions.npz")
    assert list(source.runs[0].folds) == [0, 1, 2]
    both = read_source(f"x={tmp_path}/gspmc/seed?/fold*/predictions.npz")
    assert list(both.runs) == [0, 1]


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"trained": False}, "not been trained to the end"),
        ({"trained": True, "tested": False}, "not been tested to the end"),
    ],
)
def test_an_unfinished_fold_is_refused(write: Write, tmp_path: Path, record: dict, words: str) -> None:
    folds(write, "gspmc")
    write("gspmc/seed0/fold1/predictions.npz", "f1", record=record)
    with pytest.raises(PredictionsError, match=f"fold1 has {words}"):
        read_source(str(tmp_path / "gspmc"))


def test_seeds_with_other_folds_are_refused(write: Write, tmp_path: Path) -> None:
    folds(write, "gspmc", seeds=2)
    folds(write, "gspmc", seeds=1, count=3)
    with pytest.raises(PredictionsError, match="the seeds have different folds"):
        read_source(str(tmp_path / "gspmc"))


def test_files_that_are_named_twice(write: Write) -> None:
    path = write("run/seed0/a.npz")
    with pytest.raises(PredictionsError, match="the same file twice"):
        read_source(f"x={path},{path}")
    with pytest.raises(PredictionsError, match="named twice: for x and for y"):
        read_sources([f"x={path}", f"y={path}"])
    with pytest.raises(PredictionsError, match="two are called x"):
        read_sources([f"x={path}", f"x={write('b.npz')}"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{folder}/no.npz", "no predictions at"),
        ("{folder}/no*.npz", "no file fits the pattern"),
        ("{folder}", "no seedS/foldK"),
    ],
)
def test_places_that_are_not_there(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(FileNotFoundError, match=words):
        read_source(text.format(folder=tmp_path))
    with pytest.raises(PredictionsError, match="no file named"):
        read_source(",")


def test_equal_scores_under_two_names_are_refused() -> None:
    run = some_run("c")
    shuffled = run.take([3, 1, 0, 2])
    with pytest.raises(PredictionsError, match="j and b hold the same scores"):
        check_different({"j": run, "b": shuffled})
    check_different({"j": run, "b": some_run("c", seed=1)})


def test_the_recorded_split(write: Write, tmp_path: Path) -> None:
    folds(write, "gspmc")
    path = tmp_path / "gspmc" / "seed0" / "fold1" / "predictions.npz"
    assert recorded_split(path, some_run("c")) == "fold1_test"
    assert recorded_split(path, some_run("c", split="fold1_val")) == "fold1_val"
    assert recorded_split(path.with_name("val.npz"), some_run("c")) is None


def test_seeds_of_all(write: Write, tmp_path: Path) -> None:
    folds(write, "j", seeds=2)
    folds(write, "b", seeds=1)
    with pytest.raises(PredictionsError, match="not the same seeds"):
        seeds_of_all(read_sources([f"{tmp_path}/j", f"{tmp_path}/b"]))
