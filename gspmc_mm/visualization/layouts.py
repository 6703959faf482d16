"""Pictures of layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gspmc_mm.skeleton import Layout, LayoutError, resting_pose

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGIN = 0.12  # around the points, in shares of the larger side of their box
_INCHES = 9.0  # larger side of a figure made here


def draw_layout(layout: Layout, points: np.ndarray | None = None, ax: Axes | None = None) -> Axes:
    """Draw the joints, bones (thick) and extra edges (thin) of a layout in the colours of its parts.

    Without axes a figure is made (``ax.figure.savefig(...)``). In it parts that come out small, such
    as the mouth and face of a signer drawn to the knees, are shown a second time, enlarged.

    Args:
        layout: What to draw.
        points: (V, 2) coordinates in the image, y down; a joint at NaN is left out. By default the
            resting pose.
        ax: Matplotlib axes to draw into.

    Returns:
        The axes.

    Raises:
        LayoutError: If the points are not (V, 2), or none are given and the layout has no resting
            pose.
        ImportError: If matplotlib is not installed.
    """
    points = resting_pose(layout) if points is None else np.asarray(points, dtype=float)
    if points.shape != (layout.num_joints, 2):
        raise LayoutError(
            f"layout {layout.name!r} is drawn from points ({layout.num_joints}, 2); "
            f"found shape {points.shape}"
        )
    seen = points[np.isfinite(points).all(axis=1)]
    low, high = (seen.min(0), seen.max(0)) if len(seen) else (np.zeros(2), np.ones(2))
    margin = _MARGIN * max(*(high - low), 1e-6)
    low, high = low - margin, high + margin

    own_figure = ax is None
    if ax is None:
        from matplotlib.figure import Figure  # not pyplot: no window, no global state

        size = (high - low) / (high - low).max() * _INCHES
        ax = Figure(figsize=(max(size[0], 5.0), size[1] + 1.0), layout="constrained").add_subplot()
    _draw(ax, layout, points, low, high, size=1.0)
    ax.set_title(f"{layout.name}: {layout.num_joints} joints", fontsize=13)
    handles = [
        ax.plot([], [], "o-", color=layout.colors[part], lw=2.5, label=f"{part} ({len(joints)})")[0]
        for part, joints in layout.parts.items()
    ]
    ax.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, frameon=False
    )
    if own_figure:
        _enlarge_face(ax, layout, points, low, high)
    return ax


def _draw(
    ax: Axes, layout: Layout, points: np.ndarray, low: np.ndarray, high: np.ndarray, size: float
) -> None:
    """The graph inside the box low..high; ``size`` scales lines and dots."""
    from matplotlib.collections import LineCollection

    colors = [layout.colors[part] for part in layout.part_of_joint]
    for edges, width, alpha in (
        (layout.extra_edges, 0.9, 0.75),
        ([bone for bone in layout.bones if bone[0] != bone[1]], 2.2, 0.85),
    ):
        lines = [points[list(edge)] for edge in edges]
        colors_of_edges = [colors[child] for child, _ in edges]
        ax.add_collection(
            LineCollection(
                lines, colors=colors_of_edges, linewidths=width * size, alpha=alpha, zorder=1
            )
        )
    ax.scatter(*points.T, s=16 * size**2, c=colors, edgecolors="white", linewidths=0.5, zorder=2)
    root = points[layout.root]
    ax.scatter(*root, s=70 * size**2, facecolors="none", edgecolors="black", lw=1.0, zorder=3)
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(high[1], low[1])  # y runs down, as in the image
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set_visible(False)


def _enlarge_face(
    ax: Axes, layout: Layout, points: np.ndarray, low: np.ndarray, high: np.ndarray
) -> None:
    pass
