"""Lists of videos: CSV and folders in, CSV out, and every contradiction named."""

from __future__ import annotations

from pathlib import Path

import pytest

from gspmc_mm.poses.clip_list import (
    UNLABELLED,
    ClipList,
    ClipListError,
    VideoClip,
    check_clips,
    read_clip_list,
    write_clip_list,
)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def csv(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "clips.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_folder_says_gloss_signer_and_take(tmp_path):
    folder = touch(
        tmp_path / "videos", "b c/maria_1.mp4", "b c/maria_2.MOV", "a/old_john_12.avi", "a/._old_john_12.avi"
    )
    clips = read_clip_list(folder)
    assert clips.classes == ("a", "b c")
    assert [(c.clip_id, c.label, c.gloss, c.signer) for c in clips.clips] == [
        ("a/old_john_12", 0, "a", "old_john"),
        ("b c/maria_1", 1, "b c", "maria"),
        ("b c/maria_2", 1, "b c", "maria"),
    ]
    assert clips.missing() == ()
    assert clips.notes == ()
    assert clips.name == "videos"
    assert clips.path(clips.clips[0]) == folder.resolve() / "a" / "old_john_12.avi"


def test_two_spellings_of_an_accent_are_one_gloss(tmp_path):
    folder = touch(tmp_path, "caf\u00e9/a_1.mp4", "cafe\u0301/a_2.mp4")
    assert read_clip_list(folder).classes == ("caf\u00e9",)


def test_a_name_without_a_take_has_no_signer_and_that_is_said(tmp_path):
    clips = read_clip_list(touch(tmp_path, "a/maria.mp4", "a/maria_2.mp4"))
    assert [clip.signer for clip in clips.clips] == ["", "maria"]
    assert "1 videos" in clips.notes[0]
    assert "a/maria.mp4" in clips.notes[0]


def test_videos_without_folders_and_a_single_video_have_no_signs(tmp_path):
    folder = touch(tmp_path, "x.mp4", "y.mp4")
    for source, count in ((folder, 2), (folder / "x.mp4", 1)):
        clips = read_clip_list(source)
        assert clips.classes == (UNLABELLED,)
        assert len(clips) == count
        assert clips.missing() == ()
        assert "unknown" in clips.notes[0]


def test_an_empty_or_mixed_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no videos as <gloss>"):
        read_clip_list(touch(tmp_path / "a", "x/readme.txt"))
    with pytest.raises(ClipListError, match="some in folders below"):
        read_clip_list(touch(tmp_path / "b", "1.mp4", "x/2_1.mp4"))
    with pytest.raises(FileNotFoundError, match="no such list"):
        read_clip_list(tmp_path / "nothing.csv")


def test_a_short_csv_gets_labels_and_ids(tmp_path):
    clips = read_clip_list(csv(tmp_path, "video,gloss\nv/2.mp4,b\nv\\1.mp4,a\n\n"))
    assert [(c.clip_id, c.video, c.label, c.signer, c.splits) for c in clips.clips] == [
        ("v/2", "v/2.mp4", 1, "", ()),
        ("v/1", "v/1.mp4", 0, "", ()),
    ]
    assert clips.root == tmp_path.resolve()
    assert len(clips.missing()) == 2


def test_a_full_csv(tmp_path):
    text = (
        "splits,clip_id,video,label,gloss,signer,start,end\ntrain; fold1,x,a.mp4,0,一,P1,10,50\n,y,a.mp4,1,二,P2,50,\n"
    )
    clips = read_clip_list(csv(tmp_path, text))
    assert clips.clips[0] == VideoClip("x", "a.mp4", 0, "一", "P1", ("train", "fold1"), 10, 50)
    assert clips.clips[1] == VideoClip("y", "a.mp4", 1, "二", "P2", (), 50, None)
    assert clips.split_names == ("train", "fold1")
    assert [c.clip_id for c in clips.of_split("train")] == ["x"]


def test_clips_that_were_left_out_of_the_splits_are_counted(tmp_path):
    rows = "video,gloss,splits\na.mp4,x,train\nb.mp4,x,\nc.mp4,x,test\nd.mp4,x, ;\n"
    (note,) = read_clip_list(csv(tmp_path, rows)).notes
    assert note.startswith("2 of 4 clips are in no split: b and the like are neither for training nor for testing")
    assert read_clip_list(csv(tmp_path, "video,gloss,splits\na.mp4,x,\nb.mp4,x,\n")).notes == ()


def test_a_list_knows_where_it_was_read_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = csv(tmp_path, "video,gloss\na.mp4,x\n")
    assert read_clip_list(path.name).source == path.name
    assert read_clip_list(path.name) == read_clip_list(path)
    assert read_clip_list(touch(tmp_path / "v", "a/jo_1.mp4")).source == str(tmp_path / "v")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_encodings(tmp_path, encoding):
    assert read_clip_list(csv(tmp_path, "video,gloss\na.mp4,情况\n", encoding)).classes == ("情况",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first line is ''"),
        ("video,label\na.mp4,0\n", "expected the names of columns"),
        ("video;gloss\na.mp4;x\n", "expected the names of columns"),
        ("video,gloss,colour\na.mp4,x,red\n", "expected the names of columns"),
        ("video,gloss\n", "no clips"),
        ("video,gloss\na.mp4,x,3\n", "line 2: 3 values"),
        ("video,gloss\na.mp4,\n", "line 2: no gloss"),
        ("video,gloss,label\na.mp4,x,0\nb.mp4,y,\n", "line 3: no label"),
        ("video,gloss,label\na.mp4,x,zero\n", "line 2: label is 'zero'"),
        ("video,gloss,label\na.mp4,x,1\nb.mp4,y,2\n", "no clip has label 0"),
        ("video,gloss,label\na.mp4,x,-1\nb.mp4,y,0\n", "label -1"),
        ("video,gloss,label\na.mp4,x,0\nb.mp4,y,0\n", "'x' elsewhere"),
        ("video,gloss\na.mp4,x\na.mp4,x\n", "comes twice"),
        ("clip_id,video,gloss\n1,a.mp4,x\n2,a.mp4,x\n", "the same video as clip '1'"),
        ("video,gloss,start,end\na.mp4,x,9,9\n", "no frame at all"),
        ("video,gloss,splits\na.mp4,x,train;train\n", "a split twice"),
    ],
)
def test_contradictions_are_named(tmp_path, text, said):
    with pytest.raises(ClipListError, match=said) as caught:
        read_clip_list(csv(tmp_path, text))
    assert "clips.csv" in str(caught.value)


