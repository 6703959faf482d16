"""The prompts of the method, P1 to P4, as Jinja2 files that people can read and change.

`prompts/<language>/` holds a file per prompt and the pieces that they share. A prompt says how long the answer may be
and which JSON is wanted; the words of dictionaries, and everything that a model wrote before, stand between marker
lines
that they cannot contain.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from gspmc_mm.extras import how_to_install
from gspmc_mm.gsp.length_budget import LengthBudget

PROMPT_FOLDER = Path(__file__).with_name("prompts")
P1, P2, P3, P4, P234 = "p1_primary", "p2_synonyms", "p3_refined", "p4_segments", "p234_merged"
STEPS = (P1, P2, P3, P4, P234)
_FALLBACK_LANGUAGE = "en"
_MARKER_LENGTH = 10
# An entry longer than this is cut for the prompt; the longest of a sign dictionary has a tenth of it.
_MAX_ENTRY_CHARACTERS = 6000


class PromptError(ValueError):
    """A prompt file that is missing or cannot be filled in."""


@dataclass(frozen=True)
class PromptEntry:
    """A dictionary entry as a prompt shows it: `ref` is its short name there, E1, E2, ..."""

    ref: str
    headword: str
    text: str


@dataclass(frozen=True)
class PromptLink:
    """A cross-reference between the entries of a prompt: the words, what they name, its entry ('': there is none)."""

    phrase: str
    target: str
    ref: str = ""


@dataclass(frozen=True)
class Prompts:
    """The prompts of one language, ready to be filled in.

    Attributes:
        language: language of the instructions.
        output_language: language that the texts are to be written in.
        files: content of every file by name.
    """

    language: str
    output_language: str
    files: Mapping[str, str]

    @classmethod
    def load(cls, output_language: str, folder: str | os.PathLike[str] | None = None) -> Prompts:
        """Read the prompts in the language of the texts that are wanted, or in English where there are none in it.

        Args:
            output_language: language code of the texts.
            folder: a folder like `prompts/`, with a folder per language; the package's own by default.

        Raises:
            FileNotFoundError: the folder has no prompts for this language and none in English.
            PromptError: a prompt is missing.
        """
        root = Path(folder or PROMPT_FOLDER)
        languages = (output_language, output_language.split("-")[0], _FALLBACK_LANGUAGE)
        language = next((name for name in languages if (root / name).is_dir()), None)
        if language is None:
            raise FileNotFoundError(
                f"{root} holds no prompts: expected a folder {' or '.join(dict.fromkeys(languages))} with {P1}.jinja2"
            )
        paths = sorted(p for p in (root / language).iterdir() if p.suffix in (".jinja2", ".yaml"))
        files = {path.name: path.read_text("utf-8-sig") for path in paths}
        for name in (*STEPS, "system", "again", "send_back"):
            if f"{name}.jinja2" not in files:
                raise PromptError(f"{root / language}: the prompt {name}.jinja2 is missing")
        return cls(language, output_language, files)

    @cached_property
    def sha256(self) -> str:
        """Hash over all files; another prompt is another hash."""
        digest = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            digest.update(f"{name}\0{content}\0".encode())
        return digest.hexdigest()

    @cached_property
    def _templates(self) -> Any:
        try:
            from jinja2 import DictLoader, StrictUndefined
            from jinja2.sandbox import SandboxedEnvironment
        except ImportError as error:
            raise ImportError(f"prompts need Jinja2: {how_to_install('gsp')}") from error
        # Plain text, no HTML to escape. In the sandbox, since prompt files are passed from one person to another.
        return SandboxedEnvironment(
            loader=DictLoader(dict(self.files)),
            undefined=StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @cached_property
    def _language_name(self) -> str:
        name = "language_names.yaml"
        try:
            names = yaml.safe_load(self.files.get(name, "")) or {}
        except yaml.YAMLError as error:
            problem = f"not a YAML file ({' '.join(str(error).split())})"
        else:
            problem = "" if isinstance(names, dict) else f"found a {type(names).__name__}"
        if problem:
            raise PromptError(f"prompts {self.language}/{name}: {problem}; expected lines such as 'tr: Turkish'")
        return str(names.get(self.output_language.split("-")[0], self.output_language))

    @cached_property
    def system(self) -> str:
        """The instructions that stand before every question."""
        return self._render("system", {})

    def question(
        self,
        step: str,
        *,
        budget: LengthBudget,
        gloss: str = "",
        description: str = "",
        entries: Sequence[PromptEntry] = (),
        links: Sequence[PromptLink] = (),
        parts: Sequence[str] = (),
        variants: int = 0,
    ) -> str:
        """A prompt, filled in.

        Args:
            step: one of `STEPS`.
            budget: how long each text may be.
            gloss: name of the sign.
            description: the text that the step works on.
            entries: what the dictionary says.
            links: how the entries refer to one another.
            parts: names of the parts of the body.
            variants: how many other wordings are wanted.
        """
        shown = [PromptEntry(e.ref, clean(e.headword), shorten(clean(e.text))) for e in entries]
        linked = [PromptLink(_line(k.phrase), _line(k.target), k.ref) for k in links]
        data = [clean(gloss), clean(description), *(f"{e.headword}\n{e.text}" for e in shown)]
        data += [f"{k.phrase}\n{k.target}" for k in linked]
        values = {
            "gloss": _line(gloss),
            "description": clean(description),
            "entries": shown,
            "links": linked,
            "parts": tuple(parts),
            "variants": variants,
            "words": budget.words(self.output_language),
            "tokens": budget.max_tokens,
            "language": self.output_language.split("-")[0],
            "language_name": self._language_name,
        }
        return self._render(step, values, data)

    def again(self, question: str, problem: str, reply: str) -> str:
        """A question once more, with what was wrong with the answer."""
        data = [question, clean(problem), clean(reply)]
        return self._render("again", {"question": question, "problem": data[1], "reply": data[2]}, data)

    def send_back(self, question: str, findings: Sequence[str], reply: str) -> str:
        """A question once more, with what in the answer nothing supports."""
        found = [_line(finding) for finding in findings]
        values = {"question": question, "findings": found, "reply": clean(reply)}
        return self._render("send_back", values, [question, clean(reply), *found])

    def _render(self, name: str, values: Mapping[str, Any], data: Iterable[str] = ()) -> str:
        from jinja2 import TemplateError

        code = marker(data)
        try:
            text = self._templates.get_template(f"{name}.jinja2").render(**values, begin=f"<<<{code}", end=f"{code}>>>")
        except TemplateError as error:
            raise PromptError(f"prompt {self.language}/{name}.jinja2 cannot be filled in: {error}") from None
        return str(text).strip()


def marker(data: Iterable[str]) -> str:
    """A code that none of the texts contains.

    It is a hash of the texts, so it is the same in every run, and whoever writes a text cannot put its code into it.
    """
    texts = [text.casefold() for text in data]
    seed = "\0".join(texts)
    while True:
        seed = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()
        code = seed[:_MARKER_LENGTH]
        if not any(code in text for text in texts):
            return code.upper()


def clean(text: str) -> str:
    """A text without control and invisible characters, which could hide words from a reader; new lines stay."""
    if text.replace("\n", "").isprintable():
        return text.strip()
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co")).strip()


def shorten(text: str) -> str:
    """A text of bearable length, and said where it was cut."""
    return text if len(text) <= _MAX_ENTRY_CHARACTERS else f"{text[:_MAX_ENTRY_CHARACTERS]} [...]"


def _line(text: str) -> str:
    return " ".join(clean(text).split())
