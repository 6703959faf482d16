"""Tiny data in the form and at the places that the configs name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from mmengine.config import Config

from gspmc_mm.descriptions import DescriptionSet, build_text_bank, rotated, wrong_parts
from gspmc_mm.evaluation.experiments.ablation_data import BANKS
from gspmc_mm.poses import PoseClip, PoseStoreWriter, StoreHeader
from gspmc_mm.skeleton import PARTS, get_layout, resting_pose

ESTIMATOR = {"name": "drawn", "version": "", "weights": ""}
SIZE = (640, 480)


class DataSet(NamedTuple):
    """What a data set has to offer for the configs of its name."""

    num_classes: int
    groups: tuple[tuple[str, ...], ...]  # the splits of each pair of clips


DATA_SETS = {
    "slr500": DataSet(500, (("gsp35_train", "gsp35_fit"), ("gsp35_train", "gsp35_val"), ("gsp35_test",))),
    "autsl": DataSet(226, (("train",), ("val",), ("test",))),
    "wlasl100": DataSet(
        100,
        (
            ("fold0_train", "fold0_fit", "fold1_test"),
            ("fold0_train", "fold0_val", "fold1_train"),
            ("fold0_test", "fold1_train"),
        ),
    ),
    "synthsign": DataSet(40, (("train",), ("val",), ("test",))),
    "bdsl55": DataSet(55, (("train",), ("val",), ("test",))),
}
# The banks of the ablations are written for these; the others are large.
WITH_ALL_BANKS = ("synthsign", "wlasl100")


class HashEncoder:
    """A random direction for every text, the same one each time."""

    id = "hash"
    dim = 512
    max_tokens = None
    note = "not CLIP: random vectors of a test"

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        vectors = np.empty((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
            vectors[row] = np.random.default_rng(seed).standard_normal(self.dim)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def moving_signer(rng: np.random.Generator, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """A signer at rest whose hands circle: pixels (T, 133, 2) and scores (T, 133), some points lost."""
    points = np.repeat(resting_pose(get_layout("wholebody133"))[None], frames, axis=0) * 80 + (320, 200)
    phase = np.linspace(0, 2 * np.pi, frames) * rng.uniform(0.5, 2)
    circle = 40 * np.stack([np.cos(phase), np.sin(phase)], axis=1)[:, None]
    points[:, [7, 9, *range(91, 112)]] += circle
    points[:, [8, 10, *range(112, 133)]] -= circle
    points += rng.normal(0, 1.5, points.shape)
    score = rng.uniform(0.4, 1, points.shape[:2])
    lost = rng.random(score.shape) < 0.05
    score[lost], points[lost] = 0, 0
    return points.astype(np.float32), score.astype(np.float32)


def write_data(folder: Path, data_set: DataSet, seed: int) -> None:
    """`poses.arrow`, `text_bank.safetensors` and its controls of a data set."""
    rng = np.random.default_rng(seed)
    classes = [f"sign {label}" for label in range(data_set.num_classes)]
    header = StoreHeader(layout="wholebody133", estimator=ESTIMATOR, classes=classes, note="SYNTHETIC, of a test")
    folder.mkdir(parents=True)
    with PoseStoreWriter(folder / "poses.arrow", header) as writer:
        for group, splits in enumerate(data_set.groups):
            for take in range(2):
                keypoint, score = moving_signer(rng, frames=int(rng.integers(20, 90)))
                writer.add(
                    PoseClip(
                        clip_id=f"{group}-{take}",
                        keypoint=keypoint,
                        score=score,
                        label=int(rng.integers(data_set.num_classes)),
                        signer=f"signer {group}",
                        fps=25,
                        image_size=SIZE,
                        splits=splits,
                    )
                )
    signs = [
        {
            "label": label,
            "gloss": gloss,
            "primary": f"{gloss}, primary",
            "synonyms": [f"{gloss}, said otherwise", f"{gloss}, in other words"],
            "segments": [{"text": f"{gloss}, {part}", "parts": [part]} for part in PARTS[: 2 + label % 4]],
        }
        for label, gloss in enumerate(classes)
    ]
    descriptions = DescriptionSet.model_validate(
        {"name": "test", "language": "en", "generator": "test", "signs": signs}
    )
    bank = build_text_bank(descriptions, HashEncoder(), progress=False)
    bank.save(folder / "text_bank.safetensors")
    bank.shuffled(0).save(folder / "text_bank_shuffled.safetensors")
    bank.save(folder / "text_bank_attributes.safetensors")
    if folder.name in WITH_ALL_BANKS:
        others = {
            "text_bank_rotated.safetensors": rotated(bank, 0),
            "text_bank_wrong_parts.safetensors": wrong_parts(bank, 0),
        }
        for name in BANKS:
            if not (folder / name).exists():
                others.get(name, bank).save(folder / name)


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the relative paths of the configs lead to tiny data."""
    root = tmp_path_factory.mktemp("configs")
    for seed, (name, data_set) in enumerate(DATA_SETS.items()):
        write_data(root / "data" / name, data_set, seed)
    return root


@pytest.fixture(scope="session")
def load(repository: Path) -> Callable[[str], Config]:
    """Load a config of the repository by its name."""

    def load_config(name: str) -> Config:
        return Config.fromfile(repository / "configs" / f"{name}.py")

    return load_config
