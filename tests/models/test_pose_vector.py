from __future__ import annotations

import pytest
import torch
from mmaction.registry import MODELS

from gspmc_mm.models import PoseVector


def test_every_number_is_standardised_by_itself() -> None:
    x = 3 + 2 * torch.randn(40, 1, 2, 3, 4)
    vector = PoseVector(24).train()(x)
    assert vector.shape == (40, 1, 24, 1, 1)
    expected = x.flatten(1)
    expected = (expected - expected.mean(0)) / expected.var(0, correction=0).add(1e-5).sqrt()
    torch.testing.assert_close(vector.flatten(1), expected)


def test_what_was_seen_is_used_in_a_test() -> None:
    net = PoseVector(6).train()
    for _ in range(60):
        net(5 + torch.randn(64, 1, 1, 2, 3))
    alone = net.eval()(torch.full((1, 1, 1, 2, 3), 5.0))
    assert alone.abs().max() < 0.3
    assert not list(net.parameters())


def test_a_clip_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"built for 24 numbers a clip and got 18 \(2 x 3 x 3\)"):
        MODELS.build(dict(type="PoseVector", num_features=24))(torch.zeros(2, 1, 2, 3, 3))
