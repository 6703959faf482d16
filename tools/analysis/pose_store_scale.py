"""Measure the pose store at full size: time to open, memory per process, time to read a clip.

Writes a store of random clips (by default as large as SLR-500: 125,000 clips of 90 frames of 133
points, 7.5 GB), opens it in fresh processes and prints what they saw, beside the same for a pickle
of mmaction with fewer clips, extrapolated. The files are removed at the end unless --keep is given.
The processes load the room of the store alone, so that PyTorch's own 600 MB do not hide the rest.

With --workers, a DataLoader of so many processes then reads clips at random: all of the store through SignPoseDataset
and the training pipeline of SLR-500; the clips of the pickle through the same, and through mmaction's skeleton
pipeline; and these through mmaction's PoseDataset with that pipeline. Every process tells its memory.

    python tools/analysis/pose_store_scale.py --clips 125000 --frames 90 --workers 4 --out work_dirs/scale
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np

LAYOUT = "wholebody133"
SPLIT = "gsp35/train"
DISTINCT = 256  # random clips that are repeated, so that making them takes no time
MB = 2**20
# The skeleton pipeline of mmaction's own configs (2s-AGCN, ST-GCN++), with all points as they are.
MMACTION_PIPELINE = [
    {"type": "PreNormalize2D"},
    {"type": "GenSkeFeat", "dataset": "coco", "feats": ["j"]},
    {"type": "UniformSampleFrames", "clip_len": 64},
    {"type": "PoseDecode"},
    {"type": "FormatGCNInput", "num_person": 1},
    {"type": "PackActionInputs"},
]


def main() -> None:
    """Parse the arguments and run the measurement, or one of its probes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--clips", type=int, default=125_000, help="clips of the store")
    parser.add_argument("--frames", type=int, default=90, help="frames of each clip")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--reads", type=int, default=1000, help="random clips read per process")
    parser.add_argument("--pickle-clips", type=int, default=2000, help="clips of the pickle")
    parser.add_argument("--workers", type=int, default=0, help="also read with so many worker processes")
    parser.add_argument("--loaded", type=int, default=4000, help="clips that the workers read")
    parser.add_argument("--keep", action="store_true", help="do not remove the files at the end")
    parser.add_argument("--probe", choices=("store", "pickle", "loader"), help=argparse.SUPPRESS)
    parser.add_argument("--among", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--pipeline", choices=("slr500", "mmaction"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.probe == "store":
        probe_store(arguments.out, arguments.reads)
    elif arguments.probe == "pickle":
        probe_pickle(arguments.out)
    elif arguments.probe == "loader":
        probe_loader(arguments)
    else:
        measure(arguments)


def measure(arguments: argparse.Namespace) -> None:
    """Write the files, run the probes in processes of their own, print the table."""
    from gspmc_mm.poses import PoseStore, write_mmaction_pickle

    store = arguments.out / "scale.arrow"
    part = arguments.out / "scale_part.arrow"
    pickled = arguments.out / "scale_part.pkl"
    try:
        start = time.perf_counter()
        write_store(store, arguments.clips, arguments.frames)
        seconds = time.perf_counter() - start
        print(f"store: {arguments.clips} clips x {arguments.frames} frames x 133 points")
        print(f"  size on disk      {store.stat().st_size / 1e9:.2f} GB, written in {seconds:.0f} s")

        forget(store)
        cold = run_probes(store, arguments.reads, count=1)[0]
        print_store("page cache emptied first", cold)
        warm = run_probes(store, arguments.reads, count=1)[0]
        print_store("again, in a fresh process", warm)
        for number, seen in enumerate(run_probes(store, arguments.reads, count=2), start=1):
            print_store(f"two processes at once, process {number}", seen)

        pickle_clips = min(arguments.pickle_clips, arguments.clips)
        write_store(part, pickle_clips, arguments.frames)
        write_mmaction_pickle(PoseStore(part), pickled)
        command = [sys.executable, __file__, "--probe", "pickle", "--out", str(pickled)]
        seen = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        factor = arguments.clips / pickle_clips
        print(f"mmaction pickle (float32) of {pickle_clips} clips, measured:")
        print(f"  size {pickled.stat().st_size / 1e9:.2f} GB, load {seen['load_s']:.2f} s, private")
        print(f"  memory {seen['private_mb'] / 1024:.2f} GiB in every process")
        print(f"  times {factor:.1f}, EXTRAPOLATED to {arguments.clips} clips:")
        print(f"  size {pickled.stat().st_size * factor / 1e9:.1f} GB, load", end=" ")
        print(f"{seen['load_s'] * factor:.0f} s, {seen['private_mb'] * factor / 1024:.1f} GiB each")
        if arguments.workers:
            measure_loaders(arguments, store, pickled, pickle_clips)
    finally:
        if not arguments.keep:
            for file in (store, part, pickled):
                file.unlink(missing_ok=True)


def write_store(path: Path, clips: int, frames: int) -> None:
    """Write a store of random clips with the ids, signers and splits that SLR-500 would have."""
    from gspmc_mm.poses import PoseClip, PoseStoreWriter, StoreHeader

    random = np.random.default_rng(0)
    points = [
        (
            (random.random((frames, 133, 2)) * 1080).astype(np.float32),
            random.random((frames, 133)).astype(np.float32),
        )
        for _ in range(min(DISTINCT, clips))
    ]
    header = StoreHeader(
        layout=LAYOUT,
        estimator={"name": "random numbers", "version": "", "weights": ""},
        command="tools/analysis/pose_store_scale.py",
        note="RANDOM NUMBERS for measuring, no poses",
    )
    with PoseStoreWriter(path, header, overwrite=True) as writer:
        for number in range(clips):
            keypoint, score = points[number % len(points)]
            signer = signer_of(number)
            writer.add(
                PoseClip(
                    clip_id=f"P{signer:02d}_{number:06d}._color",
                    keypoint=keypoint,
                    score=score,
                    label=number // 250 % 500,
                    signer=f"P{signer:02d}",
                    fps=30.0,
                    image_size=(1920, 1080),
                    splits=(SPLIT,) if trains(number) else ("gsp35/test", "sota36/test"),
                )
            )


def signer_of(number: int) -> int:
    """The signer of a clip."""
    return number // 5 % 50 + 1


def trains(number: int) -> bool:
    """Whether a clip is in the training split."""
    return signer_of(number) <= 35


def forget(path: Path) -> None:
    """Ask the system to drop a file from the page cache."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run_probes(store: Path, reads: int, count: int) -> list[dict[str, float]]:
    """Open the store in `count` processes that live at the same time; what each of them saw."""
    command = [sys.executable, __file__, "--probe", "store", "--out", str(store)]
    command += ["--reads", str(reads)]
    probes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    for probe in probes:
        # Memory is looked at when all of them have read: a page is shared only by the living.
        if probe.stdout.readline().strip() != "ready":
            raise RuntimeError("a probe failed; its message is above")
    results = []
    for probe in probes:
        probe.stdin.write("go\n")
        probe.stdin.flush()
        results.append(json.loads(probe.stdout.readline()))
    for probe in probes:
        probe.stdin.close()
        probe.wait()
    return results


def probe_store(path: Path, reads: int) -> None:
    """In a process of its own: open, read random clips, report time and memory."""
    load_package_bare()
    from gspmc_mm.poses import PoseStore

    imported = memory()
    start = time.perf_counter()
    store = PoseStore(path)
    open_s = time.perf_counter() - start
    opened = memory()
    chosen = np.random.default_rng(1).integers(len(store), size=reads)
    start = time.perf_counter()
    for index in chosen:
        store.clip(int(index))
    read_s = time.perf_counter() - start
    frames = np.linspace(0, store.frames.min() - 1, 64).astype(int)
    start = time.perf_counter()
    for index in chosen:
        store.clip(int(index), frames=frames, joints=range(87))
    part_s = time.perf_counter() - start
    print("ready", flush=True)
    sys.stdin.readline()
    after = memory()
    result = {
        "open_s": open_s,
        "clip_ms": read_s / reads * 1e3,
        "part_ms": part_s / reads * 1e3,
        "reads": reads,
        "imported_rss": imported["Rss"],
        "open_rss": opened["Rss"] - imported["Rss"],
        "open_private": opened["Anonymous"] - imported["Anonymous"],
        "total_rss": opened["Rss"],
        "read_rss": after["Rss"],
        "read_private": after["Anonymous"],
        "read_pss": after["Pss"],
    }
    print(json.dumps(result), flush=True)
    sys.stdin.readline()  # until the others have looked, too


def load_package_bare() -> None:
    """Make `gspmc_mm.poses` importable without running what `import gspmc_mm` runs (PyTorch)."""
    package = types.ModuleType("gspmc_mm")
    package.__path__ = list(importlib.util.find_spec("gspmc_mm").submodule_search_locations)
    sys.modules["gspmc_mm"] = package


def probe_pickle(path: Path) -> None:
    """In a process of its own: load the pickle as mmaction does, report time and memory."""
    before = memory()
    start = time.perf_counter()
    with open(path, "rb") as file:
        content = pickle.load(file)  # this script wrote it a moment ago
    seconds = time.perf_counter() - start
    grown = memory()["Anonymous"] - before["Anonymous"]
    print(json.dumps({"load_s": seconds, "private_mb": grown, "keys": len(content)}))


def measure_loaders(arguments: argparse.Namespace, store: Path, pickled: Path, pickle_clips: int) -> None:
    """Random reads by worker processes; every variant in a fresh process."""
    everything, part = (sum(trains(number) for number in range(count)) for count in (arguments.clips, pickle_clips))
    variants = (
        (f"SignPoseDataset, the {everything} training clips of the store", store, everything, "slr500"),
        (f"SignPoseDataset, {part} of them", store, part, "slr500"),
        (f"SignPoseDataset, the same {part}, mmaction's pipeline", store, part, "mmaction"),
        (f"mmaction PoseDataset, the same {part} ({pickle_clips} in its pickle)", pickled, part, "mmaction"),
    )
    print(f"{arguments.loaded} random clips by {arguments.workers} workers, batches of 32, through the whole pipeline:")
    for title, file, among, pipeline in variants:
        command = [sys.executable, __file__, "--probe", "loader", "--out", str(file), "--among", str(among)]
        command += ["--pipeline", pipeline]
        command += ["--workers", str(arguments.workers), "--loaded", str(arguments.loaded)]
        seen = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
        print(f"{title}:")
        print(f"  open              {seen['open_s']:.2f} s, {seen['open_mb']:.0f} MiB added to the process")
        print(f"  clips             {seen['clips_s']:.0f} per second; {seen['read_s']:.0f} when they are only read")
        print(f"  processor time    {seen['clips_s_cpu_ms']:.2f} ms a clip; {seen['read_s_cpu_ms']:.2f} to read it")
        print(f"  each worker       RSS {seen['worker_rss']:.0f} MiB, of its own {seen['worker_private']:.0f} MiB")
        print(f"  all processes     PSS {seen['pss']:.0f} MiB")


def probe_loader(arguments: argparse.Namespace) -> None:
    """In a process of its own: read random clips with a DataLoader, report clips per second and memory."""
    import torch
    from mmaction.registry import DATASETS
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate
    from mmengine.registry import init_default_scope

    import gspmc_mm  # noqa: F401  registers the components

    init_default_scope("mmaction")
    torch.set_num_threads(1)
    kind = "SignPoseDataset" if arguments.out.suffix == ".arrow" else "PoseDataset"
    pipeline = MMACTION_PIPELINE
    if arguments.pipeline == "slr500":
        base = Path(__file__).resolve().parents[2] / "configs" / "_base_" / "datasets" / "slr500.py"
        pipeline = Config.fromfile(base).train_pipeline
    before = memory()
    start = time.perf_counter()
    dataset = DATASETS.build({"type": kind, "ann_file": str(arguments.out), "split": SPLIT, "pipeline": pipeline})
    dataset.full_init()
    result = {"open_s": time.perf_counter() - start, "open_mb": memory()["Rss"] - before["Rss"]}
    chosen = np.random.default_rng(1).integers(arguments.among, size=arguments.loaded).tolist()
    for name, source in (("read_s", OnlyRead(dataset)), ("clips_s", dataset)):
        loader = torch.utils.data.DataLoader(
            source, batch_size=32, sampler=chosen, num_workers=arguments.workers, collate_fn=pseudo_collate
        )
        batches = iter(loader)
        for _ in range(2 * arguments.workers):  # the workers have started and filled their queues
            next(batches)
        pids = [worker.pid for worker in batches._workers]
        busy, start = sum(map(cpu_seconds, pids)), time.perf_counter()
        left = sum(1 for _ in range(len(loader) - 2 * arguments.workers - 1) if next(batches) is not None)
        result[name] = left * 32 / (time.perf_counter() - start)
        result[name + "_cpu_ms"] = (sum(map(cpu_seconds, pids)) - busy) / (left * 32) * 1e3
        workers = [memory(pid) for pid in pids]
        result["worker_rss"] = max(worker["Rss"] for worker in workers)
        result["worker_private"] = max(worker["Private_Dirty"] + worker["Private_Clean"] for worker in workers)
        result["pss"] = memory()["Pss"] + sum(worker["Pss"] for worker in workers)
        del batches
    print(json.dumps(result))


def cpu_seconds(pid: int) -> float:
    """Processor time of a process, which another load on the machine changes less than the clock's."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class OnlyRead:
    """A dataset without its pipeline; of a clip only its length is handed on, so that no time goes into sending it."""

    def __init__(self, dataset: object) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> int:
        info = self.dataset.get_data_info(index)
        return int(np.asarray(info["keypoint"]).shape[1])


def memory(pid: int | str = "self") -> dict[str, float]:
    """Memory of a process in MiB, by kind (Linux: /proc/<pid>/smaps_rollup).

    Rss is all of it; in Pss a page that n processes share counts 1/n; Anonymous is the part that
    belongs to no file and that no other process could share.
    """
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) * 1024 / MB for line in lines}


def print_store(title: str, seen: dict[str, float]) -> None:
    """Print what one probe saw."""
    print(f"{title}:")
    print(f"  open              {seen['open_s']:.3f} s")
    print(f"  RSS               {seen['open_rss']:.0f} MiB added by opening", end=" ")
    print(f"({seen['open_private']:.0f} MiB of its own); process {seen['imported_rss']:.0f} MiB")
    print(f"                    before, {seen['total_rss']:.0f} MiB once open (no PyTorch in it)")
    print(
        f"  one random clip   {seen['clip_ms']:.3f} ms whole, {seen['part_ms']:.3f} ms for 64",
        end=" ",
    )
    print("frames x 87 points")
    print(f"  after {seen['reads']} clips  RSS {seen['read_rss']:.0f} MiB,", end=" ")
    print(f"PSS {seen['read_pss']:.0f} MiB, private {seen['read_private']:.0f} MiB")


if __name__ == "__main__":
    main()
