"""Pixels to integers and back."""

import numpy as np
import pytest

from gspmc_mm.poses.quantization import dequantize, quantize


def test_error_is_at_most_a_sixteenth_of_a_pixel():
    random = np.random.default_rng(0)
    for size in ((1920, 1080), (641, 481)):
        keypoint = (random.random((50, 133, 2)) * 7000 - 3000).astype(np.float32)
        score = random.random((50, 133)).astype(np.float32) * 0.99 + 0.01
        pixels, confidence = dequantize(*quantize(keypoint, score, size), size)
        error = np.abs(pixels.astype(np.float64) - keypoint)
        assert error.max() <= 1 / 16
        assert error.max() > 1 / 20  # it is the announced step, not a finer one
        assert np.abs(confidence - score).max() <= 0.5 / 255 + 1e-7
        assert pixels.dtype == confidence.dtype == np.float32


def test_integers_follow_the_written_rule():
    keypoint = np.array([[[320.0, 240.0], [321.0, 239.0], [320.07, 240.0], [0.0, 480.0]]])
    score = np.array([[1.0, 0.5, 0.2, 1.0]])
    small, confidence = quantize(keypoint, score, (640, 480))
    assert small.tolist() == [[[0, 0], [8, -8], [1, 0], [-2560, 1920]]]
    assert confidence.tolist() == [[255, 128, 51, 255]]
    assert small.dtype == np.dtype("<i2")
    assert confidence.dtype == np.uint8


def test_missing_points_come_back_as_exactly_zero():
    # Coordinates of a missing point mean nothing, so even absurd ones are no reason to refuse.
    keypoint = np.array([[[1e6, -1e6], [17.3, 5.9], [0.0, 0.0]]], dtype=np.float32)
    score = np.array([[0, 0, 0.7]], dtype=np.float32)
    small, confidence = quantize(keypoint, score, (641, 480))
    assert small[0, :2].tolist() == [[0, 0], [0, 0]]
    pixels, scores = dequantize(small, confidence, (641, 480))
    assert pixels[0, :2].tolist() == [[0, 0], [0, 0]]
    assert scores[0, :2].tolist() == [0, 0]
    assert pixels[0, 2].tolist() == [0, 0]  # a seen point in the corner stays seen
    assert scores[0, 2] > 0


def test_a_faint_score_does_not_become_missing():
    score = np.array([[1e-9, 1 / 600, 1.0, 0.0]])
    confidence = quantize(np.ones((1, 4, 2)), score, (10, 10))[1]
    assert confidence.tolist() == [[1, 1, 255, 0]]


def test_every_stored_value_survives_a_second_round():
    small = np.arange(-32768, 32768, dtype=np.int16).reshape(256, 128, 2)
    confidence = (np.arange(256 * 128) % 255 + 1).astype(np.uint8).reshape(256, 128)
    pixels, scores = dequantize(small, confidence, (1919, 1081))
    again = quantize(pixels, scores, (1919, 1081))
    np.testing.assert_array_equal(again[0], small)
    np.testing.assert_array_equal(again[1], confidence)


def test_range_is_4096_pixels_and_beyond_is_refused():
    score = np.ones((1, 2))
    inside = np.array([[[960 - 4096, 540 + 4095.9], [0, 0]]])
    assert quantize(inside, score, (1920, 1080))[0][0, 0].tolist() == [-32768, 32767]
    for x in (960 - 4096.1, 960 + 4096.0):
        with pytest.raises(ValueError, match=r"point 1 of frame 0 lies at .* 4096 pixels"):
            quantize(np.array([[[0, 0], [x, 0]]]), score, (1920, 1080))
