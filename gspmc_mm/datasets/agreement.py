"""A check in front of every run: model, data and texts are of the same signs, all poses of one kind and one stream."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from gspmc_mm.datasets.pose_sources import PoseDataError
from gspmc_mm.datasets.sign_pose_dataset import SignPoseDataset
from gspmc_mm.datasets.transforms import LoadSignDescriptions, SelectKeypoints, SkeletonStream
from gspmc_mm.descriptions import TextBankError

_ESTIMATOR_KEY = "pose_estimator"
_INPUT_KEY = "network_input"


@HOOKS.register_module()
class CheckSignsHook(Hook):
    """Refuse to start when model, data and texts do not belong together.

    The parts of a config are built apart and each is sound by itself. Without this look at them together a label
    beyond the head ends in an assertion of the GPU that names no clip, a wrong bank trains silently, and a network is
    tested on poses of another estimator, or on another stream, than it was trained on, which costs accuracy and no
    error says why. The estimator of the training poses and the input of the network (stream, extra channels, layout)
    are written into the meta of every checkpoint, so that a test knows them.

    Args:
        mix_estimators: Let poses of different estimators through, with a warning.

    Raises:
        PoseDataError: There are fewer training clips than a batch has, a clip's label is beyond the head's classes, or
            the poses are of different estimators, or the stream, extra channels or layout are not those of the
            training.
        TextBankError: LoadSignDescriptions and the head name different texts, or only the head has any.
    """

    priority = "VERY_HIGH"

    def __init__(self, mix_estimators: bool = False) -> None:
        self.mix_estimators = mix_estimators
        self._trained_on: Mapping[str, str] | None = None
        self._trained_where = ""
        self._trained_input: Mapping[str, Any] = {}
        self._input_where = ""

    def before_train(self, runner: Any) -> None:
        """Check the training data; what follows is compared with its estimator and its input."""
        dataset = runner.train_dataloader.dataset
        _check_length(runner.train_dataloader)
        check_signs(runner.model, dataset, training=True)
        self._train_input(dataset, resumed=getattr(runner, "_resume", False))
        stores = [(_estimator(signs), signs) for signs in _sign_datasets(dataset)]
        known = [(estimator, signs) for estimator, signs in stores if estimator is not None]
        if self._trained_on is not None and getattr(runner, "_resume", False):
            # A resumed training goes on with the poses that it began with.
            for estimator, signs in known:
                self._compare(estimator, signs)
        for i, (estimator, signs) in enumerate(known):
            if i == 0:
                self._trained_on, self._trained_where = estimator, str(signs.ann_file)
            else:
                self._compare(estimator, signs)
        # Not only when it is first looked at, which may be hours later.
        val_loop = getattr(runner, "val_loop", None)
        if val_loop is not None:
            self._check_poses(val_loop.dataloader.dataset)

    def before_val(self, runner: Any) -> None:
        """Check the validation data."""
        check_signs(runner.model, runner.val_dataloader.dataset)
        self._check_poses(runner.val_dataloader.dataset)

    def before_test(self, runner: Any) -> None:
        """Check the test data."""
        check_signs(runner.model, runner.test_dataloader.dataset)
        self._check_poses(runner.test_dataloader.dataset)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Write estimator and input of the training into the meta of the checkpoint."""
        if self._trained_on is not None:
            checkpoint.setdefault("meta", {})[_ESTIMATOR_KEY] = dict(self._trained_on)
        if self._trained_input:
            checkpoint.setdefault("meta", {})[_INPUT_KEY] = dict(self._trained_input)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Read them again; a checkpoint from before they were written says nothing."""
        self._trained_input, self._input_where = trained_input(checkpoint), "the checkpoint"
        estimator = checkpoint.get("meta", {}).get(_ESTIMATOR_KEY)
        if estimator:
            self._trained_on, self._trained_where = dict(estimator), "the checkpoint"

    def _train_input(self, dataset: Any, resumed: bool) -> None:
        """Take the input of the first training data; the others, and what was trained before, have to have the same."""
        if not resumed:  # fine-tuning on another stream is a choice
            self._trained_input = {}
        for signs in _sign_datasets(dataset):
            self._compare_input(signs)
            if not self._trained_input:
                self._trained_input, self._input_where = dataset_input(signs), str(signs.ann_file)

    def _compare_input(self, signs: SignPoseDataset) -> None:
        difference = other_input(self._trained_input, dataset_input(signs), self._input_where)
        if difference:
            raise PoseDataError(f"{signs.ann_file}: {difference}")

    def _check_poses(self, dataset: Any) -> None:
        for signs in _sign_datasets(dataset):
            self._compare_input(signs)
            estimator = _estimator(signs)
            if estimator is not None and self._trained_on is not None:
                self._compare(estimator, signs)

    def _compare(self, estimator: Mapping[str, str], signs: SignPoseDataset) -> None:
        if dict(estimator) == dict(self._trained_on):
            return
        message = (
            f"{signs.ann_file}: the poses are of {_named(estimator)}, but the network was trained on poses of "
            f"{_named(self._trained_on)} ({self._trained_where}). Extract both with the same estimator, version and "
            "weights"
        )
        if not self.mix_estimators:
            raise PoseDataError(f"{message}, or let them through with CheckSignsHook(mix_estimators=True)")
        print_log(f"{message}. They were let through (mix_estimators=True)", logger="current", level=logging.WARNING)


def network_input(steps: Iterable[Callable]) -> dict[str, Any]:
    """What a pipeline hands to the network: `stream` and `extra` channels of SkeletonStream, name of the `layout`.

    Args:
        steps: The built transforms. What none of them decides is left out.
    """
    found: dict[str, Any] = {}
    for step in steps:
        if isinstance(step, SelectKeypoints):
            found["layout"] = step.layout.name
        elif isinstance(step, SkeletonStream):
            found.update(stream=step.stream, extra=list(step.extra))
    return found


def dataset_input(dataset: SignPoseDataset) -> dict[str, Any]:
    """`network_input` of a data set; a pipeline that selects no points has the layout of the file."""
    dataset.full_init()
    return {"layout": dataset.metainfo["layout"], **network_input(dataset.pipeline.transforms)}


def trained_input(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The `network_input` that CheckSignsHook wrote into a checkpoint; empty where it is from before that."""
    return dict((checkpoint.get("meta") or {}).get(_INPUT_KEY) or {})


