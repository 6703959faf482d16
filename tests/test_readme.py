"""The README does what it says: its python runs, its files, options, targets, extras and links exist."""

from __future__ import annotations

import configparser
import csv
import hashlib
import importlib.util
import itertools
import json
import os
import pickle
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from gspmc_mm.descriptions import TextBank, build_text_bank, load_descriptions
from gspmc_mm.evaluation import Predictions, save_predictions

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ("README.md", "docs/architecture.md")
SIGNS = ("book", "drink", "ambience")
# `tools/dist_train.sh` hands its options to train.py
OPTIONS_OF = {
    "tools/dist_train.sh": "tools/train.py",
    "tools/dist_test.sh": "tools/test.py",
    "tools/slurm_train.sh": "tools/train.py",
    "tools/slurm_test.sh": "tools/test.py",
}


def blocks(language: str) -> list[str]:
    """The fenced blocks of the README in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def block_with(language: str, text: str) -> str:
    """The one block that holds a text."""
    (found,) = [block for block in blocks(language) if text in block]
    return found


def expand(path: str) -> list[str]:
    """The paths that braces in one stand for."""
    pieces = re.split(r"\{([^}]*)\}", path)
    choices = [[p] if i % 2 == 0 else p.split(",") for i, p in enumerate(pieces)]
    return ["".join(choice) for choice in itertools.product(*choices)]


def own_files() -> set[str]:
    """Files that the README tells the reader to write."""
    return set(re.findall(r"^# (configs/\S+\.py)$", README, flags=re.MULTILINE))


def shell_lines() -> list[str]:
    """All commands of the README: the bash blocks and the ones in running text."""
    lines = [line for block in blocks("bash") for line in block.splitlines() if line.strip()]
    lines += re.findall(r"`((?:python|pip|make|tools/)[^`\n]*)`", README)
    return [line.split("  #")[0] for line in lines]


# ---- files, options, targets, extras, links ----


def test_every_file_of_the_repository_that_is_named_exists():
    named = set(re.findall(r"\b(?:tools|configs|docs|gspmc_mm|tests)/[\w./{},-]*\w\b|configs/[\w{},]+\.py", README))
    paths = {path for name in named for path in expand(name)} - own_files()
    assert len(paths) > 25
    assert sorted(path for path in paths if not (ROOT / path).exists()) == []


def test_every_config_is_in_the_table_of_configs():
    table = README[README.index("## Configs") : README.index("## In another")]
    named = {path for name in re.findall(r"configs/[\w{},]+\.py", table) for path in expand(name)}
    existing = {f"configs/{path.name}" for path in (ROOT / "configs").glob("*.py")}
    assert named == existing


@pytest.mark.parametrize("line", [line for line in shell_lines() if "tools/" in line])
def test_the_options_of_a_command_exist(line):
    tool = re.search(r"tools/[\w/]+\.(?:py|sh)", line)[0]
    source = (ROOT / OPTIONS_OF.get(tool, tool)).read_text(encoding="utf-8")
    if "runner_config" in source:
        source += (ROOT / "tools" / "runner_config.py").read_text(encoding="utf-8")
    for option in re.findall(r"(?<=\s)--[\w-]+", line):
        assert f'"{option}"' in source, f"{tool} has no option {option}"


def test_the_targets_of_make_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"\bmake (\w+)", "\n".join(shell_lines())))
    assert {"demo", "test", "install"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_extras_are_those_of_the_package():
    setup = configparser.ConfigParser(inline_comment_prefixes=("#",))
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = set(setup.options("options.extras_require"))
    table = README[README.index("| extra | for |") : README.index("`constraints.txt` holds")]
    assert set(re.findall(r"`([\w-]+)`", "".join(row.split("|")[1] for row in table.splitlines() if row))) == extras
    for installed in re.findall(r"\.\[([\w,-]+)\]", README):
        assert set(installed.split(",")) <= extras


@pytest.mark.parametrize("page", PAGES)
def test_the_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    anchors = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)
    }
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert links
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors, link
        elif not link.startswith("https://"):
            assert ((ROOT / page).parent / link).exists(), link


def test_the_table_of_components_is_what_is_registered():
    from mmaction import registry

    table = README[README.index("| registry | names |") : README.index("## Published numbers")]
    rows = re.findall(r"^\| ([A-Z_]+) \| (.*) \|$", table, flags=re.MULTILINE)
    assert len(rows) == 7
    for name, components in rows:
        for component in re.findall(r"`(\w+)`", components):
            assert getattr(registry, name).get(component) is not None, component


# ---- the python of the README, on tiny data ----


class HashEncoder:
    """An encoder for tests: a random unit vector for each text, from its hash."""

    id, dim, max_tokens, note = "hash", 512, None, "not CLIP: hashes"

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        seeds = [int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) for text in texts]
        vectors = np.stack([np.random.default_rng(seed).normal(size=512) for seed in seeds])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def write_my_signs(folder: Path) -> None:
    """Clips as the README supposes them: an .npz each, and a table."""
    rng = np.random.default_rng(0)
    (folder / "clips").mkdir(parents=True)
    columns = ("clip", "sign", "signer", "split", "fps", "width", "height")
    with open(folder / "clips.csv", "w", newline="") as stream:
        table = csv.DictWriter(stream, columns)
        table.writeheader()
        splits = {"anna": "train", "ben": "train", "carla": "train", "dora": "val", "emil": "test"}
        for signer, split in splits.items():
            for label, sign in enumerate(SIGNS):
                for take in range(2):
                    clip = f"{signer}_{sign}_{take}"
                    keypoint = 300 + 40 * label + rng.normal(scale=20, size=(12, 133, 2))
                    score = rng.uniform(0.5, 1, size=(12, 133))
                    np.savez(folder / "clips" / f"{clip}.npz", keypoint=keypoint, score=score)
                    table.writerow(dict(zip(columns, (clip, sign, signer, split, 25, 640, 480), strict=True)))


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Path:
    """A folder that looks like the checkout, with the reader's files in it."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    write_my_signs(tmp_path / "data" / "my_signs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(block: str) -> dict:
    """Run a block as a reader would."""
    names: dict = {}
    exec(compile(block, "README.md", "exec"), names)
    return names


