"""Write a pose store in other people's formats.

    python tools/data/export_poses.py data/own/poses --format mmaction --out own.pkl
    python tools/data/export_poses.py data/own/poses --format pose --out own_pose_files

`mmaction` is the pickle that mmaction's PoseDataset and pyskl read (all clips in memory). `pose` is a folder of .pose
files with `clips.csv` beside them, because a .pose file has no place for label, signer and splits.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="pose store: .arrow file or folder of shards")
    parser.add_argument("--format", required=True, choices=("mmaction", "pose"))
    parser.add_argument("--out", required=True, type=Path, help="the .pkl file, or the folder")
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    return parser.parse_args()


def main() -> int:
    """Export; 1 if anything was not written."""
    args = parse_args()
    # after the arguments are read: --help does not need the package
    from gspmc_mm.poses import PoseStore, write_mmaction_pickle
    from gspmc_mm.poses.clip_list import ClipList, VideoClip, write_clip_list
    from gspmc_mm.poses.importers import write_pose_files

    try:
        store = PoseStore(args.store)
        if args.out.exists() and not args.overwrite:
            raise FileExistsError(f"{args.out} exists already; remove it, or give --overwrite")
        if args.format == "mmaction":
            write_mmaction_pickle(store, args.out)
        else:
            write_pose_files(store, args.out)
            labels = store.header.classes or [str(label) for label in range(int(store.labels.max()) + 1)]
            splits: dict[int, list[str]] = {}
            for name in store.split_names:
                for index in store.indices(name).tolist():
                    splits.setdefault(index, []).append(name)
            clips = tuple(
                VideoClip(
                    clip_id=str(clip_id),
                    video=f"{clip_id}.pose",
                    label=int(store.labels[i]),
                    gloss=labels[int(store.labels[i])],
                    signer=str(store.signers[i]),
                    splits=tuple(splits.get(i, ())),
                )
                for i, clip_id in enumerate(store.clip_ids)
            )
            write_clip_list(ClipList(clips, tuple(labels), args.out.resolve(), "poses"), args.out / "clips.csv")
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{args.out}: {len(store)} clips")
    return 0


if __name__ == "__main__":
    sys.exit(main())
