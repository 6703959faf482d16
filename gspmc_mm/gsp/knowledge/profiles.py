"""How the entries of a dictionary look, as data: one small YAML file per style of dictionary."""

from __future__ import annotations

import codecs
import hashlib
import re
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gspmc_mm.gsp.knowledge.entries import Kind, KnowledgeBaseError, normalize_headword

_FOLDER = resources.files("gspmc_mm.gsp.knowledge") / "profiles"
_GROUPS = frozenset({"headword", "number", "names", "text", "ignored"})
_FIELDS = frozenset({"headword", "text", "aliases", "language", "kind", "source", "page", "id", "licence"})


class Profile(BaseModel):
    """A style of dictionary.

    Attributes:
        name: what `--profile` calls it.
        about: which dictionaries look like that.
        layout: 'lines' for running text, 'table' for rows with columns, 'codings' for the table of ASL-LEX.
        language: code of the language; '' where every source has its own.
        kind: what its entries describe.
        licence: what the dictionary says about its use.
        encodings: tried one after the other.
        headword: patterns of the line that begins an entry, tried one after the other; groups `headword`, `names`
            (other names, in brackets), `number` (of a sign of the same word), `text` (the rest is text already).
        after: what the text of an entry must end with before another can begin (a wrapped line of text may look
            like a headword).
        variant: pattern of the mark that begins another way of making the sign, inside of the text.
        ignore: patterns of lines that belong to nothing, such as running heads.
        split_headwords: whether names in brackets are taken off the headwords of a table.
        columns: for tables, the accepted names of the columns of each field, without case.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    about: str
    layout: Literal["lines", "table", "codings"]
    language: str = ""
    kind: Kind = "sign"
    licence: str = ""
    encodings: tuple[str, ...] = ("utf-8-sig",)
    headword: tuple[str, ...] = ()
    after: str = ""
    variant: str = ""
    ignore: tuple[str, ...] = ()
    split_headwords: bool = True
    columns: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("headword", "after", "variant", "ignore")
    @classmethod
    def _compiles(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for pattern in (value,) if isinstance(value, str) else value:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"the pattern {pattern!r} is not regular: {error}") from None
        return value

    @field_validator("encodings")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            try:
                codecs.lookup(name)
            except LookupError:
                raise ValueError(f"unknown encoding {name!r}") from None
        return value

    @model_validator(mode="after")
    def _is_complete(self) -> Profile:
        if self.layout == "lines" and not self.headword:
            raise ValueError("a profile of running text needs headword patterns")
        for pattern in self.headword:
            groups = set(re.compile(pattern).groupindex)
            if "headword" not in groups or groups - _GROUPS:
                raise ValueError(
                    f"the headword pattern {pattern!r} has the groups {sorted(groups)}; expected headword, and of the "
                    f"others {', '.join(sorted(_GROUPS - {'headword'}))}"
                )
        if self.columns and set(self.columns) - _FIELDS:
            raise ValueError(f"columns {sorted(set(self.columns) - _FIELDS)} are no fields of an entry")
        return self

    @property
    def sha256(self) -> str:
        """Hash of what the profile says, not of how its file is written."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @cached_property
    def headword_patterns(self) -> tuple[re.Pattern[str], ...]:
        """`headword`, compiled."""
        return tuple(re.compile(pattern) for pattern in self.headword)

    @cached_property
    def after_pattern(self) -> re.Pattern[str] | None:
        """`after`, compiled."""
        return re.compile(self.after) if self.after else None

    @cached_property
    def variant_pattern(self) -> re.Pattern[str] | None:
        """`variant`, compiled."""
        return re.compile(self.variant) if self.variant else None

    @cached_property
    def ignore_patterns(self) -> tuple[re.Pattern[str], ...]:
        """`ignore`, compiled."""
        return tuple(re.compile(pattern) for pattern in self.ignore)

    def field_of(self, column: str) -> str | None:
        """The field of an entry that a column of a table is, or None."""
        return self._fields_by_column.get(normalize_headword(column, ""))

    @cached_property
    def _fields_by_column(self) -> dict[str, str]:
        return {normalize_headword(name, ""): field for field, names in self.columns.items() for name in names}


def profile_names() -> tuple[str, ...]:
    """The profiles that come with the package."""
    return tuple(sorted(item.name.removesuffix(".yaml") for item in _FOLDER.iterdir() if item.name.endswith(".yaml")))


def load_profile(name: str) -> Profile:
    """A profile by its name, or from a YAML file of the user.

    Raises:
        KnowledgeBaseError: there is no such profile, or it says something that a profile cannot say.
    """
    path = Path(name)
    if name in profile_names():
        text, where = (_FOLDER / f"{name}.yaml").read_text("utf-8"), f"profile {name}"
    elif path.suffix in (".yaml", ".yml") and path.is_file():
        text, where = path.read_text("utf-8-sig"), str(path)
    else:
        raise KnowledgeBaseError(
            f"no profile {name!r}: expected one of {', '.join(profile_names())}, or the path of a YAML file"
        )
    try:
        return Profile.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise KnowledgeBaseError(f"{where}: not YAML ({' '.join(str(error).split())})") from None
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, detail['loc'])) or 'profile'}: {detail['msg'].removeprefix('Value error, ')}"
            for detail in error.errors(include_url=False)
        ]
        raise KnowledgeBaseError(f"{where}: {'; '.join(problems)}") from None
