"""Train a recogniser: `python tools/train.py CONFIG`. See `--help`."""

from __future__ import annotations

import argparse
import logging

from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.runner import Runner
from runner_config import config_from_arguments, distributed_arguments, mistakes_told

from gspmc_mm.models import bfloat16_is_native


def parse_arguments() -> argparse.Namespace:
    """The command line, the same as mmaction's tools/train.py."""
    parser = argparse.ArgumentParser(description="Train a recogniser.")
    parser.add_argument("config", help="config file")
    parser.add_argument("--work-dir", help="where logs and checkpoints go; work_dirs/CONFIG by default")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        help="go on from the latest checkpoint of the work dir, or from the one named",
    )
    parser.add_argument("--amp", action="store_true", help="mixed precision: float16 on a GPU, bfloat16 on a CPU")
    parser.add_argument("--no-validate", action="store_true", help="no validation while training")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate from the config's base batch size to the actual one",
    )
    parser.add_argument("--seed", type=int, help="random seed; the config's, or 0, by default")
    parser.add_argument("--deterministic", action="store_true", help="deterministic algorithms only")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        help="settings of the config to override, key.of.it=value",
    )
    distributed_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Build the runner and train."""
    arguments = parse_arguments()
    cfg = config_from_arguments(arguments)
    if arguments.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if arguments.amp:
        use_mixed_precision(cfg, get_device())
    if arguments.resume is not None:
        cfg.resume = True
        cfg.load_from = None if arguments.resume == "auto" else arguments.resume
    if arguments.auto_scale_lr:
        if "base_batch_size" not in (cfg.get("auto_scale_lr") or {}):
            raise SystemExit(
                f"--auto-scale-lr: {arguments.config} does not say which batch size its learning rate is for; "
                "add auto_scale_lr = dict(enable=False, base_batch_size=...) to it"
            )
        cfg.auto_scale_lr.enable = True
    randomness = dict(cfg.get("randomness") or {})
    if arguments.seed is not None:
        randomness["seed"] = arguments.seed
    if arguments.deterministic:
        randomness["deterministic"] = True
    cfg.randomness = {"seed": 0, **randomness}
    with mistakes_told():
        runner = Runner.from_cfg(cfg)
        warn_of_another_batch(cfg, runner.world_size)
        runner.train()


def use_mixed_precision(cfg: Config, device: str) -> None:
    """Make the config train in the device's mixed precision: float16 with scaled losses on a GPU, bfloat16 on a CPU.

    Raises:
        SystemExit: The device has none that PyTorch trains in.
    """
    if device == "mps":
        raise SystemExit("--amp is for a GPU of CUDA's kind or a CPU, and this device is mps; leave it out here")
    if device != "cpu":
        cfg.optim_wrapper.type = "AmpOptimWrapper"
        cfg.optim_wrapper.setdefault("loss_scale", "dynamic")
        return
    cfg.optim_wrapper.type = "CpuAmpOptimWrapper"
    if bfloat16_is_native() is False:
        print_log(
            "--amp: this processor has no instructions for bfloat16 and imitates them, which is slower than float32",
            logger="current",
            level=logging.WARNING,
        )


def warn_of_another_batch(cfg: Config, processes: int) -> None:
    """Say so where a step has another number of clips than the one that the learning rate was chosen for."""
    scaling = cfg.get("auto_scale_lr") or {}
    meant = scaling.get("base_batch_size")
    clips = cfg.train_dataloader.get("batch_size", 0) * processes * cfg.optim_wrapper.get("accumulative_counts", 1)
    if meant and clips and clips != meant and not scaling.get("enable"):
        print_log(
            f"A step has {clips} clips ({processes} process(es) of {cfg.train_dataloader.batch_size}), but the "
            f"learning rate is meant for {meant} (auto_scale_lr.base_batch_size): give --auto-scale-lr, unless you "
            "have chosen the rate for this batch yourself",
            logger="current",
            level=logging.WARNING,
        )


if __name__ == "__main__":
    main()
