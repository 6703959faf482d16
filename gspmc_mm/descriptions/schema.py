"""The description set: what the texts of each sign are, as a JSON file with a fixed schema.

`docs/descriptions.md` shows the file. The names follow the paper: T_p is `primary`, T_g is
`global`, T_s are the `synonyms`, and the `segments` are T_p cut into pieces, each with the parts of
the body that it speaks of (many to many).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from gspmc_mm.files import write_json
from gspmc_mm.skeleton import PARTS

GLOBAL_TERM = "global"
SYNONYM_TERM = "synonym"
SCHEMA_VERSION = 1

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
OptionalText = Annotated[str, StringConstraints(strip_whitespace=True)]
PartName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]

_LANGUAGE = re.compile(r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")
_SHOWN_PROBLEMS = 20


class DescriptionError(ValueError):
    """A description file that cannot be used: names the file, the sign, the field and the value."""


class _Record(BaseModel):
    """Frozen, and a field that the schema does not know is an error rather than lost."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Segment(_Record):
    """One piece of the primary description and the parts of the body that it speaks of."""

    text: Text
    parts: tuple[str, ...] = Field(min_length=1)


class Evidence(_Record):
    """A quote from the corpus that a description rests on: entry id and the words quoted."""

    entry: Text
    quote: Text


