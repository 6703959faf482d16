"""How fast poses are extracted, and where the time goes.

    python tools/analysis/extraction_speed.py ../shared/data/ksl_videos --frames 12

Runs mmpose's HRNet-W48 dark over the first frames of each video twice in one process, with the same weights: in a plain
loop (decode a frame, call `inference_topdown`) and through the extraction of this package (decoding process, batches
across clips). Compares the points of both, prints frames/s and the share of the time in which the network had nothing
to do. The two take turns, round by round, so that other work on the machine hits both. Weights are random unless
--checkpoint names some: the speed is the same.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("videos", help="list of clips (CSV), folder of videos, or one video")
    parser.add_argument("--frames", type=int, default=12, help="frames of each video; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="turns of both; default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=4, help="frames in the network; default: %(default)s")
    parser.add_argument("--decoders", type=int, default=1, help="decoding processes; default: %(default)s")
    parser.add_argument("--checkpoint", default="random:0", help="weights; default: %(default)s")
    parser.add_argument("--device", default="cpu", help="default: %(default)s")
    parser.add_argument("--threads", type=int, help="threads of the network on the CPU; default: PyTorch's")
    parser.add_argument("--no-flip-test", action="store_true", help="do not average with the mirrored picture")
    parser.add_argument("--out", type=Path, help="also write the figures here (JSON)")
    return parser.parse_args()


def main() -> int:
    """Measure and print; 1 if the points of both differ."""
    args = parse_args()
    import torch

    from gspmc_mm.evaluation.provenance import gather_provenance
    from gspmc_mm.extraction import Recipe, make_estimator
    from gspmc_mm.extraction.clip_work import ClipJob, jobs_of
    from gspmc_mm.extraction.stations import BatchedStation
    from gspmc_mm.files import write_json
    from gspmc_mm.poses.clip_list import read_clip_list

    if args.threads is not None:
        torch.set_num_threads(args.threads)
    try:
        estimator = make_estimator(
            "mmpose",
            checkpoint=args.checkpoint,
            device=args.device,
            batch_size=args.batch_size,
            flip_test=not args.no_flip_test,
        )
        jobs = [shortened(job, args.frames, ClipJob) for job in jobs_of(read_clip_list(args.videos))]
        station = BatchedStation(Recipe(estimator, min_person_score=-1.0), decoders=args.decoders)
        station.start()
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    network = Clock(estimator)
    try:
        # One clip through both first: processes start and memory is taken.
        list(station.run(jobs[:1]))
        plain_loop(estimator, jobs[:1])
        rounds = []
        for number in range(args.rounds):
            rounds.append(one_round(station, estimator, jobs, network))
            print(f"round {number + 1}: {shown(rounds[-1])}", flush=True)
    finally:
        station.stop()

    ours, theirs = (sum(each[name] for each in rounds) for name in ("ours_s", "loop_s"))
    frames = sum(each["frames"] for each in rounds)
    figures = {
        "frames": frames,
        "ours_fps": frames / ours,
        "loop_fps": frames / theirs,
        "ratio": theirs / ours,
        "outside_network": 1 - sum(each["network_s"] for each in rounds) / ours,
        "keypoint_difference": max(each["keypoint_difference"] for each in rounds),
        "score_difference": max(each["score_difference"] for each in rounds),
        "batch_size": args.batch_size,
        "threads": torch.get_num_threads(),
        "estimator": dict(estimator.info),
        "rounds": rounds,
    }
    where = f"{args.device}, {figures['threads']} threads"
    print(f"{frames} frames, {len(jobs)} videos, batches of {args.batch_size}, {where}")
    print(f"  extraction         {figures['ours_fps']:.3f} frames/s")
    print(f"  inference_topdown  {figures['loop_fps']:.3f} frames/s in a plain loop")
    print(f"  ratio              {figures['ratio']:.3f}")
    print(f"  outside network    {figures['outside_network']:.1%} of the time of the extraction")
    print(f"  points differ by   {figures['keypoint_difference']:.2g} pixels at most, confidences by", end=" ")
    print(f"{figures['score_difference']:.2g}")
    if args.out:
        command = shlex.join(["python", *sys.argv])
        write_json(args.out, {**figures, "provenance": gather_provenance(seed=0, command=command)})
    if figures["keypoint_difference"] > 0.01:
        print("error: the points of both are not the same", file=sys.stderr)
        return 1
    return 0


class Clock:
    """Counts the seconds in the network, data to the device and heat maps back included."""

    def __init__(self, estimator: Any) -> None:
        self.seconds = 0.0
        self._heatmaps = estimator.heatmaps
        estimator.heatmaps = self._timed

    def _timed(self, pictures: np.ndarray) -> np.ndarray:
        start = time.perf_counter()
        try:
            return self._heatmaps(pictures)
        finally:
            self.seconds += time.perf_counter() - start


def shortened(job: Any, frames: int, kind: type) -> Any:
    """The job cut to its first frames."""
    from dataclasses import replace

    start = job.clip.start or 0
    return kind(replace(job.clip, start=start, end=start + frames), job.path)


def one_round(station: Any, estimator: Any, jobs: list, network: Clock) -> dict[str, float]:
    """Both ways once over all clips."""
    network.seconds = 0.0
    start = time.perf_counter()
    outcomes = {outcome.clip_id: outcome for outcome in station.run(jobs)}
    ours_s = time.perf_counter() - start
    network_s = network.seconds
    start = time.perf_counter()
    expected = plain_loop(estimator, jobs)
    loop_s = time.perf_counter() - start
    failed = [outcome for outcome in outcomes.values() if outcome.clip is None]
    if failed:
        raise RuntimeError(f"{failed[0].clip_id}: {failed[0].reason}: {failed[0].message}")
    keypoint = score = 0.0
    for clip_id, (points, scores) in expected.items():
        clip = outcomes[clip_id].clip
        seen = np.clip(scores, 0, 1)  # a store holds confidences from 0 to 1, and no point where there is none
        score = max(score, float(np.abs(clip.score - seen).max()))
        keypoint = max(keypoint, float(np.abs(clip.keypoint - points)[seen > 0].max(initial=0)))
    frames = sum(len(points) for points, _ in expected.values())
    return {
        "frames": frames,
        "ours_s": ours_s,
        "network_s": network_s,
        "loop_s": loop_s,
        "keypoint_difference": keypoint,
        "score_difference": score,
    }


def plain_loop(estimator: Any, jobs: list) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What one would write with mmpose alone: a frame after another."""
    from mmpose.apis import inference_topdown

    from gspmc_mm.extraction.clip_work import open_frames

    found = {}
    for job in jobs:
        answers = [inference_topdown(estimator._network, frame)[0].pred_instances for frame in open_frames(job)]
        found[job.clip_id] = (
            np.concatenate([answer.keypoints for answer in answers]),
            np.concatenate([answer.keypoint_scores for answer in answers]),
        )
    return found


def shown(figures: dict[str, float]) -> str:
    """A round in one line."""
    outside = 1 - figures["network_s"] / figures["ours_s"]
    return (
        f"extraction {figures['ours_s']:.1f} s ({outside:.1%} outside the network), inference_topdown "
        f"{figures['loop_s']:.1f} s for {figures['frames']} frames"
    )


if __name__ == "__main__":
    sys.exit(main())
