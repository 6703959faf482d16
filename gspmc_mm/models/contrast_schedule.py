"""How much the contrastive loss counts as training goes on."""

from __future__ import annotations

import math
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

CURVES = ("cosine", "linear")


def scheduled_factor(progress: float, start: float, end: float, curve: str) -> float:
    """The factor of alpha at a progress of 0 to 1: `start` at 0, `end` at 1, along half a cosine or a line."""
    left = 0.5 * (1 + math.cos(math.pi * progress)) if curve == "cosine" else 1 - progress
    return end + (start - end) * left


@HOOKS.register_module()
class ContrastScheduleHook(Hook):
    """Change the head's alpha over the training: L = CE + alpha * factor(progress) * L_multi.

    The texts say early which signs are alike; late in training, where the classifier is fitted, they may stand in its
    way if there are few clips of each sign. The factor depends on the iteration only, so a resumed training goes on
    as the unbroken one.

    Args:
        start: Factor at the first iteration.
        end: Factor at the end of the training.
        curve: 'cosine' or 'linear'.

    Raises:
        ValueError: A negative factor, or a curve of another name.
        TypeError: Before training, if the model's head has no contrastive loss.
    """

    def __init__(self, start: float = 1.0, end: float = 0.0, curve: str = "cosine") -> None:
        if min(start, end) < 0:
            raise ValueError(f"ContrastScheduleHook: factors are not negative, got start={start}, end={end}.")
        if curve not in CURVES:
            raise ValueError(f"ContrastScheduleHook: curve={curve!r} is none of {CURVES}.")
        self.start, self.end, self.curve = start, end, curve

    def before_train(self, runner: Any) -> None:
        """Find the head and remember the alpha of its config."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        head = getattr(model, "cls_head", None)
        if not getattr(head, "with_text", False):
            raise TypeError(
                f"ContrastScheduleHook needs a TextConditionedHead with a text_bank, found {type(head).__name__} "
                "without one; take the hook out of custom_hooks."
            )
        self._head, self._alpha = head, head.alpha

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Set the alpha of this iteration."""
        progress = runner.iter / max(1, runner.max_iters)
        self._head.alpha = self._alpha * scheduled_factor(progress, self.start, self.end, self.curve)

    def after_train(self, runner: Any) -> None:
        """Leave the head as the config has it."""
        self._head.alpha = self._alpha
