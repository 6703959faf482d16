"""Serve signing skeletons to mmaction2: the dataset and its transforms.

Importing this package registers `SignPoseDataset` in mmaction's DATASETS and the transforms in
its TRANSFORMS.
"""

from gspmc_mm.datasets.agreement import CheckSignsHook
from gspmc_mm.datasets.collation import SkeletonPreprocessor, stack_clips
from gspmc_mm.datasets.pose_sources import PoseDataError
from gspmc_mm.datasets.seeding import EpochSeedHook, seed_worker
from gspmc_mm.datasets.sign_group_sampler import SignGroupSampler
from gspmc_mm.datasets.sign_pose_dataset import SignPoseDataset
from gspmc_mm.datasets.transforms import (
    FillMissingKeypoints,
    LoadSignDescriptions,
    MirrorSigner,
    NormalizeSigner,
    RandomPlanarAffine,
    SampleSignFrames,
    SelectKeypoints,
    SkeletonStream,
    TrimToSigning,
)

__all__ = [
    "CheckSignsHook",
    "EpochSeedHook",
    "FillMissingKeypoints",
    "LoadSignDescriptions",
    "MirrorSigner",
    "NormalizeSigner",
    "PoseDataError",
    "RandomPlanarAffine",
    "SampleSignFrames",
    "SelectKeypoints",
    "SignGroupSampler",
    "SignPoseDataset",
    "SkeletonPreprocessor",
    "SkeletonStream",
    "TrimToSigning",
    "seed_worker",
    "stack_clips",
]
