"""fuse_streams.py, compare.py and results.py, as a user runs them, on predictions that a program made up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.evaluation import Predictions, load_predictions, save_predictions
from gspmc_mm.evaluation.provenance import fingerprint
from gspmc_mm.evaluation.results import read_record
from gspmc_mm.poses import PoseClip, PoseStoreWriter, StoreHeader

FUSE, COMPARE, RESULTS = (f"tools/analysis/{name}.py" for name in ("fuse_streams", "compare", "results"))
CLIPS, CLASSES = 60, 6


def made_up(seed: int, skill: float = 1.5, part: str = "clip", signers: int = 6, **info: object) -> Predictions:
    """Probabilities that lean to the true class by `skill`; clips and labels depend on `part` alone."""
    labels = np.random.default_rng(len(part)).integers(CLASSES, size=CLIPS)
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(CLIPS, CLASSES))
    logits[np.arange(CLIPS), labels] += skill
    return Predictions(
        np.array([f"{part}{i:03d}" for i in range(CLIPS)]),
        labels,
        np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True),
        np.array([f"{part}-signer{i % signers}" for i in range(CLIPS)]),
        info=info,
    )


@pytest.fixture
def streams(tmp_path: Path) -> list[str]:
    """Four streams on the same clips, each in an order of its own, the motion streams weaker."""
    for number, (name, skill) in enumerate({"j": 2.5, "b": 2.0, "jm": 1.0, "bm": 0.5}.items()):
        order = np.random.default_rng(number).permutation(CLIPS)
        save_predictions(tmp_path / f"{name}.npz", made_up(10 + number, skill).take(order))
        save_predictions(tmp_path / f"{name}_val.npz", made_up(20 + number, skill, part="validation"))
    return ["j=j.npz", "b=b.npz", "jm=jm.npz", "bm=bm.npz"]


def validation(streams: list[str]) -> list[str]:
    return [text.replace(".npz", "_val.npz") for text in streams]


def signer_folds(folder: Path, variant: str, skill: float, seeds: int, folds: int = 3) -> None:
    """Folders as signer_folds.py leaves them."""
    for seed in range(seeds):
        for fold in range(folds):
            place = folder / variant / f"seed{seed}" / f"fold{fold}"
            run = made_up(hash_of(variant) + 10 * seed + fold, skill, part=f"fold{fold}-")
            save_predictions(place / "predictions.npz", run)
            save_predictions(
                place / "val.npz", made_up(500 + hash_of(variant) + 10 * seed + fold, skill, part=f"val{fold}-")
            )
            splits = {"train_dataloader": f"fold{fold}_train", "test_dataloader": f"fold{fold}_test"}
            facts = {"identity": {"inputs": {"p.arrow": "mark"}, "splits": splits}, "trained": True, "tested": True}
            (place / "fold.json").write_text(json.dumps({**facts, "seconds": 1.0}))


def hash_of(name: str) -> int:
    return sum(map(ord, name))


def test_four_streams_with_the_weights_of_the_paper(streams: list[str], tmp_path: Path, commands) -> None:
    result = commands.run(
        FUSE, *streams, "--published", "slr500", "--out", "out/fusion", "--scores", "fused.npz", cwd=tmp_path
    )
    assert result.status == 0, result.said
    record = read_record(tmp_path / "out" / "fusion.json")
    assert [row.weight for row in record.streams] == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6])
    runs = {text.split("=")[0]: load_predictions(tmp_path / text.split("=")[1]) for text in streams}
    right = 0
    for clip, label in zip(runs["j"].clip_id, runs["j"].label, strict=True):  # by hand, clip by clip
        rows = {name: run.scores[run.clip_id.tolist().index(clip)] for name, run in runs.items()}
        right += (2 * rows["j"] + 2 * rows["b"] + rows["jm"] + rows["bm"]).argmax() == label
    assert record.fused.top1.mean == pytest.approx(right / CLIPS)
    assert record.fused.top1.interval == "signers and clips"  # six are few
    assert f"{100 * right / CLIPS:.1f}" in result.said
    assert "96.01" in result.said
    assert load_predictions(tmp_path / "fused.npz").hits(1).sum() == right
    assert "| fused |" in (tmp_path / "out" / "fusion.md").read_text()
    assert r"\begin{tabular}" in (tmp_path / "out" / "fusion.tex").read_text()
    assert record.provenance["command"].endswith("--scores fused.npz")
    assert len(record.provenance["data"]) == 4


def test_weights_fitted_on_validation(streams: list[str], tmp_path: Path, commands) -> None:
    result = commands.run(FUSE, *streams, "--fit", "val:", *validation(streams), "--out", "fit.json", cwd=tmp_path)
    assert result.status == 0, result.said
    record = read_record(tmp_path / "fit.json")
    weights = [row.weight for row in record.streams]
    assert (record.weighting, record.fitted_on) == ("fitted", "val")
    assert sum(weights) == pytest.approx(1)
    assert weights[0] > weights[2] > 0
    assert "weights seed 0 fold 0: j " in result.said


def test_folds_and_seeds_are_pooled_and_fitted_fold_by_fold(tmp_path: Path, commands) -> None:
    for variant, skill in (("j", 2.0), ("b", 1.0)):
        signer_folds(tmp_path, variant, skill, seeds=2)
    fit = [f"{name}={tmp_path}/{name}/seed?/fold?/val.npz" for name in "jb"]
    result = commands.run(FUSE, "j=j", "b=b", "--fit", "val:" + fit[0], fit[1], "--out", "fit", cwd=tmp_path)
    assert result.status == 0, result.said
    record = read_record(tmp_path / "fit.json")
    assert set(record.fold_weights) == {f"seed {seed} fold {fold}" for seed in range(2) for fold in range(3)}
    assert len({weights[0] for weights in record.fold_weights.values()}) == 6
    assert (record.fused.top1.clips, record.fused.top1.seeds, record.seconds) == (3 * CLIPS, 2, 12.0)
    fused = commands.run(FUSE, "j=j", "b=b", "--scores", "fused.npz", cwd=tmp_path)
    assert fused.status == 1
    assert "2 seeds need {seed}" in fused.words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fit", "j=j.npz", "b=b.npz", "jm=jm.npz", "bm=bm.npz"], "60 of 60 clips to fit on are test clips"),
        (["--fit", "j=j_val.npz", "b=b_val.npz"], "streams ['b', 'j'], the test has ['b', 'bm', 'j', 'jm']"),
        (["--weights", "1", "2"], "expected 4 weights"),
        (["--weights", "1", "2", "3", "-4"], "not negative"),
        (["rgb=j_val.npz"], "no fixed weight for stream rgb"),
        (["more=j.npz"], "j.npz is named twice: for j and for more"),
        (["j=b_val.npz"], "two are called j"),
        (["x=none.npz"], "no predictions at none.npz"),
    ],
)
def test_fusions_that_are_refused(
    streams: list[str], arguments: list[str], words: str, tmp_path: Path, commands
) -> None:
    result = commands.run(FUSE, *streams, *arguments, "--out", "out", cwd=tmp_path)
    assert result.status == 1
    assert words in result.words
    assert result.last.startswith("error: ")
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("split", ["gsp35_test", "val + test"])
def test_a_validation_that_is_recorded_as_a_test_split_is_refused(
    split: str, streams: list[str], tmp_path: Path, commands
) -> None:
    save_predictions(tmp_path / "j_val.npz", made_up(20, part="validation", split=split))
    result = commands.run(FUSE, *streams, "--fit", *validation(streams), cwd=tmp_path)
    assert result.status == 1
    assert f"j_val.npz is about the split {split!r}, a test split" in result.words


def store_of_splits(path: Path, clips: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """A pose store of clips with their splits; its fingerprint by path."""
    header = StoreHeader(
        layout="hands42",
        num_joints=42,
        estimator={"name": "synthetic", "version": "0", "weights": ""},
        classes=["a"],
        command="test",
    )
    with PoseStoreWriter(path, header) as writer:
        for clip, splits in clips.items():
            points = np.ones((2, 42, 2), np.float32)
            writer.add(
                PoseClip(
                    clip_id=clip,
                    keypoint=points,
                    score=points[..., 0],
                    label=0,
                    signer="p",
                    fps=25.0,
                    image_size=(640, 480),
                    splits=splits,
                )
            )
    return {str(path): fingerprint(path)}


def test_a_validation_that_was_trained_on_is_refused(streams: list[str], tmp_path: Path, commands) -> None:
    clips = [f"validation{i:03d}" for i in range(CLIPS)]
    inside = store_of_splits(tmp_path / "in.arrow", dict.fromkeys(clips, ("gsp35_train", "gsp35_val")))
    outside = dict.fromkeys(clips, ("gsp35_val",)) | {"other": ("gsp35_fit",)}
    outside = store_of_splits(tmp_path / "out.arrow", outside)
    for info, words in (
        ({"split": "gsp35_train"}, "is about the split 'gsp35_train', a training split"),
        ({"split": "tuning", "train_split": "one + tuning"}, "is about 'tuning', which its network was trained on"),
        (
            {"split": "gsp35_val", "train_split": "gsp35_train", "train_data": inside},
            "60 of 60 clips (validation000, validation001, validation002, validation003, validation004 and 55 more) "
            "are in gsp35_train, which its network was trained on",
        ),
    ):
        save_predictions(tmp_path / "j_val.npz", made_up(20, part="validation", **info))
        result = commands.run(FUSE, *streams, "--fit", *validation(streams), "--out", "fit", cwd=tmp_path)
        assert result.status == 1
        assert words in result.words
        assert "train on a split without them" in result.words
    for number, name in enumerate(("j", "b", "jm", "bm")):
        info = {"split": "gsp35_val", "train_split": "gsp35_fit", "train_data": outside if name != "bm" else {}}
        save_predictions(tmp_path / f"{name}_val.npz", made_up(20 + number, part="validation", **info))
    result = commands.run(FUSE, *streams, "--fit", *validation(streams), "--out", "fit", cwd=tmp_path)
    assert result.status == 0, result.said
    note = read_record(tmp_path / "fit.json").note
    assert "is not known by clip for 1 files: bm_val.npz" in note


def test_missing_clips_are_named_and_left_out_only_when_asked(streams: list[str], tmp_path: Path, commands) -> None:
    run = made_up(11, 2.0)
    save_predictions(tmp_path / "b.npz", run.take(range(2, CLIPS)))
    refused = commands.run(FUSE, *streams, cwd=tmp_path)
    assert refused.status == 1
    assert "stream b lacks 2: clip000, clip001" in refused.words
    kept = commands.run(FUSE, *streams, "--intersect", "--out", "out", cwd=tmp_path)
    assert kept.status == 0, kept.said
    assert "left out, stream b lacks: clip000, clip001" in kept.words
    record = read_record(tmp_path / "out.json")
    assert record.left_out == {"b": ("clip000", "clip001")}
    assert {row.top1.clips for row in (*record.streams, record.fused)} == {CLIPS - 2}


def test_predictions_that_cannot_be_fused(streams: list[str], tmp_path: Path, commands) -> None:
    good = made_up(11)
    labels = good.label.copy()
    labels[3] = (labels[3] + 1) % CLASSES
    save_predictions(tmp_path / "b.npz", Predictions(good.clip_id, labels, good.scores, good.signer))
    result = commands.run(FUSE, *streams, cwd=tmp_path)
    assert result.status == 1
    assert "clip clip003 has label" in result.words

    save_predictions(tmp_path / "b.npz", Predictions(good.clip_id, good.label, 9 * good.scores, good.signer))
    result = commands.run(FUSE, *streams, cwd=tmp_path)
    assert result.status == 1
    assert "stream b: no class probabilities" in result.words

    arrays = dict(np.load(tmp_path / "b.npz"))
    arrays["scores"][4] = np.nan
    np.savez(tmp_path / "b.npz", **arrays)
    result = commands.run(FUSE, *streams, cwd=tmp_path)
    assert result.status == 1
    assert "NaN class scores for clip clip004" in result.words

    save_predictions(tmp_path / "b.npz", load_predictions(tmp_path / "j.npz"))
    result = commands.run(FUSE, *streams, cwd=tmp_path)
    assert result.status == 1
    assert "j and b hold the same scores" in result.words


def test_two_runs_are_compared_in_a_sentence(tmp_path: Path, commands) -> None:
    signer_folds(tmp_path, "baseline", 0.3, seeds=3)
    signer_folds(tmp_path, "ours", 3.0, seeds=3)
    result = commands.run(COMPARE, "baseline", "ours", "--draws", 500, "--out", "c", "--data", "toy", cwd=tmp_path)
    assert result.status == 0, result.said
    record = read_record(tmp_path / "c.json")
    assert record.verdict == "second"
    assert record.sentence in result.said
    assert record.sentence.startswith("ours is better than baseline by ")
    assert (record.signers, len(record.top1.pairs), record.top1.pairs[0].first_seed) == (18, 3, 0)
    shares = [
        np.mean(
            [load_predictions(path).hits(1).mean() for path in tmp_path.glob(f"{name}/seed*/fold*/predictions.npz")]
        )
        for name in ("baseline", "ours")
    ]
    assert record.top1.mean == pytest.approx(shares[1] - shares[0])
    assert record.sentence in (tmp_path / "c.md").read_text()


def test_comparing_files(tmp_path: Path, commands) -> None:
    save_predictions(tmp_path / "a.npz", made_up(1))
    save_predictions(tmp_path / "b.npz", made_up(2))
    save_predictions(tmp_path / "b2.npz", made_up(3))
    result = commands.run(COMPARE, "a.npz", "B=b.npz,b2.npz", "--draws", 200, cwd=tmp_path)
    assert result.status == 0, result.said
    assert "not more than noise" in result.said
    assert "over 6 signers with their clips and 1 and 2 seeds" in result.said


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (made_up(2).take(range(CLIPS - 1)), "missing: clip059"),
        (made_up(2, part="validation"), "60 clips found, 60 expected; missing"),
        (made_up(1), "hold the same scores"),
    ],
)
def test_comparisons_that_are_refused(second: Predictions, words: str, tmp_path: Path, commands) -> None:
    save_predictions(tmp_path / "a.npz", made_up(1))
    save_predictions(tmp_path / "b.npz", second)
    result = commands.run(COMPARE, "a.npz", "b.npz", "--out", "out", cwd=tmp_path)
    assert result.status == 1
    assert words in result.words
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(("signers", "words"), [(1, "at least two"), (0, "60 of 60 clips have no signer")])
def test_a_bootstrap_over_signers_needs_signers(signers: int, words: str, tmp_path: Path, commands) -> None:
    for seed, name in enumerate("ab"):
        run = made_up(seed, signers=max(signers, 1))
        signer = run.signer if signers else np.full(CLIPS, "")
        save_predictions(tmp_path / f"{name}.npz", Predictions(run.clip_id, run.label, run.scores, signer))
    result = commands.run(COMPARE, "a.npz", "b.npz", cwd=tmp_path)
    assert result.status == 1
    assert words in result.words


def test_the_page_from_folds_fusion_and_comparison(tmp_path: Path, commands) -> None:
    """From prediction files to the page by the commands alone; what is lacking is said and can be made an error."""
    signer_folds(tmp_path / "work", "base", 0.5, seeds=2)
    signer_folds(tmp_path / "work", "ours", 1.5, seeds=2)
    (tmp_path / "page.md").write_text(
        "# R\n<!-- results:folds x -->\n<!-- end -->\n<!-- results:later python later.py -->\n<!-- end -->\n"
        "<!-- results:* -->\n<!-- end -->\n"
    )
    fill = (RESULTS, "--page", "page.md", "--results", "results")
    collect = (RESULTS, "folds", "work", "--data", "toy", "--out", "results/folds.json")
    assert commands.run(*collect, cwd=tmp_path).status == 0
    assert commands.run(COMPARE, "work/base", "work/ours", "--out", "results/pair.json", cwd=tmp_path).status == 0
    result = commands.run(*fill, cwd=tmp_path)
    assert result.status == 0, result.said
    page = (tmp_path / "page.md").read_text()
    record = read_record(tmp_path / "results" / "folds.json")
    assert f"{100 * record.rows[1].top1.mean:.1f} ± {100 * record.rows[1].top1.std:.1f}" in page
    assert read_record(tmp_path / "results" / "pair.json").sentence in page
    assert "**Not run yet.** `python later.py`" in page
    assert "Incomplete" not in page
    assert commands.run(*fill, "--complete", cwd=tmp_path).status == 1

    (tmp_path / "work" / "ours" / "seed1" / "fold2" / "predictions.npz").unlink()
    assert commands.run(*collect, cwd=tmp_path).status == 0
    result = commands.run(*fill, cwd=tmp_path)
    assert "incomplete: folds" in result.said
    assert "- ours seed 1 fold 2: has no predictions.npz" in (tmp_path / "page.md").read_text()

    (tmp_path / "results" / "odd.json").write_text('{"kind": "poem"}')
    before = (tmp_path / "page.md").read_text()
    result = commands.run(*fill, cwd=tmp_path)
    assert result.status == 1
    assert "odd.json" in result.last
    assert (tmp_path / "page.md").read_text() == before


@pytest.mark.parametrize("tool", [FUSE, COMPARE, RESULTS])
def test_help(tool: str, tmp_path: Path, commands) -> None:
    result = commands.run(tool, "--help", cwd=tmp_path)
    assert result.status == 0
    assert "python tools/analysis/" in result.said
