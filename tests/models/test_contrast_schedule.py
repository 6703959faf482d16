from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from mmengine.registry import HOOKS
from torch import nn

from gspmc_mm.models import ContrastScheduleHook


def make_runner(alpha=0.5, with_text=True, max_iters=10):
    head = SimpleNamespace(alpha=alpha, with_text=with_text)
    model = nn.Module()
    model.cls_head = head
    return SimpleNamespace(model=model, iter=0, max_iters=max_iters)


def alphas(hook, runner, iterations):
    seen = []
    for iteration in iterations:
        runner.iter = iteration
        hook.before_train_iter(runner, 0)
        seen.append(runner.model.cls_head.alpha)
    return seen


def test_alpha_falls_with_half_a_cosine():
    runner = make_runner()
    hook = HOOKS.build({"type": "ContrastScheduleHook"})
    hook.before_train(runner)
    seen = alphas(hook, runner, range(11))
    assert seen == pytest.approx([0.5 * 0.5 * (1 + math.cos(math.pi * i / 10)) for i in range(11)])
    assert seen[0] == 0.5
    assert seen[-1] == pytest.approx(0)
    hook.after_train(runner)
    assert runner.model.cls_head.alpha == 0.5


def test_a_line_from_start_to_end():
    runner = make_runner(alpha=2.0)
    hook = ContrastScheduleHook(start=0.0, end=1.0, curve="linear")
    hook.before_train(runner)
    assert alphas(hook, runner, [0, 5, 10]) == pytest.approx([0.0, 1.0, 2.0])


def test_a_resumed_training_goes_on_where_the_unbroken_one_would_be():
    whole, resumed = make_runner(), make_runner()
    first, second = ContrastScheduleHook(), ContrastScheduleHook()
    first.before_train(whole)
    alphas(first, whole, range(6))
    second.before_train(resumed)
    assert alphas(second, resumed, [6, 7]) == alphas(first, whole, [6, 7])


def test_a_head_without_texts_is_refused():
    with pytest.raises(TypeError, match="custom_hooks"):
        ContrastScheduleHook().before_train(make_runner(with_text=False))


@pytest.mark.parametrize("settings", [{"curve": "step"}, {"end": -1.0}])
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ValueError, match="ContrastScheduleHook"):
        ContrastScheduleHook(**settings)
