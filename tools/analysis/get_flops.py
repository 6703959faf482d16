"""FLOPs and parameters of what runs at inference: `python tools/analysis/get_flops.py CONFIG`.

The text branch is taken off first, so GSP-MC and its classifier-only baseline print the same
numbers; the parameters that exist while training only are given on a line of their own.

A multiplication with its addition counts as one (mmengine's counter). Element-wise operations, tanh and
ReLU among them, are not counted. One clip of one sample; with several test clips the work multiplies.
mmaction's own get_flops runs on these configs too: same FLOPs up to the classifier, but it counts the text
projections of GSP-MC among the parameters.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from gspmc_mm.evaluation.inference import dataset_config, pipeline_steps

AXES = ("people", "frames", "joints", "channels")


class FlopsError(ValueError):
    """A config whose input or inference graph cannot be told."""


class InferenceGraph(nn.Module):
    """The network from one clip of key points to its class scores."""

    def __init__(self, recognizer: nn.Module) -> None:
        super().__init__()
        self.recognizer = recognizer

    def forward(self, inputs: Tensor) -> Tensor:
        """(B, clips, M, T, V, C) -> (B * clips, classes)."""
        return self.recognizer.extract_feat(inputs, stage="head")[0]


def count_parameters(model: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in model.parameters())


def first_setting(cfg: Config, name: str) -> int | None:
    """A setting of the first transform that has it: of the test pipeline, then of the others that the config has."""
    loaders = [one for one in ("test_dataloader", "val_dataloader", "train_dataloader") if dataset_config(cfg, one)]
    return next((step[name] for loader in loaders for step in pipeline_steps(cfg, loader) if name in step), None)


def backbone_input(model: nn.Module, cfg: Config) -> tuple[int | None, int | None]:
    """(joints, channels) that the backbone was built for; None where it does not say."""
    backbone = model.backbone
    if hasattr(backbone, "layout"):
        return backbone.layout.num_joints, backbone.in_channels
    graph = getattr(backbone, "graph", None)  # mmaction's STGCN and AAGCN
    return getattr(graph, "num_node", None), cfg.model.backbone.get("in_channels", 3)


def input_shape(model: nn.Module, cfg: Config, shape: Sequence[int] | None) -> tuple[int, ...]:
    """(1, M, T, V, C) of one clip, from the command line or from the config.

    Raises:
        FlopsError: The config does not say one of them.
    """
    if shape is not None:
        return (1, *shape)
    joints, channels = backbone_input(model, cfg)
    found = (first_setting(cfg, "num_person") or 1, first_setting(cfg, "clip_len"), joints, channels)
    missing = [axis for axis, size in zip(AXES, found, strict=True) if size is None]
    if missing:
        raise FlopsError(f"the config does not say how many {' and '.join(missing)}; give --shape M T V C")
    return (1, *found)


def analyse(cfg: Config, shape: Sequence[int] | None = None, table: bool = False) -> dict[str, Any]:
    """Count one clip's way through the inference graph.

    Args:
        cfg: A config with a `model`.
        shape: (M, T, V, C); the config's by default.
        table: Whether to add the table by module.

    Returns:
        input (M, T, V, C), flops, parameters, training_only_parameters, test_clips and, if asked for, table.

    Raises:
        FlopsError: The shape cannot be told, or the model is no recogniser with a `head` stage.
    """
    from mmaction.registry import MODELS

    init_default_scope(cfg.get("default_scope", "mmaction"))
    model = MODELS.build(cfg.model).eval()
    if not hasattr(model, "extract_feat"):
        raise FlopsError(f"{type(model).__name__} is no recogniser: it has no extract_feat")
    everything = count_parameters(model)
    strip_text = getattr(model.cls_head, "strip_text", None)
    if strip_text is not None:
        strip_text()
    shape = input_shape(model, cfg, shape)
    with torch.no_grad():
        try:
            counted = get_model_complexity_info(
                InferenceGraph(model), input_shape=shape, show_table=table, show_arch=False
            )
        except ValueError as error:
            raise FlopsError(f"no forward pass with M T V C = {shape[1:]}: {error}") from error
    parameters = count_parameters(model)
    return {
        "input": list(shape[1:]),
        "flops": int(counted["flops"]),
        "parameters": parameters,
        "training_only_parameters": everything - parameters,
        "test_clips": first_setting(cfg, "num_clips") or 1,
        **({"table": counted["out_table"]} if table else {}),
    }


def report(result: Mapping[str, Any]) -> str:
    """The result as lines for a person."""
    lines = [result["table"]] if "table" in result else []
    lines += [
        "Input of one clip (M T V C): {} {} {} {}".format(*result["input"]),
        f"FLOPs: {result['flops'] / 1e9:.4f} G ({result['flops']:,})",
        f"Parameters: {result['parameters'] / 1e6:.4f} M ({result['parameters']:,})",
        f"Parameters while training only: {result['training_only_parameters']:,}",
    ]
    if result["test_clips"] > 1:
        lines.append(f"The config tests {result['test_clips']} clips a sample: that many times the FLOPs.")
    return "\n".join(lines)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="config file")
    parser.add_argument(
        "--shape",
        nargs=4,
        type=int,
        metavar=("M", "T", "V", "C"),
        help="people, frames, joints and channels of a clip; the config's by default",
    )
    parser.add_argument("--table", action="store_true", help="also the figures of every module")
    parser.add_argument("--json", action="store_true", help="print the result as JSON instead")
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="settings of the config to override, key.of.it=value"
    )
    args = parser.parse_args(argv)
    if args.shape is not None and min(args.shape) < 1:
        parser.error(f"--shape takes positive numbers, got {args.shape}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = parse_args(argv)
    if not Path(args.config).is_file():
        print(f"error: config {args.config} does not exist; see configs/ for what there is", file=sys.stderr)
        return 1
    # The counter warns of every element-wise operation it leaves out.
    logging.getLogger("mmengine").setLevel(logging.ERROR)
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    try:
        result = analyse(cfg, args.shape, table=args.table)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result) if args.json else report(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
