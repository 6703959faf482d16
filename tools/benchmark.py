"""Measure speed and memory, beside the obvious implementation and beside mmaction's own, section by section.

    python tools/benchmark.py model --joints 87 --frames 64 --batch 4 --threads 2
    python tools/benchmark.py model --out docs/speed/model.json      # all sizes: half an hour on a laptop
    python tools/benchmark.py pipeline --out docs/speed/pipeline.json
    python tools/benchmark.py text --out docs/speed/text.json
    python tools/benchmark.py store --out docs/speed/store.json
    python tools/benchmark.py scaling --out docs/speed/scaling.json
    python tools/benchmark.py page                                   # fill docs/speed.md and draw its figure

Contenders take turns in one process, ratios are medians over the turns, and what is written says on which machine and
with which versions. The exit status is 0 only if everything that was asked for was measured.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
JOINTS, FRAMES, BATCHES = (27, 49, 76, 87, 133), (32, 64, 128), (1, 4, 16)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--seed", type=int, default=0, help="of inputs and weights (%(default)s)")
    common.add_argument("--out", type=Path, help="write the figures here as JSON")
    common.add_argument("--quick", action="store_true", help="tiny sizes, to see whether it runs: figures mean nothing")
    turns = argparse.ArgumentParser(add_help=False)
    turns.add_argument("--repeats", type=int, default=5, help="rounds in which the contenders take turns (%(default)s)")
    turns.add_argument("--warm-up", type=int, default=1, help="rounds before them (%(default)s)")
    commands = parser.add_subparsers(dest="section", required=True, metavar="SECTION")

    model = commands.add_parser("model", parents=[common, turns], help="forward, training step, memory of the networks")
    model.add_argument("--joints", type=int, nargs="+", default=JOINTS, metavar="V", help="default: %(default)s")
    model.add_argument("--frames", type=int, nargs="+", default=FRAMES, metavar="T", help="default: %(default)s")
    model.add_argument("--batch", type=int, nargs="+", default=BATCHES, metavar="B", help="default: %(default)s")
    model.add_argument("--contenders", nargs="+", metavar="NAME", help="default: all that there are")
    model.add_argument(
        "--full-grid",
        action="store_true",
        help="every V, T and B together; by default one varies and the others stay at the middle",
    )
    model.add_argument("--max-seconds", type=float, default=60, help="time for the rounds of a cell (%(default)s)")
    model.add_argument("--threads", type=int, help="CPU threads; default: PyTorch's")
    model.add_argument("--device", help="default: cuda if there is a GPU, else cpu")

    pipeline = commands.add_parser("pipeline", parents=[common], help="the input side beside mmaction's PoseDataset")
    pipeline.add_argument("--clips", type=int, default=500, help="clips in the files (%(default)s)")
    pipeline.add_argument("--frames", type=int, default=90, help="mean frames of a clip (%(default)s)")
    pipeline.add_argument("--repeats", type=int, default=1000, help="clips that each contender reads (%(default)s)")
    pipeline.add_argument("--warm-up", type=int, default=100, help="clips before them (%(default)s)")

    text = commands.add_parser("text", parents=[common], help="training step with and without texts")
    text.add_argument("--batch", type=int, default=32, help="clips a batch (%(default)s)")
    text.add_argument("--repeats", type=int, default=10, help="pairs of steps (%(default)s)")
    text.add_argument("--threads", type=int, help="CPU threads; default: PyTorch's")

    store = commands.add_parser("store", parents=[common], help="opening and reading the pose store")
    store.add_argument("--clips", type=int, default=20_000, help="clips of the store, 60 KB each (%(default)s)")
    store.add_argument("--frames", type=int, default=90, help="frames of each clip (%(default)s)")
    store.add_argument("--reads", type=int, default=1000, help="clips read at random (%(default)s)")

    scaling = commands.add_parser("scaling", parents=[common, turns], help="training on several CPU ranks")
    scaling.add_argument("--ranks", type=int, nargs="+", default=(1, 2), help="default: %(default)s")
    scaling.add_argument("--batch", type=int, default=4, help="clips a rank (%(default)s)")
    scaling.add_argument("--threads", type=int, default=1, help="threads a rank (%(default)s)")

    page = commands.add_parser("page", help="fill docs/speed.md from the JSON files and draw the figure")
    page.add_argument("--results", type=Path, default=REPOSITORY / "docs" / "speed", help="folder of the JSON files")
    page.add_argument("--page", type=Path, default=REPOSITORY / "docs" / "speed.md", help="the page")
    page.add_argument("--figure", type=Path, default=REPOSITORY / "docs" / "figures" / "speed", help="without ending")

    args = parser.parse_args(argv)
    for name in ("repeats", "batch", "joints", "frames", "threads", "clips", "ranks", "reads"):
        value = getattr(args, name, None)
        for number in value if isinstance(value, (list, tuple)) else [value]:
            if number is not None and number < 1:
                parser.error(f"--{name} has to be at least 1")
    return args


def load_tool(path: str) -> ModuleType:
    """Another command line of tools/, as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, REPOSITORY / "tools" / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_model(args: argparse.Namespace, console: Any) -> dict[str, Any]:
    """Networks over sizes of input."""
    import torch

    from gspmc_mm.evaluation.benchmarking.model_costs import Cell, grid, measure_models

    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    cells = grid(args.joints, args.frames, args.batch, args.full_grid)
    if args.quick:
        cells, args.repeats = [Cell(17, 8, 2)], 2

    def announce(cell: Cell) -> None:
        console.print(f"V={cell.joints} T={cell.frames} batch={cell.batch}", highlight=False)

    return measure_models(
        cells,
        args.contenders,
        device,
        args.repeats,
        args.warm_up,
        args.seed,
        args.threads,
        args.max_seconds,
        on_cell=announce,
        on_result=functools.partial(keep, args),
    )


