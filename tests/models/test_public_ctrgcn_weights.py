"""Weights under public names give the same numbers in PartCTRGCN as in the public networks' formulas."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gspmc_mm.models import PartCTRGCN
from gspmc_mm.models.public_ctrgcn_weights import (
    FinalReLUWarning,
    PublicWeightsError,
    convert_public_ctrgcn,
    is_public_ctrgcn,
)

JOINTS, SUBSETS, CHANNELS = 17, 3, 3
WIDTHS, STRIDES = (8, 8, 16), (1, 1, 2)
BLOCK = {"original": "l{}.", "mmaction": "net.{}."}
FIRST = {"original": 1, "mmaction": 0}
TOPOLOGY = {"original": "PA", "mmaction": "A"}


def public_state(naming: str) -> dict[str, Tensor]:
    """Random tensors with the names and shapes of a small public network."""
    generator = torch.Generator().manual_seed(3)
    state: dict[str, Tensor] = {}

    def conv(name: str, out: int, into: int, kernel: int = 1) -> None:
        state[f"{name}.weight"] = torch.randn(out, into, kernel, 1, generator=generator) / into**0.5
        state[f"{name}.bias"] = 0.3 * torch.randn(out, generator=generator)

    def norm(name: str, size: int) -> None:
        for key in ("weight", "bias", "running_mean"):
            state[f"{name}.{key}"] = torch.randn(size, generator=generator)
        state[f"{name}.running_var"] = torch.rand(size, generator=generator) + 0.5
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    norm("data_bn", JOINTS * CHANNELS)
    into = CHANNELS
    for number, (width, stride) in enumerate(zip(WIDTHS, STRIDES, strict=True)):
        block = BLOCK[naming].format(number + FIRST[naming])
        for subset in range(SUBSETS):
            for which, out, source in (("1", 8, into), ("2", 8, into), ("3", width, into), ("4", width, 8)):
                conv(f"{block}gcn1.convs.{subset}.conv{which}", out, source)
        state[f"{block}gcn1.{TOPOLOGY[naming]}"] = torch.randn(SUBSETS, JOINTS, JOINTS, generator=generator) / 5
        state[f"{block}gcn1.alpha"] = torch.tensor([0.4])
        norm(f"{block}gcn1.bn", width)
        if into != width:
            conv(f"{block}gcn1.down.0", width, into)
            norm(f"{block}gcn1.down.1", width)
        quarter = width // 4
        for branch in range(4):
            conv(f"{block}tcn1.branches.{branch}.0", quarter, width)
            norm(f"{block}tcn1.branches.{branch}.1", quarter)
        for branch in range(2):
            conv(f"{block}tcn1.branches.{branch}.3.conv", quarter, quarter, kernel=5)
            norm(f"{block}tcn1.branches.{branch}.3.bn", quarter)
        norm(f"{block}tcn1.branches.2.4", quarter)
        if number and (into != width or stride > 1):
            conv(f"{block}residual.conv", width, into)
            norm(f"{block}residual.bn", width)
        into = width
    state["fc.weight" if naming == "original" else "cls_head.fc.weight"] = torch.zeros(5, into)
    return state


def public_forward(state: dict[str, Tensor], naming: str, x: Tensor, final_relu: bool) -> Tensor:
    """What a public network computes in evaluation: (N, M, T, V, C) -> (N, M, C', T', V)."""

    def conv(x: Tensor, name: str, **options: object) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], **options)

    def norm(x: Tensor, name: str) -> Tensor:
        tensors = (state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *tensors)

    n, m, t, v, c = x.shape
    x = norm(x.permute(0, 1, 3, 4, 2).reshape(n, m * v * c, t), "data_bn")
    x = x.view(n * m, v, c, t).permute(0, 2, 3, 1)
    for number, stride in enumerate(STRIDES):
        block = BLOCK[naming].format(number + FIRST[naming])
        y = 0
        for subset in range(SUBSETS):
            one, two, three = (conv(x, f"{block}gcn1.convs.{subset}.conv{k}") for k in (1, 2, 3))
            difference = torch.tanh(one.mean(2)[..., :, None] - two.mean(2)[..., None, :])
            topology = conv(difference, f"{block}gcn1.convs.{subset}.conv4") * state[f"{block}gcn1.alpha"]
            topology = topology + state[f"{block}gcn1.{TOPOLOGY[naming]}"][subset]
            rule = "ncrg,nctg->nctr" if naming == "original" else "ncgr,nctg->nctr"  # r receives, g gives
            y = y + torch.einsum(rule, topology, three)
        down = f"{block}gcn1.down."
        shortcut = norm(conv(x, f"{down}0"), f"{down}1") if f"{down}0.weight" in state else x
        y = F.relu(norm(y, f"{block}gcn1.bn") + shortcut)
        parts = []
        for branch in range(4):
            name = f"{block}tcn1.branches.{branch}"
            if branch == 3:
                parts.append(norm(conv(y, f"{name}.0", stride=(stride, 1)), f"{name}.1"))
                continue
            part = F.relu(norm(conv(y, f"{name}.0"), f"{name}.1"))
            if branch == 2:
                parts.append(norm(F.max_pool2d(part, (3, 1), (stride, 1), (1, 0)), f"{name}.4"))
                continue
            dilation = branch + 1
            options = dict(stride=(stride, 1), padding=(2 * dilation, 0), dilation=(dilation, 1))
            parts.append(norm(conv(part, f"{name}.3.conv", **options), f"{name}.3.bn"))
        y = torch.cat(parts, dim=1)
        y = F.relu(y) if final_relu else y
        if number and f"{block}residual.conv.weight" in state:
            y = y + norm(conv(x, f"{block}residual.conv", stride=(stride, 1)), f"{block}residual.bn")
        elif number:
            y = y + x
        x = F.relu(y)
    return x.reshape(n, m, *x.shape[1:])


def small_model(final_relu: bool = False) -> PartCTRGCN:
    stages = {"num_stages": 3, "inflate_stages": (3,), "down_stages": (3,)}
    return PartCTRGCN(layout="coco17", base_channels=8, temporal={"final_relu": final_relu}, **stages).eval()


@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
def test_original_names_give_the_same_features(prefix):
    state = public_state("original")
    model = small_model()
    model.load_state_dict(convert_public_ctrgcn({prefix + name: tensor for name, tensor in state.items()}))
    x = torch.randn(2, 1, 10, JOINTS, CHANNELS, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        got, wanted = model(x), public_forward(state, "original", x, final_relu=False)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("final_relu", [True, False])
def test_mmaction_names_give_the_same_features_with_the_relu_that_is_told(final_relu):
    state = public_state("mmaction")
    model = small_model(final_relu)
    with pytest.warns(FinalReLUWarning, match=r"temporal=dict\(final_relu=True\)"):
        model.load_state_dict(convert_public_ctrgcn({f"backbone.{name}": tensor for name, tensor in state.items()}))
    x = torch.randn(2, 1, 10, JOINTS, CHANNELS, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        got, wanted = model(x), public_forward(state, "mmaction", x, final_relu=True)
        if final_relu:
            torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(model.fuse()(x), wanted, rtol=1e-4, atol=1e-4)
        else:
            assert (got - wanted).abs().max() > 1e-2


@pytest.mark.filterwarnings("ignore::gspmc_mm.models.public_ctrgcn_weights.FinalReLUWarning")
def test_orientation_matters():
    """A's transpose alone, without exchanging query and key, would be another network."""
    converted = convert_public_ctrgcn(public_state("mmaction"))
    model, x = small_model(), torch.randn(1, 1, 8, JOINTS, CHANNELS)
    model.load_state_dict(converted)
    with torch.no_grad():
        right = model(x)
        for block in model.blocks:
            block.graph.refine_weight.neg_()
        assert (model(x) - right).abs().max() > 1e-2


def test_names_are_recognised():
    assert is_public_ctrgcn(public_state("original"))
    assert is_public_ctrgcn(public_state("mmaction"))
    assert not is_public_ctrgcn(small_model().state_dict())


def test_bad_state_dicts_are_refused():
    with pytest.raises(PublicWeightsError, match=r"neither l1\.gcn1\.PA"):
        convert_public_ctrgcn(small_model().state_dict())
    state = public_state("original")
    del state["l2.gcn1.convs.1.conv4.bias"]
    with pytest.raises(PublicWeightsError, match=r"l2\.gcn1\.convs\.1\.conv4\.bias"):
        convert_public_ctrgcn(state)
    state = public_state("original")
    state["l1.tcn1.branches.3.0.weight"] = torch.zeros(4, 8, 1, 1)
    with pytest.raises(PublicWeightsError, match="multiple of the branches"):
        convert_public_ctrgcn(state)
