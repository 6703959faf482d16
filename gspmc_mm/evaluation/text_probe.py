"""How much of the descriptions can be read off the skeletons, before anything is trained.

A ridge regression goes from the poses of the training clips to the text vectors of their signs; a test clip is given to
the sign whose text is nearest to what the regression says. Two questions are asked of a text bank:

- *signs never seen*: all clips of some signs are left out of the regression, and their clips are told apart among
  themselves by their texts alone. Only the meaning can do that: texts that belong to other signs stay at chance.
- *signs seen*: all signs are in the regression. Here texts need not mean anything, they have to be distinct; one vector
  of its own for every sign is the yardstick.

It takes seconds where a training takes hours. A bank that stays at chance on signs never seen cannot teach a network
what signs look like; one that is far below the yardstick on seen signs has texts too alike to serve as targets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from gspmc_mm.descriptions import TextBank

from .estimates import estimate_accuracy
from .inference import clip_loader, clip_name
from .predictions import Predictions
from .result_kinds import Accuracy

# Below every cosine: a sign that is no candidate.
_NO_CANDIDATE = -2.0


@dataclass(frozen=True)
class Clips:
    """The clips of a split as the network would get them.

    Attributes:
        clip_ids: N names.
        labels: (N,) int64.
        signers: N names, '' where unknown.
        features: (N, F) float64, the input of the network as one row.
        classes: names of the signs by label; empty where the data do not name them.
    """

    clip_ids: tuple[str, ...]
    labels: np.ndarray
    signers: tuple[str, ...]
    features: np.ndarray
    classes: tuple[str, ...]


def read_clips(config: Config, split: str) -> Clips:
    """All clips of a split through the test pipeline of a config (which draws nothing)."""
    config = config.copy()
    config.test_dataloader.dataset.split = split
    loader = clip_loader(config)
    names, labels, signers, features = [], [], [], []
    for batch in loader:
        for inputs, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
            names.append(clip_name(sample, len(names)))
            labels.append(int(sample.gt_label.item()))
            signers.append(str(sample.get("signer", "")))
            features.append(torch.as_tensor(inputs).double().flatten().numpy())
    classes = getattr(loader.dataset, "metainfo", {}).get("classes") or ()
    return Clips(tuple(names), np.asarray(labels), tuple(signers), np.stack(features), tuple(classes))


def sign_vectors(bank: TextBank, term: str) -> np.ndarray:
    """(S, D) one unit vector a sign: the mean of its texts of a term, less the mean over the signs.

    Raises:
        ValueError: A sign without such a text: it could never be told.
    """
    rows = [bank.rows(label, term) for label in range(bank.num_classes)]
    without = [bank.classes[label] for label, mine in enumerate(rows) if not len(mine)]
    if without:
        raise ValueError(
            f"{len(without)} of {bank.num_classes} signs have no text {term!r} (the first: {without[0]!r}); probe a "
            "term that every sign has"
        )
    vectors = np.stack([bank.vectors[mine].mean(axis=0, dtype=np.float64) for mine in rows])
    return unit(vectors - vectors.mean(axis=0))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays one."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class Fold:
    """Poses of a training and a test part, ready for regressions on many targets.

    Attributes:
        train: clips that are regressed on.
        test: clips that are read.
        kernel: (N, N) products of the standardised training poses, 1 on average on the diagonal.
        test_kernel: (M, N) products of test and training poses.
    """

    train: Clips
    test: Clips
    kernel: np.ndarray
    test_kernel: np.ndarray

    @classmethod
    def of(cls, train: Clips, test: Clips) -> Fold:
        """Standardise by the training clips and take all products."""
        mean = train.features.mean(axis=0)
        deviation = train.features.std(axis=0)
        # A point that never moves says nothing; it is not blown up to noise.
        scale = np.where(deviation > 1e-6, deviation, np.inf)
        x, y = (train.features - mean) / scale, (test.features - mean) / scale
        kernel = x @ x.T
        size = np.trace(kernel) / len(kernel)
        return cls(train, test, kernel / size, y @ x.T / size)

    def read(self, vectors: np.ndarray, ridge: float, used: np.ndarray | None = None) -> np.ndarray:
        """Cosines (M, S) of the regressed text of every test clip to the vectors (S, D) of the signs.

        Args:
            vectors: of the signs by label.
            ridge: added to the diagonal of the kernel, which is 1 on average.
            used: (N,) bool, the training clips of the regression; all by default.
        """
        rows = np.arange(len(self.kernel)) if used is None else np.flatnonzero(used)
        kernel = self.kernel[np.ix_(rows, rows)] + ridge * np.eye(len(rows))
        weights = np.linalg.solve(kernel, vectors[self.train.labels[rows]])
        return unit(self.test_kernel[:, rows] @ weights) @ vectors.T


def read_seen(folds: Sequence[Fold], vectors: np.ndarray, ridge: float) -> Predictions:
    """Every test clip read among all signs."""
    return _pooled(folds, [fold.read(vectors, ridge) for fold in folds])


def read_unseen(folds: Sequence[Fold], vectors: np.ndarray, ridge: float, group: int, seed: int) -> Predictions:
    """Every test clip read among the signs of its group, none of which was in the regression.

    The signs are dealt into groups by chance, anew for every fold; each group is left out once.

    Args:
        folds: training and test parts.
        vectors: (S, D) of the signs by label.
        ridge: see `Fold.read`.
        group: signs left out at a time, so that 1 / group is chance; groups differ by a sign where it does not divide.
        seed: of the dealing.

    Raises:
        ValueError: Fewer than two groups, or one sign a group.
    """
    signs = len(vectors)
    if not 2 <= group <= signs // 2:
        raise ValueError(
            f"groups of {group} out of {signs} signs: take 2 to {signs // 2}, so that some are left to learn"
        )
    rng = np.random.default_rng(seed)
    pooled = []
    for fold in folds:
        scores = np.full((len(fold.test.labels), signs), _NO_CANDIDATE)
        for unseen in np.array_split(rng.permutation(signs), signs // group):
            mine = np.isin(fold.test.labels, unseen)
            cosines = fold.read(vectors, ridge, used=~np.isin(fold.train.labels, unseen))
            scores[np.ix_(mine, unseen)] = cosines[np.ix_(mine, unseen)]
        pooled.append(scores)
    return _pooled(folds, pooled)


def _pooled(folds: Sequence[Fold], scores: Sequence[np.ndarray]) -> Predictions:
    """Scores of the test clips of all folds as one set of predictions."""
    tests = [fold.test for fold in folds]
    return Predictions(
        clip_id=np.asarray([name for test in tests for name in test.clip_ids]),
        label=np.concatenate([test.labels for test in tests]),
        scores=np.concatenate(scores),
        signer=np.asarray([name for test in tests for name in test.signers]),
        classes=tests[0].classes,
    )


def probe(
    folds: Sequence[Fold], targets: Mapping[str, np.ndarray], ridge: float, group: int, seed: int
) -> dict[str, dict[str, Accuracy]]:
    """Top-1 on signs never seen (`unseen`) and on seen ones (`seen`) of every target, by its name.

    Args:
        folds: training and test parts.
        targets: (S, D) vectors of the signs by label.
        ridge: see `Fold.read`.
        group: see `read_unseen`.
        seed: of the groups; the same groups for all targets.
    """
    return {
        name: {
            "unseen": estimate_accuracy({seed: read_unseen(folds, vectors, ridge, group, seed)}),
            "seen": estimate_accuracy({seed: read_seen(folds, vectors, ridge)}),
        }
        for name, vectors in targets.items()
    }


def bank_targets(banks: Mapping[str, TextBank], term: str, seed: int) -> dict[str, np.ndarray]:
    """What is regressed on: every bank, the texts of the first one given to other signs, and no texts at all."""
    first = next(iter(banks))
    targets: dict[str, Any] = {name: sign_vectors(bank, term) for name, bank in banks.items()}
    targets[f"{first}, given to other signs"] = sign_vectors(banks[first].shuffled(seed), term)
    signs = banks[first].num_classes
    targets["no text: a vector of its own for every sign"] = unit(np.eye(signs) - 1 / signs)
    return targets
