"""A trained network and the clips of its test loader, without a runner: for measurements that test many times."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.registry import DATASETS, MODELS, TRANSFORMS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn
from torch.utils.data import DataLoader

from gspmc_mm.datasets.agreement import network_input, other_input, trained_input
from gspmc_mm.datasets.sign_pose_dataset import override_steps
from gspmc_mm.skeleton import Layout, get_layout

from .predictions import Predictions


class InferenceError(ValueError):
    """A config, a checkpoint or a data set that do not fit each other."""


@dataclass(frozen=True)
class Trained:
    """A network with its weights, ready to test.

    Attributes:
        config: of it.
        model: in evaluation mode, on its device.
        checkpoint: where the weights came from.
    """

    config: Config
    model: nn.Module
    checkpoint: Path


def read_config(path: str | os.PathLike[str], options: Mapping[str, Any] | None = None) -> Config:
    """Read a config and change it as `--cfg-options` do.

    Raises:
        FileNotFoundError: There is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"config {path} does not exist; see configs/ for what there is")
    config = Config.fromfile(path)
    if options:
        config.merge_from_dict(dict(options))
    return config


def load_trained(
    config: Config, checkpoint: str | os.PathLike[str], device: str | torch.device | None = None
) -> Trained:
    """Build the network of a config and give it the weights of a checkpoint.

    Args:
        config: with `model`.
        checkpoint: file that mmengine wrote, or a state dict.
        device: the GPU if there is one by default.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        InferenceError: The weights are those of another network, or it was trained on another stream or layout than
            the test pipeline gives.
    """
    checkpoint = Path(checkpoint)
    if not checkpoint.is_file():
        raise FileNotFoundError(f"no checkpoint at {checkpoint}: train with tools/train.py, which writes epoch_N.pth")
    init_default_scope(config.get("default_scope", "mmaction"))
    quiet = MMLogger.get_current_instance()
    level = quiet.level
    # How each weight was initialised, and that a bank which testing does not need is away, is of no interest here.
    quiet.setLevel(logging.ERROR)
    try:
        model = MODELS.build(config.model)
    finally:
        quiet.setLevel(level)
    content = CheckpointLoader.load_checkpoint(str(checkpoint), map_location="cpu", logger="silent")
    state = {name.removeprefix("module."): value for name, value in content.get("state_dict", content).items()}
    refuse_other_weights(model, state, checkpoint)
    difference = other_input(trained_input(content), configured_input(config), checkpoint)
    if difference:
        raise InferenceError(f"{config.filename}: {difference}")
    model.load_state_dict(state, strict=False)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return Trained(config, model.to(device).eval(), checkpoint)


def refuse_other_weights(model: nn.Module, state: Mapping[str, Any], where: str | os.PathLike[str]) -> None:
    """Compare names and shapes; what only training with texts needs may be missing or left over.

    Raises:
        InferenceError: They differ.
    """
    needed, found = (
        {name: tuple(getattr(value, "shape", ())) for name, value in one.items()} for one in (model.state_dict(), state)
    )
    wrong = [
        f"{name} is {found.get(name, 'missing')} in the file and {needed.get(name, 'unknown')} in the network"
        for name in sorted({**needed, **found})
        if needed.get(name) != found.get(name) and not {"text_projections", "loss_con"} & set(name.split("."))
    ]
    if wrong:
        raise InferenceError(
            f"checkpoint {where} is not of the network that the config describes: {wrong[0]}"
            + (f", and {len(wrong) - 1} more" if wrong[1:] else "")
        )


def dataset_config(config: Config, loader: str = "test_dataloader") -> dict[str, Any] | None:
    """The one data set of a loader, inside wrappers like RepeatDataset; None where there is no such one."""
    dataset = (config.get(loader) or {}).get("dataset")
    while isinstance(dataset, Mapping) and "dataset" in dataset:
        dataset = dataset["dataset"]
    return dict(dataset) if isinstance(dataset, Mapping) and "pipeline" in dataset else None


def pipeline_steps(config: Config, loader: str = "test_dataloader") -> list[dict[str, Any]]:
    """The steps of a loader's data set as it runs them, its `pipeline_overrides` applied.

    Raises:
        InferenceError: The config has no such loader with one data set.
    """
    dataset = dataset_config(config, loader)
    if dataset is None:
        found = (config.get(loader) or {}).get("dataset")
        raise InferenceError(f"{config.filename}: {loader}.dataset is not one data set with a pipeline; found {found}")
    return [dict(step) for step in override_steps(dataset["pipeline"], dataset.get("pipeline_overrides") or {})]


