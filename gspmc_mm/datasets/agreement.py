"""A check in front of every run: model, data and texts speak of the same signs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from gspmc_mm.datasets.sign_pose_dataset import PoseDataError, SignPoseDataset
from gspmc_mm.datasets.transforms import LoadSignDescriptions
from gspmc_mm.descriptions import TextBankError


@HOOKS.register_module()
class CheckSignsHook(Hook):
    """Refuse to start when the head has too few classes for the data, or takes its texts from another bank.

    The parts of a config are built apart and each is sound by itself. Without this look at them together a label
    beyond the head ends in an assertion of the GPU that names no clip, and a wrong bank trains silently.

    Raises:
        PoseDataError: A clip's label is beyond the head's classes.
        TextBankError: LoadSignDescriptions and the head name different texts.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner: Any) -> None:
        """Check the training data."""
        check_signs(runner.model, runner.train_dataloader.dataset)

    def before_val(self, runner: Any) -> None:
        """Check the validation data."""
        check_signs(runner.model, runner.val_dataloader.dataset)

    def before_test(self, runner: Any) -> None:
        """Check the test data."""
        check_signs(runner.model, runner.test_dataloader.dataset)


def check_signs(model: Any, dataset: Any) -> None:
    """See `CheckSignsHook`; models and data sets of other kinds are let through."""
    head = getattr(model.module if is_model_wrapper(model) else model, "cls_head", None)
    classes = getattr(head, "num_classes", None)
    for signs in _sign_datasets(dataset):
        if classes is not None:
            _check_labels(classes, signs)
        if getattr(head, "bank", None) is not None:
            _check_texts(head, signs)


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
