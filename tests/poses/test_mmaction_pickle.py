"""mmaction pickles, in and out."""

import os
import pickle

import numpy as np
import pytest

from gspmc_mm.poses import (
    PoseStore,
    PoseStoreError,
    import_mmaction_pickle,
    read_mmaction_pickle,
    write_mmaction_pickle,
)


def _annotation(name="a", persons=1, frames=5, seed=0, **changes):
    random = np.random.default_rng(seed)
    annotation = {
        "frame_dir": name,
        "label": seed,
        "img_shape": (480, 640),
        "original_shape": (480, 640),
        "total_frames": frames,
        "keypoint": (random.random((persons, frames, 17, 2)) * 400).astype(np.float16),
        "keypoint_score": random.random((persons, frames, 17)).astype(np.float16),
    }
    annotation.update(changes)
    return {key: value for key, value in annotation.items() if value is not None}


@pytest.fixture
def dump(tmp_path):
    def dump(content, protocol=4):
        path = tmp_path / "poses.pkl"
        path.write_bytes(pickle.dumps(content, protocol=protocol))
        return path

    return dump


@pytest.mark.parametrize("protocol", range(2, 6))
def test_every_protocol_and_both_forms_are_read(dump, protocol):
    annotations = [
        _annotation("a", persons=2, extra=np.float32(1.5), box=np.arange(6).reshape(2, 3).T),
        _annotation("b", seed=1, label=np.int64(3), img_shape=np.array([480, 640])),
    ]
    content = read_mmaction_pickle(dump(annotations, protocol))
    assert content["split"] is None
    for given, read in zip(annotations, content["annotations"], strict=True):
        assert given.keys() == read.keys()
        for key, value in given.items():
            np.testing.assert_array_equal(read[key], value)
            assert type(read[key]) is type(value)
            assert getattr(read[key], "dtype", None) == getattr(value, "dtype", None)
    split = {"train": ["a"], "val": {"b"}, "all": np.array(["a", "b"])}
    content = read_mmaction_pickle(dump({"split": split, "annotations": annotations}, protocol))
    assert content["split"] == {"train": ["a"], "val": ["b"], "all": ["a", "b"]}


def test_big_endian_and_three_coordinates_are_read(dump):
    keypoint = np.arange(2 * 5 * 25 * 3, dtype=">f4").reshape(2, 5, 25, 3)
    path = dump([_annotation(keypoint=keypoint, keypoint_score=None, img_shape=None)])
    read = read_mmaction_pickle(path)["annotations"][0]["keypoint"]
    np.testing.assert_array_equal(read, keypoint)
    read[:] = 0  # an ordinary array, as pickle.load would give


class _Harmful:
    def __init__(self, call, *arguments):
        self.reduced = (call, arguments)

    def __reduce__(self):
        return self.reduced


def test_code_is_refused_by_name_and_not_run(dump, tmp_path):
    marker = tmp_path / "ran"
    for harm in (_Harmful(os.mkdir, str(marker)), _Harmful(eval, f"open({str(marker)!r}, 'w')")):
        path = dump([{**_annotation(), "more": harm}])
        with pytest.raises(PoseStoreError) as caught:
            read_mmaction_pickle(path)
        name = f"{harm.reduced[0].__module__}.{harm.reduced[0].__name__}"
        for words in (str(path), name, "not run"):
            assert words in str(caught.value)
        assert not marker.exists()


@pytest.mark.parametrize(
    "thing",
    [
        np.array([{"a": 1}], dtype=object),
        np.zeros(2, dtype=[("x", "f4")]),
        _Harmful(np.ndarray, (1,), "O", b"12345678"),
        _Harmful(np.dtype, "O8"),
        _Harmful(np.load, "x.npy"),
        np.memmap,
        range(3),
    ],
)
def test_things_that_poses_do_not_need_are_refused(dump, thing):
    with pytest.raises(PoseStoreError, match=r"poses\.pkl"):
        read_mmaction_pickle(dump([{**_annotation(), "more": thing}]))


