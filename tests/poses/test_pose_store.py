"""Reading pose stores."""

import hashlib
import json
import multiprocessing
import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from gspmc_mm.poses import PoseStore, PoseStoreError, writer
from gspmc_mm.skeleton import get_layout, subset


@pytest.fixture
def clips(make_clip):
    return [make_clip(f"c{i}", frames=3 + i, seed=i, fps=24 + i) for i in range(7)]


@pytest.fixture
def store(tmp_path, clips, write_store):
    return write_store(tmp_path / "s.arrow", clips, classes=list("abcd"), note="SYNTHETIC")


def test_columns_and_clips_come_back(store, clips):
    assert len(store) == 7
    assert store.layout.name == "coco17"
    assert store.header.note == "SYNTHETIC"
    assert store.header.estimator["weights"] == "w48.pth"
    assert store.clip_ids.tolist() == [clip.clip_id for clip in clips]
    assert store.signers.tolist() == [clip.signer for clip in clips]
    assert store.labels.tolist() == [clip.label for clip in clips]
    assert store.labels.dtype == np.int64
    assert store.frames.tolist() == [clip.num_frames for clip in clips]
    assert store.fps.tolist() == [clip.fps for clip in clips]
    assert store.image_sizes.tolist() == [[641, 480]] * 7
    for index, clip in enumerate(clips):
        read = store.clip(index)
        for field in ("clip_id", "label", "signer", "fps", "image_size", "splits"):
            assert getattr(read, field) == getattr(clip, field)
        assert read.keypoint.shape == clip.keypoint.shape
        assert read.keypoint.dtype == read.score.dtype == np.float32
        missing = clip.score == 0
        assert missing.any()
        np.testing.assert_array_equal(read.keypoint[missing], 0)
        np.testing.assert_array_equal(read.score == 0, missing)
        assert np.abs(read.keypoint - clip.keypoint)[~missing].max() <= 1 / 16


def test_frames_and_joints_are_those_asked_for(store):
    whole = store.clip(5)
    frames, joints = [7, 0, 0, 3], np.array([16, 2, 9])
    for chosen_frames in (frames, None):
        for chosen_joints in (joints, None):
            part = store.clip(5, frames=chosen_frames, joints=chosen_joints)
            rows = frames if chosen_frames is not None else np.arange(8)
            columns = joints if chosen_joints is not None else np.arange(17)
            np.testing.assert_array_equal(part.keypoint, whole.keypoint[np.ix_(rows, columns)])
            np.testing.assert_array_equal(part.score, whole.score[np.ix_(rows, columns)])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"index": 7}, "clip 7 does not exist: the store has 7"),
        ({"index": -1}, "clip -1"),
        ({"index": 0, "frames": [0, 3]}, "'c0': frames has 3, .* only 3"),
        ({"index": 0, "frames": [-1]}, "'c0': frames has -1"),
        ({"index": 0, "joints": [17]}, r"'c0': joints has 17, .* only 17 \(0 to 16\)"),
        ({"index": 0, "joints": [1.0]}, "'c0': joints must be a list of whole numbers"),
        ({"index": 0, "frames": [True, False, True]}, "whole numbers, got bool"),
    ],
)
def test_what_is_not_there_is_refused(store, chosen, message):
    with pytest.raises(PoseStoreError, match=message):
        store.clip(**chosen)


def test_splits(store):
    assert set(store.split_names) == {"train", "test", "all"}
    assert store.indices("train").tolist() == [1, 3, 5]
    assert store.indices("test").tolist() == store.indices("all").tolist() == [0, 2, 4, 6]
    assert store.indices().tolist() == list(range(7))
    assert store.indices(["train", "test"]).tolist() == list(range(7))
    assert store.indices(["train", "train"]).tolist() == [1, 3, 5]
    with pytest.raises(PoseStoreError, match=r"no split 'val'; .* are: 'test', 'all', 'train'"):
        store.indices("val")
    store.indices("train")[:] = 0  # what is handed out is a copy
    assert store.indices("train").tolist() == [1, 3, 5]


def test_stored_integers_are_a_view_of_the_file(store):
    keypoint, score = store.stored(2)
    assert not keypoint.flags.owndata
    assert not keypoint.flags.writeable
    assert (keypoint.dtype, score.dtype) == (np.int16, np.uint8)
    raw = store.files[0].read_bytes()
    assert keypoint.tobytes() in raw
    assert score.tobytes() in raw


def _resident_kib(file):
    """How much of a mapped file lies in this process's memory."""
    total, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        words = line.split()
        if not words[0].endswith(":"):
            inside = line.endswith(str(file))
        elif inside and words[0] == "Rss:":
            total += int(words[1])
    return total


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="needs Linux")
def test_opening_does_not_touch_the_key_points(tmp_path, make_clip, write_store, monkeypatch):
    monkeypatch.setattr(writer, "BATCH_BYTES", 4 * 2**20)
    block = make_clip(frames=500, joints=133)
    clips = [make_clip(f"c{i}", keypoint=block.keypoint, score=block.score) for i in range(80)]
    write_store(tmp_path / "s.arrow", clips, layout="wholebody133")
    size = (tmp_path / "s.arrow").stat().st_size / 1024
    store = PoseStore(tmp_path / "s.arrow")
    assert store.fingerprint  # not that either
    opened = _resident_kib(store.files[0])
    # 7 batches; the system maps up to 64 KiB around each page that is touched.
    assert opened < 0.1 * size
    store.clip(40)
    assert _resident_kib(store.files[0]) < opened + 3 * 325
    for index in range(len(store)):
        store.clip(index)
    assert _resident_kib(store.files[0]) > 0.9 * size  # or the measure measures nothing


