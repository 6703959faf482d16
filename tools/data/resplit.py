"""Give a store the splits, signers and signs of a list of clips that has changed; nothing is extracted again.

    python tools/data/resplit.py data/own/poses --clips data/own/clips.csv

Other test signers, a sign or a video more: list again, run this, and tools/pose/extract.py goes on with the clips that
are new. Labels follow the glosses; the points of every clip keep their bytes. It may be killed and run again. Stop
trainings on the store first.
"""

from __future__ import annotations

import argparse
import shlex
import sys

CLIPS_NAMED = 5


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="pose store: .arrow file or folder of shards")
    parser.add_argument("--clips", required=True, help="the list that was extracted, as it is now (CSV or folder)")
    return parser.parse_args()


def main() -> int:
    """Rewrite and report; 1 if the store is not as the list has it."""
    args = parse_args()
    # after the arguments are read: --help does not need the package
    from gspmc_mm.extraction import at_rest
    from gspmc_mm.poses.clip_list import read_clip_list
    from gspmc_mm.poses.resplit import resplit

    try:
        clips = read_clip_list(args.clips)
        with at_rest(args.store) as files:
            done = resplit(files, clips, command=shlex.join(["python", *sys.argv]))
    except KeyboardInterrupt:
        print(f"interrupted; run the same command again before {args.store} is used", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for note in clips.notes:
        print(f"note: {note}")
    tell("of the list are not in the store; tools/pose/extract.py adds them", done.absent)
    tell("of the store are not in the list; they keep splits, signer and sign", done.unlisted)
    tell("show another sign than before, because the list says so", done.relabelled)
    for name in sorted({name for facts in done.clips.values() for name in facts.splits}):
        members = [facts for facts in done.clips.values() if name in facts.splits]
        print(f"  {name}: {len(members)} clips, {len({facts.signer for facts in members})} signers")
    print(
        f"{args.store}: {len(done.changed)} of {len(done.clips)} clips changed, {len(done.written)} of {len(files)} "
        f"files written, num_classes = {len(clips.classes)}"
    )
    return 0


def tell(what: str, clip_ids: tuple[str, ...]) -> None:
    """A line about some clips, if there are any."""
    if clip_ids:
        more = ", ..." if len(clip_ids) > CLIPS_NAMED else ""
        print(f"note: {len(clip_ids)} clips {what}: {', '.join(clip_ids[:CLIPS_NAMED])}{more}")


if __name__ == "__main__":
    sys.exit(main())
