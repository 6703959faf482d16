from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch
from mmaction.registry import MODELS

from gspmc_mm.models import PartCTRGCN
from gspmc_mm.models.part_ctrgcn import CTRGCNBlock, MultiScaleTemporalConv, max_of_three
from gspmc_mm.models.refined_graph_convolution import refined_graph_convolution
from gspmc_mm.skeleton import LayoutError, get_layout, layout_names

# ---- a slow block, written from the equations of the CTR-GCN paper ----


def normalised(x, norm, training, first=0):
    """Batch norm by its definition; x (N, C, T, V) are the channels of the norm from `first` on."""
    out = []
    for at in range(x.size(1)):
        c = first + at
        mean = x[:, at].mean() if training else norm.running_mean[c]
        variance = ((x[:, at] - mean) ** 2).mean() if training else norm.running_var[c]
        out.append((x[:, at] - mean) / (variance + norm.eps) ** 0.5 * norm.weight[c] + norm.bias[c])
    return torch.stack(out, dim=1)


def pointwise(x, weight, bias, stride=1):
    """A 1x1 convolution; weight (C_out, C_in)."""
    y = torch.einsum("oc,nctv->notv", weight, x)
    if bias is not None:
        y = y + bias[None, :, None, None]
    return y[:, :, ::stride]


def slow_graph(x, graph, training):
    """Equations 4 to 8, subset by subset and channel by channel; projections before the mean over time."""
    subsets, relation, width = graph.subsets, graph.relation, graph.out_channels
    # Rows of the joint projection: all queries, subset by subset, then all keys.
    projection = graph.relations.weight[:, :, 0].reshape(2, subsets, relation, -1)
    projection_bias = graph.relations.bias.reshape(2, subsets, relation)
    value = graph.values.weight[:, :, 0, 0].reshape(subsets, width, -1)
    value_bias = graph.values.bias.reshape(subsets, width)
    n, _, t, v = x.shape
    y = torch.zeros(n, width, t, v, dtype=x.dtype)
    for s in range(subsets):
        query = pointwise(x, projection[0, s], projection_bias[0, s]).mean(dim=2)  # (N, R, V)
        key = pointwise(x, projection[1, s], projection_bias[1, s]).mean(dim=2)
        values = pointwise(x, value[s], value_bias[s])
        for c in range(width):
            correlation = graph.refine_bias[s, c]
            for r in range(relation):
                difference = query[:, r, :, None] - key[:, r, None, :]  # (N, u, v)
                correlation = correlation + graph.refine_weight[s, c, r] * torch.tanh(difference)
            topology = graph.topology[s] + graph.alpha * correlation
            y[:, c] = y[:, c] + torch.einsum("nuv,ntv->ntu", topology, values[:, c])
    y = normalised(y, graph.norm, training)
    if isinstance(graph.residual, torch.nn.Identity):
        shortcut = x
    else:
        convolution, norm = graph.residual
        shortcut = normalised(pointwise(x, convolution.weight[:, :, 0, 0], convolution.bias), norm, training)
    return (y + shortcut).clamp(min=0)


