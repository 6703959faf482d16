from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS
from mmengine.dataset import (
    ClassBalancedDataset,
    ConcatDataset,
    DefaultSampler,
    RepeatDataset,
    pseudo_collate,
)
from torch.utils.data import DataLoader

from gspmc_mm.datasets import PoseDataError, SignPoseDataset
from gspmc_mm.poses import PoseStore
from gspmc_mm.skeleton import get_layout

CLASSES = ("again", "age", "dinner")


def train_pipeline(bank_path, stream="j", **sampling):
    return [
        {"type": "SelectKeypoints", "layout": "sign87"},
        {"type": "FillMissingKeypoints", "min_score": 0.05, "max_gap": 2},
        {"type": "MirrorSigner", "prob": 0.5},
        {"type": "NormalizeSigner"},
        {"type": "RandomPlanarAffine", "rotate": 5},
        {"type": "SampleSignFrames", "clip_len": 6, **sampling},
        {"type": "PoseDecode"},
        {"type": "SkeletonStream", "stream": stream},
        {"type": "LoadSignDescriptions", "text_bank": str(bank_path), "num_classes": 3},
        {"type": "FormatGCNInput", "num_person": 1},
        {
            "type": "PackActionInputs",
            "meta_keys": ("clip_id", "signer", "stream"),
            "algorithm_keys": ("text_rows",),
        },
    ]


def annotation(number, points=133, persons=1, frames=6, **changes):
    rng = np.random.default_rng(number)
    shape = (persons, frames, points)
    return {
        "frame_dir": f"clip-{number}",
        "label": number % 3,
        "img_shape": (480, 512),
        "original_shape": (480, 512),
        "total_frames": frames,
        "keypoint": rng.uniform(1, 400, (*shape, 2)).astype(np.float16),
        "keypoint_score": rng.uniform(0.1, 1, shape).astype(np.float16),
        **changes,
    }


@pytest.fixture
def write_pickle(tmp_path):
    def write(annotations, split=None, name="poses.pkl"):
        path = tmp_path / name
        if split is None:
            split = {"train": [a["frame_dir"] for a in annotations[:-1]], "none": []}
        path.write_bytes(pickle.dumps({"split": split, "annotations": annotations}, protocol=4))
        return path

    return write


def test_a_clip_as_the_pipeline_gets_it(store_path):
    dataset = SignPoseDataset(str(store_path), split="train")
    store = PoseStore(store_path)
    assert len(dataset) == 6
    assert dataset.load_data_list()[2] == {"clip_id": "clip-3", "label": 0}
    info = dataset[2]  # no pipeline: what get_data_info gives
    clip = store.clip(3)
    np.testing.assert_array_equal(info["keypoint"], clip.keypoint[None])
    np.testing.assert_array_equal(info["keypoint_score"], clip.score[None])
    assert info["keypoint"].dtype == info["keypoint_score"].dtype == np.float32
    expected = {
        "total_frames": 8,
        "label": 0,
        "clip_id": "clip-3",
        "frame_dir": "clip-3",
        "signer": "s1",
        "img_shape": (480, 512),
        "fps": 25.0,
        "layout": get_layout("wholebody133"),
        "sample_idx": 2,
        "modality": "Pose",
        "start_index": 0,
    }
    assert {key: info[key] for key in expected} == expected
    assert dataset.get_data_info(-1)["sample_idx"] == 5
    assert dataset.get_data_info(-1)["clip_id"] == "clip-7"
    assert dataset.get_cat_ids(1) == [1]
    assert dataset.labels.tolist() == [0, 1, 0, 1, 0, 1]
    with pytest.raises(IndexError, match="6"):
        dataset.get_data_info(6)


def test_metainfo_comes_from_the_store(store_path):
    dataset = SignPoseDataset(str(store_path), metainfo={"task": "signs"})
    assert dataset.num_classes == 3
    assert dataset.metainfo["classes"] == CLASSES
    assert dataset.metainfo["layout"] == "wholebody133"
    assert dataset.metainfo["estimator"]["name"] == "made up"
    assert dataset.metainfo["task"] == "signs"


def test_built_from_a_config_with_a_data_root(store_path):
    config = {
        "type": "SignPoseDataset",
        "ann_file": store_path.name,
        "data_root": str(store_path.parent),
        "split": ["train", "test"],
        "pipeline": [{"type": "SelectKeypoints", "layout": "sign87"}],
        "classes": list(CLASSES),
        "num_classes": 3,
        "test_mode": True,
    }
    dataset = DATASETS.build(config)
    assert len(dataset) == 9
    assert dataset[0]["keypoint"].shape == (1, 5, 87, 2)
    assert "9 clips" in repr(dataset)


