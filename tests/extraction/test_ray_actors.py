"""The scheduling over Ray with a Ray that is pretended; tests/extraction/test_surviving.py has a real cluster."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from gspmc_mm.extraction import ray_actors
from gspmc_mm.extraction.clip_work import ClipJob, ClipOutcome
from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.ray_actors import MOST_FAILED_STARTS, PIECES_PER_ACTOR, RayEngine
from gspmc_mm.poses.clip_list import VideoClip


class RayError(Exception):
    """What Ray raises when an actor is gone."""


class PretendedRay:
    """Answers at once, unless `script` says of a call that it is 'lost' or 'silent', or what `start` complains of."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, script, nodes=({"CPU": 2.0, "GPU": 1.0},)):
        self.script, self.started, self.killed, self.most = script, 0, [], 0
        self._nodes = [{"Alive": True, "Resources": resources} for resources in nodes]

    def is_initialized(self):
        return True

    def nodes(self):
        return self._nodes

    def cluster_resources(self):
        return {"CPU": sum(node["Resources"].get("CPU", 0) for node in self._nodes)}

    def remote(self, cls):
        self.started += 1
        number = self.started

        def method(name):
            return SimpleNamespace(remote=lambda *content: (number, name, *content))

        handle = SimpleNamespace(start=method("start"), run=method("run"), number=number)
        made = SimpleNamespace(remote=lambda station: handle)
        return SimpleNamespace(options=lambda **options: made)

    def wait(self, references, num_returns, timeout):
        ready = [reference for reference in references if self.fate(reference) != "silent"]
        return ready, []

    def fate(self, reference):
        return self.script(reference[0], reference[1], [job.clip_id for job in (reference[2:] or [[]])[0]])

    def get(self, reference):
        fate = self.fate(reference)
        if fate == "lost":
            raise RayError("the actor died\nbecause of this and that")
        if reference[1] == "start":
            return fate or ""
        return [ClipOutcome(job.clip_id) for job in reference[2]]

    def kill(self, handle):
        self.killed.append(handle.number)


def answers(number, call, clips):
    return None


@pytest.fixture
def jobs():
    return [ClipJob(VideoClip(f"c{n}", f"c{n}.mp4", 0, "sign", ""), f"c{n}.mp4") for n in range(9)]


@pytest.fixture
def engine(monkeypatch):
    """`engine(script, **settings)`: an engine over a pretended Ray."""

    def make(script, nodes=({"CPU": 2.0, "GPU": 1.0},), **settings):
        pretended = PretendedRay(script, nodes)
        monkeypatch.setattr(ray_actors, "import_ray", lambda: pretended)
        return RayEngine(None, **settings), pretended

    return make


def outcomes_of(engine, jobs):
    with engine as running:
        found = list(running.run(jobs))
    assert sorted(outcome.clip_id for outcome in found) == sorted(job.clip_id for job in jobs)
    return {outcome.clip_id: outcome.reason for outcome in found}


def test_every_clip_is_answered_once_by_as_many_actors_as_there_is_room(engine, jobs):
    running, ray = engine(answers, nodes=({"CPU": 2.0}, {"CPU": 1.0}), piece=2)
    assert set(outcomes_of(running, jobs).values()) == {""}
    assert ray.started == 3
    assert sorted(ray.killed) == [1, 2, 3]


def test_gpus_and_cpus_both_have_to_be_there(engine, jobs):
    running, ray = engine(answers, nodes=({"CPU": 16.0, "GPU": 2.0}, {"CPU": 64.0}), cpus=4, gpus=1)
    outcomes_of(running, jobs)
    assert ray.started == 2
    running, _ = engine(answers, nodes=({"CPU": 2.0},), gpus=1)
    with pytest.raises(ExtractionError, match="no room for an actor with 1 CPUs and 1 GPUs; it has 2 CPUs and 0 GPUs"):
        running.__enter__()


def test_what_a_lost_actor_had_is_done_by_another(engine, jobs):
    def script(number, call, clips):
        return "lost" if number == 1 and call == "run" else None

    running, ray = engine(script, piece=2, actors=2)
    assert set(outcomes_of(running, jobs).values()) == {""}
    assert ray.started == 3


def test_a_clip_that_takes_its_actors_down_is_given_up_and_no_other(engine, jobs):
    def script(number, call, clips):
        return "lost" if "c4" in clips else None

    running, _ = engine(script, piece=1, actors=1)
    reasons = outcomes_of(running, jobs)
    assert reasons.pop("c4") == "crashed"
    assert set(reasons.values()) == {""}  # the one that lay ready behind it each time, too


def test_an_actor_without_an_answer_is_replaced(engine, jobs, monkeypatch):
    def script(number, call, clips):
        return "silent" if clips == ["c2"] or (len(clips) > 1 and "c2" in clips) else None

    clock = iter(range(0, 100_000, 5))
    monkeypatch.setattr(ray_actors, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    running, ray = engine(script, piece=3, actors=1, timeout=20)
    reasons = outcomes_of(running, jobs)
    assert reasons.pop("c2") == "timeout"
    assert set(reasons.values()) == {""}
    assert ray.started == 3  # once for the piece of three, once for the clip alone


def test_a_station_that_does_not_start_stops_the_run(engine, jobs):
    running, _ = engine(lambda number, call, clips: "no weights" if call == "start" else None)
    with running, pytest.raises(ExtractionError, match="no weights"):
        list(running.run(jobs))
    running, ray = engine(lambda number, call, clips: "lost", actors=1)
    with running, pytest.raises(ExtractionError, match="5 Ray actors were lost while starting"):
        list(running.run(jobs))
    assert ray.started == MOST_FAILED_STARTS


def test_no_more_than_one_piece_waits_behind_another(engine, jobs):
    running, _ = engine(lambda number, call, clips: None, actors=1)
    asked = []

    def slowly():
        for job in jobs:
            asked.append(job.clip_id)
            yield job

    with running:
        found = running.run(slowly())
        next(found)
        assert len(asked) <= PIECES_PER_ACTOR + 1
        assert len(list(found)) == 8
