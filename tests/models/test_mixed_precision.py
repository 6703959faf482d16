"""Training under autocast: bfloat16 and float16 take the steps of float32, and what has to stay exact stays float32."""

from __future__ import annotations

import pytest
import torch
from mmaction.registry import MODELS
from torch import nn

LABELS = [0, 1, 2, 3, 4, 5, 0, 1]


@pytest.fixture
def hands(make_bank, tmp_path):
    """A text bank with texts for the hands alone, and its path."""
    bank, path = make_bank(parts=("left_hand", "right_hand")), str(tmp_path / "bank.safetensors")
    bank.save(path)
    return bank, path


def recognizer(bank_path, memory="normal"):
    torch.manual_seed(3)
    backbone = {"type": "PartCTRGCN", "layout": "hands20", "base_channels": 16, "num_stages": 3, "memory": memory}
    model = MODELS.build(
        {
            "type": "PartPooledGCNRecognizer",
            "backbone": backbone,
            "cls_head": {
                "type": "TextConditionedHead",
                "num_classes": 6,
                "in_channels": 16,
                "text_dim": 16,
                "text_bank": bank_path,
            },
            "part_pooling": {"type": "PartPooling", "layout": "hands20"},
        }
    )
    model.init_weights()
    return model


def train(model, bank, samples, dtype, steps=30):
    """Losses of some steps on one batch."""
    torch.manual_seed(5)
    x = torch.randn(len(LABELS), 1, 1, 8, 20, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    history = []
    for _ in range(steps):
        with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            losses = model(x, samples, mode="loss")
        assert losses["loss_con"].dtype == torch.float32
        loss = losses["loss_cls"].float() + losses["loss_con"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return history


@pytest.mark.parametrize(
    ("dtype", "memory"), [(torch.bfloat16, "normal"), (torch.float16, "normal"), (torch.bfloat16, "low")]
)
def test_half_precision_trains_like_float32(hands, make_samples, dtype, memory):
    bank, bank_path = hands
    samples = make_samples(bank, LABELS)
    exact = train(recognizer(bank_path), bank, samples, None)
    model = recognizer(bank_path, memory)
    half = train(model, bank, samples, dtype)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert exact[-1] < 0.7 * exact[0]  # something is learnt
    assert half[0] == pytest.approx(exact[0], rel=0.02)
    assert half[-1] < 0.8 * half[0]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_statistics_and_parameters_stay_float32(hands, make_samples, dtype):
    bank, bank_path = hands
    model = recognizer(bank_path)
    train(model, bank, make_samples(bank, LABELS), dtype, steps=1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var.dtype == torch.float32
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}
