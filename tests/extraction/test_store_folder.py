from __future__ import annotations

import fcntl
import json
import os
import sys

import numpy as np
import pytest

from gspmc_mm.extraction import store_folder
from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.ledger import Ledger, read_clips, read_lines
from gspmc_mm.extraction.merging import merge_stores
from gspmc_mm.extraction.store_folder import (
    StoreFolder,
    at_rest,
    mixed_estimator,
    part_name,
    pending_name,
    rewrite,
)
from gspmc_mm.poses import EstimatorInfo, PoseClip, PoseStore, PoseStoreError, StoreHeader

QUICK = EstimatorInfo(name="quick", version="1", weights="none")
OTHER = EstimatorInfo(name="other", version="2", weights="w.pth")


def header(estimator=QUICK, classes=("a", "b")):
    return StoreHeader(layout="wholebody133", estimator=estimator, classes=list(classes))


def clip(name, seed=0, label=0):
    random = np.random.default_rng(seed)
    keypoint = random.uniform(0, 300, (4, 133, 2)).astype(np.float32)
    return PoseClip(name, keypoint, random.uniform(0.1, 1, (4, 133)).astype(np.float32), label, "s1", 25.0, (400, 300))


def fill(path, names, part="", **more):
    with StoreFolder(path, header(), part, **more) as store:
        for seed, name in enumerate(names):
            store.add(clip(name, seed), {"clip_id": name})


def ids(path):
    return sorted(PoseStore(path).clip_ids)


def test_clips_become_shards_and_the_store_opens(tmp_path):
    names = [f"sign/{n}" for n in range(5)]  # ids with a slash, as folders of videos give them
    fill(tmp_path / "s", names, clips_per_shard=2)
    assert sorted(file.stem for file in (tmp_path / "s").glob("*.arrow")) == ["00001", "00002", "00003"]
    assert ids(tmp_path / "s") == names
    assert not list((tmp_path / "s").glob("pending/*/*.arrow"))
    assert {entry["status"] for entry in read_clips(tmp_path / "s").values()} == {"done"}
    store = PoseStore(tmp_path / "s")
    np.testing.assert_allclose(store.clip(3).keypoint, clip("", 3).keypoint, atol=1 / 16)


def test_what_a_kill_leaves_counts_if_it_was_entered_and_only_then(tmp_path):
    path = tmp_path / "s"
    killed = StoreFolder(path, header())
    killed.__enter__()
    killed.add(clip("entered"), {"clip_id": "entered"})
    killed.add(clip("lost"), {"clip_id": "lost"})
    (path / "ledger.jsonl").write_bytes((path / "ledger.jsonl").read_bytes().split(b"\n")[0] + b'\n{"clip_id": "lo')
    (path / "00001.arrow.tmp").write_bytes(b"half a shard")
    os.close(killed._lock)  # as the system does for a process that is gone

    with StoreFolder(path, header()) as store:
        assert store.done == {"entered"}
        assert not (path / "00001.arrow.tmp").exists()
        store.add(clip("lost"), {"clip_id": "lost"})
    assert ids(path) == ["entered", "lost"]
    assert [line["clip_id"] for line in read_lines(path)] == ["entered", "lost"]


def test_a_kill_between_the_shard_and_its_pending_clips_doubles_nothing(tmp_path):
    path = tmp_path / "s"
    fill(path, ["one", "two"])
    copy = StoreFolder(tmp_path / "t", header())
    copy.__enter__()
    copy.add(clip("one", 0), {"clip_id": "one"})
    pending = path / "pending" / "all" / pending_name("one")
    pending.write_bytes(next((tmp_path / "t" / "pending" / "all").glob("*.arrow")).read_bytes())
    with StoreFolder(path, header()) as store:
        assert store.done == {"one", "two"}
        assert not pending.exists()
    assert ids(path) == ["one", "two"]


def test_two_runs_of_one_part_are_refused_and_parts_go_side_by_side(tmp_path):
    path = tmp_path / "s"
    with StoreFolder(path, header(), part_name(0, 2)) as first:
        with pytest.raises(ExtractionError, match="another run is filling it"):
            StoreFolder(path, header(), part_name(0, 2)).__enter__()
        first.add(clip("one"), {"clip_id": "one"})
        with StoreFolder(path, header(), part_name(1, 2)) as second:
            assert second.done == {"one"}  # pending elsewhere, not to be done again
            second.add(clip("two"), {"clip_id": "two"})
    assert ids(path) == ["one", "two"]
    assert set(read_clips(path)) == {"one", "two"}


