"""The words of the concepts in one language, and where they stand in a text.

The words are data: `lexicons/concepts.yaml` says which concepts there are and how they hang together,
`lexicons/en.yaml`, `zh.yaml` and `tr.yaml` say how each language names them. A concept has the same id in all of them,
so that an English description can be compared with the Turkish entry it was made from.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

LANGUAGES = ("en", "tr", "zh")
SIDES = ("right", "left", "both", "one", "other")

_FOLDER = Path(__file__).parent / "lexicons"
_CAPITALS = {"tr": str.maketrans({"İ": "i", "I": "ı"})}
# What a Turkish noun may end in: plural, possessive, case, -ki, copula. The vowels of the stem are not checked.
_TURKISH_ENDINGS = (
    r"(?:l[ae]r)?(?:[ıiuü]m(?:[ıiuü]z)?|[ıiuü]n(?:[ıiuü]z)?|s?[ıiuü])?"
    r"(?:n?[ıiuü]n|[ny]?[ıiuü]|[ny]?[ae]|n?[dt][ae]n?|y?l[ae]|nc[ae])?"
    r"(?:k[ıi](?:l[ae]r)?(?:n?[ıiuü]n|n?[ae]|n[ıi])?)?(?:[dt][ıiuü]r|yken)?"
)
_TURKISH_OBLIQUE = re.compile(r"(?<!l)(?:[ae]|[dt][ae]n?)$")


class GroundingError(ValueError):
    """A text that cannot be checked: its language has no lexicon, or a lexicon is not as it should be."""


@dataclass(frozen=True)
class Concept:
    """What a word stands for; the fields are explained in `lexicons/concepts.yaml`."""

    id: str
    kind: str
    more_general: tuple[str, ...]
    implies: tuple[str, ...]
    made_of: tuple[frozenset[str], ...]
    near: str
    parts: tuple[str, ...]
    paired: bool
    two_handed: bool
    silent: bool


@dataclass(frozen=True)
class Word:
    """One place of a text where the lexicon knows a word: `concept` is an id or 'side:left' and the like."""

    concept: str
    start: int
    end: int
    text: str
    plural: bool = False
    oblique: bool = False


@dataclass(frozen=True)
class _Entry:
    """A pattern, the concepts it names, and the length of its words without endings (longer ones win)."""

    pattern: re.Pattern[str]
    concepts: tuple[str, ...]
    stem: int


def base_language(language: str) -> str:
    """The lexicon for a language code: 'zh-TW' has that of 'zh'.

    Raises:
        GroundingError: there is none.
    """
    base = language.partition("-")[0].lower()
    if base not in LANGUAGES:
        raise GroundingError(
            f"no grounding lexicon for the language {language!r}; there are {', '.join(LANGUAGES)} "
            "(gspmc_mm/gsp/grounding/lexicons): texts in another language cannot be checked"
        )
    return base


def one_line(text: str) -> str:
    """Composed characters, single spaces."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def narrow(text: str) -> str:
    """`one_line` with full-width forms made narrow and quotes straight, character by character."""
    return one_line(text).translate(_NARROW)


def plain(text: str, language: str) -> str:
    """`narrow` in lower case (Turkish I and İ right), character by character: places stay the same."""
    return _lower(narrow(text).translate(_CAPITALS.get(language, {})))


def _lower(text: str) -> str:
    lowered = text.lower()
    # the İ of a Turkish name in an English text becomes two characters: it stays, and with it all places
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


class _NarrowForms(dict[int, str]):
    """For `str.translate`: the narrow form of a character, found when it is first met.

    '…' and 'ﬁ' would become several characters; they stay, so that places in the text keep their meaning.
    """

    def __missing__(self, code: int) -> str:
        changed = unicodedata.normalize("NFKC", chr(code))
        self[code] = changed if len(changed) == 1 and not changed.isspace() else chr(code)
        return self[code]


_NARROW = _NarrowForms({ord(c): '"' for c in "“”„「」"} | {ord(c): "'" for c in "‘’"})


@lru_cache(maxsize=1)
def load_concepts() -> Mapping[str, Concept]:
    """All concepts by id.

    Raises:
        GroundingError: the file names a concept that it does not define.
    """
    concepts: dict[str, Concept] = {}
    for kind, members in yaml.safe_load((_FOLDER / "concepts.yaml").read_text("utf-8")).items():
        for name, fields in members.items():
            if name in concepts:
                raise GroundingError(f"concepts.yaml: {name!r} is defined twice")
            concepts[name] = _concept(name, kind, fields or {})
    for concept in concepts.values():
        named = {*concept.more_general, *concept.implies, *(m for group in concept.made_of for m in group)}
        unknown = sorted(n for n in named if n not in concepts and not n.startswith(("letter_", "digit_")))
        if unknown:
            raise GroundingError(f"concepts.yaml: {concept.id!r} names {', '.join(unknown)}, not defined")
    return concepts


