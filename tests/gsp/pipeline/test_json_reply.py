"""JSON in the answers of language models: found, repaired, never completed."""

from __future__ import annotations

import json

import pytest

from gspmc_mm.gsp.client.json_reply import NoJsonError, find_json, portable_schema, response_format


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "b"}',
        '```json\n{"a": "b"}\n```',
        'Here you are:\n{"a": "b"}\nI hope this helps {smile}.',
        '<think>first {"a": "draft"}, or {"a": "x"}</think>{"a": "b"}',
        'Draft: {"a": "x"}. Better: {"a": "b"}',
        '{"a": "b",}',
        '\ufeff {"a": "b"}'.replace("\ufeff", ""),
    ],
)
def test_json_is_found_whatever_stands_around_it(text) -> None:
    assert find_json(text) == {"a": "b"}


def test_strings_are_left_alone() -> None:
    value = {"a": 'a "quote", ] and } and {', "b": ["x,", "]"]}
    assert find_json(f"so: {json.dumps(value)[:-1]},}}") == value
    assert find_json('{"a": "two\nlines"}') == {"a": "two\nlines"}


@pytest.mark.parametrize(
    "text", ['{"a": "b"', '{"a": "b', '{"a": ["b", ', '{"segments": [{"text": "up"}', "", "no", "[1, 2]", '{"a": b}']
)
def test_what_is_cut_or_missing_is_not_made_up(text) -> None:
    with pytest.raises(NoJsonError):
        find_json(text)


def test_an_inner_object_of_a_cut_answer_is_not_taken_for_it() -> None:
    with pytest.raises(NoJsonError, match="cut"):
        find_json('{"segments": [{"text": "up", "parts": ["body"]}, {"text": "do')


def test_schema_without_what_some_servers_refuse() -> None:
    schema = {
        "title": "T",
        "type": "object",
        "properties": {
            "title": {"type": "string", "minLength": 1, "title": "Title"},
            "items": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/pattern"}},
        },
        "$defs": {"pattern": {"type": "string", "pattern": "x", "description": "y"}},
        "required": ["title", "items"],
    }
    assert portable_schema(schema) == {
        "type": "object",
        "properties": {"title": {"type": "string"}, "items": {"type": "array", "items": {"$ref": "#/$defs/pattern"}}},
        "$defs": {"pattern": {"type": "string"}},
        "required": ["title", "items"],
    }


def test_the_three_ways_to_ask() -> None:
    wanted = response_format("json_schema", "p1", {"type": "object", "title": "T"})
    assert wanted == {
        "type": "json_schema",
        "json_schema": {"name": "p1", "strict": True, "schema": {"type": "object"}},
    }
    assert response_format("json_object", "p1", {}) == {"type": "json_object"}
    assert response_format("prompt", "p1", {}) is None
