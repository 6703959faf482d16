"""SLR-500 and AUTSL from a tree of (small, drawn) videos with the real label files to a store with splits."""

from __future__ import annotations

import csv
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from made_videos import cut_off, drawn_frames, emptied, write_video
from quick_estimator import QuickEstimator

from gspmc_mm.extraction import Recipe, local_engine, run_extraction
from gspmc_mm.poses import PoseStore
from gspmc_mm.poses.clip_list import read_clip_list

AUTSL_FOLDERS = {"train": "train", "validation": "val", "test": "test"}


def list_videos(tool: Path, *arguments: object) -> tuple[int, str]:
    """Run a reader's command line; its status and all that it said."""
    done = subprocess.run([sys.executable, tool, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def extract(clip_list: Path, out: Path) -> tuple[PoseStore, dict[str, str]]:
    """The store of a list, and the clips that failed with the kind of their failure."""
    recipe = Recipe(QuickEstimator())
    report = run_extraction(read_clip_list(clip_list), recipe, out, local_engine(recipe, workers=1))
    return PoseStore(out), {failure["clip_id"]: failure["reason"] for failure in report.failures}


@pytest.fixture
def autsl(shared_data, tmp_path):
    """The first four clips of each split, as videos in the official form."""
    labels = shared_data / "labels" / "autsl" / "AUTSL"
    known = {}
    for split, folder in AUTSL_FOLDERS.items():
        with open(labels / f"{split}_labels.csv", encoding="utf-8-sig", newline="") as file:
            for name, label in islice(csv.reader(file), 4):
                write_video(tmp_path / "AUTSL" / folder / f"{name}_color.mp4", drawn_frames(len(known)))
                known[name] = (int(label), split.replace("validation", "val"))
    return labels, tmp_path / "AUTSL", known


def test_autsl_from_videos_to_a_store(autsl, repository, tmp_path):
    labels, videos, known = autsl
    emptied(videos / "train" / "signer0_sample2_color.mp4")
    cut_off(videos / "val" / "signer1_sample2_color.mp4")
    write_video(videos / "train" / "signer77_sample1_color.mp4", drawn_frames(50))  # no label
    misplaced = videos / "test" / "signer34_sample2_color.mp4"
    misplaced.rename(videos / "train" / misplaced.name)
    reader = repository / "tools" / "data" / "autsl.py"
    arguments = ("--videos", videos, "--labels", labels, "--out", tmp_path / "clips.csv")
    status, said = list_videos(reader, *arguments)
    assert status == 1
    assert not (tmp_path / "clips.csv").exists()
    assert "label against folder" in said
    status, said = list_videos(reader, *arguments, "--leave-out-faulty")
    assert status == 0, said
    for fault in ("empty file", "video, no label", "label against folder", "label, no video"):
        assert fault in said
    store, failed = extract(tmp_path / "clips.csv", tmp_path / "poses")
    assert failed == {"signer0_sample2": "unreadable", "signer1_sample2": "truncated"}
    expected = {name: of for name, of in known.items() if name not in failed and name != "signer34_sample2"}
    found = {}
    for split in ("train", "val", "test"):
        for index in store.indices(split):
            found[str(store.clip_ids[index])] = (int(store.labels[index]), split)
    assert found == expected
    assert {str(signer) for signer in store.signers} == {name.split("_")[0] for name in expected}
    assert len(store.header.classes) == 226


def test_slr500_from_videos_to_a_store(shared_data, repository, tmp_path):
    labels = shared_data / "labels" / "slr500"
    words = (labels / "CSL" / "gloss_label.txt").read_text(encoding="utf-8-sig").split()
    known = {}
    for split in ("train", "test"):
        with open(labels / f"split.{split}.csv", encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))[::9_000]
        for row in rows:
            video = write_video(tmp_path / "color" / row["video_path"], drawn_frames(len(known)))
            known[video.name] = row["class_name"]
    assert len(known) > 10
    moved = next(iter(known))  # its name says one sign, its folder another
    wrong = tmp_path / "color" / "499" / moved
    wrong.parent.mkdir(exist_ok=True)
    next((tmp_path / "color").rglob(moved)).rename(wrong)
    arguments = ("--videos", tmp_path / "color", "--labels", labels, "--out", tmp_path / "clips.csv")
    reader = repository / "tools" / "data" / "slr500.py"
    status, said = list_videos(reader, *arguments)
    assert status == 1, said
    assert moved in said
    status, said = list_videos(reader, *arguments, "--leave-out-faulty")
    assert status == 0, said
    store, failed = extract(tmp_path / "clips.csv", tmp_path / "poses")
    assert not failed
    assert len(store) == len(known) - 1
    for index, clip in enumerate(store.clip_ids):
        word = next(word for video, word in known.items() if video.startswith(str(clip).rsplit("/")[-1][:11]))
        assert store.header.classes[store.labels[index]] == word
        assert word in words
    for prefix, last in (("gsp35", 35), ("sota36", 36)):
        signers = {
            part: {int(str(store.signers[i]).lstrip("P")) for i in store.indices(f"{prefix}_{part}")}
            for part in ("train", "test")
        }
        assert max(signers["train"]) <= last < min(signers["test"])
