from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import mmaction
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
# own_data_j is a template for data of the user: it is run in tests/tools/test_own_data.py
NAMES = sorted(path.stem for path in CONFIGS.glob("*.py") if path.stem != "own_data_j")
STREAMS = ("j", "b", "jm", "bm")
# These are run as large as they are, one of each data set; the width of the others is an eighth.
FULL_SIZE = {"gspmc_slr500_j", "gspmc_autsl_bm", "gspmc_wlasl100_j", "gspmc_synthsign_j"}
NUM_CLASSES = {"slr500": 500, "autsl": 226, "wlasl100": 100, "synthsign": 40, "bdsl55": 55}
LAYOUT = {"slr500": "sign87", "autsl": "sign87", "wlasl100": "hands20", "synthsign": "sign39", "bdsl55": "sign39"}
# Of bdsl55 there are no descriptions.
WITH_TEXTS = ("slr500", "autsl", "wlasl100", "synthsign")
PARTS_OF = {
    "sign87": ("body", "left_hand", "right_hand", "mouth", "face"),
    "sign39": ("body", "left_hand", "right_hand", "mouth", "face"),
    "hands20": ("left_hand", "right_hand"),
}
INPUT_SHAPE = {
    "slr500": (1, 1, 64, 87, 3),
    "autsl": (1, 1, 64, 87, 3),
    "wlasl100": (1, 1, 16, 20, 7),
    "synthsign": (1, 1, 16, 39, 3),
    "bdsl55": (1, 1, 16, 39, 3),
}
LoadConfig = Callable[[str], Config]


def name_parts(name: str) -> tuple[str, str, str]:
    """gspmc_slr500_j_val -> gspmc, slr500, j."""
    method, data_set, stream = name.split("_")[:3]
    return method, data_set, stream


def differences(first: Any, second: Any, path: str = "") -> Iterator[str]:
    """Dotted paths at which two configs are not the same; of what one lacks, only the top."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        for key in sorted({*first, *second}):
            below = f"{path}.{key}" if path else key
            if key in first and key in second:
                yield from differences(first[key], second[key], below)
            else:
                yield below
    elif first != second:
        yield path


def tiny(cfg: Config, work_dir: Path, name: str) -> Config:
    """The config with batches of two, in this process."""
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        if cfg.get(loader) is not None:
            cfg[loader].update(batch_size=2, num_workers=0, pin_memory=False)
            cfg[loader].pop("persistent_workers", None)
    if name not in FULL_SIZE:
        factor = cfg.model.cls_head.in_channels // cfg.model.backbone.base_channels
        cfg.model.backbone.base_channels = 8
        cfg.model.cls_head.in_channels = 8 * factor
    cfg.work_dir = str(work_dir)
    cfg.experiment_name = work_dir.name
    cfg.vis_backends = []
    cfg.visualizer = None
    cfg.log_level = "ERROR"
    return cfg


@pytest.fixture(autouse=True)
def _plain_config_dump(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configs are dumped as they are: beautifying them takes longer than the step that is tested."""
    monkeypatch.setattr("mmengine.config.config.FormatCode", lambda text, **style: (text, True))


