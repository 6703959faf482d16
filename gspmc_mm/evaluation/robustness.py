"""Accuracy of trained networks on clips that something has happened to: cells of (corruption, severity) on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .corruptions import CORRUPTIONS, get_corruption
from .folds import pool_folds
from .inference import Trained, clip_loader, load_trained, network_layout, predict, read_config
from .predictions import Predictions, PredictionsError, load_predictions, save_predictions
from .provenance import config_hash, config_inputs, fingerprint, loader_splits
from .run_files import fold_folders, fold_record, unfinished

CLEAN = "clean"


class RobustnessError(ValueError):
    """A request that cannot be measured."""


@dataclass(frozen=True)
class Cell:
    """What is done to all clips: a corruption of one severity; `Cell()` for nothing."""

    corruption: str = CLEAN
    severity: float = 0.0

    @property
    def title(self) -> str:
        """What messages call it."""
        return CLEAN if self.corruption == CLEAN else f"{self.corruption} {self.severity:g}"

    @property
    def file(self) -> str:
        """Name of the file of its predictions."""
        return f"{self.title.replace(' ', '_')}.npz"

    def steps(self, seed: int) -> list[dict[str, Any]]:
        """What is put before the test pipeline."""
        if self.corruption == CLEAN:
            return []
        return [dict(type="CorruptSkeleton", corruption=self.corruption, severity=self.severity, seed=seed)]


def plan_cells(wanted: Sequence[str] = ()) -> list[Cell]:
    """The clean clips, then the corruptions.

    Args:
        wanted: NAME or NAME=SEVERITY,SEVERITY each; every corruption with its own severities if there are none.

    Raises:
        ValueError: An unknown corruption, one that is named twice, a severity that is no number or out of range.
    """
    cells: list[Cell] = [Cell()]
    for text in wanted or CORRUPTIONS:
        name, _, values = text.partition("=")
        corruption = get_corruption(name)
        try:
            severities = [float(value) for value in values.split(",")] if values else list(corruption.severities)
        except ValueError as error:
            raise RobustnessError(f"expected NAME=SEVERITY,SEVERITY with numbers, found {text!r}") from error
        for severity in sorted(severities):
            cells.append(Cell(name, corruption.check(severity)))
    twice = sorted({cell.title for cell in cells if cells.count(cell) > 1})
    if twice:
        raise RobustnessError(f"asked for more than once: {', '.join(twice)}")
    return cells


@dataclass(frozen=True)
class Run:
    """One network and the clips that it is tested on; `inputs` are fingerprints by path of what it was trained on."""

    config: Config
    checkpoint: Path
    inputs: Mapping[str, str] = field(default_factory=dict)

    def identity(self) -> dict[str, Any]:
        """What its predictions depend on."""
        decisive = {key: self.config[key] for key in ("model", "test_dataloader")}
        return {
            "config_sha256": config_hash(Config(decisive).to_dict()),
            "checkpoint": fingerprint(self.checkpoint),
            "data": sorted(config_inputs({"test": Config(decisive).test_dataloader.to_dict()}).values()),
        }

    def training(self) -> dict[str, Any]:
        """Splits and data as `fold.json` has them, for `independence_of_records`.

        The splits are those of the config. A plain checkpoint does not say which files it was trained on: then they
        are those that the config names.
        """
        loaders = {key: self.config.get(key) for key in ("train_dataloader", "test_dataloader")}
        splits = {key: ",".join(loader_splits(loader)) for key, loader in loaders.items()}
        return {
            "identity": {
                "splits": {key: split for key, split in splits.items() if split},
                "inputs": self.inputs or config_inputs(Config(loaders).to_dict()),
            }
        }


@dataclass(frozen=True)
class Contender:
    """A trained network, or the networks of the folds of one training, whose clips are pooled."""

    name: str
    config: Path
    checkpoint: Path
    runs: tuple[Run, ...]

    def why_not(self, cell: Cell) -> str | None:
        """Why a cell cannot exist for the joints that this network sees; None where it can."""
        layout = network_layout(self.runs[0].config)
        if cell.corruption == CLEAN or layout is None:
            return None
        return CORRUPTIONS[cell.corruption].why_not(layout)


def find_contender(
    name: str,
    config: str | os.PathLike[str],
    checkpoint: str | os.PathLike[str],
    options: Mapping[str, Any] | None = None,
) -> Contender:
    """A config with a checkpoint, or with a folder of folds.

    Args:
        name: what tables call it.
        config: file.
        checkpoint: a checkpoint, or a folder `.../VARIANT/seedS` of `tools/analysis/signer_folds.py` with `foldK` in
            it: every network is then tested on the signers that it has not seen, and the clips are pooled.
        options: settings of the config to override.

    Raises:
        FileNotFoundError: The config or the checkpoint is not there.
        RobustnessError: A fold is not finished, or is not of this config.
    """
    config, checkpoint = Path(config), Path(checkpoint)
    if not checkpoint.exists():
        raise FileNotFoundError(f"no checkpoint at {checkpoint}, neither a file nor a folder of folds")
    if not checkpoint.is_dir():
        return Contender(name, config, checkpoint, (Run(read_config(config, options), checkpoint),))
    folders = fold_folders(checkpoint)
    if not folders or len({folder.parent for folder in folders}) > 1:
        raise RobustnessError(
            f"{checkpoint} is a folder without foldK, or of several seeds; give a checkpoint, or a folder "
            "VARIANT/seedS that tools/analysis/signer_folds.py has written"
        )
    return Contender(name, config, checkpoint, tuple(_run_of_fold(folder, config, options) for folder in folders))


def _run_of_fold(folder: Path, config: Path, options: Mapping[str, Any] | None) -> Run:
    """The network of a fold, with the config that its training wrote beside it: CONFIG may have changed since."""
    if reason := unfinished(folder):
        raise RobustnessError(f"{folder} {reason}: run tools/analysis/signer_folds.py to its end first")
    written = folder / config.name
    if not written.is_file():
        raise RobustnessError(
            f"{folder} was not trained with {config.name}: its training wrote "
            f"{', '.join(sorted(path.name for path in folder.glob('*.py'))) or 'no config'} there"
        )
    # The record has the path of the day of the training; the folder may have been moved or copied since.
    record = fold_record(folder)
    checkpoint = folder / Path(record["checkpoint"]).name
    return Run(read_config(written, options), checkpoint, record.get("identity", {}).get("inputs", {}))


class Measurement:
    """The cells of one contender, measured once and kept.

    Args:
        contender: whose.
        folder: where the predictions of each cell lie, `CORRUPTION_SEVERITY.npz`.
        seed: of the corruptions.
        device: see `load_trained`.
    """

    def __init__(self, contender: Contender, folder: Path, seed: int = 0, device: str | None = None) -> None:
        self.contender, self.folder, self.seed, self.device = contender, folder, seed, device
        self._identity = [run.identity() for run in contender.runs]
        self._trained: list[Trained] | None = None
        self._clips: int | None = None

    def identity(self, cell: Cell) -> dict[str, Any]:
        """What the predictions of a cell depend on; kept predictions of something else are not taken."""
        return {
            "networks": self._identity,
            "corruption": cell.corruption,
            "severity": cell.severity,
            "seed": None if cell.corruption == CLEAN else self.seed,
        }

    def kept(self, cell: Cell) -> Predictions | None:
        """The predictions of a cell that was measured before, by the same networks on the same clips."""
        path = self.folder / cell.file
        if not path.is_file():
            return None
        try:
            found = load_predictions(path)
        except PredictionsError:
            return None  # measured again
        return found if found.info.get("identity") == self.identity(cell) else None

    @property
    def clips(self) -> int:
        """How many clips a cell has."""
        if self._clips is None:
            self._clips = sum(len(clip_loader(run.config).dataset) for run in self.contender.runs)
        return self._clips

    def measure(self, cell: Cell, advance: Callable[[int], None] | None = None) -> Predictions:
        """Test all networks of the contender on a cell, pool, and keep the predictions."""
        if self._trained is None:
            self._trained = [load_trained(run.config, run.checkpoint, self.device) for run in self.contender.runs]
        steps = cell.steps(self.seed)
        found = {i: predict(trained, steps, advance) for i, trained in enumerate(self._trained)}
        pooled = pool_folds(found) if len(found) > 1 else found[0]
        pooled = Predictions(
            pooled.clip_id,
            pooled.label,
            pooled.scores,
            pooled.signer,
            pooled.classes,
            {"identity": self.identity(cell)},
        )
        save_predictions(self.folder / cell.file, pooled)
        return pooled
