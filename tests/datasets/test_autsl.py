"""AUTSL: official splits, labels and signs; every planted fault is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from gspmc_mm.datasets.autsl import NUM_CLASSES, SIGN_LIST, read_autsl
from gspmc_mm.datasets.data_set_report import DataSetError

LABELS = {"train": [(0, 1, 41), (0, 2, 7), (2, 1, 225)], "validation": [(1, 1, 0)], "test": [(6, 1, 3), (6, 2, 41)]}
FOLDERS = {"train": "train", "validation": "val", "test": "test"}


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"video")


@pytest.fixture
def tree(tmp_path):
    """Six clips in the official form."""
    rows = [f"{i},tr{i},{'you' if i in (5, 9) else f'en{i}'}" for i in range(NUM_CLASSES)]
    (tmp_path / SIGN_LIST).write_text("ClassId,TR,EN\n" + "\n".join(rows), encoding="utf-8-sig")
    for split, clips in LABELS.items():
        lines = [f"signer{s}_sample{n},{label}" for s, n, label in clips]
        (tmp_path / f"{split}_labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for s, n, _ in clips:
            for stream in ("color", "depth"):
                touch(tmp_path / FOLDERS[split] / f"signer{s}_sample{n}_{stream}.mp4")
    return tmp_path


def subjects(report, kind):
    return [fault.subject for fault in report.faults if fault.kind == kind]


def test_clips_labels_signers_and_official_splits(tree):
    clips, report = read_autsl(tree)
    assert [(c.clip_id, c.label, c.gloss, c.signer, c.splits) for c in clips.clips] == [
        ("signer6_sample1", 3, "tr3", "signer6", ("test",)),
        ("signer6_sample2", 41, "tr41", "signer6", ("test",)),
        ("signer0_sample1", 41, "tr41", "signer0", ("train",)),
        ("signer0_sample2", 7, "tr7", "signer0", ("train",)),
        ("signer2_sample1", 225, "tr225", "signer2", ("train",)),
        ("signer1_sample1", 0, "tr0", "signer1", ("val",)),
    ]
    assert clips.missing() == ()
    assert len(clips.classes) == NUM_CLASSES
    assert report.faults == []
    assert report.counts["clips of train"] == (3, 28_142)
    assert report.counts["signers of test"] == (1, 6)
    assert report.notes == ["6 depth videos are not listed"]


@pytest.mark.parametrize("layout", ["flat", "validation", "twice"])
def test_other_layouts(tree, layout):
    if layout == "flat":
        for path in [*tree.glob("*/*.mp4")]:
            path.rename(tree / path.name)
    elif layout == "validation":
        (tree / "val").rename(tree / "validation")
        (tree / "validation_labels.csv").rename(tree / "val_labels.csv")
    else:  # as the archives unpack
        (tree / "train").rename(tree / "x")
        (tree / "train").mkdir()
        (tree / "x").rename(tree / "train" / "train")
    clips, report = read_autsl(tree)
    assert len(clips) == 6
    assert report.faults == []


def test_english_glosses_stay_apart(tree):
    clips, _ = read_autsl(tree, language="en")
    assert clips.classes[5] == "you (tr5)"
    assert clips.classes[9] == "you (tr9)"
    assert clips.classes[0] == "en0"
    with pytest.raises(DataSetError, match="language 'de'"):
        read_autsl(tree, language="de")


def test_each_planted_fault_is_named(tree):
    with open(tree / "train_labels.csv", "a", encoding="utf-8") as file:
        file.write("signer2_sample2,12\n")  # no video
        file.write("signer2_sample3,226\n")  # no such class
        file.write("signer0_sample1,41\n")  # a second time
        file.write("signer6_sample1,3\n")  # labelled in test, too
        file.write("Clip,Label\n")
        file.write("signer1_sample9,4\n")  # a signer of the validation
    (tree / "val" / "signer1_sample1_color.mp4").rename(tree / "train" / "signer1_sample1_color.mp4")
    touch(tree / "train" / "signer1_sample9_color.mp4")
    touch(tree / "train" / "signer9_sample9_color.mp4")  # no label
    touch(tree / "other" / "signer0_sample2_color.mp4")  # the same clip twice
    touch(tree / "holiday.avi")
    (tree / "train" / "signer2_sample1_color.mp4").write_bytes(b"")
    (tree / "pseudo_labels.csv").write_text("x\n")
    clips, report = read_autsl(tree)
    assert subjects(report, "label, no video") == ["signer2_sample2"]
    assert subjects(report, "no such class") == ["train_labels.csv, line 5"]
    assert len(subjects(report, "labelled twice")) == 2
    assert subjects(report, "unreadable row") == ["train_labels.csv, line 8"]
    assert subjects(report, "label against folder") == ["train/signer1_sample1_color.mp4"]
    assert "train/signer9_sample9_color.mp4" in subjects(report, "video, no label")
    assert len(subjects(report, "clip twice")) == 1
    assert subjects(report, "other video") == ["holiday.avi"]
    assert subjects(report, "empty file") == ["train/signer2_sample1_color.mp4"]
    assert subjects(report, "signer in two splits") == ["signer1"]
    assert subjects(report, "other label file") == ["pseudo_labels.csv"]
    # What was contradicted is not in the list.
    assert sorted(clip.clip_id for clip in clips.clips) == [
        *("signer0_sample2", "signer1_sample9", "signer2_sample1", "signer6_sample2"),
    ]
    with pytest.raises(DataSetError, match="contradictions"):
        report.check(leave_out=False)


def test_labels_that_were_not_handed_out(tree):
    (tree / "test_labels.csv").unlink()
    clips, report = read_autsl(tree)
    assert subjects(report, "no label file") == ["test"]
    assert len(subjects(report, "video, no label")) == 2
    assert clips.of_split("test") == ()


def test_the_real_label_files(shared_data, tmp_path):
    touch(tmp_path / "test" / "signer34_sample1_color.mp4")
    clips, report = read_autsl(tmp_path, shared_data / "labels" / "autsl")
    assert report.counts["labels of train"] == (28_142, 28_142)
    assert report.counts["labels of val"] == (4_418, 4_418)
    assert report.counts["labels of test"] == (3_742, 3_742)
    assert [report.counts[f"signers of {s}"] for s in ("train", "val", "test")] == [(31, 31), (6, 6), (6, 6)]
    assert not report.contradictions
    assert report.kinds["label, no video"] == 36_301
    assert [(clip.label, clip.gloss) for clip in clips.clips] == [(133, "misafir")]
    english, _ = read_autsl(tmp_path, shared_data / "labels" / "autsl", language="en")
    assert sum(gloss.startswith("you (") for gloss in english.classes) == 2


def test_missing_files(tree, tmp_path):
    with pytest.raises(FileNotFoundError, match="folder of videos"):
        read_autsl(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="folder of labels"):
        read_autsl(tree, tmp_path / "none")
    (tree / SIGN_LIST).rename(tree / "x.csv")
    with pytest.raises(FileNotFoundError, match=SIGN_LIST):
        read_autsl(tree)


def test_no_labels_or_no_videos(tree):
    empty = tree / "empty"
    empty.mkdir()
    with pytest.raises(FileNotFoundError, match="none of the 6 labelled videos"):
        read_autsl(empty, tree)
    for path in tree.glob("*_labels.csv"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match="no label files"):
        read_autsl(tree)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Id,TR,EN\n0,a,b\n", "ClassId, TR and EN"),
        ("ClassId,TR,EN\n0,a,b\n0,c,d\n", "each number once"),
        ("ClassId,TR,EN\n0,a,b\n", "1 signs"),
    ],
)
def test_a_list_of_signs_that_is_not_whole(tree, text, said):
    (tree / SIGN_LIST).write_text(text, encoding="utf-8")
    with pytest.raises(DataSetError, match=said):
        read_autsl(tree)


def test_two_label_files_for_one_split(tree):
    (tree / "val_labels.csv").write_text("signer1_sample1,0\n")
    with pytest.raises(DataSetError, match="two label files for val"):
        read_autsl(tree)
