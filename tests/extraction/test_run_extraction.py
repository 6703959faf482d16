from __future__ import annotations

import json
import os

import pytest
from made_videos import drawn_frames, emptied, write_video
from quick_estimator import QuickEstimator, QuickNetwork

from gspmc_mm.extraction import Recipe, RunSettings, local_engine, run_extraction
from gspmc_mm.extraction.clip_work import ClipOutcome
from gspmc_mm.extraction.errors import ExtractionError
from gspmc_mm.extraction.run import MOST_ERRORS_IN_A_ROW
from gspmc_mm.poses import PoseStore
from gspmc_mm.poses.clip_list import read_clip_list, write_clip_list


@pytest.fixture
def folder(tmp_path):
    """Two signs by two signers, one take each."""
    for number, name in enumerate(("again/s1_1", "again/s2_1", "dinner/s1_1", "dinner/s2_1")):
        write_video(tmp_path / "videos" / f"{name}.mp4", drawn_frames(number))
    return tmp_path / "videos"


def extract(videos, out, estimator=None, workers=1, **settings):
    recipe = Recipe(estimator or QuickEstimator())
    return run_extraction(
        read_clip_list(videos), recipe, out, local_engine(recipe, workers=workers), RunSettings(**settings)
    )


def ledger(store):
    return [json.loads(line) for line in (store / "ledger.jsonl").read_text().splitlines()]


def test_a_folder_becomes_a_store_with_its_signs_and_signers(folder, tmp_path):
    report = extract(folder, tmp_path / "store", command="python extract.py", note="a note")
    assert report.complete
    assert (report.clips, report.done, report.frames, report.failures) == (4, 4, 32, [])
    store = PoseStore(tmp_path / "store")
    assert dict(zip(store.clip_ids, store.signers, strict=True)) == {
        "again/s1_1": "s1",
        "again/s2_1": "s2",
        "dinner/s1_1": "s1",
        "dinner/s2_1": "s2",
    }
    assert {name: store.header.classes[label] for name, label in zip(store.clip_ids, store.labels, strict=True)} == {
        name: name.partition("/")[0] for name in store.clip_ids
    }
    assert store.header.estimator == {"name": "quick", "version": "1", "weights": "none"}
    assert (store.header.command, store.header.note) == ("python extract.py", "a note")
    run, *clips = ledger(tmp_path / "store")
    assert (run["status"], run["clips"], run["todo"], run["command"]) == ("run", 4, 4, "python extract.py")
    assert {clip["run"] for clip in clips} == {run["run"]}
    assert all(clip["frames"] == 8 and clip["bytes"] > 0 and clip["seconds"] > 0 for clip in clips)


def test_a_rerun_does_what_is_missing_and_tries_a_mended_video_again(folder, tmp_path):
    broken = folder / "again" / "s1_1.mp4"
    emptied(broken)
    first = extract(folder, tmp_path / "store")
    assert not first.complete
    assert [(entry["clip_id"], entry["reason"]) for entry in first.failures] == [("again/s1_1", "unreadable")]
    second = extract(folder, tmp_path / "store")
    assert (second.done, second.done_before, second.skipped, len(second.failures)) == (0, 3, 1, 1)
    forced = extract(folder, tmp_path / "store", retry_failed=True)
    assert (forced.done, forced.skipped, len(forced.failures)) == (0, 0, 1)
    write_video(broken, drawn_frames(9))
    write_video(folder / "dinner" / "s3_1.mp4", drawn_frames(10))  # and one more has come
    third = extract(folder, tmp_path / "store")
    assert third.complete
    assert (third.done, third.done_before, third.clips) == (2, 3, 5)
    assert len(PoseStore(tmp_path / "store")) == 5


def test_a_store_whose_files_were_removed_is_filled_again(folder, tmp_path):
    extract(folder, tmp_path / "store")
    for file in (tmp_path / "store").glob("*.arrow"):
        file.unlink()
    assert extract(folder, tmp_path / "store").done == 4


def test_shards_of_several_runs_are_one_store(folder, tmp_path):
    parts = [extract(folder, tmp_path / "store", shard=(index, 3)) for index in range(3)]
    assert [part.clips for part in parts] == [2, 1, 1]
    assert all(part.complete for part in parts)
    assert len(PoseStore(tmp_path / "store")) == 4
    assert len(list((tmp_path / "store").glob("ledger-*-of-0003.jsonl"))) == 3
    assert extract(folder, tmp_path / "store").done == 0  # in one piece, or in others: nothing is left to do
    with pytest.raises(ExtractionError, match="shard 3/3 does not exist"):
        RunSettings(shard=(3, 3))


def test_another_estimator_is_refused_unless_forced(folder, tmp_path):
    extract(folder, tmp_path / "store", shard=(0, 2))
    with pytest.raises(ExtractionError, match="Points of different estimators are not mixed"):
        extract(folder, tmp_path / "store", QuickNetwork())
    forced = extract(folder, tmp_path / "store", QuickNetwork(), force_mixed=True)
    assert forced.complete
    assert PoseStore(tmp_path / "store").header.estimator["name"] == "MIXED quick + quick network"


def test_a_list_that_has_changed_its_labels_is_refused(folder, tmp_path):
    path = write_clip_list(read_clip_list(folder), tmp_path / "clips.csv")
    extract(path, tmp_path / "store")
    swapped = path.read_text().replace("again/s1_1.mp4,0,again", "again/s1_1.mp4,1,dinner")
    assert swapped != path.read_text()
    path.write_text(swapped)
    with pytest.raises(ExtractionError, match="clip 'again/s1_1' has label 0 there and 1 in the list"):
        extract(path, tmp_path / "store")


def test_people_are_asked_for_with_a_detector_only():
    with pytest.raises(ValueError, match="name a detector as well"):
        Recipe(QuickEstimator(), person=1)
    with pytest.raises(ValueError, match="numbered from 1"):
        Recipe(QuickEstimator(), person=0)


class FailingEngine:
    """Answers everything with the same error."""

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def run(self, jobs):
        for job in jobs:
            yield ClipOutcome(job.clip_id, reason="error", message="CUDA out of memory")


def test_when_everything_fails_for_one_cause_the_run_stops(tmp_path):
    for number in range(MOST_ERRORS_IN_A_ROW + 5):
        (tmp_path / "videos" / "sign").mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / "sign" / f"s_{number}.mp4").touch()
    with pytest.raises(ExtractionError, match=r"20 clips in a row failed for no fault of theirs.*out of memory"):
        run_extraction(
            read_clip_list(tmp_path / "videos"), Recipe(QuickEstimator()), tmp_path / "store", FailingEngine()
        )
    assert len(ledger(tmp_path / "store")) == MOST_ERRORS_IN_A_ROW + 1


class InterruptedEngine(FailingEngine):
    """Ctrl-C after two clips."""

    def __init__(self, engine):
        self.engine = engine

    def run(self, jobs):
        with self.engine as engine:
            for number, outcome in enumerate(engine.run(jobs)):
                if number == 2:
                    raise KeyboardInterrupt
                yield outcome


def test_an_interruption_keeps_what_is_done_and_lets_go_of_the_store(folder, tmp_path):
    recipe = Recipe(QuickEstimator())
    engine = InterruptedEngine(local_engine(recipe, workers=1))
    with pytest.raises(KeyboardInterrupt):
        run_extraction(read_clip_list(folder), recipe, tmp_path / "store", engine)
    assert len(PoseStore(tmp_path / "store")) == 2
    assert os.listdir(tmp_path / "store" / "pending" / "all") == ["lock"]
    assert extract(folder, tmp_path / "store").done == 2
