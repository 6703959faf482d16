from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.evaluation.predictions import (
    Predictions,
    PredictionsError,
    align,
    check_clips,
    load_predictions,
    save_predictions,
)


def make(clips: str = "cab", classes: tuple[str, ...] = ("x", "y"), **changes) -> Predictions:
    n = len(clips)
    values = {
        "clip_id": list(clips),
        "label": [ord(clip) % 2 for clip in clips],
        "scores": np.random.default_rng(0).random((n, 2)),
        "signer": [f"s{clip}" for clip in clips],
        "classes": classes,
        "info": {"checkpoint": "épo_3.pth"},
    }
    return Predictions(**(values | changes))


def test_round_trip_without_pickle(tmp_path: Path) -> None:
    before = make()
    path = save_predictions(tmp_path / "new" / "p.npz", before)
    after = load_predictions(path)
    assert after.clip_id.tolist() == ["c", "a", "b"]
    assert after.scores.dtype == np.float32
    assert np.array_equal(after.scores, before.scores)
    assert np.array_equal(after.label, before.label)
    assert after.signer.tolist() == ["sc", "sa", "sb"]
    assert after.classes == ("x", "y")
    assert after.info == {"checkpoint": "épo_3.pth"}
    with np.load(path, allow_pickle=False) as data:
        assert not any(data[name].dtype.hasobject for name in data.files)
    assert [file.name for file in path.parent.iterdir()] == ["p.npz"]


def test_no_class_names(tmp_path: Path) -> None:
    path = save_predictions(tmp_path / "p.npz", make(classes=()))
    assert load_predictions(path).classes == ()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_predictions(tmp_path / "p.npz", make())
    content = path.read_bytes()

    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_predictions(path, make("xyz"))
    assert path.read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"clip_id": ["a", "b", "a"]}, "more than once: a"),
        ({"label": [0, 2, 0]}, "clip a has label 2"),
        ({"label": [0, 1]}, "found"),
        ({"scores": np.array([[0, 1], [0, 1], [0, np.nan]])}, "NaN class scores for clip b"),
        ({"classes": ("x", "y", "z")}, "3 class names for 2 scores"),
    ],
)
def test_inconsistent_predictions_are_refused(changes: dict, words: str) -> None:
    with pytest.raises(PredictionsError, match=words):
        make(**changes)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    good = save_predictions(tmp_path / "p.npz", make())
    cut = tmp_path / "cut.npz"
    cut.write_bytes(good.read_bytes()[:200])
    pickled = tmp_path / "pickled.npz"
    with np.load(good) as data:
        arrays = dict(data)
    np.savez(pickled, **(arrays | {"signer": np.array([{}, {}, {}], dtype=object)}))
    other = tmp_path / "other.npz"
    np.savez(other, keypoint=np.zeros(3))
    alone = tmp_path / "alone.npz"
    with alone.open("wb") as file:
        np.save(file, np.zeros(3))
    for path, words in (
        (cut, "no readable"),
        (pickled, "no readable"),
        (other, "no array clip_id"),
        (alone, "no readable"),
    ):
        with pytest.raises(PredictionsError, match=words):
            load_predictions(path)
    with pytest.raises(FileNotFoundError, match=r"tools/test\.py"):
        load_predictions(tmp_path / "none.npz")
    with pytest.raises(PredictionsError, match=r"\.npz"):
        save_predictions(tmp_path / "p.pkl", make())


def test_info_is_json(tmp_path: Path) -> None:
    path = save_predictions(tmp_path / "p.npz", make())
    with np.load(path) as data:
        assert json.loads(str(data["info"])) == {"checkpoint": "épo_3.pth"}


def test_align_brings_scores_to_their_clips() -> None:
    first, second = make("cab"), make("bca")
    runs = align({"one": first, "two": second})
    for name, run in (("one", first), ("two", second)):
        assert runs[name].clip_id.tolist() == ["a", "b", "c"]
        for clip, row in zip(run.clip_id, run.scores, strict=True):
            found = runs[name].scores[runs[name].clip_id.tolist().index(clip)]
            assert np.array_equal(found, row)


def test_align_names_what_differs() -> None:
    with pytest.raises(PredictionsError, match=r"two beside one.*missing: c; not expected: d"):
        align({"one": make("abc"), "two": make("abd")})
    with pytest.raises(PredictionsError, match="clip a has label 1 in one and 0 in two"):
        align({"one": make("ab"), "two": make("ab", label=[0, 0])})
    with pytest.raises(PredictionsError, match="same classes"):
        align({"one": make("ab"), "two": make("ab", classes=("y", "x"))})
    with pytest.raises(PredictionsError, match="nothing"):
        align({})


def test_check_clips_names_missing_and_duplicate() -> None:
    check_clips(["b", "a"], ["a", "b"], "here")
    with pytest.raises(PredictionsError, match=r"here: .*missing: c, d.*more than once: a"):
        check_clips(["a", "a", "b"], ["a", "b", "c", "d"], "here")
