"""What the texts cost: a training step and an inference step of GSP-MC beside its classifier-only baseline.

Both networks run in one process on the same random inputs, in turns (with texts, without, without, with, ...), so
that whatever else the machine does falls on both. A training step is the whole step of mmengine: preprocessing,
losses, backward pass, optimizer. Loading data is not part of it; looking up which texts belong to a batch, which the
loader's workers do, is timed by itself. On a CPU the processor time of a step is compared too: it leaves out what the
step waited while others had the processor. So is the text branch (pooling by part, contrastive loss, backward to the
feature map, optimizer): it is so small a part of a step that the difference of two steps drowns in their noise.

Examples:
    python tools/analysis/training_cost.py --threads 1
    python tools/analysis/training_cost.py --config-pair slr500 --batch 15 --repeats 200
    python tools/analysis/training_cost.py --config-pair configs/ctrgcn_autsl_j.py configs/gspmc_autsl_j.py
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch
from mmaction.registry import MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config, DictAction
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gspmc_mm.datasets import LoadSignDescriptions
from gspmc_mm.descriptions import GLOBAL_TERM, SYNONYM_TERM, TextBank
from gspmc_mm.evaluation import config_hash, gather_provenance
from gspmc_mm.evaluation.benchmarking.timing import take_turns, timed
from gspmc_mm.evaluation.inference import pipeline_steps
from gspmc_mm.files import write_json
from gspmc_mm.models.part_pooling import global_pooling
from gspmc_mm.skeleton import get_layout

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
WITHOUT, WITH = "baseline", "gspmc"
# Texts of a sign in the random bank, about what the pipeline of prompts writes.
TEXTS_PER_SIGN = {GLOBAL_TERM: 1, SYNONYM_TERM: 4}
TEXTS_PER_PART = 2


class CostError(ValueError):
    """A pair of configs that cannot be compared."""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--config-pair",
        nargs="+",
        default=["wlasl100"],
        metavar="NAME",
        help="wlasl100, slr500, ... for configs/ctrgcn_NAME_j.py and configs/gspmc_NAME_j.py; or the files of the "
        "baseline and of GSP-MC (default: wlasl100)",
    )
    parser.add_argument("--batch", type=int, help="clips a batch; default: the config's")
    parser.add_argument("--repeats", type=int, default=60, help="pairs of steps (%(default)s)")
    parser.add_argument("--warm-up", type=int, default=5, help="pairs that are not counted (%(default)s)")
    parser.add_argument("--threads", type=int, help="CPU threads; default: PyTorch's")
    parser.add_argument("--device", help="default: cuda if there is a GPU, else cpu")
    parser.add_argument("--seed", type=int, default=0, help="of inputs and weights (%(default)s)")
    parser.add_argument("--out", type=Path, help="write the figures here as JSON")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        help="settings of both configs to override, key.of.it=value",
    )
    args = parser.parse_args(argv)
    if len(args.config_pair) > 2:
        parser.error("--config-pair takes one name or two files")
    for name, lowest in (("batch", 2), ("repeats", 2), ("warm_up", 0), ("threads", 1)):
        value = getattr(args, name)
        if value is not None and value < lowest:
            parser.error(f"--{name.replace('_', '-')} has to be at least {lowest}")
    return args


def read_configs(pair: Sequence[str], options: Mapping[str, Any] | None) -> dict[str, tuple[Path, Config]]:
    """The two configs, the baseline first.

    Raises:
        CostError: A file is missing, or not exactly the second one has texts.
    """
    if len(pair) == 1:
        paths = [CONFIGS / f"{kind}_{pair[0]}_j.py" for kind in ("ctrgcn", "gspmc")]
    else:
        paths = [Path(path) for path in pair]
    configs = {}
    for name, path in zip((WITHOUT, WITH), paths, strict=True):
        if not path.is_file():
            raise CostError(f"config {path} does not exist; see {CONFIGS} for what there is")
        cfg = Config.fromfile(path)
        if options:
            cfg.merge_from_dict(dict(options))
        if (cfg.model.cls_head.get("text_bank") is not None) != (name == WITH):
            raise CostError(f"{path}: the first config of a pair is without a text bank, the second one with it")
        configs[name] = (path, cfg)
    return configs


def random_bank(classes: int, parts: Sequence[str], dim: int, rng: np.random.Generator) -> TextBank:
    """A bank of random unit vectors with as many texts as real descriptions have."""
    counts = {**TEXTS_PER_SIGN, **dict.fromkeys(parts, TEXTS_PER_PART)}
    terms = np.repeat(np.arange(len(counts)), list(counts.values()))
    rows = classes * len(terms)
    vectors = rng.standard_normal((rows, dim)).astype(np.float32)
    return TextBank(
        vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        labels=np.repeat(np.arange(classes), len(terms)),
        terms=np.tile(terms, classes),
        text_ids=np.arange(rows),
        term_names=tuple(counts),
        classes=tuple(f"sign {label}" for label in range(classes)),
        texts=tuple(f"text {row}" for row in range(rows)),
        encoder="random",
        note="RANDOM VECTORS for measuring, no texts",
        descriptions_sha256="0" * 64,
    )


class Contestant:
    """One network with its optimizer and its batch."""

    def __init__(self, cfg: Config, inputs: list, samples: list, device: torch.device, seed: int) -> None:
        torch.manual_seed(seed)
        self.model = MODELS.build(cfg.model)
        self.model.init_weights()
        self.model.to(device)
        wrapper = cfg.optim_wrapper.copy()
        # Random labels teach nothing, and the steps must not run into infinity; their cost is the same.
        wrapper["optimizer"] = {**wrapper["optimizer"], "lr": 1e-5}
        self.optimizer = build_optim_wrapper(self.model, wrapper)
        self.batch = {"inputs": inputs, "data_samples": samples}
        self.logged: dict[str, torch.Tensor] = {}

    def train(self) -> None:
        """One training step."""
        logged = self.model.train_step(self.batch, self.optimizer)
        self.logged = {key: value.detach() for key, value in logged.items()}

    @torch.no_grad()
    def infer(self) -> None:
        """Class scores of the batch."""
        self.model.test_step(self.batch)

    def text_branch(self) -> Callable[[], None]:
        """What the texts add to a training step, as a step of its own on the features of the batch.

        The global pooling is in it, which a network without texts does too: rather too much than too little.
        """
        self.model.train()
        data = self.model.data_preprocessor(self.batch, training=True)
        features = self.model.extract_feat(data["inputs"])[0].detach().requires_grad_()
        head = self.model.cls_head
        rows = np.stack([sample.text_rows for sample in data["data_samples"]])
        optimizer = torch.optim.SGD(head.text_projections.parameters(), lr=1e-5, momentum=0.9)

        def step() -> None:
            features.grad = None
            optimizer.zero_grad()
            parts = self.model.part_pooling(features)
            head.contrast(global_pooling(features), parts, rows)["loss_con"].backward()
            optimizer.step()

        return step


def clocked(step: Callable[[], None], spent: list[float]) -> Callable[[], None]:
    """The step, which notes the processor seconds of all threads of this process that it took."""

    def run() -> None:
        begin = time.process_time()
        step()
        spent.append(time.process_time() - begin)

    return run


def compare(seconds: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Medians and ratios (with texts / without) of paired steps."""
    ratios = [a / b for a, b in zip(seconds[WITH], seconds[WITHOUT], strict=True)]
    low, _, high = quantiles(ratios, n=4)
    medians = {name: median(values) for name, values in seconds.items()}
    return {
        "pairs": len(ratios),
        "median_ms": {name: value * 1e3 for name, value in medians.items()},
        "ratio_of_medians": medians[WITH] / medians[WITHOUT],
        "median_of_ratios": median(ratios),
        "quartiles_of_ratios": [low, high],
        "ms": {name: [round(value * 1e3, 4) for value in values] for name, values in seconds.items()},
    }


