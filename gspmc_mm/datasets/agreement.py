"""A check in front of every run: model, data and texts speak of the same signs, and all poses of the same estimator."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from gspmc_mm.datasets.sign_pose_dataset import PoseDataError, SignPoseDataset
from gspmc_mm.datasets.transforms import LoadSignDescriptions
from gspmc_mm.descriptions import TextBankError

_ESTIMATOR_KEY = "pose_estimator"


@HOOKS.register_module()
class CheckSignsHook(Hook):
    """Refuse to start when model, data and texts do not belong together.

    The parts of a config are built apart and each is sound by itself. Without this look at them together a label
    beyond the head ends in an assertion of the GPU that names no clip, a wrong bank trains silently, and a network is
    tested on poses of another estimator than the one it was trained on, which costs accuracy and no error says why.
    The estimator of the training poses is written into the meta of every checkpoint, so that a test knows it.

    Args:
        mix_estimators: Let poses of different estimators through, with a warning.

    Raises:
        PoseDataError: A clip's label is beyond the head's classes, or the poses are of different estimators.
        TextBankError: LoadSignDescriptions and the head name different texts.
    """

    priority = "VERY_HIGH"

    def __init__(self, mix_estimators: bool = False) -> None:
        self.mix_estimators = mix_estimators
        self._trained_on: Mapping[str, str] | None = None
        self._trained_where = ""

    def before_train(self, runner: Any) -> None:
        """Check the training data; what follows is compared with its estimator."""
        dataset = runner.train_dataloader.dataset
        check_signs(runner.model, dataset)
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
            self._check_estimators(val_loop.dataloader.dataset)

    def before_val(self, runner: Any) -> None:
        """Check the validation data."""
        check_signs(runner.model, runner.val_dataloader.dataset)
        self._check_estimators(runner.val_dataloader.dataset)

    def before_test(self, runner: Any) -> None:
        """Check the test data."""
        check_signs(runner.model, runner.test_dataloader.dataset)
        self._check_estimators(runner.test_dataloader.dataset)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Write the estimator of the training poses into the meta of the checkpoint."""
        if self._trained_on is not None:
            checkpoint.setdefault("meta", {})[_ESTIMATOR_KEY] = dict(self._trained_on)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Read it again."""
        estimator = checkpoint.get("meta", {}).get(_ESTIMATOR_KEY)
        if estimator:
            self._trained_on, self._trained_where = dict(estimator), "the checkpoint"

    def _check_estimators(self, dataset: Any) -> None:
        for signs in _sign_datasets(dataset):
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


def check_signs(model: Any, dataset: Any) -> None:
    """See `CheckSignsHook`; models and data sets of other kinds are let through."""
    head = getattr(model.module if is_model_wrapper(model) else model, "cls_head", None)
    classes = getattr(head, "num_classes", None)
    for signs in _sign_datasets(dataset):
        if classes is not None:
            _check_labels(classes, signs)
        if getattr(head, "bank", None) is not None:
            _check_texts(head, signs)


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


def _check_texts(head: Any, dataset: SignPoseDataset) -> None:
    for step in dataset.pipeline.transforms:
        if not isinstance(step, LoadSignDescriptions) or step.bank is None or step.bank is head.bank:
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
