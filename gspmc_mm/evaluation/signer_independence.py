"""Whether the people of the test were trained on: said from the data, not from the name of a split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from .predictions import name_some
from .provenance import fingerprint


@dataclass(frozen=True)
class SignerIndependence:
    """Signers of a training and of a test part.

    Attributes:
        train: Number of known signers in training.
        test: Number of known signers in the test.
        shared: Those in both.
        unknown: Clips of both parts without a signer.
    """

    train: int
    test: int
    shared: tuple[str, ...]
    unknown: int

    @property
    def sentence(self) -> str:
        """What may be claimed."""
        numbers = f"{self.train} signers in training, {self.test} in the test"
        if self.shared:
            return (
                f"Not signer-independent: {len(self.shared)} of them are in both ({numbers}): {name_some(self.shared)}."
            )
        if self.unknown:
            return f"Signer independence is not known: {self.unknown} clips have no signer ({numbers}, none in both)."
        return f"Signer-independent: {numbers}, none in both."


def signer_independence(train: Iterable[str], test: Iterable[str]) -> SignerIndependence:
    """Compare the signers of the clips of two parts; '' is an unknown signer.

    Raises:
        ValueError: A part without a clip.
    """
    train, test = list(train), list(test)
    if not train or not test:
        raise ValueError(f"{len(train)} training and {len(test)} test clips: there is nothing to compare")
    known_train, known_test = set(train) - {""}, set(test) - {""}
    return SignerIndependence(
        train=len(known_train),
        test=len(known_test),
        shared=tuple(sorted(known_train & known_test)),
        unknown=train.count("") + test.count(""),
    )


def independence_of_records(records: Sequence[Mapping[str, Any]], root: Path | None = None) -> str:
    """One statement about trainings, from the splits and the pose store that their `fold.json` name.

    Args:
        records: Contents of `fold.json`; a split of the data that several rest on is looked at once.
        root: Folder that relative paths start from; the current one by default.
    """
    cuts = {_cut_of(record.get("identity", {}), root or Path()): None for record in records}
    return independence_statement([None if cut is None else _independence_of_cut(*cut) for cut in cuts])


def _cut_of(identity: Mapping[str, Any], root: Path) -> tuple[Path, str, str] | None:
    """Store, training split and test split; None where there is no one store of the recorded fingerprint there."""
    splits, store = identity.get("splits", {}), _store_of(identity.get("inputs", {}), root)
    if store is None or not {"train_dataloader", "test_dataloader"} <= set(splits):
        return None
    return store, splits["train_dataloader"], splits["test_dataloader"]


def _store_of(inputs: Mapping[str, str], root: Path) -> Path | None:
    """The one pose store among files with fingerprints; None where it is not at hand, or another one by now."""
    found = [
        root / name for name, mark in inputs.items() if _is_store(root / name) and _fingerprint(root / name) == mark
    ]
    return found[0] if len(found) == 1 else None


def clips_of_splits(inputs: Mapping[str, str], splits: Sequence[str]) -> frozenset[str] | None:
    """Ids of the clips of some splits of the pose store among `inputs` (fingerprints by path).

    None where the store is not at hand, or is another one by now, or has no such split.
    """
    path = _store_of(inputs, Path())
    if path is None:
        return None
    from gspmc_mm.poses import PoseStore

    store = PoseStore(path)
    try:
        return frozenset(str(store.clip_ids[i]) for i in store.indices(list(splits)))
    except (KeyError, ValueError):
        return None


def _independence_of_cut(path: Path, train: str, test: str) -> SignerIndependence:
    from gspmc_mm.poses import PoseStore

    store = PoseStore(path)
    return signer_independence(
        *([str(store.signers[i]) for i in store.indices(split_names(split))] for split in (train, test))
    )


def split_names(text: str) -> list[str]:
    """The splits in `val,test`, as command lines join the names of several; one name is a list of one."""
    return text.split(",")


def _is_store(path: Path) -> bool:
    return path.exists() and (path.suffix == ".arrow" or path.is_dir())


def _fingerprint(path: Path) -> str:
    """`fingerprint`, taken once of every state of a file, since all folds rest on the same store."""
    return _fingerprint_of(path.resolve(), path.stat().st_mtime_ns)


@cache
def _fingerprint_of(path: Path, modified: int) -> str:
    return fingerprint(path)


def independence_statement(folds: Sequence[SignerIndependence | None]) -> str:
    """One statement about several folds (each another cut of the data; None: not known)."""
    if not folds or any(fold is None for fold in folds):
        return "Not checked: the pose store that was trained on is not at hand."
    known = [fold for fold in folds if fold is not None]
    if len(set(known)) == 1:
        return known[0].sentence
    worst = [fold for fold in known if fold.shared] or [fold for fold in known if fold.unknown]
    if worst:
        return f"In {len(worst)} of {len(known)} splits: {worst[0].sentence}"
    most, fewest = max(fold.train for fold in known), min(fold.train for fold in known)
    tested = sum(fold.test for fold in known) / len(known)
    return (
        f"Signer-independent: in each of {len(known)} splits no signer of the test was trained on "
        f"({fewest} to {most} signers in training, {tested:.1f} in the test on average)."
    )
