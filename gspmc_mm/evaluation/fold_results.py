"""The record of signer folds, read from the folders that `signer_folds.py` leaves behind, finished or not."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .calibration import reliability
from .confusion import confused_pairs, confusion_matrix
from .estimates import estimate_accuracy
from .folds import any_fold
from .predictions import Predictions, align, load_predictions
from .provenance import origins
from .results import Confusion, Failure, FoldsRecord, FoldsRow
from .run_files import PREDICTIONS, Run, fold_folders, fold_record, unfinished
from .signer_independence import independence_of_records

CONFUSED = 10


def collect_folds(
    work_dir: Path,
    title: str,
    data: str,
    provenance: Mapping[str, Any],
    *,
    variants: Sequence[str] = (),
    seeds: Sequence[int] = (),
    folds: Sequence[int] = (),
    note: str = "",
) -> FoldsRecord:
    """Accuracy of every variant on the pooled clips of all folds.

    A seed counts when all its folds are there; folds that are not are named in `failed` (begun, not finished) and
    `missing` (never begun).

    A named variant without a folder is a row without figures, its folds are missing.

    Args:
        work_dir: Holds VARIANT/seedS/foldK.
        title: Of the table.
        data: Name of the data set.
        provenance: From `gather_provenance`; what the folds were trained on is added to its `data`.
        variants: Which and in which order; all in alphabetical order by default.
        seeds: Those that every variant should have; by default each variant's own.
        folds: Those that every seed should have; by default all that some variant has.
        note: See `FoldsRecord`.

    Raises:
        FileNotFoundError: No folds there.
        PredictionsError: Variants about different clips, or damaged files.
    """
    names = list(variants) or [path.name for path in sorted(Path(work_dir).glob("*")) if fold_folders(path)]
    places = {name: _places(Path(work_dir) / name) for name in names}
    if not any(places.values()):
        raise FileNotFoundError(f"{work_dir} holds no VARIANT/seedS/foldK folders of signer_folds.py")
    wanted = sorted(folds) or sorted({fold for found in places.values() for _, fold in found})
    rows, failed, missing, records = [], [], [], []
    everything: dict[str, Predictions] = {}
    for name, found in places.items():
        mine = [fold_record(folder) for folder in found.values()]
        records += mine
        whole: dict[int, Predictions] = {}
        for seed in sorted(seeds) or sorted({seed for seed, _ in found}) or [0]:
            lacking = False
            for fold in wanted:
                run = f"{name} seed {seed} fold {fold}"
                if (seed, fold) not in found:
                    missing.append(run)
                elif reason := unfinished(found[seed, fold]):
                    failed.append(Failure(run=run, reason=reason))
                else:
                    continue
                lacking = True
            if not lacking:
                loaded = {fold: load_predictions(found[seed, fold] / PREDICTIONS) for fold in wanted}
                whole[seed] = Run(loaded, {}).pooled(signers_disjoint=False)
        everything |= {f"{name}, seed {seed}": run for seed, run in whole.items()}
        rows.append(_row(name, whole, mine))
    if everything:
        align(everything)  # one set of clips for all, or no figure of one stands beside another
    used = sorted({seed for row in rows for seed in row.seeds})
    inputs = {path: mark for record in records for path, mark in record.get("identity", {}).get("inputs", {}).items()}
    return FoldsRecord(
        title=title,
        provenance={**provenance, "seed": used, "data": {**provenance["data"], **inputs}},
        note=note,
        independence=independence_of_records(records),
        seconds=_seconds(records),
        trained=origins(records),
        failed=tuple(failed),
        missing=tuple(missing),
        data=data,
        splits=_splits(records),
        folds=tuple(wanted),
        rows=tuple(rows),
    )


def _places(folder: Path) -> dict[tuple[int, int], Path]:
    """Fold folders by seed and fold; `foldK` without a seed above it is seed 0."""
    found = {}
    for path in fold_folders(folder):
        parent = path.parent.name
        found[int(parent[4:]) if parent.startswith("seed") and path.parent != folder else 0, int(path.name[4:])] = path
    return found


def _row(name: str, runs: Mapping[int, Predictions], records: Sequence[Mapping[str, Any]]) -> FoldsRow:
    config, options, command = _asked(records)
    common = dict(name=name, config=config, cfg_options=options, command=command, seconds=_seconds(records))
    if not runs:
        return FoldsRow(**common)
    first = next(iter(runs.values()))
    matrix = np.sum([confusion_matrix(run.scores, run.label) for run in runs.values()], axis=0)
    return FoldsRow(
        **common,
        seeds=tuple(runs),
        top1=estimate_accuracy(runs, 1),
        top5=estimate_accuracy(runs, 5),
        ece=float(np.mean([reliability(run.scores, run.label).ece for run in runs.values()])),
        confused=tuple(
            Confusion(signs=(pair.true, pair.predicted), count=pair.count, of=pair.of)
            for pair in confused_pairs(matrix, first.classes, both_ways=True, limit=CONFUSED)
        ),
    )


def _asked(records: Iterable[Mapping[str, Any]]) -> tuple[str, tuple[str, ...], str]:
    """Config, changes of it (without the splits) and the command itself, from the first recorded training."""
    for record in records:
        words = shlex.split(record.get("train_command", ""))
        after = [i for i, word in enumerate(words) if word.endswith("train.py")]
        if not after or after[0] + 1 >= len(words):
            continue
        options: list[str] = words[words.index("--cfg-options") + 1 :] if "--cfg-options" in words else []
        command = shlex.join(["python", "tools/train.py", *words[after[0] + 1 :]])
        return words[after[0] + 1], tuple(option for option in options if ".split=" not in option), command
    return "", (), ""


def _splits(records: Iterable[Mapping[str, Any]]) -> str:
    """How the data was cut, the fold's number as K."""
    seen = []
    for record in records:
        splits = record.get("identity", {}).get("splits", {})
        text = " / ".join(str(splits[key]) for key in ("train_dataloader", "test_dataloader") if key in splits)
        if text and any_fold(text) not in seen:
            seen.append(any_fold(text))
    return "; ".join(seen)


def _seconds(records: Sequence[Mapping[str, Any]]) -> float | None:
    times = [record.get("seconds") for record in records]
    return float(sum(times)) if times and all(time is not None for time in times) else None
