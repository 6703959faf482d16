"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root folder of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real sign data beside the checkout (`GSPMC_SHARED_DATA` names another).

    On CI it has to be there; elsewhere the tests that need it are skipped with a clear word.
    """
    folder = Path(os.environ.get("GSPMC_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    if folder.is_dir():
        return folder
    message = f"real data not found: {folder} is no folder (set GSPMC_SHARED_DATA to its place)"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
