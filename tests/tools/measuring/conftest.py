"""Networks with random weights for the tiny synthetic set: what the tools that measure and draw are tried on."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope, init_default_scope

from gspmc_mm.evaluation.experiments.planning import parse_options
from gspmc_mm.evaluation.inference import load_trained, predict
from gspmc_mm.evaluation.predictions import save_predictions


@pytest.fixture(autouse=True)
def _own_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scope that a tool sets does not outlive the test."""
    monkeypatch.setattr(DefaultScope, "_instance_dict", DefaultScope._instance_dict.copy())


@dataclass(frozen=True)
class Bench:
    """A working folder with the tiny data, its configs and checkpoints."""

    folder: Path
    options: tuple[str, ...]
    baseline: Path
    texts: Path
    baseline_checkpoint: Path
    texts_checkpoint: Path

    @property
    def pair(self) -> list[str]:
        """CONFIG CKPT CONFIG2 CKPT2."""
        return [*map(str, (self.baseline, self.baseline_checkpoint, self.texts, self.texts_checkpoint))]

    def write_checkpoint(self, config: Path, path: Path, seed: int) -> Path:
        """Random weights of a config's network."""
        cfg = self.read(config)
        init_default_scope("mmaction")
        torch.manual_seed(seed)
        model = MODELS.build(cfg.model)
        torch.nn.init.normal_(model.cls_head.fc.weight)  # scores that differ from clip to clip
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"state_dict": model.state_dict(), "meta": {}}, path)
        return path

    def read(self, config: Path, *more: str) -> Config:
        """A config, tiny."""
        cfg = Config.fromfile(config)
        cfg.merge_from_dict(parse_options([*self.options, *more]))
        return cfg

    def write_folds(self, folder: Path, config: Path, splits: Sequence[str], seed: int = 0) -> Path:
        """A folder VARIANT/seedS as tools/analysis/signer_folds.py leaves it, one fold for each split."""
        for number, split in enumerate(splits):
            fold = folder / f"fold{number}"
            fold.mkdir(parents=True)
            cfg = self.read(config, f"test_dataloader.dataset.split={split}")
            cfg.dump(fold / config.name)
            checkpoint = self.write_checkpoint(config, fold / "epoch_1.pth", seed + number)
            record = {"identity": {"inputs": {}}, "trained": True, "tested": True, "checkpoint": str(checkpoint)}
            (fold / "fold.json").write_text(json.dumps(record))
            save_predictions(fold / "predictions.npz", predict(load_trained(cfg, checkpoint, "cpu")))
        return folder


@pytest.fixture(scope="module")
def networks(
    synthsign: Path, tiny: tuple[str, ...], repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """The tiny baseline and GSP-MC; the working folder is that of the data, as the configs name it."""
    folder = tmp_path_factory.mktemp("networks")
    configs = repository / "configs"
    bench = Bench(
        synthsign,
        tiny,
        configs / "ctrgcn_synthsign_j.py",
        configs / "gspmc_synthsign_j.py",
        folder / "ctrgcn" / "epoch_1.pth",
        folder / "gspmc" / "epoch_1.pth",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(synthsign)
        patch.setattr(DefaultScope, "_instance_dict", DefaultScope._instance_dict.copy())
        bench.write_checkpoint(bench.baseline, bench.baseline_checkpoint, 0)
        bench.write_checkpoint(bench.texts, bench.texts_checkpoint, 1)
        yield bench


@pytest.fixture
def tool(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Callable[[Sequence[str]], int]]:
    """`main` of a tool of tools/analysis by its name, run in this process."""
    folder = repository / "tools" / "analysis"
    monkeypatch.syspath_prepend(str(folder))

    def load(name: str) -> Callable[[Sequence[str]], int]:
        return runpy.run_path(str(folder / f"{name}.py"), run_name=name)["main"]

    return load