class SignDescription(_Record):
    """The texts of one sign.

    `primary` is always there (a sign about which nothing is known has its gloss). An empty
    `global` means that there is no refined text, and an empty `synonyms` that there is no
    paraphrase: in both cases `primary` stands in (`global_text`, `synonym_texts`).
    """

    label: int = Field(ge=0, strict=True)
    gloss: Text
    primary: Text
    global_: OptionalText = Field(default="", alias="global")
    synonyms: tuple[Text, ...] = ()
    segments: tuple[Segment, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    unresolved: tuple[Text, ...] = ()

    @property
    def global_text(self) -> str:
        """T_g, or T_p where there is no refined text."""
        return self.global_ or self.primary

    @property
    def synonym_texts(self) -> tuple[str, ...]:
        """T_s, or T_p alone where there is no paraphrase."""
        return self.synonyms or (self.primary,)

    def part_texts(self, part: str) -> tuple[str, ...]:
        """The distinct texts of the segments that name `part`, in order; empty if none does."""
        return tuple(dict.fromkeys(s.text for s in self.segments if part in s.parts))


class DescriptionSet(_Record):
    """The descriptions of all signs of a data set, sorted by label, and where they come from.

    `language` is the language of the texts (a code such as `en`, `zh`, `tr`); the glosses may be in
    another. `parts` are the names that segments may use. Building one from Python raises pydantic's
    `ValidationError` (a ValueError); `load_descriptions` and `parse_descriptions` turn that into a
    `DescriptionError` that names file, sign and field.
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    name: Text
    language: Text
    generator: Text
    model: str | None = None
    prompt_hash: str | None = None
    corpus_hash: str | None = None
    parts: tuple[PartName, ...] = Field(default=PARTS, min_length=1)
    signs: tuple[SignDescription, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_across_fields(self) -> DescriptionSet:
        problems = [*_set_problems(self)]
        for sign in self.signs:
            problems += _sign_problems(sign, self.parts)
        if problems:
            raise ValueError(_join(problems))
        if any(a.label > b.label for a, b in zip(self.signs, self.signs[1:], strict=False)):
            object.__setattr__(self, "signs", tuple(sorted(self.signs, key=_label_of)))
        return self

    @property
    def classes(self) -> tuple[str, ...]:
        """Gloss by label."""
        return tuple(sign.gloss for sign in self.signs)

    @property
    def term_names(self) -> tuple[str, ...]:
        """The terms of the loss: global, synonym and the parts."""
        return (GLOBAL_TERM, SYNONYM_TERM, *self.parts)

    @cached_property
    def sha256(self) -> str:
        """Hash of the canonical JSON (sorted keys, no white space), not of the file as written."""
        canonical = json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode("utf-8")).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """The content of the JSON file as plain values."""
        return self.model_dump(mode="json", by_alias=True)


def parse_descriptions(data: Mapping[str, Any], source: str = "descriptions") -> DescriptionSet:
    """Validate plain values against the schema.

    Args:
        data: the content of the JSON file.
        source: what the errors call it, usually the path.

    Raises:
        DescriptionError: every problem with sign, field, value found and value expected.
    """
    if not isinstance(data, Mapping):
        raise DescriptionError(f"{source}: found {type(data).__name__}, expected a JSON object")
    if "schema_version" not in data:
        raise DescriptionError(f"{source}: field schema_version is missing, expected {SCHEMA_VERSION}")
    try:
        return DescriptionSet.model_validate(data)
    except ValidationError as error:
        problems = [_explain(detail, data) for detail in error.errors(include_url=False)]
        raise DescriptionError(f"{source}: {_join(problems)}") from None


def load_descriptions(path: str | os.PathLike[str]) -> DescriptionSet:
    """Read and validate a description set (JSON, UTF-8).

    Raises:
        FileNotFoundError: there is no such file.
        DescriptionError: it is not JSON, or not a valid description set.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"description set {path} does not exist")
    try:
        data = json.loads(path.read_text("utf-8-sig"), object_pairs_hook=_unique_keys)
    except UnicodeDecodeError as error:
        raise DescriptionError(f"{path}: not UTF-8 ({error}); save the file as UTF-8") from None
    except json.JSONDecodeError as error:
        raise DescriptionError(
            f"{path}: not valid JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from None
    except _DuplicateKeyError as error:
        raise DescriptionError(f"{path}: the key {error} occurs twice in one object") from None
    return parse_descriptions(data, str(path))


def save_descriptions(descriptions: DescriptionSet, path: str | os.PathLike[str]) -> None:
    """Write the set as indented UTF-8 JSON, in one step: the file is whole or not there."""
    write_json(path, descriptions.to_json())


class _DuplicateKeyError(Exception):
    pass


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    # json keeps the last of two equal keys; in a file edited by hand that loses a text silently
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _DuplicateKeyError(repr(key))
        result[key] = value
    return result


def _label_of(sign: SignDescription) -> int:
    return sign.label


def _set_problems(descriptions: DescriptionSet) -> Iterator[str]:
    if not _LANGUAGE.match(descriptions.language):
        yield (f"field language: found {descriptions.language!r}, expected a code such as 'en', 'zh', 'zh-TW' or 'tr'")
    parts = descriptions.parts
    for part in dict.fromkeys(parts):
        if parts.count(part) > 1:
            yield f"field parts: found {part!r} twice, expected distinct names"
        if part in (GLOBAL_TERM, SYNONYM_TERM):
            yield f"field parts: found {part!r}, which is the name of a term and not of a part"
    first: dict[int, str] = {}
    for sign in descriptions.signs:
        if sign.label in first:
            yield (
                f"{_name(sign.gloss, sign.label)}, field label: found {sign.label}, which sign "
                f"{first[sign.label]!r} has already; expected one description per label"
            )
        first.setdefault(sign.label, sign.gloss)
    missing = sorted(set(range(max(first) + 1)) - set(first))
    if missing:
        shown = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        yield (
            f"field signs: {len(missing)} labels have no description: {shown}; "
            f"expected every label from 0 to {max(first)}"
        )


def _sign_problems(sign: SignDescription, parts: tuple[str, ...]) -> Iterator[str]:
    name = _name(sign.gloss, sign.label)
    for i, segment in enumerate(sign.segments):
        for part in dict.fromkeys(segment.parts):
            if part not in parts:
                yield (f"{name}, field segments[{i}].parts: found {part!r}, expected one of {', '.join(parts)}")
            if segment.parts.count(part) > 1:
                yield f"{name}, field segments[{i}].parts: found {part!r} twice, expected once"
    for i, synonym in enumerate(sign.synonyms):
        if synonym == sign.primary:
            yield (
                f"{name}, field synonyms[{i}]: found {_short(synonym)}, the primary text itself; "
                "expected another wording"
            )
        elif synonym in sign.synonyms[:i]:
            yield (f"{name}, field synonyms[{i}]: found {_short(synonym)} a second time, expected distinct texts")


def _explain(detail: ErrorDetails, data: Mapping[str, Any]) -> str:
    """One problem found by pydantic as 'sign, field: found, expected'."""
    location = list(detail["loc"])
    message = detail["msg"].removeprefix("Value error, ")
    if not location:  # found by our own check across fields, which has said it all
        return message
    where = ""
    if location[0] == "signs" and len(location) > 1:
        sign = data["signs"][location[1]]
        if isinstance(sign, Mapping):
            where = _name(sign.get("gloss", "?"), sign.get("label", "?")) + ", "
            location = location[2:]
    field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location).lstrip(".")
    if detail["type"] == "missing":
        return f"{where}field {field} is missing"
    if detail["type"] == "extra_forbidden":
        return f"{where}field {field} is not part of the schema"
    return f"{where}field {field}: found {_short(detail['input'])}, expected: {message}"


def _name(gloss: object, label: object) -> str:
    return f"sign {gloss!r} (label {label})"


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _join(problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    lines = [f"\n  {problem}" for problem in problems[:_SHOWN_PROBLEMS]]
    if len(problems) > _SHOWN_PROBLEMS:
        lines.append(f"\n  ... and {len(problems) - _SHOWN_PROBLEMS} more")
    return f"{len(problems)} problems:{''.join(lines)}"
