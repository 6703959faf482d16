"""The page of an audit."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from gspmc_mm.poses import PoseClip, PoseStore, PoseStoreWriter, StoreHeader
from gspmc_mm.poses.audit import audit_store
from gspmc_mm.skeleton import get_layout, resting_pose
from gspmc_mm.visualization.audit_page import SHOWN, audit_page, clip_thumbnails, write_audit_page

LAYOUT = get_layout("sign87")


@pytest.fixture
def store(tmp_path):
    """One sound clip, one without any point whose name is no HTML, and thirty of one frame."""
    header = StoreHeader(layout="sign87", estimator={"name": "<drawn>", "version": "", "weights": ""})
    points = np.repeat(resting_pose(LAYOUT)[None], 10, axis=0) * 50 + (300, 200)
    points[:, 36:57] += np.arange(10)[:, None, None]
    with PoseStoreWriter(tmp_path / "s.arrow", header) as writer:

        def add(name, frames, score):
            keypoint = points[:frames].astype(np.float32)
            writer.add(PoseClip(name, keypoint, np.full((frames, 87), score, np.float32), 0, "s", 25.0, (640, 480)))

        add("sound", 10, 0.9)
        add("<b>empty</b> & more", 10, 0.0)
        for n in range(30):
            add(f"one {n}", 1, 0.9)
    return PoseStore(tmp_path / "s.arrow")


def test_the_page_names_every_finding_and_draws_the_clips(store):
    page = audit_page(audit_store(store), {"command": "tools/data/audit.py <x>"})
    assert "31 errors" in page
    assert "&lt;b&gt;empty&lt;/b&gt; &amp; more" in page
    assert "<b>empty" not in page
    assert "&lt;drawn&gt;" in page
    assert "tools/data/audit.py &lt;x&gt;" in page
    assert page.count(">1 frame<") == SHOWN
    assert "and 6 more" in page
    assert "nothing is seen" in page
    for tag in ("table", "tr", "td", "svg", "h2"):
        assert page.count(f"<{tag}") == page.count(f"</{tag}>")


def test_a_drawing_is_sound_svg_with_the_colours_of_the_parts(store):
    drawings = clip_thumbnails(store, 0)
    root = ET.fromstring(f"<all>{drawings}</all>")
    assert len(root) == 3
    for svg in root:
        assert {path.get("stroke") for path in svg} == {LAYOUT.colors[part] for part in LAYOUT.parts}


def test_a_store_without_faults(tmp_path, store):
    path = write_audit_page(audit_store(store), tmp_path / "deep" / "a.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert not list(path.parent.glob("*.tmp"))
