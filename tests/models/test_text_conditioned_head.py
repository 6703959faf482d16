from __future__ import annotations

import copy
import os
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmaction.registry import MODELS

from gspmc_mm.descriptions import TextBankError
from gspmc_mm.models import TextConditionedHead, multi_positive_kl
from gspmc_mm.skeleton import PARTS

LABELS = [0, 1, 1, 4, 5, 3]


def make_head(bank_path=None, **others):
    settings = {"num_classes": 6, "in_channels": 12, "text_dim": 16, "text_bank": bank_path, **others}
    head = MODELS.build({"type": "TextConditionedHead", **settings})
    head.init_weights()
    return head


def make_features(batch=6, parts=PARTS):
    pooled = torch.randn(batch, 12, requires_grad=True)
    return pooled, {part: torch.randn(batch, 12, requires_grad=True) for part in parts}


def terms_by_hand(head, bank, pooled, parts, samples, tau=0.1):
    """Every term's loss from masks made text by text (labels as positives, the batch's texts)."""
    values = {}
    for index, name in enumerate(bank.term_names):
        rows = [row for s in samples for row in s.text_rows[index] if row >= 0]
        texts = sorted(set(map(int, rows)))
        if not texts:
            continue
        key = name if name in head.parts else "global"
        skeleton = head.text_projections[key](pooled if key == "global" else parts[name])
        has_text = [any(row >= 0 for row in s.text_rows[index]) for s in samples]
        positives = torch.tensor(
            [
                [own and bank.labels[t] == s.gt_label.item() for t in texts]
                for own, s in zip(has_text, samples, strict=True)
            ]
        )
        z = F.normalize(skeleton, dim=1) @ F.normalize(torch.tensor(bank.vectors[texts]), dim=1).t() / tau
        values[name] = 0.5 * (multi_positive_kl(z, positives) + multi_positive_kl(z.t(), positives.t()))
    return values


# ---- training ----


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_losses_equal_hand_computation(bank, bank_path, make_samples, alpha):
    head = make_head(bank_path, alpha=alpha)
    pooled, parts = make_features()
    samples = make_samples(bank, LABELS)
    losses = head.loss((pooled, parts), samples)
    assert {key for key in losses if "loss" in key} == {"loss_cls", "loss_con"}
    by_hand = terms_by_hand(head, bank, pooled, parts, samples)
    assert set(by_hand) == {"global", "synonym", "body", "left_hand", "right_hand", "mouth"}
    assert {key for key in losses if key.startswith("con_")} == {f"con_{name}" for name in by_hand}
    for name, value in by_hand.items():
        assert losses[f"con_{name}"].item() == pytest.approx(value.item(), rel=1e-5)
        assert not losses[f"con_{name}"].requires_grad
    mean = sum(by_hand.values()) / len(by_hand)
    assert losses["loss_con"].item() == pytest.approx(alpha * mean.item(), rel=1e-5)
    assert losses["loss_cls"].item() == pytest.approx(
        F.cross_entropy(head.fc(pooled), torch.tensor(LABELS)).item(), rel=1e-6
    )


def test_gradient_goes_through_projections_and_features(bank, bank_path, make_samples):
    head = make_head(bank_path)
    pooled, parts = make_features()
    samples = make_samples(bank, LABELS)
    head.loss((pooled, parts), samples)["loss_con"].backward()
    by_hand = terms_by_hand(head, bank, pooled, parts, samples)
    reference = 0.5 * torch.stack(list(by_hand.values())).mean()
    wanted = [pooled, parts["right_hand"], *head.text_projections["body"].parameters()]
    for tensor, expected in zip(wanted, torch.autograd.grad(reference, wanted), strict=True):
        torch.testing.assert_close(tensor.grad, expected, rtol=1e-4, atol=1e-8)
    assert head.fc.weight.grad is None  # the classifier learns from the cross entropy alone


