from __future__ import annotations

import json

import pytest

TINY = (
    "model.backbone.base_channels=8",
    "model.backbone.num_stages=2",
    "model.cls_head.in_channels=8",
    "model.cls_head.num_classes=5",
)


def test_the_cost_of_texts_is_measured(commands, tmp_path):
    """Not the figures, which are the machine's: that they are taken and add up."""
    done = commands.run(
        "tools/analysis/training_cost.py",
        *("--batch", 4, "--repeats", 2, "--warm-up", 1, "--threads", 1, "--out", "out/cost.json"),
        *("--cfg-options", *TINY, "train_dataloader.dataset.pipeline_overrides.SampleSignFrames.clip_len=12"),
        cwd=tmp_path,
    )
    assert done.status == 0, done.said
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")] == ["out/cost.json"]
    result = json.loads((tmp_path / "out" / "cost.json").read_text())
    assert result["pair"]["gspmc"]["config"] == "gspmc_wlasl100_j.py"
    assert result["input_shape"] == [4, 1, 1, 12, 20, 7]  # of the overridden pipeline
    assert result["threads"] == 1
    # Only one of the two has texts, and it has all of them: 1 global, 4 synonyms, 2 of each hand.
    assert set(result["losses"]["baseline"]) == {"loss", "loss_cls"}
    assert result["losses"]["gspmc"]["loss_con"] > 0
    assert result["texts"]["rows"] == 5 * 9
    for what in ("train", "infer"):
        row = result[what]
        assert row["pairs"] == 2
        assert row["peak_memory_mib"] is None
        first, second = row["ms"]["baseline"], row["ms"]["gspmc"]
        assert all(value > 0 for value in first + second)
        assert row["median_ms"]["gspmc"] == pytest.approx(sum(second) / 2, rel=1e-3)
        expected = [b / a for a, b in zip(first, second, strict=True)]
        assert row["median_of_ratios"] == pytest.approx(sum(expected) / 2, rel=1e-3)
        processor = row["processor_time"]
        assert processor["pairs"] == 2
        assert all(value > 0 for values in processor["ms"].values() for value in values)
    assert result["train"]["median_ms"]["baseline"] > result["infer"]["median_ms"]["baseline"]
    branch = result["text_branch"]
    assert branch["share_of_training_step"] == branch["median_ms"] / result["train"]["median_ms"]["baseline"] > 0
    assert result["provenance"]["seed"] == 0
    assert "median of ratios" in done.words
    assert "training, processor time" in done.words
    assert "init_weights" not in done.words


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--config-pair", "no_such"), 1, "ctrgcn_no_such_j.py does not exist"),
        (
            ("--config-pair", "{configs}/gspmc_wlasl100_j.py", "{configs}/ctrgcn_wlasl100_j.py"),
            1,
            "without a text bank",
        ),
        (("--config-pair", "a", "b", "c"), 2, "one name or two files"),
        (("--repeats", "1"), 2, "--repeats has to be at least 2"),
    ],
)
def test_requests_that_cannot_be_carried_out(commands, repository, tmp_path, arguments, status, words):
    filled = [text.format(configs=repository / "configs") for text in arguments]
    done = commands.run("tools/analysis/training_cost.py", *filled, "--out", "cost.json", cwd=tmp_path)
    assert done.status == status, done.said
    assert words in done.words
    assert "Traceback" not in done.said
    assert list(tmp_path.iterdir()) == []
