from __future__ import annotations

import json

import numpy as np
import pytest

from gspmc_mm.evaluation.folds import (
    accuracy_rows,
    accuracy_summary,
    check_held_out,
    class_table,
    comparison_rows,
    fold_report,
    markdown_table,
    pool_folds,
    report_markdown,
)
from gspmc_mm.evaluation.intervals import wilson_interval
from gspmc_mm.evaluation.predictions import Predictions, PredictionsError
from gspmc_mm.evaluation.provenance import gather_provenance

CLASSES = tuple("abcdef")


def fold_run(fold: int, seed: int = 0, n: int = 20, **changes) -> Predictions:
    labels = np.random.default_rng(fold).integers(0, 6, n)
    values = {
        "clip_id": [f"f{fold}c{i}" for i in range(n)],
        "label": labels,
        "scores": np.random.default_rng(100 * seed + fold).random((n, 6)),
        "signer": [f"s{fold}_{i % 3}" for i in range(n)],
        "classes": CLASSES,
    }
    return Predictions(**(values | changes))


def test_pooling_counts_every_clip_once() -> None:
    folds = {fold: fold_run(fold, n=10 + fold) for fold in range(3)}
    pooled = pool_folds(folds)
    assert len(pooled) == 10 + 11 + 12
    right = sum(int(run.hits(1).sum()) for run in folds.values())
    summary = accuracy_summary(pooled)
    assert summary["clips"] == 33
    assert summary["signers"] == 9
    assert summary["top1"]["correct"] == right
    assert summary["top1"]["value"] == right / 33
    assert (summary["top1"]["low"], summary["top1"]["high"]) == wilson_interval(right, 33)
    for fold, run in folds.items():
        for clip, row in zip(run.clip_id, run.scores, strict=True):
            place = pooled.clip_id.tolist().index(clip)
            assert np.array_equal(pooled.scores[place], row), (fold, clip)


def test_pooling_refuses_what_is_no_partition() -> None:
    with pytest.raises(PredictionsError, match="fold 0 and in fold 1: f0c0"):
        pool_folds({0: fold_run(0), 1: fold_run(0)})
    same = fold_run(1, signer=["s0_0"] * 20)
    with pytest.raises(PredictionsError, match="signers held out in fold 0 and in fold 1: s0_0"):
        pool_folds({0: fold_run(0), 1: same})
    assert len(pool_folds({0: fold_run(0), 1: same}, signers_disjoint=False)) == 40
    unknown = {fold: fold_run(fold, signer=[""] * 20) for fold in (0, 1)}
    assert len(pool_folds(unknown)) == 40
    with pytest.raises(PredictionsError, match="same classes"):
        pool_folds({0: fold_run(0), 1: fold_run(1, classes=tuple("bacdef"))})
    with pytest.raises(PredictionsError, match="no folds"):
        pool_folds({})


def test_held_out() -> None:
    check_held_out({"a": "s1"}, {"b": "s2"}, "fold 0")
    check_held_out({"a": ""}, {"b": ""}, "fold 0")
    with pytest.raises(PredictionsError, match="fold 0: clips in training and in test: a"):
        check_held_out({"a": "s1"}, {"a": "s2"}, "fold 0")
    with pytest.raises(PredictionsError, match="signers in training and in test: s1"):
        check_held_out({"a": "s1"}, {"b": "s1"}, "fold 0")
    check_held_out({"a": "s1"}, {"b": "s1"}, "fold 0", signers_disjoint=False)
    with pytest.raises(PredictionsError, match="0 test clips"):
        check_held_out({"a": "s1"}, {}, "fold 0")


def test_class_table_has_the_weakest_first() -> None:
    run = fold_run(
        0,
        n=3,
        label=[2, 2, 4],
        scores=np.eye(6)[[2, 0, 4]],
    )
    assert class_table(run) == [
        {"label": 2, "class": "c", "clips": 2, "top1": 0.5},
        {"label": 4, "class": "e", "clips": 1, "top1": 1.0},
    ]


def two_variants() -> dict:
    return {
        "base": {seed: {fold: fold_run(fold, seed) for fold in (0, 1)} for seed in (1, 2)},
        "text": {seed: {fold: fold_run(fold, seed + 10) for fold in (0, 1)} for seed in (1, 2)},
    }


def test_report() -> None:
    runs = two_variants()
    report, pooled = fold_report(runs)
    json.dumps(report, allow_nan=False)
    for name, seeds in runs.items():
        values = []
        for seed, folds in seeds.items():
            right = sum(int(run.hits(5).sum()) for run in folds.values())
            entry = report["variants"][name]["seeds"][str(seed)]
            assert entry["pooled"]["top5"]["value"] == pytest.approx(right / 40)
            assert entry["folds"]["1"]["clips"] == 20
            assert len(pooled[name][seed]) == 40
            values.append(right / 40)
        over = report["variants"][name]["over_seeds"]["top5"]
        assert over["mean"] == pytest.approx(sum(values) / 2)
        assert over["std"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    (pair,) = report["comparisons"]
    first, second = pooled["base"][1].hits(1), pooled["text"][1].hits(1)
    assert pair["seeds"]["1"]["top1"]["difference"] == pytest.approx(second.mean() - first.mean())
    assert pair["seeds"]["1"]["top1"]["only_first"] == int((first & ~second).sum())


def test_report_refuses_variants_on_other_clips() -> None:
    runs = two_variants()
    del runs["text"][2][1]
    with pytest.raises(PredictionsError, match=r"text, seed 2 beside base, seed 1.*f1c0"):
        fold_report(runs)
    runs = two_variants()
    runs["text"][3] = runs["text"].pop(2)
    with pytest.raises(PredictionsError, match="pairs need the same"):
        fold_report(runs)


def test_markdown_page() -> None:
    report, _ = fold_report(two_variants())
    report["provenance"] = gather_provenance(seed=[1, 2], data={"store": "sha256:ab"})
    report["splits"] = "fold{fold}_train"
    page = report_markdown(report, "Folds")
    pooled = report["variants"]["text"]["seeds"]["2"]["pooled"]["top1"]["value"]
    line = next(line for line in page.splitlines() if line.startswith("| text | 2 | pooled |"))
    assert f"| {100 * pooled:.1f} |" in line
    assert "text - base" in page
    assert "sha256:ab" in page
    assert len(accuracy_rows(report)) == 2 * (2 * 3 + 1)
    assert len(comparison_rows(report)) == 2 * 3
    tables = [block for block in page.split("\n\n") if block.startswith("|")]
    assert len(tables) == 2
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_one_variant_and_seed_has_no_comparison() -> None:
    report, _ = fold_report({"only": {0: {0: fold_run(0)}}})
    assert report["comparisons"] == []
    assert report["variants"]["only"]["over_seeds"]["top1"]["std"] is None
    assert [row[2] for row in accuracy_rows(report)] == ["0", "pooled"]


def test_a_bar_in_a_cell_does_not_break_the_table() -> None:
    assert markdown_table(["a"], [["x|y"]]).splitlines()[-1] == "| x\\|y |"
