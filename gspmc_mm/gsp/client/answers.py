"""What is asked of a language model and what comes back, without the network between."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from gspmc_mm.gsp.client.limits import estimate_tokens

# What an answer to one of our questions usually takes, where nothing says so.
USUAL_ANSWER_TOKENS = 300


@dataclass(frozen=True)
class Question:
    """One thing to find out from the model, with everything needed to judge the answer.

    Attributes:
        sign, step: what it is for.
        system: the instructions.
        user: the question.
        schema: JSON schema of the answer.
        check: from the JSON object to the value; raises ValueError where the answer cannot be used, and names what is
            not as it was asked for but can be lived with (a text that is too long).
        again: the question once more, given what was wrong and the answer that was wrong.
        answer_tokens: usual length of the answer, for the plan of a run.
    """

    sign: str
    step: str
    system: str
    user: str
    schema: Mapping[str, Any]
    check: Callable[[dict[str, Any]], tuple[Any, tuple[str, ...]]]
    again: Callable[[str, str], str]
    answer_tokens: int = USUAL_ANSWER_TOKENS


@dataclass(frozen=True)
class Answer:
    """A usable answer.

    Attributes:
        value: what `Question.check` made of it; None if the call was only planned.
        complaints: what is not as it was asked for.
        planned: the call was counted and not made (dry run).
        raw: the text of the answer.
    """

    value: Any
    complaints: tuple[str, ...] = ()
    planned: bool = False
    raw: str = ""


@dataclass(frozen=True)
class Body:
    """What stands in the body of a reply: text, or the `problem` why there is none that counts.

    `completion_tokens` is None where the server does not count and there is no whole text to count.
    """

    content: str
    finish_reason: str
    problem: str
    prompt_tokens: int
    completion_tokens: int | None


def read_body(text: str, prompt: str, redact: Callable[[str], str] = str) -> Body:
    """Take apart the body of a chat completion, whatever the server made of it.

    An answer that ended for its length, a refusal, a call of a tool and an error sent with status 200 are problems, not
    texts. Tokens are estimated where the server does not count them.

    Args:
        text: the body.
        prompt: what was sent.
        redact: takes secrets out of every text that is kept, before it is shortened. The body itself is parsed as it
            came, so that a secret that looks like JSON does not break it.
    """

    def broken(problem: str) -> Body:
        return Body("", "", problem, estimate_tokens(prompt), None)

    try:
        body = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return broken("the reply of the server is not whole JSON")
    if not isinstance(body, dict):
        return broken(f"the reply of the server is a {type(body).__name__}, not an object")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        error = f" ({_shorten(redact(json.dumps(body['error'], ensure_ascii=False)))})" if body.get("error") else ""
        return broken(f"the reply has no choice{error}")
    message = choices[0].get("message")
    message = message if isinstance(message, dict) else {}
    content = redact(_text(message.get("content")))
    finish = redact(str(choices[0].get("finish_reason") or ""))
    usage = body.get("usage") if isinstance(body.get("usage"), dict) else {}
    if message.get("refusal"):
        problem = f"the model refused: {_shorten(redact(str(message['refusal'])))}"
    elif finish == "length":
        problem = "the answer was cut at the limit of its length"
    elif finish == "content_filter":
        problem = "the server's filter withheld the answer"
    elif message.get("tool_calls") or message.get("function_call"):
        problem = "the model called a tool, and there are none"
    elif not content.strip():
        problem = "the answer is empty"
    else:
        problem = ""
    written = usage.get("completion_tokens")
    return Body(
        content,
        finish,
        problem,
        _count(usage.get("prompt_tokens"), prompt),
        None if problem and not _is_count(written) else _count(written, content),
    )


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # parts
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return ""


def _count(counted: object, text: str) -> int:
    return counted if _is_count(counted) else estimate_tokens(text)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _shorten(text: str, length: int = 200) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
