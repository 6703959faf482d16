from __future__ import annotations

import importlib.util
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gspmc_mm.evaluation import load_predictions
from gspmc_mm.evaluation.experiments import locked

CONFIG = """
train_dataloader = dict(dataset=dict(type='RepeatDataset', times=2,
                                     dataset=dict(type='SignPoseDataset', split='x')))
val_dataloader = dict(dataset=dict(type='SignPoseDataset', split='x'))
test_dataloader = dict(dataset=dict(type='SignPoseDataset', split='x'))
test_evaluator = [dict(type='SignAccuracy')]
bank = {bank!r}
skill = 0.5
"""

# Stand-ins for tools/train.py and tools/test.py: they keep a diary and obey a list of failures.
FAKE_TRAIN = """
import sys, pathlib, time
args = sys.argv[1:]
work = pathlib.Path(args[args.index("--work-dir") + 1])
with open({diary!r}, "a") as diary:
    diary.write("train " + " ".join(args) + "\\n")
(work / "epoch_1.pth").write_text("weights")
(work / "last_checkpoint").write_text(str(work / "epoch_1.pth"))
if pathlib.Path({trouble!r}).exists() and pathlib.Path({trouble!r}).read_text() in " ".join(args):
    print("step 1")
    if "--seed 9" in " ".join(args):
        time.sleep(60)
    sys.exit("RuntimeError: the training broke here")
"""
FAKE_TEST = """
import sys, numpy as np
args = sys.argv[1:]
with open({diary!r}, "a") as diary:
    diary.write("test " + " ".join(args) + "\\n")
assert open(args[1]).read() == "weights"
options = dict(arg.split("=", 1) for arg in args[args.index("--cfg-options") + 1:])
split = options["test_dataloader.dataset.split"]
n, classes, skill = 12, 6, float(options.get("skill", 0.5))
rng = np.random.default_rng(sum(map(ord, split)))
label = rng.integers(0, classes, n)
scores = rng.random((n, classes)).astype(np.float32)
scores[np.arange(n), label] += skill
np.savez(options["test_evaluator.0.dump"], clip_id=np.array([f"{{split}}-{{i}}" for i in range(n)]),
         label=label, scores=scores, signer=np.array([split] * n), classes=np.array(list("abcdef")),
         info=np.array("{{}}"))
"""


class Bench:
    """A tool with fake commands, in a folder of its own."""

    def __init__(self, tool: ModuleType, folder: Path) -> None:
        self.tool, self.folder = tool, folder
        self.diary, self.trouble = folder / "diary.txt", folder / "trouble.txt"
        self.bank = folder / "bank.safetensors"
        self.bank.write_bytes(b"one")
        self.config = folder / "base.py"
        self.config.write_text(CONFIG.format(bank=str(self.bank)))
        self.work = folder / "work"

    def run(self, *arguments: str) -> int:
        self.diary.write_text("")
        return self.tool.main(["--work-dir", str(self.work), *arguments])

    def commands(self) -> list[str]:
        return self.diary.read_text().splitlines()

    def results(self) -> dict:
        return json.loads((self.work / "results.json").read_text())


