"""What learns: backbone, pooling, recogniser, head and loss. Importing registers them in mmaction."""

from .contrast_schedule import ContrastScheduleHook
from .cpu_mixed_precision import CpuAmpOptimWrapper, bfloat16_is_native
from .multi_positive_loss import MultiPositiveKLLoss, multi_positive_kl
from .part_ctrgcn import PartCTRGCN
from .part_pooled_recognizer import PartPooledGCNRecognizer
from .part_pooling import PartPooling, global_pooling
from .pose_vector import PoseVector
from .text_conditioned_head import TextConditionedHead

__all__ = [
    "ContrastScheduleHook",
    "CpuAmpOptimWrapper",
    "MultiPositiveKLLoss",
    "PartCTRGCN",
    "PartPooledGCNRecognizer",
    "PartPooling",
    "PoseVector",
    "TextConditionedHead",
    "bfloat16_is_native",
    "global_pooling",
    "multi_positive_kl",
]