def test_folder_and_list_of_shards(make_store, tmp_path):
    folder = tmp_path / "shards"
    folder.mkdir()
    files = [make_store(folder / f"{i}.arrow", range(3 * i, 3 * i + 3)) for i in range(2)]
    for ann_file in (str(folder), [str(file) for file in files], [file.name for file in files]):
        dataset = SignPoseDataset(ann_file, data_root=str(folder), split="train")
        assert [item["clip_id"] for item in dataset.load_data_list()] == [
            "clip-0",
            "clip-1",
            "clip-3",
            "clip-4",
        ]


@pytest.mark.parametrize(("indices", "expected"), [(2, [0, 1]), (-2, [7, 8]), ([4, 0, -1], [4, 0, 8]), (0, [])])
@pytest.mark.parametrize("serialize", [True, False])
def test_indices_and_subsets(store_path, indices, expected, serialize):
    def ids(dataset):
        return [int(dataset[i]["clip_id"].split("-")[1]) for i in range(len(dataset))]

    whole = SignPoseDataset(str(store_path), serialize_data=serialize)
    assert ids(SignPoseDataset(str(store_path), indices=indices)) == expected
    subset = whole.get_subset(indices)
    assert ids(subset) == expected
    assert ids(whole) == list(range(9))
    assert subset.pipeline is not whole.pipeline
    whole.get_subset_(indices)
    assert ids(whole) == expected


def test_a_few_clips_of_every_sign(store_path):
    """As many as asked for where there are as many, the same under one seed, and the smaller draw in the larger."""
    labels, path = SignPoseDataset(store_path).labels.tolist(), store_path

    def chosen(count, seed=0):
        dataset = SignPoseDataset(path, clips_per_sign=count, clips_seed=seed)
        assert len(dataset) == len(dataset.labels) == sum(min(count, labels.count(label)) for label in set(labels))
        return [clip["clip_id"] for clip in dataset.load_data_list()]

    one, two, all_of_them = chosen(1), chosen(2), chosen(9)
    assert set(one) < set(two) < set(all_of_them)
    assert two == chosen(2) == [clip for clip in all_of_them if clip in two]
    assert any(chosen(1, seed) != one for seed in range(1, 9))
    assert len(SignPoseDataset(path, clips_per_sign=2, indices=-2)) == 2
    with pytest.raises(PoseDataError, match="clips_per_sign=0; a sign needs at least one clip"):
        SignPoseDataset(path, clips_per_sign=0)


def test_indices_out_of_range(store_path):
    for indices in (10, -10, [0, 9]):
        with pytest.raises(PoseDataError, match="only 9"):
            SignPoseDataset(str(store_path), indices=indices)


def test_lazy_init(store_path, tmp_path):
    lazy = SignPoseDataset(str(tmp_path / "later.arrow"), lazy_init=True)
    assert "not opened" in repr(lazy)
    with pytest.raises(FileNotFoundError):
        lazy.full_init()
    lazy = SignPoseDataset(str(store_path), lazy_init=True)
    assert len(lazy) == 9
    lazy = SignPoseDataset(str(store_path), lazy_init=True)
    assert lazy[0]["clip_id"] == "clip-0"


def test_wrappers(store_path):
    train = SignPoseDataset(str(store_path), split="train")
    test = SignPoseDataset(str(store_path), split="test")
    both = ConcatDataset([train, test])
    assert len(both) == 9
    assert both[6]["clip_id"] == "clip-2"
    repeated = RepeatDataset(train, 3)
    assert len(repeated) == 18
    assert repeated[7]["clip_id"] == train[1]["clip_id"]
    rare = SignPoseDataset(str(store_path), indices=[0, 3, 6, 1])
    balanced = ClassBalancedDataset(rare, oversample_thr=1.0)
    labels = [balanced[i]["label"] for i in range(len(balanced))]
    assert labels == [0, 0, 0, 0, 0, 0, 1, 1]


def test_memory_does_not_grow_with_a_dict_per_clip(store_path):
    dataset = SignPoseDataset(str(store_path))
    dataset[0]
    tracemalloc.start()
    dataset._rows = np.arange(125_000) % 9
    dataset[70_000]
    current, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert current < 3e6
    assert len(pickle.dumps(dataset)) < 2e6  # what a spawned worker is sent
    assert dataset.data_list == []


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.arrow.*tools/pose/extract\.py.*tools/data/import_poses\.py"):
        SignPoseDataset(str(tmp_path / "nowhere.arrow"))
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pkl.*tools/data"):
        SignPoseDataset(str(tmp_path / "nowhere.pkl"))
    (tmp_path / "a.npz").write_bytes(b"x")
    with pytest.raises(PoseDataError, match=r"a\.npz.*neither"):
        SignPoseDataset(str(tmp_path / "a.npz"))
    with pytest.raises(PoseDataError, match="empty"):
        SignPoseDataset("")


