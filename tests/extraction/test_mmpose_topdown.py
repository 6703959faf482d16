from __future__ import annotations

import os
import pickle
import urllib.request

import numpy as np
import pytest
import torch
from mmengine.registry import DefaultScope

from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.estimator import make_estimator
from gspmc_mm.extraction.mmpose_topdown import HRNET_W48_DARK, MMPoseTopdown, find_model

if os.environ.get("CI") != "true":
    pytest.importorskip("mmpose")

PUBLISHED = "hrnet_w48_coco_wholebody_384x288_dark-f5726563_20200918.pth"


@pytest.fixture(autouse=True)
def _scope_of_mmpose():
    """mmpose's own functions set their scope for the whole process; the tests of other rooms come after these."""
    with DefaultScope.overwrite_default_scope("mmpose"):
        yield


@pytest.fixture
def no_network(monkeypatch):
    """Nothing may be downloaded: the config's ImageNet weights would be, at the build."""

    def refuse(*args, **kwargs):
        raise OSError("the test has no network")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)


def pictures():
    """Two pictures that are not alike, of different sizes."""
    random = np.random.default_rng(0)
    small = [random.integers(0, 256, (9, 16, 3)), random.integers(0, 256, (12, 9, 3))]
    return [np.kron(picture, np.ones((30, 30, 1))).astype(np.uint8) for picture in small]


@pytest.mark.slow
def test_points_are_those_of_inference_topdown(no_network):
    """HRNet-W48 as it is used, with random weights: the whole of one picture and a part of another, in one batch."""
    from mmpose.apis import inference_topdown

    estimator = MMPoseTopdown(checkpoint="random:3", batch_size=2)
    estimator.load()
    frames, box = pictures(), np.array([40.5, 20, 230, 330], np.float32)
    expected = [
        inference_topdown(estimator._network, frames[0])[0].pred_instances,  # by default the whole picture
        inference_topdown(estimator._network, frames[1], box[None])[0].pred_instances,
    ]
    preparation = pickle.loads(pickle.dumps(estimator.preparation))  # as it gets into another process
    inputs = [preparation(frames[0], np.array([0, 0, 480, 270], np.float32)), preparation(frames[1], box)]
    poses = estimator.estimate(inputs)
    assert np.ptp(poses.keypoint) > 100
    assert len(np.unique(poses.score)) > 100
    # A batch may add in another order than a single picture does; a point moves by far less than a pixel by that.
    np.testing.assert_allclose(poses.score, np.concatenate([e.keypoint_scores for e in expected]), atol=1e-6)
    np.testing.assert_allclose(poses.keypoint, np.concatenate([e.keypoints for e in expected]), atol=0.01)


@pytest.fixture
def small_config(tmp_path):
    """A network of the same kind that is built and run in a moment."""
    path = tmp_path / "small.py"
    path.write_text(
        f"_base_ = [{str(find_model(HRNET_W48_DARK)[0])!r}]\n"
        "model = dict(backbone=dict(_delete_=True, type='ResNet', depth=18, "
        "init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet18')), "
        "head=dict(in_channels=512, deconv_out_channels=(8, 8, 8), deconv_kernel_sizes=(4, 4, 4)))\n"
    )
    return path


@pytest.mark.parametrize("flip_test", [True, False])
def test_a_checkpoint_and_the_flip_test_change_what_they_should(no_network, small_config, tmp_path, flip_test):
    from mmpose.apis import inference_topdown

    first = MMPoseTopdown(model=str(small_config), checkpoint="random:1", flip_test=flip_test)
    first.load()
    torch.save({"state_dict": first._network.state_dict(), "meta": {}}, tmp_path / "w.pth")
    second = MMPoseTopdown(model=str(small_config), checkpoint=str(tmp_path / "w.pth"), flip_test=flip_test)
    second.load()
    frame = pictures()[0]
    inputs = [second.preparation(frame, np.array([0, 0, 480, 270], np.float32))]
    found = second.estimate(inputs)
    np.testing.assert_array_equal(found.keypoint, first.estimate(inputs).keypoint)
    assert second._network.test_cfg["flip_test"] is flip_test  # so that mmpose's own function does the same
    expected = inference_topdown(second._network, frame)[0].pred_instances
    np.testing.assert_allclose(found.keypoint, expected.keypoints, atol=0.01)
    assert second.info["version"].endswith("flip test, float32" if flip_test else "no flip test, float32")
    assert second.info["weights"].startswith("w.pth sha256:")
    assert first.info["weights"] == "RANDOM, seed 1"


def test_half_precision_is_close_and_named(no_network, small_config):
    whole = MMPoseTopdown(model=str(small_config), checkpoint="random:1")
    half = MMPoseTopdown(model=str(small_config), checkpoint="random:1", amp=True)
    whole.load()
    half.load()
    picture = pictures()[0]
    crop = whole.preparation(picture, np.array([0, 0, 480, 270], np.float32))[0][None]
    ours, theirs = half.heatmaps(crop), whole.heatmaps(crop)
    assert ours.dtype == np.float32
    assert 0 < np.abs(ours - theirs).max() < 0.1 * np.abs(theirs).max()
    assert half.info != whole.info


def test_the_model_index_knows_config_and_weights(no_network):
    config, weights = find_model(HRNET_W48_DARK)
    assert config.is_file()
    assert weights.endswith(f"/{PUBLISHED}")
    info = make_estimator("mmpose").info
    assert info["name"] == HRNET_W48_DARK
    assert info["version"].startswith("mmpose 1.")
    assert info["weights"] == PUBLISHED


def test_without_a_connection_it_says_what_to_do(no_network, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ExtractionError, match=rf"{PUBLISHED} cannot be loaded .*--checkpoint FILE"):
        make_estimator("mmpose").load()


def test_what_is_no_model_is_refused(tmp_path, small_config):
    with pytest.raises(ExtractionError, match="no whole-body model 'hrnet'"):
        MMPoseTopdown(model="hrnet")
    with pytest.raises(ExtractionError, match=r"nowhere\.py: there is no such config"):
        MMPoseTopdown(model=str(tmp_path / "nowhere.py"))
    with pytest.raises(ExtractionError, match="config without published weights"):
        MMPoseTopdown(model=str(small_config))
    with pytest.raises(ExtractionError, match="random:<whole number>"):
        MMPoseTopdown(checkpoint="random:x")
    with pytest.raises(ExtractionError, match="batch size is 0"):
        MMPoseTopdown(batch_size=0)
    body = tmp_path / "body.py"
    body.write_text(small_config.read_text() + "model['head']['out_channels'] = 17\n")
    estimator = MMPoseTopdown(model=str(body), checkpoint="random")
    with pytest.raises(ExtractionError, match="its head has 17 points; expected 133"):
        estimator.load()
    if not torch.cuda.is_available():
        with pytest.raises(ExtractionError, match="sees no GPU here"):
            MMPoseTopdown(checkpoint="random", device="cuda").load()


def test_the_scope_of_the_process_is_left_alone(no_network):
    frame = pictures()[0]
    height, width = frame.shape[:2]
    estimator = MMPoseTopdown(checkpoint="random:0")
    with DefaultScope.overwrite_default_scope("mmaction"):
        estimator.load()
        estimator.preparation(frame, np.array([0, 0, width, height], dtype=np.float32))
        assert DefaultScope.get_current_instance().scope_name == "mmaction"