def peak_memory(steps: Mapping[str, Callable[[], None]], device: torch.device) -> dict[str, float] | None:
    """MiB at the peak of one step beyond what is held before it; None where only a GPU could tell."""
    if device.type != "cuda":
        return None
    peaks = {}
    for name, step in steps.items():
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        peaks[name] = (torch.cuda.max_memory_allocated(device) - before) / 2**20
    return peaks


def input_shape(cfg: Config) -> tuple[int, int, int, int, int]:
    """(clips, people, frames, joints, channels) of a training sample.

    Raises:
        CostError: The pipeline does not say how many frames a clip has.
    """
    frames = next((step["clip_len"] for step in pipeline_steps(cfg, "train_dataloader") if "clip_len" in step), None)
    if frames is None:
        raise CostError("no step of the train pipeline has a clip_len")
    backbone = cfg.model.backbone
    return 1, 1, frames, get_layout(backbone["layout"]).num_joints, backbone.get("in_channels", 3)


def measure(args: argparse.Namespace, console: Console) -> dict[str, Any]:
    """Build the pair, run it, and say what was found."""
    configs = read_configs(args.config_pair, args.cfg_options)
    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if args.threads is not None:
        torch.set_num_threads(args.threads)
    init_default_scope("mmaction")
    # The networks are built to be measured: how each weight was initialised is of no interest here.
    MMLogger.get_instance("training_cost", log_level=logging.WARNING)
    shapes = {name: input_shape(cfg) for name, (_, cfg) in configs.items()}
    if shapes[WITH] != shapes[WITHOUT]:
        raise CostError(f"the two configs take inputs of different shapes: {shapes}")
    shape, cfg = shapes[WITH], configs[WITH][1]
    head = cfg.model.cls_head
    batch = args.batch or cfg.train_dataloader.batch_size
    rng = np.random.default_rng(args.seed)
    layout = get_layout(cfg.model.part_pooling["layout"])
    bank = random_bank(head["num_classes"], tuple(layout.parts), head.get("text_dim", 512), rng)
    lookup = LoadSignDescriptions(text_bank=bank)
    labels = rng.integers(head["num_classes"], size=batch).tolist()
    inputs = [torch.from_numpy(rng.standard_normal(shape).astype(np.float32)) for _ in labels]

    def look_up() -> list[np.ndarray]:
        return [lookup.transform({"label": label, "layout": layout})["text_rows"] for label in labels]

    samples = []
    for label, rows in zip(labels, look_up(), strict=True):
        sample = ActionDataSample().set_gt_label(label)
        sample.set_field(rows, "text_rows")
        samples.append(sample)

    with tempfile.TemporaryDirectory() as folder:
        head["text_bank"] = str(Path(folder) / "random.safetensors")
        bank.save(head["text_bank"])
        pair = {name: Contestant(config, inputs, samples, device, args.seed) for name, (_, config) in configs.items()}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    results: dict[str, Any] = {}
    with Progress(*columns, console=console) as progress:
        for what in ("train", "infer"):
            task = progress.add_task(f"{what}, pairs of steps", total=args.repeats + args.warm_up)
            processor: dict[str, list[float]] = {name: [] for name in pair}
            steps = {name: clocked(getattr(contestant, what), processor[name]) for name, contestant in pair.items()}
            for contestant in pair.values():
                contestant.model.train(what == "train")
            seconds = take_turns(steps, args.repeats, args.warm_up, device, lambda task=task: progress.advance(task))
            of_processor = compare({name: spent[args.warm_up :] for name, spent in processor.items()})
            results[what] = {
                **compare(seconds),
                "processor_time": of_processor if device.type == "cpu" else None,
                "peak_memory_mib": peak_memory(steps, device),
            }
    losses = {
        name: {key: value.item() for key, value in contestant.logged.items() if "loss" in key}
        for name, contestant in pair.items()
    }
    if not all(np.isfinite(value) for loss in losses.values() for value in loss.values()):
        raise CostError(f"a loss is not finite, so the steps are no usual ones: {losses}")
    spent = [timed(look_up, torch.device("cpu")) for _ in range(args.repeats)]
    branch = take_turns({WITH: pair[WITH].text_branch()}, args.repeats, max(args.warm_up, 1), device)[WITH]
    branch_ms = median(branch) * 1e3
    return {
        "pair": {
            name: {"config": path.name, "config_sha256": config_hash(config.to_dict())}
            for name, (path, config) in configs.items()
        },
        "input_shape": [batch, *shape],
        "device": str(device) if device.type == "cpu" else torch.cuda.get_device_name(device),
        "threads": torch.get_num_threads(),
        "texts": {"rows": len(bank), "note": bank.note, "look_up_ms_per_batch": median(spent) * 1e3},
        "text_branch": {
            "median_ms": branch_ms,
            "share_of_training_step": branch_ms / results["train"]["median_ms"][WITHOUT],
        },
        "losses": losses,
        "train": results["train"],
        "infer": results["infer"],
        "provenance": gather_provenance(seed=args.seed),
    }


