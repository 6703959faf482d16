"""The list changes after the extraction: the store is not left behind, and only what is new is extracted."""

from __future__ import annotations

import runpy
import sys

import pytest
from made_videos import drawn_frames, write_video
from quick_estimator import QuickEstimator

from gspmc_mm.extraction import Recipe, RunSettings, local_engine, run_extraction
from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.store_folder import pending_name
from gspmc_mm.poses import PoseStore, PoseStoreWriter
from gspmc_mm.poses.clip_list import read_clip_list


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A working folder with two signs by three signers."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(f"{sign}/{who}_1" for sign in ("again", "dinner") for who in ("jo", "kim", "lee")):
        write_video(tmp_path / "videos" / f"{name}.mp4", drawn_frames(number))
    return tmp_path


@pytest.fixture
def tool(repository, monkeypatch, capsys):
    """A command line of tools/data: its exit status and what it said."""

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(repository / "tools" / "data" / name), run_name="__main__")
        said = capsys.readouterr()
        return end.value.code, said.out + said.err

    return run


def extract(**settings):
    recipe = Recipe(QuickEstimator())
    engine = local_engine(recipe, workers=1)
    return run_extraction(read_clip_list("clips.csv"), recipe, "poses", engine, RunSettings(**settings))


def points(store):
    return {clip_id: b"".join(part.tobytes() for part in store.stored(i)) for i, clip_id in enumerate(store.clip_ids)}


def test_other_test_signers_stop_the_extraction_until_the_store_has_them(own, tool):
    assert tool("clip_list.py", "videos", "--out", "clips.csv", "--test-signers", "lee")[0] == 0
    assert extract(clips_per_shard=4).complete
    before = points(PoseStore("poses"))
    assert tool("clip_list.py", "videos", "--out", "clips.csv", "--test-signers", "kim")[0] == 0
    said = (
        r"poses: clip 'again/kim_1' has splits 'train' there and 'test' in the list; the list has changed since \(4 of "
        r"the 6 clips that are done differ\).*: python tools/data/resplit.py poses --clips clips.csv, then this"
    )
    with pytest.raises(ExtractionError, match=said):
        extract()
    status, said = tool("resplit.py", "poses", "--clips", "clips.csv")
    assert status == 0, said
    assert "test: 2 clips, 1 signers" in said
    assert "poses: 4 of 6 clips changed, 2 of 2 files written, num_classes = 2" in said
    assert "note" not in said
    store = PoseStore("poses")
    assert set(store.signers[store.indices("test")]) == {"kim"}
    assert points(store) == before
    assert "resplit.py poses --clips clips.csv" in store.header.note
    assert (extract().done, extract().done_before) == (0, 6)


def test_a_clip_that_waits_for_its_shard_is_compared_as_well(own, tool):
    tool("clip_list.py", "videos", "--out", "clips.csv", "--test-signers", "lee")
    extract()
    (shard,) = (own / "poses").glob("*.arrow")
    store = PoseStore(shard)
    for index, clip_id in enumerate(store.clip_ids):  # as a kill before the first shard leaves them
        with PoseStoreWriter(own / "poses" / "pending" / "all" / pending_name(clip_id), store.header) as writer:
            writer.add(store.clip(index))
    shard.unlink()
    tool("clip_list.py", "videos", "--out", "clips.csv", "--test-signers", "kim")
    with pytest.raises(ExtractionError, match="4 of the 6 clips"):
        extract()
    assert tool("resplit.py", "poses", "--clips", "clips.csv")[0] == 0
    assert extract().done_before == 6


def test_a_further_sign_costs_only_its_own_clips(own, tool):
    tool("clip_list.py", "videos", "--out", "clips.csv", "--test-signers", "lee")
    extract()
    before = points(PoseStore("poses"))
    for number, name in enumerate(("book/jo_1", "book/lee_1", "again/jo_2")):
        write_video(own / "videos" / f"{name}.mp4", drawn_frames(20 + number))
    (own / "videos" / "dinner" / "jo_1.mp4").unlink()
    tool("clip_list.py", "videos", "--out", "clips.csv", "--test-signers", "lee")
    said = r"other signs \(again, dinner\) than the list of clips \(again, book, dinner\); nothing has to be extracted "
    with pytest.raises(ExtractionError, match=said + r"again: python tools/data/resplit.py poses --clips clips.csv"):
        extract()
    status, said = tool("resplit.py", "poses", "--clips", "clips.csv")
    assert status == 0, said
    assert "3 clips of the list are not in the store; tools/pose/extract.py adds them: again/jo_2, book/jo_1, " in said
    assert "1 clips of the store are not in the list; they keep splits, signer and sign: dinner/jo_1" in said
    report = extract()
    assert (report.done, report.done_before, report.complete) == (3, 5, True)
    store = PoseStore("poses")
    assert store.header.classes == ["again", "book", "dinner"]
    assert {name: store.header.classes[label] for name, label in zip(store.clip_ids, store.labels, strict=True)} == {
        name: name.partition("/")[0] for name in store.clip_ids
    }
    assert {name: content for name, content in points(store).items() if name in before} == before
    assert len(store) == 9


def test_what_cannot_be_mended_ends_with_one_clear_line(own, tool):
    tool("clip_list.py", "videos", "--out", "clips.csv", "--test-signers", "lee")
    assert tool("resplit.py", "poses", "--clips", "clips.csv") == (
        1,
        "error: poses: there is no pose store (a .arrow file, or a folder of them)\n",
    )
    extract()
    for file in (own / "videos" / "dinner").iterdir():
        file.unlink()
    tool("clip_list.py", "videos", "--out", "clips.csv", "--test-signers", "lee")
    with pytest.raises(ExtractionError, match="the list has no dinner"):
        extract()
    status, said = tool("resplit.py", "poses", "--clips", "clips.csv")
    assert status == 1
    assert "has signs that the list clips.csv has not: 'dinner' (1 of 2)" in said