def test_pickling_reopens_by_path(store, tmp_path, monkeypatch):
    data = pickle.dumps(store)
    assert len(data) < 1000
    monkeypatch.chdir(tmp_path.parent)
    again = pickle.loads(data)
    assert again.fingerprint == store.fingerprint
    np.testing.assert_array_equal(again.clip(4).keypoint, store.clip(4).keypoint)


def test_a_store_that_changed_under_its_reader_is_noticed(store, clips, tmp_path, write_store):
    data = pickle.dumps(store)
    store.files[0].unlink()
    write_store(tmp_path / "s.arrow", clips[:-1])
    with pytest.raises(PoseStoreError, match="has changed"):
        pickle.loads(data)


def _read_in_child(store, index, answers):
    answers.put(store.clip(index).keypoint)


def test_forked_workers_read_the_same(store):
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=_read_in_child, args=(store, 3, answers))
    child.start()
    np.testing.assert_array_equal(answers.get(), store.clip(3).keypoint)
    child.join()


def test_shards_read_as_one(store, clips, tmp_path, write_store):
    folder = tmp_path / "shards"
    write_store(folder / "b.arrow", clips[3:], classes=list("abcd"), command="other")
    write_store(folder / "a.arrow", clips[:3], classes=list("abcd"))
    (folder / "c.arrow.tmp").write_bytes(b"left by a killed writer")
    for path in (folder, [folder / "a.arrow", str(folder / "b.arrow")]):
        whole = PoseStore(path)
        assert whole.clip_ids.tolist() == store.clip_ids.tolist()
        assert whole.indices("train").tolist() == [1, 3, 5]
        for index in range(7):
            np.testing.assert_array_equal(whole.clip(index).score, store.clip(index).score)
        assert whole.fingerprint == store.fingerprint  # the cut into shards is no part of it


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ({"layout": subset(get_layout("coco17"), range(17), "mine")}, "layout"),
        ({"estimator": {"name": "mediapipe", "version": "", "weights": ""}}, "estimator"),
        ({"classes": ["x", "y", "z", "w"]}, "classes"),
    ],
)
def test_shards_of_another_kind_are_refused(tmp_path, make_clip, write_store, header, field):
    write_store(tmp_path / "a.arrow", [make_clip("a")])
    write_store(tmp_path / "b.arrow", [make_clip("b")], **header)
    with pytest.raises(PoseStoreError, match=rf"b\.arrow is no shard .*a\.arrow: {field} is"):
        PoseStore(tmp_path)


def test_shards_of_another_size_and_common_ids_are_refused(tmp_path, make_clip, write_store):
    write_store(tmp_path / "a.arrow", [make_clip("x"), make_clip("y")])
    write_store(tmp_path / "b.arrow", [make_clip("y", seed=1)])
    with pytest.raises(PoseStoreError, match=r"'y' comes twice: in .*a\.arrow and in .*b\.arrow"):
        PoseStore(tmp_path)
    (tmp_path / "b.arrow").unlink()
    write_store(tmp_path / "b.arrow", [make_clip("z", joints=42)], layout="hands42")
    with pytest.raises(PoseStoreError, match="layout is 'hands42' there and 'coco17' here"):
        PoseStore(tmp_path)


def test_fingerprint_follows_the_data_and_only_the_data(tmp_path, make_clip, write_store, store):
    def fingerprint(name, clips, **header):
        return write_store(tmp_path / name, clips, **header).fingerprint

    base = fingerprint("0.arrow", [make_clip("a"), make_clip("b")])
    assert base == fingerprint("1.arrow", [make_clip("a"), make_clip("b")], note="n", command="c")
    moved = make_clip("b")
    moved.score[0, 0], moved.keypoint[0, 0, 0] = 1, 5
    others = [
        fingerprint("2.arrow", [make_clip("b"), make_clip("a")]),
        fingerprint("3.arrow", [make_clip("a"), make_clip("b", label=3)]),
        fingerprint("4.arrow", [make_clip("a"), make_clip("b", splits=("val",))]),
        fingerprint("5.arrow", [make_clip("a"), make_clip("b", signer="Q")]),
        fingerprint("6.arrow", [make_clip("a"), make_clip("b", fps=1)]),
        fingerprint("7.arrow", [make_clip("a"), moved]),
        fingerprint("8.arrow", [make_clip("a"), make_clip("b")], classes=list("abcd")),
    ]
    assert len({base, *others}) == 8
    assert len(base) == 64