def keep(args: argparse.Namespace, measured: dict[str, Any]) -> dict[str, Any]:
    """The result with what belongs beside it, written if a place was named."""
    from gspmc_mm.evaluation.provenance import gather_provenance
    from gspmc_mm.files import write_json

    result = {"section": args.section, "quick": args.quick, **measured}
    result["provenance"] = gather_provenance(seed=args.seed)
    if args.out is not None:
        write_json(args.out, result)
    return result


def run_pipeline(args: argparse.Namespace, console: Any) -> dict[str, Any]:
    """The input side."""
    from gspmc_mm.evaluation.benchmarking.contenders import threads
    from gspmc_mm.evaluation.benchmarking.pipeline_costs import measure_pipeline

    sizes = (500, 1000, 2000)
    if args.quick:
        args.clips, args.repeats, args.warm_up, sizes = 20, 20, 2, (10, 20)
    with threads(1):  # as in a worker
        return measure_pipeline(args.clips, args.frames, args.repeats, args.warm_up, args.seed, sizes)


def run_text(args: argparse.Namespace, console: Any) -> dict[str, Any]:
    """The cost of the texts, with tools/analysis/training_cost.py."""
    cost = load_tool("analysis/training_cost.py")
    options = ["--config-pair", "slr500", "--batch", str(args.batch), "--repeats", str(args.repeats), "--warm-up", "1"]
    options += ["--seed", str(args.seed)]
    if args.threads is not None:
        options += ["--threads", str(args.threads)]
    if args.quick:
        options[3:6:2] = ["2", "2"]
        options += ["--cfg-options", "model.backbone.base_channels=8", "model.backbone.num_stages=2"]
        options += ["model.cls_head.in_channels=8", "model.cls_head.num_classes=5"]
    return cost.measure(cost.parse_args(options), console)


def run_store(args: argparse.Namespace, console: Any) -> dict[str, Any]:
    """The pose store, with tools/analysis/pose_store_scale.py."""
    scale = load_tool("analysis/pose_store_scale.py")
    if args.quick:
        args.clips, args.reads = 20, 10
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scale.arrow"
        scale.write_store(path, args.clips, args.frames)
        scale.forget(path)
        processes = [{"name": "page cache emptied first", **scale.run_probes(path, args.reads, count=1)[0]}]
        processes.append({"name": "again, in a fresh process", **scale.run_probes(path, args.reads, count=1)[0]})
        for number, seen in enumerate(scale.run_probes(path, args.reads, count=2), start=1):
            processes.append({"name": f"two at once, process {number}", **seen})
        size = path.stat().st_size / 2**30
    return {"clips": args.clips, "frames": args.frames, "gib": size, "processes": processes}


def run_scaling(args: argparse.Namespace, console: Any) -> dict[str, Any]:
    """Several CPU ranks."""
    from gspmc_mm.evaluation.benchmarking.scaling import measure_scaling

    joints, frames, rounds = 87, 64, 2
    if args.quick:
        joints, frames, args.batch, args.repeats, rounds = 17, 8, 2, 2, 1
    return measure_scaling(
        args.ranks, joints, frames, args.batch, args.repeats, args.warm_up, args.seed, args.threads, rounds
    )


def fill_page(args: argparse.Namespace, console: Any) -> None:
    """docs/speed.md and its figure."""
    from gspmc_mm.evaluation.benchmarking.page import fill_page
    from gspmc_mm.visualization.cost_growth import draw_cost_growth

    found = fill_page(args.page, args.results)
    console.print(f"{args.page}: filled with {', '.join(found) or 'nothing'}", highlight=False)
    if "model" in found:
        result = json.loads((args.results / "model.json").read_text(encoding="utf-8"))
        if len(result["cells"]) < 2:
            console.print("one size was measured: no figure of growth", highlight=False)
            return
        for path in draw_cost_growth(result, args.figure):
            console.print(f"drew {path}", highlight=False)


SECTIONS: dict[str, Callable[[argparse.Namespace, Any], dict[str, Any]]] = {
    "model": run_model,
    "pipeline": run_pipeline,
    "text": run_text,
    "store": run_store,
    "scaling": run_scaling,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 when everything was measured."""
    args = parse_args(argv)
    # after the arguments are read: --help does not need PyTorch
    from rich.console import Console

    import gspmc_mm  # noqa: F401  repairs mmaction and registers the components
    from gspmc_mm.evaluation.benchmarking.tables import sheets

    console = Console(stderr=True)
    try:
        if args.section == "page":
            fill_page(args, console)
            return 0
        result = keep(args, SECTIONS[args.section](args, console))
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; sizes of input that were finished are in --out", file=sys.stderr)
        return 130
    wide = Console(width=max(Console().width, 150))
    for sheet in sheets(args.section, result):
        wide.print(sheet.to_rich())
    return 0


if __name__ == "__main__":
    sys.exit(main())
