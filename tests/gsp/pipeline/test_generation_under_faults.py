"""500 signs, 30 % of the answers bad, the process killed in the middle: nothing twice, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from gspmc_mm.descriptions import load_descriptions
from gspmc_mm.gsp.client import load_llm_config
from gspmc_mm.gsp.pipeline import ClassRow, generate

SIGNS = 500


def classes(number: int = SIGNS) -> list[ClassRow]:
    return [ClassRow(n, f"word{n:03d}") for n in range(number)]


def options(out: Path) -> dict:
    return dict(language="en", output_language="en", out=out, encoder="estimate", merge_steps=True, synonyms=2)


@pytest.mark.slow
def test_500_signs_end_valid_or_listed_and_the_second_run_asks_nothing(
    faults, config, knowledge_base, tmp_path
) -> None:
    out = tmp_path / "signs.json"
    with faults.FaultServer(bad=0.3, hang=1.2) as server:
        settings = config(server, concurrency=16, timeout=0.8, max_retries=3)
        report = generate(knowledge_base, classes(), settings, **options(out))
        assert {seen.outcome for seen in server.questions} == {"good", *faults.FAULTS}, "every fault happened"
        assert not server.answered_twice()

        written = load_descriptions(out)
        assert [sign.gloss for sign in written.signs] == [row.gloss for row in classes()]
        assert report.stopped == ""
        statuses = Counter(outcome.status for outcome in report.outcomes)
        assert set(statuses) <= {"generated", "failed"}
        assert statuses["generated"] > 450
        for outcome, sign in zip(report.outcomes, written.signs, strict=True):
            listed = any(text.startswith("failed: ") for text in sign.unresolved)
            assert (outcome.status == "failed") == listed
            if not listed:
                assert sign.global_
                assert sign.synonyms
                assert sign.segments
                assert sign.evidence

        # processor time: on a machine that does something else as well, the clock says little
        requests, content, start, clock = len(server.seen), out.read_bytes(), time.process_time(), time.monotonic()
        again = generate(knowledge_base, classes(), settings, **options(out))
        seconds = time.process_time() - start
        assert len(server.seen) == requests, "the second run makes no call"
        assert seconds < 5
        assert out.read_bytes() == content
        assert again.spent.calls == 0
        assert not again.changes
        assert not again.by_hand
        wall = time.monotonic() - clock
        print(
            f"{requests} requests, {dict(statuses)}, second run {seconds:.2f} s of the processor, {wall:.2f} s in all"
        )


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(faults, knowledge_base, tmp_path, repository) -> None:
    number, workers = 120, 8
    listing = tmp_path / "classes.csv"
    listing.write_text("label,gloss\n" + "".join(f"{row.label},{row.gloss}\n" for row in classes(number)))
    out = tmp_path / "signs.json"
    with faults.FaultServer(bad=0.3, hang=1.2, delay=0.02) as server:
        settings = tmp_path / "llm.yaml"
        settings.write_text(
            f"base_url: {server.base_url}\nmodel: test-model\nconcurrency: {workers}\ntimeout: 0.8\nmax_retries: 3\n"
        )
        command = [sys.executable, str(repository / "tools/gsp/generate.py")]
        command += ["--kb", str(knowledge_base), "--classes", str(listing), "--llm", str(settings), "--language", "en"]
        command += ["--out", str(out), "--encoder", "estimate", "--merge-steps", "--synonyms", "2"]
        environment = {**os.environ, "PYTHONPATH": str(repository)}

        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while len(server.questions) < number and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert not out.exists()

        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        written = load_descriptions(out)
        assert len(written.signs) == number
        failed = [s.gloss for s in written.signs if any(text.startswith("failed: ") for text in s.unresolved)]
        assert done.returncode == (1 if failed else 0), done.stderr
        for gloss in failed:
            assert gloss in done.stdout
        assert all(sign.segments for sign in written.signs if sign.gloss not in failed)
        # only what was in flight at the kill was asked for again
        assert len(server.answered_twice()) <= workers
        recorded = sqlite3.connect(out.with_suffix(".gsp") / "calls.sqlite")
        (calls,) = recorded.execute("SELECT count(*) FROM calls WHERE transport = 0").fetchone()
        recorded.close()
        answers = [s for s in server.questions if s.outcome not in ("rate_limit", "server_error", "timeout", "closed")]
        assert len(answers) - workers <= calls <= len(answers)

        requests, content = len(server.seen), out.read_bytes()
        generate(knowledge_base, classes(number), load_llm_config(settings), **options(out))
        assert len(server.seen) == requests
        assert out.read_bytes() == content
        report = json.loads((out.with_suffix(".gsp") / "report.json").read_text())
        assert report["spent"]["calls"] == 0


def heed_ctrl_c() -> None:
    """Tests that run in the background of a shell inherit that SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_ctrl_c_ends_with_a_word_and_loses_nothing(faults, knowledge_base, tmp_path, repository) -> None:
    listing = tmp_path / "classes.csv"
    listing.write_text("label,gloss\n" + "".join(f"{row.label},{row.gloss}\n" for row in classes(40)))
    out = tmp_path / "signs.json"
    with faults.FaultServer(delay=0.2) as server:
        command = [sys.executable, str(repository / "tools/gsp/generate.py"), "--llm", "env", "--language", "en"]
        command += ["--kb", str(knowledge_base), "--classes", str(listing), "--out", str(out), "--encoder", "estimate"]
        environment = {**os.environ, "PYTHONPATH": str(repository)}
        environment |= {"GSPMC_LLM_BASE_URL": server.base_url, "GSPMC_LLM_MODEL": "test-model"}
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_ctrl_c,
        )
        while len(server.questions) < 10 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; what was answered is recorded" in errors
    assert "Traceback" not in errors
    assert not out.exists()
    recorded = sqlite3.connect(out.with_suffix(".gsp") / "calls.sqlite")
    assert recorded.execute("SELECT count(*) FROM calls").fetchone()[0] >= 6
    recorded.close()