def test_term_without_texts_is_dropped_and_its_projection_gets_a_zero(bank, bank_path, make_samples):
    head = make_head(bank_path)
    pooled, parts = make_features(2)
    losses = head.loss((pooled, parts), make_samples(bank, [4, 5]))
    assert {key for key in losses if key.startswith("con_")} == {
        "con_global",
        "con_synonym",
        "con_body",
        "con_right_hand",
    }
    sum(value for key, value in losses.items() if "loss" in key).backward()
    for name in ("left_hand", "mouth", "face"):
        for parameter in head.text_projections[name].parameters():
            assert torch.equal(parameter.grad, torch.zeros_like(parameter))
    assert head.text_projections["body"].weight.grad.abs().sum() > 0


def test_no_text_for_any_term(bank, bank_path, make_samples):
    head = make_head(bank_path)
    samples = make_samples(bank, [0, 1])
    for sample in samples:
        sample.text_rows = np.full_like(sample.text_rows, -1)
    losses = head.loss(make_features(2), samples)
    losses["loss_con"].backward()
    assert losses["loss_con"].item() == 0
    assert not any(key.startswith("con_") for key in losses)
    assert all(torch.equal(p.grad, torch.zeros_like(p)) for p in head.text_projections.parameters())


def test_global_and_synonym_share_one_projection(bank, bank_path):
    head = make_head(bank_path)
    assert list(head.text_projections) == ["global", *PARTS]
    assert all(p.weight.shape == (16, 12) for p in head.text_projections.values())


def test_rows_come_from_the_batch_or_from_the_bank(bank, bank_path, make_samples):
    pooled, parts = make_features()
    samples = make_samples(bank, LABELS)
    values = {}
    for negatives in ("batch", "bank"):
        torch.manual_seed(1)
        head = make_head(bank_path, negatives=negatives)
        values[negatives] = head.loss((pooled, parts), samples)
    # Every sign but one is in the batch: with its text as a further negative the loss can only grow.
    assert values["bank"]["con_global"] != values["batch"]["con_global"]
    # The global term over the whole bank, by hand.
    with torch.no_grad():
        rows = np.flatnonzero(bank.terms == 0)
        z = F.normalize(head.text_projections["global"](pooled), dim=1) @ torch.tensor(bank.vectors[rows]).t()
        positives = torch.tensor(LABELS)[:, None] == torch.tensor(bank.labels[rows])
        expected = 0.5 * (multi_positive_kl(z / 0.1, positives) + multi_positive_kl(z.t() / 0.1, positives.t()))
    assert values["bank"]["con_global"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_positives_by_text_change_the_shared_sentence_only(bank, bank_path, make_samples):
    pooled, parts = make_features(4)
    samples = make_samples(bank, [0, 1, 2, 3])
    values = {}
    for positives in ("label", "text"):
        torch.manual_seed(1)
        values[positives] = make_head(bank_path, positives=positives).loss((pooled, parts), samples)
    assert values["label"]["con_left_hand"] != values["text"]["con_left_hand"]
    assert torch.equal(values["label"]["con_global"], values["text"]["con_global"])


def test_label_smoothing_is_torchs(make_samples):
    head = make_head(label_smooth_eps=0.1)
    pooled, _ = make_features()
    found = head.loss((pooled, {}), make_samples(None, LABELS))["loss_cls"]
    expected = F.cross_entropy(head.fc(pooled), torch.tensor(LABELS), label_smoothing=0.1)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


def test_training_accuracy(make_samples):
    head = make_head(topk=(1, 2, 50))
    with torch.no_grad():
        head.fc.weight.zero_()
        head.fc.bias.copy_(torch.tensor([3.0, 2.0, 1.0, 0.0, 0.0, 0.0]))
    losses = head.loss(make_features(4), make_samples(None, [0, 1, 1, 5]))
    assert [losses[f"top{k}_acc"].item() for k in (1, 2, 50)] == [0.25, 0.75, 1.0]


@pytest.mark.parametrize("size", [1, 6])
def test_batch_of_one_and_of_as_many_as_classes(bank, bank_path, make_samples, size):
    """Sizes at which mmaction's own head takes the labels for soft labels."""
    losses = make_head(bank_path).loss(make_features(size), make_samples(bank, LABELS[:size]))
    assert torch.isfinite(losses["loss_cls"])
    assert torch.isfinite(losses["loss_con"])


def test_mixed_precision_contrast_in_float32(bank, bank_path, make_samples):
    head = make_head(bank_path)
    features, samples = make_features(), make_samples(bank, LABELS)
    expected = head.loss(features, samples)["loss_con"]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = head.loss(features, samples)["loss_con"]
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=0.03)


