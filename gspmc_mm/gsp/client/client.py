"""Questions to any OpenAI-compatible model: recorded, limited, checked, asked again when the answer is no use."""

from __future__ import annotations

import asyncio
import datetime
import json
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from gspmc_mm.extras import how_to_install
from gspmc_mm.gsp.client.answers import USUAL_ANSWER_TOKENS, Answer, Body, Question, read_body
from gspmc_mm.gsp.client.cache import CallCache, Recorded, call_key
from gspmc_mm.gsp.client.config import LADDER, LLMConfig, Rung
from gspmc_mm.gsp.client.errors import AskError, LLMError
from gspmc_mm.gsp.client.json_reply import NoJsonError, find_json, response_format
from gspmc_mm.gsp.client.limits import Budget, SlidingWindow, Spending, estimate_tokens

if TYPE_CHECKING:
    import openai

# Asked once and at most twice again, with what was wrong.
ATTEMPTS = 3
# What of a wrong answer is shown to the model again.
_SHOWN_ANSWER = 2000
# After so many questions in a row without any answer, something is wrong with the server and not with the signs.
_MAX_SILENT = 10
_TRIAL = Question(
    sign="",
    step="trial",
    system="You answer in JSON.",
    user='Answer with this JSON object and nothing else: {"ready": true}',
    schema={
        "type": "object",
        "properties": {"ready": {"type": "boolean"}},
        "required": ["ready"],
        "additionalProperties": False,
    },
    check=lambda value: (value, ()),
    again=lambda problem, reply: "",
)


class _FormatRefusedError(Exception):
    """Status 400 or 422: the server may not know this `response_format`, or the request is wrong altogether."""


class _NotAnsweredError(Exception):
    """No answer after all repetitions of the client."""


@dataclass
class _Wire:
    """Requests of one call with its repetitions: sent, answered by an error status, answered with a whole body."""

    sent: int = 0
    refused: int = 0
    answered: int = 0


# The hooks of the HTTP client see requests of all calls; each runs in the context of its own.
_WIRE: ContextVar[_Wire] = ContextVar("_WIRE")