def test_splits(store_path, write_pickle):
    with pytest.raises(PoseDataError, match="no split 'val'; splits inside: test, train"):
        SignPoseDataset(str(store_path), split="val")
    path = write_pickle([annotation(0), annotation(1)])
    with pytest.raises(PoseDataError, match="split 'none' is empty"):
        SignPoseDataset(str(path), split="none")
    with pytest.raises(PoseDataError, match="no split 'val'; splits inside: none, train"):
        SignPoseDataset(str(path), split="val")


def test_labels_are_checked(store_path, make_store, tmp_path):
    bare = make_store(tmp_path / "bare.arrow", classes=None)
    with pytest.raises(PoseDataError, match=r"'clip-2' has label 2.*2 classes.*3 of 9"):
        SignPoseDataset(str(bare), num_classes=2)
    assert len(SignPoseDataset(str(bare), split="train", num_classes=2)) == 6
    assert SignPoseDataset(str(bare)).num_classes is None
    with pytest.raises(PoseDataError, match=r"num_classes is 500.*3 class names"):
        SignPoseDataset(str(store_path), num_classes=500)


def test_classes_are_compared(store_path, tmp_path):
    with pytest.raises(PoseDataError, match=r"label 1 is 'ago'.*'age' in the file"):
        SignPoseDataset(str(store_path), classes=("again", "ago", "dinner"))
    with pytest.raises(PoseDataError, match="4 against 3"):
        SignPoseDataset(str(store_path), metainfo={"classes": [*CLASSES, "more"]})
    with pytest.raises(PoseDataError, match="differ"):
        SignPoseDataset(str(store_path), classes=CLASSES, metainfo={"classes": ["a"]})
    names = tmp_path / "classes.txt"
    names.write_text("\n".join(CLASSES), encoding="utf-8")
    assert SignPoseDataset(str(store_path), classes=str(names)).metainfo["classes"] == CLASSES
    with pytest.raises(FileNotFoundError, match=r"no_such\.txt"):
        SignPoseDataset(str(store_path), classes=str(tmp_path / "no_such.txt"))


def test_layout_of_the_file(store_path, make_store, user_layout, tmp_path):
    with pytest.raises(PoseDataError, match=r"133 points.*'coco17' has 17"):
        SignPoseDataset(str(store_path), layout="coco17")
    own = make_store(tmp_path / "own.arrow", layout=user_layout)
    info = SignPoseDataset(str(own), pipeline=[{"type": "NormalizeSigner"}])[0]
    assert info["layout"].name == "eight"
    assert info["keypoint"].shape == (1, 5, 8, 2)


def test_mmaction_pickle(write_pickle, bank_path):
    annotations = [annotation(i, persons=2) for i in range(5)]
    dataset = SignPoseDataset(str(write_pickle(annotations)), split="train", num_classes=3, test_mode=True)
    assert len(dataset) == 4
    info = dataset[3]
    assert info["keypoint"].shape == (2, 6, 133, 2)
    assert info["keypoint"].dtype == np.float32
    np.testing.assert_array_equal(info["keypoint"], annotations[3]["keypoint"].astype(np.float32))
    assert (info["clip_id"], info["label"], info["img_shape"]) == ("clip-3", 0, (480, 512))
    assert info["layout"].name == "wholebody133"
    dataset.pipeline.transforms = SignPoseDataset(
        str(write_pickle(annotations)), train_pipeline(bank_path)
    ).pipeline.transforms
    assert dataset[0]["inputs"].shape == (1, 1, 6, 87, 3)
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy[2]["data_samples"].clip_id == "clip-2"


def test_pickle_of_three_coordinates_without_scores(write_pickle):
    rows = [annotation(i, points=25) for i in range(2)]
    for row in rows:
        for key in ("keypoint_score", "img_shape", "original_shape"):
            del row[key]
        row["keypoint"] = np.repeat(row["keypoint"], 2, axis=-1)[..., :3]
        row["keypoint"][:, :, 4] = 0
    info = SignPoseDataset(str(write_pickle(rows)))[0]
    assert info["layout"].name == "ntu25"
    assert info["img_shape"] is None
    assert info["keypoint"].shape == (1, 6, 25, 3)
    np.testing.assert_array_equal(info["keypoint_score"][0, 0], np.arange(25) != 4)