def other_input(trained: Mapping[str, Any], found: Mapping[str, Any], where: str | os.PathLike[str]) -> str | None:
    """In words, where a `network_input` is another than that of the training; None where both say the same.

    What only one of them says is not compared.

    Args:
        trained: Of the training.
        found: Of the data at hand.
        where: What says how it was trained, for the message.
    """
    for key, value in found.items():
        if key in trained and trained[key] != value:
            step = "SelectKeypoints" if key == "layout" else "SkeletonStream"
            return (
                f"the pipeline gives {key} {value!r}, but the network was trained on {key} {trained[key]!r} "
                f"({os.fspath(where)}). Take config and checkpoint of the same training, or set {key} of {step} in the "
                "pipeline"
            )
    return None


def check_signs(model: Any, dataset: Any, training: bool = False) -> None:
    """See `CheckSignsHook`; models and data sets of other kinds are let through.

    Args:
        model: With or without its wrapper.
        dataset: Checked against it.
        training: The samples have to carry texts if the head has some.
    """
    head = getattr(model.module if is_model_wrapper(model) else model, "cls_head", None)
    classes = getattr(head, "num_classes", None)
    for signs in _sign_datasets(dataset):
        if classes is not None:
            _check_labels(classes, signs)
        if getattr(head, "bank", None) is not None:
            _check_texts(head, signs, training)


def _check_length(dataloader: Any) -> None:
    """Without this a training without a single step would end well, with an untouched network as its result."""
    if len(dataloader) == 0:
        raise PoseDataError(
            f"the training data have {len(dataloader.dataset)} clips for this process, fewer than the "
            f"{dataloader.batch_size} of a batch, and drop_last leaves that one out: nothing would be learnt. Set a "
            "smaller train_dataloader.batch_size, or drop_last=False"
        )


def _estimator(dataset: SignPoseDataset) -> Mapping[str, str] | None:
    """What found the poses of a data set; None where the file does not say."""
    dataset.full_init()
    estimator = dataset.metainfo.get("estimator") or {}
    return estimator if estimator.get("name") else None


def _named(estimator: Mapping[str, str]) -> str:
    parts = [estimator.get(key, "") for key in ("name", "version", "weights")]
    return repr(" ".join(part for part in parts if part))


def _check_labels(classes: int, dataset: SignPoseDataset) -> None:
    beyond = np.flatnonzero(dataset.labels >= classes)
    if len(beyond):
        clip = dataset.load_data_list()[beyond[0]]
        raise PoseDataError(
            f"{dataset.ann_file}: clip {clip['clip_id']!r} has label {clip['label']}, but the model has {classes} "
            f"classes; set num_classes of the model's cls_head to that of the data ({dataset.num_classes})"
        )


def _check_texts(head: Any, dataset: SignPoseDataset, training: bool) -> None:
    for step in dataset.pipeline.transforms:
        if not isinstance(step, LoadSignDescriptions) or step.bank is head.bank:
            continue
        if step.bank is None:
            if training:
                raise TextBankError(
                    f"the model's cls_head has the texts of {os.fspath(head.text_bank_path)}, and LoadSignDescriptions "
                    "in the training pipeline has none; set train_dataloader.dataset.pipeline_overrides=dict("
                    "LoadSignDescriptions=dict(text_bank=...)) to the same bank, or text_bank=None in the head"
                )
            continue
        ours, theirs = step.bank, head.bank
        if ours.texts != theirs.texts or any(
            not np.array_equal(getattr(ours, name), getattr(theirs, name)) for name in ("labels", "terms", "text_ids")
        ):
            raise TextBankError(
                f"LoadSignDescriptions takes its texts from {step.text_bank} and the model's cls_head from "
                f"{os.fspath(head.text_bank_path)}, which are different texts; both have to name the same bank"
            )


def _sign_datasets(dataset: Any) -> Iterator[SignPoseDataset]:
    """The sign data sets inside mmengine's wrappers (RepeatDataset, ConcatDataset, ClassBalancedDataset)."""
    if isinstance(dataset, SignPoseDataset):
        yield dataset
    elif hasattr(dataset, "datasets"):
        for inner in dataset.datasets:
            yield from _sign_datasets(inner)
    elif hasattr(dataset, "dataset"):
        yield from _sign_datasets(dataset.dataset)
