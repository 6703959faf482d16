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
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gspmc_mm.poses import StoreHeader
    from gspmc_mm.poses.importers import FoundClip, ImportReport

FORMATS = ("mmaction", "sam-slr", "openpose", "holistic", "pose", "npz")
SHOWN = 5


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="file or folder of key points")
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument("--out", required=True, help="store to write, .arrow")
    parser.add_argument("--clips", help="CSV with label, signer and splits of each clip")
    parser.add_argument("--layout", default="wholebody133", help="of the points: preset or file; default: %(default)s")
    parser.add_argument("--estimator", help="what found the points; needed for mmaction and pose, which do not say")
    parser.add_argument("--estimator-version", default="", help="its version, if known")
    parser.add_argument("--weights", default="", help="its weights, if known")
    parser.add_argument("--size", type=int, nargs=2, metavar=("WIDTH", "HEIGHT"), help="of the pictures, in pixels")
    parser.add_argument("--sizes", help="CSV clip_id,width,height for pictures of different sizes")
    parser.add_argument("--fps", type=float, help="frames per second, for formats that do not say")
    parser.add_argument("--order", help="holistic: the groups in their order in the file")
    parser.add_argument("--normalized", action="store_true", help="openpose: coordinates are shares of the picture")
    parser.add_argument("--third-is-score", action="store_true", help="mmaction: the third coordinate is the score")
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
    if args.format == "mmaction" and (args.clips or args.mirrored):
        parser.error("an mmaction pickle has labels and splits of its own, and is not turned back")
    return args


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
    for name in store.split_names:
        print(f"  {name}: {len(store.indices(name))}")
    return 0 if report.complete else 1


def run(args: argparse.Namespace) -> ImportReport:
    """Do what the command line asks for."""
    from gspmc_mm.poses import PoseStore, StoreHeader, import_mmaction_pickle
    from gspmc_mm.poses.clip_list import read_clip_list
    from gspmc_mm.poses.importers import ImportReport, open_sign_npz, write_found
    from gspmc_mm.skeleton import get_layout

    layout = get_layout(args.layout)
    command = shlex.join(["python", *sys.argv])
    named = {"name": args.estimator or "", "version": args.estimator_version, "weights": args.weights}
    header = StoreHeader(layout=layout, estimator=named, command=command)
    if args.format == "mmaction":
        import_mmaction_pickle(
            args.source,
            args.out,
            header,
            fps=args.fps or 0.0,
            third_is_score=args.third_is_score,
            clip_scores=True,
            overwrite=args.overwrite,
        )
        return ImportReport(written=len(PoseStore(args.out)))
    mirrored = args.format == "sam-slr" if args.mirrored is None else args.mirrored
    if args.format == "npz":
        archive = open_sign_npz(args.source, read_size(args))
        if archive.kind == "wlasl100":
            return convert_wlasl100(args, command)
        estimator = named if args.estimator else archive.estimator
        header = header.model_copy(update={"classes": list(archive.classes), "estimator": estimator})
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
        found = find_openpose_json(args.source, size or {}, fps or 0.0, args.normalized)
        own = openpose_json.ESTIMATOR
    elif args.format == "holistic":
        order = [name.strip() for name in args.order.split(",")] if args.order else None
        found = find_holistic_npy(args.source, size or {}, order, fps or 0.0)
        own = holistic_npy.ESTIMATOR
    else:
        found, own = find_pose_files(args.source, layout), dict(header.estimator)
    return found, header if args.estimator else header.model_copy(update={"estimator": own})


def convert_wlasl100(args: argparse.Namespace, command: str) -> ImportReport:
    """The hands of WLASL-100 lie in the order of detection; their own reader tells left from right."""
    from gspmc_mm.datasets.wlasl import convert_wlasl
    from gspmc_mm.poses.importers import ImportReport

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
