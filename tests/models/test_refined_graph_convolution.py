from __future__ import annotations

import pytest
import torch

from gspmc_mm.models import PartCTRGCN
from gspmc_mm.models import refined_graph_convolution as room
from gspmc_mm.models.refined_graph_convolution import mixing_weights, refined_graph_convolution, refined_topology


def factors(n=3, s=2, c_in=4, c=5, r=3, t=6, v=7, dtype=torch.float64):
    torch.manual_seed(0)
    shapes = [(n, c_in, t, v), (s, c, c_in), (s, c), (n, s, r, v), (n, s, r, v), (s, c, r + 2), (s, v, v)]
    return [torch.randn(shape, dtype=dtype, requires_grad=True) for shape in shapes]


def slow(x, value_weight, value_bias, query, key, mixing, shared):
    """Clip by clip, subset by subset, channel by channel."""
    r = query.size(2)
    rows = []
    for n in range(len(x)):
        channels = []
        for c in range(value_weight.size(1)):
            total = 0.0
            for s in range(len(shared)):
                tanh = torch.tanh(query[n, s, :, :, None] - key[n, s, :, None, :])  # (R, u, v)
                topology = sum(mixing[s, c, k] * tanh[k] for k in range(r))
                topology = topology + mixing[s, c, r] + mixing[s, c, r + 1] * shared[s]
                values = torch.einsum("i,itv->tv", value_weight[s, c], x[n]) + value_bias[s, c]
                total = total + values @ topology.t()
            channels.append(total)
        rows.append(torch.stack(channels))
    return torch.stack(rows)