@pytest.fixture(scope="module")
def tool(repository: Path) -> ModuleType:
    path = repository / "tools" / "analysis" / "signer_folds.py"
    spec = importlib.util.spec_from_file_location("signer_folds_tool", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bench(tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(tool, tmp_path)
    names = {"diary": str(bench.diary), "trouble": str(bench.trouble)}
    for attribute, text in (("TRAIN_TOOL", FAKE_TRAIN), ("TEST_TOOL", FAKE_TEST)):
        path = tmp_path / f"{attribute.lower()}.py"
        path.write_text(text.format(**names))
        monkeypatch.setattr(tool, attribute, path)
    return bench


def test_two_variants_from_nothing_to_the_report(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    status = bench.run(
        str(bench.config),
        "--variants",
        f"good={bench.config}:skill=0.9,tag=[1,2]",
        "--folds", "0", "1", "2",
        "--jobs", "2",
    )  # fmt: skip
    assert status == 0
    assert len(bench.commands()) == 2 * 3 * 2
    train = next(line for line in bench.commands() if "good" in line and "fold1" in line)
    assert "--seed 0" in train
    assert "--resume" not in train
    # The split goes to the data set inside the wrapper.
    assert "train_dataloader.dataset.dataset.split=fold1_train" in train
    assert "val_dataloader.dataset.split=fold1_test" in train
    assert "skill=0.9 tag=[1,2]" in train

    fold = json.loads((bench.work / "good" / "seed0" / "fold1" / "fold.json").read_text())
    assert fold["provenance"]["seed"] == 0
    assert fold["provenance"]["versions"]["torch"]

    report = bench.results()
    pooled = report["variants"]["good"]["seeds"]["0"]["pooled"]
    right = clips = 0
    for fold in range(3):
        run = load_predictions(bench.work / "good" / "seed0" / f"fold{fold}" / "predictions.npz")
        right += int((run.scores.argmax(axis=1) == run.label).sum())
        clips += len(run)
    assert (pooled["clips"], pooled["top1"]["correct"]) == (clips, right)
    assert len(load_predictions(bench.work / "good" / "seed0" / "pooled.npz")) == clips
    (pair,) = report["comparisons"]
    assert (pair["first"], pair["second"]) == ("base", "good")
    assert pair["seeds"]["0"]["top1"]["difference"] > 0
    assert report["provenance"]["data"] == {str(bench.bank): report["provenance"]["data"][str(bench.bank)]}
    run = report["variants"]["base"]["seeds"]["0"]["folds"]["2"]["run"]
    assert "fold2_train" in run["train_command"]
    printed = capsys.readouterr().out
    assert f"{100 * right / clips:.1f}" in printed
    assert "good - base" in printed
    assert "| good | 0 | pooled | 36 |" in (bench.work / "results.md").read_text()
    leftovers = [path for path in bench.work.rglob("*") if path.name.endswith(".tmp")]
    assert leftovers == []


def test_finished_folds_are_not_run_again(bench: Bench) -> None:
    assert bench.run(str(bench.config), "--folds", "0", "1") == 0
    first = bench.results()["variants"]
    assert bench.run(str(bench.config), "--folds", "0", "1") == 0
    assert bench.commands() == []
    assert bench.results()["variants"] == first
    assert bench.run(str(bench.config), "--folds", "0", "1", "2") == 0
    assert [line.split()[0] for line in bench.commands()] == ["train", "test"]


def test_a_failure_is_told_and_the_rest_goes_on_and_is_resumed(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.trouble.write_text("fold0_train")
    assert bench.run(str(bench.config), "--folds", "0", "1") == 1
    printed = capsys.readouterr().out
    assert "RuntimeError: the training broke here" in printed
    assert "base seed 0 fold 0: training ended with status 1" in printed
    assert not (bench.work / "results.json").exists()
    assert sum("fold1" in line for line in bench.commands()) == 2
    bench.trouble.unlink()
    assert bench.run(str(bench.config), "--folds", "0", "1") == 0
    train, test = bench.commands()
    assert train.startswith("train")
    assert "--resume" in train
    assert "fold0" in train
    assert test.startswith("test")


def test_a_finished_training_is_only_tested(bench: Bench) -> None:
    assert bench.run(str(bench.config), "--folds", "0") == 0
    (bench.work / "base" / "seed0" / "fold0" / "predictions.npz").unlink()
    assert bench.run(str(bench.config), "--folds", "0") == 0
    assert [line.split()[0] for line in bench.commands()] == ["test"]


@pytest.mark.parametrize("change", ["config", "data"])
def test_a_fold_of_something_else_is_refused_or_moved_aside(
    bench: Bench, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench.run(str(bench.config), "--folds", "0") == 0
    if change == "config":
        bench.config.write_text(bench.config.read_text().replace("skill = 0.5", "skill = 0.6"))
    else:
        bench.bank.write_bytes(b"two")
    assert bench.run(str(bench.config), "--folds", "0") == 1
    assert bench.commands() == []
    printed = " ".join(capsys.readouterr().out.split())
    assert ("another config_sha256" if change == "config" else "another inputs") in printed
    assert bench.run(str(bench.config), "--folds", "0", "--replace-changed") == 0
    assert len(bench.commands()) == 2
    assert (bench.work / "base" / "seed0" / "fold0.replaced-1" / "predictions.npz").is_file()


def test_a_foreign_training_is_not_continued(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    folder = bench.work / "base" / "seed0" / "fold0"
    folder.mkdir(parents=True)
    (folder / "last_checkpoint").write_text("x.pth")
    assert bench.run(str(bench.config), "--folds", "0") == 1
    assert "not started by this command" in " ".join(capsys.readouterr().out.split())


def test_a_termination_ends_the_training_too(bench: Bench) -> None:
    bench.trouble.write_text("fold0_train")
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGTERM))
    started = time.monotonic()
    timer.start()
    assert bench.run(str(bench.config), "--folds", "0", "1", "--seeds", "9") == 130
    assert time.monotonic() - started < 20
    assert len(bench.commands()) == 1
    # The lock is free again: nothing of the training is left.
    bench.trouble.unlink()
    assert bench.run(str(bench.config), "--folds", "0", "1", "--seeds", "9") == 0
    assert "--resume" in bench.commands()[0]


def test_split_templates_and_seeds(bench: Bench) -> None:
    assert (
        bench.run(
            str(bench.config),
            "--folds", "0",
            "--seeds", "1", "2",
            "--train-split", "fold{fold}_fit",
            "--test-split", "fold{fold}_val",
        )
        == 0
    )  # fmt: skip
    lines = bench.commands()
    assert sum("split=fold0_fit" in line for line in lines) == 4
    assert {line.split("--seed ")[1][0] for line in lines if line.startswith("train")} == {"1", "2"}
    assert bench.results()["variants"]["base"]["over_seeds"]["top1"]["n"] == 2


def test_pooling_refuses_a_clip_in_two_folds(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run(str(bench.config), "--folds", "0", "1", "--test-split", "same") == 1
    assert "clips held out in fold 0 and in fold 1" in " ".join(capsys.readouterr().out.split())


def test_a_second_process_on_the_same_fold_is_kept_out(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    with locked(bench.work / "base" / "seed0" / "fold0"):
        assert bench.run(str(bench.config), "--folds", "0") == 1
    assert "another process works on" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{folder}/none.py"], "no config at"),
        (["{config}", "--variants", "odd"], "NAME=CONFIG"),
        (["{config}", "--variants", "base={config}"], "two variants are called the same"),
        (["{config}", "--folds", "0", "0"], "two folds"),
        (["{config}", "--test-split", "{{part}}"], "{fold} only"),
        (["{config}", "--cfg-options", "skill"], "key=value"),
        (["{config}", "--cfg-options", "test_evaluator.0.type=AccMetric"], "SignAccuracy"),
        (["{config}", "--cfg-options", "train_dataloader=3"], "cannot"),
    ],
)
def test_requests_that_cannot_be_carried_out(
    bench: Bench, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [text.format(folder=bench.folder, config=bench.config) for text in arguments]
    if words == "cannot":
        bench.config.write_text(bench.config.read_text() + "\ntrain_dataloader = None\n")
        filled, words = filled[:1], "has no train_dataloader"
    assert bench.run(*filled) == 1
    assert words in " ".join(capsys.readouterr().out.split())
    assert bench.commands() == []


def test_early_stopping_may_not_look_at_the_test_split(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.config.write_text(bench.config.read_text() + "\ncustom_hooks = [dict(type='EarlyStoppingHook')]\n")
    assert bench.run(str(bench.config), "--folds", "0") == 1
    assert "--val-split" in capsys.readouterr().out
    assert bench.run(str(bench.config), "--folds", "0", "--val-split", "fold{fold}_val") == 0


def test_variant_values_may_hold_commas(tool: ModuleType) -> None:
    variant = tool.parse_variant("a=c.py:x.y=1,2,z=[3,4],w='k'")
    assert variant.options == ("x.y=1,2", "z=[3,4]", "w='k'")


def test_splits_of_a_pose_store_are_checked(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    from gspmc_mm.poses import PoseClip, PoseStoreWriter, StoreHeader

    store = bench.folder / "signs.arrow"
    header = StoreHeader(
        layout="hands42",
        num_joints=42,
        estimator={"name": "synthetic", "version": "0", "weights": ""},
        classes=list("abcdef"),
        command="test",
    )
    with PoseStoreWriter(store, header) as writer:
        for i, (signer, split) in enumerate([("p1", ("fold0_train",)), ("p2", ("fold0_test",)), ("p1", ("bad_test",))]):
            writer.add(
                PoseClip(
                    clip_id=f"clip{i}",
                    keypoint=np.ones((3, 42, 2), np.float32),
                    score=np.ones((3, 42), np.float32),
                    label=0,
                    signer=signer,
                    fps=25.0,
                    image_size=(640, 480),
                    splits=split,
                )
            )
    text = bench.config.read_text().replace("split='x'", f"split='x', ann_file={str(store)!r}")
    bench.config.write_text(text)
    assert bench.run(str(bench.config), "--folds", "0", "--test-split", "bad_test") == 1
    assert "signers in training and in test: p1" in " ".join(capsys.readouterr().out.split())
    assert bench.commands() == []
    # The fake test invents its own clips: they are not those of the split.
    assert bench.run(str(bench.config), "--folds", "0") == 1
    assert "missing: clip1" in " ".join(capsys.readouterr().out.split())
    # Two splits tested together are their clips together, for the signers and for what has to be predicted.
    both = ("--test-split", "fold0_test,bad_test", "--replace-changed")
    assert bench.run(str(bench.config), "--folds", "0", *both) == 1
    assert "signers in training and in test: p1" in " ".join(capsys.readouterr().out.split())
    assert bench.run(str(bench.config), "--folds", "0", *both, "--allow-shared-signers") == 1
    assert "missing: clip1, clip2" in " ".join(capsys.readouterr().out.split())
