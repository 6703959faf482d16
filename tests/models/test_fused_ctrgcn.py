from __future__ import annotations

import copy
import pickle

import pytest
import torch

from gspmc_mm.models import PartCTRGCN, PartPooledGCNRecognizer


def trained(*args, **kwargs) -> PartCTRGCN:
    """A network whose norms, alphas and biases are nothing convenient."""
    net = PartCTRGCN(*args, **kwargs)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
            if name.endswith("alpha"):
                parameter.fill_(0.5)
        for module in net.modules():
            if hasattr(module, "running_var"):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                # a negative scale: pooling and scaling may not change places
                module.weight[::2] *= -1
    return net.eval()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"inflate_stages": (2,), "down_stages": (2, 3), "channel_ratio": 1.5},
        {"temporal": {"dilations": (1, 3, 4)}, "graph": {"learn_topology": False}},
        {"graph": {"pad_joints_to": 8}},
        {"graph": {"refine": False}},
    ],
)
@pytest.mark.parametrize("frames", [1, 7])
def test_fused_network_gives_the_same_features(user_layout, options, frames):
    net = trained(user_layout, in_channels=2, base_channels=10, num_stages=4, **options).double()
    x = torch.randn(3, 2, frames, 5, 2, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(net.fuse()(x), net(x), rtol=1e-9, atol=1e-9)


def test_two_people_with_statistics_of_their_own(user_layout):
    net = trained(user_layout, base_channels=8, num_stages=2, num_person=2)
    x = torch.randn(2, 4, 6, 5, 3)
    torch.testing.assert_close(net.fuse()(x), net(x), rtol=1e-4, atol=1e-4)


def test_fusing_leaves_the_network_alone(user_layout):
    net = trained(user_layout, base_channels=8, num_stages=2)
    before = copy.deepcopy(net.state_dict())
    fused = net.fuse()
    fused(torch.randn(1, 1, 4, 5, 3))
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert not list(fused.parameters())
    assert not fused(torch.randn(1, 1, 4, 5, 3, requires_grad=True)).requires_grad


def test_input_is_not_changed_and_checked(user_layout):
    fused = trained(user_layout, base_channels=8, num_stages=2).fuse()
    x = torch.randn(1, 1, 4, 5, 3)
    kept = x.clone()
    assert torch.equal(fused(x), fused(kept))
    assert torch.equal(x, kept)
    with pytest.raises(ValueError, match="5 joints"):
        fused(torch.randn(1, 1, 4, 6, 3))


def test_bfloat16(user_layout):
    net = trained(user_layout, base_channels=16, num_stages=3)
    x = torch.randn(2, 1, 6, 5, 3)
    expected = net(x)
    found = net.fuse().to(torch.bfloat16)(x)
    assert found.dtype == torch.float32
    assert (found - expected).norm() < 0.03 * expected.norm()


def test_pickle(user_layout):
    fused = trained(user_layout, base_channels=8, num_stages=2).fuse()
    x = torch.randn(1, 1, 6, 5, 3)
    assert torch.equal(pickle.loads(pickle.dumps(fused))(x), fused(x))


def test_recognizer(user_layout):
    model = PartPooledGCNRecognizer(
        backbone={"type": "PartCTRGCN", "layout": user_layout, "base_channels": 8, "num_stages": 2},
        cls_head={"type": "TextConditionedHead", "num_classes": 4, "in_channels": 8},
    ).eval()
    x = torch.randn(2, 1, 1, 6, 5, 3)
    with torch.no_grad():
        expected = model.extract_feat(x, stage="head")[0]
        assert model.fuse() is model
        torch.testing.assert_close(model.extract_feat(x, stage="head")[0], expected, rtol=1e-4, atol=1e-5)


def test_other_backbones_cannot_be_fused():
    model = PartPooledGCNRecognizer(
        backbone={"type": "STGCN", "graph_cfg": {"layout": "coco", "mode": "spatial"}},
        cls_head={"type": "TextConditionedHead", "num_classes": 4, "in_channels": 256},
    )
    with pytest.raises(TypeError, match="STGCN cannot be fused"):
        model.fuse()