def test_a_text_in_no_known_encoding(tmp_path):
    (tmp_path / "clips.csv").write_bytes(b"video,gloss\na.mp4,\xff\xff\xff\n")
    with pytest.raises(ClipListError, match="save it as UTF-8"):
        read_clip_list(tmp_path / "clips.csv")


def test_written_and_read_again(tmp_path):
    folder = touch(tmp_path / "data" / "videos", "b/maria_1.mp4", "a/maria_1.mp4", "a/jo_1.mp4")
    clips = read_clip_list(folder)
    write_clip_list(clips, tmp_path / "data" / "list" / "clips.csv")  # the videos are not below its folder
    again = read_clip_list(tmp_path / "data" / "list" / "clips.csv")
    assert again.missing() == ()
    assert again.classes == clips.classes
    assert [(c.clip_id, c.label, c.signer) for c in again.clips] == [
        (c.clip_id, c.label, c.signer) for c in clips.clips
    ]
    write_clip_list(clips, tmp_path / "data" / "clips.csv")
    (tmp_path / "data").rename(tmp_path / "moved")
    moved = read_clip_list(tmp_path / "moved" / "clips.csv")
    assert moved.clips[0].video == "videos/a/jo_1.mp4"
    assert moved.missing() == ()
    assert not list((tmp_path / "moved").glob("*.tmp"))


def test_signs_without_clips_keep_their_names(tmp_path):
    clip = VideoClip("x", "x.mp4", 2, "c", "")
    write_clip_list(ClipList((clip,), ("a", "b", "c"), tmp_path, "n"), tmp_path / "clips.csv")
    assert read_clip_list(tmp_path / "clips.csv").classes == ("a", "b", "c")
    write_clip_list(ClipList((VideoClip("x", "x.mp4", 0, "c", ""),), ("c",), tmp_path, "n"), tmp_path / "clips.csv")
    assert read_clip_list(tmp_path / "clips.csv").classes == ("c",)  # the names of the old list are gone


def test_only_csv_is_written(tmp_path):
    with pytest.raises(ClipListError, match=r"\.csv"):
        write_clip_list(ClipList((VideoClip("x", "x.mp4", 0, "c", ""),), ("c",), tmp_path, "n"), tmp_path / "clips.txt")


def test_clips_of_one_label_have_one_gloss():
    with pytest.raises(ClipListError, match="label 0 and gloss 'b'"):
        check_clips([VideoClip("x", "x.mp4", 0, "b", "")], ("a",), "here")
