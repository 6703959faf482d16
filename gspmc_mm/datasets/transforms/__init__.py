"""Pipeline steps for signing skeletons; importing this package registers them with mmaction.

The usual order is SelectKeypoints, FillMissingKeypoints, MirrorSigner, NormalizeSigner,
RandomPlanarAffine, SampleSignFrames, PoseDecode (mmaction), SkeletonStream, LoadSignDescriptions,
FormatGCNInput and PackActionInputs (mmaction). At every stage a point that was not seen has
score 0 and coordinates 0, and no step writes into the arrays that it was given.
"""

from gspmc_mm.datasets.transforms.affine import RandomPlanarAffine
from gspmc_mm.datasets.transforms.keypoints import FillMissingKeypoints, SelectKeypoints
from gspmc_mm.datasets.transforms.sampling import SampleSignFrames, TrimToSigning
from gspmc_mm.datasets.transforms.signer import MirrorSigner, NormalizeSigner
from gspmc_mm.datasets.transforms.streams import SkeletonStream
from gspmc_mm.datasets.transforms.texts import LoadSignDescriptions

__all__ = [
    "FillMissingKeypoints",
    "LoadSignDescriptions",
    "MirrorSigner",
    "NormalizeSigner",
    "RandomPlanarAffine",
    "SampleSignFrames",
    "SelectKeypoints",
    "SkeletonStream",
    "TrimToSigning",
]
