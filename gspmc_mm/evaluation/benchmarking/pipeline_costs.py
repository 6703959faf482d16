"""The input side: clips per second of one worker, and memory of one rank, beside mmaction's PoseDataset.

Both read the same random signing: walks of 133 points with hands that are lost for some frames, as HRNet loses them.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmaction.registry import DATASETS
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope

from gspmc_mm.evaluation.benchmarking.memory import MIB, in_memory_child, own_bytes
from gspmc_mm.evaluation.benchmarking.timing import summary, take_turns
from gspmc_mm.poses import PoseClip, PoseStore, PoseStoreWriter, StoreHeader, write_mmaction_pickle
from gspmc_mm.skeleton import get_layout

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "_base_" / "datasets" / "slr500.py"
SPLIT = "all"
IMAGE = (1920, 1080)
SLR500_CLIPS = 125_000
# Steps of our pipeline that mmaction's has no counterpart of.
OURS_ALONE = ("FillMissingKeypoints", "RandomPlanarAffine", "LoadSignDescriptions")
MMACTION_133, MMACTION_87 = "PoseDataset, 133 points", "PoseDataset, 87 points"
OURS_SAME, OURS_TRAIN, OURS_TEST = "ours, same steps", "ours, whole train pipeline", "ours, whole test pipeline"
OURS_CACHED = "ours, whole train pipeline, cached"


def write_random_store(path: Path, clips: int, frames: int, seed: int) -> None:
    """A store of random walks, `frames` frames long on average (two thirds to four thirds of it).

    One hand point in about twenty-five has a confidence below the configs' threshold, in runs of two to eight frames.
    """
    random = np.random.default_rng(seed)
    header = StoreHeader(
        layout="wholebody133",
        estimator={"name": "random numbers", "version": "", "weights": ""},
        command="tools/benchmark.py",
        note="RANDOM NUMBERS for measuring, no poses",
    )
    with PoseStoreWriter(path, header, overwrite=True) as writer:
        for number in range(clips):
            length = int(random.integers(2 * frames // 3, 4 * frames // 3 + 1))
            start = random.random((1, 133, 2)) * 800 + 100
            walk = start + np.cumsum(2 * random.standard_normal((length, 133, 2)), axis=0)
            score = 0.75 + 0.25 * random.random((length, 133))
            for first in (91, 112):
                for _ in range(3):
                    begin, lost = int(random.integers(length)), int(random.integers(2, 9))
                    points = first + np.flatnonzero(random.random(21) < 0.6)
                    score[begin : begin + lost, points] = 0.15
            writer.add(
                PoseClip(
                    clip_id=f"clip{number:06d}",
                    keypoint=walk.astype(np.float32),
                    score=score.astype(np.float32),
                    label=number % 500,
                    signer=f"P{number % 50:02d}",
                    fps=30.0,
                    image_size=IMAGE,
                    splits=(SPLIT,),
                )
            )


def write_pickle(store: Path, path: Path, layout: str | None) -> None:
    """The clips of a store as mmaction's pickle, with all the points or with those of a layout."""
    write_mmaction_pickle(PoseStore(store), path)
    if layout is None:
        return
    import mmengine

    content = mmengine.load(path)  # this function wrote it a moment ago
    joints = get_layout(layout).indices_in(PoseStore(store).layout)
    for annotation in content["annotations"]:
        annotation["keypoint"] = np.ascontiguousarray(annotation["keypoint"][:, :, joints])
        annotation["keypoint_score"] = np.ascontiguousarray(annotation["keypoint_score"][:, :, joints])
    mmengine.dump(content, path)


def stock_pipeline(clip_len: int) -> list[dict[str, Any]]:
    """Mmaction's own steps for the joint stream, as its STGCN configs have them, one person."""
    return [
        dict(type="PreNormalize2D", img_shape=IMAGE[::-1]),
        dict(type="GenSkeFeat", dataset="coco", feats=["j"]),
        dict(type="UniformSampleFrames", clip_len=clip_len),
        dict(type="PoseDecode"),
        dict(type="FormatGCNInput", num_person=1),
        dict(type="PackActionInputs"),
    ]


def build_datasets(folder: Path) -> dict[str, Any]:
    """The datasets that take turns, on the files that `measure_pipeline` wrote."""
    cfg = Config.fromfile(CONFIG)
    clip_len = next(step["clip_len"] for step in cfg.train_pipeline if "clip_len" in step)
    same = [step for step in cfg.train_pipeline if step["type"] not in OURS_ALONE]
    # Rows of the text bank would be one look-up; there is no bank here.
    train = [step for step in cfg.train_pipeline if step["type"] != "LoadSignDescriptions"]
    ours = dict(type="SignPoseDataset", ann_file=str(folder / "random.arrow"), split=SPLIT, num_classes=500)
    stock = dict(type="PoseDataset", split=SPLIT, pipeline=stock_pipeline(clip_len))
    configs = {
        MMACTION_133: dict(stock, ann_file=str(folder / "random133.pkl")),
        MMACTION_87: dict(stock, ann_file=str(folder / "random87.pkl")),
        OURS_SAME: dict(ours, pipeline=same),
        OURS_TRAIN: dict(ours, pipeline=train),
        OURS_CACHED: dict(ours, pipeline=train, cache=True),
        OURS_TEST: dict(ours, pipeline=list(cfg.test_pipeline), test_mode=True),
    }
    return {name: DATASETS.build(config) for name, config in configs.items()}