def test_bad_clips_in_a_pickle(write_pickle):
    broken = annotation(1)
    broken["keypoint"][0, 2, 5] = np.nan
    with pytest.raises(PoseDataError, match=r"poses\.pkl: clip 'clip-1'.*NaN"):
        SignPoseDataset(str(write_pickle([annotation(0), broken])))
    # A broken clip outside the split does no harm.
    path = write_pickle([annotation(0), broken])
    assert len(SignPoseDataset(str(path), split="train")) == 1
    with pytest.raises(ValueError, match=r"poses\.pkl.*clip-1"):
        SignPoseDataset(str(write_pickle([annotation(0), annotation(1, frames=0)])))
    with pytest.raises(PoseDataError, match=r"clip-1.*17 points.*133"):
        SignPoseDataset(str(write_pickle([annotation(0), annotation(1, points=17)])))
    with pytest.raises(PoseDataError, match=r"42 points.*layout="):
        SignPoseDataset(str(write_pickle([annotation(0, points=42), annotation(1, points=42)])))
    with pytest.raises(PoseDataError, match=r"clip-0': scores run from .* to 1\.7.*import_poses\.py"):
        SignPoseDataset(str(write_pickle([annotation(0, keypoint_score=np.full((1, 6, 133), 1.7)), annotation(1)])))
    twice = write_pickle([annotation(0), annotation(0), annotation(1)])
    with pytest.raises(PoseDataError, match=r"poses\.pkl: clip 'clip-0' comes twice"):
        SignPoseDataset(str(twice))
    hands = write_pickle([annotation(i, points=42) for i in range(3)])
    assert len(SignPoseDataset(str(hands), layout="hands42")) == 3
    with pytest.raises(PoseDataError, match="several pickles"):
        SignPoseDataset([str(hands), str(hands)])


def check_batch(batch):
    for inputs, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
        assert inputs.shape == (1, 1, 6, 87, 3)
        assert inputs.dtype == torch.float32
        assert torch.isfinite(inputs).all()
        assert sample.gt_label.shape == (1,)
        assert int(sample.gt_label) == int(sample.clip_id.split("-")[1]) % 3
        assert sample.text_rows.shape == (7, 2)
        assert sample.metainfo["stream"] in ("j", "b", "jm", "bm")
        assert sample.signer.startswith("s")


@pytest.mark.parametrize("stream", ["j", "b", "jm", "bm"])
def test_train_pipeline(store_path, bank_path, stream):
    dataset = SignPoseDataset(str(store_path), train_pipeline(bank_path, stream))
    check_batch(pseudo_collate([dataset[i] for i in range(9)]))


def test_several_samplings_become_clips(store_path, bank_path):
    pipeline = train_pipeline(bank_path, num_clips=4, test_mode=True)
    dataset = SignPoseDataset(str(store_path), pipeline, test_mode=True)
    assert dataset[8]["inputs"].shape == (4, 1, 6, 87, 3)


# A spawned worker imports everything anew, which takes seconds: one is enough.
@pytest.mark.parametrize(("method", "workers"), [("fork", 2), pytest.param("spawn", 1, marks=pytest.mark.slow)])
def test_data_loader_workers(store_path, bank_path, method, workers):
    dataset = SignPoseDataset(str(store_path), train_pipeline(bank_path), split="train")
    loader = DataLoader(
        dataset,
        batch_size=3,
        sampler=DefaultSampler(dataset, shuffle=True, seed=0),
        num_workers=workers,
        collate_fn=pseudo_collate,
        multiprocessing_context=method,
    )
    seen = []
    for batch in loader:
        check_batch(batch)
        seen += [sample.clip_id for sample in batch["data_samples"]]
    assert sorted(seen) == [f"clip-{i}" for i in (0, 1, 3, 4, 6, 7)]


def test_the_pipeline_never_writes_into_the_clip(write_pickle, bank_path):
    rows = [annotation(i, keypoint=annotation(i)["keypoint"].astype(np.float32)) for i in range(2)]
    for row in rows:
        row["keypoint_score"] = row["keypoint_score"].astype(np.float32)
    dataset = SignPoseDataset(str(write_pickle(rows)), train_pipeline(bank_path))
    before = dataset.get_data_info(0)["keypoint"].copy()
    for _ in range(5):
        dataset[0]
    np.testing.assert_array_equal(dataset.get_data_info(0)["keypoint"], before)
