"""Accuracy against severity: one panel for each corruption, one line for each network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .curves import COLOURS
from .saving import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_COLUMNS = 4


@dataclass(frozen=True)
class Level:
    """Accuracy at one severity: shares in [0, 1] with a 95 % interval."""

    severity: float
    top1: float
    low: float
    high: float


@dataclass(frozen=True)
class SeverityPanel:
    """One corruption.

    Attributes:
        title: Its name for people.
        unit: Of the severity.
        lines: Levels by network; the untouched clips among them, at the severity that changes nothing.
        untouched: That severity.
        switch: Whether there is only off (0) and on (1).
    """

    title: str
    unit: str
    lines: Mapping[str, Sequence[Level]]
    untouched: float = 0.0
    switch: bool = False


def draw_severity(
    panels: Sequence[SeverityPanel], out: str | os.PathLike[str], *, title: str = ""
) -> tuple[Path, Path]:
    """Draw top-1 in percent over the severity of every corruption, all panels in one scale.

    Bands are 95 % intervals of every figure by itself; networks tested on the same clips differ by more than noise even
    where their bands touch, see the paired differences in the table.

    Args:
        panels: In the order from left to right, top to bottom.
        out: The picture without an ending.
        title: Printed above.

    Returns:
        The paths of the PNG and of the SVG.

    Raises:
        ValueError: No panel.
    """
    if not panels:
        raise ValueError("no corruption was measured: nothing to draw")
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = new_figure(3.2 * columns + 0.3, 2.6 * rows + 0.8)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    handles = {}
    for ax, panel in zip(grid.flat, panels, strict=False):
        handles = _draw_panel(ax, panel, names) | handles
    for ax in grid.flat[len(panels) :]:
        ax.set_visible(False)
    for row in grid:
        row[0].set_ylabel("top-1, percent")
    grid[0, 0].set_ylim(bottom=0)
    figure.legend(handles=list(handles.values()), loc="outside lower center", ncols=max(1, len(names)), frameon=False)
    if title:
        figure.suptitle(title, fontsize=11)
    return save_figure(figure, out)


def _draw_panel(ax: Axes, panel: SeverityPanel, names: Sequence[str]) -> dict:
    handles = {}
    for name, line in panel.lines.items():
        i = names.index(name)
        levels = sorted(line, key=_severity)
        x, y, low, high = np.array([[e.severity, 100 * e.top1, 100 * e.low, 100 * e.high] for e in levels]).T
        style = {"color": COLOURS[i % len(COLOURS)], "marker": _MARKERS[i % len(_MARKERS)], "markersize": 4}
        if panel.switch:  # nothing lies between off and on: points with bars, side by side
            x = x + 0.08 * (i - (len(names) - 1) / 2)
            handles[name] = ax.errorbar(x, y, (y - low, high - y), label=name, linestyle=":", linewidth=1.2, **style)
        else:
            ax.fill_between(x, low, high, color=style["color"], alpha=0.13, linewidth=0)
            (handles[name],) = ax.plot(x, y, label=name, linewidth=1.6, **style)
    if panel.switch:
        ax.set_xticks([0, 1], ["untouched", "corrupted"])
        ax.set_xlim(-0.4, 1.4)
    else:
        ax.axvline(panel.untouched, color="#999999", linewidth=0.8, linestyle=":", zorder=0)
        ax.set_xlabel(panel.unit, fontsize=9)
    ax.set_title(panel.title, fontsize=10)
    ax.grid(True, color="#dddddd", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    return handles


def _severity(level: Level) -> float:
    return level.severity