def configured_input(config: Config) -> dict[str, Any]:
    """`network_input` of the test pipeline of a config, as CheckSignsHook writes that of the training."""
    decisive = ("SelectKeypoints", "SkeletonStream")
    steps = [step for step in pipeline_steps(config) if str(step.get("type")).split(".")[-1] in decisive]
    return network_input(TRANSFORMS.build(step) for step in steps)


def network_layout(config: Config) -> Layout | None:
    """Layout of the joints that the network sees: that of the last SelectKeypoints, else the backbone's.

    None where neither says it: then the network sees all points of the file.
    """
    for step in reversed(pipeline_steps(config)):
        if str(step.get("type")).endswith("SelectKeypoints"):
            return get_layout(step.get("layout", "sign87"))
    layout = config.model.get("backbone", {}).get("layout")
    return None if layout is None else get_layout(layout)


def clip_loader(config: Config, before: Sequence[Mapping[str, Any]] = ()) -> DataLoader:
    """The test loader of a config, in the order of the data set.

    Args:
        config: with `test_dataloader`.
        before: steps that are put before the pipeline's own.
    """
    init_default_scope(config.get("default_scope", "mmaction"))
    settings = dict(config.test_dataloader)
    pipeline = [*map(dict, before), *pipeline_steps(config)]
    dataset = {**dataset_config(config), "pipeline": pipeline}
    dataset.pop("pipeline_overrides", None)
    settings["dataset"] = DATASETS.build(dataset)
    settings["sampler"] = dict(type="DefaultSampler", shuffle=False)
    return Runner.build_dataloader(settings, seed=0)


@torch.no_grad()
def predict(
    trained: Trained,
    before: Sequence[Mapping[str, Any]] = (),
    advance: Callable[[int], None] | None = None,
    info: Mapping[str, Any] | None = None,
) -> Predictions:
    """Class scores of every clip of the test loader.

    Args:
        trained: network and config.
        before: steps before the test pipeline, for instance a corruption.
        advance: told the clips of every batch.
        info: goes into the predictions.
    """
    loader = clip_loader(trained.config, before)
    names, labels, scores, signers = [], [], [], []
    for batch in loader:
        for sample in trained.model.test_step(batch):
            names.append(clip_name(sample, len(names)))
            labels.append(int(sample.gt_label.item()))
            scores.append(sample.pred_score.cpu().numpy())
            signers.append(str(sample.get("signer", "")))
        if advance is not None:
            advance(len(batch["data_samples"]))
    classes = getattr(loader.dataset, "metainfo", {}).get("classes") or ()
    return Predictions(
        clip_id=np.asarray(names),
        label=np.asarray(labels, dtype=np.int64),
        scores=np.stack(scores).astype(np.float32),
        signer=np.asarray(signers),
        classes=tuple(classes),
        info=dict(info or {}),
    )


@dataclass(frozen=True)
class Batch:
    """Clips on the device of the network.

    Attributes:
        inputs: (B, clips, M, T, V, C).
        clip_ids: B names.
        labels: (B,) int64.
    """

    inputs: Tensor
    clip_ids: tuple[str, ...]
    labels: np.ndarray


def batches(trained: Trained) -> Iterator[Batch]:
    """The clips of the test loader as the network gets them."""
    number = 0
    for batch in clip_loader(trained.config):
        data = trained.model.data_preprocessor(batch, training=False)
        samples = data["data_samples"]
        names = tuple(clip_name(sample, number + i) for i, sample in enumerate(samples))
        number += len(names)
        labels = np.asarray([int(sample.gt_label.item()) for sample in samples], dtype=np.int64)
        yield Batch(data["inputs"], names, labels)


def clip_name(sample: Any, number: int) -> str:
    """Id of a clip of the test data.

    Raises:
        InferenceError: The pipeline does not hand it on; `number` says which clip it was.
    """
    clip = sample.get("clip_id", sample.get("frame_dir"))
    if clip is None:
        raise InferenceError(
            f"clip number {number} of the test data has no id; add 'clip_id' to the meta_keys of PackActionInputs in "
            "the test pipeline"
        )
    return str(clip)