# One number: every clip alone; a bit more: two clips at a time, with a rest of one; all at once.
@pytest.mark.parametrize("room_for", [1, 5 * 49 * 2, 2**20])
def test_values_and_gradients_equal_the_loop(room_for, monkeypatch):
    monkeypatch.setattr(room, "CPU_BUFFER", room_for)
    tensors = factors()
    expected, found = slow(*tensors), refined_graph_convolution(*tensors)
    torch.testing.assert_close(found, expected)
    probe = torch.randn_like(expected)
    wanted = torch.autograd.grad((expected * probe).sum(), tensors)
    for name, one, other in zip(
        ("x", "W", "b", "q", "k", "mixing", "shared"),
        wanted,
        torch.autograd.grad((found * probe).sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(other, one, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("multiple", [4, 7, 8])
@pytest.mark.parametrize("room_for", [5 * 64 * 2, 2**20])
def test_padded_joints_change_nothing(multiple, room_for, monkeypatch):
    monkeypatch.setattr(room, "CPU_BUFFER", room_for)
    tensors = factors()
    expected = slow(*tensors)
    found = refined_graph_convolution(*tensors, pad_joints_to=multiple)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous()
    probe = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad((expected * probe).sum(), tensors),
        torch.autograd.grad((found * probe).sum(), tensors),
        strict=True,
    ):
        torch.testing.assert_close(other, one)
    constants = [tensor.detach() for tensor in tensors]
    torch.testing.assert_close(refined_graph_convolution(*constants, pad_joints_to=multiple), expected.detach())
    start = torch.randn_like(constants[0][:, :1].expand(-1, 5, -1, -1))
    wanted = start + expected.detach()
    assert refined_graph_convolution(*constants, start=start, pad_joints_to=multiple) is start
    torch.testing.assert_close(start, wanted)


def test_products_see_the_padded_joints(monkeypatch):
    seen = []
    forward = room._forward
    monkeypatch.setattr(room, "_forward", lambda *args, **kw: seen.append(args[0].shape[-1]) or forward(*args, **kw))
    constants = [tensor.detach() for tensor in factors()]
    for multiple in (1, 7, 8):
        refined_graph_convolution(*constants, pad_joints_to=multiple)
    assert seen == [7, 7, 8]


def test_gradients_of_some_inputs_only():
    tensors = [tensor.detach() for tensor in factors()]
    tensors[5].requires_grad_()
    (found,) = torch.autograd.grad(refined_graph_convolution(*tensors).sum(), [tensors[5]])
    (expected,) = torch.autograd.grad(slow(*tensors).sum(), [tensors[5]])
    torch.testing.assert_close(found, expected)


def test_upstream_gradient_may_be_strided():
    tensors = factors()
    out = refined_graph_convolution(*tensors)
    probe = torch.randn(6, *out.shape[:2], 7, dtype=out.dtype).permute(1, 2, 0, 3)
    found = torch.autograd.grad(out, tensors[:1], probe)[0]
    torch.testing.assert_close(found, torch.autograd.grad(slow(*tensors), tensors[:1], probe)[0])


def test_start_is_added_to_in_place():
    tensors = [tensor.detach() for tensor in factors()]
    start = torch.randn(3, 5, 6, 7, dtype=torch.float64)
    expected = start + slow(*tensors)
    assert refined_graph_convolution(*tensors, start=start) is start
    torch.testing.assert_close(start, expected)


def test_traced_graph_gives_the_same_numbers_for_other_batches_and_holds_nothing_of_ours():
    """What exporters get: plain operators, and no number of clips or frames written into it."""
    tensors = [tensor.detach() for tensor in factors()]
    with torch.no_grad():
        tensors[5][..., -1] = 1
    traced = torch.jit.trace(refined_graph_convolution, tuple(tensors))
    others = [tensor.detach() for tensor in factors(n=5, t=9)]
    others[5] = tensors[5]
    for inputs in (tensors, others):
        torch.testing.assert_close(traced(*inputs), slow(*inputs))
    assert "Python" not in str(traced.graph)


def test_topology_is_what_the_convolution_uses():
    tensors = [tensor.detach() for tensor in factors()]
    _, weight, bias, *rest = tensors
    with torch.no_grad():
        tensors[5][..., -1] = 1  # the shared part enters with weight 1, as mixing_weights has it
    topology = refined_topology(*rest)
    values = torch.einsum("sci,nitv->nsctv", weight, tensors[0]) + bias[..., None, None]
    torch.testing.assert_close(torch.einsum("nscuv,nsctv->nctu", topology, values), slow(*tensors))


def test_mixing_weights():
    weight, bias, alpha = torch.randn(3, 5, 4), torch.randn(3, 5), torch.tensor([0.5])
    mixing = mixing_weights(weight, bias, alpha)
    assert torch.equal(mixing[..., :4], 0.5 * weight)
    assert torch.equal(mixing[..., 4], 0.5 * bias)
    assert torch.equal(mixing[..., 5], torch.ones(3, 5))


def test_no_topology_is_kept_for_backward():
    n, s, c, r, t, v = 2, 3, 16, 8, 4, 40
    tensors = factors(n, s, c, c, r, t, v, torch.float32)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.numel()) or tensor, lambda x: x):
        refined_graph_convolution(*tensors)
    assert sum(kept) < n * c * v * v  # not even one subset's


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype):
    tensors = factors(dtype=torch.float32)
    expected = refined_graph_convolution(*tensors)
    wanted = torch.autograd.grad(expected.sum(), tensors)
    with torch.autocast("cpu", dtype=dtype):
        found = refined_graph_convolution(*tensors)
    assert found.dtype == dtype
    assert (found.float() - expected).norm() < 0.02 * expected.norm()
    for one, other in zip(torch.autograd.grad(found.float().sum(), tensors), wanted, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.05 * other.norm()


def test_compiles_without_graph_breaks(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=2)
    x = torch.randn(2, 1, 6, 5, 3)
    compiled = torch.compile(net, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), net(x), rtol=1e-4, atol=1e-4)
    wanted = torch.autograd.grad(net(x).square().mean(), list(net.parameters()), allow_unused=True)
    found = torch.autograd.grad(compiled(x).square().mean(), list(net.parameters()), allow_unused=True)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_compiled_fused_network(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=2).eval().fuse()
    x = torch.randn(2, 1, 6, 5, 3)
    torch.testing.assert_close(torch.compile(net, backend="aot_eager", fullgraph=True)(x), net(x), rtol=1e-4, atol=1e-4)
