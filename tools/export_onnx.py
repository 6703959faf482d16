"""Write the network of a checkpoint as ONNX: key points in, class scores out, no texts.

    python tools/export_onnx.py CONFIG CHECKPOINT --out model.onnx --check

The batch norms are folded and the text and part branches left out. Input `keypoints` float32 (N, M, T, V, C): clips,
people, frames, joints, channels, as the test pipeline of the config makes them; output `logits` (N, classes), whose
softmax are the probabilities. Everything but the number of clips N is fixed. The metadata of the file say the rest:
names of the signs, layout, stream, frames, and the steps of the pipeline (docs/own_data.md).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="config of the training")
    parser.add_argument("checkpoint", help="what it left, epoch_N.pth")
    parser.add_argument("--out", required=True, help="file to write, .onnx")
    parser.add_argument("--frames", type=int, metavar="N", help="frames T of a clip; default: those of the config")
    parser.add_argument(
        "--classes", metavar="FILE", help="names of the signs, one a line by label; default: what the training knows"
    )
    parser.add_argument(
        "--check", action="store_true", help="fail without onnxruntime; where it is there, the file is always compared"
    )
    parser.add_argument(
        "--cfg-options", nargs="+", default=[], metavar="k=v", help="settings of the config to override"
    )
    args = parser.parse_args(argv)
    if not args.out.endswith(".onnx"):
        parser.error(f"--out {args.out}: the name has to end in .onnx")
    if args.frames is not None and args.frames < 1:
        parser.error(f"--frames is {args.frames}; expected 1 or more")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Export and compare; 0 when the file was written."""
    args = parse_args(argv)
    # after the arguments are read: the package brings torch with it, --help does not need it
    from gspmc_mm.evaluation.checkpoint_facts import trained_facts
    from gspmc_mm.evaluation.experiments.planning import parse_options
    from gspmc_mm.evaluation.inference import load_trained, read_config
    from gspmc_mm.files import replacing
    from gspmc_mm.models.onnx_export import TOLERANCE, InferenceGraph, OnnxExportError, relative_difference, write_onnx

    try:
        runtime = import_runtime(needed=args.check)
        config = read_config(args.config, parse_options(args.cfg_options))
        facts = trained_facts(config, args.checkpoint, args.classes)
        shape = clip_shape(config, args.frames)
        graph = InferenceGraph(load_trained(config, args.checkpoint, "cpu").model)
        with replacing(args.out) as temporary:
            write_onnx(graph, temporary, shape, describe(config, facts, shape, args.checkpoint))
            if runtime is not None:
                difference = relative_difference(graph, runner_of(runtime, temporary), shape)
                if not difference <= TOLERANCE:
                    raise OnnxExportError(
                        f"ONNX Runtime and PyTorch differ by {difference:.1e} of the largest score, more than "
                        f"{TOLERANCE:.0e}; nothing was written"
                    )
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    sizes = " x ".join(("N", *map(str, shape)))
    print(f"wrote {args.out}: keypoints {sizes} -> logits N x {config.model.cls_head.num_classes}")
    if runtime is None:
        print("not compared with PyTorch: onnxruntime is not installed (pip install -c constraints.txt onnxruntime)")
    else:
        print(f"ONNX Runtime and PyTorch differ by at most {difference:.1e} of the largest score")
    if not facts.classes:
        print("the names of the signs are not known and not in the file; give them with --classes FILE")
    return 0


def import_runtime(needed: bool) -> Any | None:
    """The package onnxruntime, None where it is not installed.

    Raises:
        ImportError: It is needed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        if needed:
            raise ImportError("--check needs onnxruntime: pip install -c constraints.txt onnxruntime") from error
        return None
    return onnxruntime


def runner_of(runtime: Any, path: Path) -> Callable[[Any], Any]:
    """An exported graph as a function of arrays."""
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda clips: session.run(None, {name: clips})[0]


def clip_shape(config: Any, frames: int | None = None) -> tuple[int, int, int, int]:
    """(M, T, V, C) of a clip as the test pipeline hands it to the network.

    Raises:
        ValueError: The config does not say one of them.
    """
    from gspmc_mm.evaluation.inference import network_layout, pipeline_steps

    steps = pipeline_steps(config)
    people = next((step.get("num_person", 2) for step in steps if step["type"] == "FormatGCNInput"), None)
    frames = frames or next((step["clip_len"] for step in steps if "clip_len" in step), None)
    layout = network_layout(config)
    if people is None or frames is None or layout is None:
        raise ValueError(
            f"{config.filename}: the test pipeline does not say what a clip is: expected SelectKeypoints (or a layout "
            "of the backbone), a step with clip_len (or --frames), and FormatGCNInput"
        )
    return people, frames, layout.num_joints, config.model.backbone.get("in_channels", 3)


def describe(config: Any, facts: Any, shape: Sequence[int], checkpoint: str) -> Mapping[str, str]:
    """What whoever runs the file has to know; values that are no text are JSON."""
    from gspmc_mm.evaluation.inference import configured_input, network_layout, pipeline_steps

    people, frames, joints, channels = shape
    layout = network_layout(config)
    return {
        "classes": json.dumps(facts.classes, ensure_ascii=False),
        "layout": layout.name,
        "joints": json.dumps(layout.joint_names, ensure_ascii=False),
        "stream": str(configured_input(config).get("stream", "")),
        "frames": str(frames),
        "input": f"float32 (clips, {people} people, {frames} frames, {joints} joints, {channels} channels), normalised "
        "as the steps of `pipeline` do it: no longer pixels",
        "output": "scores before the softmax",
        "pipeline": json.dumps(pipeline_steps(config), ensure_ascii=False, default=str),
        "pose_estimator": json.dumps(dict(facts.estimator), ensure_ascii=False),
        "checkpoint": Path(checkpoint).name,
    }


if __name__ == "__main__":
    sys.exit(main())
