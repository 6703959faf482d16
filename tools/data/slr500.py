"""List the videos of SLR-500 for the extraction of poses, with the splits of the literature.

    python tools/data/slr500.py --videos /data/SLR500 --labels /data/SLR500/labels --out data/slr500/clips.csv
    python tools/pose/extract.py data/slr500/clips.csv --estimator mmpose --out data/slr500/poses.arrow

What differs from the known figures is printed. The exit status is 0 only if the list was written.
"""

from __future__ import annotations

import argparse
import sys


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", required=True, help="folder with the videos, in any of the known layouts")
    parser.add_argument(
        "--labels",
        help="folder with dictionary.txt or the lists video_path,class_name; default: looked for beside the videos",
    )
    parser.add_argument("--out", default="data/slr500/clips.csv", help="list to write; default: %(default)s")
    parser.add_argument(
        "--val-fraction",
        type=float,
        default=0.12,
        help="share of the training clips (of whole signers) in gsp35_val and sota36_val; default: %(default)s",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice of validation signers; default: %(default)s")
    parser.add_argument(
        "--leave-out-faulty", action="store_true", help="leave out clips that files contradict, instead of stopping"
    )
    return parser.parse_args()


def main() -> int:
    """List and report; 1 if the list was not written."""
    args = parse_args()
    # after the arguments are read: --help does not need the package
    from gspmc_mm.datasets.slr500 import read_slr500
    from gspmc_mm.poses.clip_list import write_clip_list

    try:
        clips, report = read_slr500(args.videos, args.labels, val_fraction=args.val_fraction, seed=args.seed)
        print("\n".join(report.lines()))
        report.check(args.leave_out_faulty)
        write_clip_list(clips, args.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{args.out}: {len(clips):,} clips")
    return 0


if __name__ == "__main__":
    sys.exit(main())
