"""What a trained network knows beside its weights: the names of its signs, and whose poses it learnt from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader

from gspmc_mm.poses import PoseStore, PoseStoreError, StoreHeader
from gspmc_mm.poses.clip_list import read_text

from .inference import InferenceError, dataset_config

# Keys of a checkpoint's meta. mmengine writes what the training data say of themselves, CheckSignsHook the estimator.
DATA_KEY, CLASSES_KEY, ESTIMATOR_KEY = "dataset_meta", "classes", "pose_estimator"


@dataclass(frozen=True)
class TrainedFacts:
    """What is known of a training.

    Attributes:
        classes: names of the signs by label; empty where nothing says them.
        classes_from: what said them, in words.
        estimator: name, version and weights of the estimator of the training poses; empty where nothing says it.
        estimator_from: what said it, in words.
    """

    classes: tuple[str, ...] = ()
    classes_from: str = ""
    estimator: Mapping[str, str] = field(default_factory=dict)
    estimator_from: str = ""

    def gloss(self, label: int) -> str:
        """Name of a sign, its number where no names are known."""
        return self.classes[label] if self.classes else str(label)


def trained_facts(
    config: Config, checkpoint: str | os.PathLike[str], names: str | os.PathLike[str] | None = None
) -> TrainedFacts:
    """Gather what a checkpoint says in its meta, and failing that the config and the store that it was trained on.

    Args:
        config: of the network.
        checkpoint: file that mmengine wrote.
        names: text file with the name of each sign, one a line by label; it counts more than all else.

    Raises:
        FileNotFoundError: There is no such checkpoint or file of names.
        InferenceError: The names are not those of the network's classes.
    """
    if not Path(checkpoint).is_file():
        raise FileNotFoundError(f"no checkpoint at {checkpoint}: train with tools/train.py, which writes epoch_N.pth")
    meta = CheckpointLoader.load_checkpoint(str(checkpoint), map_location="cpu", logger="silent").get("meta") or {}
    count = config.model.cls_head.num_classes
    configured = _configured_names(config)
    trained = tuple(map(str, meta.get(CLASSES_KEY) or (meta.get(DATA_KEY) or {}).get(CLASSES_KEY) or ()))
    _refuse_other_signs(trained, configured, count, checkpoint)
    store = _training_store(config)
    stored, stored_estimator = ((), {}) if store is None else (tuple(store.classes or ()), store.estimator)
    candidates = [(trained, "the checkpoint"), (configured, "the config"), (stored, "the training store")]
    if names is not None:
        candidates = [(_read_names(names, count), os.fspath(names))]
    classes, classes_from = next((found for found in candidates if len(found[0]) == count), ((), ""))
    sources = [(meta.get(ESTIMATOR_KEY) or {}, "the checkpoint"), (stored_estimator, "the training store")]
    estimator, estimator_from = next((found for found in sources if found[0].get("name")), ({}, ""))
    return TrainedFacts(classes, classes_from, dict(estimator), estimator_from)


def _refuse_other_signs(
    trained: Sequence[str], configured: Sequence[str], count: int, checkpoint: str | os.PathLike[str]
) -> None:
    if trained and len(trained) != count:
        raise InferenceError(
            f"checkpoint {checkpoint} was trained on {len(trained)} signs ({trained[0]!r} to {trained[-1]!r}), but the "
            f"config has num_classes={count}; take the config of that training"
        )
    if trained and configured:
        for label, (ours, theirs) in enumerate(zip(trained, configured, strict=False)):
            if ours != theirs:
                raise InferenceError(
                    f"checkpoint {checkpoint} was trained on other signs than the config names: label {label} is "
                    f"{ours!r} in the checkpoint and {theirs!r} in the config"
                )


def _configured_names(config: Config) -> tuple[str, ...]:
    """Names of the signs where the config itself lists them."""
    dataset = dataset_config(config, "train_dataloader") or {}
    lists = (
        config.model.cls_head.get("classes"),
        dataset.get("classes"),
        (dataset.get("metainfo") or {}).get("classes"),
    )
    return next((tuple(map(str, names)) for names in lists if names and not isinstance(names, str)), ())


def _training_store(config: Config) -> StoreHeader | None:
    """Header of the store that the config trains on, if it is (still) there."""
    dataset = dataset_config(config, "train_dataloader") or {}
    files = dataset.get("ann_file") or ()
    root = dataset.get("data_root") or ""
    try:
        if isinstance(files, str):
            return PoseStore(os.path.join(root, files)).header
        return PoseStore([os.path.join(root, file) for file in files]).header
    except (FileNotFoundError, PoseStoreError):  # gone, or a pickle, which knows neither names nor estimator
        return None


def _read_names(path: str | os.PathLike[str], count: int) -> tuple[str, ...]:
    names = tuple(line.strip() for line in read_text(Path(path)).splitlines() if line.strip())
    if len(names) != count:
        raise InferenceError(
            f"{os.fspath(path)}: {len(names)} names, but the network has {count} classes; expected the name of each "
            "sign, one a line in the order of the labels"
        )
    return names
