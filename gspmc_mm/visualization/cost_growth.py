"""Cost of a network against the number of joints and of frames, from the JSON of `tools/benchmark.py model`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.ticker import LogLocator, StrMethodFormatter

from .curves import COLOURS
from .saving import new_figure, save_figure

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def draw_cost_growth(result: Mapping[str, Any], out: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Draw time and peak memory of a training step, and the time of inference, over V (above) and T (below).

    Both axes are logarithmic: a linear cost is a line of slope 1, a quadratic one of slope 2; grey lines show both.

    Args:
        result: JSON of the section `model`.
        out: The picture without an ending; `.png` and `.svg` are written.

    Returns:
        The paths of the PNG and of the SVG.

    Raises:
        ValueError: Fewer than two sizes were measured.
    """
    cells = result["cells"]
    middle = min(cells, key=lambda c: (abs(c["joints"] - 87), abs(c["frames"] - 64), abs(c["batch"] - 4)))
    lines = {}
    for axis, other in (("joints", "frames"), ("frames", "joints")):
        line = [c for c in cells if c[other] == middle[other] and c["batch"] == middle["batch"]]
        if len(line) > 1:
            lines[axis] = sorted(line, key=lambda c, axis=axis: c[axis])
    if not lines:
        raise ValueError("one size of input was measured; nothing grows")
    figure = new_figure(11, 3.5 * len(lines))
    panels = figure.subplots(len(lines), 3, squeeze=False)
    for row, (axis, line) in zip(panels, lines.items(), strict=True):
        sizes = [cell[axis] for cell in line]
        for axes, (title, cost) in zip(row, _costs(line[0]["batch"]).items(), strict=True):
            lowest = float("inf")
            for number, name in enumerate(middle["memory"]):
                points = [(size, value) for size, cell in zip(sizes, line, strict=True) if (value := cost(cell, name))]
                if not points:
                    continue
                x, y = zip(*points, strict=True)
                lowest = min(lowest, y[0])
                look = {"color": COLOURS[number % len(COLOURS)], "marker": _MARKERS[number % len(_MARKERS)]}
                # Once the colours are used up they come again, dashed.
                look["linestyle"] = "-" if number < len(COLOURS) else "-."
                axes.plot(x, y, **look, markersize=4, linewidth=1.5, label=name)
            for power, style in ((1, ":"), (2, "--")):
                guide = [0.7 * lowest * (size / sizes[0]) ** power for size in sizes]
                axes.plot(sizes, guide, color="#999999", linestyle=style, linewidth=1, label=f"slope {power}")
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xticks(sizes, [str(size) for size in sizes])
            axes.minorticks_off()
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axes.set_xlabel(axis)
            axes.set_title(title, fontsize=10)
            axes.grid(True, color="#dddddd", linewidth=0.6)
    # The first panel has every line; networks fused for inference are in no other.
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8, frameon=False)
    size = f"batch {middle['batch']}, V={middle['joints']} and T={middle['frames']} where they do not vary"
    figure.suptitle(f"{size}; {result['device']}, {result['threads']} thread(s)", fontsize=10)
    return save_figure(figure, out)


def _costs(batch: int) -> dict[str, Any]:
    """What is drawn: title of a panel -> cost of a contender in a cell, None where it was not measured."""

    def time_of(what: str) -> Any:
        def cost(cell: Mapping[str, Any], name: str) -> float | None:
            return cell[what][name]["median_s"] * 1e3 / batch if name in cell[what] else None

        return cost

    def memory(cell: Mapping[str, Any], name: str) -> float | None:
        peak = cell["memory"][name].get("train_peak_mib")
        return None if peak is None else peak / batch

    return {"inference, ms a clip": time_of("infer"), "training step, ms a clip": time_of("train")} | {
        "peak of a training step, MiB a clip": memory
    }
