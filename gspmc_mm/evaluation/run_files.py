"""What a name on the command line stands for: prediction files of seeds and folds, as `signer_folds.py` lays them out.

    [NAME=]PLACE[,PLACE...]

| PLACE | stands for |
|---|---|
| `FILE.npz` | one run |
| `WORK/VARIANT` | its seeds, `seedS/foldK/predictions.npz`, the folds of each pooled |
| `WORK/VARIANT/seedS` | one seed, its folds pooled |
| a pattern, `runs/*/fold?.npz` | the folds of a run; runs are told apart by `seedS` in their paths |

Several places are several seeds.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .folds import pool_folds
from .predictions import Predictions, PredictionsError, load_predictions
from .provenance import fingerprint
from .signer_independence import clips_of_splits, split_names

PREDICTIONS, RECORD = "predictions.npz", "fold.json"
_SEED, _FOLD = re.compile(r"(?<![A-Za-z])seed[_-]?(\d+)"), re.compile(r"(?<![A-Za-z])fold[_-]?(\d+)")
_NAMED = re.compile(r"([\w.+-]+)=(.+)")


@dataclass(frozen=True)
class Run:
    """One seed.

    Attributes:
        folds: Predictions by fold; a single file is fold 0.
        files: Their files by fold.
    """

    folds: Mapping[int, Predictions]
    files: Mapping[int, Path]

    def pooled(self, signers_disjoint: bool = False) -> Predictions:
        """All folds together, every clip once; see `pool_folds`."""
        if len(self.folds) == 1:
            return next(iter(self.folds.values()))
        return pool_folds(self.folds, signers_disjoint)


@dataclass(frozen=True)
class Source:
    """What was named: a name and its runs by seed."""

    name: str
    runs: Mapping[int, Run]

    @property
    def files(self) -> list[Path]:
        """All files, by seed and fold."""
        return [path for run in self.runs.values() for path in run.files.values()]

    def pooled(self) -> dict[int, Predictions]:
        """Predictions by seed."""
        return {seed: run.pooled() for seed, run in self.runs.items()}

    @property
    def records(self) -> list[dict[str, Any]]:
        """What `signer_folds.py` wrote about each file; empty for a file that it did not make."""
        return [fold_record(path.parent) if path.name == PREDICTIONS else {} for path in self.files]

    @property
    def seconds(self) -> float | None:
        """Computing time of all its folds; None where one does not say."""
        times = [record.get("seconds") for record in self.records]
        return None if any(time is None for time in times) else float(sum(times))

    @property
    def data(self) -> dict[str, str]:
        """Fingerprints by path of the files that were trained and tested on, or of the predictions where unknown."""
        known = [record.get("identity", {}).get("inputs", {}) for record in self.records]
        inputs = {name: mark for entry in known for name, mark in entry.items()}
        return inputs or {str(path): fingerprint(path) for path in self.files}


def read_source(text: str) -> Source:
    """Read what a command line names.

    Args:
        text: See the top of this file. Without NAME the name is that of the first folder or file.

    Raises:
        FileNotFoundError: A place that is not there.
        PredictionsError: An unfinished fold, seeds with different folds, two files for one seed and fold, or the same
            file twice.
    """
    match = _NAMED.fullmatch(text)
    name, places = (match[1], match[2]) if match else (None, text)
    found: dict[int, dict[int, Path]] = {}
    listed = [place for place in places.split(",") if place]
    if not listed:
        raise PredictionsError(f"no file named in {text!r}: expected [NAME=]PLACE[,PLACE...]")
    for number, place in enumerate(listed):
        for position, path in enumerate(find_files(place)):
            seed, fold = _seed_of(path, number), _fold_of(path, position)
            other = found.setdefault(seed, {}).setdefault(fold, path)
            if other is not path:
                same = " (the same file twice)" if other.resolve() == path.resolve() else ""
                raise PredictionsError(
                    f"{other} and {path} are both seed {seed}, fold {fold}{same}: seeds and folds are told apart by "
                    "seedS and foldK in the paths"
                )
    folds = {seed: sorted(files) for seed, files in sorted(found.items())}
    if len({tuple(numbers) for numbers in folds.values()}) > 1:
        raise PredictionsError(f"{text}: the seeds have different folds: {folds}; every seed needs all of them")
    runs = {
        seed: Run({fold: load_predictions(found[seed][fold]) for fold in numbers}, {k: found[seed][k] for k in numbers})
        for seed, numbers in folds.items()
    }
    return Source(name or _name_of(listed[0]), runs)


def read_sources(texts: Sequence[str]) -> list[Source]:
    """Read several, in their order; no name and no file may stand in two of them.

    Raises:
        FileNotFoundError: See `read_source`.
        PredictionsError: See `read_source`; the same name or file twice.
    """
    sources, owners = [], {}
    for text in texts:
        source = read_source(text)
        if any(other.name == source.name for other in sources):
            raise PredictionsError(f"two are called {source.name}: name them, as in A={source.files[0]}")
        for path in source.files:
            if owner := owners.get(path.resolve()):
                raise PredictionsError(f"{path} is named twice: for {owner} and for {source.name}")
            owners[path.resolve()] = source.name
        sources.append(source)
    return sources


def find_files(place: str) -> list[Path]:
    """The prediction files of one PLACE, sorted.

    Raises:
        FileNotFoundError: Nothing there.
        PredictionsError: A fold that is not finished.
    """
    path = Path(place)
    if path.is_dir():
        folds = [path] if (path / PREDICTIONS).is_file() else fold_folders(path)
        if not folds:
            raise FileNotFoundError(
                f"{path} holds no {PREDICTIONS} and no seedS/foldK or foldK folders of signer_folds.py"
            )
        for folder in folds:
            if reason := unfinished(folder):
                raise PredictionsError(f"{folder} {reason}: finish it with the command that started it")
        return [folder / PREDICTIONS for folder in folds]
    if glob.has_magic(place):
        paths = sorted(Path(name) for name in glob.glob(place))
        if not paths:
            raise FileNotFoundError(f"no file fits the pattern {place}")
        return paths
    if not path.is_file():
        raise FileNotFoundError(
            f"no predictions at {path}: a file, a folder of signer_folds.py or a pattern is expected"
        )
    return [path]


def fold_folders(folder: Path) -> list[Path]:
    """The folders `seedS/foldK` or `foldK` under a folder, by number; those moved aside are not among them."""
    found = []
    for pattern, parts in (("seed*/fold*", 2), ("fold*", 1)):
        for path in folder.glob(pattern):
            names = path.parts[-parts:]
            if path.is_dir() and all(re.fullmatch(r"(seed|fold)\d+", name) for name in names):
                found.append((tuple(int(name[4:]) for name in names), path))
    return [path for _, path in sorted(found)]


def fold_record(folder: Path) -> dict[str, Any]:
    """What `signer_folds.py` wrote about a fold; empty where there is nothing.

    Raises:
        PredictionsError: It is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PredictionsError(f"{path} is no JSON: {error}") from error
    if not isinstance(record, dict):
        raise PredictionsError(f"{path} holds no JSON object")
    return record


