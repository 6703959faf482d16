"""List the videos of AUTSL for the extraction of poses, with their labels and the official splits.

    python tools/data/autsl.py --videos /data/AUTSL --labels /data/AUTSL --out data/autsl/clips.csv
    python tools/pose/extract.py data/autsl/clips.csv --estimator mmpose --out data/autsl/poses.arrow

What differs from the known figures is printed. The exit status is 0 only if the list was written.
"""

from __future__ import annotations

import argparse
import sys


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", required=True, help="folder with train/, val/ and test/, or with all videos")
    parser.add_argument(
        "--labels", help="folder with *_labels.csv and SignList_ClassId_TR_EN.csv; default: that of the videos"
    )
    parser.add_argument("--out", default="data/autsl/clips.csv", help="list to write; default: %(default)s")
    parser.add_argument("--language", choices=("tr", "en"), default="tr", help="of the glosses; default: %(default)s")
    parser.add_argument(
        "--leave-out-faulty", action="store_true", help="leave out clips that files contradict, instead of stopping"
    )
    return parser.parse_args()


def main() -> int:
    """List and report; 1 if the list was not written."""
    args = parse_args()
    # after the arguments are read: --help does not need the package
    from gspmc_mm.datasets.autsl import read_autsl
    from gspmc_mm.poses.clip_list import write_clip_list

    try:
        clips, report = read_autsl(args.videos, args.labels, language=args.language)
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