class LLMClient:
    """Asks questions, with at most `config.concurrency` of them on their way.

    Use it as an asynchronous context manager. Nothing is imported or sent before the first question that the cache
    cannot answer; then one cheap call finds out whether address, key and model are right and how JSON can be asked for.

    Args:
        config: the endpoint.
        cache: the recorded calls.
        budget: what may be used, and what has been.
        retry_failed: ask again where all recorded answers were unusable or the server did not answer.
        dry_run: count calls (`planned`) instead of making them.
    """

    def __init__(
        self,
        config: LLMConfig,
        cache: CallCache,
        budget: Budget,
        *,
        retry_failed: bool = False,
        dry_run: bool = False,
    ) -> None:
        self.config = config
        self.cache = cache
        self.budget = budget
        self.retry_failed = retry_failed
        self.dry_run = dry_run
        self.planned = Spending()
        self._rung: Rung = config.first_rung
        self._requests = SlidingWindow(config.requests_per_minute)
        self._tokens = SlidingWindow(config.tokens_per_minute)
        self._slots = asyncio.Semaphore(config.concurrency)
        self._under_way: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._tried = False
        self._trial = asyncio.Lock()
        self._unanswered: list[tuple[str, Recorded]] = []
        self._openai: openai.AsyncOpenAI | None = None

    async def __aenter__(self) -> LLMClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._record_unanswered()
        if self._openai is not None:
            await self._openai.close()

    async def ask(self, question: Question) -> Answer:
        """A usable answer, from the cache or from the model.

        Raises:
            AskError: there is none after three attempts, or the server did not answer.
            LimitReachedError: another call does not fit into the budget.
            LLMError: the endpoint cannot be used.
        """
        recorded: dict[str, bool] = {}
        try:
            return await self._attempts(question, recorded)
        except AskError:
            if not self.retry_failed or not all(recorded.values()):
                raise
        if self.dry_run:
            self._plan(question, self._messages(question.system, question.user))
            return Answer(None, planned=True)
        self.cache.forget(recorded)
        return await self._attempts(question, {})

    async def _attempts(self, question: Question, recorded: dict[str, bool]) -> Answer:
        """The three attempts; `recorded` gets the hash of each call and whether it came from the cache."""
        user, second_best = question.user, None
        problems: list[str] = []
        without_json = 0
        for attempt in range(ATTEMPTS):
            messages = self._messages(question.system, user)
            key = call_key(self._determined_by(question, messages, attempt))
            call = self.cache.get(key)
            recorded[key] = call is not None
            if call is not None:
                self.budget.spent.recorded += 1
            elif self.dry_run:
                self._plan(question, messages)
                return Answer(None, planned=True)
            else:
                call = await self._call_once(key, question, messages, attempt, without_json)
            if call.transport:
                raise AskError(call.problem)
            problem = call.problem
            if not problem:
                try:
                    value, complaints = question.check(find_json(call.content))
                except ValueError as error:
                    problem = str(error)
                    without_json += isinstance(error, NoJsonError)
                else:
                    answer = Answer(value, complaints, raw=call.content)
                    if not complaints:
                        return answer
                    if second_best is None or len(complaints) < len(second_best.complaints):
                        second_best = answer
                    problem = "; ".join(complaints)
            problems.append(problem)
            user = question.again(problem, call.content[:_SHOWN_ANSWER])
        if second_best is not None:
            return second_best
        raise AskError("; then ".join(dict.fromkeys(problems)))

    def _messages(self, system: str, user: str) -> list[dict[str, str]]:
        if self.config.system_role == "user":
            return [{"role": "user", "content": f"{system}\n\n{user}"}]
        return [{"role": self.config.system_role, "content": system}, {"role": "user", "content": user}]

    def _determined_by(self, question: Question, messages: list[dict[str, str]], attempt: int) -> dict[str, Any]:
        """Everything that determines an answer; not the rung, which is a property of the endpoint."""
        return {
            "base_url": self.config.base_url,
            "model": self.config.model,
            "parameters": self.config.parameters,
            "structured": self.config.structured,
            "schema": question.schema,
            "messages": messages,
            "attempt": attempt,
        }

    def _plan(self, question: Question, messages: list[dict[str, str]]) -> None:
        prompt = estimate_tokens("".join(message["content"] for message in messages))
        self.planned.calls += 1
        self.planned.prompt_tokens += prompt
        self.planned.completion_tokens += question.answer_tokens
        self.planned.cost += self.budget.cost(prompt, question.answer_tokens)

    async def _call_once(
        self, key: str, question: Question, messages: list[dict[str, str]], attempt: int, lower: int
    ) -> Recorded:
        """Make a call and record it; equal questions of two signs are one call."""
        lock = self._under_way.setdefault(key, asyncio.Lock())
        async with lock:
            call = self.cache.get(key)
            if call is not None:
                self.budget.spent.recorded += 1
                return call
            await self._try_endpoint()
            async with self._slots:
                return await self._call(key, question, messages, attempt, lower)

    async def _call(
        self, key: str, question: Question, messages: list[dict[str, str]], attempt: int, lower: int
    ) -> Recorded:
        start = time.monotonic()
        request = json.dumps(messages, ensure_ascii=False)
        rungs: tuple[Rung, ...] = (self._rung,)
        if self.config.structured == "auto":
            # a server that takes json_schema and answers in prose: the next attempt asks one rung lower
            rungs = LADDER[min(LADDER.index(self._rung) + lower, len(LADDER) - 1) :]
        refused = ""
        for rung in rungs:
            try:
                text = await self._send(question, messages, rung)
            except _FormatRefusedError as error:
                refused = refused or str(error)
                continue
            except _NotAnsweredError as error:
                return self._not_answered(key, question, attempt, request, rung, str(error), start)
            if refused:
                self._remember(rung)
            break
        else:
            return self._not_answered(key, question, attempt, request, rungs[0], refused, start)
        body = read_body(text, request, self.config.redact)
        call = Recorded(
            sign=question.sign,
            step=question.step,
            attempt=attempt,
            request=request,
            content=body.content,
            finish_reason=body.finish_reason,
            problem=body.problem,
            transport=False,
            rung=rung,
            prompt_tokens=body.prompt_tokens,
            completion_tokens=self._written(body),
            seconds=round(time.monotonic() - start, 3),
            created=_now(),
        )
        self.cache.put(key, call)
        self._record_unanswered()
        self._account(call.prompt_tokens, call.completion_tokens)
        return call

    def _written(self, body: Body) -> int:
        """Tokens of an answer: where nobody has counted them, the most that there can be."""
        return self._longest_answer if body.completion_tokens is None else body.completion_tokens

    def _account(self, prompt_tokens: int, completion_tokens: int) -> None:
        self.budget.spent.answers += 1
        self._charge(prompt_tokens, completion_tokens)

    def _charge(self, prompt_tokens: int, completion_tokens: int) -> None:
        spent = self.budget.spent
        spent.prompt_tokens += prompt_tokens
        spent.completion_tokens += completion_tokens
        spent.cost += self.budget.cost(prompt_tokens, completion_tokens)

    def _record_unanswered(self) -> None:
        for key, call in self._unanswered:
            self.cache.put(key, call)
        self._unanswered.clear()

    def _not_answered(
        self, key: str, question: Question, attempt: int, request: str, rung: Rung, problem: str, start: float
    ) -> Recorded:
        """Keep that there was no answer; recorded only once the server answers something else."""
        call = Recorded(
            sign=question.sign,
            step=question.step,
            attempt=attempt,
            request=request,
            content="",
            finish_reason="",
            problem=problem,
            transport=True,
            rung=rung,
            prompt_tokens=0,
            completion_tokens=0,
            seconds=round(time.monotonic() - start, 3),
            created=_now(),
        )
        self._unanswered.append((key, call))
        if len(self._unanswered) >= max(_MAX_SILENT, 2 * self.config.concurrency):
            number = len(self._unanswered)
            self._unanswered.clear()
            raise LLMError(
                f"{self.config.base_url} has not answered {number} questions in a row (the last: {problem}); what was "
                "answered before is kept, run the same command again when the server is well"
            )
        return call

    async def _try_endpoint(self) -> None:
        """One cheap call before the first question: is there such a model, and does it take json_schema?

        Raises:
            LLMError: address, key or model are wrong, or a parameter is refused.
        """
        async with self._trial:
            if self._tried:
                return
            remembered = self.cache.rung(self._endpoint)
            if self.config.structured == "auto" and remembered in LADDER:
                self._rung = remembered
            messages = self._messages(_TRIAL.system, _TRIAL.user)
            rungs = LADDER[LADDER.index(self._rung) :] if self.config.structured == "auto" else (self._rung,)
            refused = ""
            for rung in rungs:
                try:
                    text = await self._send(_TRIAL, messages, rung, trial=True)
                except _FormatRefusedError as error:
                    refused = str(error)
                    continue
                except _NotAnsweredError:
                    break  # busy: nothing is known yet, and the questions will show
                self._remember(rung)
                body = read_body(text, json.dumps(messages))
                self._account(body.prompt_tokens, self._written(body))
                break
            else:
                raise LLMError(f"model {self.config.model!r} at {self.config.base_url} refuses the request: {refused}")
            self._tried = True

    @property
    def _endpoint(self) -> str:
        return f"{self.config.base_url} {self.config.model}"

    def _remember(self, rung: Rung) -> None:
        if self.config.structured == "auto":
            self._rung = rung
            self.cache.remember_rung(self._endpoint, rung)

    async def _send(self, question: Question, messages: list[dict[str, str]], rung: Rung, trial: bool = False) -> str:
        """The body of the reply of one request; the client repeats it where that helps."""
        openai = _import_openai()
        if self._openai is None:
            self._openai = self._connect(openai)
        body = dict(self.config.parameters)
        if (wanted := response_format(rung, question.step, question.schema)) is not None:
            body["response_format"] = wanted
        # the schema is read by the model as well
        prompt_tokens = estimate_tokens(json.dumps([messages, wanted], ensure_ascii=False))
        async with self.budget.admit(prompt_tokens, self._longest_answer, self.config.max_retries) as retries:
            client = self._openai.with_options(max_retries=retries)
            wire = _Wire()
            _WIRE.set(wire)
            try:
                reply = await client.chat.completions.with_raw_response.create(
                    model=self.config.model,
                    messages=messages,  # type: ignore[arg-type]
                    extra_body=body,
                )
                wire.answered = 1
                return str(reply.text)
            except openai.APIStatusError as error:
                raise await self._meaning(error) from None
            except openai.APITimeoutError:
                raise _NotAnsweredError(f"no answer within {self.config.timeout:g} s") from None
            except openai.APIConnectionError as error:
                reason = self.config.redact(str(error.__cause__ or error))
                if trial:
                    raise LLMError(
                        f"{self.config.base_url} cannot be reached ({reason}); does the server run at this address?"
                    ) from None
                raise _NotAnsweredError(f"connection failed ({reason})") from None
            finally:
                # a server may have written, and bill, what never came back; an error status is not billed
                lost = wire.sent - wire.refused - wire.answered
                self._charge(lost * prompt_tokens, lost * self._longest_answer)

    @property
    def _longest_answer(self) -> int:
        return self.config.max_output_tokens or USUAL_ANSWER_TOKENS

    async def _meaning(self, error: openai.APIStatusError) -> Exception:
        """What a status means: the end of the run, of this question, or of this way of asking for JSON."""
        words = self.config.redact(error.message)
        where = f"{self.config.base_url} answers {error.status_code}"
        if error.status_code in (400, 422):
            return _FormatRefusedError(words)
        if error.status_code in (401, 403):
            return LLMError(f"{where}: the key is refused ({words}); set api_key_env in the YAML")
        if error.status_code == 404:
            models = await self._models()
            known = f"; models there: {', '.join(models)}" if models else "; does the address end in /v1?"
            raise LLMError(f"{where}: no model {self.config.model!r} ({words}){known}")
        if error.status_code == 402 or getattr(error, "code", None) == "insufficient_quota":
            return LLMError(f"{where}: the account has no credit ({words})")
        return _NotAnsweredError(f"status {error.status_code} ({words[:200]})")

    async def _models(self) -> list[str]:
        """Names of the models at the endpoint, as far as it tells them."""
        openai = _import_openai()
        if self._openai is None:
            return []
        try:
            page = await self._openai.with_options(max_retries=0).models.list()
            return sorted(self.config.redact(str(model.id)) for model in page.data)[:30]
        except (openai.OpenAIError, ValueError, TypeError, AttributeError):
            return []  # many servers have no such list, and we are explaining an error already

    def _connect(self, openai: Any) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            base_url=self.config.base_url,
            # the library insists on one; servers without keys do not look at it
            api_key=self.config.api_key.get_secret_value() or "none",
            default_headers={name: value.get_secret_value() for name, value in self.config.headers.items()},
            timeout=self.config.timeout,
            # the hooks see every request on the wire, the client's own repetitions too
            http_client=openai.DefaultAsyncHttpxClient(
                timeout=self.config.timeout,
                event_hooks={"request": [self._before_request], "response": [self._on_response]},
            ),
        )

    async def _before_request(self, request: Any) -> None:
        await self._requests.acquire()
        await self._tokens.acquire(-(-len(request.content) // 3) + self._longest_answer)
        self.budget.spent.calls += 1
        _WIRE.get().sent += request.method == "POST"  # the list of models is a GET, and free

    async def _on_response(self, response: Any) -> None:
        """The status is there, the body may still be cut."""
        _WIRE.get().refused += response.request.method == "POST" and response.status_code >= 300


def _import_openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise ImportError(
            f"asking a language model needs the package openai: {how_to_install('gsp')} (without it, "
            "'--llm extractive' takes the texts from the dictionary by rules)"
        ) from error
    return openai


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