def write_bank(descriptions: str, out: str) -> None:
    """What tools/gsp/encode.py does, with the encoder of this test."""
    build_text_bank(load_descriptions(descriptions), HashEncoder(), progress=False).save(out)


def test_no_python_block_is_left_out_of_these_tests():
    tested = ("import_mmaction_pickle", "slr500_name", "csv.DictReader")
    tested += ("# configs/my_signs_j.py", "coco17_limbs", "MultiPositiveKLLoss(tau=0.1)")
    for text in tested:
        block_with("python", text)
    assert len(blocks("python")) == len(tested)
    assert len(blocks("json")) == 1


def test_a_pickle_becomes_a_store(workplace, capsys):
    rng = np.random.default_rng(0)
    annotations = [
        {
            "frame_dir": f"P{signer:02d}_25_19_2._color",
            "label": 499,
            "signer": f"P{signer:02d}",
            "total_frames": 5,
            "img_shape": (720, 1280),
            "keypoint": rng.uniform(0, 700, (1, 5, 133, 2)).astype(np.float32),
            "keypoint_score": np.ones((1, 5, 133), np.float32),
        }
        for signer in (1, 2, 36)
    ]
    names = [annotation["frame_dir"] for annotation in annotations]
    content = {"annotations": annotations, "split": {"gsp35_train": names[:2], "gsp35_test": names[2:]}}
    Path("slr500_wholebody.pkl").write_bytes(pickle.dumps(content))
    store = run(block_with("python", "import_mmaction_pickle"))["store"]
    assert len(store) == 3
    out = capsys.readouterr().out
    assert "gsp35_train 2 clips, 2 signers" in out
    assert "gsp35_test 1 clips, 1 signers" in out


