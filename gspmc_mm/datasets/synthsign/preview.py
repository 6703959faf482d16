"""Pictures of synthetic signs, to look at what the kinematic signer does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np

from gspmc_mm.datasets.synthsign.generate import SynthSignSpec
from gspmc_mm.datasets.synthsign.lexicon import NOTE, get_signs
from gspmc_mm.datasets.synthsign.observation import perform
from gspmc_mm.datasets.synthsign.profile import draw_signer
from gspmc_mm.datasets.synthsign.texts import global_text
from gspmc_mm.files import replacing
from gspmc_mm.skeleton import get_layout

MIN_SHOWN = 0.15


def draw_preview(
    path: str | os.PathLike[str],
    spec: SynthSignSpec,
    labels: Sequence[int] | None = None,
    signer: int | None = None,
    frames: int = 5,
) -> Path:
    """Draw frames of some signs, one sign a row, with the global description under it.

    Args:
        path: picture to write (PNG).
        spec: seed, noise and number of signs.
        labels: which signs; by default seven spread over the lexicon.
        signer: who performs them; by default another signer in each row.
        frames: frames drawn of each sign, from preparation to retraction.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    signs = get_signs(spec.signs)
    if labels is None:
        labels = sorted({round(k) for k in np.linspace(0, spec.signs - 1, 7)})
    layout = get_layout("wholebody133")
    edges = np.array([*layout.bones, *layout.extra_edges])
    colors = [layout.colors[part] for part in layout.part_of_joint]
    figure = Figure(figsize=(2.4 * frames, 2.8 * len(labels)))
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(labels), frames, squeeze=False)
    figure.subplots_adjust(0.01, 0.03, 0.99, 0.94, wspace=0.03, hspace=0.28)
    for row, label in enumerate(labels):
        who = row % spec.signers if signer is None else signer
        rng = np.random.default_rng([spec.seed, label, who, 0])
        profile = draw_signer(spec.seed, who)
        shown = perform(signs[label], profile, rng, spec.noise)
        active = np.flatnonzero(shown.envelope > 0.4)
        chosen = np.linspace(active[0], active[-1], frames).round().astype(int)
        width, height = shown.image_size
        unit = profile.camera.scale * height
        centre = np.array(profile.camera.centre) * (width, height)
        for ax, frame in zip(axes[row], chosen, strict=True):
            points, seen = shown.keypoint[frame], shown.score[frame] > MIN_SHOWN
            drawn = edges[seen[edges].all(axis=1)]
            lines = LineCollection(points[drawn], colors=[colors[child] for child in drawn[:, 0]], linewidths=0.9)
            ax.add_collection(lines)
            ax.set(xticks=[], yticks=[], aspect="equal")
            ax.set_xlim(centre[0] - 1.35 * unit, centre[0] + 1.35 * unit)
            ax.set_ylim(centre[1] + 1.6 * unit, centre[1] - 1.25 * unit)
            ax.set_xlabel(f"frame {frame}", fontsize=6)
        head = f"{signs[label].gloss}, signer {who}: {global_text(signs[label])}"
        axes[row, 0].set_title(fill(head, 140), fontsize=7, loc="left")
    figure.suptitle(NOTE, fontsize=9)
    path = Path(path)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
    return path
