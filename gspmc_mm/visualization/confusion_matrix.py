"""Which signs are taken for which: the matrix as a whole, and the signs that are confused most with their names."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .saving import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMED = 40  # more classes than this have no room for names in the whole matrix
_MAP = "Blues"


def neighbouring_order(counts: np.ndarray) -> np.ndarray:
    """An order of the classes in which those that are confused stand together.

    Average linkage on 1 - the share of the clips that are confused between two classes, leaves in optimal order.

    Args:
        counts: (C, C) clips, row true, column predicted.

    Returns:
        (C,) int64.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    if len(counts) < 3:
        return np.arange(len(counts))
    shares = row_shares(counts)
    distance = 1 - np.clip((shares + shares.T) / 2, 0, 1)
    np.fill_diagonal(distance, 0)
    return leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True)).astype(np.int64)


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Counts divided by the clips of the true class; rows of classes without a clip are 0."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)


def confused_block(counts: np.ndarray, size: int) -> np.ndarray:
    """The classes of the pairs that are confused most often (both directions counted), at most `size` of them.

    Returns:
        Classes in an order in which confused ones stand together; empty where nothing is confused.
    """
    both = counts + counts.T
    u, v = np.triu_indices(len(counts), k=1)
    chosen: list[int] = []
    for i in np.argsort(-both[u, v], kind="stable"):
        if both[u[i], v[i]] == 0:
            break
        new = [int(c) for c in (u[i], v[i]) if c not in chosen]
        if len(chosen) + len(new) > size:
            break
        chosen += new
    block = np.array(sorted(chosen), dtype=np.int64)
    return block[neighbouring_order(counts[np.ix_(block, block)])] if len(block) else block


def draw_confusion(
    counts: np.ndarray,
    classes: Sequence[str],
    out: str | os.PathLike[str],
    *,
    block: int = 20,
    title: str = "",
) -> tuple[Path, Path]:
    """Draw the confusion matrix, and the block of the classes that are confused most.

    Left: all classes, shares of the clips of the true class (rows), in an order in which classes that are confused
    stand together. Right: the classes of the most frequent confusions with their names and numbers of clips.

    Args:
        counts: (C, C) clips, row true, column predicted.
        classes: C names.
        out: The picture without an ending.
        block: Largest number of classes on the right.
        title: Printed above.

    Returns:
        The paths of the PNG and of the SVG.

    Raises:
        ValueError: The shapes do not fit, or no clip is counted.
    """
    counts = np.asarray(counts)
    if counts.shape != (len(classes), len(classes)) or not counts.sum():
        raise ValueError(f"expected counts ({len(classes)}, {len(classes)}) of clips, found {counts.shape}")
    order = neighbouring_order(counts)
    chosen = confused_block(counts, block)
    figure = new_figure(15.0 if len(chosen) else 7.5, 7.6)
    panels = figure.subplots(1, 2 if len(chosen) else 1, squeeze=False)[0]
    image = _matrix(panels[0], row_shares(counts)[np.ix_(order, order)])
    panels[0].set_title(f"all {len(classes)} signs, those that are confused side by side", fontsize=10)
    if len(classes) <= _NAMED:
        _names(panels[0], [classes[i] for i in order])
    else:
        panels[0].set(xticks=[], yticks=[])
    figure.colorbar(image, ax=panels[0], shrink=0.8, label="share of the true sign's clips")
    if len(chosen):
        part = counts[np.ix_(chosen, chosen)]
        shares = row_shares(counts)[np.ix_(chosen, chosen)]
        _matrix(panels[1], shares)
        _names(panels[1], [classes[i] for i in chosen])
        for i, j in np.argwhere(part > 0):
            number = part[i, j]
            panels[1].text(
                j,
                i,
                f"{number:.0f}" if float(number).is_integer() else f"{number:.1f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if shares[i, j] > 0.55 else "black",
            )
        panels[1].set_title(f"the {len(chosen)} signs of the most frequent confusions, clips", fontsize=10)
    for panel in panels:
        panel.set_xlabel("predicted")
        panel.set_ylabel("true")
    right = np.trace(counts) / counts.sum()
    figure.suptitle(f"{title}\n" * bool(title) + f"{counts.sum():g} clips, top-1 {100 * right:.1f} %", fontsize=11)
    return save_figure(figure, out)


def _matrix(ax: Axes, shares: np.ndarray):
    return ax.imshow(shares, cmap=_MAP, vmin=0, vmax=1, interpolation="nearest")


def _names(ax: Axes, names: Sequence[str]) -> None:
    size = 9 if len(names) <= 24 else 7
    ax.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
    ax.set_yticks(range(len(names)), names, fontsize=size)
    ax.tick_params(length=0)
