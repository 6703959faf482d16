"""Which signs gain and which lose by the texts, beside what the texts say of them (Fig. 6 of the GSP-MC paper)."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .saving import new_figure, save_figure

GAIN, LOSS = "#0072B2", "#D55E00"
_LINES, _LETTERS = 3, 104


@dataclass(frozen=True)
class SignGain:
    """One sign under two networks, on the same clips.

    Attributes:
        sign: Its gloss.
        text: What the texts say of it.
        clips: How many clips it has.
        won: Clips that only the second network has right; a mean where there are several seeds.
        lost: Clips that only the first has right.
        errors: Errors that the lint found in its texts; None where no lint was run.
        warnings: Warnings that the lint found.
    """

    sign: str
    text: str
    clips: int
    won: float
    lost: float
    errors: int | None = None
    warnings: int | None = None

    @property
    def gain(self) -> float:
        """Accuracy of the second network minus that of the first, in points."""
        return 100 * (self.won - self.lost) / self.clips

    @property
    def lint(self) -> int | None:
        """Lint score: errors and warnings together, 0 is clean."""
        return None if self.errors is None else self.errors + (self.warnings or 0)


def lint_correlation(signs: Sequence[SignGain]) -> tuple[float, float] | None:
    """Spearman's rank correlation of gain and lint score over signs, and its p-value.

    None where no lint was run, or where one of the two is the same for all signs.
    """
    from scipy.stats import spearmanr

    pairs = [(sign.gain, sign.lint) for sign in signs if sign.lint is not None]
    if len(pairs) < 3:
        return None
    gains, scores = np.array(pairs, dtype=float).T
    if np.ptp(gains) == 0 or np.ptp(scores) == 0:
        return None
    result = spearmanr(gains, scores)
    return float(result.statistic), float(result.pvalue)


def draw_sign_gain(
    signs: Sequence[SignGain],
    out: str | os.PathLike[str],
    *,
    shown: int = 8,
    first: str = "without texts",
    second: str = "with texts",
    title: str = "",
) -> tuple[Path, Path]:
    """Draw the signs with the largest gains and the largest losses.

    A blue bar are the clips that only the second network has right, an orange one those that only the first has, both
    as a share of the sign's clips; the dot is their difference, the gain in points. To the right stand the number of
    clips, the lint score (errors and warnings of the sign's texts, 0 is clean) and the beginning of the text. Above
    stand how many signs gain and lose, and the rank correlation of gain and lint score over all signs.

    Args:
        signs: All signs.
        out: The picture without an ending.
        shown: How many of each end are drawn; all signs where there are fewer than twice as many.
        first: What the first network is called.
        second: What the second network is called.
        title: Printed above.

    Returns:
        The paths of the PNG and of the SVG.

    Raises:
        ValueError: No signs.
    """
    if not signs:
        raise ValueError("no signs to draw")
    ordered = sorted(signs, key=_largest_gain_first)
    rows = ordered if len(ordered) <= 2 * shown else [*ordered[:shown], *ordered[-shown:]]
    cut = shown if len(ordered) > 2 * shown else None
    figure = new_figure(12.5, 0.55 * len(rows) + 1.6)
    bars, words = figure.subplots(1, 2, sharey=True, width_ratios=(1.0, 1.75))
    places = np.arange(len(rows), dtype=float)
    if cut is not None:
        places[cut:] += 0.8  # a gap, where the signs in between are
        bars.axhline(cut - 0.1, color="#999999", linewidth=0.8, linestyle=":")
    won = [100 * row.won / row.clips for row in rows]
    lost = [-100 * row.lost / row.clips for row in rows]
    bars.barh(places, won, height=0.52, color=GAIN, label=f"right only {second}")
    bars.barh(places, lost, height=0.52, color=LOSS, label=f"right only {first}")
    bars.plot(
        [row.gain for row in rows],
        places,
        "o",
        color="black",
        markersize=5.5,
        markeredgecolor="white",
        label="gain (points)",
    )
    bars.axvline(0, color="black", linewidth=0.8)
    bars.set_yticks(places, [row.sign for row in rows], fontsize=10)
    bars.set_xlabel("share of the sign's clips, percent")
    bars.grid(True, axis="x", color="#dddddd", linewidth=0.6)
    bars.set_axisbelow(True)
    bars.spines[["top", "right", "left"]].set_visible(False)
    bars.tick_params(axis="y", length=0)
    bars.set_ylim(places[-1] + 0.6, -0.6)
    bars.legend(frameon=False, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, columnspacing=1.0)
    words.set_xlim(0, 1)
    words.axis("off")
    for place, row in zip(places, rows, strict=True):
        lint = "-" if row.lint is None else str(row.lint)
        words.text(0.035, place, str(row.clips), ha="right", va="center", fontsize=9)
        words.text(0.105, place, lint, ha="right", va="center", fontsize=9, fontweight="bold" if row.errors else None)
        words.text(0.14, place, _beginning(row.text), va="center", fontsize=8, linespacing=1.15)
    for x, text, side in ((0.035, "clips", "right"), (0.105, "lint", "right"), (0.14, "text of the sign", "left")):
        words.text(x, -0.62, text, ha=side, va="bottom", fontsize=8, color="#555555")
    gains = np.array([sign.gain for sign in signs])
    ups, downs = int((gains > 0).sum()), int((gains < 0).sum())
    heading = f"{len(signs)} signs: {ups} gain, {downs} lose, mean {gains.mean():+.1f} points"
    correlation = lint_correlation(signs)
    if correlation is not None:
        heading += f"; gain and lint score: Spearman {correlation[0]:+.2f} (p = {correlation[1]:.2g})"
    figure.suptitle(f"{title}\n{heading}" if title else heading, fontsize=10)
    return save_figure(figure, out)


def _largest_gain_first(sign: SignGain) -> tuple[float, str]:
    return -sign.gain, sign.sign


def _beginning(text: str) -> str:
    """As much of a text as has room beside a bar."""
    return "\n".join(textwrap.wrap(text, _LETTERS, max_lines=_LINES, placeholder=" ...")) or "(no text)"
