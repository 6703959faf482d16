from __future__ import annotations

import os
import subprocess
import sys

import pytest
from made_videos import drawn_frames, emptied, write_video
from quick_estimator import QuickEstimator

from gspmc_mm.poses import PoseStore


@pytest.fixture
def run(repository, tmp_path):
    def run(*arguments, tool="extract.py", **env):
        command = [sys.executable, repository / "tools" / "pose" / tool, *map(str, arguments)]
        env = {**os.environ, "COLUMNS": "200", **env}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def folder(tmp_path):
    """Two signs; no picture in the third video."""
    for number, name in enumerate(("again/s1_1", "dinner/s1_1", "dinner/s2_1")):
        write_video(tmp_path / "videos" / f"{name}.mp4", drawn_frames(number))
    emptied(tmp_path / "videos" / "dinner" / "s2_1.mp4")
    return tmp_path / "videos"


def test_help_needs_no_heavy_import(run):
    status, said, _ = run("--help", PYTHONPATH="")
    assert status == 0
    assert "--force-mixed" in said


@pytest.mark.slow
def test_the_command_line_as_a_user_runs_it(run, folder, tmp_path):
    """With worker processes as users have them, and the main process in one of its own."""
    arguments = (folder, "--estimator", "quick_estimator:QuickEstimator", "--out", "store", "--workers", 2)
    status, said, complained = run(*arguments)
    assert status == 1, complained
    assert "1 clips failed" in said
    assert "dinner/s2_1" in said
    assert "unreadable" in said
    assert "the file is empty (0 bytes)" in said
    assert "store: 2 of 3 clips (2 by this run: 16 frames" in said
    assert "3 clips: 0 done before, 3 to do" in complained
    assert "Traceback" not in complained
    assert len(PoseStore(tmp_path / "store")) == 2


def test_merging_from_the_command_line(folder, tmp_path, repository, monkeypatch, capsys):
    import runpy

    from gspmc_mm.extraction import Recipe, RunSettings, local_engine, run_extraction
    from gspmc_mm.poses.clip_list import read_clip_list

    recipe = Recipe(QuickEstimator())
    for part in range(2):
        engine, settings = local_engine(recipe, workers=1), RunSettings(shard=(part, 2))
        run_extraction(read_clip_list(folder), recipe, tmp_path / f"node{part}", engine, settings)
    arguments = [str(tmp_path / "node0"), str(tmp_path / "node1"), "--out", str(tmp_path / "all")]
    for expected, words in ((0, "2 clips in 2 files, from 2 stores"), (1, "is not empty; merging makes a new store")):
        monkeypatch.setattr(sys, "argv", ["merge.py", *arguments])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(repository / "tools" / "pose" / "merge.py"), run_name="__main__")
        assert end.value.code == expected
        said = capsys.readouterr()
        assert words in said.out + said.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere", "--out", "store"), "error: nowhere: no such list of clips"),
        (("videos", "--out", "store", "--estimator", "openpose"), "error: there is no estimator 'openpose'"),
        (("videos", "--out", "store", "--shard", "2"), "error: --shard is '2'; expected i/n"),
        (("videos", "--out", "store", "--person", "2"), "name a detector as well"),
        (("videos", "--out", "store", "--amp"), "error: the estimator 'mediapipe' does not take these settings"),
    ],
)
def test_wrong_options_end_with_one_clear_line(folder, monkeypatch, capsys, repository, arguments, words):
    import runpy

    monkeypatch.chdir(folder.parent)
    monkeypatch.setattr(sys, "argv", ["extract.py", *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(repository / "tools" / "pose" / "extract.py"), run_name="__main__")
    assert end.value.code == 1
    assert words in capsys.readouterr().err
    assert not (folder.parent / "store").exists()