def test_a_file_name_of_slr500_is_read():
    read = run(block_with("python", "slr500_name"))["slr500_name"]
    assert read("P01_25_19_2._color.mp4") == ("P01", 499, "gsp35_train")
    assert read("P01_01_00_0_color.avi") == ("P01", 0, "gsp35_train")
    assert read("P36_02_03_4_color.avi") == ("P36", 23, "gsp35_test")


def test_four_streams_are_added_by_clip(workplace, capsys):
    clips, labels = np.array(["a", "b", "c"]), np.array([0, 1, 1])
    right, wrong = np.eye(2, dtype=np.float32)[labels], np.eye(2, dtype=np.float32)[1 - labels]
    nearly = 0.9 * right + 0.1 * wrong  # two streams of the same scores are refused
    for stream, scores in {"j": right, "b": nearly, "jm": wrong, "bm": 0.9 * wrong + 0.1 * right}.items():
        order = np.array([2, 0, 1]) if stream == "bm" else np.arange(3)  # aligned by clip, not by place
        predictions = Predictions(clips[order], labels[order], scores[order], np.array(["", "", ""]))
        save_predictions(f"work_dirs/gspmc_slr500_{stream}/test.npz", predictions)
    command = shlex.split(block_with("bash", "fuse_streams.py").replace("\\\n", " "))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, ROOT / command[1], *command[2:]], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    fused = json.loads(Path("work_dirs/slr500_fusion.json").read_text(encoding="utf-8"))
    assert fused["fused"]["top1"]["mean"] == pytest.approx(1.0)
    assert [row["weight"] for row in fused["streams"]] == pytest.approx([1 / 3, 1 / 3, 1 / 6, 1 / 6])


def test_the_way_of_your_own_data_ends_in_a_tested_model(workplace, capsys):
    store = run(block_with("python", "csv.DictReader"))["store"]
    assert len(store) == 30
    assert "train ['anna', 'ben', 'carla']" in capsys.readouterr().out

    (example,) = blocks("json")
    Path("data/my_signs/descriptions.json").write_text(example, encoding="utf-8")
    write_bank("data/my_signs/descriptions.json", "data/my_signs/text_bank.safetensors")
    assert TextBank.load("data/my_signs/text_bank.safetensors").classes == SIGNS

    Path("configs/my_signs_j.py").write_text(block_with("python", "# configs/my_signs_j.py"))
    config = Config.fromfile("configs/my_signs_j.py")
    assert config.train_dataloader.dataset.split == "train"
    assert config.test_dataloader.dataset.split == "test"
    small = {
        "model.backbone.base_channels": 8,
        "model.backbone.num_stages": 2,
        "model.backbone.inflate_stages": (),
        "model.cls_head.in_channels": 8,
        "model.cls_head.topk": (1, 2),
        "train_cfg.max_epochs": 1,
        "work_dir": "work_dirs/my_signs_j",
        "experiment_name": "readme",
        "log_level": "ERROR",
    }
    for loader in ("train", "val", "test"):
        small[f"{loader}_dataloader.num_workers"] = 0
        small[f"{loader}_dataloader.persistent_workers"] = False
    config.merge_from_dict(small)
    runner = Runner.from_cfg(config)
    runner.train()
    weight = runner.model.cls_head.text_projections["left_hand"].weight
    # the texts have moved it: a parameter without a gradient has no momentum
    momentum = runner.optim_wrapper.optimizer.state[weight]["momentum_buffer"]
    assert momentum.abs().sum() > 0
    assert 0 <= runner.test()["acc/top1"] <= 1
    assert list(Path("work_dirs/my_signs_j").glob("*.pth"))


