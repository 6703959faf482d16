"""What a language model answers to the prompts: the JSON that is asked for, and when it can be used.

Wrong in a way that makes an answer useless (no such field, an entry that was not given, another language) raises; what
can be lived with (too long, a variant too few) is a complaint, for which the model is asked again and which is marked
in the
end.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gspmc_mm.descriptions.schema import Text
from gspmc_mm.gsp.length_budget import LengthBudget

_LETTER = re.compile(r"[^\W\d_]")
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
# The code of a marker line (`prompting.marker`): small models copy it.
_MARKER = re.compile(r"(?<![0-9A-Za-z])(?=\w*\d)[0-9A-F]{10}(?![0-9A-Za-z])")
# A text in Latin letters may name a Chinese word, and a Chinese one the letter of a hand; more is another language.
_MOST_FOREIGN = 0.3


class _Reply(BaseModel):
    # the schema that is sent forbids other fields; a model that adds one all the same does no harm
    model_config = ConfigDict(extra="ignore", frozen=True, json_schema_extra={"additionalProperties": False})


class Quote(_Reply):
    """An entry by its short name in the prompt, and words of it."""

    entry: Text
    quote: Text


class DescriptionReply(_Reply):
    """Answer to P1 and P3."""

    description: Text
    evidence: tuple[Quote, ...] = Field(min_length=1)


class VariantsReply(_Reply):
    """Answer to P2."""

    variants: tuple[Text, ...]


class PartSegment(_Reply):
    """A segment and the parts that it speaks of."""

    text: Text
    parts: tuple[Text, ...] = Field(min_length=1)


class SegmentsReply(_Reply):
    """Answer to P4."""

    segments: tuple[PartSegment, ...] = Field(min_length=1)


class MergedReply(SegmentsReply, VariantsReply, DescriptionReply):
    """Answer to P2, P3 and P4 in one."""


AnyReply = TypeVar("AnyReply", bound=_Reply)


@dataclass(frozen=True)
class ReplyRules:
    """What an answer has to keep to.

    Attributes:
        budget: how long a text may be.
        language: that the texts are in.
        refs: short names of the entries that were given.
        parts: names of the parts of the body.
        variants: how many other wordings are wanted.
        original: the text that variants are to differ from.
    """

    budget: LengthBudget
    language: str
    refs: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    variants: int = 0
    original: str = ""

    def schema(self, model: type[_Reply]) -> dict[str, Any]:
        """The JSON schema of an answer, with the names that may be used."""
        schema = copy.deepcopy(_schema_of(model))
        kinds = schema.get("$defs", {})
        if "Quote" in kinds:
            kinds["Quote"]["properties"]["entry"] = {"type": "string", "enum": list(self.refs)}
        if "PartSegment" in kinds:
            kinds["PartSegment"]["properties"]["parts"]["items"] = {"type": "string", "enum": list(self.parts)}
        return schema

    def read(self, model: type[AnyReply], value: dict[str, Any]) -> tuple[AnyReply, tuple[str, ...]]:
        """The answer, and what is not as it was asked for.

        Raises:
            ValueError: it cannot be used; says why, to a model as well as to a person.
        """
        try:
            reply = model.model_validate(value)
        except ValidationError as error:
            raise ValueError("; ".join(_explain(detail) for detail in error.errors(include_url=False))) from None
        problems = [*self._unknown_names(reply), *self._unfit_texts(reply)]
        if problems:
            raise ValueError("; ".join(problems))
        return reply, tuple(self._complaints(reply))

    def _unknown_names(self, reply: _Reply) -> list[str]:
        problems = []
        if isinstance(reply, DescriptionReply):
            unknown = dict.fromkeys(q.entry for q in reply.evidence if q.entry not in self.refs)
            problems += [f"there is no entry {name!r}, expected one of {', '.join(self.refs)}" for name in unknown]
        if isinstance(reply, SegmentsReply):
            unknown = dict.fromkeys(p for s in reply.segments for p in s.parts if p not in self.parts)
            problems += [f"there is no part {name!r}, expected one of {', '.join(self.parts)}" for name in unknown]
        return problems

    def _unfit_texts(self, reply: _Reply) -> list[str]:
        problems = []
        for name, text in named_texts(reply):
            if not is_written_in(text, self.language):
                problems.append(f"{name} is not written in the language asked for ({self.language})")
            if marker := _MARKER.search(text):
                problems.append(f"{name} copies the marker {marker.group()}, which is no part of the text")
        return problems

    def _complaints(self, reply: _Reply) -> list[str]:
        found = (self.budget.complaint(name, text) for name, text in named_texts(reply))
        complaints = [complaint for complaint in found if complaint]
        if isinstance(reply, VariantsReply):
            original = reply.description if isinstance(reply, DescriptionReply) else self.original
            usable = distinct_variants(reply.variants, original)
            if len(usable) < self.variants:
                complaints.append(f"{len(usable)} different variants, expected {self.variants}")
        return complaints


@cache
def _schema_of(model: type[_Reply]) -> dict[str, Any]:
    """Making one takes pydantic ten milliseconds, and it is needed for every call."""
    return model.model_json_schema()


def named_texts(reply: _Reply) -> list[tuple[str, str]]:
    """The texts of an answer and what to call them."""
    texts = []
    if isinstance(reply, DescriptionReply):
        texts.append(("description", reply.description))
    if isinstance(reply, VariantsReply):
        texts += [(f"variants[{i}]", text) for i, text in enumerate(reply.variants)]
    if isinstance(reply, SegmentsReply):
        texts += [(f"segments[{i}]", segment.text) for i, segment in enumerate(reply.segments)]
    return texts


def distinct_variants(variants: Sequence[str], original: str) -> tuple[str, ...]:
    """Variants that differ from the original and from one another."""
    return tuple(text for text in dict.fromkeys(variants) if text != original)


def is_written_in(text: str, language: str) -> bool:
    """Whether the script of a text is that of the language; True for languages that this cannot tell."""
    language = language.split("-")[0]
    letters = len(_LETTER.findall(text))
    if language not in ("zh", "en", "tr") or not letters:
        return True
    han = len(_HAN.findall(text)) / letters
    return han >= _MOST_FOREIGN if language == "zh" else han <= _MOST_FOREIGN


def _explain(detail: Any) -> str:
    field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in detail["loc"]).lstrip(".")
    if detail["type"] == "missing":
        return f"the field {field} is missing"
    found = repr(detail["input"])
    return f"field {field}: {detail['msg']}, found {found if len(found) <= 60 else found[:57] + '...'}"