@pytest.mark.parametrize("ends", [False, True], ids=["goes on", "ends"])
@pytest.mark.parametrize("moment", range(11))
def test_a_part_starts_while_another_one_moves_its_clips_into_a_shard(tmp_path, monkeypatch, moment, ends):
    """Whatever was looked at last before the clips moved, they count as done and nothing that has gone is missed."""
    path = tmp_path / "s"
    fill(path, ["before"])
    first = StoreFolder(path, header(), part_name(0, 2), clips_per_shard=3).__enter__()
    for name in ("one", "two"):
        first.add(clip(name), {"clip_id": name})
    looks = []

    def look(real):
        def looking(*arguments, **options):
            looks.append(real)
            if len(looks) == moment + 1:
                first.__exit__(None, None, None) if ends else first.add(clip("three"), {"clip_id": "three"})
            return real(*arguments, **options)

        return looking

    # every store that is opened and every lock that is asked for is a moment
    for name in ("PoseStore", "_lock"):
        monkeypatch.setattr(store_folder, name, look(getattr(store_folder, name)))
    with StoreFolder(path, header(), part_name(1, 2)) as second:
        monkeypatch.undo()
        assert len(looks) > moment
        assert second.done == ({"before", "one", "two"} if ends else {"before", "one", "two", "three"})
    if not ends:
        first.__exit__(None, None, None)
    assert ids(path) == sorted(second.done)
    assert not list(path.glob("pending/*/*.arrow"))


def test_parts_open_one_after_the_other(tmp_path, monkeypatch):
    path = tmp_path / "s"
    fill(path, ["one"])
    waited = []
    monkeypatch.setattr(StoreFolder, "_recover", lambda store: waited.append(held(path / "pending" / "lock")))
    with StoreFolder(path, header()):
        assert waited == [True]
        assert not held(path / "pending" / "lock")


def held(lock):
    """Whether somebody has a lock."""
    with open(lock) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_at_rest_all_files_are_there_and_nobody_begins(tmp_path):
    path = tmp_path / "s"
    with StoreFolder(path, header(), part_name(0, 2)) as store:
        store.add(clip("one"), {"clip_id": "one"})
        with pytest.raises(ExtractionError, match=r"a run is filling it \(0000-of-0002\)"), at_rest(path):
            pass
    killed = StoreFolder(path, header()).__enter__()
    killed.add(clip("two"), {"clip_id": "two"})
    os.close(killed._lock)
    with at_rest(path) as files:
        assert [file.parent.name for file in files] == ["s", "all"]
        assert held(path / "pending" / "lock")
        assert held(path / "pending" / "all" / "lock")
    with at_rest(files[0]) as only:
        assert only == [files[0]]
    with pytest.raises(FileNotFoundError, match="there is no pose store"), at_rest(tmp_path / "nowhere"):
        pass


def test_a_system_without_file_locks_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)  # as on native Windows
    with pytest.raises(ExtractionError, match=r"native Windows has not; run this in WSL"):
        StoreFolder(tmp_path / "s", header()).__enter__()
    assert not (tmp_path / "s").exists()


def test_pending_clips_of_a_part_that_was_killed_are_taken_over(tmp_path):
    path = tmp_path / "s"
    killed = StoreFolder(path, header(), part_name(1, 3))
    killed.__enter__()
    killed.add(clip("one"), {"clip_id": "one"})
    os.close(killed._lock)
    with StoreFolder(path, header()) as store:
        assert store.done == {"one"}
    assert ids(path) == ["one"]


