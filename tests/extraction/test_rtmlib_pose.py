from __future__ import annotations

import os
import urllib.request

import numpy as np
import pytest

from gspmc_mm.extraction import rtmlib_pose
from gspmc_mm.extraction.detectors import YoloxDetector
from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.rtmlib_pose import MODELS, RTMLibPose, local_model

if os.environ.get("CI") != "true":
    pytest.importorskip("rtmlib")
    pytest.importorskip("onnx")
WIDTH, HEIGHT = 24, 32


def simcc_model(path, points=133):
    """An ONNX file that answers every picture with the same two tables: point k is at x = k % 48, y = k % 64 halves."""
    from onnx import TensorProto, helper, numpy_helper, save

    def table(length, scale):
        values = np.zeros((1, points, length), np.float32)
        values[0, np.arange(points), np.arange(points) % length] = scale
        return values

    graph = helper.make_graph(
        [
            helper.make_node("ReduceSum", ["input"], ["sum"], keepdims=0),
            helper.make_node("Mul", ["sum", "nothing"], ["zero"]),
            helper.make_node("Add", ["x_table", "zero"], ["simcc_x"]),
            helper.make_node("Add", ["y_table", "zero"], ["simcc_y"]),
        ],
        "simcc",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH])],
        [
            helper.make_tensor_value_info("simcc_x", TensorProto.FLOAT, [1, points, 2 * WIDTH]),
            helper.make_tensor_value_info("simcc_y", TensorProto.FLOAT, [1, points, 2 * HEIGHT]),
        ],
        [
            numpy_helper.from_array(np.float32(0), "nothing"),
            numpy_helper.from_array(table(2 * WIDTH, 0.9), "x_table"),
            numpy_helper.from_array(table(2 * HEIGHT, 0.8), "y_table"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    save(model, str(path))
    return path


def test_points_come_back_in_the_picture(tmp_path, capsys):
    estimator = RTMLibPose(model=str(simcc_model(tmp_path / "tiny.onnx")))
    estimator.load()
    frame = np.full((HEIGHT * 10, WIDTH * 10, 3), 90, np.uint8)
    box = np.array([0, 0, WIDTH * 10, HEIGHT * 10], np.float32)
    poses = estimator.estimate(iter([(frame, box), (frame, box)]))
    assert len(poses) == 2
    # the box has the model's shape and is padded by 1.25: half a pixel of the model is 6.25 of the frame
    number = np.arange(133)
    expected = np.stack([number % 48 * 6.25 - 30, number % 64 * 6.25 - 40], axis=1)
    np.testing.assert_allclose(poses.keypoint[0], expected, atol=1e-3)
    np.testing.assert_allclose(poses.score, 0.85)  # the mean of both axes
    assert capsys.readouterr().out == ""
    info = estimator.info
    assert info["name"] == "tiny"
    assert info["version"].startswith("rtmlib ")
    assert info["weights"].startswith("tiny.onnx sha256:")


def test_models_of_other_points_or_of_nothing_are_refused(tmp_path):
    with pytest.raises(ExtractionError, match=r"other\.onnx: its outputs have the shapes .*1, 17, 48.* expected two"):
        RTMLibPose(model=str(simcc_model(tmp_path / "other.onnx", points=17))).load()
    (tmp_path / "text.onnx").write_text("404")
    with pytest.raises(ExtractionError, match=r"text\.onnx: no model that ONNX Runtime can read"):
        RTMLibPose(model=str(tmp_path / "text.onnx")).load()
    with pytest.raises(ExtractionError, match=r"nowhere\.onnx: there is no such ONNX file; expected a path"):
        RTMLibPose(model="nowhere.onnx")
    with pytest.raises(ExtractionError, match=r"there is no such ONNX file of a detector"):
        YoloxDetector(model="nowhere.onnx")


def test_boxes_of_a_detector_come_back_in_the_picture(tmp_path):
    from onnx import TensorProto, helper, numpy_helper, save

    boxes = np.array([[[8, 4, 24, 40, 0.9], [40, 4, 60, 44, 0.8], [0, 0, 64, 64, 0.1]]], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("ReduceSum", ["input"], ["sum"], keepdims=0),
            helper.make_node("Mul", ["sum", "nothing"], ["zero"]),
            helper.make_node("Add", ["boxes", "zero"], ["dets"]),
        ],
        "detector",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("dets", TensorProto.FLOAT, [1, 3, 5])],
        [numpy_helper.from_array(np.float32(0), "nothing"), numpy_helper.from_array(boxes, "boxes")],
    )
    path = tmp_path / "yolox.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), str(path))
    detector = YoloxDetector(model=str(path))
    detector.load()
    found = detector.people(np.zeros((128, 128, 3), np.uint8))  # twice the size of its input
    np.testing.assert_allclose(found, 2 * boxes[0, :2, :4])
    assert "yolox.onnx sha256:" in detector.name


def test_without_a_connection_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*args, **kwargs):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    monkeypatch.setattr("rtmlib.tools.file.urlopen", refuse)
    with pytest.raises(ExtractionError, match=r"dwpose|ucoco.*cannot be downloaded .*--model FILE\.onnx"):
        local_model(MODELS["dwpose-l"])


def test_published_models_are_named_by_their_file():
    info = RTMLibPose(model="rtmw-x").info
    assert info["name"] == "rtmw-x"
    assert info["weights"] == MODELS["rtmw-x"].rpartition("/")[2]
    assert rtmlib_pose.RTMLibPose().model in MODELS
