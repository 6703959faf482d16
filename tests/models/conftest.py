from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.registry import DefaultScope, init_default_scope

from gspmc_mm.descriptions import TextBank
from gspmc_mm.skeleton import PARTS

SIGNS = ("book", "drink", "tea", "house", "sleep", "work")


def texts_of(label: int, term: str) -> list[str]:
    """Texts of the toy bank: uneven on purpose."""
    own = f"{term} of {SIGNS[label]}"
    if term == "synonym":
        return [f"{own}, wording {k}" for k in range(1 + label % 3)]
    if term == "left_hand":  # three signs share a sentence, two have none
        return ["the left hand rests"] if label < 3 else [own] if label == 3 else []
    if term == "right_hand":
        return [own, f"{own}, and more"] if label % 2 == 0 else [own]
    if term == "mouth":
        return [own] if label == 0 else []
    return [] if term == "face" else [own]


def toy_bank(parts: Sequence[str] = PARTS, dim: int = 16, seed: int = 0) -> TextBank:
    """Six signs; no sign has a text for the face, two have none for the left hand."""
    names = ("global", "synonym", *parts)
    labels, terms, ids, texts = [], [], [], {}
    for label in range(len(SIGNS)):
        for term, name in enumerate(names):
            for text in texts_of(label, name):
                labels.append(label)
                terms.append(term)
                ids.append(texts.setdefault(text, len(texts)))
    vectors = np.random.default_rng(seed).normal(size=(len(texts), dim)) + 0.5
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return TextBank(
        vectors=vectors[ids].astype(np.float32),
        labels=np.array(labels, np.int64),
        terms=np.array(terms, np.int64),
        text_ids=np.array(ids, np.int64),
        term_names=names,
        classes=SIGNS,
        texts=tuple(texts),
        encoder="toy",
        note="not CLIP: a test",
        descriptions_sha256="0" * 64,
    )


def rows_of(bank: TextBank, label: int, synonym: int = 0) -> np.ndarray:
    """(terms, 2) rows of a sign, padded with -1, as LoadSignDescriptions makes them."""
    rows = np.full((len(bank.term_names), 2), -1, np.int64)
    for term, name in enumerate(bank.term_names):
        own = bank.rows(label, name)
        if name == "synonym":
            own = own[synonym % len(own)][None]
        rows[term, : len(own)] = own
    return rows


def toy_samples(bank: TextBank | None, labels: Sequence[int]) -> list[ActionDataSample]:
    """Samples with labels and, with a bank, their text rows; the drawn synonyms differ."""
    samples = []
    for k, label in enumerate(labels):
        sample = ActionDataSample().set_gt_label(label)
        if bank is not None:
            sample.set_field(rows_of(bank, label, synonym=k), "text_rows")
        samples.append(sample)
    return samples


@pytest.fixture(scope="session")
def bank() -> TextBank:
    return toy_bank()


@pytest.fixture(scope="session")
def bank_path(bank: TextBank, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("bank") / "toy.safetensors"
    bank.save(path)
    return str(path)


@pytest.fixture(scope="session")
def make_bank() -> Callable[..., TextBank]:
    return toy_bank


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., np.ndarray]:
    return rows_of


@pytest.fixture(scope="session")
def make_samples() -> Callable[..., list]:
    return toy_samples


@pytest.fixture(autouse=True)
def _mmaction_scope(_seed: None) -> None:
    """What a config's `default_scope = 'mmaction'` does."""
    if DefaultScope.get_current_instance() is None:
        init_default_scope("mmaction")


@pytest.fixture
def _seed() -> None:
    torch.manual_seed(0)
    np.random.seed(0)


@pytest.fixture(scope="session")
def user_layout() -> dict:
    """Five joints in two parts, as a user would write them into a config."""
    return {
        "name": "stick",
        "joint_names": ["hip", "neck", "left_wrist", "right_wrist", "nose"],
        "parts": {"trunk": [0, 1, 4], "arms": [2, 3]},
        "bones": [[0, 0], [1, 0], [2, 1], [3, 1], [4, 1]],
        "extra_edges": [[2, 4], [3, 4]],
        "swap": [0, 1, 3, 2, 4],
    }


@pytest.fixture(scope="session")
def here() -> Path:
    return Path(__file__).resolve().parent
