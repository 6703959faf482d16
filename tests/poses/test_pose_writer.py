"""Writing pose stores: sound clips only, and all or nothing."""

import signal

import numpy as np
import pyarrow as pa
import pytest

from gspmc_mm.poses import PoseStore, PoseStoreError, PoseStoreWriter, writer


def _spoil(field, index, value):
    def spoil(clip):
        getattr(clip, field)[index] = value

    return spoil


def _set(field, value):
    def change(clip):
        setattr(clip, field, value)

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_spoil("keypoint", (2, 3, 1), np.nan), "keypoint of point 3 in frame 2 is NaN"),
        (_spoil("score", (2, 3), np.inf), "score of point 3 in frame 2 is NaN or inf"),
        (_spoil("score", (2, 3), 1.01), r"scores run from .* to 1\.01"),
        (_spoil("score", (2, 3), -0.01), r"scores run from -0\.01"),
        (_spoil("keypoint", (2, 3, 1), 1e5), "point 3 of frame 2 lies at"),
        (_set("keypoint", np.zeros((6, 16, 2))), "16 points per frame.*has 17"),
        (_set("keypoint", np.zeros((0, 17, 2))), "no frames"),
        (_set("keypoint", np.zeros((6, 17, 3))), "expected .frames, points, 2"),
        (_set("score", np.zeros((5, 17))), r"shape \(5, 17\); expected \(6, 17\)"),
        (_set("score", np.full((6, 17), "0")), "real numbers"),
        (_set("label", -1), "label is -1"),
        (_set("label", 2.0), r"label is 2\.0"),
        (_set("label", 4), "label is 4, but the header names only 4"),
        (_set("fps", -1.0), "fps"),
        (_set("fps", float("nan")), "fps"),
        (_set("signer", None), "signer is None"),
        (_set("image_size", (0, 480)), "image_size"),
        (_set("splits", "train"), "tuple of names"),
        (_set("splits", ("train", "train")), "twice"),
    ],
)
def test_unsound_clips_are_refused_by_name(tmp_path, make_clip, make_header, spoil, message):
    good, bad = make_clip("good"), make_clip("bad_one", seed=3)
    bad.score[2, 3] = 0.5
    spoil(bad)
    with PoseStoreWriter(tmp_path / "s.arrow", make_header(classes=list("wxyz"))) as store:
        store.add(good)
        with pytest.raises(PoseStoreError, match=rf"clip 'bad_one': .*{message}"):
            store.add(bad)
    assert PoseStore(tmp_path / "s.arrow").clip_ids.tolist() == ["good"]


def test_ids_are_checked(tmp_path, make_clip, make_header):
    with PoseStoreWriter(tmp_path / "s.arrow", make_header()) as store:
        store.add(make_clip("a"))
        with pytest.raises(PoseStoreError, match=r"'a'.*already"):
            store.add(make_clip("a", seed=1))
        with pytest.raises(PoseStoreError, match="clip_id"):
            store.add(make_clip(""))
        assert len(store) == 1


def test_one_frame_and_unknown_facts_are_allowed(tmp_path, make_clip, write_store):
    store = write_store(tmp_path / "s.arrow", [make_clip("a", 1, signer="", fps=0, splits=())])
    clip = store.clip(0)
    assert (clip.num_frames, clip.signer, clip.fps, clip.splits) == (1, "", 0.0, ())
    assert store.split_names == ()


def test_an_exception_leaves_nothing(tmp_path, make_clip, make_header):
    def broken_run():
        with PoseStoreWriter(tmp_path / "new" / "s.arrow", make_header()) as store:
            store.add(make_clip())
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        broken_run()
    assert list((tmp_path / "new").iterdir()) == []


def test_an_empty_store_is_refused(tmp_path, make_header):
    with (
        pytest.raises(PoseStoreError, match="no clip was added"),
        PoseStoreWriter(tmp_path / "s.arrow", make_header()),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_only_a_temporary_file(tmp_path, make_clip, write_store, start_python):
    program = (
        "import time, numpy as np\n"
        "from gspmc_mm.poses import *\n"
        "header = StoreHeader(layout='coco17', estimator=dict(name='', version='', weights=''))\n"
        "with PoseStoreWriter(sys.argv[1], header) as store:\n"
        "    store.add(PoseClip('a', np.ones((9, 17, 2)), np.ones((9, 17)), 0, '', 0, (9, 9)))\n"
        "    store._flush()\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = start_python(program, tmp_path / "s.arrow")
    assert process.stdout.readline() == "writing\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert [file.name for file in tmp_path.iterdir()] == ["s.arrow.tmp"]
    with pytest.raises(FileNotFoundError, match="no pose store"):
        PoseStore(tmp_path)
    store = write_store(tmp_path / "s.arrow", [make_clip("b")])
    assert store.clip_ids.tolist() == ["b"]
    assert [file.name for file in tmp_path.iterdir()] == ["s.arrow"]


def test_existing_files_are_kept_unless_asked(tmp_path, make_clip, make_header, write_store):
    path = tmp_path / "s.arrow"
    before = write_store(path, [make_clip("a")])
    with pytest.raises(PoseStoreError, match="exists already"):
        PoseStoreWriter(path, make_header())
    with PoseStoreWriter(path, make_header(), overwrite=True) as store:
        store.add(make_clip("b"))
    assert PoseStore(path).clip_ids.tolist() == ["b"]
    assert before.clip(0).clip_id == "a"  # a reader keeps the file that it opened


def test_use_outside_the_block_and_other_suffixes_are_refused(tmp_path, make_clip, make_header):
    with pytest.raises(PoseStoreError, match="with"):
        PoseStoreWriter(tmp_path / "s.arrow", make_header()).add(make_clip())
    with pytest.raises(PoseStoreError, match=r"\.arrow"):
        PoseStoreWriter(tmp_path / "s.pkl", make_header())


def test_record_batches_are_bounded(tmp_path, make_clip, write_store, monkeypatch):
    monkeypatch.setattr(writer, "BATCH_BYTES", 3 * 6 * 17 * 5)
    clips = [make_clip(f"c{i}", seed=i) for i in range(8)]
    store = write_store(tmp_path / "s.arrow", clips)
    with pa.OSFile(str(tmp_path / "s.arrow")) as file:
        reader = pa.ipc.open_file(file)
        sizes = [reader.get_batch(i).num_rows for i in range(reader.num_record_batches)]
    assert sizes == [3, 3, 2]
    for index, clip in enumerate(clips):
        read = store.clip(index)
        assert read.clip_id == clip.clip_id
        seen = clip.score > 0
        assert np.abs(read.keypoint - clip.keypoint)[seen].max() <= 1 / 16
