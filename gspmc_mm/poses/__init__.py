"""The pose store: poses on disk as Arrow IPC, and mmaction pickles in and out of it."""

from gspmc_mm.poses.clip import PoseClip, check_clip
from gspmc_mm.poses.errors import PoseStoreError
from gspmc_mm.poses.header import FORMAT_VERSION, EstimatorInfo, StoreHeader
from gspmc_mm.poses.mmaction_pickle import (
    import_mmaction_pickle,
    read_mmaction_pickle,
    write_mmaction_pickle,
)
from gspmc_mm.poses.store import PoseStore
from gspmc_mm.poses.writer import PoseStoreWriter

__all__ = [
    "FORMAT_VERSION",
    "EstimatorInfo",
    "PoseClip",
    "PoseStore",
    "PoseStoreError",
    "PoseStoreWriter",
    "StoreHeader",
    "check_clip",
    "import_mmaction_pickle",
    "read_mmaction_pickle",
    "write_mmaction_pickle",
]
