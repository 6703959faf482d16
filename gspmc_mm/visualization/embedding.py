"""High-dimensional vectors on a plane, and their picture: clips as dots, texts as stars."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gspmc_mm.extras import how_to_install

from .curves import COLOURS
from .saving import new_figure, save_figure

#: t-SNE needs scikit-learn, UMAP umap-learn (both in the extra `figures`); PCA needs nothing but does not bend.
METHODS = ("tsne", "umap", "pca")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_REST = "#c6cbd1"
#: Signs in colour: every colour with another marker.
MOST_SIGNS = len(COLOURS) * 2


def to_plane(vectors: np.ndarray, method: str = "tsne", seed: int = 0) -> np.ndarray:
    """Put vectors on a plane.

    Args:
        vectors: (N, D), N >= 3; compared by cosine (t-SNE, UMAP), or projected as they are (PCA).
        method: One of `METHODS`.
        seed: Of t-SNE and UMAP.

    Returns:
        (N, 2) float64.

    Raises:
        ValueError: An unknown method or too few vectors.
        ImportError: The library of the method is not installed.
    """
    vectors = np.asarray(vectors, dtype=np.float64)
    if method not in METHODS:
        raise ValueError(f"method {method!r} is none of {', '.join(METHODS)}")
    if vectors.ndim != 2 or len(vectors) < 3:
        raise ValueError(f"expected vectors (N, D) with N >= 3, found {vectors.shape}")
    if method == "pca":
        return principal_plane(vectors)
    missing = "{} needs {}; " + how_to_install("figures") + ", or take --method pca"
    if method == "tsne":
        try:
            from sklearn.manifold import TSNE
        except ImportError as error:
            raise ImportError(missing.format("t-SNE", "scikit-learn")) from error
        perplexity = min(30.0, (len(vectors) - 1) / 3)
        # Started from random places: PCA as a start is not defined for distances by cosine.
        reducer = TSNE(metric="cosine", init="random", perplexity=perplexity, random_state=seed)
    else:
        try:
            from umap import UMAP
        except ImportError as error:
            raise ImportError(missing.format("UMAP", "umap-learn")) from error
        reducer = UMAP(metric="cosine", n_neighbors=min(15, len(vectors) - 1), random_state=seed)
    return np.asarray(reducer.fit_transform(vectors), dtype=np.float64)


def principal_plane(vectors: np.ndarray) -> np.ndarray:
    """The two directions of largest variance (PCA): (N, D) -> (N, 2)."""
    centred = vectors - vectors.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((len(vectors), 2))
    taken = min(2, len(values))
    plane[:, :taken] = left[:, :taken] * values[:taken]
    return plane


@dataclass(frozen=True)
class Plane:
    """One panel.

    Attributes:
        points: (N, 2) of the clips.
        labels: (N,) their signs.
        texts: (S, 2) of the texts; None where there are none.
        text_labels: (S,) their signs.
    """

    points: np.ndarray
    labels: np.ndarray
    texts: np.ndarray | None = None
    text_labels: np.ndarray | None = None


def draw_embedding(
    planes: Mapping[str, Plane],
    signs: Mapping[int, str],
    out: str | os.PathLike[str],
    *,
    title: str = "",
) -> tuple[Path, Path]:
    """Draw clips as dots and texts as stars; some signs in colour, all others grey.

    Args:
        planes: Panels by their heading, from left to right.
        signs: Names by label of the signs in colour, `MOST_SIGNS` at most.
        out: The picture without an ending.
        title: Printed above.

    Returns:
        The paths of the PNG and of the SVG.

    Raises:
        ValueError: Nothing to draw, or more signs than colours.
    """
    if not planes or not signs:
        raise ValueError("nothing to draw: no vectors or no signs")
    if len(signs) > MOST_SIGNS:
        raise ValueError(f"{len(signs)} signs in colour: nobody tells more than {MOST_SIGNS} apart")
    figure = new_figure(5.0 * len(planes), 5.9)
    panels = figure.subplots(1, len(planes), squeeze=False)[0]
    handles = []
    for ax, (heading, plane) in zip(panels, planes.items(), strict=True):
        grey = ~np.isin(plane.labels, list(signs))
        ax.scatter(*plane.points[grey].T, s=9, color=_REST, linewidths=0, zorder=1)
        handles = []
        for i, (label, name) in enumerate(signs.items()):
            color, marker = COLOURS[i % len(COLOURS)], _MARKERS[(i + i // len(COLOURS)) % len(_MARKERS)]
            mine = plane.points[plane.labels == label]
            handles.append(
                ax.scatter(
                    *mine.T, s=38, color=color, marker=marker, label=name, edgecolors="white", linewidths=0.4, zorder=2
                )
            )
            if plane.texts is not None:
                stars = plane.texts[plane.text_labels == label]
                ax.scatter(*stars.T, s=200, color=color, marker="*", edgecolors="black", linewidths=0.9, zorder=3)
                for star in stars:  # colours come more than once; above and below, as stars lie close together
                    place = (7, 5) if i % 2 else (7, -12)
                    ax.annotate(name, star, xytext=place, textcoords="offset points", fontsize=8, zorder=4)
        ax.set_title(heading, fontsize=10)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color("#bbbbbb")
        ax.margins(0.04)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=_columns(signs.values(), len(planes)), frameon=False
    )
    if title:
        figure.suptitle(title, fontsize=11)
    return save_figure(figure, out)


def _columns(names: Sequence[str], panels: int) -> int:
    """Columns of the legend that fit the width of the panels."""
    longest = max(len(name) for name in names)
    return max(2, min(7, int(5.0 * panels / (0.09 * longest + 0.5))))