def test_the_baseline_of_your_own_config_has_no_texts(workplace):
    (line,) = [line for block in blocks("bash") for line in block.splitlines() if "my_baseline" in line]
    options = dict(re.findall(r"([\w.]+)=(None)", line))
    assert set(options) == {"model.cls_head.text_bank", "model.part_pooling"}
    Path("configs/my_signs_j.py").write_text(block_with("python", "# configs/my_signs_j.py"))
    config = Config.fromfile("configs/my_signs_j.py")
    config.merge_from_dict(dict.fromkeys(options))
    with DefaultScope.overwrite_default_scope("mmaction"):
        model = MODELS.build(config.model)
    assert not model.cls_head.with_text
    assert model.part_pooling is None


def test_the_components_work_in_another_config(workplace):
    Path("configs/other.py").write_text(block_with("python", "coco17_limbs"))
    config = Config.fromfile("configs/other.py")
    parts = list(config.limbs.parts)
    signs = [
        {
            "label": label,
            "gloss": f"action {label}",
            "primary": f"words for {label}",
            "segments": [{"text": f"the {part} of {label}", "parts": [part]} for part in parts],
        }
        for label in range(60)
    ]
    content = dict(schema_version=1, name="actions", language="en", generator="test", parts=parts, signs=signs)
    Path("data/my_actions").mkdir(parents=True)
    Path("data/my_actions/descriptions.json").write_text(str(content).replace("'", '"'))
    write_bank("data/my_actions/descriptions.json", config.text_bank)

    with DefaultScope.overwrite_default_scope("mmaction"):
        from mmaction.registry import TRANSFORMS

        model = MODELS.build(config.model)
        load, pack = (TRANSFORMS.build(step) for step in config.end_of_train_pipeline)
    samples = []
    for label in (3, 7):
        packed = pack(load({"label": label, "keypoint": torch.zeros(1)}))
        assert isinstance(packed["data_samples"], ActionDataSample)
        samples.append(packed["data_samples"])
    losses = model(torch.randn(2, 1, 1, 16, 17, 3), samples, mode="loss")
    assert {"con_global", "con_left_arm", "con_head"} <= set(losses)
    (losses["loss_cls"] + losses["loss_con"]).backward()
    assert torch.isfinite(model.backbone.data_bn.weight.grad).all()


def test_the_loss_works_by_itself():
    names = run(block_with("python", "MultiPositiveKLLoss(tau=0.1)"))
    gradient = names["skeleton"].grad
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum() > 0


# ---- the figures ----


def test_the_figures_are_there_and_small():
    for name in ("method", "rooms", "sign87"):
        folder = ROOT / "docs" / "figures"
        assert (folder / f"{name}.svg").read_text(encoding="utf-8").lstrip().startswith("<?xml")
        assert (folder / f"{name}.png").stat().st_size < 200_000


def test_the_drawing_of_the_rooms_follows_the_contract(tmp_path, monkeypatch):
    script = ROOT / "docs" / "figures" / "make_figures.py"
    specification = importlib.util.spec_from_file_location("make_figures", script)
    figures = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(figures)
    floors = figures.read_floors()
    assert floors[0] == ["skeleton"]
    level = {room: number for number, rooms in enumerate(floors) for room in rooms}
    imports = figures.read_imports()
    assert ("poses", "skeleton") in imports
    assert ("models", "skeleton") in imports  # written as an absolute import, others as relative ones
    assert all(level[user] > level[used] for user, used in imports)

    contract = (ROOT / ".importlinter").read_text(encoding="utf-8")
    (tmp_path / "contract").write_text(contract.replace("gspmc_mm.gsp |", ""), encoding="utf-8")
    with pytest.raises(ValueError, match="gsp"):
        figures.read_floors(tmp_path / "contract")

    monkeypatch.setattr("sys.argv", ["make_figures.py", str(tmp_path), "--only", "rooms"])
    figures.main()
    assert sorted(path.name for path in tmp_path.glob("rooms.*")) == ["rooms.png", "rooms.svg"]