@pytest.fixture
def in_data_root(data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configs name their data relative to the working directory."""
    monkeypatch.chdir(data_root)


def make_runner(cfg: Config) -> Runner:
    """A Runner with its model and optimizer, as `Runner.train` has them when it begins."""
    runner = Runner.from_cfg(cfg)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    return runner


def test_the_experiments_of_the_design_are_there() -> None:
    wanted = {f"gspmc_{data_set}_{stream}" for data_set in ("slr500", "autsl", "wlasl100") for stream in STREAMS}
    wanted |= {f"ctrgcn_{data_set}_j" for data_set in NUM_CLASSES}
    wanted |= {f"gspmc_{data_set}_j" for data_set in WITH_TEXTS}
    assert wanted <= set(NAMES)


@pytest.mark.slow
@pytest.mark.usefixtures("in_data_root")
@pytest.mark.parametrize("name", NAMES)
def test_one_training_step_and_a_prediction(name: str, load: LoadConfig, tmp_path: Path) -> None:
    method, data_set, stream = name_parts(name)
    runner = make_runner(tiny(load(name), tmp_path, name))
    model, loop = runner.model, runner.build_train_loop(runner._train_loop)
    loop.dataloader.dataset.full_init()
    assert loop.dataloader.dataset.split in ("train", "gsp35_train", "gsp35_fit", "fold0_train")

    before = {key: value.clone() for key, value in model.named_parameters()}
    model.train()
    batch = next(iter(loop.dataloader))
    assert tuple(batch["inputs"][0].shape) == INPUT_SHAPE[data_set]
    assert [sample.stream for sample in batch["data_samples"]] == [stream] * 2
    logged = model.train_step(batch, runner.optim_wrapper)
    losses = {key: value.item() for key, value in logged.items()}
    assert all(math.isfinite(value) for value in losses.values())
    assert {key for key in losses if "loss" in key} == (
        {"loss", "loss_cls", "loss_con"} if method == "gspmc" else {"loss", "loss_cls"}
    )
    total = losses["loss_cls"] + losses.get("loss_con", 0.0)
    assert losses["loss"] == pytest.approx(total, rel=1e-5)
    terms = {key.removeprefix("con_") for key in losses if key.startswith("con_")}
    if method == "gspmc":
        assert {"global", "synonym"} <= terms <= {"global", "synonym", *PARTS_OF[LAYOUT[data_set]]}
        alpha = 1.0 if name.endswith("_attributes") else 0.5
        mean = np.mean([losses[f"con_{term}"] for term in terms])
        assert losses["loss_con"] == pytest.approx(alpha * mean, rel=1e-4)
    else:
        assert terms == set()
    moved = {key for key, value in model.named_parameters() if not torch.equal(value, before[key])}
    assert {"cls_head.fc.weight", "backbone.blocks.0.graph.values.weight"} <= moved
    assert ("cls_head.text_projections.global.weight" in moved) == (method == "gspmc")

    model.eval()
    loaders = {"test": runner.build_dataloader(runner.cfg.test_dataloader)}
    if runner.cfg.get("val_dataloader") is not None:
        loaders["val"] = runner.build_dataloader(runner.cfg.val_dataloader)
    for loader in loaders.values():
        batch = next(iter(loader))
        with torch.no_grad():
            samples = model.test_step(batch)
        assert len(samples) == 2
        for sample in samples:
            assert sample.stream == stream
            assert sample.pred_score.shape == (NUM_CLASSES[data_set],)
            assert float(sample.pred_score.sum()) == pytest.approx(1, abs=1e-4)
        evaluator = runner.build_evaluator(runner.cfg.test_evaluator)
        evaluator.dataset_meta = loader.dataset.metainfo
        evaluator.process(data_samples=samples, data_batch=batch)
        figures = evaluator.evaluate(2)
        assert set(figures) == {f"acc/top{k}{suffix}" for k in (1, 5) for suffix in ("", "_per_class")}


@pytest.mark.parametrize("name", NAMES)
def test_training_and_testing_look_at_different_clips_of_the_same_form(name: str, load: LoadConfig) -> None:
    cfg = load(name)
    _, data_set, stream = name_parts(name)
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
    assert train.split != test.split
    assert train.ann_file == test.ann_file == f"data/{data_set}/poses.arrow"
    assert train.num_classes == test.num_classes == cfg.model.cls_head.num_classes
    assert cfg.model.cls_head.num_classes == NUM_CLASSES[data_set]
    assert cfg.model.backbone.layout == LAYOUT[data_set]
    deterministic = [step for step in test.pipeline if step["type"].startswith("Random")]
    assert deterministic == []
    assert cfg.train_dataloader.drop_last  # the contrast needs batches of equal size on all ranks
    for pipeline, overrides in (
        (train.pipeline, train.get("pipeline_overrides", {})),
        (test.pipeline, test.get("pipeline_overrides", {})),
    ):
        types = [step["type"] for step in pipeline]
        step = pipeline[types.index("SkeletonStream")]
        assert overrides.get("SkeletonStream", step)["stream"] == stream
        assert pipeline[types.index("SelectKeypoints")]["layout"] == LAYOUT[data_set]
        if name.startswith("gspmc") and pipeline is train.pipeline:
            others = [other for other in ("shuffled", "attributes") if name.endswith(f"_{other}")]
            bank = "_".join(["text_bank", *others])
            assert overrides["LoadSignDescriptions"]["text_bank"] == cfg.model.cls_head.text_bank
            assert cfg.model.cls_head.text_bank == f"data/{data_set}/{bank}.safetensors"
    if cfg.get("val_dataloader") is not None and data_set != "wlasl100":  # its folds have no third part
        assert cfg.val_dataloader.dataset.split not in (train.split, test.split)


def test_tuning_looks_at_the_validation_split_as_a_test_looks_at_its_own(load: LoadConfig) -> None:
    cfg = load("gspmc_slr500_j_val").to_dict()
    assert set(differences(cfg["test_dataloader"], cfg["val_dataloader"])) == {"dataset.split"}
    assert cfg["val_dataloader"]["dataset"]["split"] == "gsp35_val"
    assert cfg["val_evaluator"] == cfg["test_evaluator"]


@pytest.mark.parametrize("data_set", WITH_TEXTS)
def test_gspmc_and_its_baseline_differ_in_the_texts_only(data_set: str, load: LoadConfig) -> None:
    baseline, ours = load(f"ctrgcn_{data_set}_j"), load(f"gspmc_{data_set}_j")
    found = set(differences(baseline.to_dict(), ours.to_dict()))
    if data_set == "wlasl100":  # few clips a sign: the weight of the texts falls
        found.remove("custom_hooks")
        assert [hook for hook in ours.custom_hooks if hook not in baseline.custom_hooks] == [
            dict(type="ContrastScheduleHook", start=1.0, end=0.5, curve="cosine")
        ]
    assert found == {
        "model.cls_head.alpha",
        "model.cls_head.loss_con",
        "model.cls_head.text_bank",
        "model.part_pooling",
        "text_bank",
        "train_dataloader.dataset.pipeline_overrides",
    }
    assert ours.model.part_pooling == dict(type="PartPooling", layout=LAYOUT[data_set])
    assert ours.model.cls_head.alpha == 0.5
    assert ours.model.cls_head.loss_con == dict(type="MultiPositiveKLLoss", tau=0.1)


@pytest.mark.parametrize("data_set", ["slr500", "autsl", "wlasl100"])
@pytest.mark.parametrize("stream", ["b", "jm", "bm"])
def test_the_streams_differ_in_the_stream_only(data_set: str, stream: str, load: LoadConfig) -> None:
    joint, other = load(f"gspmc_{data_set}_j").to_dict(), load(f"gspmc_{data_set}_{stream}").to_dict()
    loaders = ["train", "test"] + (["val"] if data_set != "slr500" else [])
    assert set(differences(joint, other)) == {
        "stream",
        "train_dataloader.dataset.pipeline_overrides.SkeletonStream",
        *(f"{loader}_dataloader.dataset.pipeline_overrides" for loader in loaders[1:]),
    }
    for loader in loaders:
        overrides = other[f"{loader}_dataloader"]["dataset"]["pipeline_overrides"]
        assert overrides["SkeletonStream"] == {"stream": stream}


def test_attributes_are_other_texts_with_shared_positives(load: LoadConfig) -> None:
    ours, attributes = load("gspmc_wlasl100_j"), load("gspmc_wlasl100_j_attributes")
    assert set(differences(ours.to_dict(), attributes.to_dict())) == {
        "text_bank",
        "model.cls_head.text_bank",
        "model.cls_head.alpha",
        "model.cls_head.positives",
        "model.cls_head.negatives",
        "train_dataloader.dataset.pipeline_overrides.LoadSignDescriptions.text_bank",
    }
    assert attributes.model.cls_head.positives == "text"


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("_shuffled")])
def test_the_control_differs_in_the_bank_only(name: str, load: LoadConfig) -> None:
    ours, control = load(name.removesuffix("_shuffled")).to_dict(), load(name).to_dict()
    assert set(differences(ours, control)) == {
        "model.cls_head.text_bank",
        "text_bank",
        "train_dataloader.dataset.pipeline_overrides.LoadSignDescriptions.text_bank",
    }


@pytest.mark.parametrize(
    ("data_set", "batch", "lr", "weight_decay"), [("slr500", 120, 0.06, 5e-4), ("autsl", 80, 0.04, 4e-4)]
)
def test_the_recipe_of_the_paper(data_set: str, batch: int, lr: float, weight_decay: float, load: LoadConfig) -> None:
    for name in (name for name in NAMES if name_parts(name)[1] == data_set):
        cfg = load(name)
        assert cfg.auto_scale_lr.base_batch_size == batch
        assert 8 * cfg.train_dataloader.batch_size == batch
        assert cfg.optim_wrapper.optimizer == dict(
            type="SGD", lr=lr, momentum=0.9, weight_decay=weight_decay, nesterov=True
        )
        assert cfg.train_cfg.max_epochs == 110
        backbone = cfg.model.backbone
        assert backbone == dict(type="PartCTRGCN", layout="sign87", in_channels=3, base_channels=64)


def learning_rates(cfg: Config, steps_per_epoch: int, work_dir: Path) -> np.ndarray:
    """The learning rate of every step, (epochs, steps), by the schedulers that the Runner builds."""
    cfg.model = dict(type="Classifier")
    cfg.train_dataloader = dict(
        batch_size=1,
        dataset=dict(type="Numbers", size=steps_per_epoch),
        sampler=dict(type="DefaultSampler", shuffle=False),
    )
    for key in ("val_dataloader", "val_cfg", "val_evaluator"):
        cfg[key] = None
    for key in ("test_dataloader", "test_cfg", "test_evaluator"):
        cfg[key] = None
    cfg.work_dir, cfg.experiment_name = str(work_dir), work_dir.name
    cfg.visualizer, cfg.log_level = None, "ERROR"
    cfg.default_hooks = dict(checkpoint=None, logger=None, timer=None, runtime_info=None, sampler_seed=None)
    cfg.custom_hooks = []
    runner = Runner.from_cfg(cfg)
    runner.train()
    rates = np.array(runner.model.rates).reshape(-1, steps_per_epoch)
    assert len(rates) == cfg.train_cfg.max_epochs
    return rates


@pytest.fixture
def dummies() -> Iterator[None]:
    """A model that notes the learning rates, and a data set of numbers."""
    from mmaction.registry import DATASETS, MODELS
    from mmengine.model import BaseModel

    class Classifier(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))
            self.rates: list[float] = []

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError("only train_step is called")

        def train_step(self, data: Any, optim_wrapper: Any) -> dict:
            self.rates.append(optim_wrapper.get_lr()["lr"][0])
            optim_wrapper.update_params(self.weight.sum())
            return {}

    class Numbers(torch.utils.data.Dataset):
        def __init__(self, size: int) -> None:
            self.size = size

        def __len__(self) -> int:
            return self.size

        def __getitem__(self, index: int) -> int:
            return index

    MODELS.register_module(module=Classifier)
    DATASETS.register_module(module=Numbers)
    yield
    del MODELS.module_dict["Classifier"], DATASETS.module_dict["Numbers"]


@pytest.mark.usefixtures("dummies")
@pytest.mark.parametrize(("name", "lr"), [("gspmc_slr500_j", 0.06), ("gspmc_autsl_j", 0.04)])
def test_the_staircase_of_the_paper(name: str, lr: float, load: LoadConfig, tmp_path: Path) -> None:
    rates = learning_rates(load(name), 2, tmp_path)
    warm_up = [0.2, 0.4, 0.6, 0.8, 1.0]
    stairs = [1.0] * 85 + [0.1] * 10 + [0.01] * 10
    expected = lr * np.array(warm_up + stairs)
    assert len(expected) == 110
    np.testing.assert_allclose(rates, np.repeat(expected[:, None], 2, axis=1), rtol=1e-9)


@pytest.mark.usefixtures("dummies")
def test_the_cosine_of_the_small_data_sets(load: LoadConfig, tmp_path: Path) -> None:
    steps = 5
    cfg = load("gspmc_wlasl100_j")
    lr, epochs = cfg.optim_wrapper.optimizer.lr, cfg.train_cfg.max_epochs
    rates = learning_rates(cfg, steps, tmp_path).ravel()
    warm = 2 * steps
    expected = [lr * (0.05 + 0.95 * step / (warm - 1)) for step in range(warm)]
    span = (epochs - 2) * steps
    expected += [lr * 0.5 * (1 + math.cos(math.pi * step / span)) for step in range(span)]
    assert rates[0] == pytest.approx(0.05 * lr)
    assert rates[warm - 1] == pytest.approx(lr)
    np.testing.assert_allclose(rates, expected, rtol=1e-6, atol=1e-9)


def run_tool(arguments: list[str], data_root: Path, repository: Path) -> str:
    """Run a tool of the installed mmaction in the folder of the tiny data; what it printed."""
    path = os.pathsep.join(filter(None, [str(repository), os.environ.get("PYTHONPATH")]))
    tool = Path(mmaction.__file__).parent / ".mim" / "tools" / arguments[0]
    done = subprocess.run(
        [sys.executable, str(tool), *arguments[1:]],
        cwd=data_root,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed[-4000:]
    return printed


@pytest.mark.slow
def test_mmactions_own_tools_run_our_configs(data_root: Path, repository: Path, tmp_path: Path) -> None:
    config = str(repository / "configs" / "gspmc_synthsign_j.py")
    options = [
        "model.backbone.base_channels=8",
        "model.backbone.num_stages=2",
        "model.backbone.inflate_stages=()",
        "model.cls_head.in_channels=8",
        "train_dataloader.batch_size=2",
    ]
    printed = run_tool(
        ["train.py", config, "--work-dir", str(tmp_path), "--cfg-options", *options]
        + ["train_cfg.max_epochs=1", "train_cfg.val_begin=1", "train_cfg.val_interval=1"]
        + ["default_hooks.checkpoint.interval=1"],
        data_root,
        repository,
    )
    validated = re.search(r"Epoch\(val\) \[1\].*acc/top1: (\S+)", printed)
    assert validated, printed[-4000:]
    assert "loss_con" in printed
    checkpoint = tmp_path / "epoch_1.pth"
    torch.load(checkpoint, weights_only=True)
    # The bank is not needed any more.
    bank = "model.cls_head.text_bank=nowhere.safetensors"
    printed = run_tool(
        ["test.py", config, str(checkpoint), "--work-dir", str(tmp_path), "--cfg-options", *options]
        + [bank, "test_dataloader.dataset.split=val"],
        data_root,
        repository,
    )
    tested = re.search(r"Epoch\(test\).*acc/top1: (\S+)", printed)
    assert tested, printed[-4000:]
    assert tested[1] == validated[1]
