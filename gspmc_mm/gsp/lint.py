"""Looks through a description set for what a human should see before it is encoded and trained with.

Every rule is a function from a sign (or from the set) to problems. Errors are texts that say what the corpus does not;
everything else is a warning or a note: a dictionary that does not say where a sign is made is no mistake of ours.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from gspmc_mm.descriptions import DescriptionSet, SignDescription, TextEncoder, encode_texts
from gspmc_mm.gsp.grounding import LANGUAGES, Finding, check_claims, check_quotes, compare_texts
from gspmc_mm.gsp.grounding.reading import read
from gspmc_mm.gsp.knowledge.base import KnowledgeBase
from gspmc_mm.gsp.knowledge.entries import Entry, KnowledgeBaseError, normalize_headword
from gspmc_mm.gsp.length_budget import LengthBudget

Level = Literal["error", "warning", "note"]
Route = Literal["exact", "alias", "other entry", "fuzzy", "none", "no source", "unknown"]

# Two texts nearer than this are one for the encoder: a paraphrase of a sign is often farther away.
NEAR_DUPLICATE = 0.98
# Parts that every sign moves or keeps still; few signs have something to say of mouth and face.
NEEDED_PARTS = ("body", "left_hand", "right_hand")
# Words that give the place of two hands by one another.
_BETWEEN_HANDS = frozenset({"hands_apart", "hands_together", "stacked", "facing_each_other", "roof", "forearm"})
_ID_OF_UNIT = " (M"

# Prefixes of the notes that generation leaves in `unresolved`, and how bad they are.
_MARKS: Mapping[str, tuple[str, Level]] = {
    "unsupported": ("unsupported claim", "error"),
    "failed": ("failed", "error"),
    "reference": ("unresolved reference", "warning"),
    "not in the corpus": ("not in the corpus", "warning"),
    "fuzzy match": ("fuzzy match", "warning"),
    "not as asked": ("not as asked", "warning"),
}


@dataclass(frozen=True)
class Problem:
    """Something to look at.

    Attributes:
        level: 'error' (the text says what its sources do not), 'warning' or 'note'.
        rule: which rule found it.
        message: what it found.
        label: of the sign, None for the set.
    """

    level: Level
    rule: str
    message: str
    label: int | None = None


@dataclass(frozen=True)
class SignReport:
    """One sign, what it rests on and what is wrong with it."""

    sign: SignDescription
    route: Route
    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]

    def summary(self) -> dict[str, object]:
        """Route and coverage: the parts that segments speak of, which other texts there are, and problems by level."""
        sign, levels = self.sign, Counter(problem.level for problem in self.problems)
        return {
            "label": sign.label,
            "gloss": sign.gloss,
            "route": self.route,
            "parts": list(dict.fromkeys(part for segment in sign.segments for part in segment.parts)),
            "described": sign.primary != sign.gloss,
            "global": bool(sign.global_),
            "synonyms": len(sign.synonyms),
            "evidence": len(sign.evidence),
            "entries": list(dict.fromkeys(item.entry for item in sign.evidence)),
            "errors": levels["error"],
            "warnings": levels["warning"],
            "notes": levels["note"],
        }


@dataclass(frozen=True)
class LintReport:
    """All that was found.

    Attributes:
        descriptions: the set.
        signs: by label.
        problems: of the set as a whole.
        notes: what was not checked, and why.
        coverage: by part (and 'global', 'synonym') how many signs have a text of their own.
        nearest: mean cosine of each sign's text to the nearest other sign's; None where no encoder was given.
    """

    descriptions: DescriptionSet
    signs: tuple[SignReport, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    coverage: Mapping[str, int]
    nearest: float | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def all_problems(self) -> tuple[Problem, ...]:
        """Problems of the set, then of the signs."""
        return (*self.problems, *(p for sign in self.signs for p in sign.problems))

    def count(self, level: Level) -> int:
        """How many problems of a level there are."""
        return sum(problem.level == level for problem in self.all_problems)

    def by_rule(self) -> dict[tuple[Level, str], tuple[int, int]]:
        """By level and rule: how many problems, in how many signs; errors first."""
        problems = Counter((p.level, p.rule) for p in self.all_problems)
        signs = Counter((level, rule) for s in self.signs for level, rule in {(p.level, p.rule) for p in s.problems})
        order = ("error", "warning", "note")
        ranked = sorted(problems, key=lambda key: (order.index(key[0]), -problems[key], key[1]))
        return {key: (problems[key], signs[key]) for key in ranked}

    def to_json(self) -> str:
        """What was found, without the texts, as JSON: figures of the set, each sign, each problem."""
        value = {
            "descriptions_sha256": self.descriptions.sha256,
            "settings": dict(self.settings),
            "not_checked": list(self.notes),
            "coverage": dict(self.coverage),
            "routes": self.routes(),
            "mean_nearest_cosine": self.nearest,
            "signs": [sign.summary() for sign in self.signs],
            "problems": [asdict(problem) for problem in self.all_problems],
        }
        return json.dumps(value, ensure_ascii=False, indent=2) + "\n"

    def routes(self) -> dict[str, int]:
        """How many signs were found by which route."""
        return dict(Counter(sign.route for sign in self.signs).most_common())


def lint_descriptions(
    descriptions: DescriptionSet,
    *,
    kb: KnowledgeBase | None = None,
    encoder: TextEncoder | None = None,
    budget: LengthBudget | None = None,
    near_duplicate: float = NEAR_DUPLICATE,
    advance: Callable[[], None] | None = None,
) -> LintReport:
    """Check every sign and the set.

    Args:
        descriptions: what to check.
        kb: the knowledge base that the texts were made from; without it claims are not compared with entries.
        encoder: finds texts of different signs that it cannot tell apart; without it only equal texts are found.
        budget: counts tokens; without it lengths are not checked.
        near_duplicate: cosine from which two texts count as one.
        advance: called after every sign.
    """
    notes = list(_what_is_not_checked(descriptions, kb, encoder, budget))
    readable = descriptions.language.partition("-")[0] in LANGUAGES
    twins = _near_duplicates(descriptions, encoder, near_duplicate)
    signs = []
    for sign in descriptions.signs:
        entries, missing = _cited(sign, kb)
        problems = [*_marked(sign), *missing, *_coverage_problems(sign, descriptions.parts)]
        if readable:
            problems += _unsupported(sign, descriptions.language, entries, kb is not None)
            problems += _missing_content(sign, descriptions.language)
        if budget is not None:
            problems += _long_texts(sign, budget)
        problems += twins.of_label.get(sign.label, ())
        signs.append(SignReport(sign, _route(sign, entries, kb), entries, _distinct(problems)))
        if advance is not None:
            advance()
    return LintReport(
        descriptions=descriptions,
        signs=tuple(signs),
        problems=tuple(_set_problems(descriptions, kb)),
        notes=tuple(notes),
        coverage=_coverage(descriptions),
        nearest=twins.nearest,
        settings={
            "knowledge base": str(kb.path) if kb else "none",
            "encoder": encoder.id if encoder else "none",
            "near duplicates from": f"cosine {near_duplicate}",
            "token limit": f"{budget.max_tokens} of {budget.encoder}" if budget else "none",
        },
    )


def _what_is_not_checked(
    descriptions: DescriptionSet, kb: KnowledgeBase | None, encoder: TextEncoder | None, budget: LengthBudget | None
) -> Iterator[str]:
    if descriptions.language.partition("-")[0] not in LANGUAGES:
        yield f"claims and content: there is no lexicon for {descriptions.language!r}, only {', '.join(LANGUAGES)}"
    if kb is None:
        yield "claims against entries: no knowledge base was given (--kb); synonyms and segments are compared with T_g"
    if encoder is None:
        yield "texts that an encoder cannot tell apart: no encoder; only equal texts are found"
    if budget is None:
        yield "length: no token counter"


def _cited(sign: SignDescription, kb: KnowledgeBase | None) -> tuple[tuple[Entry, ...], list[Problem]]:
    """The entries that the evidence names, and those that the knowledge base does not have."""
    if kb is None:
        return (), []
    found: dict[str, Entry] = {}
    problems = []
    for item in sign.evidence:
        name = item.entry
        try:
            found.setdefault(name, kb.entry(name))
        except KnowledgeBaseError:
            if name.partition(_ID_OF_UNIT)[0] not in found:
                message = f"evidence names entry {name!r}, which the knowledge base does not have"
                problems.append(Problem("error", "evidence", message, sign.label))
    return tuple(found.values()), problems


def _route(sign: SignDescription, entries: Sequence[Entry], kb: KnowledgeBase | None) -> Route:
    """How the entries come to be those of the sign."""
    if any(note.startswith("not in the corpus") for note in sign.unresolved) or sign.primary == sign.gloss:
        return "none"
    if any(note.startswith("fuzzy match") for note in sign.unresolved):
        return "fuzzy"
    if not sign.evidence:
        return "no source"
    if kb is None:
        return "unknown"
    for route, names in (("exact", lambda e: (e.headword,)), ("alias", lambda e: e.aliases)):
        for entry in entries:
            wanted = normalize_headword(sign.gloss.replace("_", " "), entry.language)
            if any(normalize_headword(name, entry.language) == wanted for name in names(entry)):
                return "exact" if route == "exact" else "alias"
    return "other entry"


def _marked(sign: SignDescription) -> Iterator[Problem]:
    """What generation has left to a human."""
    for note in sign.unresolved:
        prefix, colon, text = note.partition(": ")
        rule, level = _MARKS.get(prefix, ("open question", "note")) if colon else ("open question", "note")
        yield Problem(level, rule, text if colon and prefix in _MARKS else note, sign.label)


def _unsupported(sign: SignDescription, language: str, entries: Sequence[Entry], has_kb: bool) -> Iterator[Problem]:
    """Claims of T_p and T_g that the entries do not make, and of T_s and segments that T_g does not."""

    def problem(name: str, finding: Finding) -> Problem:
        return Problem("error", "unsupported claim", f"{name}: {finding.message}", sign.label)

    if has_kb and entries:
        by_id = {entry.id: entry for entry in entries}
        yield from (
            Problem("error", "quote", f.message, sign.label)
            for f in check_quotes([e for e in sign.evidence if e.entry in by_id], by_id)
        )
        sources = [entry for entry in entries if entry.language.partition("-")[0] in LANGUAGES]
        if sources:
            for name, text in (("primary", sign.primary), ("global", sign.global_)):
                yield from (problem(name, f) for f in check_claims(text, sources, language=language))
    reference = f"{sign.primary}\n{sign.global_}"
    derived = [(f"synonyms[{i}]", text) for i, text in enumerate(sign.synonyms)]
    derived += [(f"segments[{i}]", segment.text) for i, segment in enumerate(sign.segments)]
    for name, text in derived:
        yield from (problem(name, f) for f in compare_texts(text, reference, language=language))


def _missing_content(sign: SignDescription, language: str) -> Iterator[Problem]:
    """Handshape, place and movement that no text of the sign names."""
    if sign.primary == sign.gloss:
        return
    texts = " ".join((sign.primary, sign.global_, *(segment.text for segment in sign.segments)))
    mentions = [m for m in read(texts, language).asserted if m.concept not in ("hand", "no_claim")]
    kinds = {m.kind for m in mentions}
    of_hands = {m.concept for m in mentions} & _BETWEEN_HANDS
    if "contact" in kinds and any(m.side == "left" and m.kind == "body_part" for m in mentions):
        of_hands.add("on the other hand")
    said = {
        "handshape": bool(kinds & {"body_part", "handshape"}),
        "location": "place" in kinds or bool(of_hands),
        "movement": bool(kinds & {"movement", "direction", "contact"}),
    }
    for what in (name for name, there in said.items() if not there):
        yield Problem("warning", f"no {what}", f"no text says a {what}", sign.label)


def _coverage_problems(sign: SignDescription, parts: Sequence[str]) -> Iterator[Problem]:
    if sign.primary == sign.gloss and not sign.segments:
        yield Problem("warning", "gloss only", "the gloss is the only text", sign.label)
        return
    for part in parts:
        if not sign.part_texts(part):
            level: Level = "warning" if part in NEEDED_PARTS else "note"
            yield Problem(level, f"no text for {part}", f"no segment speaks of {part}", sign.label)
    if not sign.global_:
        yield Problem("note", "no global text", "T_p stands in for T_g", sign.label)
    if not sign.synonyms:
        yield Problem("note", "no synonym", "T_p stands in for T_s", sign.label)
    if not sign.evidence:
        yield Problem("warning", "no evidence", "no text names its source", sign.label)


def _long_texts(sign: SignDescription, budget: LengthBudget) -> Iterator[Problem]:
    texts = [("primary", sign.primary), ("global", sign.global_)]
    texts += [(f"synonyms[{i}]", text) for i, text in enumerate(sign.synonyms)]
    texts += [(f"segments[{i}]", segment.text) for i, segment in enumerate(sign.segments)]
    for name, text in texts:
        tokens = budget.count(text) if text else 0
        if tokens > budget.max_tokens:
            message = f"{name} has {tokens} tokens, the encoder reads {budget.max_tokens}: it is encoded in pieces"
            yield Problem("warning", "over the token limit", message, sign.label)


@dataclass(frozen=True)
class _Twins:
    of_label: Mapping[int, Sequence[Problem]]
    nearest: float | None


def _near_duplicates(descriptions: DescriptionSet, encoder: TextEncoder | None, threshold: float) -> _Twins:
    """Pairs of signs whose global texts are the same for the encoder, or the same letter by letter."""
    import numpy as np

    signs = descriptions.signs
    texts = [sign.global_text for sign in signs]
    found: dict[int, list[Problem]] = {}

    def pair(i: int, j: int, how: str) -> None:
        for one, other in ((i, j), (j, i)):
            message = f"{how} {signs[other].gloss!r} ({signs[other].label})"
            found.setdefault(signs[one].label, []).append(
                Problem("warning", "near duplicate", message, signs[one].label)
            )

    same: dict[str, list[int]] = {}
    for i, text in enumerate(texts):
        for j in same.setdefault(text, []):
            pair(j, i, "the same global text as")
        same[text].append(i)
    if encoder is None or len(signs) < 2:
        return _Twins(found, None)
    vectors = encode_texts(encoder, texts)
    nearest = np.zeros(len(signs))
    for start in range(0, len(signs), 512):  # 512 rows at a time: 20,000 signs need 40 MB, not 1.6 GB
        cosines = vectors[start : start + 512] @ vectors.T
        rows = np.arange(len(cosines))
        cosines[rows, rows + start] = -1.0
        nearest[start : start + 512] = cosines.max(axis=1)
        for i, j in zip(*np.nonzero(cosines >= threshold), strict=True):
            if i + start < j and texts[i + start] != texts[j]:
                pair(int(i + start), int(j), f"cosine {cosines[i, j]:.3f} with")
    return _Twins(found, float(nearest.mean()))


def _set_problems(descriptions: DescriptionSet, kb: KnowledgeBase | None) -> Iterator[Problem]:
    if kb is not None and descriptions.corpus_hash not in (None, kb.corpus_hash):
        yield Problem(
            "warning",
            "another corpus",
            f"the set was made from corpus {str(descriptions.corpus_hash)[:12]}, the knowledge base is "
            f"{kb.corpus_hash[:12]}: quotes and claims may have changed",
        )


def _coverage(descriptions: DescriptionSet) -> dict[str, int]:
    signs = descriptions.signs
    counts = {
        "described": sum(sign.primary != sign.gloss for sign in signs),
        "global": sum(bool(sign.global_) for sign in signs),
        "synonyms": sum(bool(sign.synonyms) for sign in signs),
        "evidence": sum(bool(sign.evidence) for sign in signs),
    }
    return counts | {part: sum(bool(sign.part_texts(part)) for sign in signs) for part in descriptions.parts}


def _distinct(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    return tuple(dict.fromkeys(problems))