def test_forged_numpy_state_is_refused(tmp_path):
    # dtype('f4') that is told, in its state, to be a compound of objects.
    forged = (
        b"\x80\x02cnumpy\ndtype\n(X\x02\x00\x00\x00f4\x89\x88tR"
        b"(K\x03X\x01\x00\x00\x00<NX\x01\x00\x00\x00aN"
        b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb."
    )
    path = tmp_path / "forged.pkl"
    path.write_bytes(forged)
    with pytest.raises(PoseStoreError, match="compound"):
        read_mmaction_pickle(path)
    # Setting the defaults of a numpy function that the rest of the program uses.
    path.write_bytes(b"\x80\x02cnumpy.core.numeric\n_frombuffer\nN}X\x01\x00\x00\x00xK\x01s\x86b.")
    with pytest.raises(PoseStoreError, match="may not set"):
        read_mmaction_pickle(path)


def test_damaged_pickles_are_named(dump, tmp_path):
    path = dump([_annotation()])
    data = path.read_bytes()
    for content in (b"", data[:100], data[:-1], b"no pickle at all"):
        path.write_bytes(content)
        with pytest.raises(PoseStoreError, match=r"poses\.pkl: this is no complete pickle"):
            read_mmaction_pickle(path)
    with pytest.raises(FileNotFoundError, match=r"none\.pkl"):
        read_mmaction_pickle(tmp_path / "none.pkl")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frame_dir": None}, "annotation 1: neither 'frame_dir' nor 'filename'"),
        ({"frame_dir": 7}, "annotation 1: its name is 7"),
        ({"label": None}, "annotation 1 .'b'.: 'label' is missing"),
        ({"label": -2}, "'b'.: label is -2"),
        ({"label": "hello"}, "'b'.: label is 'hello'"),
        ({"total_frames": None}, "'b'.: 'total_frames' is missing"),
        ({"total_frames": 4}, "'b'.: total_frames is 4, but keypoint has 5"),
        ({"keypoint": None}, "'b'.: 'keypoint' is missing"),
        ({"keypoint": [[1, 2]]}, "'b'.: keypoint is a list"),
        ({"keypoint": np.zeros((5, 17, 2))}, r"'b'.: keypoint is .*\(5, 17, 2\)"),
        ({"keypoint": np.zeros((1, 5, 17, 4))}, r"'b'.: keypoint is .*2 or 3"),
        ({"keypoint": np.zeros((0, 5, 17, 2))}, "'b'.: keypoint is empty"),
        ({"keypoint_score": None}, "'b'.: 'keypoint_score' is missing"),
        ({"keypoint_score": np.zeros((1, 5, 16))}, r"'b'.: keypoint_score .*expected.*5, 17"),
        ({"img_shape": None, "original_shape": None}, "'b'.: neither 'img_shape'"),
        ({"img_shape": (480,)}, r"'b'.: img_shape is \(480,\)"),
        ({"original_shape": (480.5, 1)}, "'b'.: original_shape"),
    ],
)
def test_wrong_annotations_are_named(dump, changes, message):
    with pytest.raises(PoseStoreError, match=rf"poses\.pkl: .*{message}"):
        read_mmaction_pickle(dump([_annotation("a"), _annotation("b", **changes)]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": []}, "expected the keys 'split' and 'annotations', found"),
        ([], "at least one"),
        ("text", "found str"),
        ([3], "annotation 0: expected a dict, found int"),
        ({"split": ["a"], "annotations": [_annotation()]}, "'split' is a list"),
        ({"split": {"train": "a"}, "annotations": [_annotation()]}, "'train' is a str"),
        (
            {"split": {"train": ["a", "z", "y"]}, "annotations": [_annotation()]},
            "'train' names 2 clips .* such as 'z'",
        ),
    ],
)
def test_wrong_forms_are_named(dump, content, message):
    with pytest.raises(PoseStoreError, match=rf"poses\.pkl: .*{message}"):
        read_mmaction_pickle(dump(content))