def _concept(name: str, kind: str, fields: Mapping[str, Any]) -> Concept:
    unknown = sorted(set(fields) - {"is", "implies", "made_of", "near", "parts", "paired", "two_handed", "silent"})
    if unknown:
        raise GroundingError(f"concepts.yaml: {name!r} has fields {', '.join(unknown)} that mean nothing")
    return Concept(
        id=name,
        kind=kind,
        more_general=tuple(fields.get("is", ())),
        implies=tuple(fields.get("implies", ())),
        made_of=tuple(frozenset(group) for group in fields.get("made_of", ())),
        near=fields.get("near", ""),
        parts=tuple(fields.get("parts", ())),
        paired=bool(fields.get("paired", False)),
        two_handed=bool(fields.get("two_handed", False)),
        silent=bool(fields.get("silent", False)),
    )


def concept_of(name: str) -> Concept:
    """A concept by id; letters and digits of manual alphabets are made on demand ('letter_q')."""
    known = load_concepts().get(name)
    if known is not None:
        return known
    return Concept(name, "handshape", (), (), (), "", ("hand",), paired=False, two_handed=False, silent=False)


class Lexicon:
    """Finds the words of one language. Built once per language by `get_lexicon`."""

    def __init__(self, language: str, data: Mapping[str, Any]) -> None:
        self.language = language
        self.clause = _any_of(data["clause"])
        self.variant = _any_of(data["variant"])
        self.negation = _any_of(data["negation"])
        self.only_one = _any_of(data["only_one"])
        self.both_hands = _any_of(data["both_hands"])
        self.agent = _any_of(data["agent"])
        self.target = _any_of(data["target"])
        self.target_after = _any_of(data.get("target_after", ()))
        self.owner = _any_of(data["owner"])
        self.sequence = _any_of(data["sequence"])
        self.noise = tuple(re.compile(p) for p in data["noise"])
        self.unused_left_hand = str(data["unused_left_hand"])
        self.modifier = re.compile(data["modifier"])
        self._codes = [("letter", re.compile(p)) for p in data["letters"]]
        self._codes += [("digit", re.compile(p)) for p in data["digits"]]
        self._by_beginning: dict[str, list[_Entry]] = {}
        self._anywhere: list[_Entry] = []
        self._index({**data["words"], **{f"side:{side}": words for side, words in data["side"].items()}})

    def _index(self, words: Mapping[str, Iterable[str]]) -> None:
        concepts = load_concepts()
        written: dict[str, list[str]] = {}
        for concept, entries in words.items():
            if concept not in concepts and concept.partition(":")[2] not in SIDES:
                raise GroundingError(f"{self.language}.yaml: {concept!r} is not a concept of concepts.yaml")
            for entry in entries:
                written.setdefault(str(entry), []).append(concept)
        for entry, named in written.items():
            built, literal = self._build(entry)
            compiled = _Entry(re.compile(built), tuple(named), _shortest(literal))
            if literal:
                self._by_beginning.setdefault(self._beginning(literal), []).append(compiled)
            else:
                self._anywhere.append(compiled)
        # one pattern that says whether it is worth trying them one by one
        self._any = _any_of(entry.pattern.pattern for entry in self._anywhere)

    def _beginning(self, literal: str) -> str:
        """The first characters of an entry that no ending changes; by them its pattern is found."""
        if self.language == "zh":
            return literal[:2]
        stems = re.split(r"[ -]", literal)[0].split("/")
        shared = stems[0]
        while not all(stem.startswith(shared) for stem in stems):
            shared = shared[:-1]
        # an ending may take the last letter away: bite, biting; carry, carried
        return shared[:3] if len(shared) > 3 or len(stems) > 1 else shared[: max(1, len(shared) - 1)]

    def _build(self, entry: str) -> tuple[str, str]:
        """The pattern of an entry and its literal beginning ('' for a regular expression)."""
        if entry.startswith("re:"):
            return entry.removeprefix("re:"), ""
        if self.language == "zh":
            return re.escape(entry), entry
        words = re.split(r"[ -]", entry)
        patterns = [self._inflected(w, last=i == len(words) - 1, verbal="~" in entry) for i, w in enumerate(words)]
        return r"[\s-]".join(patterns) + r"\b", entry.replace("~", "")

    def _inflected(self, word: str, last: bool, verbal: bool) -> str:
        if word.endswith("~"):
            return _english_verb(word[:-1]) if self.language == "en" else rf"{re.escape(word[:-1])}\w*"
        stems = "|".join(map(re.escape, word.split("/")))
        if not last:
            return f"(?:{stems})"
        if self.language == "tr":
            return f"(?:{stems}){_TURKISH_ENDINGS}"
        return f"(?:{stems})" if verbal else _english_noun(word)

    def words(self, text: str) -> list[Word]:
        """The known words of a text from left to right, none inside another; places are those in `plain`."""
        codes = self._find_codes(narrow(text))
        text = plain(text, self.language)
        found: list[Word] = []
        position = 0
        while position < len(text):
            code = codes.get(position)
            best = self._longest(text, position)
            if code is not None and (best is None or best[0] < code.end):
                found.append(code)
                position = code.end
                continue
            if best is None:
                position = self._next(text, position)
                continue
            end, entries = best
            surface = text[position:end]
            for entry in entries:
                for concept in entry.concepts:
                    oblique = self._is_oblique(surface, entry)
                    word = Word(concept, position, end, surface, self._is_plural(surface), oblique)
                    if not any(w.concept == concept and w.start == position for w in found[-4:]):
                        found.append(word)
            position = end
        return found

    def _find_codes(self, text: str) -> dict[int, Word]:
        codes: dict[int, Word] = {}
        for kind, pattern in self._codes:
            for match in pattern.finditer(text):
                name = f"{kind}_{plain(match['x'], self.language)}"
                codes.setdefault(match.start("x"), Word(name, match.start("x"), match.end(), match.group()))
        return codes

    def _longest(self, text: str, position: int) -> tuple[int, list[_Entry]] | None:
        matches: list[tuple[int, int, _Entry]] = []
        candidates = [e for n in (1, 2, 3) for e in self._by_beginning.get(text[position : position + n], ())]
        if self._any.match(text, position):
            candidates += self._anywhere
        for entry in candidates:
            match = entry.pattern.match(text, position)
            if match and match.end() > position:
                # a regular expression counts as written out in full
                literal = entry.stem or match.end() - position
                matches.append((match.end(), literal, entry))
        if not matches:
            return None
        end = max(m[0] for m in matches)
        literal = max(m[1] for m in matches if m[0] == end)
        return end, [m[2] for m in matches if m[0] == end and m[1] == literal]

    def _next(self, text: str, position: int) -> int:
        """The next place where a word may begin: any character in Chinese, a word start elsewhere."""
        if self.language == "zh":
            return position + 1
        start = _WORD_START.search(text, position + 1)
        return start.start() if start else len(text)

    def _is_plural(self, surface: str) -> bool:
        if self.language == "en":
            return surface.endswith("s")
        return self.language == "tr" and re.search(r"l[ae]r", surface) is not None

    def _is_oblique(self, surface: str, entry: _Entry) -> bool:
        """Whether a Turkish noun stands in a case that says where or whereto: it is reached and does not act."""
        if self.language != "tr" or not entry.stem:
            return False
        return _TURKISH_OBLIQUE.search(surface[entry.stem :]) is not None and len(surface) > entry.stem


