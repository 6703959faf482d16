from __future__ import annotations

import itertools
import json
import os
import time

import numpy as np
import pytest
from made_videos import SIZE, drawn_frames, write_video
from quick_estimator import DEADLY, HANGING, QuickEstimator, QuickNetwork, TwoHalves, points_in

from gspmc_mm.extraction.clip_work import ClipJob, ClipOutcome, Recipe
from gspmc_mm.extraction.engines import local_engine
from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.stations import BatchedStation
from gspmc_mm.extraction.video import ClipFrames
from gspmc_mm.extraction.work_queue import MOST_ATTEMPTS, WorkQueue
from gspmc_mm.extraction.worker_pool import LocalPool, in_background
from gspmc_mm.poses.clip_list import VideoClip


def job(path, name=None):
    return ClipJob(VideoClip(name or path.stem, path.name, 0, "sign", "s"), str(path))


@pytest.fixture
def jobs(tmp_path):
    """Seven clips of 3 to 9 frames."""
    return [job(write_video(tmp_path / f"clip{n}.mp4", drawn_frames(n, count=n + 3))) for n in range(7)]


def one_colour(path, colour):
    return job(write_video(path, [np.full((SIZE[1], SIZE[0], 3), colour, np.uint8)] * 3))


def expected_points(path):
    frames = list(ClipFrames(path))
    box = np.array([0, 0, *SIZE], np.float32)
    return np.stack([points_in(frame, box)[0] for frame in frames])


@pytest.mark.parametrize("estimator", [QuickEstimator(), QuickNetwork(batch_size=4), QuickNetwork(batch_size=100)])
def test_every_clip_comes_back_with_its_own_points(jobs, estimator):
    with local_engine(Recipe(estimator), workers=2) as engine:
        outcomes = {outcome.clip_id: outcome for outcome in engine.run(jobs)}
    assert set(outcomes) == {each.clip_id for each in jobs}
    for each in jobs:
        clip = outcomes[each.clip_id].clip
        np.testing.assert_array_equal(clip.keypoint, expected_points(each.path))
        assert (clip.fps, clip.image_size, clip.signer) == (25.0, SIZE, "s")
        assert outcomes[each.clip_id].facts["frames"] == clip.num_frames


def test_batches_are_full_across_clips(jobs):
    station = BatchedStation(Recipe(QuickNetwork(batch_size=8)), decoders=1)
    station.start()
    try:
        outcomes = list(station.run(jobs))
    finally:
        station.stop()
    frames = sum(outcome.clip.num_frames for outcome in outcomes)
    assert frames == sum(range(3, 10)) == 42
    assert sorted(station.recipe.estimator.batches) == [2, 8, 8, 8, 8, 8]


@pytest.mark.parametrize(
    ("estimator", "person"), [(QuickEstimator(), None), (QuickEstimator(), 1), (QuickNetwork(batch_size=7), None)]
)
def test_with_a_detector_each_person_is_estimated_and_one_is_taken(jobs, estimator, person):
    with local_engine(Recipe(estimator, TwoHalves(), person), workers=1) as engine:
        outcomes = list(engine.run(jobs))
    assert len(outcomes) == len(jobs)
    for outcome in outcomes:
        on_the_right = bool(outcome.clip.keypoint[..., 0].min() > SIZE[0] / 2)
        assert on_the_right is (person is None)  # the larger one is there
        assert outcome.facts["chosen"] == (person or 2)
        assert outcome.facts["why"] == ("person 1 was asked for" if person else "highest score of 2 people")
        assert len(outcome.facts["people"]) == (1 if person else 2)
        json.dumps(outcome.facts)


def test_a_person_who_is_not_there_is_said(jobs):
    recipe = Recipe(QuickEstimator(), TwoHalves(), person=3)
    assert recipe.info["version"] == "1, boxes: two halves"
    with local_engine(recipe, workers=1) as engine:
        assert {outcome.reason for outcome in engine.run(jobs[:2])} == {"no person"}


def test_a_batch_that_fails_takes_its_clips_and_no_others(jobs):
    station = BatchedStation(Recipe(QuickNetwork(batch_size=3, broken_batches=1)), decoders=1)
    station.start()
    try:
        outcomes = {outcome.clip_id: outcome for outcome in station.run(jobs)}
    finally:
        station.stop()
    failed = [name for name, outcome in outcomes.items() if outcome.clip is None]
    assert failed == ["clip0"]
    assert "out of memory" in outcomes["clip0"].message
    assert len(outcomes) == 7


