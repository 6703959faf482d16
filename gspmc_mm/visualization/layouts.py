"""Pictures of layouts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from gspmc_mm.skeleton import Layout, LayoutError, resting_pose

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGIN = 0.06  # around the points, in shares of the larger side of their box
_INCHES = 9.0  # larger side of the figures made here
# Parts shown a second time where the picture as a whole leaves them less than this share of it.
_ENLARGED = (("face", "mouth"), ("left_hand",))
_SMALL = 0.2


def draw_layout(layout: Layout, points: np.ndarray | None = None, ax: Axes | None = None) -> Axes:
    """Draw joints, bones (thick) and extra edges (thin) of a layout in the colours of its parts.

    The root carries a ring. Without axes a figure is made (``ax.figure.savefig(...)``); beside the
    signer it shows the face and the left hand enlarged, where the layout has them and they come out
    small.

    Args:
        layout: What to draw.
        points: (V, 2) coordinates in the image, y down; a joint that is not finite is left out. By
            default the resting pose.
        ax: Matplotlib axes to draw into.

    Returns:
        The axes with the whole signer.

    Raises:
        LayoutError: If the points are not (V, 2), or none are given and the layout has no resting
            pose.
        ImportError: If matplotlib is not installed.
    """
    points = resting_pose(layout) if points is None else np.array(points, dtype=float)
    if points.shape != (layout.num_joints, 2):
        raise LayoutError(
            f"layout {layout.name!r} is drawn from points ({layout.num_joints}, 2); found shape {points.shape}"
        )
    points[~np.isfinite(points).all(axis=1)] = np.nan
    box = points_box(points)
    limit = _SMALL * np.ptp(box, axis=0).max()

    def is_small(parts: Iterable[str]) -> bool:
        joints = [joint for part in parts for joint in layout.parts[part]]
        return np.ptp(points_box(points[joints]), axis=0).max() < limit

    small = [part for part in layout.parts if is_small([part])]
    groups = [[part for part in group if part in layout.parts] for group in _ENLARGED]
    groups = [group for group in groups if group and is_small(group)]
    panels: list[Axes] = []
    if ax is None:
        ax, panels = _figure(np.ptp(box, axis=0), len(groups))

    _draw_graph(ax, layout, points, box, thin=small)
    ax.set_title(f"{layout.name}: {layout.num_joints} joints", fontsize=13)
    handles = [
        ax.plot([], [], "o-", color=layout.colors[part], lw=2.5, label=f"{part} ({len(joints)})")[0]
        for part, joints in layout.parts.items()
    ]
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, frameon=False)
    for panel, group in zip(panels, groups, strict=False):
        joints = [joint for part in group for joint in layout.parts[part]]
        _draw_graph(panel, layout, points, points_box(points[joints]), dots=34.0)
        panel.set_title(", ".join(group) + " (enlarged)", fontsize=11)
    return ax


def points_box(points: np.ndarray) -> np.ndarray:
    """(2, 2): lowest and highest x, y of the points with a margin; of nothing, the unit square."""
    seen = points[~np.isnan(points[:, 0])]
    if not len(seen):
        return np.array([[0.0, 0.0], [1.0, 1.0]])
    low, high = seen.min(axis=0), seen.max(axis=0)
    margin = _MARGIN * max((high - low).max(), 1e-6)
    return np.stack([low - margin, high + margin])


def _figure(sides: np.ndarray, num_panels: int) -> tuple[Axes, list[Axes]]:
    """A figure for a box with these sides: the axes of the whole and of the panels beside it."""
    from matplotlib.figure import Figure  # not pyplot: opens no window, keeps no global state

    width, height = sides / sides.max() * _INCHES
    width = max(width, 5.0)
    beside = min(height / max(num_panels, 1), 4.0) if num_panels else 0.0
    figure = Figure(figsize=(width + beside, height + 1.0), layout="constrained", facecolor="white")
    if not num_panels:
        return figure.add_subplot(), []
    grid = figure.add_gridspec(num_panels, 2, width_ratios=(width, beside))
    whole = figure.add_subplot(grid[:, 0])
    return whole, [figure.add_subplot(grid[row, 1]) for row in range(num_panels)]


def _draw_graph(
    ax: Axes,
    layout: Layout,
    points: np.ndarray,
    box: np.ndarray,
    dots: float = 20.0,
    thin: Iterable[str] = (),
) -> None:
    """Draw the graph as far as it lies in the box; ``thin``: parts with thinner lines and dots."""
    from matplotlib.collections import LineCollection

    thin = set(thin)
    colors = [layout.colors[part] for part in layout.part_of_joint]
    scale = np.array([0.6 if part in thin else 1.0 for part in layout.part_of_joint])
    bones = [bone for bone in layout.bones if bone[0] != bone[1]]
    for edges, width in ((layout.extra_edges, 1.0), (bones, 2.4)):
        ax.add_collection(
            LineCollection(
                [points[list(edge)] for edge in edges],
                colors=[colors[child] for child, _ in edges],
                linewidths=[width * scale[child] for child, _ in edges],
                alpha=0.8,
                capstyle="round",
                zorder=1,
            )
        )
    ax.scatter(*points.T, s=dots * scale, c=colors, edgecolors="white", linewidths=0.4, zorder=2)
    root = points[layout.root]
    ax.scatter(*root, s=3.5 * dots, facecolors="none", edgecolors="black", linewidths=1, zorder=3)
    (left, top), (right, bottom) = box
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
