"""Clips of mmaction's own PoseDataset: no layout, no clip id, and 3D ones without scores."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from mmaction.registry import DATASETS

from gspmc_mm.datasets.transforms import (
    FillMissingKeypoints,
    LoadSignDescriptions,
    MirrorSigner,
    NormalizeSigner,
    SelectKeypoints,
    SkeletonStream,
    TrimToSigning,
)
from gspmc_mm.skeleton import get_layout

STEPS = {
    "MirrorSigner": lambda **given: MirrorSigner(prob=1, **given),
    "NormalizeSigner": NormalizeSigner,
    "SkeletonStream": lambda **given: SkeletonStream(stream="b", **given),
    "TrimToSigning": TrimToSigning,
}


@pytest.fixture(scope="module")
def pickled(tmp_path_factory):
    """Two clips of 17 points, the second one without scores."""
    rng = np.random.default_rng(0)
    clips = []
    for number in range(2):
        keypoint = rng.uniform(20, 400, (1, 6, 17, 2)).astype(np.float32)
        keypoint[0, 2, 9] = 0  # lost for a frame
        clip = {"frame_dir": f"clip{number}", "label": number, "total_frames": 6, "keypoint": keypoint}
        clip["img_shape"] = clip["original_shape"] = (480, 512)
        if number == 0:
            clip["keypoint_score"] = np.any(keypoint != 0, axis=-1).astype(np.float32)
        clips.append(clip)
    path = tmp_path_factory.mktemp("pickle") / "poses.pkl"
    content = {"split": {"train": ["clip0", "clip1"]}, "annotations": clips}
    path.write_bytes(pickle.dumps(content))
    return str(path)


@pytest.fixture
def clip(pickled):
    dataset = DATASETS.build(dict(type="PoseDataset", ann_file=pickled, pipeline=[], split="train"))
    return lambda index=0: dataset.get_data_info(index)


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("index", [0, 1])
def test_a_given_layout_stands_in_for_the_clips_own(clip, name, index):
    found = STEPS[name](layout="coco17")(clip(index))
    expected = STEPS[name]()({**clip(index), "layout": get_layout("coco17")})
    np.testing.assert_array_equal(found["keypoint"], expected["keypoint"])
    assert ("keypoint_score" in found) == (index == 0)


@pytest.mark.parametrize("name", STEPS)
def test_the_layout_of_the_clip_goes_first(make_results, name):
    found, expected = (step(make_results("sign87")) for step in (STEPS[name](layout="coco17"), STEPS[name]()))
    np.testing.assert_array_equal(found["keypoint"], expected["keypoint"])


@pytest.mark.parametrize("name", STEPS)
def test_a_layout_that_nobody_says(clip, name):
    with pytest.raises(ValueError, match=rf"{name}: clip 'clip0' does not say its layout.*give {name} `layout=`"):
        STEPS[name]()(clip())


@pytest.mark.parametrize("name", STEPS)
def test_a_given_layout_of_another_number_of_points(clip, name):
    with pytest.raises(ValueError, match="clip 'clip0' has 17 points, but its `layout=` 'sign87' has 87"):
        STEPS[name](layout="sign87")(clip())


def test_select_keypoints_names_the_layout_for_the_steps_behind_it(clip):
    chosen = SelectKeypoints("coco17", clip_layout="coco17")(clip())
    assert chosen["layout"] is get_layout("coco17")
    assert chosen["keypoint"].shape == (1, 6, 17, 2)
    assert MirrorSigner(prob=1)(chosen)["mirrored"]
    arms = {"name": "arms", "subset_of": "coco17", "joints": [5, 6], "parts": {"body": [0, 1]}, "swap": [1, 0]}
    found = SelectKeypoints(arms, clip_layout="coco17")(clip())
    np.testing.assert_array_equal(found["keypoint"], clip()["keypoint"][..., [5, 6], :])
    with pytest.raises(ValueError, match="give SelectKeypoints `clip_layout=`"):
        SelectKeypoints("coco17")(clip())


def test_the_texts_of_a_mirrored_clip(clip, bank):
    mirrored = MirrorSigner(prob=1, layout="coco17")(clip())
    with pytest.raises(ValueError, match="clip 'clip0' is mirrored and does not say its layout"):
        LoadSignDescriptions(bank)(mirrored)
    assert "text_rows" in LoadSignDescriptions(bank, layout="coco17")(mirrored)


def test_gaps_are_filled_with_and_without_scores(clip):
    with_scores, without = (FillMissingKeypoints(max_gap=1)(clip(index)) for index in (0, 1))
    assert with_scores["keypoint_score"][0, 2, 9] == 1
    assert "keypoint_score" not in without
    for found, index in ((with_scores, 0), (without, 1)):
        before = clip(index)["keypoint"]
        np.testing.assert_allclose(found["keypoint"][0, 2, 9], (before[0, 1, 9] + before[0, 3, 9]) / 2, rtol=1e-6)
    # Nothing says that a point is uncertain.
    certain = FillMissingKeypoints(min_score=0.9)(clip(1))
    np.testing.assert_array_equal(certain["keypoint"], clip(1)["keypoint"])


def test_a_whole_pipeline_on_mmactions_data_set(pickled):
    steps = [
        dict(type="SelectKeypoints", layout="coco17", clip_layout="coco17"),
        dict(type="FillMissingKeypoints", min_score=0.3, max_gap=2),
        dict(type="MirrorSigner", prob=1),
        dict(type="NormalizeSigner"),
        dict(type="SampleSignFrames", clip_len=4),
        dict(type="PoseDecode"),
        dict(type="SkeletonStream", stream="bm"),
        dict(type="FormatGCNInput", num_person=1),
        dict(type="PackActionInputs"),
    ]
    from mmengine.registry import DefaultScope

    with DefaultScope.overwrite_default_scope("mmaction"):
        dataset = DATASETS.build(dict(type="PoseDataset", ann_file=pickled, pipeline=steps, split="train"))
    assert [tuple(dataset[index]["inputs"].shape) for index in range(2)] == [(1, 1, 4, 17, 3), (1, 1, 4, 17, 2)]
