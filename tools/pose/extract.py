"""Extract poses from videos into a pose store.

    python tools/pose/extract.py VIDEOS --estimator mediapipe --out STORE

VIDEOS is a list of clips (CSV), a folder `<gloss>/<signer>_<n>.mp4`, or a video. The run may be ended or killed at any
time; the same command goes on with what is missing. The exit status is 0 only if the store has every clip.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from typing import Any

LINE_EVERY_SECONDS = 30  # where there is no terminal to draw a bar on
FAILURES_SHOWN = 40


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Videos to a pose store: 133 points of COCO-WholeBody in every frame (docs/extraction.md).",
        epilog="Run it again to go on after a kill, or to try what is missing.",
    )
    parser.add_argument("videos", help="list of clips (CSV), folder <gloss>/<signer>_<n>.mp4, or one video")
    parser.add_argument("--out", required=True, help="folder of the store")
    what = parser.add_argument_group("estimator")
    what.add_argument(
        "--estimator",
        default="mediapipe",
        help="mediapipe (offline), mmpose (HRNet-W48 dark, the paper's), rtmlib (RTMW, DWPose), or module:Class of "
        "your own; default: %(default)s",
    )
    what.add_argument(
        "--model", help="mmpose: model name or config; rtmlib: rtmw-x, rtmw-l, rtmw-m, dwpose-l or FILE.onnx"
    )
    what.add_argument("--checkpoint", help="mmpose: weights, path or URL; 'random' to measure without any")
    what.add_argument(
        "--device", help="cpu, cuda, cuda:1; cuda:0,cuda:1 for a network on each; default: cuda if there is one"
    )
    what.add_argument("--batch-size", type=int, help="mmpose: frames in the network at once")
    what.add_argument("--no-flip-test", action="store_true", help="mmpose: do not average with the mirrored picture")
    what.add_argument("--amp", action="store_true", help="mmpose: half precision")
    who = parser.add_argument_group("signer")
    who.add_argument(
        "--detector",
        help="find people first: faces (offline), yolox, yolox:FILE.onnx; default: one signer fills the picture",
    )
    who.add_argument("--person", type=int, help="take this person, from 1, left to right, not the main signer")
    who.add_argument(
        "--min-person-score",
        type=float,
        default=0.1,
        help="below it (mean confidence of nose and shoulders in the best frame) nobody is there; default: %(default)s",
    )
    where = parser.add_argument_group("work")
    where.add_argument("--engine", choices=("local", "ray"), default="local", help="default: %(default)s")
    where.add_argument(
        "--workers", type=int, help="processes, or Ray actors; default: what machine or cluster have room for"
    )
    where.add_argument(
        "--decoders", type=int, default=4, help="ray: decoding processes of each GPU; default: %(default)s"
    )
    where.add_argument(
        "--ray-address", help="of the cluster, such as auto; default: RAY_ADDRESS, or Ray on this machine"
    )
    where.add_argument("--shard", default="0/1", metavar="I/N", help="only every N-th clip from the I-th (0 to N - 1)")
    where.add_argument("--clip-timeout", type=float, default=600.0, help="seconds for one clip; default: %(default)g")
    where.add_argument("--clips-per-shard", type=int, default=500, help="clips in a file; default: %(default)s")
    where.add_argument("--retry-failed", action="store_true", help="try failed clips again whose video is the same")
    where.add_argument("--force-mixed", action="store_true", help="add to a store of another estimator; it will say so")
    return parser.parse_args()


def main() -> int:
    """Extract and report; 1 if a clip is missing in the end."""
    args = parse_args()
    # after the arguments are read: the package brings torch with it, --help does not need it
    from gspmc_mm.extraction import ExtractionError, RunSettings, run_extraction
    from gspmc_mm.poses.clip_list import read_clip_list

    try:
        settings = RunSettings(
            shard=read_shard(args.shard),
            retry_failed=args.retry_failed,
            force_mixed=args.force_mixed,
            clips_per_shard=args.clips_per_shard,
            command=shlex.join(["python", *sys.argv]),
            note="RANDOM WEIGHTS: the points mean nothing" if (args.checkpoint or "").startswith("random") else "",
        )
        clips = read_clip_list(args.videos)
        for note in clips.notes:
            print(f"note: {note}", file=sys.stderr)
        recipe = make_recipe(args)
        display = Display()
        with display:
            report = run_extraction(
                clips, recipe, args.out, make_engine(args, recipe), settings, display.begin, display.count
            )
    except KeyboardInterrupt:
        print(f"interrupted; what is done is in {args.out}, the same command goes on", file=sys.stderr)
        return 130
    except (ExtractionError, ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    show(report, args.out)
    return 0 if report.complete else 1


def read_shard(text: str) -> tuple[int, int]:
    """The two numbers of 'i/n'."""
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal()):
        raise ValueError(f"--shard is {text!r}; expected i/n, such as 0/8")
    return int(index), int(count)


def make_recipe(args: argparse.Namespace) -> Any:
    """How clips are extracted. Only what was given is passed on, so that an estimator refuses what it does not know."""
    from gspmc_mm.extraction import Recipe, make_detector, make_estimator

    device = args.device
    if device is None and args.estimator == "mmpose":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    settings: dict[str, Any] = {
        name: value
        for name, value in (
            ("model", args.model),
            ("checkpoint", args.checkpoint),
            ("device", device and device.split(",")[0]),
            ("batch_size", args.batch_size),
        )
        if value is not None
    }
    settings |= {"flip_test": False} if args.no_flip_test else {}
    settings |= {"amp": True} if args.amp else {}
    estimator = make_estimator(args.estimator, **settings)
    detector = args.detector and make_detector(args.detector, settings.get("device", "cpu"))
    return Recipe(estimator, detector or None, args.person, args.min_person_score)


def make_engine(args: argparse.Namespace, recipe: Any) -> Any:
    """Where the work is done."""
    from gspmc_mm.extraction import local_engine, ray_engine

    timeout = args.clip_timeout or None
    if args.engine == "ray":
        return ray_engine(recipe, args.workers, args.decoders, args.ray_address, timeout)
    devices = tuple((args.device or "").split(",")) if "," in (args.device or "") else ()
    return local_engine(recipe, args.workers, devices, timeout)


class Display:
    """A bar with clips/s, frames/s and the time left; a line now and then where there is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console = Console(stderr=True)
        self._bar = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(),
            TextColumn("[red]{task.fields[failed]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._clips = self._frames = self._failed = self._total = 0
        self._start = self._line = time.monotonic()

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def begin(self, report: Any, todo: int) -> None:
        """Before the first clip."""
        words = f"{report.clips} clips: {report.done_before} done before, {todo} to do"
        if report.skipped:
            words += f", {report.skipped} failed before (--retry-failed tries them again)"
        self._console.print(words, highlight=False)
        self._total = todo
        self._task = self._bar.add_task("", total=todo, speed="", failed="")
        self._start = self._line = time.monotonic()

    def count(self, outcome: Any) -> None:
        """After each clip."""
        self._clips += 1
        self._failed += outcome.clip is None
        self._frames += 0 if outcome.clip is None else outcome.clip.num_frames
        seconds = max(time.monotonic() - self._start, 1e-6)
        speed = f"{self._clips / seconds:.2f} clips/s  {self._frames / seconds:.1f} frames/s"
        failed = f"{self._failed} failed" if self._failed else ""
        self._bar.update(self._task, advance=1, speed=speed, failed=failed)
        if not self._console.is_terminal and time.monotonic() - self._line > LINE_EVERY_SECONDS:
            self._line = time.monotonic()
            left = (self._total - self._clips) * seconds / self._clips
            print(f"{self._clips}/{self._total} clips  {speed}  {left / 60:.0f} min left  {failed}", file=sys.stderr)


def show(report: Any, out: str) -> None:
    """The table of failures, and what there is now."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    if report.failures:
        table = Table(title=f"{len(report.failures)} clips failed")
        for heading in ("clip", "reason", "what was found"):
            table.add_column(heading, overflow="fold")
        for entry in report.failures[:FAILURES_SHOWN]:
            table.add_row(*(escape(entry[name]) for name in ("clip_id", "reason", "message")))
        console.print(table)
        if len(report.failures) > FAILURES_SHOWN:
            console.print(
                f"... and {len(report.failures) - FAILURES_SHOWN} more; all are in {out}{os.sep}ledger*.jsonl"
            )
    seconds = max(report.seconds, 1e-6)
    done = report.done_before + report.done
    console.print(
        f"{out}: {done} of {report.clips} clips ({report.done} by this run: {report.frames} frames in {seconds:.1f} s, "
        f"{report.done / seconds:.2f} clips/s, {report.frames / seconds:.1f} frames/s)",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    if report.frames:
        shares = [f"{side} {found} ({found / report.frames:.0%})" for side, found in hands_of(report)]
        console.print(f"frames with a hand: {', '.join(shares)}", highlight=False, soft_wrap=True)


def hands_of(report: Any) -> tuple[tuple[str, int], ...]:
    """In how many frames of this run each hand was found."""
    return ("left", report.left_hand), ("right", report.right_hand)


if __name__ == "__main__":
    sys.exit(main())