def slow_temporal(x, temporal, stride, dilations, training):
    """Branch by branch and frame by frame: dilated 5x1, max-pooling 3x1, 1x1, each with norms of its own."""
    t, first, out = x.size(2), 0, []
    for number, kind in enumerate([*dilations, "pool", "1x1"]):
        width = temporal.widths[number]
        own = slice(first, first + width)
        h = pointwise(x, temporal.entry.weight[own, :, 0, 0], None)
        if kind != "1x1":
            h = normalised(h, temporal.entry_norm, training, first).clamp(min=0)
        frames = []
        for at in range(0, t, stride):
            if kind == "1x1":
                frame = h[:, :, at]
            elif kind == "pool":
                frame = h[:, :, max(at - 1, 0) : at + 2].amax(dim=2)
            else:
                weight, frame = temporal.dilated[number].weight[:, :, :, 0], 0
                for k in range(weight.size(2)):
                    source = at + (k - weight.size(2) // 2) * kind
                    if 0 <= source < t:
                        frame = frame + torch.einsum("oc,ncv->nov", weight[:, :, k], h[:, :, source])
            frames.append(frame)
        out.append(normalised(torch.stack(frames, dim=2), temporal.norm, training, first))
        first += width
    y = torch.cat(out, dim=1)
    return y.clamp(min=0) if temporal.final_relu else y


def slow_block(x, block, stride, dilations, training):
    y = slow_temporal(slow_graph(x, block.graph, training), block.temporal, stride, dilations, training)
    if block.residual is None:
        return y.clamp(min=0)
    if isinstance(block.residual, torch.nn.Identity):
        return (y + x).clamp(min=0)
    convolution, norm = block.residual
    shortcut = pointwise(x, convolution.weight[:, :, 0, 0], convolution.bias, stride)
    return (y + normalised(shortcut, norm, training)).clamp(min=0)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("channels_in", "channels_out", "stride", "residual", "dilations", "frames"),
    [(3, 9, 1, False, (1, 2), 6), (8, 8, 1, True, (1, 2), 7), (8, 12, 2, True, (1, 3), 7)],
)
@pytest.mark.parametrize("final_relu", [False, True])
def test_block_equals_the_paper(
    user_layout, channels_in, channels_out, stride, residual, dilations, frames, training, final_relu
):
    adjacency = torch.rand(3, 5, 5)  # not symmetric: a transposed topology would show
    block = CTRGCNBlock(
        channels_in,
        channels_out,
        adjacency,
        stride=stride,
        residual=residual,
        temporal={"dilations": dilations, "final_relu": final_relu},
    ).double()
    with torch.no_grad():
        for parameter in block.parameters():  # nothing at its convenient initial value
            parameter.add_(0.2 * torch.randn_like(parameter))
        block.graph.alpha.fill_(0.6)
        for module in block.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    block.train(training)
    x = torch.randn(3, channels_in, frames, 5, dtype=torch.float64, requires_grad=True)
    expected = slow_block(x, block, stride, dilations, training)
    found = block(x)
    assert found.shape == expected.shape == (3, channels_out, math.ceil(frames / stride), 5)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-9)
    probe = torch.randn_like(expected)
    wanted = {"input": x, **dict(block.named_parameters())}
    gradients = [torch.autograd.grad((y * probe).sum(), list(wanted.values())) for y in (found, expected)]
    for name, fast, slow in zip(wanted, *gradients, strict=True):
        # Relative to the gradient's own size; batch statistics make some of them exactly 0.
        assert (fast - slow).norm() <= 1e-4 * slow.norm() + 1e-9, name


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [1, 2, 7, 8])
def test_max_of_three_is_max_pooling(frames, stride):
    x = torch.randn(2, 3, frames, 5)
    expected = torch.nn.functional.max_pool2d(x, (3, 1), (stride, 1), (1, 0))
    assert torch.equal(max_of_three(x, stride), expected)


# ---- topology ----


@pytest.mark.parametrize("name", [*layout_names(), "user"])
def test_topology_is_a_mean_over_neighbours(name, user_layout):
    layout = get_layout(user_layout if name == "user" else name)
    net = PartCTRGCN(user_layout if name == "user" else name, base_channels=4, num_stages=1)
    shared = net.blocks[0].graph.topology.detach()
    expected = torch.zeros(3, layout.num_joints, layout.num_joints)
    for u in range(layout.num_joints):
        towards_root = [b for a, b in layout.inward if a == u]
        away = [a for a, b in layout.inward if b == u]
        for subset, givers in enumerate(([u], towards_root, away)):
            for v in givers:
                expected[subset, u, v] += 1 / len(givers)
    torch.testing.assert_close(shared, expected)
    # A constant stays constant; only who has no neighbour in that direction gets nothing.
    received = shared.sum(0) @ torch.full((layout.num_joints,), 5.0)
    torch.testing.assert_close(received, 5.0 * (expected.sum(-1) > 0.5).sum(0).float())


def test_aggregation_of_the_untrained_block_is_a_mean_over_neighbours(user_layout):
    graph = PartCTRGCN(user_layout, base_channels=8, num_stages=2).blocks[1].graph
    x = torch.randn(2, 8, 4, 5)
    unchanged, no_bias = torch.eye(8).repeat(3, 1, 1), torch.zeros(3, 8)
    y = refined_graph_convolution(x, unchanged, no_bias, *graph.query_and_key(x), graph.mixing, graph.topology)
    layout = get_layout(user_layout)
    for u in range(5):
        total = x[..., u].clone()
        for givers in (
            [b for a, b in layout.inward if a == u],
            [a for a, b in layout.inward if b == u],
        ):
            if givers:
                total = total + x[..., givers].mean(-1)
        torch.testing.assert_close(y[..., u], total)


def test_alpha_starts_at_zero_and_learns(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=2)
    assert all(block.graph.alpha.item() == 0 for block in net.blocks)
    (net(torch.randn(3, 1, 6, 5, 3)) ** 2).sum().backward()
    for block in net.blocks:
        assert block.graph.alpha.grad.abs().item() > 0
        assert block.graph.topology.grad.abs().sum() > 0
        # Behind a factor of 0 the relations wait for alpha's first step.
        assert block.graph.relations.weight.grad.abs().sum() == 0


