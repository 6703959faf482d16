from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from gspmc_mm.evaluation.experiments.ablation_tables import DATA_SET_VARIABLE, TABLES

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
NAMES = sorted(path.stem for path in (CONFIGS / "ablations").glob("*.py"))
HANDS_ONLY = [name for name in NAMES if "hands" in name]
# What every config under configs/ablations/ takes away from its parent.
NO_VALIDATION = {"val_dataloader", "val_cfg", "val_evaluator"}
LoadAblation = Callable[[str, str], Config]


@pytest.fixture
def load_ablation(monkeypatch: pytest.MonkeyPatch) -> LoadAblation:
    def load(name: str, data: str) -> Config:
        monkeypatch.setenv(DATA_SET_VARIABLE, data)
        return Config.fromfile(CONFIGS / f"{name}.py")

    return load


def changed(first: Any, second: Any, path: str = "") -> Iterator[str]:
    """Dotted paths of what differs; of what one lacks, only the top."""
    if not (isinstance(first, Mapping) and isinstance(second, Mapping)):
        if first != second:
            yield path
        return
    for key in sorted({*first, *second}):
        below = f"{path}.{key}" if path else key
        if key in first and key in second:
            yield from changed(first[key], second[key], below)
        else:
            yield below


def data_of(name: str) -> str:
    # schedule_constant takes away what only wlasl100 has, topology_refined gives back what only wlasl100 lacks.
    from_wlasl = (*HANDS_ONLY, "schedule_constant", "topology_refined", "topology_refined_no_texts")
    return "wlasl100" if name in from_wlasl else "synthsign"


def test_every_config_stands_in_a_table_and_every_line_has_one() -> None:
    of_tables = {
        line.path(data)
        for table in TABLES.values()
        for data in ("synthsign", "wlasl100", "bdsl55", "slr500", "autsl")
        for line in table.lines_on(data)
    }
    assert {f"ablations/{name}.py" for name in NAMES} <= of_tables
    assert all((CONFIGS / path).is_file() for path in of_tables)


@pytest.mark.parametrize("name", NAMES)
def test_an_ablation_changes_one_thing(name: str, load_ablation: LoadAblation) -> None:
    data = data_of(name)
    config = load_ablation(f"ablations/{name}", data)
    without_texts = config.model.cls_head.get("text_bank") is None
    parent = load_ablation(f"{'ctrgcn' if without_texts else 'gspmc'}_{data}_j", data)
    differ = set(changed(parent.to_dict(), config.to_dict())) - NO_VALIDATION
    assert differ, f"{name} is its parent"
    groups = [
        {"model.cls_head.alpha"},
        {"model.cls_head.terms"},
        {"model.cls_head.negatives"},
        {"model.cls_head.positives"},
        {"model.cls_head.loss_con.tau"},
        {"model.cls_head.loss_con.target"},
        {"model.cls_head.loss_con.learn_tau", "optim_wrapper.paramwise_cfg.custom_keys"},
        {"model.pooling"},
        {"model.backbone.graph", "model.backbone.graph.refine"},
        {"custom_hooks"},
        {"train_dataloader.sampler", *(f"train_dataloader.sampler.{k}" for k in ("type", "clips_per_sign", "shuffle"))},
        {"train_dataloader.dataset.pipeline_overrides.LoadSignDescriptions.num_synonyms"},
        {
            *("text_bank", "model.cls_head.text_bank", "model.cls_head.terms"),
            "train_dataloader.dataset.pipeline_overrides.LoadSignDescriptions.text_bank",
        },
        {
            *("points", "model.backbone.layout", "model.part_pooling.layout", "model.cls_head.terms"),
            *(f"{loader}_dataloader.dataset.pipeline_overrides" for loader in ("train", "test")),
            "train_dataloader.dataset.pipeline_overrides.SelectKeypoints",
        },
    ]
    assert any(differ <= group for group in groups), differ


@pytest.mark.parametrize("data", ["synthsign", "wlasl100", "bdsl55", "slr500", "autsl"])
def test_the_configs_follow_the_data_set(data: str, load_ablation: LoadAblation) -> None:
    paths = {line.path(data) for table in TABLES.values() for line in table.lines_on(data)}
    assert paths
    for path in paths:
        config = load_ablation(path.removesuffix(".py"), data)
        assert config.train_dataloader.dataset.ann_file == f"data/{data}/poses.arrow"
        bank = config.model.cls_head.get("text_bank")
        assert bank is None or Path(bank).parent == Path("data") / data
        overrides = config.train_dataloader.dataset.get("pipeline_overrides", {})
        assert overrides.get("LoadSignDescriptions", {}).get("text_bank") == bank
        layout = config.model.backbone.layout
        for loader in (config.train_dataloader, config.test_dataloader):
            steps = {step["type"]: step for step in loader.dataset.pipeline}
            given = loader.dataset.get("pipeline_overrides", {}).get("SelectKeypoints", steps["SelectKeypoints"])
            assert given["layout"] == layout
        if bank is not None:
            assert config.model.part_pooling.layout == layout


@pytest.mark.parametrize("data", ["synthsign", "wlasl100"])
@pytest.mark.parametrize(
    ("name", "hooks"),
    [("constant", []), ("half", [("cosine", 0.5)]), ("cosine", [("cosine", 0.0)]), ("linear", [("linear", 0.0)])],
)
def test_there_is_one_schedule_at_most(data: str, name: str, hooks: list[tuple], load_ablation: LoadAblation) -> None:
    config = load_ablation(f"ablations/schedule_{name}", data)
    assert [(h["curve"], h["end"]) for h in config.custom_hooks if h["type"] == "ContrastScheduleHook"] == hooks
    names = [hook["type"] for hook in config.custom_hooks]
    assert "PlainCheckpointHook" in names


def test_slr500_is_what_they_are_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_SET_VARIABLE, raising=False)
    config = Config.fromfile(CONFIGS / "ablations" / "control_gloss.py")
    assert config.model.cls_head.text_bank == "data/slr500/text_bank_gloss.safetensors"
    assert config.model.cls_head.num_classes == 500


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_ablation_trains_a_step(
    name: str, load_ablation: LoadAblation, data_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data_root)
    monkeypatch.setattr("mmengine.config.config.FormatCode", lambda text, **style: (text, True))
    config = load_ablation(f"ablations/{name}", data_of(name))
    factor = config.model.cls_head.in_channels // config.model.backbone.base_channels
    config.model.backbone.base_channels, config.model.cls_head.in_channels = 8, 8 * factor
    config.train_dataloader.batch_size = 2
    config.train_cfg.max_epochs = 1
    config.param_scheduler = []
    config.work_dir, config.experiment_name = str(tmp_path), tmp_path.name
    config.vis_backends, config.visualizer, config.log_level = [], None, "ERROR"
    config.test_dataloader = config.test_cfg = config.test_evaluator = None
    losses: dict[str, float] = {}

    runner = Runner.from_cfg(config)
    step = runner.model.train_step

    def watched(*args: Any, **kwargs: Any) -> dict:
        logged = step(*args, **kwargs)
        losses.update({key: float(value.detach()) for key, value in logged.items()})
        return logged

    monkeypatch.setattr(runner.model, "train_step", watched)
    runner.train()
    assert all(math.isfinite(value) for value in losses.values())
    terms = {key.removeprefix("con_") for key in losses if key.startswith("con_")}
    if config.model.cls_head.get("text_bank") is None:
        assert terms == set()
    else:
        assert terms
        assert terms <= set(config.model.cls_head.get("terms") or terms)
