from __future__ import annotations

import pytest
import torch

from gspmc_mm.models import PartCTRGCN
from gspmc_mm.models.shared_graph_convolution import shared_graph_convolution


def slow(x, value_weight, value_bias, shared):
    """Subset by subset, joint by joint."""
    total = 0.0
    for s in range(len(shared)):
        values = torch.einsum("ci,nitv->nctv", value_weight[s], x) + value_bias[s][:, None, None]
        received = [(values * shared[s, u]).sum(-1) for u in range(shared.size(1))]
        total = total + torch.stack(received, dim=-1)
    return total


@pytest.mark.parametrize(("c_in", "c"), [(4, 5), (5, 2)])
def test_values_and_gradients_equal_the_loop(c_in, c):
    torch.manual_seed(0)
    shapes = [(3, c_in, 6, 7), (2, c, c_in), (2, c), (2, 7, 7)]
    tensors = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    expected, found = slow(*tensors), shared_graph_convolution(*tensors)
    torch.testing.assert_close(found, expected)
    probe = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * probe).sum(), tensors)
    for name, one, other in zip(
        ("x", "W", "b", "shared"), wanted, torch.autograd.grad((found * probe).sum(), tensors), strict=True
    ):
        torch.testing.assert_close(other, one, msg=lambda text, name=name: f"{name}: {text}")


def test_is_the_network_whose_refinement_has_no_weight(user_layout):
    """With alpha = 0 the refined network gives these features, and so do its weights in a network without."""
    refined = PartCTRGCN(user_layout, base_channels=8, num_stages=3).double()
    plain = PartCTRGCN(user_layout, base_channels=8, num_stages=3, graph={"refine": False}).double()
    state = refined.state_dict()
    plain.load_state_dict({name: state[name] for name in plain.state_dict()})
    dropped = {name.rsplit("graph.")[1] for name in set(state) - set(plain.state_dict())}
    assert dropped == {"alpha", "refine_weight", "refine_bias", "relations.weight", "relations.bias"}
    x = torch.randn(3, 1, 6, 5, 3, dtype=torch.float64)
    torch.testing.assert_close(plain(x), refined(x))
    features = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    of_both = [net.blocks[0].graph.channel_topology(features) for net in (plain, refined)]
    torch.testing.assert_close(*of_both)


def test_every_parameter_is_trained(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=2, graph={"refine": False})
    net(torch.randn(3, 1, 6, 5, 3)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_padding_without_refinement_is_refused(user_layout):
    with pytest.raises(ValueError, match="leave it out with refine=False"):
        PartCTRGCN(user_layout, graph={"refine": False, "pad_joints_to": 8})
