"""Key points that somebody else has extracted, as a pose store: one file for each format.

Each `find_*` looks at a file or folder and lists the clips in it without reading them; `write_found` reads them one by
one into a store, with the labels of a clip list. A format that does not say something (units, the order of the points,
the size of the picture) asks for it; nothing is guessed.
"""

from gspmc_mm.poses.importers.found import FoundClip, FoundPoses, ImportReport, unmirror, write_found
from gspmc_mm.poses.importers.holistic_npy import find_holistic_npy
from gspmc_mm.poses.importers.openpose_json import find_openpose_json
from gspmc_mm.poses.importers.pose_files import find_pose_files, write_pose_files
from gspmc_mm.poses.importers.sam_slr import find_sam_slr
from gspmc_mm.poses.importers.sign_npz import SignNpz, open_sign_npz

__all__ = [
    "FoundClip",
    "FoundPoses",
    "ImportReport",
    "SignNpz",
    "find_holistic_npy",
    "find_openpose_json",
    "find_pose_files",
    "find_sam_slr",
    "open_sign_npz",
    "unmirror",
    "write_found",
    "write_pose_files",
]
