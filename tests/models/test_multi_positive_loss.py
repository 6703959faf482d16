from __future__ import annotations

import math

import pytest
import torch
from mmaction.registry import MODELS

from gspmc_mm.models import MultiPositiveKLLoss, multi_positive_kl


def by_loops(skeleton, text, positives, tau):
    """The formula of the docstring, one number at a time, in plain Python."""
    rows_s, rows_t = skeleton.tolist(), text.tolist()

    def cosine(a, b):
        dot = sum(x * y for x, y in zip(a, b, strict=True))
        return dot / math.sqrt(sum(x * x for x in a)) / math.sqrt(sum(y * y for y in b))

    z = [[cosine(a, b) / tau for b in rows_t] for a in rows_s]
    y = positives.tolist()

    def direction(logits, target):
        values = []
        for row, wanted in zip(logits, target, strict=True):
            count = sum(wanted)
            if count == 0:
                continue
            total = sum(math.exp(v) for v in row)
            values.append(
                sum(
                    (1 / count) * math.log((1 / count) / (math.exp(v) / total))
                    for v, w in zip(row, wanted, strict=True)
                    if w
                )
            )
        return sum(values) / len(values) if values else 0.0

    def transposed(matrix):
        return [list(column) for column in zip(*matrix, strict=True)]

    return 0.5 * (direction(z, y) + direction(transposed(z), transposed(y)))


def from_labels(skeleton_labels, text_labels):
    return torch.tensor(skeleton_labels)[:, None] == torch.tensor(text_labels)[None, :]


CASES = {
    "one text each": ([0, 1, 2, 3], [0, 1, 2, 3]),
    "more texts than skeletons": ([0, 1, 2], [0, 0, 1, 2, 2, 2, 3]),
    "fewer texts than skeletons": ([0, 1, 2, 3, 4], [1, 3]),
    "labels collide": ([0, 0, 1, 1, 1, 2], [0, 1, 1, 2]),
    "skeletons without a text": ([0, 9, 1, 9], [0, 1]),
    "texts without a skeleton": ([0, 1], [0, 5, 1, 6, 6]),
    "one class": ([3, 3, 3], [3, 3]),
    "one pair": ([0], [0]),
}


@pytest.mark.parametrize("tau", [0.1, 0.7])
@pytest.mark.parametrize("case", CASES)
def test_equals_double_loop(case, tau):
    positives = from_labels(*CASES[case])
    skeleton = torch.randn(positives.size(0), 7, dtype=torch.float64)
    text = torch.randn(positives.size(1), 7, dtype=torch.float64)
    loss = MultiPositiveKLLoss(tau)(skeleton, text, positives)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(by_loops(skeleton, text, positives, tau), rel=1e-10, abs=1e-12)
    as_float = MultiPositiveKLLoss(tau)(skeleton.float(), text.float(), positives)
    assert as_float.dtype == torch.float32
    assert as_float.item() == pytest.approx(loss.item(), rel=1e-4, abs=1e-5)


