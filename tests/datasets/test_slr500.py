"""SLR-500: its names, layouts, label files and splits; every planted fault is named."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from gspmc_mm.datasets.data_set_report import DataSetError
from gspmc_mm.datasets.slr500 import NUM_CLASSES, clip_list_signers, parse_name, read_slr500
from gspmc_mm.poses.clip_list import read_clip_list, write_clip_list

SIGNERS = (1, 2, 3, 35, 36, 37, 50)


def name(signer: int, label: int, take: int = 0) -> str:
    return f"P{signer:02d}_{label // 20 + 1:02d}_{label % 20:02d}_{take}"


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"video")
    return path


def write_dictionary(folder: Path, encoding: str = "utf-8-sig", words=None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    words = [f"词{label}" for label in range(NUM_CLASSES)] if words is None else words
    text = "".join(f"{label:06d}\t{word}\r\n" for label, word in enumerate(words))
    (folder / "dictionary.txt").write_bytes(text.encode(encoding))
    return folder


@pytest.fixture
def tree(tmp_path):
    """A small copy: signs 0, 21 and 499 by seven signers."""
    for signer in SIGNERS:
        for label in (0, 21, 499):
            touch(tmp_path / "color" / f"{label:06d}" / f"{name(signer, label)}._color.mp4")
    write_dictionary(tmp_path)
    return tmp_path


def kinds(report):
    return {fault.kind for fault in report.faults}


def subjects(report, kind):
    return [fault.subject for fault in report.faults if fault.kind == kind]


@pytest.mark.parametrize(
    ("stem", "found"),
    [
        ("P01_25_19_2._color", (1, 499, 2, "color")),
        ("P01_01_00_0_color", (1, 0, 0, "color")),
        ("p50_02_01_4._COLOR", (50, 21, 4, "color")),
        ("P36_01_00_3", (36, 0, 3, "")),
        ("P36_01_00_3._depth", (36, 0, 3, "depth")),
        ("signer0_sample1_color", None),
        ("P01_25_19", None),
    ],
)
def test_names(stem, found):
    assert parse_name(stem) == found


@pytest.mark.parametrize(
    ("stem", "said"),
    [
        ("P00_01_00_0._color", "signer 0"),
        ("P51_01_00_0._color", "signer 51"),
        ("P01_26_00_0._color", "class 26_00"),
        ("P01_01_20_0._color", "class 1_20"),
        ("P01_01_00_5._color", "take 5"),
    ],
)
def test_impossible_names(stem, said):
    with pytest.raises(DataSetError, match=said):
        parse_name(stem)


@pytest.mark.parametrize("suffix", ["._color.mp4", "_color.avi", ".mp4"])
@pytest.mark.parametrize("folder", ["{:06d}", "{:03d}", "SLR500/xf/{:03d}", "."])
def test_every_layout_gives_the_same_list(tmp_path, folder, suffix):
    for signer in (1, 36):
        for label in (0, 499):
            touch(tmp_path / folder.format(label) / f"{name(signer, label)}{suffix}")
    write_dictionary(tmp_path)
    clips, report = read_slr500(tmp_path)
    assert [(c.clip_id, c.label, c.gloss, c.signer) for c in sorted(clips.clips, key=lambda c: c.clip_id)] == [
        ("P01_01_00_0", 0, "词0", "P01"),
        ("P01_25_19_0", 499, "词499", "P01"),
        ("P36_01_00_0", 0, "词0", "P36"),
        ("P36_25_19_0", 499, "词499", "P36"),
    ]
    assert not report.contradictions
    assert clips.missing() == ()
    assert len(clips.classes) == NUM_CLASSES


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_the_dictionary_in_any_encoding(tree, encoding):
    write_dictionary(tree, encoding)
    clips, _ = read_slr500(tree / "color")  # found beside the folder
    assert clips.classes[21] == "词21"


def test_splits_of_the_literature_and_a_validation_split_of_training_signers(tree):
    clips, report = read_slr500(tree)
    assert clip_list_signers(clips, "gsp35_train") == ("P01", "P02", "P03", "P35")
    assert clip_list_signers(clips, "gsp35_test") == ("P36", "P37", "P50")
    assert clip_list_signers(clips, "sota36_train") == ("P01", "P02", "P03", "P35", "P36")
    assert clip_list_signers(clips, "sota36_test") == ("P37", "P50")
    for split in ("gsp35", "sota36"):
        fit, val = set(clip_list_signers(clips, f"{split}_fit")), set(clip_list_signers(clips, f"{split}_val"))
        assert fit
        assert val
        assert not fit & val
        assert fit | val == set(clip_list_signers(clips, f"{split}_train"))
    assert clip_list_signers(clips, "gsp35_val") == clip_list_signers(clips, "sota36_val")
    assert read_slr500(tree)[0] == clips
    assert report.counts["clips"] == (21, 125_000)
    assert report.counts["gsp35_train"] == (12, 87_500)
    assert any("gsp35_val: P" in line for line in report.lines())


def test_the_list_is_written_and_read(tree, tmp_path):
    clips, _ = read_slr500(tree)
    again = read_clip_list(write_clip_list(clips, tmp_path / "out" / "clips.csv"))
    assert again.classes == clips.classes  # also the 497 signs that no clip shows
    assert again.missing() == ()


def test_the_real_lists_and_words(shared_data, tmp_path):
    """All 124,945 names of the lists: counts, known gaps, words, with no file but a few."""
    labels = shared_data / "labels" / "slr500"
    with open(labels / "split.train.csv", encoding="utf-8-sig", newline="") as file:
        some = [row["video_path"] for row in csv.DictReader(file)][::20_000]
    for video in (*some, "000/P36_01_00_0._color.mp4"):
        touch(tmp_path / video)
    clips, report = read_slr500(tmp_path, labels)
    assert report.kinds["listed, no video"] == 124_945 - len(some) - 1
    assert clips.classes[0] == "丈夫"
    assert clips.classes[468] == "阴"
    assert not report.contradictions
    assert "words of gloss_label.txt" not in kinds(report)  # the same words, trailing blanks aside
    assert any("is not that of the classes" in note for note in report.notes)


def test_words_from_a_list_without_a_dictionary(tree):
    (tree / "dictionary.txt").unlink()
    rows = [f"{label:03d}/{name(1, label)}._color.mp4,词{label}" for label in range(NUM_CLASSES)]
    (tree / "train_list.csv").write_text("video_path,class_name\n" + "\n".join(rows), encoding="utf-8")
    clips, report = read_slr500(tree)
    assert clips.classes[499] == "词499"
    assert report.kinds["listed, no video"] == 497
    assert report.kinds["video, not listed"] == 18


def test_without_words_signs_have_numbers_and_the_trap_is_named(tree):
    (tree / "dictionary.txt").rename(tree / "gloss_label.txt")
    clips, report = read_slr500(tree)
    assert clips.classes[21] == "021"
    (fault,) = [fault for fault in report.faults if fault.kind == "no words"]
    assert "not in the order of the classes" in fault.message


def test_each_planted_fault_is_named(tree):
    color = tree / "color"
    touch(color / "000000" / f"{name(4, 21)}._color.mp4")  # in the folder of another sign
    touch(color / "000000" / f"{name(1, 0)}_color.avi")  # the clip is there as .mp4
    touch(color / "000000" / "P00_01_00_0._color.mp4")  # signers count from 1
    touch(color / "000000" / "P51_01_00_0._color.mp4")
    touch(color / "000000" / "holiday.mp4")
    touch(color / "000000" / f"{name(2, 0)}._depth.mp4")
    (color / "000000" / f"{name(5, 0)}._color.mp4").write_bytes(b"")
    clips, report = read_slr500(tree)
    assert subjects(report, "name against folder") == [f"color/000000/{name(4, 21)}._color.mp4"]
    # Sorted by name, the one with the point comes first.
    assert subjects(report, "clip twice") == [f"color/000000/{name(1, 0)}_color.avi"]
    assert subjects(report, "impossible name") == [
        "color/000000/P00_01_00_0._color.mp4",
        "color/000000/P51_01_00_0._color.mp4",
    ]
    assert subjects(report, "other video") == ["color/000000/holiday.mp4"]
    assert subjects(report, "empty file") == [f"color/000000/{name(5, 0)}._color.mp4"]
    assert any("1 depth videos" in note for note in report.notes)
    assert len(report.contradictions) == 4
    assert len(clips) == 22
    with pytest.raises(DataSetError, match="4 contradictions"):
        report.check(leave_out=False)
    report.check(leave_out=True)


def test_lists_that_contradict_are_named(tree):
    rows = [
        "000/P36_01_00_0._color.mp4,词0",  # a test signer of gsp35
        "001/P01_01_00_0._color.mp4,词0",  # folder of another class
        "000/P02_01_00_0._color.mp4,别的",  # another word than the dictionary's
        "000/P03_01_00_0._color.mp4,词0",
        "000/P03_01_00_0._color.mp4,词0",
        "somewhere.mp4,词0",
    ]
    (tree / "split.train.csv").write_text("video_path,class_name\n" + "\n".join(rows), encoding="utf-8")
    _, report = read_slr500(tree)
    contradictions = {fault.kind for fault in report.contradictions}
    assert contradictions == {
        "signer on the wrong side",
        "name against folder",
        "word of a class",
        "listed twice",
        "impossible name",
    }


def test_clips_of_a_class_and_known_gaps():
    from gspmc_mm.datasets.data_set_report import DataSetReport
    from gspmc_mm.datasets.slr500 import _count
    from gspmc_mm.poses.clip_list import ClipList, VideoClip

    clips = tuple(
        VideoClip(f"{label}-{n}", f"{label}-{n}.mp4", label, str(label), "P01")
        for label, count in ((0, 250), (1, 249), (468, 210), (469, 200))
        for n in range(count)
    )
    report = DataSetReport("x")
    _count(ClipList(clips, tuple(map(str, range(NUM_CLASSES))), Path(), "x"), report)
    assert subjects(report, "known gap") == ["class 468 (468)"]
    assert len(subjects(report, "clips of a class")) == 498
    assert "class 469 (469)" in subjects(report, "clips of a class")


@pytest.mark.parametrize(
    ("words", "said"),
    [(["a"] * 499, "499 classes"), ([f"{i}" for i in range(501)], "501 classes")],
)
def test_another_number_of_words_is_refused(tree, words, said):
    write_dictionary(tree, words=words)
    with pytest.raises(DataSetError, match=said):
        read_slr500(tree)


def test_a_word_twice_and_a_torn_dictionary(tree):
    write_dictionary(tree, words=["same", "same ", *map(str, range(2, NUM_CLASSES))])
    clips, report = read_slr500(tree)
    assert clips.classes[:2] == ("same (0)", "same (1)")
    assert subjects(report, "word twice") == ["same"]
    (tree / "dictionary.txt").write_text("000000 a\n000000 b\n", encoding="utf-8")
    with pytest.raises(DataSetError, match="a second time"):
        read_slr500(tree)
    (tree / "dictionary.txt").write_text("丈夫\n", encoding="utf-8")
    with pytest.raises(DataSetError, match="expected '000000<TAB>word'"):
        read_slr500(tree)


def test_one_training_signer_has_no_validation(tmp_path):
    touch(tmp_path / f"{name(1, 0)}.mp4")
    clips, report = read_slr500(tmp_path)
    assert "no validation split" in kinds(report)
    assert "gsp35_val" not in clips.split_names


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        read_slr500(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="no video of SLR-500"):
        read_slr500(tmp_path)
    touch(tmp_path / f"{name(1, 0)}.mp4")
    with pytest.raises(FileNotFoundError, match="folder of labels"):
        read_slr500(tmp_path, tmp_path / "none")
