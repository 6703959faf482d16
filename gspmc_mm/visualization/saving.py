"""Figures on disk: PNG for reading on, SVG for printing, both whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gspmc_mm.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure in inches, drawn without a display and without pyplot's global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, out: str | os.PathLike[str], dpi: int = 150) -> tuple[Path, Path]:
    """Write a figure as `OUT.png` and `OUT.svg`.

    The same figure gives the same SVG byte for byte: a fixed salt for its ids and no date.

    Returns:
        The paths of the PNG and of the SVG.
    """
    from matplotlib import rc_context

    png, svg = Path(f"{out}.png"), Path(f"{out}.svg")
    with rc_context({"svg.hashsalt": "gspmc_mm"}):
        _write(figure, png, dpi=dpi)
        _write(figure, svg, metadata={"Date": None})
    return png, svg


def _write(figure: Figure, path: Path, **options: Any) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], **options)
