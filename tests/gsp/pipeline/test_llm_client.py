"""The client against a server that answers badly in every way."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from pathlib import Path

import pytest

from gspmc_mm.gsp.client import (
    Answer,
    AskError,
    Budget,
    CallCache,
    LimitReachedError,
    LLMClient,
    LLMError,
    Price,
    Question,
)
from gspmc_mm.gsp.client.answers import read_body

SCHEMA = {
    "type": "object",
    "properties": {"description": {"type": "string"}},
    "required": ["description"],
    "additionalProperties": False,
}
PRICE = Price(input=1.0, output=2.0, as_of="2026-01-01")


def check(value: dict) -> tuple[str, tuple[str, ...]]:
    if not isinstance(value.get("description"), str):
        raise ValueError("the field description is missing")
    text = value["description"]
    return text, (("too long",) if len(text) > 60 else ())


def question(number: int = 0, text: str = "The hand moves up.") -> Question:
    user = f'Entry E1\n<<<0000000000\nsign {number}: {text}\n0000000000>>>\nJSON: {{"description": "..."}}'
    return Question(
        sign=f"sign {number}",
        step="p1",
        system="Describe.",
        user=user,
        schema=SCHEMA,
        check=check,
        again=lambda problem, reply: f"{user}\nAgain, because {problem}. It was: {reply}",
    )


def ask(config, cache, questions, *, budget=None, **options) -> list[Answer | BaseException]:
    """Ask all questions; what was raised stands in the place of the answer."""

    async def run():
        async with LLMClient(config, cache, budget or Budget(), **options) as client:
            return await asyncio.gather(*(client.ask(q) for q in questions), return_exceptions=True)

    return asyncio.run(run())


@pytest.fixture
def cache(tmp_path: Path):
    with CallCache(tmp_path / "calls.sqlite") as opened:
        yield opened


def test_a_good_answer_is_recorded_and_not_asked_for_again(faults, config, cache) -> None:
    with faults.FaultServer() as server:
        first = ask(config(server), cache, [question()])
        again = ask(config(server), cache, [question()])
        assert first[0].value == again[0].value == "The hand moves up."
        assert len(server.questions) == 1
        assert len(server.seen) == 2, "one cheap call before the first question, none in the second run"


def test_equal_questions_at_the_same_time_are_one_call(faults, config, cache) -> None:
    with faults.FaultServer(delay=0.1) as server:
        answers = ask(config(server), cache, [question()] * 4)
        assert [answer.value for answer in answers] == ["The hand moves up."] * 4
        assert len(server.questions) == 1


@pytest.mark.parametrize("fault", ["rate_limit", "server_error", "timeout", "closed"])
def test_what_the_client_repeats_is_not_asked_again_by_us(faults, config, cache, fault) -> None:
    with faults.FaultServer(bad=0.5, faults=(fault,), hang=0.6) as server:
        settings = config(server, timeout=0.3, max_retries=20)
        answers = ask(settings, cache, [question(n) for n in range(4)])
        assert [answer.value for answer in answers] == ["The hand moves up."] * 4
        # a repetition sends the same words: nothing was added about an answer that could not be used
        assert len({seen.messages for seen in server.questions}) == 4
        assert any(seen.outcome == fault for seen in server.questions)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("cut_json", "cut or malformed"),
        ("wrong_schema", "description is missing"),
        ("no_choice", "no choice"),
        ("length", "limit of its length"),
        ("refusal", "refused: I cannot help"),
        ("not_json", "not whole JSON"),
    ],
)
def test_a_useless_answer_is_asked_for_again_twice_and_then_recorded(faults, config, cache, fault, reason) -> None:
    with faults.FaultServer(bad=1.0, faults=(fault,)) as server:
        (error,) = ask(config(server), cache, [question()])
        assert isinstance(error, AskError)
        assert reason in str(error)
        assert len(server.questions) == 3
        assert reason in server.questions[1].messages, "the model is told what was wrong"
        (again,) = ask(config(server), cache, [question()])
        assert str(again) == str(error)
        assert len(server.questions) == 3, "the second run asks nothing"
        server.bad = 0.0
        (answer,) = ask(config(server), cache, [question()], retry_failed=True)
        assert answer.value == "The hand moves up."


def test_length_is_never_a_result_even_if_the_json_is_whole(faults, config, cache) -> None:
    with faults.FaultServer(bad=1.0, faults=("length",)) as server:
        assert isinstance(ask(config(server), cache, [question()])[0], AskError)


def test_an_answer_that_can_be_lived_with_is_taken_in_the_end(faults, config, cache) -> None:
    with faults.FaultServer() as server:
        (answer,) = ask(config(server), cache, [question(text="up and down " * 10)])
        assert answer.complaints == ("too long",)
        assert len(server.questions) == 3


def test_no_answer_at_all_is_recorded_once_the_server_is_well_again(faults, config, cache) -> None:
    with faults.FaultServer(bad=1.0, faults=("server_error",)) as server:
        (error,) = ask(config(server, max_retries=1), cache, [question()])
        assert "500" in str(error)
        assert len(server.questions) == 2
        (again,) = ask(config(server, max_retries=1), cache, [question()])
        assert isinstance(again, AskError)
        assert len(server.questions) == 2


def test_a_server_that_is_gone_ends_the_run_and_fails_no_sign(faults, config, cache) -> None:
    with faults.FaultServer(bad=1.0, faults=("server_error",)) as server:
        results = ask(config(server, max_retries=0), cache, [question(n) for n in range(30)])
        assert any(isinstance(r, LLMError) and not isinstance(r, AskError) for r in results)
        assert "in a row" in str(next(r for r in results if not isinstance(r, AskError)))


@pytest.mark.parametrize(
    ("formats", "rung"),
    [
        (("json_schema", "json_object"), "json_schema"),
        (("json_object",), "json_object"),
        ((), None),
        (("json_schema",), "json_schema"),
    ],
)
def test_the_ladder_ends_where_the_server_agrees(faults, config, cache, formats, rung) -> None:
    with faults.FaultServer(formats=formats) as server:
        answers = ask(config(server), cache, [question(n) for n in range(3)])
        assert all(answer.value for answer in answers)
        used = {seen.body.get("response_format", {}).get("type") for seen in server.questions}
        assert used == {rung}
        trials = len(server.seen) - len(server.questions)
        ask(config(server), cache, [question(99)])
        assert len(server.seen) - len(server.questions) == trials + 1, "the next run remembers"


def test_prose_under_json_schema_is_asked_for_one_rung_lower(faults, config, cache) -> None:
    with faults.FaultServer(model=lambda prompt: "The hand goes up, I think.") as server:
        ask(config(server), cache, [question()])
        used = [seen.body.get("response_format", {}).get("type") for seen in server.questions]
        assert used == ["json_schema", "json_object", None]


def test_a_model_that_does_not_exist_costs_one_call(faults, config, cache) -> None:
    with faults.FaultServer(models=("other-model", "third-model")) as server:
        results = ask(config(server), cache, [question(n) for n in range(5)])
        assert all(isinstance(result, LLMError) for result in results)
        assert "no model 'test-model'" in str(results[0])
        assert "other-model, third-model" in str(results[0])
        assert not server.questions


def test_an_address_without_a_server(config, cache) -> None:
    class Nobody:
        base_url = "http://127.0.0.1:9/v1"

    (error,) = ask(config(Nobody(), max_retries=0), cache, [question()])
    assert "cannot be reached" in str(error)
    assert "127.0.0.1:9" in str(error)


def test_the_key_is_sent_and_appears_nowhere(faults, config, cache, caplog, capfd) -> None:
    caplog.set_level(logging.DEBUG)
    key = "sk-very-secret-0815"

    def chatty(prompt: str) -> dict:
        return {"description": f"The key is {key}."}

    with faults.FaultServer(key=key, model=chatty) as server:
        (answer,) = ask(config(server, api_key=key), cache, [question()])
        assert server.questions[0].authorization == f"Bearer {key}"
        assert answer.value == "The key is [key]."
        (error,) = ask(config(server, api_key="sk-wrong-4711"), cache, [question(1)])
    assert "the key is refused" in str(error)
    assert "4711" not in str(error)
    settings = config(server, api_key=key, headers={"x-gate": "gate-0815"})
    out, err = capfd.readouterr()
    written = b"".join(path.read_bytes() for path in cache.path.parent.iterdir())
    for text in (caplog.text, out, err, repr(settings), str(settings), settings.model_dump_json(), repr(error)):
        assert "0815" not in text
    assert b"0815" not in written
    assert b"4711" not in written


@pytest.mark.parametrize(
    "values",
    [
        {"headers": {"X-Retry": "1", "X-Title": "hand"}},
        {"headers": {"X-Api-Key": "null"}},
        {"api_key": "1234"},
        {"api_key": '"choices"'},
        {"headers": {"X-Title": "The hand moves up."}},
    ],
)
def test_short_keys_and_headers_that_are_no_keys_leave_answers_alone(faults, config, cache, values) -> None:
    with faults.FaultServer() as server:
        (answer,) = ask(config(server, **values), cache, [question(1234)])
    assert answer.value == "The hand moves up."
    assert "[key]" not in str(cache._connection.execute("SELECT * FROM calls").fetchall())


def test_a_key_in_a_refusal_is_taken_out_before_it_is_shortened(faults, config, cache) -> None:
    key = "sk-very-secret-0815"
    body = {"choices": [{"message": {"refusal": "x" * 190 + key}}]}
    settings = config(faults.FaultServer, base_url="http://127.0.0.1:9/v1", api_key=key)
    problem = read_body(json.dumps(body), "", settings.redact).problem
    assert problem.startswith("the model refused: xxx")
    assert "sk-" not in problem
    assert "sk-" not in read_body(json.dumps({"error": {key: key}}), "", settings.redact).problem


def test_requests_hold_no_tools_and_the_parameters_as_given(faults, config, cache) -> None:
    with faults.FaultServer() as server:
        ask(config(server, parameters={"temperature": 0.2, "top_k": 5}), cache, [question()])
        body = server.questions[0].body
    assert body["temperature"] == 0.2
    assert body["top_k"] == 5
    assert set(body) == {"model", "messages", "temperature", "top_k", "response_format"}


@pytest.mark.parametrize(
    "other", [{"parameters": {"temperature": 1.0}}, {"structured": "prompt"}, {"system_role": "user"}]
)
def test_whatever_determines_a_call_makes_it_another_one(faults, config, cache, other) -> None:
    with faults.FaultServer() as server:
        ask(config(server), cache, [question()])
        ask(config(server, **other), cache, [question()])
        assert len(server.questions) == 2
        ask(config(server, timeout=9, concurrency=2, api_key="k", **other), cache, [question()])
        assert len(server.questions) == 2, "how it is sent does not matter"


def test_max_calls_is_never_passed(faults, config, cache) -> None:
    with faults.FaultServer(bad=0.4, faults=("server_error", "cut_json"), seed=3) as server:
        budget = Budget(max_calls=12)
        results = ask(config(server, concurrency=5), cache, [question(n) for n in range(30)], budget=budget)
        assert len(server.seen) <= 12
        assert budget.spent.calls == len(server.seen)
        assert any(isinstance(result, LimitReachedError) for result in results)
        done = sum(isinstance(result, Answer) for result in results)
        assert done >= 2
        rest = ask(config(server, concurrency=5), cache, [question(n) for n in range(30)])
        assert not any(isinstance(result, LimitReachedError) for result in rest)
        assert not server.answered_twice()


def test_max_cost_is_never_passed(faults, config, cache) -> None:
    with faults.FaultServer(delay=0.02) as server:
        budget = Budget(max_cost=0.003, price=PRICE)
        settings = config(server, concurrency=4, parameters={"max_tokens": 100})
        results = ask(settings, cache, [question(n) for n in range(60)], budget=budget)
    answered = sum(isinstance(result, Answer) for result in results)
    assert 5 < answered < 60
    assert budget.spent.cost == pytest.approx(PRICE.cost(budget.spent.prompt_tokens, budget.spent.completion_tokens))
    assert 0.0022 < budget.spent.cost <= 0.003
    assert "max-cost" in str(next(result for result in results if isinstance(result, LimitReachedError)))


@pytest.mark.parametrize("fault", ["timeout", "closed", "not_json"])
def test_what_may_be_billed_without_an_answer_counts(faults, config, cache, fault) -> None:
    with faults.FaultServer(bad=1.0, faults=(fault,), hang=0.5) as server:
        budget = Budget(max_cost=0.003, price=PRICE)
        settings = config(server, concurrency=1, max_retries=1, timeout=0.2, parameters={"max_tokens": 100})
        results = ask(settings, cache, [question(n) for n in range(6)], budget=budget)
    assert budget.spent.completion_tokens >= 100 * len(server.questions) > 0, "each may be as long as an answer can be"
    assert budget.spent.cost <= 0.003
    assert any(isinstance(result, LimitReachedError) for result in results)


def test_what_a_server_refuses_costs_nothing(faults, config, cache) -> None:
    with faults.FaultServer(bad=1.0, faults=("server_error", "rate_limit")) as server:
        budget = Budget(max_cost=0.003, price=PRICE)
        ask(config(server, max_retries=1), cache, [question(n) for n in range(6)], budget=budget)
    assert len(server.questions) == 12
    assert budget.spent.answers == 1, "the trial"
    assert budget.spent.completion_tokens < 20


def test_a_dry_run_counts_what_is_not_recorded_and_sends_nothing(faults, config, cache) -> None:
    async def plan(settings):
        async with LLMClient(settings, cache, Budget(price=PRICE), dry_run=True) as client:
            answers = [await client.ask(question(n)) for n in range(5)]
            return answers, client.planned

    with faults.FaultServer() as server:
        ask(config(server), cache, [question(0), question(1)])
        before = len(server.seen)
        answers, planned = asyncio.run(plan(config(server)))
        assert len(server.seen) == before
    assert [answer.planned for answer in answers] == [False, False, True, True, True]
    assert planned.calls == 3
    assert planned.prompt_tokens > 0
    assert planned.cost == pytest.approx(PRICE.cost(planned.prompt_tokens, planned.completion_tokens))


def test_a_call_is_on_disk_when_the_next_one_begins(faults, config, tmp_path) -> None:
    path = tmp_path / "calls.sqlite"
    with CallCache(path) as cache, faults.FaultServer() as server:
        ask(config(server), cache, [question()])
        # another connection, while the first is open: what a process that is killed now would leave
        other = sqlite3.connect(path)
        (content,) = other.execute("SELECT content FROM calls").fetchone()
        assert json.loads(content)["description"] == "The hand moves up."
        other.close()


def test_requests_per_minute_hold_for_repetitions_too(faults, config, cache, monkeypatch) -> None:
    clock = {"now": 0.0}

    async def sleep(seconds: float) -> None:
        clock["now"] += seconds

    async def run(settings):
        async with LLMClient(settings, cache, Budget()) as client:
            client._requests._clock = lambda: clock["now"]
            client._requests._sleep = sleep
            return [await client.ask(question(n)) for n in range(7)]

    with faults.FaultServer() as server:
        start = time.monotonic()
        asyncio.run(run(config(server, requests_per_minute=3)))
        assert len(server.seen) == 8  # the trial is one of them
    assert clock["now"] == pytest.approx(120, abs=1), "3 at once, 3 after a minute, 2 after another"
    assert time.monotonic() - start < 20
