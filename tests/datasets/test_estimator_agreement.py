"""Poses of one estimator and one stream: training, validation, test and resumed training are held to them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn
from torch.utils.data import ConcatDataset, DataLoader

from gspmc_mm.datasets import CheckSignsHook, PoseDataError, SignPoseDataset
from gspmc_mm.descriptions import TextBankError
from gspmc_mm.poses import PoseClip, PoseStoreWriter, StoreHeader

HRNET = {"name": "hrnet", "version": "1.3.2", "weights": "w48.pth"}
OTHER_WEIGHTS = {**HRNET, "weights": "w32.pth"}
MEDIAPIPE = {"name": "mediapipe holistic", "version": "0.10.21", "weights": ""}
UNKNOWN = {"name": "", "version": "", "weights": ""}


@pytest.fixture
def dataset(tmp_path):
    def make(estimator: dict[str, str], steps: Sequence[dict] = ()) -> SignPoseDataset:
        path: Path = tmp_path / f"{abs(hash(tuple(estimator.values())))}.arrow"
        if not path.exists():
            with PoseStoreWriter(path, StoreHeader(layout="coco17", estimator=estimator)) as writer:
                points = np.ones((2, 17, 2), np.float32)
                writer.add(PoseClip("a", points, np.ones((2, 17), np.float32), 0, "s", 25.0, (64, 48)))
        return SignPoseDataset(str(path), pipeline=list(steps), num_classes=1)

    return make


def loader(dataset, **options):
    return DataLoader(dataset, **options)


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
    both = ConcatDataset([dataset(HRNET), dataset(MEDIAPIPE)])
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
    # The layout of the file is known, and written since checkpoints say the input of the network.
    assert checkpoint == {"meta": {"network_input": {"layout": "coco17"}}}


# ---- the input of the network ----


def stream(name, extra=(), layout="coco17"):
    return [dict(type="SelectKeypoints", layout=layout), dict(type="SkeletonStream", stream=name, extra=extra)]


def test_the_stream_is_written_into_the_checkpoint_and_a_test_on_another_one_refused(dataset):
    hook, checkpoint = CheckSignsHook(), {"meta": {}}
    hook.before_train(runner(train_dataloader=loader(dataset(HRNET, stream("b", ["velocity"])))))
    hook.before_save_checkpoint(None, checkpoint)
    assert checkpoint["meta"]["network_input"] == {"layout": "coco17", "stream": "b", "extra": ["velocity"]}

    tester = CheckSignsHook()
    tester.after_load_checkpoint(None, checkpoint)
    tester.before_test(runner(test_dataloader=loader(dataset(HRNET, stream("b", ["velocity"])))))
    for steps, words in (
        (stream("j", ["velocity"]), "gives stream 'j', but the network was trained on stream 'b' .the checkpoint."),
        (stream("b"), r"gives extra \[\], but .* extra \['velocity'\]"),
    ):
        with pytest.raises(PoseDataError, match=words):
            tester.before_test(runner(test_dataloader=loader(dataset(HRNET, steps))))


def test_a_validation_on_another_stream_is_refused_before_training(dataset):
    val = SimpleNamespace(dataloader=loader(dataset(HRNET, stream("b"))))
    with pytest.raises(PoseDataError, match=r"stream 'b', but the network was trained on stream 'j' .*\.arrow"):
        CheckSignsHook().before_train(runner(train_dataloader=loader(dataset(HRNET, stream("j"))), val_loop=val))


@pytest.mark.parametrize("resume", [True, False])
def test_resuming_keeps_the_stream_and_fine_tuning_may_change_it(dataset, resume):
    hook, checkpoint = CheckSignsHook(), {}
    hook.after_load_checkpoint(None, {"meta": {"network_input": {"stream": "j", "extra": []}}})
    training = runner(train_dataloader=loader(dataset(HRNET, stream("b"))), _resume=resume)
    if resume:
        with pytest.raises(PoseDataError, match="trained on stream 'j'"):
            hook.before_train(training)
        return
    hook.before_train(training)
    hook.before_save_checkpoint(None, checkpoint)
    assert checkpoint["meta"]["network_input"]["stream"] == "b"


def test_a_checkpoint_from_before_and_a_pipeline_without_a_stream_pass(dataset):
    hook = CheckSignsHook()
    for meta in ({}, {"network_input": {"stream": "b", "extra": []}}):
        hook.after_load_checkpoint(None, {"meta": meta})
        hook.before_test(runner(test_dataloader=loader(dataset(HRNET))))
    hook.after_load_checkpoint(None, {})
    hook.before_test(runner(test_dataloader=loader(dataset(HRNET, stream("j")))))


# ---- texts ----


def test_texts_of_the_head_alone_are_refused_before_the_first_step(dataset):
    head = SimpleNamespace(num_classes=1, bank=object(), text_bank_path="bank.safetensors")
    model, texts = SimpleNamespace(cls_head=head), [dict(type="LoadSignDescriptions")]
    with pytest.raises(TextBankError, match=r"bank\.safetensors, .*pipeline_overrides=dict\(LoadSignDescriptions="):
        CheckSignsHook().before_train(runner(model=model, train_dataloader=loader(dataset(HRNET, texts))))
    # A test needs no texts.
    CheckSignsHook().before_test(runner(model=model, test_dataloader=loader(dataset(HRNET, texts))))


def test_fewer_clips_than_a_batch_are_refused_where_they_would_be_left_out(dataset):
    few = loader(dataset(HRNET), batch_size=2, drop_last=True)
    with pytest.raises(PoseDataError, match=r"have 1 clips .* fewer than the 2 of a batch.*drop_last=False"):
        CheckSignsHook().before_train(runner(train_dataloader=few))
    CheckSignsHook().before_train(runner(train_dataloader=loader(dataset(HRNET), batch_size=2)))