def test_fixed_topology_is_no_parameter_and_not_in_the_checkpoint(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=1, graph={"learn_topology": False})
    assert not any("topology" in name for name, _ in net.named_parameters())
    assert not any("topology" in name for name in net.state_dict())


def test_norm_init(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=2, graph={"norm_init": 1e-6})
    assert all(torch.equal(b.graph.norm.weight, torch.full((8,), 1e-6)) for b in net.blocks)


@pytest.mark.parametrize("memory", ["normal", "low"])
def test_padded_joints_train_the_same_network(user_layout, memory):
    """5 joints as 8: the same features, gradients and running statistics."""
    plain, padded = (
        PartCTRGCN(user_layout, base_channels=8, num_stages=2, memory=memory, graph=graph).double()
        for graph in ({}, {"pad_joints_to": 8})
    )
    padded.load_state_dict(plain.state_dict())
    x = torch.randn(3, 1, 6, 5, 3, dtype=torch.float64)
    expected, found = plain(x), padded(x)
    torch.testing.assert_close(found, expected)
    expected.square().sum().backward()
    found.square().sum().backward()
    for (name, one), other in zip(plain.named_parameters(), padded.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, msg=lambda text, name=name: f"{name}: {text}")
    for (name, one), other in zip(plain.named_buffers(), padded.buffers(), strict=True):
        torch.testing.assert_close(other, one, msg=lambda text, name=name: f"{name}: {text}")


def test_joints_are_padded_to_one_or_more(user_layout):
    with pytest.raises(ValueError, match="pad_joints_to has to be 1"):
        PartCTRGCN(user_layout, graph={"pad_joints_to": 0})


# ---- the network ----


@pytest.mark.parametrize("name", layout_names())
def test_shapes_of_all_layouts(name):
    net = PartCTRGCN(name, base_channels=4, num_stages=10).eval()
    joints = get_layout(name).num_joints
    with torch.no_grad():
        y = net(torch.randn(2, 1, 9, joints, 3))
    assert y.shape == (2, 1, 16, 3, joints)  # 9 -> 5 -> 3 frames
    assert torch.isfinite(y).all()
    assert net.out_channels == 16


def test_default_is_the_papers_network():
    net = PartCTRGCN()
    assert [block.graph.out_channels for block in net.blocks] == [64] * 4 + [128] * 3 + [256] * 3
    with torch.no_grad():
        assert net(torch.randn(1, 1, 8, 87, 3)).shape == (1, 1, 256, 2, 87)
    assert net.blocks[0].residual is None


def test_user_layout_and_strides(user_layout):
    net = PartCTRGCN(
        user_layout,
        in_channels=2,
        base_channels=8,
        num_stages=4,
        inflate_stages=(2,),
        down_stages=(2, 3, 4),
        channel_ratio=1.5,
    )
    for frames in (1, 2, 7, 8, 16):
        y = net(torch.randn(2, 3, frames, 5, 2))
        assert y.shape == (2, 3, 12, math.ceil(frames / 8), 5)
        assert torch.isfinite(y).all()


def test_people_are_independent_in_eval(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=2).eval()
    x = torch.randn(2, 2, 6, 5, 3)
    torch.testing.assert_close(net(x)[:, 1], net(x[:, 1:])[:, 0])


def test_input_norm_of_two_people(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=1, num_person=2)
    assert net(torch.randn(2, 2, 6, 5, 3)).shape == (2, 2, 8, 6, 5)
    with pytest.raises(ValueError, match="num_person=2"):
        net(torch.randn(2, 3, 6, 5, 3))


def test_input_norm_is_per_joint_and_channel(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=0)
    x = torch.randn(4, 2, 6, 5, 3) * torch.rand(5, 3) + torch.randn(5, 3)
    y = net(x)  # no blocks: the normalised input as (N, M, C, T, V)
    torch.testing.assert_close(y.mean(dim=(0, 1, 3)), torch.zeros(3, 5), atol=1e-5, rtol=0)
    one = (x[..., 3, 1] - x[..., 3, 1].mean()) / (x[..., 3, 1].var(unbiased=False) + 1e-5).sqrt()
    torch.testing.assert_close(y[:, :, 1, :, 3], one)


def test_empty_joints_make_no_nan(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=3)
    y = net(torch.zeros(2, 1, 6, 5, 3))
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters())


def test_joints_and_channels_are_checked(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=1)
    with pytest.raises(ValueError, match=r"5 joints \(stick\) of 3 channels and got 6 joints"):
        net(torch.randn(1, 1, 4, 6, 3))
    with pytest.raises(ValueError, match="5 joints of 2 channels"):
        net(torch.randn(1, 1, 4, 5, 2))


