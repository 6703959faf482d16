"""Predictions on disk: what a model said about every clip, without pickle.

A file is a plain `.npz` that `numpy.load(path, allow_pickle=False)` opens:

| array | type | what |
|---|---|---|
| `clip_id` | (N,) str | unique |
| `label` | (N,) int64 | true class |
| `scores` | (N, C) float32 | class scores, no NaN |
| `signer` | (N,) str | '' where unknown |
| `classes` | (C,) or (0,) str | class names by label; empty where unknown |
| `info` | () str | JSON object: checkpoint, config, ... |
"""

from __future__ import annotations

import json
import os
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gspmc_mm.files import replacing

from .accuracy import check_scores, top_k_hits

_ARRAYS = ("clip_id", "label", "scores", "signer", "classes", "info")


class PredictionsError(ValueError):
    """Predictions that cannot be what they claim, or that do not fit each other."""


def name_some(names: Iterable[str], limit: int = 5) -> str:
    """The first few names in order, and how many more there are."""
    names = sorted(names)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


@dataclass(frozen=True)
class Predictions:
    """Class scores of a set of clips.

    Attributes:
        clip_id: (N,) str, unique.
        label: (N,) int64 in [0, C).
        scores: (N, C) float32 without NaN.
        signer: (N,) str; '' where unknown.
        classes: Class names by label; empty where unknown.
        info: JSON-ready facts about where the scores come from.

    Raises:
        PredictionsError: A shape, a duplicate clip, a label out of range or a NaN, with the clip.
    """

    clip_id: np.ndarray
    label: np.ndarray
    scores: np.ndarray
    signer: np.ndarray
    classes: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        coerced = {
            "clip_id": np.asarray(self.clip_id, dtype=np.str_),
            "label": np.asarray(self.label, dtype=np.int64),
            "scores": np.asarray(self.scores, dtype=np.float32),
            "signer": np.asarray(self.signer, dtype=np.str_),
            "classes": tuple(str(name) for name in self.classes),
        }
        for name, value in coerced.items():
            object.__setattr__(self, name, value)
        n = len(self.clip_id)
        if self.scores.ndim != 2 or not (
            self.clip_id.shape == self.label.shape == self.signer.shape == self.scores.shape[:1]
        ):
            raise PredictionsError(
                f"{n} clips need labels (N,), signers (N,) and scores (N, C); found "
                f"{self.label.shape}, {self.signer.shape} and {self.scores.shape}"
            )
        repeated = [clip for clip, times in Counter(self.clip_id.tolist()).items() if times > 1]
        if repeated:
            raise PredictionsError(f"clips predicted more than once: {name_some(repeated)}")
        classes = self.scores.shape[1]
        if self.classes and len(self.classes) != classes:
            raise PredictionsError(
                f"{len(self.classes)} class names for {classes} scores per clip: the model's "
                "num_classes and the classes of the data set differ"
            )
        outside = (self.label < 0) | (self.label >= classes)
        if outside.any():
            i = int(np.flatnonzero(outside)[0])
            raise PredictionsError(f"clip {self.clip_id[i]} has label {self.label[i]}, the model has {classes} classes")
        try:
            check_scores(self.scores, self.clip_id.tolist())
        except ValueError as error:
            raise PredictionsError(str(error)) from error

    def __len__(self) -> int:
        return len(self.clip_id)

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return self.scores.shape[1]

    def hits(self, k: int) -> np.ndarray:
        """(N,) bool: true class among the k best."""
        return top_k_hits(self.scores, self.label, k)

    def take(self, indices: np.ndarray | Sequence[int]) -> Predictions:
        """The clips at these indices, in this order."""
        indices = np.asarray(indices, dtype=np.int64)
        return replace(
            self,
            clip_id=self.clip_id[indices],
            label=self.label[indices],
            scores=self.scores[indices],
            signer=self.signer[indices],
        )


def save_predictions(path: str | os.PathLike[str], predictions: Predictions) -> Path:
    """Write predictions as `.npz`: a temporary file beside the target, then a rename.

    Raises:
        PredictionsError: The file name does not end in `.npz`.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise PredictionsError(f"predictions are written as .npz, found the name {path}")
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            clip_id=predictions.clip_id,
            label=predictions.label,
            scores=predictions.scores,
            signer=predictions.signer,
            classes=np.asarray(predictions.classes, dtype=np.str_),
            info=np.asarray(json.dumps(dict(predictions.info), ensure_ascii=False)),
        )
    return path


def load_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Read predictions that `save_predictions` wrote; no pickle is ever opened.

    Raises:
        FileNotFoundError: There is no such file.
        PredictionsError: Not a predictions file, truncated, or inconsistent.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"no predictions at {path}: write them with tools/test.py CONFIG CHECKPOINT "
            f"--cfg-options test_evaluator.dump={path}"
        )
    try:
        data = np.load(path, allow_pickle=False)
        if not isinstance(data, np.lib.npyio.NpzFile):
            raise PredictionsError(f"{path} is no readable .npz but a single array: not predictions")
        with data:
            missing = [name for name in _ARRAYS if name not in data.files]
            if missing:
                raise PredictionsError(f"{path} has no array {', '.join(missing)}: not predictions")
            arrays = {name: data[name] for name in _ARRAYS}
        info = json.loads(str(arrays["info"]))
    except PredictionsError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, AttributeError) as error:
        raise PredictionsError(f"{path} is no readable predictions file (.npz without pickle): {error}") from error
    try:
        return Predictions(
            clip_id=arrays["clip_id"],
            label=arrays["label"],
            scores=arrays["scores"],
            signer=arrays["signer"],
            classes=tuple(arrays["classes"].tolist()),
            info=info,
        )
    except PredictionsError as error:
        raise PredictionsError(f"{path}: {error}") from error


def check_clips(found: Iterable[str], expected: Iterable[str], where: str) -> None:
    """Refuse a set of clips that is not the expected one, naming the clips.

    Raises:
        PredictionsError: A clip is missing, unexpected, or (in `found`) there twice.
    """
    found = list(found)
    times, wanted = Counter(found), set(expected)
    problems = {
        "missing": wanted - set(found),
        "not expected": set(found) - wanted,
        "there more than once": {clip for clip, count in times.items() if count > 1},
    }
    text = "; ".join(f"{what}: {name_some(clips)}" for what, clips in problems.items() if clips)
    if text:
        raise PredictionsError(f"{where}: {len(found)} clips found, {len(wanted)} expected; {text}")


def align(runs: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """Bring several predictions of the same clips into one order, that of the sorted clip ids.

    Args:
        runs: Predictions by name.

    Raises:
        PredictionsError: The runs differ in clips, labels or classes; names the first differences.
    """
    if not runs:
        raise PredictionsError("nothing to align")
    names = list(runs)
    ordered = {name: run.take(np.argsort(run.clip_id)) for name, run in runs.items()}
    first = ordered[names[0]]
    for name in names[1:]:
        other = ordered[name]
        check_clips(other.clip_id.tolist(), first.clip_id.tolist(), f"{name} beside {names[0]}")
        differ = np.flatnonzero(first.label != other.label)
        if differ.size:
            i = int(differ[0])
            raise PredictionsError(
                f"clip {first.clip_id[i]} has label {first.label[i]} in {names[0]} and {other.label[i]} in {name}"
            )
        if first.num_classes != other.num_classes or (
            first.classes and other.classes and first.classes != other.classes
        ):
            raise PredictionsError(
                f"{names[0]} and {name} do not have the same classes "
                f"({first.num_classes} and {other.num_classes}, or other names)"
            )
    return ordered
