from __future__ import annotations

import pytest
import torch
from mmaction.registry import MODELS

from gspmc_mm.models import PartPooling, global_pooling
from gspmc_mm.models.part_pooling import confidence_weights
from gspmc_mm.skeleton import get_layout, layout_names


@pytest.mark.parametrize("name", layout_names())
def test_equals_loops(name):
    layout = get_layout(name)
    features = torch.randn(2, 2, 3, 4, layout.num_joints, dtype=torch.float64)
    pooled = PartPooling(name).double()(features)
    assert list(pooled) == list(layout.parts)
    for part, joints in layout.parts.items():
        for n in range(2):
            for c in range(3):
                values = [features[n, m, c, t, v].item() for m in range(2) for t in range(4) for v in joints]
                # The matrix is kept in float32: 1 / size carries its rounding.
                assert pooled[part][n, c].item() == pytest.approx(sum(values) / len(values), abs=1e-6)


def test_global_pooling_is_the_mean_of_everything():
    features = torch.randn(2, 2, 3, 4, 5)
    for n in range(2):
        for c in range(3):
            assert global_pooling(features)[n, c].item() == pytest.approx(
                sum(features[n, :, c].flatten().tolist()) / 40, abs=1e-6
            )


def test_chosen_parts_keep_their_order():
    features = torch.randn(1, 1, 2, 3, 87)
    some = PartPooling("sign87", parts=("mouth", "left_hand"))(features)
    everything = PartPooling("sign87")(features)
    assert list(some) == ["mouth", "left_hand"]
    assert all(torch.allclose(some[part], everything[part]) for part in some)


def test_gradient_reaches_the_joints_of_the_part_only(user_layout):
    features = torch.randn(1, 1, 2, 3, 5, requires_grad=True)
    PartPooling(user_layout)(features)["arms"].sum().backward()
    touched = features.grad.abs().sum(dim=(0, 1, 2, 3)) > 0
    assert touched.tolist() == [False, False, True, True, False]


def test_unknown_part_is_refused():
    with pytest.raises(ValueError, match=r"'tail'"):
        PartPooling("sign87", parts=("body", "tail"))


def test_other_number_of_joints_is_refused():
    with pytest.raises(ValueError, match="87 joints"):
        PartPooling("sign87")(torch.randn(1, 1, 2, 3, 27))


def test_adds_nothing_to_a_checkpoint_and_is_registered():
    pooling = MODELS.build({"type": "PartPooling", "layout": "samslr27"})
    assert isinstance(pooling, PartPooling)
    assert not pooling.state_dict()
    assert "left_hand" in repr(pooling)


def test_half_precision():
    pooled = PartPooling("hands42")(torch.randn(1, 1, 2, 3, 42).bfloat16())
    assert pooled["left_hand"].dtype == torch.bfloat16


def test_weighted_pooling_equals_loops():
    layout = get_layout("hands42")
    features, weights = torch.randn(2, 1, 3, 4, 42, dtype=torch.float64), torch.rand(2, 1, 4, 42, dtype=torch.float64)
    pooled = PartPooling("hands42").double()(features, weights)
    joints_of = {**layout.parts, "all": range(42)}
    pooled["all"] = global_pooling(features, weights)
    for part, joints in joints_of.items():
        for n in range(2):
            total = sum(weights[n, 0, t, v].item() for t in range(4) for v in joints)
            for c in range(3):
                value = sum((weights[n, 0, t, v] * features[n, 0, c, t, v]).item() for t in range(4) for v in joints)
                assert pooled[part][n, c].item() == pytest.approx(value / total, abs=1e-6)


def test_equal_weights_change_nothing():
    features = torch.randn(2, 1, 3, 4, 42)
    plain, weighted = PartPooling("hands42")(features), PartPooling("hands42")(features, torch.full((2, 1, 4, 42), 0.3))
    for part in plain:
        torch.testing.assert_close(weighted[part], plain[part])


def test_confidence_is_averaged_over_the_frames_of_a_step():
    scores = torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 0.5], [0.0, 0.5]]).reshape(1, 1, 4, 2)
    weights = confidence_weights(scores, 2)
    torch.testing.assert_close(weights[0, 0, 0], torch.tensor([0.5, 1.0]))
    assert weights[0, 0, 1, 0] > 0  # never seen: still counts a little, so a whole part can be unseen
    assert weights[0, 0, 1, 1] == 0.5