# ---- bad input ----


def test_bank_of_another_data_set_is_refused(bank_path):
    with pytest.raises(TextBankError, match="6 signs"):
        make_head(bank_path, num_classes=7)
    with pytest.raises(TextBankError, match="'tea'"):
        make_head(bank_path, classes=["book", "drink", "coffee", "house", "sleep", "work"])


def test_bank_of_another_width_is_refused(bank_path):
    with pytest.raises(ValueError, match="set text_dim=16"):
        make_head(bank_path, text_dim=512)


def test_bank_without_the_parts_is_refused(bank_path):
    with pytest.raises(ValueError, match="'left_leg'"):
        make_head(bank_path, parts=("body", "left_leg"))


def test_without_the_bank_file_it_predicts_but_does_not_train(tmp_path, bank, make_samples):
    head = make_head(str(tmp_path / "absent.safetensors"))
    pooled, parts = make_features()
    samples = head.predict(pooled, make_samples(None, LABELS))
    assert samples[0].pred_score.shape == (6,)
    with pytest.raises(FileNotFoundError, match=r"absent\.safetensors"):
        head.loss((pooled, parts), make_samples(bank, LABELS))


def test_a_bank_made_later_is_found(tmp_path, bank, make_samples):
    path = tmp_path / "later.safetensors"
    head = make_head(str(path))
    bank.save(path)
    assert torch.isfinite(head.loss(make_features(), make_samples(bank, LABELS))["loss_con"])


def test_samples_without_rows_are_refused(bank_path, make_samples):
    with pytest.raises(ValueError, match="LoadSignDescriptions"):
        make_head(bank_path).loss(make_features(), make_samples(None, LABELS))


def test_rows_of_another_bank_are_refused(bank, bank_path, make_bank, make_samples):
    head = make_head(bank_path)
    other = make_bank(parts=("body",))
    with pytest.raises(ValueError, match="3 terms"):
        head.loss(make_features(), make_samples(other, LABELS))
    samples = make_samples(bank, LABELS)
    samples[0].text_rows[0, 0] = len(bank)
    with pytest.raises(ValueError, match=f"up to row {len(bank)}"):
        head.loss(make_features(), samples)


@pytest.mark.parametrize("setting", [{"positives": "labels"}, {"negatives": "queue"}])
def test_unknown_modes_are_refused(setting):
    with pytest.raises(ValueError, match="is none of"):
        make_head(**setting)


# ---- inference, checkpoints ----


def test_state_dict_has_projections_and_no_text_vectors(bank_path):
    state = make_head(bank_path).state_dict()
    names = {f"text_projections.{p}.{k}" for p in ("global", *PARTS) for k in ("weight", "bias")}
    assert set(state) == {"fc.weight", "fc.bias", *names}


def test_classifier_alone_has_nothing_of_texts(make_samples):
    head = make_head()
    assert set(head.state_dict()) == {"fc.weight", "fc.bias"}
    assert set(head.loss(make_features(), make_samples(None, LABELS))) == {
        "loss_cls",
        "top1_acc",
        "top5_acc",
    }


def test_linear_layers_start_small(bank_path):
    head = make_head(bank_path)
    for layer in (head.fc, *head.text_projections.values()):
        assert 0.005 < layer.weight.std() < 0.015
        assert layer.bias.abs().sum() == 0


