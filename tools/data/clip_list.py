"""List your own videos for the extraction of poses, and part them into training and test by signer.

    python tools/data/clip_list.py videos --out data/own/clips.csv
    python tools/pose/extract.py data/own/clips.csv --estimator mediapipe --out data/own/poses

VIDEOS is a folder videos/<gloss>/<signer>_<n>.mp4 or a CSV (columns video and gloss, perhaps label, clip_id, signer,
splits, start, end; see docs/own_data.md). Splits that a CSV has already are left as they are.
"""

from __future__ import annotations

import argparse
import sys


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", help="folder videos/<gloss>/<signer>_<n>.mp4, or a CSV")
    parser.add_argument("--out", default="data/own/clips.csv", help="list to write; default: %(default)s")
    parser.add_argument("--test-signers", help="who is held out for the test: names separated by commas")
    parser.add_argument(
        "--test-fraction",
        type=float,
        default=0.2,
        help="share of the clips that is held out, if no signers are named; default: %(default)s",
    )
    parser.add_argument(
        "--by",
        choices=("signer", "clip"),
        default="signer",
        help="hold out whole signers, or (data of one signer) some takes of each sign; default: %(default)s",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the choice; default: %(default)s")
    return parser.parse_args()


def main() -> int:
    """List and report; 1 if the list was not written."""
    args = parse_args()
    # after the arguments are read: --help does not need the package
    from gspmc_mm.poses.clip_list import read_clip_list, write_clip_list
    from gspmc_mm.poses.clip_splits import carve_split

    try:
        clips = read_clip_list(args.videos)
        missing = clips.missing()
        if missing:
            raise FileNotFoundError(
                f"{len(missing)} of {len(clips)} videos do not exist, such as {clips.path(missing[0])}; paths in a CSV "
                "are relative to its folder"
            )
        if clips.split_names:
            print(f"splits of the list are kept: {', '.join(clips.split_names)}")
        else:
            signers = [name.strip() for name in args.test_signers.split(",")] if args.test_signers else None
            clips = carve_split(clips, signers=signers, fraction=args.test_fraction, seed=args.seed, by=args.by)
        write_clip_list(clips, args.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for note in clips.notes:
        print(f"note: {note}")
    for name in clips.split_names:
        members = clips.of_split(name)
        signers = sorted({clip.signer or "unknown" for clip in members})
        print(f"  {name}: {len(members)} clips, signers {', '.join(signers[:8])}{', ...' if len(signers) > 8 else ''}")
    print(f"{args.out}: {len(clips)} clips of {len(clips.classes)} signs (num_classes = {len(clips.classes)})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
