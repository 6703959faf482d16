"""Test a checkpoint: `python tools/test.py CONFIG CHECKPOINT`. See `--help`."""

from __future__ import annotations

import argparse

import torch
from mmengine.config import DictAction
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from runner_config import config_from_arguments, distributed_arguments, mistakes_told

from gspmc_mm.evaluation.inference import InferenceError, refuse_other_weights
from gspmc_mm.models import PartPooledGCNRecognizer


def parse_arguments() -> argparse.Namespace:
    """The command line, the same as mmaction's tools/test.py."""
    parser = argparse.ArgumentParser(description="Test a checkpoint.")
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--work-dir", help="where the log goes; work_dirs/CONFIG by default")
    parser.add_argument(
        "--dump",
        help="file for the predictions: .npz (clip ids, labels, scores; no pickle) or, as mmaction has it, .pkl",
    )
    parser.add_argument("--fuse", action="store_true", help="fold the batch norms first; the same scores to rounding")
    parser.add_argument("--bf16", action="store_true", help="weights and activations in bfloat16; rounded scores")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        help="settings of the config to override, key.of.it=value",
    )
    distributed_arguments(parser)
    return parser.parse_args()


class CheckingRunner(Runner):
    """A runner that refuses a checkpoint of another network; mmengine would test random weights in its place.

    Attributes:
        fuse: Fold the batch norms once the weights are there.
        bf16: Then test in bfloat16.
    """

    fuse = bf16 = False

    def load_checkpoint(self, filename: str, *args: object, **kwargs: object) -> dict:
        """Load, then compare names and shapes. What only the training with texts needs may be missing or left over.

        Raises:
            SystemExit: The weights do not fit, or the network cannot be fused or run in bfloat16.
        """
        checkpoint = super().load_checkpoint(filename, *args, **kwargs)
        model = self.model.module if is_model_wrapper(self.model) else self.model
        state = checkpoint.get("state_dict", checkpoint)
        try:
            refuse_other_weights(model, {n.removeprefix("module."): tensor for n, tensor in state.items()}, filename)
        except InferenceError as error:
            raise SystemExit(str(error)) from error
        if (self.fuse or self.bf16) and not isinstance(model, PartPooledGCNRecognizer):
            raise SystemExit(f"--fuse and --bf16 are for PartPooledGCNRecognizer, not for {type(model).__name__}")
        if self.fuse:
            try:
                model.fuse()
            except TypeError as error:
                raise SystemExit(f"--fuse: {error}") from error
        if self.bf16:
            model.to(torch.bfloat16)
        return checkpoint


def main() -> None:
    """Build the runner and test."""
    arguments = parse_arguments()
    cfg = config_from_arguments(arguments)
    cfg.load_from = arguments.checkpoint
    if arguments.dump is not None:
        evaluators = cfg.test_evaluator
        evaluators = list(evaluators) if isinstance(evaluators, (list, tuple)) else [evaluators]
        if arguments.dump.endswith(".npz"):
            signs = [entry for entry in evaluators if entry["type"] == "SignAccuracy"]
            if not signs:
                raise SystemExit("--dump FILE.npz needs SignAccuracy in the config's test_evaluator")
            signs[0]["dump"] = arguments.dump
        elif arguments.dump.endswith((".pkl", ".pickle")):
            evaluators.append(dict(type="DumpResults", out_file_path=arguments.dump))
        else:
            raise SystemExit(f"--dump {arguments.dump}: the name has to end in .npz or .pkl")
        cfg.test_evaluator = evaluators
    with mistakes_told():
        runner = CheckingRunner.from_cfg(cfg)
        runner.fuse, runner.bf16 = arguments.fuse, arguments.bf16
        runner.test()


if __name__ == "__main__":
    main()
