"""Training curves from the scalars that mmengine writes, drawn for colour-blind readers too."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .saving import new_figure, save_figure

# Okabe and Ito's palette without its yellow, which is too light for a line on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_STYLES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


class CurvesError(ValueError):
    """Training scalars that are not there or cannot be read."""


@dataclass
class TrainingCurves:
    """Scalars of one training by epoch.

    Attributes:
        name: What the legend calls it.
        train: For each scalar, its mean over the logged steps of an epoch, by epoch.
        val: For each scalar of the validation, its value by epoch.
        by_epoch: False where the training counts iterations; the keys are iterations then.
    """

    name: str
    train: dict[str, dict[int, float]] = field(default_factory=dict)
    val: dict[str, dict[int, float]] = field(default_factory=dict)
    by_epoch: bool = True

    def val_key(self, name: str) -> str | None:
        """The validation scalar called `name`, with or without a prefix such as `acc/`."""
        matches = [key for key in self.val if key == name or key.endswith(f"/{name}")]
        return matches[0] if matches else None


def read_training_curves(path: str | os.PathLike[str], name: str | None = None) -> TrainingCurves:
    """Read the scalars of a work dir, of all its runs.

    A resumed training has a folder for each start; a later start wins from its first epoch on. An
    unfinished last line, left by a kill, is passed over.

    Args:
        path: A work dir, or one `scalars.json` / `<time>.json` file of mmengine's `vis_data`.
        name: What the legend calls it; the folder's name by default.

    Raises:
        FileNotFoundError: No such path.
        CurvesError: No scalars there, or a line that is no JSON object.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no training to draw at {path}")
    runs = [records for file in scalar_files(path) if (records := _read_lines(file))]
    if not any(_is_train(record) for records in runs for record in records):
        raise CurvesError(
            f"no training scalars under {path} (looked for */vis_data/scalars.json): was anything "
            "trained there, and do the config's vis_backends hold dict(type='LocalVisBackend')?"
        )
    curves = TrainingCurves(name or (path.name if path.is_dir() else path.stem))
    for records in runs:
        _add_run(curves, records)
    return curves


def scalar_files(path: str | os.PathLike[str]) -> list[Path]:
    """The files of scalars in a work dir, one for each start of the training; a file stands for itself."""
    path = Path(path)
    if path.is_file():
        return [path]
    return sorted(path.glob("*/vis_data/scalars.json")) + sorted(path.glob("vis_data/scalars.json"))


def draw_training_curves(
    runs: Mapping[str, str | os.PathLike[str]] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    title: str | None = None,
    loss: str = "loss_cls",
    metric: str = "top1",
) -> tuple[Path, Path]:
    """Draw training loss and validation accuracy of one or several trainings.

    Args:
        runs: Work dirs (or scalar files), by the name in the legend, or just a list of them.
        out: The picture without an ending; `.png` and `.svg` are written.
        title: Printed above.
        loss: The training scalar on the left. `loss_cls`, the part that a baseline without text
            also has, so that the curves may be compared; where a run lacks it, `loss`.
        metric: The validation scalar on the right, a share drawn in percent.

    Returns:
        The paths of the PNG and of the SVG.

    Raises:
        FileNotFoundError: A path is not there.
        CurvesError: No runs, or nothing to draw in one of them.
    """
    named = dict(runs) if isinstance(runs, Mapping) else {Path(run).name: run for run in runs}
    if not named:
        raise CurvesError("no trainings to draw")
    if len(named) != len(runs):
        raise CurvesError("two of the folders have one name: give the runs as {name: folder}")
    curves = [read_training_curves(path, name) for name, path in named.items()]
    key = loss if all(loss in curve.train for curve in curves) else "loss"
    for curve in curves:
        if key not in curve.train:
            raise CurvesError(f"{curve.name} has no training scalar {key!r}: {sorted(curve.train)}")

    figure = new_figure(9.5, 3.8)
    left, right = figure.subplots(1, 2)
    for i, curve in enumerate(curves):
        style: dict[str, Any] = {
            "color": COLOURS[i % len(COLOURS)],
            "linestyle": _STYLES[i % len(_STYLES)],
            "marker": _MARKERS[i % len(_MARKERS)],
            "markersize": 3.5,
            "linewidth": 1.6,
        }
        steps = sorted(curve.train[key])
        left.plot(steps, [curve.train[key][step] for step in steps], label=curve.name, **style)
        found = curve.val_key(metric)
        if found is not None:
            steps = sorted(curve.val[found])
            values = [100 * curve.val[found][step] for step in steps]
            right.plot(steps, values, label=f"{curve.name} (last {values[-1]:.1f})", **style)
    unit = "epoch" if all(curve.by_epoch for curve in curves) else "iteration"
    label = "classification loss" if key == "loss_cls" else key
    for axes, text in ((left, f"training: {label}"), (right, f"validation: {metric} (%)")):
        axes.set_xlabel(unit)
        axes.set_title(text, fontsize=10)
        axes.grid(True, color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.lines:
            axes.legend(frameon=False, fontsize=9)
        else:
            axes.text(0.5, 0.5, "no validation was run", ha="center", transform=axes.transAxes)
    left.set_ylim(bottom=0)
    right.set_ylim(bottom=0)
    if title:
        figure.suptitle(title)
    return save_figure(figure, out)


def _read_lines(path: Path) -> list[dict[str, Any]]:
    records = []
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                break
            raise CurvesError(f"{path}, line {number} is no JSON: {error}") from error
        if not isinstance(record, dict):
            raise CurvesError(f"{path}, line {number}: expected a JSON object, found {line[:60]}")
        records.append(record)
    return records


def _is_train(record: Mapping[str, Any]) -> bool:
    return "loss" in record


def _add_run(curves: TrainingCurves, records: list[dict[str, Any]]) -> None:
    train = [record for record in records if _is_train(record)]
    if not train:
        return  # A test or a validation alone: no part of the training.
    curves.by_epoch = all("epoch" in record for record in train)
    count = "epoch" if curves.by_epoch else "step"
    start = min(int(record[count]) for record in train)
    for group in (curves.train, curves.val):
        for series in group.values():
            for step in [step for step in series if step >= start]:
                del series[step]
    gathered: dict[str, dict[int, list[float]]] = {}
    for record in records:
        step = int(record[count] if _is_train(record) else record["step"])
        for key, value in record.items():
            if key in ("epoch", "iter", "step") or not isinstance(value, int | float):
                continue
            if _is_train(record):
                gathered.setdefault(key, {}).setdefault(step, []).append(float(value))
            else:
                curves.val.setdefault(key, {})[step] = float(value)
    for key, series in gathered.items():
        means = {step: sum(values) / len(values) for step, values in series.items()}
        curves.train.setdefault(key, {}).update(means)
