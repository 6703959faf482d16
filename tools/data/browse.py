"""Look at clips of a pose store: as a contact sheet or a video, in any layout and stream, over the picture too.

    python tools/data/browse.py data/own/poses --list
    python tools/data/browse.py data/own/poses --clip again/maria_1 --out again.png
    python tools/data/browse.py data/own/poses --clip again/maria_1 --layout sign87 --stream bm --out again.mp4
    python tools/data/browse.py data/own/poses --clip again/maria_1 --clips data/own/clips.csv --out over_the_video.png

The exit status is 0 only if the picture was written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="pose store: .arrow file or folder of shards")
    parser.add_argument("--list", action="store_true", help="list the clips and stop")
    parser.add_argument("--split", help="with --list: of this split only")
    parser.add_argument("--clip", help="id of the clip")
    parser.add_argument("--out", type=Path, help=".png or .jpg for a contact sheet, .mp4 for a video")
    parser.add_argument("--layout", help="points to show: preset or file; default: those of the store")
    parser.add_argument("--stream", choices=("j", "b", "jm", "bm"), default="j", help="default: %(default)s")
    parser.add_argument("--video", help="video of the clip, shown under the skeleton")
    parser.add_argument("--clips", help="CSV or folder that names the video of the clip")
    parser.add_argument("--frames", type=int, default=12, help="pictures on a contact sheet; default: %(default)s")
    parser.add_argument("--height", type=int, help="of a picture in pixels; default: 240 on a sheet, 480 in a video")
    args = parser.parse_args()
    if not args.list and not (args.clip and args.out):
        parser.error("give --clip and --out, or --list")
    if args.frames < 1 or (args.height is not None and args.height < 32):
        parser.error("--frames has to be at least 1 and --height at least 32")
    return args


def main() -> int:
    """Draw or list; 1 if that could not be done."""
    args = parse_args()
    # after the arguments are read: --help does not need the package
    import numpy as np

    from gspmc_mm.poses import PoseStore
    from gspmc_mm.poses.clip_list import read_clip_list
    from gspmc_mm.skeleton import get_layout
    from gspmc_mm.visualization.clip_pictures import clip_frames, contact_sheet, write_clip_video, write_picture

    try:
        store = PoseStore(args.store)
        if args.list:
            for index in store.indices(args.split).tolist():
                gloss = store.header.classes[store.labels[index]] if store.header.classes else store.labels[index]
                print(store.clip_ids[index], gloss, store.signers[index], f"{store.frames[index]} frames", sep="\t")
            return 0
        found = np.flatnonzero(store.clip_ids == args.clip)
        if not len(found):
            near = [name for name in store.clip_ids if args.clip in name][:3] or store.clip_ids[:3].tolist()
            raise ValueError(f"{args.store}: no clip {args.clip!r}; there is for example {', '.join(near)} (--list)")
        clip = store.clip(int(found[0]))
        video, start = args.video, 0
        if args.clips and not video:
            clips = read_clip_list(args.clips)
            listed = next((entry for entry in clips.clips if entry.clip_id == args.clip), None)
            if listed is None:
                raise ValueError(f"{args.clips}: no clip {args.clip!r}")
            video, start = clips.path(listed), listed.start or 0
        is_video = args.out.suffix.lower() == ".mp4"
        frames = None if is_video else np.unique(np.rint(np.linspace(0, clip.num_frames - 1, args.frames)).astype(int))
        images = clip_frames(
            clip,
            store.layout,
            wanted=get_layout(args.layout) if args.layout else None,
            stream=args.stream,
            frames=frames,
            height=args.height or (480 if is_video else 240),
            video=video,
            start=start,
        )
        if is_video:
            print(write_clip_video(images, args.out, clip.fps or 25.0))
        else:
            gloss = store.header.classes[clip.label] if store.header.classes else clip.label
            told = (clip.clip_id, str(gloss), clip.signer, f"stream {args.stream}")
            title = "  ".join(word for word in told if word.isascii())  # OpenCV draws no other letters
            print(write_picture(contact_sheet(list(images), title=title), args.out))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
