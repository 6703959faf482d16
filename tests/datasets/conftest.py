"""Small made-up clips, stores and text banks for the tests of the datasets room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gspmc_mm.descriptions import TextBank
from gspmc_mm.poses import PoseClip, PoseStoreWriter, StoreHeader
from gspmc_mm.skeleton import Layout, get_layout

CLASSES = ("again", "age", "dinner")
ESTIMATOR = {"name": "made up", "version": "1", "weights": ""}

USER_LAYOUT = {
    "name": "eight",
    "joint_names": [
        *("neck", "left_shoulder", "right_shoulder"),
        *("left_root", "right_root", "left_middle1", "right_middle1", "nose"),
    ],
    "parts": {"trunk": [0, 1, 2, 7], "left_hand": [3, 5], "right_hand": [4, 6]},
    "bones": [[0, 0], [1, 0], [2, 0], [3, 1], [4, 2], [5, 3], [6, 4], [7, 0]],
    "extra_edges": [],
    "swap": [0, 2, 1, 4, 3, 6, 5, 7],
    "source": None,
    "source_indices": None,
    "landmarks": {
        "left_shoulder": 1,
        "right_shoulder": 2,
        "left_hand_root": 3,
        "right_hand_root": 4,
        "nose": 7,
    },
}


def random_results(layout: str | dict = "sign87", frames: int = 7, persons: int = 1, seed: int = 0) -> dict[str, Any]:
    """A clip as SignPoseDataset gives it, in pixels; about a fifth of the points is missing."""
    rng = np.random.default_rng(seed)
    layout = get_layout(layout)
    shape = (persons, frames, layout.num_joints)
    score = rng.uniform(0.1, 1.0, shape).astype(np.float32)
    score[rng.random(shape) < 0.2] = 0
    keypoint = rng.uniform(20, 480, (*shape, 2)).astype(np.float32)
    keypoint[score == 0] = 0
    return {
        "keypoint": keypoint,
        "keypoint_score": score,
        "total_frames": frames,
        "label": 1,
        "clip_id": "clip-1",
        "frame_dir": "clip-1",
        "signer": "s1",
        "img_shape": (480, 512),
        "fps": 25.0,
        "layout": layout,
        "sample_idx": 0,
        "modality": "Pose",
        "start_index": 0,
    }


def make_clip(number: int, layout: Layout, frames: int, splits: tuple[str, ...]) -> PoseClip:
    """Clip `clip-<number>` of sign number % 3; every coordinate is a multiple of 1/8 pixel."""
    rng = np.random.default_rng(number)
    score = rng.integers(1, 256, (frames, layout.num_joints)).astype(np.float32) / 255
    score[rng.random(score.shape) < 0.1] = 0
    keypoint = rng.integers(8, 4000, (*score.shape, 2)).astype(np.float32) / 8
    keypoint[score == 0] = 0
    return PoseClip(
        clip_id=f"clip-{number}",
        keypoint=keypoint,
        score=score,
        label=number % 3,
        signer=f"s{number % 2}",
        fps=25.0,
        image_size=(512, 480),
        splits=splits,
    )


def write_store(
    path: Path,
    numbers: range = range(9),
    layout: str | dict = "wholebody133",
    classes: tuple[str, ...] | None = CLASSES,
) -> Path:
    """A store of clips 0, 1, ...; every third one is in split 'test', the others in 'train'."""
    layout = get_layout(layout)
    header = StoreHeader(
        layout=layout if layout.name == "eight" else layout.name,
        num_joints=layout.num_joints,
        estimator=ESTIMATOR,
        classes=None if classes is None else list(classes),
        command="test",
        note="SYNTHETIC",
    )
    with PoseStoreWriter(path, header) as writer:
        for number in numbers:
            split = "test" if number % 3 == 2 else "train"
            writer.add(make_clip(number, layout, 5 + number, (split,)))
    return path


@pytest.fixture(scope="session")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of nine clips of 133 points."""
    return write_store(tmp_path_factory.mktemp("store") / "clips.arrow")


@pytest.fixture
def results() -> dict[str, Any]:
    """One clip of 87 points in pixels."""
    return random_results()


@pytest.fixture(scope="session")
def bank() -> TextBank:
    """Three signs: 'again' has two left hand texts and no face, 'dinner' has no part at all."""
    rows = [
        *((0, 0), (0, 1), (0, 1), (0, 1), (0, 2), (0, 3), (0, 3), (0, 4)),
        *((1, 0), (1, 1), (1, 3), (1, 4), (1, 6)),
        *((2, 0), (2, 1)),
    ]
    vectors = np.random.default_rng(0).normal(size=(len(rows), 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return TextBank(
        vectors=vectors.astype(np.float32),
        labels=np.array([label for label, _ in rows], dtype=np.int64),
        terms=np.array([term for _, term in rows], dtype=np.int64),
        text_ids=np.arange(len(rows), dtype=np.int64),
        term_names=("global", "synonym", "body", "left_hand", "right_hand", "mouth", "face"),
        classes=CLASSES,
        texts=tuple(f"text {i}" for i in range(len(rows))),
        encoder="made-up",
        note="not CLIP: made up",
        descriptions_sha256="0" * 64,
    )


@pytest.fixture(scope="session")
def bank_path(bank: TextBank, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bank as a file."""
    path = tmp_path_factory.mktemp("bank") / "bank.safetensors"
    bank.save(path)
    return path


@pytest.fixture
def make_results() -> Any:
    """`random_results`, for other layouts and sizes."""
    return random_results


@pytest.fixture
def make_store() -> Any:
    """`write_store`, for stores that a test damages or varies."""
    return write_store


@pytest.fixture(scope="session")
def user_layout() -> dict[str, Any]:
    """A layout of eight points as a user would write it into a config."""
    return USER_LAYOUT