def test_a_clip_that_kills_its_worker_fails_and_the_rest_is_done(jobs, tmp_path):
    deadly = one_colour(tmp_path / "deadly.mp4", DEADLY)
    with local_engine(Recipe(QuickEstimator()), workers=2) as engine:
        outcomes = {outcome.clip_id: outcome for outcome in engine.run([jobs[0], deadly, *jobs[1:]])}
    assert {name for name, outcome in outcomes.items() if outcome.clip is None} == {"deadly"}
    assert outcomes["deadly"].reason == "crashed"
    assert f"signal 9) (tried {MOST_ATTEMPTS} times)" in outcomes["deadly"].message
    assert len(outcomes) == 8


def test_a_clip_that_never_ends_is_given_up(jobs, tmp_path):
    hanging = one_colour(tmp_path / "hanging.mp4", HANGING)
    start = time.monotonic()
    with local_engine(Recipe(QuickEstimator()), workers=1, timeout=2) as engine:
        outcomes = {outcome.clip_id: outcome for outcome in engine.run([hanging, *jobs[:2]])}
    assert time.monotonic() - start < 60
    assert outcomes["hanging"].reason == "timeout"
    assert "within 2 s" in outcomes["hanging"].message
    assert outcomes["clip0"].clip is not None
    assert outcomes["clip1"].clip is not None


def test_an_estimator_that_does_not_load_stops_the_run_with_its_words(jobs):
    with (
        local_engine(Recipe(QuickEstimator(broken=True)), workers=1) as engine,
        pytest.raises(ExtractionError, match="was told not to load"),
    ):
        list(engine.run(jobs))


class Leaver:
    """Ends its process while it starts."""

    def start(self):
        os._exit(7)

    def run(self, jobs):
        return []

    def stop(self):
        pass


def test_a_worker_that_dies_while_starting_stops_the_run(jobs):
    with LocalPool([Leaver()]) as pool, pytest.raises(ExtractionError, match=r"ended while it was starting .*status 7"):
        list(pool.run(jobs))


def test_leaving_ends_the_processes(jobs):
    with local_engine(Recipe(QuickEstimator(pause=5)), workers=2) as engine:
        engine._hand_out(WorkQueue(jobs))
        processes = [member.process.pid for member in engine._members]
        assert len(processes) == 2
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_the_queue_hands_lost_clips_out_alone_and_gives_up_in_the_end(jobs):
    work = WorkQueue(iter(jobs), piece=3)
    first = work.take()
    assert [each.clip_id for each in first] == ["clip0", "clip1", "clip2"]
    assert work.lost(first, "crashed", "gone") == []
    assert [[each.clip_id for each in work.take()] for _ in range(3)] == [["clip0"], ["clip1"], ["clip2"]]
    assert [len(work.take()) for _ in range(3)] == [3, 1, 0]
    assert work.is_empty()
    assert work.lost(first[:1], "crashed", "gone") == []
    (failed,) = work.lost(first[:1], "crashed", "gone")
    assert (failed.reason, failed.clip_id) == ("crashed", "clip0")
    (late,) = work.lost(jobs[5:6], "timeout", "slow")  # it has had its time
    assert late.reason == "timeout"


def test_in_background_keeps_order_passes_errors_and_stops(jobs):
    assert list(in_background(range(20), depth=2)) == list(range(20))

    def broken():
        yield 1
        raise ValueError("half way")

    items = in_background(broken(), depth=2)
    assert next(items) == 1
    with pytest.raises(ValueError, match="half way"):
        next(items)
    taken = []
    endless = in_background((taken.append(n) or n for n in itertools.count()), depth=2)
    assert next(endless) == 0
    endless.close()
    seen = len(taken)
    time.sleep(0.05)
    assert len(taken) == seen < 10


def test_outcomes_of_failures_say_where_it_was(tmp_path):
    with local_engine(Recipe(QuickEstimator()), workers=1) as engine:
        (outcome,) = engine.run([job(tmp_path / "not_there.mp4")])
    assert isinstance(outcome, ClipOutcome)
    assert outcome.reason == "missing"
    assert "not_there.mp4: there is no such file" in outcome.message