def test_unknown_layout_and_too_few_channels():
    with pytest.raises(LayoutError, match="sign78"):
        PartCTRGCN("sign78")
    with pytest.raises(ValueError, match="4 temporal branches"):
        MultiScaleTemporalConv(3, 3)


def test_same_seed_same_network(user_layout):
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(PartCTRGCN(user_layout, base_channels=8, num_stages=2).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    key = "blocks.0.graph.values.weight"
    assert not torch.equal(states[0][key], states[2][key])


def test_init_weights_changes_nothing(user_layout):
    net = MODELS.build({"type": "PartCTRGCN", "layout": user_layout, "base_channels": 8, "num_stages": 2})
    before = copy.deepcopy(net.state_dict())
    net.init_weights()
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())


def test_features_keep_their_scale_at_the_start():
    """Kaiming fan-out with the right counts: neither vanishing nor exploding before a first step."""
    y = PartCTRGCN("coco17", base_channels=16)(torch.randn(4, 1, 16, 17, 3))
    assert 0.05 < y.std() < 50


def test_pickle_and_deepcopy_give_the_same_outputs(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=2).eval()
    x = torch.randn(1, 1, 6, 5, 3)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert torch.equal(other(x), net(x))


def test_dropout_works_in_training_only(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=2, dropout=0.5)
    x = torch.randn(8, 1, 6, 5, 3)
    dropped = (net(x).abs().sum(dim=(1, 3, 4)) == 0).float().mean()
    assert 0.25 < dropped < 0.75  # whole channels of a clip
    net.eval()
    assert torch.equal(net(x), net(x))


def test_autocast(user_layout):
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=2).eval()
    x = torch.randn(2, 1, 6, 5, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = net(x)
    assert (y.float() - net(x)).norm() < 0.05 * net(x).norm()


# ---- little memory ----


def test_low_memory_gives_the_same_gradients_and_statistics(user_layout):
    kwargs = {"base_channels": 8, "num_stages": 3, "down_stages": (2,), "inflate_stages": (2,)}
    normal, low = PartCTRGCN(user_layout, **kwargs), PartCTRGCN(user_layout, memory="low", **kwargs)
    low.load_state_dict(normal.state_dict())
    x = torch.randn(3, 1, 6, 5, 3)
    probe = torch.randn(3, 1, 16, 3, 5)
    for net in (normal, low):
        (net(x) * probe).sum().backward()
    for (name, one), (_, other) in zip(normal.named_parameters(), low.named_parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, msg=lambda text, name=name: f"{name}: {text}")
    # Run twice, counted once.
    for (name, one), (_, other) in zip(normal.named_buffers(), low.named_buffers(), strict=True):
        assert torch.equal(one, other), name
    normal.eval(), low.eval()
    assert torch.equal(normal(x), low(x))


def test_low_memory_keeps_less_for_backward():
    def kept(memory):
        net, storages = PartCTRGCN("coco17", base_channels=16, num_stages=4, memory=memory), {}

        def pack(tensor):
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            y = net(torch.randn(2, 1, 16, 17, 3))
        return sum(storages.values()), y

    assert kept("low")[0] < 0.3 * kept("normal")[0]


def test_unknown_memory():
    with pytest.raises(ValueError, match="memory='little'"):
        PartCTRGCN(memory="little")


def test_state_dict_of_before_the_rewrite_has_these_names(user_layout):
    """Checkpoints in the wild: names and shapes may not change without an upgrade on loading."""
    net = PartCTRGCN(user_layout, base_channels=8, num_stages=2, down_stages=(2,), inflate_stages=(2,))
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items() if "blocks.1." in name}
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert {name.removeprefix("blocks.1."): shape for name, shape in shapes.items()} == {
        "graph.refine_weight": (3, 16, 8),
        "graph.refine_bias": (3, 16),
        "graph.alpha": (1,),
        "graph.topology": (3, 5, 5),
        "graph.relations.weight": (48, 8, 1),
        "graph.relations.bias": (48,),
        "graph.values.weight": (48, 8, 1, 1),
        "graph.values.bias": (48,),
        "graph.residual.0.weight": (16, 8, 1, 1),
        "residual.0.weight": (16, 8, 1, 1),
        "temporal.entry.weight": (16, 16, 1, 1),
        "temporal.dilated.0.weight": (4, 4, 5, 1),
        "temporal.dilated.1.weight": (4, 4, 5, 1),
        **{
            f"{unit}.{key}": () if key == "num_batches_tracked" else (16,)
            for key in norm
            for unit in ("graph.norm", "graph.residual.1", "residual.1", "temporal.norm")
        },
        **{f"temporal.entry_norm.{key}": () if key == "num_batches_tracked" else (12,) for key in norm},
    }
