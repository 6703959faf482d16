"""Small stores for the tests of this room."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from gspmc_mm.poses import PoseClip, PoseStore, PoseStoreWriter, StoreHeader

ESTIMATOR = {"name": "hrnet", "version": "1.3.2", "weights": "w48.pth"}


@pytest.fixture
def make_clip():
    def make(clip_id="a", frames=6, joints=17, seed=0, **changes):
        random = np.random.default_rng(seed)
        score = random.random((frames, joints)).astype(np.float32)
        score[random.random(score.shape) < 0.2] = 0
        facts = {
            "clip_id": clip_id,
            "keypoint": (random.random((frames, joints, 2)) * 900 - 100).astype(np.float32),
            "score": score,
            "label": seed % 4,
            "signer": f"P{seed % 3:02d}",
            "fps": 25.0,
            "image_size": (641, 480),
            "splits": ("train",) if seed % 2 else ("test", "all"),
        }
        return PoseClip(**{**facts, **changes})

    return make


@pytest.fixture
def make_header():
    def make(**changes):
        return StoreHeader(**{"layout": "coco17", "estimator": ESTIMATOR, **changes})

    return make


@pytest.fixture
def write_store(make_header):
    def write(path, clips, **header):
        with PoseStoreWriter(path, make_header(**header)) as writer:
            for clip in clips:
                writer.add(clip)
        return PoseStore(path)

    return write


@pytest.fixture
def start_python(repository):
    """Start a program with `gspmc_mm.poses` at hand, without the seconds that PyTorch takes."""
    prelude = (
        "import sys, types\n"
        "package = types.ModuleType('gspmc_mm')\n"
        f"package.__path__ = [{str(repository / 'gspmc_mm')!r}]\n"
        "sys.modules['gspmc_mm'] = package\n"
    )

    def start(program, *arguments):
        return subprocess.Popen(
            [sys.executable, "-c", prelude + program, *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
        )

    return start
