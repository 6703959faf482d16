"""Poses of one estimator: training, validation, test and resumed training are held to it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

from gspmc_mm.datasets import CheckSignsHook, PoseDataError, SignPoseDataset
from gspmc_mm.poses import PoseClip, PoseStoreWriter, StoreHeader

HRNET = {"name": "hrnet", "version": "1.3.2", "weights": "w48.pth"}
OTHER_WEIGHTS = {**HRNET, "weights": "w32.pth"}
MEDIAPIPE = {"name": "mediapipe holistic", "version": "0.10.21", "weights": ""}
UNKNOWN = {"name": "", "version": "", "weights": ""}


@pytest.fixture
def dataset(tmp_path):
    def make(estimator: dict[str, str]) -> SignPoseDataset:
        path: Path = tmp_path / f"{abs(hash(tuple(estimator.values())))}.arrow"
        if not path.exists():
            with PoseStoreWriter(path, StoreHeader(layout="coco17", estimator=estimator)) as writer:
                points = np.ones((2, 17, 2), np.float32)
                writer.add(PoseClip("a", points, np.ones((2, 17), np.float32), 0, "s", 25.0, (64, 48)))
        return SignPoseDataset(str(path), pipeline=[], num_classes=1)

    return make


def loader(dataset):
    return SimpleNamespace(dataset=dataset)


def runner(**parts):
    facts = {"model": nn.Identity(), "_resume": False, "val_loop": None}
    return SimpleNamespace(**{**facts, **parts})


def test_one_estimator_passes_and_is_written_into_the_checkpoint(dataset):
    hook, checkpoint = CheckSignsHook(), {"meta": {}}
    val = SimpleNamespace(dataloader=loader(dataset(HRNET)))
    hook.before_train(runner(train_dataloader=loader(dataset(HRNET)), val_loop=val))
    hook.before_val(runner(val_dataloader=loader(dataset(HRNET))))
    hook.before_save_checkpoint(None, checkpoint)
    assert checkpoint["meta"]["pose_estimator"] == HRNET


@pytest.mark.parametrize("other", [MEDIAPIPE, OTHER_WEIGHTS])
def test_another_estimator_in_the_validation_is_refused_before_training(dataset, other):
    val = SimpleNamespace(dataloader=loader(dataset(other)))
    with pytest.raises(PoseDataError, match="trained on poses of 'hrnet"):
        CheckSignsHook().before_train(runner(train_dataloader=loader(dataset(HRNET)), val_loop=val))


def test_a_test_knows_the_estimator_from_the_checkpoint(dataset):
    hook = CheckSignsHook()
    hook.after_load_checkpoint(None, {"meta": {"pose_estimator": HRNET}})
    hook.before_test(runner(test_dataloader=loader(dataset(HRNET))))
    with pytest.raises(PoseDataError, match=r"mediapipe holistic 0\.10\.21.*mix_estimators=True"):
        hook.before_test(runner(test_dataloader=loader(dataset(MEDIAPIPE))))


def test_mixing_can_be_forced_and_is_warned_of(dataset, caplog):
    hook = CheckSignsHook(mix_estimators=True)
    hook.after_load_checkpoint(None, {"meta": {"pose_estimator": HRNET}})
    with caplog.at_level("WARNING"):
        hook.before_test(runner(test_dataloader=loader(dataset(MEDIAPIPE))))


def test_a_resumed_training_keeps_its_estimator_and_a_new_one_does_not(dataset):
    for resume in (True, False):
        hook = CheckSignsHook()
        hook.after_load_checkpoint(None, {"meta": {"pose_estimator": HRNET}})
        training = runner(train_dataloader=loader(dataset(MEDIAPIPE)), _resume=resume)
        if resume:
            with pytest.raises(PoseDataError, match="the checkpoint"):
                hook.before_train(training)
        else:  # fine-tuning on other poses is a choice
            hook.before_train(training)
            hook.before_val(runner(val_dataloader=loader(dataset(MEDIAPIPE))))


def test_two_training_stores_of_different_estimators(dataset):
    both = SimpleNamespace(datasets=[dataset(HRNET), dataset(MEDIAPIPE)])
    with pytest.raises(PoseDataError, match="mediapipe"):
        CheckSignsHook().before_train(runner(train_dataloader=loader(both)))


def test_an_unknown_estimator_and_an_old_checkpoint_pass(dataset):
    hook = CheckSignsHook()
    hook.after_load_checkpoint(None, {"meta": {}})
    hook.before_test(runner(test_dataloader=loader(dataset(HRNET))))
    hook.before_train(runner(train_dataloader=loader(dataset(UNKNOWN))))
    hook.before_val(runner(val_dataloader=loader(dataset(HRNET))))
    checkpoint = {}
    hook.before_save_checkpoint(None, checkpoint)
    assert checkpoint == {}
