"""Turn the hands of WLASL-100 into a pose store.

    python tools/data/wlasl.py --source ../shared/data/wlasl100 --out data/wlasl100/poses.arrow

The exit status is 0 only if the store was written.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="WLASL-100 hand landmarks to a pose store: hands ordered left/right, given "
        "splits (C-UDA: academic and computational use only)."
    )
    parser.add_argument(
        "--source",
        default="../shared/data/wlasl100",
        help="folder with wlasl100_hands.npz and splits.json; default: %(default)s",
    )
    parser.add_argument("--out", default="data/wlasl100/poses.arrow", help="store; default: %(default)s")
    parser.add_argument(
        "--val-share",
        type=float,
        default=0.2,
        help="share of a fold's training clips in fold{k}_val; default: %(default)s",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the validation signers; default: %(default)s")
    parser.add_argument("--overwrite", action="store_true", help="replace a store that exists")
    parser.add_argument(
        "--check",
        metavar="FOLDER",
        help="also compare the sides with wlasl50_body_hands.npz in this folder",
    )
    args = parser.parse_args()
    if not 0 < args.val_share < 1:
        parser.error(f"--val-share is {args.val_share:g}; expected a share between 0 and 1")
    return args


def main() -> int:
    """Convert and report; 1 if any step failed."""
    args = parse_args()
    # after the arguments are read: --help does not need the package
    from gspmc_mm.datasets.wlasl import convert_wlasl, read_wlasl, side_agreement

    start = time.perf_counter()
    try:
        report = convert_wlasl(
            args.source,
            args.out,
            command=shlex.join(["python", *sys.argv]),
            val_share=args.val_share,
            seed=args.seed,
            overwrite=args.overwrite,
        )
        seconds = time.perf_counter() - start
        check = side_agreement(read_wlasl(args.source), args.check) if args.check else None
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{args.out}: {report.clips} clips, {report.frames} frames, {seconds:.0f} s")
    print(f"left out as copies of other clips: {report.left_out}")
    print(
        f"frames with no / one / two hands: {report.no_hand} / {report.one_hand} / "
        f"{report.two_hands} ({report.merged} of two detections of one hand)"
    )
    print(f"right hand has the smaller x: {report.side_agreement:.1%} of the frames with two hands")
    print(
        f"switches of identity: {report.switches} of {report.pairs} steps between frames with two "
        f"hands (by x alone: {report.x_rule_switches})"
    )
    if check is not None:
        print(
            f"sides as in {args.check}: {check.right / max(check.hands, 1):.1%} of {check.hands} hands "
            f"in {check.clips} clips (by x alone: {check.right_by_x / max(check.hands, 1):.1%})"
        )
    for name, size in report.split_sizes.items():
        print(f"  {name}: {size}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
