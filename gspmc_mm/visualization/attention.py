"""Joint attention on the body, networks side by side (Fig. 5 of the GSP-MC paper)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gspmc_mm.skeleton import Layout, LayoutError, resting_pose

from .layouts import points_box
from .saving import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.gridspec import SubplotSpec

MORE, LESS = "#D55E00", "#0072B2"
_GREY, _DARK = "#c9ced3", "#3c4248"
# Parts that are shown again, larger, where the picture as a whole leaves them less than this share of it.
_ENLARGED = (("right_hand",), ("face", "mouth"), ("left_hand",))
_SMALL = 0.25
_AREA = 42.0  # points squared of a joint with the mean response
_WIDTH = 3.4  # points of the strongest link
_ZOOM_DOTS = 2.6  # how much larger a dot is in an enlarged part


def draw_attention(
    layout: Layout,
    networks: Mapping[str, tuple[np.ndarray, np.ndarray]],
    out: str | os.PathLike[str],
    *,
    points: np.ndarray | None = None,
    strongest: int = 25,
    title: str = "",
) -> tuple[Path, Path]:
    """Draw which joints each network responds to and between which it passes messages beside the bones.

    The area of a dot is the response of the joint (1: the mean of all joints; the same scale in all columns). A dark
    line joins two joints that pass messages without being neighbours in the graph of the layout, which every network
    is given; its width is the strength of the learned topology between them, in the same scale in all columns, and
    only the strongest such pairs are drawn. Thin grey lines are the bones, whatever their strength. With two networks
    a third column shows the second minus the first: orange is more, blue less. Hands and face are shown again, larger,
    where they come out small.

    Args:
        layout: Of the joints.
        networks: Responses (V,) and symmetric strengths (V, V) by the name in the heading.
        out: The picture without an ending.
        points: (V, 2) coordinates, y down; a joint that is not finite is left out. The resting pose by default.
        strongest: How many pairs are drawn in a column, neighbours in the graph not counted.
        title: Printed above.

    Returns:
        The paths of the PNG and of the SVG.

    Raises:
        LayoutError: The points or the responses are not those of the layout.
        ValueError: No network.
    """
    if not networks:
        raise ValueError("no network to draw the attention of")
    points = resting_pose(layout) if points is None else np.asarray(points, dtype=float)
    v = layout.num_joints
    for name, (nodes, links) in networks.items():
        if points.shape != (v, 2) or nodes.shape != (v,) or links.shape != (v, v):
            raise LayoutError(
                f"layout {layout.name!r} has {v} joints; {name}: found points {points.shape}, responses {nodes.shape} "
                f"and links {links.shape}"
            )
    given = list(zip(*layout.inward, strict=True))
    learned = {}
    for name, (nodes, links) in networks.items():
        links = links.copy()
        links[given[0], given[1]] = links[given[1], given[0]] = 0.0
        learned[name] = (nodes, links)
    columns = [(name, nodes, links, False) for name, (nodes, links) in learned.items()]
    if len(networks) == 2:
        (first, (nodes, links)), (second, (more_nodes, more_links)) = learned.items()
        columns.append((f"{second} minus {first}", more_nodes - nodes, more_links - links, True))
    groups = _small_groups(layout, points)
    box = points_box(points)
    wide, high = np.ptp(box, axis=0)
    width = 4.3
    whole = float(np.clip(width * high / wide, 1.6, 6.0))
    below = width / len(groups) if groups else 0.0
    figure = new_figure(width * len(columns), whole + below + 1.1)
    grid = figure.add_gridspec(1, len(columns))
    # One unit for all columns, the difference has one of its own: it would be too thin otherwise.
    unit = max(float(links.max()) for _, links in learned.values()) or 1.0
    for cell, (name, nodes, links, signed) in zip(grid, columns, strict=True):
        scale = float(np.abs(links).max()) or 1.0
        node_scale = float(np.abs(nodes).max()) / 2 or 1.0
        _column(
            cell,
            layout,
            points,
            nodes / node_scale if signed else nodes,
            links / (scale if signed else unit),
            signed,
            groups,
            strongest,
            name,
            (whole, below),
        )
    if title:
        figure.suptitle(title, fontsize=11)
    note = (
        f"dot: response of the joint (area); dark line: learned topology between two joints that are no neighbours "
        f"(width), the {strongest} strongest pairs; grey: bones"
    )
    if len(networks) == 2:
        note += "\nright: orange more, blue less, scaled to its own largest value"
    _size_legend(figure, note)
    return save_figure(figure, out)


def _size_legend(figure: Figure, note: str) -> None:
    """What dots and lines mean."""
    from matplotlib.lines import Line2D

    sizes = (0.5, 1, 2)
    handles = [
        Line2D(
            [], [], marker="o", linestyle="", color=_DARK, markersize=(_AREA * size) ** 0.5, label=f"{size:g} x mean"
        )
        for size in sizes
    ]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=len(sizes),
        frameon=False,
        fontsize=8,
        title=note,
        title_fontsize=8,
    )


def _small_groups(layout: Layout, points: np.ndarray) -> list[list[int]]:
    """Joints of the parts that are too small to be seen in the whole picture."""
    limit = _SMALL * np.ptp(points_box(points), axis=0).max()
    groups = []
    for parts in _ENLARGED:
        joints = [joint for part in parts for joint in layout.parts.get(part, ())]
        seen = [joint for joint in joints if np.isfinite(points[joint]).all()]
        if len(seen) > 2 and np.ptp(points_box(points[seen]), axis=0).max() < limit:
            groups.append(seen)
    return groups


def _column(
    cell: SubplotSpec,
    layout: Layout,
    points: np.ndarray,
    nodes: np.ndarray,
    links: np.ndarray,
    signed: bool,
    groups: list[list[int]],
    strongest: int,
    name: str,
    heights: tuple[float, float],
) -> None:
    figure = cell.get_gridspec().figure
    if groups:
        grid = cell.subgridspec(2, len(groups), height_ratios=heights)
        whole = figure.add_subplot(grid[0, :])
        panels = [figure.add_subplot(grid[1, i]) for i in range(len(groups))]
    else:
        whole, panels = figure.add_subplot(cell), []
    pairs = _strongest_pairs(links, np.isfinite(points).all(axis=1), strongest)
    # In the whole picture the dots of enlarged parts would lie over one another.
    small = {joint for group in groups for joint in group}
    dots = np.array([0.35 if joint in small else 1.0 for joint in range(len(points))])
    _draw(whole, layout, points, points_box(points), nodes, links, pairs, signed, dots)
    whole.set_title(name, fontsize=11, fontweight="bold")
    for panel, group in zip(panels, groups, strict=True):
        inside = np.full(points.shape, np.nan)
        inside[group] = points[group]
        shown = [(u, v) for u, v in pairs if np.isfinite(inside[[u, v]]).all()]
        _draw(panel, layout, inside, points_box(inside), nodes, links, shown, signed, np.ones(len(points)))
        panel.set_title(", ".join(dict.fromkeys(layout.part_of_joint[j] for j in group)).replace("_", " "), fontsize=8)


def _strongest_pairs(links: np.ndarray, there: np.ndarray, count: int) -> list[tuple[int, int]]:
    """The pairs u < v of joints that are there with the largest absolute strength, the weakest of them first."""
    u, v = np.triu_indices(len(links), k=1)
    kept = there[u] & there[v] & (links[u, v] != 0)
    u, v = u[kept], v[kept]
    order = np.argsort(-np.abs(links[u, v]), kind="stable")[:count][::-1]
    return [(int(u[i]), int(v[i])) for i in order]


def _draw(
    ax: Axes,
    layout: Layout,
    points: np.ndarray,
    box: np.ndarray,
    nodes: np.ndarray,
    links: np.ndarray,
    pairs: list[tuple[int, int]],
    signed: bool,
    dots: np.ndarray,
) -> None:
    from matplotlib.collections import LineCollection

    bones = [points[list(bone)] for bone in layout.bones if bone[0] != bone[1]]
    bones = [bone for bone in bones if np.isfinite(bone).all()]
    ax.add_collection(LineCollection(bones, colors=_GREY, linewidths=1.0, zorder=1))
    strength = np.array([links[pair] for pair in pairs])
    colors = [_DARK if not signed else MORE if value > 0 else LESS for value in strength]
    ax.add_collection(
        LineCollection(
            [points[list(pair)] for pair in pairs],
            colors=colors,
            linewidths=_WIDTH * np.abs(strength),
            alpha=0.55,
            capstyle="round",
            zorder=2,
        )
    )
    faces = (
        [MORE if value > 0 else LESS for value in nodes]
        if signed
        else [layout.colors[part] for part in layout.part_of_joint]
    )
    ax.scatter(
        *points.T, s=_AREA * np.abs(nodes) * dots, c=faces, edgecolors="white", linewidths=0.5, alpha=0.92, zorder=3
    )
    (left, top), (right, bottom) = box
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