def show(result: Mapping[str, Any], console: Console) -> None:
    """Print the table."""
    batch, *_, frames, joints, channels = result["input_shape"]
    table = Table(
        title=f"{result['pair'][WITH]['config']} beside {result['pair'][WITHOUT]['config']}: batch {batch}, "
        f"{frames} frames, {joints} joints, {channels} channels; {result['device']}, {result['threads']} thread(s)"
    )
    headings = ("step", "without texts", "with texts", "ratio of medians", "median of ratios", "quartiles", "peak")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "step" else "right")
    for what, name in (("train", "training"), ("infer", "inference")):
        peak = result[what]["peak_memory_mib"]
        for row, of in ((result[what], ""), (result[what]["processor_time"], ", processor time")):
            if row is not None:
                table.add_row(
                    name + of,
                    *(f"{row['median_ms'][contestant]:.2f} ms" for contestant in (WITHOUT, WITH)),
                    f"{row['ratio_of_medians']:.4f}",
                    f"{row['median_of_ratios']:.4f}",
                    "{:.3f} to {:.3f}".format(*row["quartiles_of_ratios"]),
                    "-" if peak is None or of else f"{peak[WITHOUT]:.0f} / {peak[WITH]:.0f} MiB",
                )
    console.print(table)
    branch = result["text_branch"]
    console.print(
        f"{result['train']['pairs']} pairs of steps; the text branch by itself: {branch['median_ms']:.2f} ms, "
        f"{branch['share_of_training_step']:.2%} of a training step without it; looking the texts of a batch up in the "
        f"loader: {result['texts']['look_up_ms_per_batch']:.2f} ms",
        highlight=False,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run; 0 when everything was measured."""
    args = parse_args(argv)
    try:
        result = measure(args, Console(stderr=True))
        if args.out is not None:
            write_json(args.out, result)
    except (ValueError, OSError) as error:
        print(f"training_cost: {error}", file=sys.stderr)
        return 1
    show(result, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