def test_any_positives_need_no_block_structure():
    positives = torch.rand(6, 9) < 0.3
    skeleton, text = torch.randn(6, 4, dtype=torch.float64), torch.randn(9, 4, dtype=torch.float64)
    expected = by_loops(skeleton, text, positives, 0.2)
    assert MultiPositiveKLLoss(0.2)(skeleton, text, positives).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("target", ["soft", "hard"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_several_terms_at_once_equal_one_by_one(target, dtype):
    """Also where a term has fewer texts than another, and whatever stands in the places that are left over."""
    loss = MultiPositiveKLLoss(0.2, target=target)
    counts = (5, 3, 7, 1)
    skeleton = torch.randn(len(counts), 4, 6, dtype=dtype, requires_grad=True)
    text = torch.randn(len(counts), max(counts), 6, dtype=dtype)
    text[1, 3:] = 0.0  # what a bank never holds
    positives = torch.rand(len(counts), 4, max(counts)) < 0.4
    present = torch.arange(max(counts)) < torch.tensor(counts)[:, None]
    positives &= present[:, None]
    together = loss(skeleton, text, positives, present)
    assert together.shape == (len(counts),)
    found = torch.autograd.grad(together.sum(), skeleton)[0]
    alone = [loss(skeleton[t], text[t, :n], positives[t, :, :n]) for t, n in enumerate(counts)]
    torch.testing.assert_close(together, torch.stack(alone))
    torch.testing.assert_close(found, torch.autograd.grad(sum(alone), skeleton)[0])


def test_no_positives_is_zero_with_zero_gradient():
    skeleton = torch.randn(3, 5, requires_grad=True)
    text = torch.randn(4, 5, requires_grad=True)
    loss = MultiPositiveKLLoss()(skeleton, text, torch.zeros(3, 4, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(skeleton.grad, torch.zeros(3, 5))
    assert torch.equal(text.grad, torch.zeros(4, 5))


def test_no_texts_is_zero_and_finite():
    skeleton = torch.randn(3, 5, requires_grad=True)
    loss = MultiPositiveKLLoss()(skeleton, torch.randn(0, 5), torch.zeros(3, 0, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(skeleton.grad, torch.zeros(3, 5))


def test_one_class_still_has_the_text_direction_at_its_floor():
    # All pairs positive: the target is uniform, so equal features are the optimum with loss 0.
    skeleton, text = torch.ones(4, 3), torch.ones(2, 3)
    assert MultiPositiveKLLoss()(skeleton, text, torch.ones(4, 2, dtype=torch.bool)).item() == pytest.approx(
        0.0, abs=1e-6
    )


def test_gradient_is_that_of_finite_differences():
    positives = from_labels([0, 0, 1, 7], [0, 1, 1, 5, 0])
    skeleton = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    text = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    loss = MultiPositiveKLLoss(0.5)
    assert torch.autograd.gradcheck(lambda s, t: loss(s, t, positives), (skeleton, text))


def test_only_directions_count():
    positives = from_labels([0, 1, 1], [0, 1])
    skeleton, text = torch.randn(3, 6), torch.randn(2, 6)
    loss = MultiPositiveKLLoss()
    scales = torch.tensor([[0.01], [3.0], [500.0]])
    assert loss(skeleton * scales, text * 7, positives).item() == pytest.approx(
        loss(skeleton, text, positives).item(), rel=1e-5
    )


def test_autocast_computes_in_float32():
    positives = from_labels([0, 1, 1, 2], [0, 1, 2])
    skeleton, text = torch.randn(4, 64), torch.randn(3, 64)
    loss = MultiPositiveKLLoss()
    expected = loss(skeleton, text, positives)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = loss(skeleton, text, positives)
    assert under_autocast.dtype == torch.float32
    assert torch.equal(under_autocast, expected)
    half = loss(skeleton.bfloat16(), text.bfloat16(), positives)
    assert half.dtype == torch.float32
    assert torch.equal(half, loss(skeleton.bfloat16().float(), text.bfloat16().float(), positives))


def test_float64_skeletons_take_float32_texts():
    loss = MultiPositiveKLLoss()
    value = loss(torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3), torch.eye(2).bool())
    assert value.dtype == torch.float64


def test_extreme_similarities_stay_finite():
    skeleton = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    loss = MultiPositiveKLLoss(1e-3)(skeleton, -skeleton.detach(), torch.eye(2).bool())
    loss.backward()
    assert loss.item() == pytest.approx(2000.0, rel=1e-4)
    assert torch.isfinite(skeleton.grad).all()


def test_one_direction_alone_drops_rows_without_a_positive():
    logits = torch.tensor([[0.0, 0.0], [5.0, -5.0]])
    positives = torch.tensor([[True, False], [False, False]])
    assert multi_positive_kl(logits, positives).item() == pytest.approx(math.log(2), rel=1e-6)


@pytest.mark.parametrize(
    ("skeleton", "text", "positives"),
    [((3, 4), (2, 4), (2, 3)), ((3, 4), (2, 5), (3, 2)), ((3, 4), (2, 4), (3, 3)), ((3, 4), (2, 4), (6,))],
)
def test_shapes_that_do_not_fit_are_refused(skeleton, text, positives):
    with pytest.raises(ValueError, match=r"positives of shape \(3, 2\)"):
        MultiPositiveKLLoss()(torch.randn(skeleton), torch.randn(text), torch.ones(positives).bool())


@pytest.mark.parametrize("tau", [0, -0.1, float("nan")])
def test_temperature_has_to_be_positive(tau):
    with pytest.raises(ValueError, match="tau"):
        MultiPositiveKLLoss(tau)


def test_is_registered():
    loss = MODELS.build({"type": "MultiPositiveKLLoss", "tau": 0.3})
    assert isinstance(loss, MultiPositiveKLLoss)
    assert "tau=0.3" in repr(loss)


# ---- the hard target and the learned temperature, for comparison ----


def test_hard_target_is_the_cross_entropy_of_the_first_positive():
    positives = from_labels([0, 0, 1, 9, 2], [0, 1, 0, 2])
    skeleton, text = torch.randn(5, 4, dtype=torch.float64), torch.randn(4, 4, dtype=torch.float64)
    z = torch.nn.functional.normalize(skeleton, dim=1) @ torch.nn.functional.normalize(text, dim=1).t() / 0.2
    to_text = [(0, 0), (1, 0), (2, 1), (4, 3)]  # skeleton 3 has no text
    to_skeleton = [(0, 0), (1, 2), (2, 0), (3, 4)]
    expected = 0.5 * (
        sum(-z[b].log_softmax(0)[m] for b, m in to_text) / 4
        + sum(-z[:, m].log_softmax(0)[b] for m, b in to_skeleton) / 4
    )
    assert MultiPositiveKLLoss(0.2, target="hard")(skeleton, text, positives).item() == pytest.approx(expected.item())
    assert MultiPositiveKLLoss(0.2)(skeleton, text, positives).item() != pytest.approx(expected.item())


def test_targets_agree_where_there_is_one_positive():
    positives = torch.eye(4, dtype=torch.bool)
    skeleton, text = torch.randn(4, 6), torch.randn(4, 6)
    soft, hard = (MultiPositiveKLLoss(0.1, target=target)(skeleton, text, positives) for target in ("soft", "hard"))
    assert torch.equal(soft, hard)


def test_a_learned_temperature_starts_where_told_and_gets_the_right_gradient():
    positives = from_labels([0, 1, 1], [0, 1])
    skeleton, text = torch.randn(3, 5, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    loss = MultiPositiveKLLoss(0.1, learn_tau=True).double()
    value = loss(skeleton, text, positives)
    assert value.item() == pytest.approx(by_loops(skeleton, text, positives, 0.1), rel=1e-6)
    value.backward()
    step = 1e-5
    above, below = (by_loops(skeleton, text, positives, 0.1 * math.exp(-s)) for s in (step, -step))
    assert loss.log_scale.grad.item() == pytest.approx((above - below) / (2 * step), rel=1e-4)


def test_a_learned_temperature_has_a_floor():
    loss = MultiPositiveKLLoss(0.1, learn_tau=True)
    loss.log_scale.data.fill_(50.0)
    assert loss.scale.item() == pytest.approx(100, rel=1e-4)


@pytest.mark.parametrize("settings", [{"target": "mean"}, {"tau": 0.001, "learn_tau": True}])
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValueError, match="MultiPositiveKLLoss"):
        MultiPositiveKLLoss(**settings)
