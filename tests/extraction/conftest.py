"""Small videos and the estimators of the tests, importable in worker processes and in Ray's too."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE))  # made_videos and quick_estimator


@pytest.fixture(scope="session", autouse=True)
def importable_elsewhere() -> Iterator[None]:
    """Processes that the tests start find the package and the estimators of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        paths = [str(REPOSITORY), str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
