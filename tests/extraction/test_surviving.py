"""Many short clips, some of them broken, with the run killed in the middle: everything ends, nothing is done twice.

In the full size of 500 clips, through the command line in a process of its own:

    GSPMC_SURVIVAL_CLIPS=500 python -m pytest tests/extraction/test_surviving.py -s
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import runpy
import signal
import sys
import time
from collections import Counter

import cv2
import pytest
from made_videos import FAULTS, write_video
from quick_estimator import QuickEstimator

from gspmc_mm.extraction import Recipe, RunSettings, ray_engine, run_extraction, worker_pool
from gspmc_mm.extraction.video import ClipFrames
from gspmc_mm.poses import PoseStore
from gspmc_mm.poses.clip_list import read_clip_list

FULL = "GSPMC_SURVIVAL_CLIPS" in os.environ
CLIPS = int(os.environ.get("GSPMC_SURVIVAL_CLIPS", 60))
WORKERS = 2
FRAMES, WIDTH, HEIGHT = 6, 96, 54


@pytest.fixture(scope="module")
def videos(shared_data, tmp_path_factory):
    """Cuts from the real videos, made small, every twentieth broken; and what the ledger has to say of those."""
    real = []
    for path in sorted((shared_data / "ksl_videos").glob("*.mp4")):
        whole = ClipFrames(path, end=None if FULL else 25)
        frames = [cv2.resize(frame, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) for frame in whole]
        real.append((path.stem, frames))
    folder = tmp_path_factory.mktemp("cuts")
    broken = {}
    faults = list(FAULTS.items())
    for number in range(CLIPS):
        name, frames = real[number % len(real)]
        sign, start = name.partition("_")[0], number * 7 % (len(frames) - FRAMES)
        cut = [numbered(frame, number) for frame in frames[start : start + FRAMES]]
        path = write_video(folder / sign / f"s{number % 6}_{number:04d}.mp4", cut)
        if number % 20 == 7:
            fault, (breaks, reason) = faults[len(broken) % len(faults)]
            broken[f"{sign}/{path.stem}"] = reason
            if fault == "removed":
                removed = path
            else:
                breaks(path)
    if CLIPS > 20 * 6:  # a list that is older than the folder; small sets do not get as far
        assert removed
    clips = read_clip_list(folder)
    return folder, broken, clips


def numbered(frame, number):
    """The frame with a row of black and white fields, so that no two clips look alike."""
    frame = frame.copy()
    for place in range(12):
        frame[-8:, 8 * place : 8 * place + 8] = 255 * (number >> place & 1)
    return frame


def list_with(videos, tmp_path):
    """The list as a CSV, with one clip in it whose video has been removed."""
    from gspmc_mm.poses.clip_list import write_clip_list

    folder, broken, clips = videos
    path = write_clip_list(clips, tmp_path / "clips.csv")
    missing = [folder / f"{clip_id}.mp4" for clip_id, reason in broken.items() if reason == "missing"]
    for video in missing:
        video.unlink(missing_ok=True)
    return path


def check(store, videos, log):
    """All clips are in the ledger once, as what they are, and in the store if they are whole."""
    _, broken, clips = videos
    lines = [json.loads(line) for line in (store / "ledger.jsonl").read_text().splitlines()]
    entries = [line for line in lines if line["status"] != "run"]
    assert Counter(line["clip_id"] for line in entries) == Counter(clip.clip_id for clip in clips.clips)
    assert {line["clip_id"]: line["reason"] for line in entries if line["status"] == "failed"} == broken
    poses = PoseStore(store)
    assert set(poses.clip_ids) == {clip.clip_id for clip in clips.clips} - set(broken)
    assert len(poses) == CLIPS - len(broken)
    assert set(poses.frames) == {FRAMES}
    labels = {clip.clip_id: clip.label for clip in clips.clips}
    assert all(labels[name] == label for name, label in zip(poses.clip_ids, poses.labels, strict=True))
    assert not list(store.glob("pending/*/*.arrow"))
    work = Counter(line.split()[0] for line in log.read_text().splitlines())
    return sum(work.values()) - len(work)


def drive(argv, environment, output):
    """Become the command line: with the imports behind it and workers by fork; in the full size as a user would."""
    os.setsid()
    os.environ.update(environment)
    said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(said, 1)
    os.dup2(said, 2)
    if FULL:
        os.execv(sys.executable, [sys.executable, *argv])
    sys.argv = argv
    worker_pool.process_context = fork_context
    runpy.run_path(argv[0], run_name="__main__")


def fork_context():
    return multiprocessing.get_context("fork")


def kill(driver):
    """kill -9. The workers of a forked run go with it; those of a real one have to notice by themselves."""
    if FULL:
        os.kill(driver.pid, signal.SIGKILL)
    else:
        os.killpg(driver.pid, signal.SIGKILL)
    driver.join()


def wait_for_lines(ledger, count, driver, seconds=600):
    """Until the ledger has so many lines."""
    end = time.monotonic() + seconds
    while not ledger.is_file() or ledger.read_bytes().count(b"\n") < count:
        assert driver.is_alive(), "it ended by itself"
        assert time.monotonic() < end, "nothing happens"
        time.sleep(0.005)


def test_killed_twice_it_ends_with_everything_done_once(videos, tmp_path, repository, capfd):
    log, store, output = tmp_path / "log", tmp_path / "store", tmp_path / "output.txt"
    tool = str(repository / "tools" / "pose" / "extract.py")
    argv = [
        tool,
        str(list_with(videos, tmp_path)),
        "--estimator",
        "quick_estimator:QuickEstimator",
        "--out",
        str(store),
    ]
    argv += ["--workers", str(WORKERS), "--clips-per-shard", str(max(10, CLIPS // 20))]

    environment = {"QUICK_LOG": str(log), "QUICK_PAUSE": "0.002"}

    def start():
        driver = worker_pool.process_context().Process(target=drive, args=(argv, environment, output))
        driver.start()
        return driver

    def to_the_end():
        driver = start()
        driver.join(600)
        return driver.exitcode, output.read_text()

    began = time.monotonic()
    for share in (0.3, 0.7):
        driver = start()
        wait_for_lines(store / "ledger.jsonl", int(share * CLIPS), driver)
        kill(driver)
    status, said = to_the_end()
    assert status == 1, said  # some are broken
    assert f"{len(videos[1])} clips failed" in said
    again = check(store, videos, log)
    assert again <= 2 * WORKERS  # what was in flight when it was killed
    with capfd.disabled():
        print(f"\n{CLIPS} clips, {len(videos[1])} broken, two kills: {time.monotonic() - began:.0f} s; ", end="")
        print(f"{again} clips that were in flight at a kill were worked on again")

    before = (store / "ledger.jsonl").read_text().count("\n")
    status, said = to_the_end()
    assert status == 1
    assert "by this run: 0 frames" in said
    assert (store / "ledger.jsonl").read_text().count("\n") == before + 1  # that there was a run
    check(store, videos, log)


@pytest.mark.slow
def test_two_ray_nodes_one_killed_in_the_middle(videos, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray") if os.environ.get("CI") != "true" else __import__("ray")
    from ray.cluster_utils import Cluster

    log, store = tmp_path / "log", tmp_path / "store"
    monkeypatch.setenv("QUICK_LOG", str(log))
    monkeypatch.setenv("QUICK_PAUSE", "0.005")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    memory = 80 * 2**20
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": memory})
    try:
        second = cluster.add_node(num_cpus=1, object_store_memory=memory)
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        seen = []
        nodes_before = set()

        def watch(outcome):
            seen.append(outcome.clip_id)
            working = nodes_of(log)
            if len(seen) > CLIPS / 3 and len(working) == 2 and not nodes_before:
                nodes_before.update(working)
                cluster.remove_node(second, allow_graceful=False)

        clips = read_clip_list(list_with(videos, tmp_path))
        began = time.monotonic()
        engine = ray_engine(Recipe(QuickEstimator()), workers=2)
        report = run_extraction(clips, Recipe(QuickEstimator()), store, engine, RunSettings(), on_outcome=watch)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert len(nodes_before) == 2, "the second node never worked"
    assert report.clips == CLIPS
    assert len(report.failures) == len(videos[1])
    again = check(store, videos, log)
    assert again <= 2  # one in work and one behind it on the lost node
    print(f"\n{CLIPS} clips on two nodes, one lost: {time.monotonic() - began:.0f} s; {again} worked on again")


def nodes_of(log):
    """Names of the nodes that have worked."""
    with contextlib.suppress(FileNotFoundError):
        return {line.split()[1] for line in log.read_text().splitlines()}
    return set()
