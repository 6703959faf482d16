"""What a human has written stays: override files, corrections in the JSON itself, and what a new run changes."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gspmc_mm.descriptions import DescriptionSet, Evidence, Segment, SignDescription
from gspmc_mm.descriptions.schema import OptionalText, Text

# Of SignDescription; `global_` is called `global` in files.
FIELDS = ("primary", "global_", "synonyms", "segments", "evidence", "unresolved")
_MERGE = "tag:yaml.org,2002:merge"


class OverrideError(ValueError):
    """An override file, or hand edits, that cannot be kept: names the sign and the field."""


class SignOverride(BaseModel):
    """What a human says about a sign; None: leaves it to the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    primary: Text | None = None
    global_: OptionalText | None = Field(default=None, alias="global")
    synonyms: tuple[Text, ...] | None = None
    segments: tuple[Segment, ...] | None = None
    evidence: tuple[Evidence, ...] | None = None
    unresolved: tuple[Text, ...] | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields that are given."""
        return tuple(name for name in FIELDS if getattr(self, name) is not None)

    @property
    def is_complete(self) -> bool:
        """Whether no text is left to the machine."""
        return {"primary", "global_", "synonyms", "segments"} <= set(self.fields)

    def applied_to(self, sign: SignDescription) -> SignDescription:
        """The sign with the human's fields in place of its own."""
        values = {name: getattr(self, name) for name in self.fields}
        return SignDescription(**{**dict(sign), **values}) if values else sign

    def over(self, other: SignOverride | None) -> SignOverride:
        """This one, and the other's fields where it says nothing."""
        if other is None:
            return self
        return SignOverride(**{name: getattr(other, name) for name in other.fields} | self._given())

    def _given(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.fields}


class _KeyTwiceError(Exception):
    """A key that a mapping has twice: line and key."""


