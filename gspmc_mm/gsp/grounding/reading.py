"""What a text says: which hand has which shape, does what, where. By word lists and a few rules, not by a parser.

Every known word becomes a `Mention`. The rules then say whose hand it is about: a word beside 'right' or 'left' belongs
to that hand, the others to the hand that acts in their clause, which is the first one named there that is not merely
reached ('on the left palm'). A clause that names none goes on with the hand of the clause before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, lru_cache

from gspmc_mm.gsp.grounding.clauses import HOLDERS, OF_HANDS, Clause, Mention
from gspmc_mm.gsp.grounding.lexicon import (
    Concept,
    Lexicon,
    base_language,
    concept_of,
    get_lexicon,
    load_concepts,
    one_line,
    plain,
)
from gspmc_mm.skeleton import PARTS

# A dot after a number ('1. İŞARET') ends no sentence.
_SENTENCE = re.compile(r"(?:[^.!?。;]|(?<=\d)\.)+(?:[.!?。;]+[\"')\]]*|$)")


@dataclass(frozen=True)
class ClauseReading:
    """A piece of a sentence between commas or before another hand: its place in the text, and what it names."""

    sentence: int
    start: int
    end: int
    mentions: tuple[Mention, ...]


@dataclass(frozen=True)
class Reading:
    """What one text says.

    Attributes:
        sentences: as written, with their punctuation.
        clauses: the pieces of the sentences.
        hands: those that the text names: 'right', 'left', 'both'.
        only_one_hand: it says that the other hand takes no part, or speaks of 'one hand' only.
    """

    sentences: tuple[str, ...]
    clauses: tuple[ClauseReading, ...]
    hands: frozenset[str]
    only_one_hand: bool

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        """All concepts that the text names, in reading order."""
        return tuple(m for clause in self.clauses for m in clause.mentions)

    @cached_property
    def asserted(self) -> tuple[Mention, ...]:
        """The mentions that the text does not deny."""
        return tuple(m for m in self.mentions if not m.negated)

    @cached_property
    def concepts(self) -> frozenset[str]:
        """Everything the text says, with what follows from it."""
        return frozenset(entailed(m.concept for m in self.asserted))

    @cached_property
    def sides(self) -> Mapping[str, frozenset[str]]:
        """By concept the hands it is said of; '' where the text does not say."""
        found: dict[str, set[str]] = {}
        for mention in self.asserted:
            for concept in _entailed_by(mention.concept):
                found.setdefault(concept, set()).add(mention.side)
        return {concept: frozenset(sides) for concept, sides in found.items()}

    @cached_property
    def directions(self) -> Mapping[str, frozenset[str]]:
        """By holder the directions, with the more general ones."""
        found: dict[str, set[str]] = {holder: set() for holder in HOLDERS}
        for mention in self.asserted:
            if mention.holder:
                found[mention.holder] |= _entailed_by(mention.concept)
        return {holder: frozenset(directions) for holder, directions in found.items()}


def merge(readings: Iterable[Reading]) -> Reading:
    """Several sources as one."""
    readings = list(readings)
    return Reading(
        sentences=tuple(s for r in readings for s in r.sentences),
        clauses=tuple(c for r in readings for c in r.clauses),
        hands=frozenset(h for r in readings for h in r.hands),
        only_one_hand=any(r.only_one_hand or r.hands == {"right"} for r in readings),
    )


@cache
def _entailed_by(concept: str) -> frozenset[str]:
    return frozenset(entailed([concept]))


def entailed(concepts: Iterable[str]) -> set[str]:
    """Concepts with what is more general, what they imply and what they make up together."""
    found = set(concepts)
    todo = list(found)
    while True:
        while todo:
            concept = concept_of(todo.pop())
            new = {*concept.more_general, *concept.implies} - found
            found |= new
            todo += new
        composed = {c.id for c in _composed_concepts() if c.id not in found and _is_made(c.made_of, found)}
        if not composed:
            return found
        found |= composed
        todo += composed


@lru_cache(maxsize=1)
def _composed_concepts() -> tuple[Concept, ...]:
    return tuple(c for c in load_concepts().values() if c.made_of)


def _is_made(alternatives: Sequence[frozenset[str]], found: set[str]) -> bool:
    return any(group <= found for group in alternatives)


def read(text: str, language: str) -> Reading:
    """What a text says.

    Raises:
        GroundingError: there is no lexicon for the language.
    """
    return _read(text, base_language(language))


def parts_of(text: str, language: str) -> tuple[str, ...]:
    """The parts of the body that a text speaks of, in the order of `PARTS`; empty if it names none.

    A hand of which the text does not say which one it is counts as the right hand, the dominant one.
    """
    found: set[str] = set()
    for mention in read(text, language).mentions:
        for part in concept_of(mention.concept).parts:
            if part != "hand":
                found.add(part)
            elif mention.side == "both":
                found |= {"left_hand", "right_hand"}
            else:
                found.add("left_hand" if mention.side == "left" else "right_hand")
    return tuple(part for part in PARTS if part in found)


def concepts(text: str, language: str) -> tuple[frozenset[str], ...]:
    """The concepts that a text asserts, sentence by sentence, as it names them."""
    reading = read(text, language)
    return tuple(
        frozenset(m.concept for m in reading.asserted if m.sentence == number)
        for number in range(len(reading.sentences))
    )


@lru_cache(maxsize=4096)
def _read(text: str, language: str) -> Reading:
    lexicon = get_lexicon(language)
    written = one_line(text)
    lowered = plain(text, language)
    words = lexicon.words(text)
    sentences: list[str] = []
    clauses: list[ClauseReading] = []
    acting = ""
    says_one = False
    for match in _SENTENCE.finditer(lowered):
        if lexicon.variant.match(match.group()):
            acting = ""  # another way of making the sign begins
        after = None
        for start, end in _clauses(lexicon, lowered, match.start(), match.end()):
            inside = [w for w in words if start <= w.start < end]
            if lowered[start] == ":" and clauses and clauses[-1].sentence == len(sentences):
                # 'on a still left hand: flat, palm up': what follows tells about the hand named last
                after, acting = acting, _last_side(clauses[-1]) or acting
            clause = Clause(lexicon, lowered, start, end, inside, acting)
            mentions = tuple(replace(m, sentence=len(sentences)) for m in clause.mentions())
            if clause.acting == "both" and not acting:
                clauses = _give_to_both(clauses, len(sentences))
            clauses.append(ClauseReading(len(sentences), start, end, mentions))
            acting = clause.acting
            says_one = says_one or clause.says_one
        sentences.append(written[match.start() : match.end()].strip())
        acting = acting if after is None else after
    hands = _hands(lexicon, lowered, [m for c in clauses for m in c.mentions])
    return Reading(
        sentences=tuple(sentences),
        clauses=tuple(clauses),
        hands=hands,
        only_one_hand=(says_one and hands == {"right"}) or lexicon.only_one.search(lowered) is not None,
    )


def _last_side(clause: ClauseReading) -> str:
    sides = [m.side for m in clause.mentions if m.side and m.kind in ("body_part", "handshape")]
    return sides[-1] if sides else ""


def _give_to_both(clauses: Sequence[ClauseReading], sentence: int) -> list[ClauseReading]:
    """Clauses of a sentence that says only at its end that both hands are meant: 'a flat hand, both hands alike'."""

    def given(mention: Mention) -> Mention:
        return mention if mention.side or mention.kind not in OF_HANDS else replace(mention, side="both")

    return [replace(c, mentions=tuple(map(given, c.mentions))) if c.sentence == sentence else c for c in clauses]


def _clauses(lexicon: Lexicon, text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for match in lexicon.clause.finditer(text, start, end):
        if match.start() > start:
            yield start, match.start()
        start = match.start()
    yield start, end


def _hands(lexicon: Lexicon, text: str, mentions: Sequence[Mention]) -> frozenset[str]:
    """The hands that a text names: 'right', 'left', 'both'."""
    named = {m.side for m in mentions if m.side and m.kind in OF_HANDS and not m.negated and m.concept != "unused"}
    if lexicon.both_hands.search(text):
        named.add("both")
    return frozenset(named)
