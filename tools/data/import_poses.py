"""Turn key points that are there already into a pose store.

    python tools/data/import_poses.py npy3 --format sam-slr --clips data/autsl/clips.csv --out data/autsl/poses.arrow
    python tools/data/import_poses.py ntu.pkl --format mmaction --layout coco17 --estimator hrnet_w32 --out ntu.arrow
    python tools/data/import_poses.py json --format openpose --size 1920 1080 --fps 30 --clips clips.csv --out own.arrow
    python tools/data/import_poses.py npy --format holistic --order face,left_hand,pose,right_hand --size 640 480 ...
    python tools/data/import_poses.py poses --format pose --estimator "mediapipe holistic" --clips clips.csv --out ...
    python tools/data/import_poses.py bdsl55.npz --format npz --out data/bdsl55/poses.arrow

Labels, signers and splits come from --clips (a CSV, see docs/own_data.md) where the files do not hold them. The exit
status is 0 only if every clip that was found and every clip of the list is in the store.
"""

from __future__ import annotations

import argparse
import csv
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gspmc_mm.poses import StoreHeader
    from gspmc_mm.poses.importers import FoundClip, ImportReport

#: The options that each format makes use of, beside --layout, --estimator, its version and weights. Others are refused.
OPTIONS = {
    "mmaction": ("fps", "third_is_score"),
    "sam-slr": ("clips", "size", "sizes", "fps", "mirrored"),
    "openpose": ("clips", "size", "sizes", "fps", "mirrored", "normalized"),
    "holistic": ("clips", "size", "sizes", "fps", "mirrored", "order"),
    "pose": ("clips", "mirrored"),
    "npz": ("clips", "size", "sizes", "mirrored"),
}
OPTION_NAMES = sorted({name for names in OPTIONS.values() for name in names})
SHOWN = 5


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="which format takes which of these options:\n"
        + "".join(f"  {name}: {named(options)}\n" for name, options in OPTIONS.items()),
    )
    parser.add_argument("source", help="file or folder of key points")
    parser.add_argument("--format", required=True, choices=tuple(OPTIONS))
    parser.add_argument("--out", required=True, help="store to write, .arrow")
    parser.add_argument("--clips", help="CSV with label, signer and splits of each clip")
    parser.add_argument("--layout", help="of the points: preset or file; default: wholebody133")
    parser.add_argument("--estimator", help="what found the points; needed for mmaction and pose, which do not say")
    parser.add_argument("--estimator-version", help="its version, if known; with --estimator")
    parser.add_argument("--weights", help="its weights, if known; with --estimator")
    pictures = parser.add_mutually_exclusive_group()
    pictures.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="of the pictures, in pixels")
    pictures.add_argument("--sizes", help="CSV clip_id,width,height for pictures of different sizes")
    parser.add_argument("--fps", type=float, help="frames per second, for formats that do not say")
    parser.add_argument("--order", help="holistic: the groups in their order in the file")
    parser.add_argument(
        "--normalized", action="store_true", default=None, help="openpose: coordinates are shares of the picture"
    )
    parser.add_argument(
        "--third-is-score", action="store_true", default=None, help="mmaction: the third coordinate is the score"
    )
    parser.add_argument(
        "--mirrored",
        action=argparse.BooleanOptionalAction,
        help="the pictures were mirrored before the points were found, so they are turned back; default: only for "
        "sam-slr, whose script mirrors them",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a store that exists")
    args = parser.parse_args()
    if args.format in ("mmaction", "pose") and not args.estimator:
        parser.error(f"--format {args.format} does not say what found the points: give --estimator")
    if not args.estimator and given(args, ("estimator_version", "weights")):
        parser.error("--estimator-version and --weights are those of an estimator: give --estimator too")
    idle = [name for name in given(args, OPTION_NAMES) if name not in OPTIONS[args.format]]
    if idle:
        parser.error(f"--format {args.format} has no use for {named(idle)}: leave it out")
    return args


def given(args: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Those of the options that the command line holds."""
    return [name for name in names if getattr(args, name) is not None]


def named(names: Iterable[str]) -> str:
    """Options as they are written on the command line."""
    return " ".join(f"--{name.replace('_', '-')}" for name in names)


def main() -> int:
    """Import and report; 1 if anything is not in the store."""
    args = parse_args()
    # after the arguments are read: --help does not need the package
    from gspmc_mm.poses import PoseStore

    try:
        report = run(args)
        store = PoseStore(args.out)
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, reason in list(report.failed.items())[:SHOWN]:
        print(f"failed: {name}: {reason}", file=sys.stderr)
    for what, names in (
        ("failed", list(report.failed)),
        ("found, not in the list", report.unlisted),
        ("in the list, not found", report.missing),
    ):
        if names:
            shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
            print(f"{what}: {len(names)} ({shown})", file=sys.stderr)
    print(f"{args.out}: {len(store)} clips, {int(store.frames.sum())} frames, layout {store.layout.name}")
    if store.header.note:
        print(f"  note: {store.header.note}")
    for name in store.split_names:
        print(f"  {name}: {len(store.indices(name))}")
    return 0 if report.complete else 1


def run(args: argparse.Namespace) -> ImportReport:
    """Do what the command line asks for."""
    from gspmc_mm.poses import PoseStore, StoreHeader, import_mmaction_pickle
    from gspmc_mm.poses.clip_list import read_clip_list
    from gspmc_mm.poses.importers import ImportReport, open_sign_npz, write_found
    from gspmc_mm.skeleton import get_layout

    layout = get_layout(args.layout or "wholebody133")
    command = shlex.join(["python", *sys.argv])
    estimator = {
        "name": args.estimator or "",
        "version": args.estimator_version or "",
        "weights": args.weights or "",
    }
    header = StoreHeader(layout=layout, estimator=estimator, command=command)
    if args.format == "mmaction":
        import_mmaction_pickle(
            args.source,
            args.out,
            header,
            fps=args.fps or 0.0,
            third_is_score=bool(args.third_is_score),
            clip_scores=True,
            overwrite=args.overwrite,
        )
        return ImportReport(written=len(PoseStore(args.out)))
    mirrored = args.format == "sam-slr" if args.mirrored is None else args.mirrored
    if args.format == "npz":
        archive = open_sign_npz(args.source, read_size(args))
        if archive.kind == "wlasl100":
            return convert_wlasl100(args, command)
        header = header.model_copy(
            update={
                "classes": list(archive.classes),
                "estimator": estimator if args.estimator else archive.estimator,
            }
        )
        found = list(archive.found)
    else:
        found, header = find(args, header)
    if mirrored:
        header = header.model_copy(update={"note": "points of mirrored pictures, turned back"})
    clips = read_clip_list(args.clips) if args.clips else None
    with progress(len(found)) as advance:
        return write_found(
            found,
            args.out,
            header,
            clips=clips,
            mirrored=mirrored,
            layout=layout,
            overwrite=args.overwrite,
            on_clip=advance,
        )


def find(args: argparse.Namespace, header: StoreHeader) -> tuple[list[FoundClip], StoreHeader]:
    """The clips of the source, and the header with the estimator of the format where none was named."""
    from gspmc_mm.poses.importers import (
        find_holistic_npy,
        find_openpose_json,
        find_pose_files,
        find_sam_slr,
        holistic_npy,
        openpose_json,
        sam_slr,
    )
    from gspmc_mm.skeleton import get_layout

    layout, size, fps = get_layout(header.layout), read_size(args), args.fps
    if args.format == "sam-slr":
        found = find_sam_slr(args.source, layout, size or sam_slr.AUTSL_SIZE, sam_slr.AUTSL_FPS if fps is None else fps)
        own = sam_slr.ESTIMATOR
    elif args.format == "openpose":
        found = find_openpose_json(args.source, size or {}, fps or 0.0, bool(args.normalized))
        own = openpose_json.ESTIMATOR
    elif args.format == "holistic":
        order = [name.strip() for name in args.order.split(",")] if args.order else None
        found = find_holistic_npy(args.source, size or {}, order, fps or 0.0)
        own = holistic_npy.ESTIMATOR
    else:
        found, own = find_pose_files(args.source, layout), dict(header.estimator)
    return found, header if args.estimator else header.model_copy(update={"estimator": own})


def convert_wlasl100(args: argparse.Namespace, command: str) -> ImportReport:
    """The hands of WLASL-100 lie in the order of detection; their own reader tells left from right.

    Raises:
        ValueError: An option that it has no use for, or another name than that of the file it reads in that folder.
    """
    from gspmc_mm.datasets.wlasl import LANDMARK_FILE, convert_wlasl
    from gspmc_mm.poses.importers import ImportReport

    idle = given(args, (*OPTION_NAMES, "layout", "estimator"))
    if idle:
        raise ValueError(f"{args.source}: the npz of wlasl100 has no use for {named(idle)}: leave it out")
    if Path(args.source).name != LANDMARK_FILE:
        raise ValueError(f"{args.source}: the npz of wlasl100 has to be called {LANDMARK_FILE}, beside its splits")
    done = convert_wlasl(Path(args.source).parent, args.out, command=command, overwrite=args.overwrite)
    return ImportReport(written=done.clips)


def read_size(args: argparse.Namespace) -> tuple[int, int] | dict[str, tuple[int, int]] | None:
    """The size of all pictures, or by clip."""
    if args.sizes is None:
        return tuple(args.size) if args.size else None
    with open(args.sizes, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"clip_id", "width", "height"} <= set(rows[0]):
        raise ValueError(f"{args.sizes}: expected the columns clip_id, width and height")
    return {row["clip_id"]: (int(row["width"]), int(row["height"])) for row in rows}


def progress(total: int):
    """A progress bar on stderr; gives the function that moves it on."""
    import contextlib

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    @contextlib.contextmanager
    def shown():
        columns = (TextColumn("clips"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("", total=total)
            yield lambda: bar.advance(task)

    return shown()


if __name__ == "__main__":
    sys.exit(main())
