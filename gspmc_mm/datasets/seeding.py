"""Random numbers of the input side as a function of (seed, epoch, rank), so that a resumed run goes on exactly."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS, HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seed python, numpy and torch anew in front of every training epoch.

    mmengine writes no random state into its checkpoints, so a resumed run would draw other numbers than the
    unbroken one. Seeded like this, epoch k draws the same numbers whether or not the run was interrupted before
    it. Data-loader workers take their seeds from torch's generator, see `seed_worker`; they must not be persistent.
    """

    priority = "VERY_HIGH"

    def before_train_epoch(self, runner: Any) -> None:
        """Seed from (seed of the run, epoch, rank)."""
        entropy = np.random.SeedSequence([runner.seed, runner.epoch, get_rank()])
        seed = int(entropy.generate_state(1)[0])
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Seed numpy and python in a data-loader worker from the seed that torch gave it for this epoch.

    mmengine's own worker_init_fn gives a worker the same seed in every epoch, so that the augmentations repeat.
    """
    seed = torch.initial_seed() % 2**32
    np.random.seed(seed)
    random.seed(seed)
