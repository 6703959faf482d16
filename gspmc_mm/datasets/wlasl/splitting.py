"""The splits of the store: the official ones, the signer folds, and validation signers inside the folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gspmc_mm.datasets.wlasl.reading import WlaslData


def hold_out_signers(signers: Sequence[str], share: float, rng: np.random.Generator) -> frozenset[str]:
    """Draw whole signers who have about `share` of the clips together.

    Signers are tried in a random order and taken while they fit. Somebody with more than half of the
    wanted clips is never taken: a part for validation of one signer would say little of others.

    Args:
        signers: signer of each clip.
        share: wanted share of the clips, between 0 and 1.
        rng: where the order comes from.
    """
    names, counts = np.unique(np.asarray(signers), return_counts=True)
    wanted = share * len(signers)
    taken: list[str] = []
    total = 0
    for i in rng.permutation(len(names)).tolist():
        if counts[i] <= wanted / 2 and total + counts[i] <= 1.05 * wanted:
            taken.append(str(names[i]))
            total += int(counts[i])
    return frozenset(taken)


def split_clips(data: WlaslData, val_share: float = 0.2, seed: int = 0) -> dict[str, tuple[str, ...]]:
    """All splits of the store, by name.

    `official_train`, `official_val`, `official_test` and, for each fold k, `fold{k}_test` (the
    signers held out) and `fold{k}_train` (all others) are the given ones. `fold{k}_fit` and
    `fold{k}_val` part the training clips of fold k by signer, for finding a recipe without a look at
    the test signers; they depend on `seed` only.

    Args:
        data: the data.
        val_share: share of the clips of `fold{k}_train` that go to `fold{k}_val`.
        seed: of the draw of validation signers.
    """
    signer_of = dict(zip(data.clip_ids, data.signers, strict=True))
    splits = {f"official_{name}": clips for name, clips in data.official.items()}
    for k, test in enumerate(data.folds):
        train = tuple(clip for j, fold in enumerate(data.folds) if j != k for clip in fold)
        held = hold_out_signers([signer_of[clip] for clip in train], val_share, np.random.default_rng([seed, k]))
        splits[f"fold{k}_train"] = train
        splits[f"fold{k}_test"] = test
        splits[f"fold{k}_fit"] = tuple(clip for clip in train if signer_of[clip] not in held)
        splits[f"fold{k}_val"] = tuple(clip for clip in train if signer_of[clip] in held)
    return splits