@pytest.mark.parametrize("average", ["prob", "score"])
def test_clips_of_a_video_are_averaged(average, make_samples):
    head = make_head(average_clips=average).eval()
    pooled = torch.randn(6, 12)  # 2 videos of 3 clips
    samples = head.predict(pooled, make_samples(None, [0, 1]))
    scores = head.fc(pooled)
    scores = scores.softmax(1) if average == "prob" else scores
    for video in range(2):
        expected = sum(scores[3 * video + clip] for clip in range(3)) / 3
        torch.testing.assert_close(samples[video].pred_score, expected)
        assert samples[video].pred_label.item() == expected.argmax().item()


def test_strip_text_leaves_the_classifier(bank_path, make_samples):
    head = make_head(bank_path)
    full = copy.deepcopy(head.state_dict())
    pooled = torch.randn(3, 12)
    before = head(pooled)
    head.strip_text()
    assert not head.with_text
    assert set(head.state_dict()) == {"fc.weight", "fc.bias"}
    assert torch.equal(head(pooled), before)
    assert "loss_con" not in head.loss(make_features(), make_samples(None, LABELS))
    head.load_state_dict(full, strict=True)  # and a checkpoint with texts still fits
    head.strip_text()  # once more does nothing


def test_strict_loading_still_reports_what_is_foreign(bank_path):
    state = make_head(bank_path).state_dict()
    make_head().load_state_dict(state, strict=True)
    state["fc.scale"] = torch.ones(1)
    with pytest.raises(RuntimeError, match=r"fc\.scale"):
        make_head().load_state_dict(state, strict=True)


@pytest.mark.parametrize("with_text", [True, False])
def test_pickle_and_deepcopy(bank_path, with_text):
    head = make_head(bank_path if with_text else None).eval()
    pooled = torch.randn(3, 12)
    for other in (copy.deepcopy(head), pickle.loads(pickle.dumps(head))):
        assert torch.equal(other(pooled), head(pooled))
        assert isinstance(other, TextConditionedHead)


def test_dropout_in_front_of_the_classifier(make_samples):
    head = make_head(dropout=0.5)
    pooled = torch.randn(3, 12)
    assert not torch.equal(head(pooled), head(pooled))
    head.eval()
    assert torch.equal(head(pooled), head.fc(pooled))


def test_path_objects_are_taken(bank_path):
    from pathlib import Path

    assert make_head(Path(bank_path)).text_bank_path == os.fspath(bank_path)


# ---- which terms enter; a learned temperature ----


@pytest.mark.parametrize("terms", [("global",), ("synonym",), ("global", "synonym"), ("left_hand", "mouth")])
def test_chosen_terms_are_the_only_ones(bank, bank_path, make_samples, terms):
    head = make_head(bank_path, terms=terms)
    pooled, parts = make_features()
    samples = make_samples(bank, LABELS)
    losses = head.loss((pooled, parts), samples)
    assert {key for key in losses if key.startswith("con_")} == {f"con_{term}" for term in terms}
    expected = [losses[f"con_{term}"].item() for term in terms]
    assert losses["loss_con"].item() == pytest.approx(0.5 * sum(expected) / len(expected), rel=1e-5)
    # No projection is made that no term uses: DDP would wait for its gradient.
    losses["loss_con"].backward()
    assert set(head.text_projections) == {"global" if term == "synonym" else term for term in terms}
    assert all(parameter.grad.abs().sum() > 0 for parameter in head.text_projections.parameters())


@pytest.mark.parametrize("terms", [(), ("global", "tail")])
def test_unknown_or_no_terms_are_refused(bank_path, terms):
    with pytest.raises(ValueError, match="terms="):
        make_head(bank_path, terms=terms)


def test_a_learned_temperature_stays_out_of_a_plain_classifier(bank, bank_path):
    head = make_head(bank_path, loss_con={"type": "MultiPositiveKLLoss", "tau": 0.1, "learn_tau": True})
    assert "loss_con.log_scale" in head.state_dict()
    missing = make_head(None).load_state_dict(head.state_dict())
    assert not missing.missing_keys
    assert not missing.unexpected_keys
