"""configs/baselines: other networks in the place of PartCTRGCN, everything else but the rate the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmaction.models import STGCN
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope

from gspmc_mm.models import PoseVector

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
NAMES = sorted(path.stem for path in (CONFIGS / "baselines").glob("*.py"))
BACKBONES = {"linear": PoseVector, "stgcnpp": STGCN}


@pytest.mark.parametrize("name", NAMES)
def test_it_differs_from_the_baseline_in_the_network_and_its_optimizer_only(name: str) -> None:
    cfg = Config.fromfile(CONFIGS / "baselines" / f"{name}.py")
    network, data = name.split("_", 1)
    baseline = Config.fromfile(CONFIGS / f"ctrgcn_{data}.py")
    for key in {*cfg, *baseline} - {"model", "optim_wrapper", "numbers"}:
        assert cfg.get(key) == baseline.get(key), key
    rates = [dict(one.optim_wrapper.optimizer, lr=None, weight_decay=None) for one in (cfg, baseline)]
    assert rates[0] == rates[1]
    assert cfg.model.type == baseline.model.type
    init_default_scope("mmaction")
    model = MODELS.build(cfg.model)
    model.init_weights()
    assert type(model.backbone) is BACKBONES[network]
    samples = [ActionDataSample().set_gt_label(label) for label in range(4)]
    losses = model.train().loss(torch.randn(4, 1, 1, 16, 20, 7), samples)
    losses["loss_cls"].backward()
    assert losses["loss_cls"].isfinite()
    assert model.eval().extract_feat(torch.randn(2, 3, 1, 16, 20, 7), stage="head")[0].shape == (6, 100)