class Reader:
    """Takes the next random clips of a dataset through its pipeline; all readers of a seed take the same clips."""

    def __init__(self, dataset: Any, seed: int) -> None:
        self.dataset = dataset
        self.random = np.random.default_rng(seed)

    def __call__(self) -> None:
        """One clip."""
        self.dataset[int(self.random.integers(len(self.dataset)))]


def measure_pipeline(
    clips: int = 500,
    frames: int = 90,
    repeats: int = 1000,
    warm_up: int = 100,
    seed: int = 0,
    memory_clips: Sequence[int] = (500, 1000, 2000),
    on_round: Callable[[], object] | None = None,
) -> dict[str, Any]:
    """Clips per second of one worker, contenders taking turns clip by clip, and memory of one rank.

    Args:
        clips: Clips in the files that are read.
        frames: Mean number of frames of a clip.
        repeats: Clips that each contender reads.
        warm_up: Clips before that do not count.
        seed: Of the clips and of the order.
        memory_clips: Numbers of clips at which memory is measured; a straight line through them is extended to the
            125,000 clips of SLR-500.
        on_round: Called after every round.
    """
    init_default_scope("mmaction")
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_random_store(folder / "random.arrow", clips, frames, seed)
        write_pickle(folder / "random.arrow", folder / "random133.pkl", None)
        write_pickle(folder / "random.arrow", folder / "random87.pkl", "sign87")
        datasets = build_datasets(folder)
        for index in range(clips):  # what is measured is the second epoch
            datasets[OURS_CACHED][index]
        readers = {key: Reader(dataset, seed) for key, dataset in datasets.items()}
        seconds = take_turns(readers, repeats, warm_up, torch.device("cpu"), on_round)
        memory = measure_memory(folder, memory_clips, frames, seed)
    speed = summary(seconds, MMACTION_133)
    against_87 = summary(seconds, MMACTION_87)
    for key, row in speed.items():
        del row["seconds"]  # thousands of numbers that nobody reads
        row["clips_per_s"] = 1 / row["median_s"]
        row["speedup_87"] = against_87[key]["speedup"]
    return {"clips": clips, "frames": frames, "unit": MMACTION_133, "speed": speed, "memory": memory}


def measure_memory(folder: Path, sizes: Sequence[int], frames: int, seed: int) -> dict[str, Any]:
    """Private memory of a process with each dataset open, by number of clips, and the line through them."""
    measured: dict[str, dict[int, float]] = {"ours": {}, "PoseDataset": {}}
    for clips in sizes:
        store, pickled = folder / f"memory{clips}.arrow", folder / f"memory{clips}.pkl"
        write_random_store(store, clips, frames, seed)
        write_pickle(store, pickled, None)
        for key, path in (("ours", store), ("PoseDataset", pickled)):
            measured[key][clips] = in_memory_child(__name__, {"kind": key, "path": str(path)}) / MIB
        store.unlink()
        pickled.unlink()
    result: dict[str, Any] = {}
    for key, by_clips in measured.items():
        slope, start = np.polyfit(list(by_clips), list(by_clips.values()), 1) if len(by_clips) > 1 else (0.0, 0.0)
        result[key] = {
            "measured_mib": {str(clips): mib for clips, mib in by_clips.items()},
            "kib_per_clip": float(slope) * 1024,
            "extrapolated_to_clips": SLR500_CLIPS,
            "extrapolated_mib": float(start + slope * SLR500_CLIPS),
        }
    result["share"] = result["ours"]["extrapolated_mib"] / result["PoseDataset"]["extrapolated_mib"]
    return result


def open_dataset(kind: str, path: str) -> Any:
    """One of the two datasets, without a pipeline."""
    type_name = {"ours": "SignPoseDataset", "PoseDataset": "PoseDataset"}[kind]
    return DATASETS.build(dict(type=type_name, ann_file=path, split=SPLIT, pipeline=[]))


def main() -> None:
    """In the process that measures memory: what to open as JSON on stdin, bytes as JSON on stdout."""
    arguments: Mapping[str, str] = json.load(sys.stdin)
    init_default_scope("mmaction")
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    before = own_bytes()
    dataset = open_dataset(arguments["kind"], arguments["path"])
    for index in range(0, len(dataset), 10):
        dataset[index]
    print(json.dumps(own_bytes() - before))


if __name__ == "__main__":
    main()
