from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from gspmc_mm.visualization.curves import (
    COLOURS,
    CurvesError,
    draw_training_curves,
    read_training_curves,
)


def write_run(work_dir: Path, start: str, epochs: range, loss: float, cut: bool = False, **extra: float) -> None:
    lines = []
    for epoch in epochs:
        for i in range(2):
            step = 2 * (epoch - 1) + i + 1
            record = {"lr": 0.1, "loss": loss + i, "epoch": epoch, "iter": step, "step": step}
            lines.append(json.dumps(record | extra))
        lines.append(json.dumps({"acc/top1": epoch / 10, "acc/top1_per_class": 0.0, "step": epoch}))
    folder = work_dir / start / "vis_data"
    folder.mkdir(parents=True)
    text = "\n".join(lines) + "\n"
    (folder / "scalars.json").write_text(text[:-9] if cut else text)


def test_epoch_means_and_validation(tmp_path: Path) -> None:
    write_run(tmp_path / "w", "20260101_000000", range(1, 4), 2.0)
    curves = read_training_curves(tmp_path / "w")
    assert curves.name == "w"
    assert curves.train["loss"] == {1: 2.5, 2: 2.5, 3: 2.5}
    assert curves.val[curves.val_key("top1")] == {1: 0.1, 2: 0.2, 3: 0.3}
    assert curves.val_key("top9") is None
    assert curves.by_epoch


def test_a_resumed_run_wins_from_its_first_epoch_on(tmp_path: Path) -> None:
    write_run(tmp_path / "w", "20260101_000000", range(1, 5), 2.0, cut=True)
    write_run(tmp_path / "w", "20260102_000000", range(3, 4), 7.0)
    curves = read_training_curves(tmp_path / "w")
    assert curves.train["loss"] == {1: 2.5, 2: 2.5, 3: 7.5}
    assert curves.val["acc/top1"] == {1: 0.1, 2: 0.2, 3: 0.3}


def test_a_test_run_beside_it_is_no_training(tmp_path: Path) -> None:
    write_run(tmp_path / "w", "20260101_000000", range(1, 3), 2.0)
    folder = tmp_path / "w" / "20260103_000000" / "vis_data"
    folder.mkdir(parents=True)
    (folder / "scalars.json").write_text('{"acc/top1": 0.9, "step": 0}\n')
    curves = read_training_curves(tmp_path / "w")
    assert curves.val["acc/top1"] == {1: 0.1, 2: 0.2}
    assert sorted(curves.train["loss"]) == [1, 2]


def test_iteration_based_trainings(tmp_path: Path) -> None:
    path = tmp_path / "20260101_000000.json"
    path.write_text('{"loss": 3.0, "step": 10}\n{"loss": 2.0, "step": 20}\n{"top1": 0.5, "step": 20}')
    curves = read_training_curves(path)
    assert not curves.by_epoch
    assert curves.train["loss"] == {10: 3.0, 20: 2.0}
    assert curves.val[curves.val_key("top1")] == {20: 0.5}


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_training_curves(tmp_path / "nowhere")
    with pytest.raises(CurvesError, match="LocalVisBackend"):
        read_training_curves(tmp_path)
    path = tmp_path / "bad.json"
    path.write_text('{"loss": 1, "step": 1}\nnot json\n{"loss": 1, "step": 2}\n')
    with pytest.raises(CurvesError, match="line 2"):
        read_training_curves(path)
    path.write_text("[1]\n{}\n")
    with pytest.raises(CurvesError, match="line 1"):
        read_training_curves(path)


def test_picture(tmp_path: Path) -> None:
    write_run(tmp_path / "gspmc", "1", range(1, 4), 3.0, loss_cls=1.5)
    write_run(tmp_path / "ctrgcn", "1", range(1, 4), 2.0, loss_cls=1.8)
    runs = [tmp_path / "gspmc", tmp_path / "ctrgcn"]
    png, svg = draw_training_curves(runs, tmp_path / "out" / "curves.v1", title="synthetic")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert png.name == "curves.v1.png"
    text = svg.read_text()
    ElementTree.fromstring(text)
    for colour in COLOURS[:2]:
        assert colour.lower() in text.lower()
    assert sorted(path.name for path in png.parent.iterdir()) == ["curves.v1.png", "curves.v1.svg"]
    again = draw_training_curves(runs, tmp_path / "again", title="synthetic")[1]
    assert again.read_text() == text


def test_runs_need_names_of_their_own_and_a_loss(tmp_path: Path) -> None:
    write_run(tmp_path / "a" / "w", "1", range(1, 2), 3.0)
    write_run(tmp_path / "b" / "w", "1", range(1, 2), 3.0, loss_cls=1.0)
    with pytest.raises(CurvesError, match="one name"):
        draw_training_curves([tmp_path / "a" / "w", tmp_path / "b" / "w"], tmp_path / "x")
    named = {"a": tmp_path / "a" / "w", "b": tmp_path / "b" / "w"}
    png, _ = draw_training_curves(named, tmp_path / "x")  # falls back to the sum, which both have
    assert png.is_file()
    with pytest.raises(CurvesError, match="no trainings"):
        draw_training_curves([], tmp_path / "x")


def luminance(colour: str) -> float:
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_lines_can_be_told_from_white_and_the_first_two_without_colour() -> None:
    assert len(set(COLOURS)) == len(COLOURS)
    assert all(1.05 / (luminance(colour) + 0.05) >= 2 for colour in COLOURS)
    # Deuteranopia: red and green fall together; blue against orange must stay apart in blue.
    first, second = (int(colour[5:7], 16) for colour in COLOURS[:2])
    assert abs(first - second) > 100