def test_files_that_are_no_store_are_named(store, tmp_path):
    data = store.files[0].read_bytes()
    broken = tmp_path / "broken.arrow"
    for length in (7, 63, 500, len(data) // 2, len(data) - 1):
        broken.write_bytes(data[:length])
        with pytest.raises(PoseStoreError, match=r"broken\.arrow: the pose store is truncated"):
            PoseStore(broken)
    for content in (b"", b"PAR1" + data):
        broken.write_bytes(content)
        with pytest.raises(PoseStoreError, match=r"broken\.arrow: this is no pose store"):
            PoseStore(broken)
    # Cut out of the middle: both ends look right, what lies between does not.
    broken.write_bytes(data[: len(data) // 2] + data[-400:])
    with pytest.raises(PoseStoreError, match=r"broken\.arrow: the file is damaged"):
        PoseStore(broken)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.arrow"):
        PoseStore(tmp_path / "nowhere.arrow")
    with pytest.raises(FileNotFoundError, match="no file"):
        PoseStore([])


def _rewrite(source, target, change, options=None):
    with pa.OSFile(str(source)) as file:
        table = change(pa.ipc.open_file(file).read_all())
    with (
        pa.OSFile(str(target), "wb") as file,
        pa.ipc.new_file(file, table.schema, options=options) as writer,
    ):
        writer.write_table(table)


def _with_header(**changes):
    def change(table):
        key = b"gspmc_mm.pose_store"
        header = {**json.loads(table.schema.metadata[key]), **changes}
        return table.replace_schema_metadata({key: json.dumps(header).encode()})

    return change


def _retype(table):
    return table.set_column(1, "label", table["label"].cast(pa.string()))


def _longer(table):
    at = table.schema.get_field_index("frames")
    return table.set_column(at, "frames", pa.array([3, 4, 6, 6, 7, 8, 9], pa.int32()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.replace_schema_metadata(None), "no pose store: .*metadata"),
        (lambda table: table.drop_columns(["label"]), "'label' is missing; expected int32"),
        (_retype, "'label' is of type string; expected int32"),
        (_with_header(format_version=2), "format version 2"),
        (_with_header(num_joints=16), "num_joints is 16"),
        (_with_header(layout="coco18"), "coco18"),
        (_with_header(layout="hands42", num_joints=42), "'c0': keypoint has 102 .* need 252"),
        (_longer, "'c2': keypoint has 170 values; 6 frames of 17 points need 204"),
        (lambda table: table.slice(0, 0), "no clips"),
    ],
)
def test_arrow_files_that_break_a_rule_are_refused(store, tmp_path, change, message):
    _rewrite(store.files[0], tmp_path / "other.arrow", change)
    with pytest.raises(PoseStoreError, match=rf"other\.arrow: .*{message}"):
        PoseStore(tmp_path / "other.arrow")


def test_compressed_files_are_refused(store, tmp_path):
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    _rewrite(store.files[0], tmp_path / "small.arrow", lambda table: table, options)
    with pytest.raises(PoseStoreError, match="compressed"):
        PoseStore(tmp_path / "small.arrow")


def test_the_documented_format_is_what_lies_on_disk(store, clips):
    """A reader from docs/pose_store.md alone, without a line of this package."""
    with pa.OSFile(str(store.files[0])) as file:
        table = pa.ipc.open_file(file).read_all()
    header = json.loads(table.schema.metadata[b"gspmc_mm.pose_store"])
    assert (header["format_version"], header["units"]) == (1, "pixel")
    points = header["num_joints"]
    for row, clip in zip(table.to_pylist(), clips, strict=True):
        keypoint = np.array(row["keypoint"], np.int16).reshape(row["frames"], points, 2)
        score = np.array(row["score"], np.uint8).reshape(row["frames"], points)
        pixels = keypoint / 8 + np.array([row["width"], row["height"]]) / 2
        pixels[score == 0] = 0
        seen = clip.score > 0
        assert np.abs(pixels - clip.keypoint)[seen].max() <= 1 / 16
        assert (keypoint[~seen] == 0).all()
        assert (row["clip_id"], row["label"]) == (clip.clip_id, clip.label)
        assert row["splits"] == list(clip.splits)
        digest = hashlib.blake2b(keypoint.tobytes() + score.tobytes(), digest_size=16)
        assert row["digest"] == digest.digest()


def test_a_store_of_another_writer_is_read(store, tmp_path):
    """Other item names, nullable fields, extra columns and another order are all allowed."""

    def change(table):
        columns = {name: table[name].combine_chunks() for name in reversed(table.column_names)}
        for name, kind in (("keypoint", pa.int16()), ("score", pa.uint8())):
            columns[name] = columns[name].cast(pa.large_list(pa.field("element", kind)))
        columns["remark"] = pa.array(["x"] * 7)
        return pa.table(columns).replace_schema_metadata(table.schema.metadata)

    _rewrite(store.files[0], tmp_path / "other.arrow", change)
    other = PoseStore(tmp_path / "other.arrow")
    assert other.fingerprint == store.fingerprint
    np.testing.assert_array_equal(other.clip(6).keypoint, store.clip(6).keypoint)
