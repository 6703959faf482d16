"""The JSON in an answer of a language model: how it is asked for, and how it is found and repaired.

Repair takes away what models put around JSON (code fences, thoughts, a sentence before) and commas too many. It never
closes what the answer left open: an answer that was cut is not a result.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from gspmc_mm.gsp.client.config import Rung

_THOUGHTS = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_COMMA_TOO_MANY = re.compile(r",(?=\s*[}\]])")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
# Keywords that not every server's grammar knows; pydantic checks what they say anyway.
_LOCAL_KEYWORDS = frozenset(
    {
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "pattern",
        "minimum",
        "maximum",
        "title",
        "description",
        "default",
    }
)


class NoJsonError(ValueError):
    """An answer without a whole JSON object in it."""


def response_format(rung: Rung, name: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """The field `response_format` of a request; None where the prompt alone asks for JSON."""
    if rung == "json_schema":
        return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": portable_schema(schema)}}
    return {"type": "json_object"} if rung == "json_object" else None


def portable_schema(schema: Any) -> Any:
    """A JSON schema with the keywords only that every server understands."""
    if isinstance(schema, Mapping):
        # below `properties` stand names of fields, which may be called like a keyword
        return {
            key: {name: portable_schema(field) for name, field in value.items()}
            if key in ("properties", "$defs")
            else portable_schema(value)
            for key, value in schema.items()
            if key not in _LOCAL_KEYWORDS
        }
    if isinstance(schema, list):
        return [portable_schema(item) for item in schema]
    return schema


def find_json(text: str) -> dict[str, Any]:
    """The JSON object of an answer.

    The last one, where there are several: models that think aloud write drafts first.

    Raises:
        NoJsonError: there is none, or it is cut.
    """
    text = _THOUGHTS.sub("", text).strip()
    candidates = [text, *_objects(text)]
    for candidate in (candidates[0], *reversed(candidates[1:])):
        for repaired in (candidate, _without_extra_commas(candidate)):
            try:
                value = json.loads(repaired, strict=False)
            except (json.JSONDecodeError, RecursionError):
                continue
            if isinstance(value, dict):
                return value
    if not text:
        raise NoJsonError("the answer is empty")
    opened = "a JSON object that is cut or malformed" if "{" in text else "no JSON object"
    raise NoJsonError(f"the answer holds {opened}")


def _objects(text: str) -> Iterator[str]:
    """The outermost {...} of a text whose brackets are balanced, strings respected."""
    depth, start, position = 0, 0, 0
    while position < len(text):
        character = text[position]
        if character == '"' and depth:
            string = _STRING.match(text, position)
            if string is None:  # a string that never ends
                return
            position = string.end()
            continue
        if character == "{":
            start = position if depth == 0 else start
            depth += 1
        elif character == "}" and depth:
            depth -= 1
            if depth == 0:
                yield text[start : position + 1]
        position += 1


def _without_extra_commas(text: str) -> str:
    """Commas before a closing bracket dropped, outside of strings."""
    pieces, end = [], 0
    for string in _STRING.finditer(text):
        pieces += [_COMMA_TOO_MANY.sub("", text[end : string.start()]), string.group()]
        end = string.end()
    return "".join([*pieces, _COMMA_TOO_MANY.sub("", text[end:])])