_WORD_START = re.compile(r"\b\w")


@cache
def get_lexicon(language: str) -> Lexicon:
    """The lexicon of a language code.

    Raises:
        GroundingError: there is none, or it names a concept that does not exist.
    """
    base = base_language(language)
    return Lexicon(base, yaml.safe_load((_FOLDER / f"{base}.yaml").read_text("utf-8")))


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    joined = "|".join(_unnamed(pattern, i) for i, pattern in enumerate(patterns))
    return re.compile(joined or r"(?!)")


def _unnamed(pattern: str, number: int) -> str:
    """Group names may occur once in a pattern: number them."""
    return pattern.replace("(?P<side>", f"(?P<side{number}>")


def _shortest(literal: str) -> int:
    """Length of an entry with the shortest of its stems."""
    return len(" ".join(min(word.split("/"), key=len) for word in literal.split(" ")))


def _english_verb(word: str) -> str:
    escaped = re.escape(word)
    if word.endswith("e"):
        return rf"{escaped[:-1]}(?:e|es|ed|ing)"
    if word.endswith("y") and word[-2] not in "aeiou":
        return rf"{escaped[:-1]}(?:y|ies|ied|ying)"
    return rf"{escaped}(?:s|es|ed|ing|{word[-1]}ed|{word[-1]}ing)?"


def _english_noun(word: str) -> str:
    escaped = re.escape(word)
    if word.endswith("y") and word[-2:-1] not in "aeiou":
        return rf"{escaped[:-1]}(?:y|ies)"
    return rf"{escaped}(?:s|es)?"