def unfinished(folder: Path) -> str:
    """Why a fold's predictions do not count, or '' where they do."""
    record = fold_record(folder)
    if record and not record.get("trained"):
        return "has not been trained to the end"
    if record and not record.get("tested"):
        return "has not been tested to the end"
    if not (folder / PREDICTIONS).is_file():
        return f"has no {PREDICTIONS}"
    return ""


def recorded_split(path: Path, predictions: Predictions) -> str | None:
    """The split that predictions are about: what they say themselves, else what the fold's record says."""
    split = predictions.info.get("split")
    if split is None and path.name == PREDICTIONS:
        split = fold_record(path.parent).get("identity", {}).get("splits", {}).get("test_dataloader")
    return None if split is None else str(split)


@dataclass(frozen=True)
class TrainedOn:
    """What the network behind predictions was trained on.

    Attributes:
        splits: Names of its splits.
        clips: Their clips; None where the pose store is not at hand, or another one by now.
    """

    splits: tuple[str, ...]
    clips: frozenset[str] | None


def recorded_training(path: Path, predictions: Predictions) -> TrainedOn | None:
    """What predictions say of the training behind them, else what `fold.json` beside them says; None if nobody does."""
    split, inputs = predictions.info.get("train_split"), predictions.info.get("train_data") or {}
    if split is None:
        identity = fold_record(path.parent).get("identity", {})
        split, inputs = identity.get("splits", {}).get("train_dataloader"), identity.get("inputs", {})
    if split is None:
        return None
    splits = tuple(part for one in str(split).split(" + ") for part in split_names(one))
    return TrainedOn(splits, clips_of_splits(inputs, splits))


def check_different(runs: Mapping[str, Predictions]) -> None:
    """Refuse runs whose scores are the same array: somebody named one file twice, or trained one stream twice.

    Raises:
        PredictionsError: Two runs of the same clips with equal scores.
    """
    seen: list[tuple[str, Predictions]] = []
    for name, run in runs.items():
        run = run.take(np.argsort(run.clip_id))
        for other_name, other in seen:
            if np.array_equal(run.clip_id, other.clip_id) and np.array_equal(run.scores, other.scores):
                raise PredictionsError(f"{other_name} and {name} hold the same scores: was the same file named twice?")
        seen.append((name, run))


def seeds_of_all(sources: Iterable[Source]) -> list[int]:
    """The seeds that all sources have.

    Raises:
        PredictionsError: They do not have the same.
    """
    seeds = {source.name: sorted(source.runs) for source in sources}
    if len({tuple(numbers) for numbers in seeds.values()}) > 1:
        raise PredictionsError(f"not the same seeds: {seeds}")
    return next(iter(seeds.values()))


def _seed_of(path: Path, number: int) -> int:
    named = _SEED.findall(str(path))
    return int(named[-1]) if named else number


def _fold_of(path: Path, position: int) -> int:
    named = _FOLD.findall(str(path))
    return int(named[-1]) if named else position


def _name_of(place: str) -> str:
    path = Path(place)
    if path.name == PREDICTIONS:
        path = path.parent
    while re.fullmatch(r"(seed|fold)[\d*?\[\]-]*", path.name) and path.parent != path:
        path = path.parent
    return path.name.removesuffix(".npz")
