from __future__ import annotations

import hashlib

import numpy as np
import pytest

from gspmc_mm.extraction.errors import REASONS, ClipError, ExtractionError
from gspmc_mm.extraction.estimator import (
    ESTIMATORS,
    PoseEstimator,
    Poses,
    make_estimator,
    package_version,
    weights_name,
)


def test_known_estimators_and_one_s_own_are_made_by_name():
    for name in ("mediapipe", "quick_estimator:QuickEstimator", "quick_estimator:QuickNetwork"):
        assert isinstance(make_estimator(name), PoseEstimator)
    assert make_estimator("quick_estimator:QuickNetwork", batch_size=3).batch_size == 3
    assert set(ESTIMATORS) == {"mediapipe", "mmpose", "rtmlib"}


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("openpose", {}, "no estimator 'openpose'; known: mediapipe, mmpose, rtmlib"),
        ("nowhere:Thing", {}, "cannot be imported: No module named 'nowhere'"),
        ("quick_estimator:Slow", {}, "cannot be imported"),
        ("mediapipe", {"flip_test": False}, "does not take these settings"),
        ("made_videos:Path", {}, "is no estimator: it lacks batch_size, device"),
    ],
)
def test_what_is_no_estimator_is_said(name, settings, words):
    with pytest.raises(ExtractionError, match=words):
        make_estimator(name, **settings)


def test_weights_have_one_name_wherever_they_lie(tmp_path):
    content = b"weights"
    digits = hashlib.sha256(content).hexdigest()
    published = tmp_path / f"hrnet_dark-{digits[:8]}_20200918.pth"
    published.write_bytes(content)
    assert weights_name(str(published)) == published.name == weights_name(f"https://example.org/x/{published.name}")
    mine = tmp_path / "mine.pth"
    mine.write_bytes(content)
    assert weights_name(str(mine)) == f"mine.pth sha256:{digits[:16]}"
    published.write_bytes(content[:-1])
    with pytest.raises(ExtractionError, match=f"its name says {digits[:8]}: the copy is damaged or cut off"):
        weights_name(str(published))
    with pytest.raises(ExtractionError, match="there is no such file of weights"):
        weights_name(str(tmp_path / "none.pth"))


def test_points_of_another_number_are_refused():
    with pytest.raises(ExtractionError, match=r"\(2, 17, 2\).*133"):
        Poses(np.zeros((2, 17, 2)), np.zeros((2, 17)))
    with pytest.raises(ExtractionError, match="scores"):
        Poses(np.zeros((2, 133, 2)), np.zeros((3, 133)))


def test_missing_packages_and_unknown_reasons():
    with pytest.raises(ImportError, match=r"no-such-package is not installed; .* pip install -c \S+ -e '\.\[pose\]'"):
        package_version("no-such-package")
    with pytest.raises(ValueError, match="no reason for a failed clip"):
        ClipError("tired", "...")
    assert str(ClipError("missing", "a.mp4")) == "missing: a.mp4"
    assert all(REASONS.values())