def test_another_estimator_or_other_signs_are_refused(tmp_path):
    path = tmp_path / "s"
    fill(path, ["one"])
    with pytest.raises(ExtractionError, match=r"made by quick .* this run is other .*--force-mixed"):
        StoreFolder(path, header(OTHER)).__enter__()
    with pytest.raises(ExtractionError, match=r"other signs \(a, b\) than the list of clips \(a, c\)"):
        StoreFolder(path, header(classes=("a", "c"))).__enter__()
    with pytest.raises(ExtractionError, match=r"the list has no b\. Put them into it .*or extract into another store"):
        StoreFolder(path, header(classes=("a", "c"))).__enter__()
    more = StoreFolder(path, header(classes=("a", "a2", "b")), listed="my clips.csv")
    with pytest.raises(ExtractionError, match=r"python tools/data/resplit.py \S+/s --clips 'my clips.csv', then this"):
        more.__enter__()
    fill(path, ["two"])  # nothing was left locked
    assert ids(path) == ["one", "two"]


def test_forced_mixing_names_both_in_every_shard(tmp_path):
    path = tmp_path / "s"
    fill(path, ["one"])
    before = PoseStore(path).stored(0)
    for _ in range(2):  # the second time nothing changes
        with StoreFolder(path, header(OTHER), force_mixed=True) as store:
            if "two" not in store.done:
                store.add(clip("two"), {"clip_id": "two"})
    store = PoseStore(path)
    assert store.header.estimator == {"name": "MIXED other + quick", "version": "1 + 2", "weights": "none + w.pth"}
    for ours, theirs in zip(store.stored(0), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert mixed_estimator([store.header.estimator, QUICK]) == store.header.estimator


def test_estimators_are_not_mixed_while_another_part_goes_on(tmp_path):
    """Its further shards would have the name that it began with, and the store would not open."""
    path = tmp_path / "s"
    with StoreFolder(path, header(), part_name(0, 2)) as going_on:
        going_on.add(clip("one"), {"clip_id": "one"})
        with (
            pytest.raises(ExtractionError, match=r"a run is filling it \(0000-of-0002\); wait for its end"),
            StoreFolder(path, header(OTHER), part_name(1, 2), force_mixed=True),
        ):
            pass
    with StoreFolder(path, header(OTHER), part_name(1, 2), force_mixed=True) as store:
        store.add(clip("two"), {"clip_id": "two"})
    assert ids(path) == ["one", "two"]
    assert PoseStore(path).header.estimator["name"] == "MIXED other + quick"


def test_rewriting_keeps_every_bit_of_the_points(tmp_path):
    fill(tmp_path / "s", ["one", "two"])
    file = tmp_path / "s" / "00001.arrow"
    before = PoseStore(file)
    rewrite(file, OTHER)
    after = PoseStore(file)
    np.testing.assert_array_equal(after.digests, before.digests)
    assert after.header.estimator == OTHER


def test_a_damaged_ledger_is_named(tmp_path):
    with Ledger(tmp_path / "ledger.jsonl") as ledger:
        ledger.append({"clip_id": "one", "status": "done"})
        ledger.append({"clip_id": "one", "status": "failed"})
    assert read_clips(tmp_path)["one"]["status"] == "done"
    with open(tmp_path / "ledger.jsonl", "a") as file:
        file.write("rubbish\n" + json.dumps({"clip_id": "two", "status": "done"}) + "\n")
    with pytest.raises(ExtractionError, match=r"ledger.jsonl, line 3: no entry of a ledger: b'rubbish'"):
        read_clips(tmp_path)


def test_stores_that_were_filled_apart_are_merged(tmp_path):
    fill(tmp_path / "x" / "s", ["one"])
    fill(tmp_path / "y" / "s", ["two", "three"])
    merged = merge_stores([tmp_path / "x" / "s", tmp_path / "y" / "s"], tmp_path / "both")
    assert sorted(merged.clip_ids) == ["one", "three", "two"]
    assert set(read_clips(tmp_path / "both")) == {"one", "two", "three"}
    with pytest.raises(ExtractionError, match="is not empty"):
        merge_stores([tmp_path / "x" / "s"], tmp_path / "both")
    with pytest.raises(PoseStoreError, match="comes twice"):
        merge_stores([tmp_path / "x" / "s", tmp_path / "both"], tmp_path / "more")
    with pytest.raises(ExtractionError, match="no pose store"):
        merge_stores([tmp_path], tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_a_store_that_is_not_finished_is_not_merged(tmp_path):
    with StoreFolder(tmp_path / "s", header()) as store:
        store.add(clip("one"), {"clip_id": "one"})
        with pytest.raises(ExtractionError, match="not finished"):
            merge_stores([tmp_path / "s"], tmp_path / "out")
