"""Bad input where a user meets it: the command lines end with a clear message and leave nothing half-written."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gspmc_mm.descriptions import TextBank
from gspmc_mm.poses import (
    PoseStore,
    PoseStoreError,
    PoseStoreWriter,
    StoreHeader,
    import_mmaction_pickle,
    read_mmaction_pickle,
    write_mmaction_pickle,
)

GSPMC, BASELINE = "configs/gspmc_synthsign_j.py", "configs/ctrgcn_synthsign_j.py"
BANK = "train_dataloader.dataset.pipeline_overrides.LoadSignDescriptions.text_bank"


def ann_file(path: Path) -> tuple[str, ...]:
    """Options that make a config read another file."""
    return tuple(f"{name}_dataloader.dataset.ann_file={path}" for name in ("train", "val", "test"))


def files(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def refused(commands, synthsign: Path, tiny: tuple[str, ...], repository: Path, tmp_path: Path):
    """Train with something wrong; the last line of what it said. Nothing but logs may be left."""

    def run(config: str | Path, *options: str) -> str:
        before = files(synthsign)
        work = tmp_path / "work"
        done = commands.run(
            "tools/train.py",
            *(repository / config, "--work-dir", work, "--cfg-options", *tiny, *options),
            cwd=synthsign,
        )
        assert done.status == 1, done.said
        left = {Path(name).suffix for name in files(work)} if work.exists() else set()
        assert not left & {".pth", ".tmp", ".npz"}
        assert not (work / "last_checkpoint").exists()
        assert files(synthsign) == before
        return done.last

    return run


@pytest.fixture
def spoiled(synthsign: Path, tmp_path: Path) -> Callable[[Callable[[dict], None]], tuple[Path, str]]:
    """The data set as an mmaction pickle whose sixth clip has been changed, and the name of that clip."""

    def make(change: Callable[[dict], None]) -> tuple[Path, str]:
        whole, path = tmp_path / "whole.pkl", tmp_path / "clips.pkl"
        write_mmaction_pickle(PoseStore(synthsign / "data" / "synthsign" / "poses.arrow"), whole)
        content = read_mmaction_pickle(whole)
        whole.unlink()
        annotation = content["annotations"][5]
        change(annotation)
        path.write_bytes(pickle.dumps(content, protocol=4))
        return path, annotation["frame_dir"]

    return make


def fewer_points(clip: dict) -> None:
    clip["keypoint"], clip["keypoint_score"] = clip["keypoint"][:, :, :100], clip["keypoint_score"][:, :, :100]


def with_nan(clip: dict) -> None:
    clip["keypoint"] = clip["keypoint"].copy()
    clip["keypoint"][0, 3, 7, 1] = np.nan


def without_frames(clip: dict) -> None:
    clip["keypoint"], clip["keypoint_score"] = clip["keypoint"][:, :0], clip["keypoint_score"][:, :0]
    clip["total_frames"] = 0


def with_label(label: int) -> Callable[[dict], None]:
    def change(clip: dict) -> None:
        clip["label"] = label

    return change


CLIPS = {
    "wrong number of points": (fewer_points, "100 points", "has 133"),
    "NaN": (with_nan, "NaN", ""),
    "no frames": (without_frames, "total_frames is 0", "from 1"),
    "label out of range": (with_label(9), "label", "9"),
    "negative label": (with_label(-1), "label is -1", "from 0"),
}


@pytest.mark.parametrize("what", CLIPS)
def test_clips_that_cannot_be_trained_on(what, refused, spoiled):
    change, *words = CLIPS[what]
    path, clip = spoiled(change)
    said = refused(BASELINE, *ann_file(path))
    for word in (str(path), repr(clip), *words):
        assert word in said


@pytest.mark.parametrize("what", CLIPS)
def test_clips_that_do_not_get_into_a_store(what, spoiled, tmp_path):
    change, *words = CLIPS[what]
    path, clip = spoiled(change)
    header = StoreHeader(
        layout="wholebody133",
        estimator={"name": "synthetic", "version": "", "weights": ""},
        classes=list("abcd"),
    )
    with pytest.raises(PoseStoreError) as caught:
        import_mmaction_pickle(path, tmp_path / "poses.arrow", header)
    for word in (repr(clip), *words):
        assert word in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["clips.pkl"]


def test_points_of_an_unknown_kind(refused, spoiled):
    path, _ = spoiled(fewer_points)
    content = read_mmaction_pickle(path)
    for annotation in content["annotations"]:
        fewer_points(annotation)
    path.write_bytes(pickle.dumps(content, protocol=4))
    said = refused(BASELINE, *ann_file(path))
    assert f"{path}: clips have 100 points" in said
    assert "give SignPoseDataset `layout=`" in said


def test_one_frame_is_enough(commands, synthsign, tiny, repository, tmp_path):
    store = PoseStore(synthsign / "data" / "synthsign" / "poses.arrow")
    path = tmp_path / "short.arrow"
    with PoseStoreWriter(path, store.header) as writer:
        for number in range(len(store)):
            clip = store.clip(number)
            if number % 2:
                clip = replace(clip, keypoint=clip.keypoint[5:6], score=clip.score[5:6])
            writer.add(clip)
    options = (*tiny, *ann_file(path), "train_cfg.max_epochs=1")
    work = tmp_path / "work"
    done = commands.run(
        "tools/train.py", repository / GSPMC, "--work-dir", work, "--cfg-options", *options, cwd=synthsign
    )
    assert done.status == 0, done.said
    weights = torch.load(work / "epoch_1.pth", weights_only=True)["state_dict"]
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())


def test_more_classes_in_the_data_than_in_the_model(refused):
    said = refused(BASELINE, "model.cls_head.num_classes=3")
    assert "data/synthsign/poses.arrow: clip 'synth_sign003_signer000_take00' has label 3" in said
    assert "the model has 3 classes; set num_classes of the model's cls_head" in said
    said = refused(BASELINE, "train_dataloader.dataset.num_classes=3")
    assert "num_classes is 3, but there are 4 class names" in said


@pytest.mark.parametrize(
    "option", ["model.backbone.layout", "train_dataloader.dataset.pipeline_overrides.SelectKeypoints.layout"]
)
def test_unknown_layout(option, refused):
    said = refused(BASELINE, f"{option}=sign88")
    assert "unknown layout 'sign88' (did you mean 'sign87'?)" in said
    assert "hands42" in said


def test_model_and_pipeline_of_different_layouts(refused):
    layout = "dataloader.dataset.pipeline_overrides.SelectKeypoints.layout=hands42"
    said = refused(BASELINE, f"train_{layout}", f"val_{layout}")
    assert "PartCTRGCN was built for 39 joints (sign39)" in said
    assert "got 42 joints" in said
    # Already the pipelines of training and validation disagree.
    said = refused(BASELINE, f"train_{layout}")
    assert "the pipeline gives layout 'sign39', but the network was trained on layout 'hands42'" in said


def test_truncated_store(refused, synthsign, tmp_path):
    whole = (synthsign / "data" / "synthsign" / "poses.arrow").read_bytes()
    path = tmp_path / "cut.arrow"
    path.write_bytes(whole[: len(whole) // 2])
    said = refused(BASELINE, *ann_file(path))
    assert str(path) in said
    assert "truncated" in said
    assert "copy or make it again" in said


def test_store_that_is_not_there(refused, tmp_path):
    said = refused(BASELINE, *ann_file(tmp_path / "none.arrow"))
    assert f"pose file '{tmp_path / 'none.arrow'}' does not exist" in said
    assert "tools/data/synthsign.py" in said


def test_unknown_split(refused):
    said = refused(BASELINE, "train_dataloader.dataset.split=training")
    assert "data/synthsign/poses.arrow: no split 'training'; splits inside: test, train, val" in said


class Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.mark}",)


def test_pickle_with_code_is_not_run(refused, tmp_path):
    path, mark = tmp_path / "trap.pkl", tmp_path / "it ran".replace(" ", "_")
    path.write_bytes(pickle.dumps({"split": {}, "annotations": [Trap(mark)]}))
    said = refused(BASELINE, *ann_file(path))
    assert str(path) in said
    assert "could run code, so it was not run" in said
    assert not mark.exists()
    pickle.loads(path.read_bytes())  # the trap is a trap
    assert mark.exists()


@pytest.mark.parametrize("tool", ["tools/test.py", "tools/train.py"])
def test_checkpoint_with_code_is_not_run(tool, commands, synthsign, tiny, repository, tmp_path):
    path, mark = tmp_path / "trap.pth", tmp_path / "it_ran"
    torch.save({"state_dict": {}, "meta": Trap(mark)}, path)
    named = [path] if tool == "tools/test.py" else ["--resume", path]
    done = commands.run(
        tool, repository / BASELINE, *named, "--work-dir", tmp_path / "work", "--cfg-options", *tiny, cwd=synthsign
    )
    assert done.status == 1, done.said
    assert f"checkpoint {path} was refused" in done.last
    assert "Nothing of it was run" in done.last
    assert not mark.exists()
    assert not list((tmp_path / "work").rglob("*.pth"))


def test_truncated_checkpoint(commands, synthsign, tiny, repository, tmp_path):
    path = tmp_path / "epoch_1.pth"
    torch.save({"state_dict": {"weight": torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:2000])
    done = commands.run(
        "tools/test.py",
        *(repository / BASELINE, path, "--dump", tmp_path / "p.npz", "--work-dir", tmp_path / "work"),
        *("--cfg-options", *tiny),
        cwd=synthsign,
    )
    assert done.status == 1, done.said
    assert f"checkpoint {path} cannot be read" in done.last
    assert "cut off" in done.last
    assert not (tmp_path / "p.npz").exists()


@pytest.fixture
def bank(synthsign: Path) -> TextBank:
    return TextBank.load(synthsign / "data" / "synthsign" / "text_bank.safetensors")


def test_bank_of_another_data_set(refused, bank, tmp_path):
    path = tmp_path / "other.safetensors"
    replace(bank, classes=("HELLO", *bank.classes[1:])).save(path)
    said = refused(GSPMC, f"{BANK}={path}", f"model.cls_head.text_bank={path}")
    assert str(path) in said
    assert f"label 0 is 'HELLO' in the bank and {bank.classes[0]!r} in the data" in said
    assert "encode the descriptions of this data set" in said


def test_bank_of_another_number_of_signs(refused, bank, tmp_path):
    path = tmp_path / "other.safetensors"
    replace(bank, classes=(*bank.classes, "ONE MORE")).save(path)
    said = refused(GSPMC, f"{BANK}={path}", f"model.cls_head.text_bank={path}")
    assert "the text bank has 5 signs" in said


def test_two_different_banks(refused, bank, tmp_path):
    path = tmp_path / "shuffled.safetensors"
    bank.shuffled(seed=0).save(path)
    said = refused(GSPMC, f"model.cls_head.text_bank={path}")
    assert str(path) in said
    assert "data/synthsign/text_bank.safetensors" in said
    assert "both have to name the same bank" in said


def test_missing_bank(refused, tmp_path):
    path = tmp_path / "none.safetensors"
    for options in ([f"{BANK}={path}"], [f"model.cls_head.text_bank={path}"]):
        said = refused(GSPMC, *options)
        assert f"text bank {path} does not exist" in said
        assert "tools/gsp/encode.py" in said


def test_descriptions_with_an_unknown_part(commands, synthsign, tmp_path):
    content = json.loads((synthsign / "data" / "synthsign" / "descriptions.json").read_text())
    content["signs"][1]["segments"][0]["parts"] = ["left_foot"]
    path, bank = tmp_path / "descriptions.json", tmp_path / "banks" / "bank.safetensors"
    path.write_text(json.dumps(content))
    done = commands.run("tools/gsp/encode.py", path, "--encoder", "use-multilingual", "--out", bank, cwd=synthsign)
    assert done.status == 1, done.said
    for word in (str(path), repr(content["signs"][1]["gloss"]), "segments[0].parts", "'left_foot'", "right_hand"):
        assert word in done.last
    assert [file.name for file in tmp_path.iterdir()] == ["descriptions.json"]


# What mmaction's own tools do with a config, in a process that has not imported gspmc_mm.
WITHOUT_OUR_TOOLS = """
import sys
from mmengine.config import Config
from mmengine.runner import Runner
config = Config.fromfile(sys.argv[1])
config.work_dir = sys.argv[2]
Runner.from_cfg(config)
"""


def test_config_that_forgets_custom_imports(repository, command_environment, synthsign, tmp_path):
    """The package is not in the process and cannot help; the README says what the message means."""
    config = tmp_path / "forgetful.py"
    config.write_text(f"_base_ = {str(repository / BASELINE)!r}\ncustom_imports = None\n")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_OUR_TOOLS, str(config), str(tmp_path / "work")],
        env=command_environment,
        cwd=synthsign,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 1
    message = "No module named 'mmaction.models.localizers.drn'"
    assert message in done.stderr.splitlines()[-1]
    readme = (repository / "README.md").read_text()
    assert message in readme
    assert "custom_imports" in readme[readme.index(message) - 400 : readme.index(message) + 400]
    assert not list((tmp_path / "work").rglob("*.pth"))
