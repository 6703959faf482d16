"""Is what a text says in its sources? Quotes, and every hand, finger, shape, contact, direction, place and face."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gspmc_mm.descriptions import Evidence
from gspmc_mm.gsp.grounding.clauses import Mention
from gspmc_mm.gsp.grounding.lexicon import concept_of, narrow
from gspmc_mm.gsp.grounding.reading import Reading, entailed, merge, read

KINDS = (
    "quote",
    "body_part",
    "hand",
    "handshape",
    "direction",
    "contact",
    "movement",
    "place",
    "hand_count",
    "mouth",
    "face",
)


# Shapes without a noun, which take the side of the noun that they stand with.
_ADJECTIVES = frozenset({"stretched", "spread", "joined", "bent_fingers", "closed_fingers", "side_by_side"})
_OF_HANDS = ("body_part", "handshape", "contact", "movement")


class Source(Protocol):
    """What a claim may rest on: an entry of the knowledge base."""

    @property
    def text(self) -> str:
        """How the sign is made."""

    @property
    def variants(self) -> tuple[str, ...]:
        """The ways of making it, where there are several."""

    @property
    def language(self) -> str:
        """Language of the text."""


@dataclass(frozen=True)
class Finding:
    """Something that a text says and its sources do not.

    Attributes:
        kind: one of `KINDS`.
        term: the words of the text.
        sentence: the sentence they stand in.
        message: what is wrong, for a person or a model to correct.
    """

    kind: str
    term: str
    sentence: str
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


def check_quotes(evidence: Sequence[Evidence], entries: Mapping[str, Source]) -> list[Finding]:
    """Quotes that are not in the entry they are said to be from.

    White space, width of characters and quotation marks may differ; '...' in a quote stands for words left out.
    """
    findings = []
    for item in evidence:
        entry = entries.get(item.entry)
        if entry is None:
            message = f"there is no entry {item.entry!r} among the entries given"
            findings.append(Finding("quote", item.entry, item.quote, message))
        elif not _is_quoted(item.quote, entry.text):
            message = f"these words are not in entry {item.entry!r}: {_short(item.quote)}"
            findings.append(Finding("quote", _short(item.quote), item.quote, message))
    return findings


def _is_quoted(quote: str, text: str) -> bool:
    haystack = re.sub(r"\s", "", narrow(text))
    position = 0
    pieces = [re.sub(r"\s", "", piece) for piece in re.split(r"\.{3,}|…+|\[\.+\]", narrow(quote))]
    pieces = [piece for piece in pieces if piece]
    for piece in pieces:
        found = haystack.find(piece, position)
        if found < 0:
            return False
        position = found + len(piece)
    return bool(pieces)


def check_claims(
    text: str,
    sources: Sequence[Source | str],
    *,
    language: str,
    source_language: str | None = None,
) -> list[Finding]:
    """What `text` claims and no source says.

    Claims are compared as concepts, so text and sources may be in different languages. A text may be more general than
    its sources, and may leave out what they say; it may not add to it or give it to another hand.

    Args:
        text: one or more sentences.
        sources: entries, which bring their language, or plain texts.
        language: of `text`.
        source_language: of plain texts among the sources; that of `text` where it is not given.

    Raises:
        GroundingError: there is no lexicon for one of the languages.
    """
    readings = [reading for source in sources for reading in _read_source(source, source_language or language)]
    return _compare(read(text, language), merge(readings))


def _read_source(source: Source | str, language: str) -> list[Reading]:
    """An entry variant by variant: what one of them says of the right hand is not said of the next."""
    if isinstance(source, str):
        return [read(source, language)]
    return [read(variant, source.language) for variant in source.variants or (source.text,)]


def compare_texts(text: str, reference: str, *, language: str, reference_language: str | None = None) -> list[Finding]:
    """What `text` (a synonym T_s, a segment) claims and `reference` (T_g) does not say.

    Raises:
        GroundingError: there is no lexicon for one of the languages.
    """
    return check_claims(text, [reference], language=language, source_language=reference_language)


def _compare(text: Reading, given: Reading) -> list[Finding]:
    findings: dict[tuple[str, str], Finding] = {}
    for mention, kind, message in _problems(text, given):
        sentence = text.sentences[mention.sentence] if text.sentences else ""
        findings.setdefault((kind, mention.text), Finding(kind, mention.text, sentence, message))
    return list(findings.values())


def _problems(text: Reading, given: Reading) -> Iterator[tuple[Mention, str, str]]:
    yield from _hand_problems(text, given)
    for mention in text.asserted:
        concept = concept_of(mention.concept)
        if concept.silent or concept.id == "unused":
            continue
        if concept.id == "still":
            if not _is_said("still", given) and _moves(mention.side, given):
                yield mention, "movement", f"{mention.text!r}: the sources move this hand"
            continue
        if mention.holder:
            if not _points_there(mention, given):
                yield mention, "direction", f"{mention.text!r} ({mention.holder}): no source gives this direction"
        elif not _is_said(mention.concept, given):
            yield mention, concept.kind, f"{mention.text!r}: no source says this"
        elif _is_of_another(mention, given):
            theirs = ", ".join(sorted(_sides(mention, given)))
            kind = "place" if concept.kind == "place" else "hand"
            yield mention, kind, f"{mention.text!r} of the {mention.side} side: the sources say it of the {theirs}"


def _is_said(name: str, given: Reading) -> bool:
    concept = concept_of(name)
    if name in given.concepts:
        return True
    return bool(concept.near) and any(concept_of(other).near == concept.near for other in given.concepts)


def _sides(mention: Mention, given: Reading) -> frozenset[str]:
    """The hands of which the sources say what the mention says."""
    near = concept_of(mention.concept).near
    alike = [c for c in given.sides if c == mention.concept or (near and concept_of(c).near == near)]
    return frozenset(side for concept in alike for side in given.sides[concept])


def _is_of_another(mention: Mention, given: Reading) -> bool:
    """Whether the sources say it of the other hand only."""
    if not mention.side:
        return False
    theirs = _sides(mention, given)
    if not theirs or "" in theirs or "both" in theirs or mention.side in theirs:
        return False
    return not (mention.side == "both" and {"left", "right"} <= theirs)


def _points_there(mention: Mention, given: Reading) -> bool:
    """A direction of the same holder; of another one where the sources say nothing of this one."""
    ours = {mention.concept}
    near = concept_of(mention.concept).near

    def is_among(directions: frozenset[str]) -> bool:
        return bool(ours & directions) or (bool(near) and any(concept_of(d).near == near for d in directions))

    own = given.directions[mention.holder]
    if is_among(own):
        return True
    if own:
        return False
    return any(is_among(directions) for directions in given.directions.values())


def _moves(side: str, given: Reading) -> bool:
    """Whether the sources give this hand a path."""
    return any(m.side in (side, "both") and "move" in entailed([m.concept]) for m in given.asserted)


def _hand_problems(text: Reading, given: Reading) -> Iterator[tuple[Mention, str, str]]:
    """Hands that the sources do not name, and a number of hands that is not theirs."""
    named = given.hands
    if any(not m.side and m.kind in _OF_HANDS for m in given.asserted) or not named:
        named |= {"right"}  # what a source says without naming a hand is of the dominant one
    two = "both" in named or {"left", "right"} <= named
    for mention in text.asserted:
        if mention.concept == "unused":
            if two:
                yield mention, "hand_count", f"{mention.text!r}: the sources use both hands"
            continue
        if not mention.side or mention.kind not in ("body_part", "handshape") or mention.concept in _ADJECTIVES:
            continue
        if mention.side == "both" and not two:
            yield mention, "hand_count", f"{mention.text!r}: the sources use one hand"
        elif mention.side in ("left", "right") and not two and mention.side not in named:
            yield mention, "hand", f"{mention.text!r} of the {mention.side} hand: the sources name the {_list(named)}"
    if two and text.mentions and text.only_one_hand and not given.only_one_hand:
        yield text.mentions[0], "hand_count", "one hand only: the sources use both hands"


def _list(sides: frozenset[str]) -> str:
    return ", ".join(sorted(sides))


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
