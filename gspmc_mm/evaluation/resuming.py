"""What validation has to do so that a resumed run ends as the unbroken one."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop


@HOOKS.register_module()
class ValidateResumedEpochHook(Hook):
    """Validate the epoch that a resumed run starts from.

    mmengine writes the checkpoint of an epoch before it validates that epoch. A run that is killed in between would
    go on without that validation: the figure would be missing, and so would the best checkpoint if it was the best;
    after the last epoch there would be no figure at all. Done once per `--resume`, because a checkpoint does not say
    whether its validation had been finished.
    """

    priority = "LOWEST"  # after the hooks that make themselves ready in before_train, such as CheckpointHook

    def before_train(self, runner: Any) -> None:
        """Validate if the unbroken run would have validated here."""
        loop = runner.train_loop
        resumed = runner._resume and isinstance(loop, EpochBasedTrainLoop) and loop.epoch > 0
        if not resumed or runner.val_loop is None or loop.epoch < loop.val_begin:
            return
        loop._decide_current_val_interval()
        if loop.epoch % loop.val_interval == 0 or loop.epoch == loop.max_epochs:
            runner.val_loop.run()
