from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.evaluation import fingerprint
from gspmc_mm.evaluation.signer_independence import (
    independence_of_records,
    independence_statement,
    signer_independence,
)
from gspmc_mm.poses import PoseClip, PoseStoreWriter, StoreHeader


def test_disjoint_signers() -> None:
    found = signer_independence(["a", "a", "b"], ["c"])
    assert (found.train, found.test, found.shared, found.unknown) == (2, 1, (), 0)
    assert found.sentence == "Signer-independent: 2 signers in training, 1 in the test, none in both."


def test_shared_signers_are_named() -> None:
    found = signer_independence(["a", "b"], ["b", "c"])
    assert "Not signer-independent: 1 of them" in found.sentence
    assert found.sentence.endswith(": b.")


def test_an_unknown_signer_is_no_other_signer() -> None:
    assert "not known: 2 clips have no signer" in signer_independence(["a", ""], ["", "c"]).sentence


def test_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="0 training and 1 test clips"):
        signer_independence([], ["a"])


def test_several_folds() -> None:
    good, other = signer_independence("ab", "c"), signer_independence("abd", "ef")
    assert independence_statement([good, other]).startswith("Signer-independent: in each of 2 splits")
    assert "2 to 3 signers in training, 1.5 in the test" in independence_statement([good, other])
    bad = signer_independence("ab", "b")
    assert independence_statement([good, bad]).startswith("In 1 of 2 splits: Not signer-independent")
    assert independence_statement([good]) == good.sentence
    assert independence_statement([good, None]).startswith("Not checked")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two clips of a in training, one of b in the test, and a split in which a is on both sides."""
    estimator = {"name": "none", "version": "0", "weights": ""}
    with PoseStoreWriter(tmp_path / "poses.arrow", StoreHeader(layout="coco17", estimator=estimator)) as writer:
        for number, (signer, splits) in enumerate(
            (("a", ("train",)), ("a", ("train", "mixed")), ("b", ("test", "mixed")))
        ):
            writer.add(
                PoseClip(
                    clip_id=f"c{number}",
                    keypoint=np.full((3, 17, 2), 10.0, np.float32),
                    score=np.ones((3, 17), np.float32),
                    label=0,
                    signer=signer,
                    fps=25.0,
                    image_size=(64, 48),
                    splits=splits,
                )
            )
    return tmp_path / "poses.arrow"


def record(store: Path, train: str, test: str, mark: str | None = None) -> dict:
    inputs = {store.name: mark or fingerprint(store), "bank.safetensors": "sha256:0"}
    return {"identity": {"inputs": inputs, "splits": {"train_dataloader": train, "test_dataloader": test}}}


def test_from_the_records_of_trainings(store: Path) -> None:
    clean, mixed = record(store, "train", "test"), record(store, "train", "mixed")
    said = independence_of_records([clean] * 3, store.parent)
    assert said == "Signer-independent: 1 signers in training, 1 in the test, none in both."
    assert independence_of_records([clean, mixed], store.parent).startswith("In 1 of 2 splits: Not signer-independent")
    changed = record(store, "train", "test", mark="another")
    assert independence_of_records([changed], store.parent).startswith("Not checked")


def test_records_without_a_store() -> None:
    assert independence_of_records([{}]).startswith("Not checked")
    assert independence_of_records([]).startswith("Not checked")
