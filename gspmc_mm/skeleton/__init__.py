"""What a signing body is: layouts, parts, bones, graphs. Plain data and numpy, no torch."""

from .layout import LANDMARKS, PART_COLORS, PARTS, Layout, LayoutError, subset
from .reading import get_layout, layout_names
from .resting import resting_pose

__all__ = [
    "LANDMARKS",
    "PARTS",
    "PART_COLORS",
    "Layout",
    "LayoutError",
    "get_layout",
    "layout_names",
    "resting_pose",
    "subset",
]