class _DistinctKeys(yaml.SafeLoader):
    """YAML in which no key comes twice; the plain loader keeps the last of two without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node.

        Raises:
            _KeyTwiceError: a key is there twice.
        """
        lines: dict[Any, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key, line = self.construct_object(key_node, deep=True), key_node.start_mark.line + 1
            if not isinstance(key, Hashable):
                continue  # what that means is said below
            if key in lines:
                raise _KeyTwiceError(
                    f"line {line}: {key_node.value!r} is there twice, first at line {lines[key]}; keep one of the two "
                    "(unquoted, words such as yes and on are one value: write them in quotes)"
                )
            lines[key] = line
        return super().construct_mapping(node, deep)


class Named(Protocol):
    """A sign of a class list."""

    label: int
    gloss: str


@dataclass(frozen=True)
class Change:
    """A field of a sign that is not as it was, as lines of text."""

    label: int
    gloss: str
    field: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """The change as a diff: a heading, then '-' and '+' lines."""
        yield f"{self.gloss} ({self.label}), {self.field}"
        yield from (f"- {line}" for line in self.before if line not in self.after)
        yield from (f"+ {line}" for line in self.after if line not in self.before)


def load_overrides(path: str | os.PathLike[str], classes: Sequence[Named]) -> dict[int, SignOverride]:
    """Read an override file (YAML or JSON): for a gloss or a label, the fields as in a description set.

    Returns:
        Overrides by label.

    Raises:
        FileNotFoundError: there is no such file.
        OverrideError: a sign or field that does not exist or is there twice, a gloss that two signs have, a value that
            does not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"override file {path} does not exist")
    try:
        content = yaml.load(path.read_text("utf-8-sig"), _DistinctKeys) or {}
    except _KeyTwiceError as error:
        raise OverrideError(f"{path}, {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OverrideError(f"{path}: neither YAML nor JSON in UTF-8 ({error})") from None
    if not isinstance(content, dict):
        raise OverrideError(f"{path}: found a {type(content).__name__}, expected signs by gloss or label")
    overrides = {}
    for name, fields in content.items():
        label = _label_of(name, classes, path)
        try:
            override = SignOverride.model_validate(fields if fields is not None else {})
        except ValidationError as error:
            problems = "; ".join(
                f"field {'.'.join(map(str, d['loc'])) or '(sign)'}: {d['msg']}" for d in error.errors(include_url=False)
            )
            raise OverrideError(f"{path}, sign {name!r}: {problems}") from None
        if label in overrides:
            raise OverrideError(f"{path}: the sign with label {label} is there twice, by gloss and by label")
        overrides[label] = override
    return overrides


def _label_of(name: object, classes: Sequence[Named], path: Path) -> int:
    # a gloss may be a number ("5"); what is written as a word is a gloss, a bare number a label
    found = [row.label for row in classes if row.gloss == name] if isinstance(name, str) else []
    if not found:
        found = [row.label for row in classes if str(row.label) == str(name)]
    if not found:
        # YAML reads yes, no, on, off, null and dates as values
        is_value = isinstance(name, bool) or not isinstance(name, (str, int))
        hint = "; write glosses in quotes ('yes')" if is_value else ""
        raise OverrideError(f"{path}: there is no sign {name!r} in the class list, neither as gloss nor as label{hint}")
    if len(found) > 1:
        raise OverrideError(f"{path}: {len(found)} signs have the gloss {name!r}; name the label: {found}")
    return found[0]


def hand_edits(current: DescriptionSet, generated: DescriptionSet, classes: Sequence[Named]) -> dict[int, SignOverride]:
    """What a human has changed in a description set since the machine wrote it.

    Args:
        current: the set as it is now.
        generated: the set as the machine wrote it.
        classes: the class list of the new run.

    Returns:
        Overrides by label of the new class list.

    Raises:
        OverrideError: an edited sign is not in the class list any more.
    """
    labels = {(row.gloss, row.label): row.label for row in classes}
    by_gloss: dict[str, list[int]] = {}
    for row in classes:
        by_gloss.setdefault(row.gloss, []).append(row.label)
    edits = {}
    for sign in current.signs:
        original = _counterpart(generated, sign)
        changed = [name for name in FIELDS if original is None or getattr(sign, name) != getattr(original, name)]
        if not changed:
            continue
        candidates = by_gloss.get(sign.gloss, [])
        label = labels.get((sign.gloss, sign.label), candidates[0] if len(candidates) == 1 else None)
        if label is None:
            raise OverrideError(
                f"sign {sign.gloss!r} (label {sign.label}) was edited by hand and is not in the class list any more; "
                "move the texts to an override file, or give up the edits with --discard-edits"
            )
        edits[label] = SignOverride(**{name: getattr(sign, name) for name in changed})
    return edits


def changes_between(before: DescriptionSet, after: DescriptionSet) -> list[Change]:
    """The texts that differ, sign by sign."""
    changes = []
    for sign in after.signs:
        original = _counterpart(before, sign)
        for name in FIELDS:
            now = as_lines(getattr(sign, name))
            then = as_lines(getattr(original, name)) if original else ()
            if now != then:
                changes.append(Change(sign.label, sign.gloss, name.rstrip("_"), then, now))
    return changes


def restored(generated: DescriptionSet, edits: Mapping[int, SignOverride], before: DescriptionSet) -> DescriptionSet:
    """What the machine wrote: in edited fields, which it has not written anew, its last own text.

    Args:
        generated: the set of the new run, edits included.
        edits: the hand edits.
        before: the last set that the machine wrote.
    """
    signs = []
    for sign in generated.signs:
        own = _counterpart(before, sign)
        edit = edits.get(sign.label)
        if edit is not None and own is not None:
            sign = SignDescription(**{**dict(sign), **{name: getattr(own, name) for name in edit.fields}})
        signs.append(sign)
    return generated.model_copy(update={"signs": tuple(signs)})


def as_lines(value: Any) -> tuple[str, ...]:
    """A field of a sign as lines of text."""
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(_line(item) for item in value)


def _counterpart(descriptions: DescriptionSet, sign: SignDescription) -> SignDescription | None:
    """The same sign in another set: by gloss, and by label where several have it."""
    same = [other for other in descriptions.signs if other.gloss == sign.gloss]
    if len(same) > 1:
        same = [other for other in same if other.label == sign.label]
    return same[0] if same else None


def _line(item: object) -> str:
    if isinstance(item, Segment):
        return f"[{', '.join(item.parts)}] {item.text}"
    if isinstance(item, Evidence):
        return f"{item.entry}: {item.quote}"
    return str(item)
