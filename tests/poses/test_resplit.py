"""A store gets the splits, signers and labels of a list that has changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from gspmc_mm.poses import EstimatorInfo, PoseClip, PoseStore, PoseStoreError, PoseStoreWriter, StoreHeader
from gspmc_mm.poses import resplit as module
from gspmc_mm.poses.clip_list import ClipList, VideoClip
from gspmc_mm.poses.file_format import METADATA_KEY
from gspmc_mm.poses.resplit import ClipFacts, resplit, stored_facts

SIGNS = ("again", "dinner")


def listed(signs=SIGNS, test="lee", signers=("kim", "lee")):
    """A take of each sign by each signer, `test` held out."""
    clips = [
        VideoClip(f"{gloss}/{who}_1", f"{gloss}/{who}_1.mp4", label, gloss, who, ("test" if who == test else "train",))
        for label, gloss in enumerate(signs)
        for who in signers
    ]
    return ClipList(tuple(clips), tuple(signs), None, "clips", source="data/own/clips.csv")


def write(path, clips, names=None, classes=True):
    """A store of the clips of a list (of some of them)."""
    header = StoreHeader(
        layout="coco17",
        estimator=EstimatorInfo(name="e", version="1", weights="w"),
        classes=list(clips.classes) if classes else None,
        command="python extract.py",
        note="filmed at home",
    )
    with PoseStoreWriter(path, header) as writer:
        for seed, clip in enumerate(clips.clips):
            if names is None or clip.clip_id in names:
                random = np.random.default_rng(seed)
                keypoint = random.uniform(0, 300, (5, 17, 2)).astype(np.float32)
                score = random.uniform(0.1, 1, (5, 17)).astype(np.float32)
                writer.add(
                    PoseClip(clip.clip_id, keypoint, score, clip.label, clip.signer, 25, (400, 300), clip.splits)
                )
    return path


def points(store):
    return {clip_id: b"".join(part.tobytes() for part in store.stored(i)) for i, clip_id in enumerate(store.clip_ids)}


def test_other_test_signers_are_as_if_extracted_anew(tmp_path):
    store = write(tmp_path / "s.arrow", listed())
    anew = PoseStore(write(tmp_path / "anew.arrow", listed(test="kim")))
    before = points(PoseStore(store))
    done = resplit([store], listed(test="kim"), command="python resplit.py s.arrow")
    assert (len(done.changed), done.relabelled, done.unlisted, done.absent, done.written) == (4, (), (), (), (store,))
    after = PoseStore(store)
    assert after.fingerprint == anew.fingerprint
    assert points(after) == before
    assert after.header.command == "python extract.py"
    assert after.header.note.startswith("filmed at home\nresplit 20")
    assert after.header.note.endswith(": python resplit.py s.arrow")
    again = resplit([store], listed(test="kim"))
    assert (again.changed, again.written) == ((), ())
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".tmp"] == []


def test_labels_follow_the_glosses_when_signs_come_and_unlisted_clips_keep_theirs(tmp_path):
    store = write(tmp_path / "s.arrow", listed())
    more = listed(("again", "book", "dinner"))
    partial = replace(more, clips=tuple(clip for clip in more.clips if clip.clip_id != "dinner/lee_1"))
    done = resplit([store], partial)
    assert done.unlisted == ("dinner/lee_1",)
    assert done.absent == ("book/kim_1", "book/lee_1")
    assert done.changed == ()  # another number, the same sign
    after = PoseStore(store)
    assert after.header.classes == ["again", "book", "dinner"]
    assert {name: after.header.classes[facts.label] for name, facts in stored_facts(after).items()} == {
        clip.clip_id: clip.gloss for clip in listed().clips
    }
    assert stored_facts(after)["dinner/lee_1"] == ClipFacts(2, "lee", ("test",))


def test_signers_and_a_corrected_sign_come_from_the_list(tmp_path):
    store = write(tmp_path / "s.arrow", listed())
    first, *others = listed().clips
    clips = replace(listed(), clips=(replace(first, label=1, gloss="dinner", signer="", splits=()), *others))
    done = resplit([store], clips)
    assert done.changed == done.relabelled == (first.clip_id,)
    assert stored_facts(PoseStore(store))[first.clip_id] == ClipFacts(1, "", ())
    assert done.clips == stored_facts(PoseStore(store))


def test_the_order_of_splits_is_no_difference():
    assert ClipFacts(0, "a", ("x", "y")).differences(ClipFacts(0, "a", ("y", "x"))) == ()
    assert ClipFacts(0, "a", ("x",)).differences(ClipFacts(1, "b", ("y",))) == ("label", "signer", "splits")


def test_a_list_that_loses_signs_or_has_one_twice_changes_nothing(tmp_path):
    store = write(tmp_path / "s.arrow", listed())
    content = store.read_bytes()
    with pytest.raises(PoseStoreError, match=r"signs that the list data/own/clips.csv has not: 'dinner' \(1 of 2\)"):
        resplit([store], listed(("again", "book")))
    with pytest.raises(PoseStoreError, match="two signs are called 'again'"):
        resplit([store], replace(listed(), classes=("again", "dinner", "again")))
    assert store.read_bytes() == content


def test_a_store_without_names_of_signs_keeps_its_labels(tmp_path):
    store = write(tmp_path / "s.arrow", listed(), classes=False)
    resplit([store], listed(test="kim"))
    assert PoseStore(store).header.classes is None
    assert (
        PoseStore(store).fingerprint
        == PoseStore(write(tmp_path / "t.arrow", listed(test="kim"), classes=False)).fingerprint
    )
    with pytest.raises(PoseStoreError, match="clip 'dinner/kim_1' has label 1 there and 2 in the list"):
        resplit([store], listed(("again", "book", "dinner")))


def test_a_kill_between_two_shards_is_made_good_by_the_same_call(tmp_path, monkeypatch):
    names = [clip.clip_id for clip in listed().clips]
    files = [write(tmp_path / f"{n}.arrow", listed(), names[2 * n : 2 * n + 2]) for n in range(2)]
    more = listed(("a sign", *SIGNS), test="kim")
    before = points(PoseStore(tmp_path))
    rewrite, written = module.rewrite, []

    def killed(path, *rest):
        if written:
            raise KeyboardInterrupt
        written.append(path)
        rewrite(path, *rest)

    monkeypatch.setattr(module, "rewrite", killed)
    with pytest.raises(KeyboardInterrupt):
        resplit(files, more)
    monkeypatch.undo()
    done = resplit(files, more)
    assert done.written == (files[1],)
    assert set(done.clips) == set(names)
    after = PoseStore(tmp_path)
    assert points(after) == before
    assert set(after.signers[after.indices("test")]) == {"kim"}


def test_a_file_is_whole_or_not_written(tmp_path, monkeypatch):
    store = write(tmp_path / "s.arrow", listed())
    content = store.read_bytes()

    def full(file):
        raise OSError("no space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        resplit([store], listed(test="kim"))
    assert store.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["s.arrow"]


def test_what_another_writer_put_into_the_file_is_kept(tmp_path):
    """Another name of the list items, a column of its own, several batches."""
    store = write(tmp_path / "s.arrow", listed())
    table = pa.ipc.open_file(store).read_all().append_column("mine", pa.array(range(4)))
    fields = [
        pa.field("splits", pa.list_(pa.field("element", pa.string()))) if f.name == "splits" else f
        for f in table.schema
    ]
    table = table.cast(pa.schema(fields, metadata=table.schema.metadata))
    with pa.ipc.new_file(store, table.schema) as writer:
        writer.write_table(table, max_chunksize=3)
    before = points(PoseStore(store))
    resplit([store], listed(test="kim"))
    again = pa.ipc.open_file(store).read_all()
    assert again.schema.names == table.schema.names
    assert again["mine"].to_pylist() == [0, 1, 2, 3]
    assert again["digest"].equals(table["digest"])
    assert METADATA_KEY in again.schema.metadata
    assert points(PoseStore(store)) == before
