"""Training under autocast: bfloat16 and float16 take the steps of float32, and what has to stay exact stays float32."""

from __future__ import annotations

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.optim import build_optim_wrapper
from torch import nn

from gspmc_mm.models import bfloat16_is_native

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
        assert losses["loss_con"].dtype == losses["loss_cls"].dtype == torch.float32
        loss = losses["loss_cls"] + losses["loss_con"]
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


def steps_of(model, samples, wrapper, steps=6, batches=1):
    """Losses of some steps through an optimizer wrapper, as mmengine's training loop takes them."""
    torch.manual_seed(5)
    x = torch.randn(len(LABELS), 1, 1, 8, 20, 3)
    config = {"type": wrapper, "optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9}}
    optim_wrapper = build_optim_wrapper(model, config | {"accumulative_counts": batches})
    optim_wrapper.initialize_count_status(model, 0, steps)
    model.data_preprocessor = nn.Identity()
    model.data_preprocessor.forward = lambda data, training: data
    history = []
    for _ in range(steps):
        logged = model.train_step({"inputs": x, "data_samples": samples}, optim_wrapper)
        history.append(logged["loss"].item())
    return history


def test_the_wrapper_for_cpus_trains_like_the_one_in_float32(hands, make_samples):
    bank, bank_path = hands
    samples = make_samples(bank, LABELS)
    exact = steps_of(recognizer(bank_path), samples, "OptimWrapper")
    model = recognizer(bank_path)
    seen = set()
    model.backbone.blocks[-1].register_forward_hook(lambda module, args, output: seen.add(output.dtype))
    half = steps_of(model, samples, "CpuAmpOptimWrapper")
    assert seen == {torch.bfloat16}  # it did train in bfloat16
    assert half == pytest.approx(exact, rel=0.03)
    assert half != exact
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_wrapper_for_cpus_gathers_batches(hands, make_samples):
    bank, bank_path = hands
    samples = make_samples(bank, LABELS)
    model = recognizer(bank_path)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    first, second, *_, last = steps_of(model, samples, "CpuAmpOptimWrapper", steps=4, batches=4)
    assert first == second  # nothing has moved yet
    assert not all(map(torch.equal, before, model.parameters()))
    assert last == first
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize(
    ("abilities", "native"),
    [({"avx2": True, "avx512_f": True}, False), ({"avx512_bf16": True}, True), ({"bf16": True, "neon": True}, True)],
)
def test_which_processors_multiply_bfloat16(monkeypatch, abilities, native):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities, raising=False)
    assert bfloat16_is_native() is native


def test_an_old_pytorch_does_not_know_the_processor(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert bfloat16_is_native() is None