def test_import_takes_the_person_with_the_highest_score_and_says_so(dump, tmp_path, make_header, caplog):
    crowd = _annotation("crowd", persons=3, signer="S1", fps=30)
    crowd["keypoint_score"][:] = 0.2
    crowd["keypoint_score"][1] = 0.9
    path = dump(
        {
            "split": {"train": ["crowd", "alone"], "gsp/test": ["alone"]},
            "annotations": [crowd, _annotation("alone", frames=7, seed=1)],
        }
    )
    with caplog.at_level("INFO"):
        store = import_mmaction_pickle(path, tmp_path / "s.arrow", make_header(note="mine"), fps=25)
    clip = store.clip(0)
    assert np.abs(clip.keypoint - crowd["keypoint"][1].astype(np.float32)).max() <= 1 / 16
    assert (clip.signer, clip.fps, clip.image_size) == ("S1", 30.0, (640, 480))
    assert store.clip(1).fps == 25.0
    assert store.clip(1).splits == ("train", "gsp/test")
    assert "mine; imported from poses.pkl; 1 of 2 clips had several" in store.header.note
    assert "crowd: person 1 of 3 taken" in caplog.text
    assert "alone" not in caplog.text


def test_import_guesses_nothing(dump, tmp_path, make_header):
    out = tmp_path / "s.arrow"
    third = np.concatenate([_annotation()["keypoint"], _annotation()["keypoint_score"][..., None]], axis=-1)
    path = dump([_annotation(keypoint=third, keypoint_score=None)])
    with pytest.raises(PoseStoreError, match=r"'a': keypoint has three coordinates"):
        import_mmaction_pickle(path, out, make_header())
    store = import_mmaction_pickle(path, out, make_header(), third_is_score=True)
    assert np.abs(store.clip(0).score - third[0, ..., 2]).max() < 0.003

    score = np.full((1, 5, 17), 1.02)
    path = dump([_annotation("hot", keypoint_score=score)])
    with pytest.raises(PoseStoreError, match=r"clip 'hot': scores run from .*1\.02.*say clip_scores=True"):
        import_mmaction_pickle(path, tmp_path / "t.arrow", make_header())
    assert not (tmp_path / "t.arrow").exists()
    store = import_mmaction_pickle(path, tmp_path / "t.arrow", make_header(), clip_scores=True)
    assert (store.clip(0).score == 1).all()
    assert store.header.note.endswith("1 of 1 clips had scores above 1, which were set to 1")


def test_store_to_pickle_and_back_loses_nothing(tmp_path, make_clip, make_header, write_store):
    clips = [make_clip(f"c{i}", frames=4 + i, seed=i) for i in range(4)]
    store = write_store(tmp_path / "a.arrow", clips)
    write_mmaction_pickle(store, tmp_path / "a.pkl")
    again = import_mmaction_pickle(tmp_path / "a.pkl", tmp_path / "b.arrow", make_header())
    assert isinstance(again, PoseStore)
    assert again.fingerprint == store.fingerprint
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.arrow", "a.pkl", "b.arrow"]


def test_mmactions_own_dataset_reads_what_is_written(tmp_path, make_clip, write_store):
    import gspmc_mm  # noqa: F401  (repairs that mmaction's import may need)

    datasets = pytest.importorskip("mmaction.datasets")
    clips = [make_clip(f"c{i}", frames=8, seed=i) for i in range(5)]
    store = write_store(tmp_path / "a.arrow", clips)
    write_mmaction_pickle(store, tmp_path / "a.pkl")
    pipeline = [
        {"type": "mmaction.PreNormalize2D"},
        {"type": "mmaction.GenSkeFeat", "dataset": "coco", "feats": ["j"]},
        {"type": "mmaction.UniformSampleFrames", "clip_len": 6},
        {"type": "mmaction.PoseDecode"},
        {"type": "mmaction.FormatGCNInput", "num_person": 1},
        {"type": "mmaction.PackActionInputs"},
    ]
    data = datasets.PoseDataset(str(tmp_path / "a.pkl"), pipeline, split="train")
    assert [data.get_data_info(i)["frame_dir"] for i in range(len(data))] == ["c1", "c3"]
    assert data[1]["inputs"].shape == (1, 1, 6, 17, 3)
    assert int(data[1]["data_samples"].gt_label) == 3

    bare = write_store(tmp_path / "b.arrow", [make_clip("x", splits=())])
    write_mmaction_pickle(bare, tmp_path / "b.pkl")
    assert len(datasets.PoseDataset(str(tmp_path / "b.pkl"), pipeline)) == 1
