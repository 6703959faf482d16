"""PartCTRGCN against the obvious implementation of the paper's mathematics."""

from __future__ import annotations

import pytest
import torch

from gspmc_mm.evaluation.benchmarking.contenders import load_reference
from gspmc_mm.models import PartCTRGCN

reference_of, split_gradients = load_reference().reference_of, load_reference().split_gradients


def shaken(model: PartCTRGCN, seed: int = 0) -> PartCTRGCN:
    """The model with no parameter and no statistic left at a value that would hide a mistake."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        noise = torch.rand(tensor.shape, generator=generator) if tensor.is_floating_point() else None
        if noise is not None:
            tensor.data = noise + 0.5 if "running_var" in name else tensor.data + 0.2 * (noise - 0.5)
    return model


def relative_error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((got - wanted).norm() / wanted.norm().clamp_min(1e-12)).item()


SMALL = dict(base_channels=8, num_stages=4, inflate_stages=(3,), down_stages=(3,))


@pytest.mark.parametrize(
    ("options", "people"),
    [
        (dict(layout="samslr27"), 1),
        (dict(layout="coco17", num_person=2), 2),
        (dict(layout="coco17", in_channels=2, base_channels=10, graph=dict(relation_reduction=2)), 1),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_gradients_are_those_of_the_reference(options: dict, people: int, training: bool) -> None:
    model = shaken(PartCTRGCN(**{**SMALL, **options})).train(training)
    reference = reference_of(model, down_stages=(3,))
    x = torch.randn(
        3, people, 9, model.layout.num_joints, model.in_channels, generator=torch.Generator().manual_seed(1)
    )
    ours, theirs = (x.clone().requires_grad_() for _ in range(2))
    got, wanted = model(ours), reference(theirs)
    assert got.shape == wanted.shape
    assert relative_error(got, wanted) < 1e-4
    pull = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(2))
    (got * pull).sum().backward()
    (wanted * pull).sum().backward()
    assert relative_error(ours.grad, theirs.grad) < 1e-4
    gradients = split_gradients(model)
    expected = {name: parameter.grad for name, parameter in reference.named_parameters()}
    assert gradients.keys() == expected.keys()
    largest = max(gradient.norm() for gradient in expected.values())
    for name, gradient in expected.items():
        # A bias in front of a norm has no gradient but rounding noise.
        assert gradients[name].shape == gradient.shape
        assert (gradients[name] - gradient).norm() < 1e-4 * gradient.norm() + 1e-5 * largest, name


def test_reference_notices_the_direction_of_the_adjacency() -> None:
    model = shaken(PartCTRGCN(layout="coco17", **SMALL)).eval()
    reference = reference_of(model, down_stages=(3,))
    for block in reference.blocks:
        block.graph.adjacency.data = block.graph.adjacency.data.transpose(1, 2)
    x = torch.randn(1, 1, 8, 17, 3)
    assert relative_error(model(x), reference(x)) > 1e-2
