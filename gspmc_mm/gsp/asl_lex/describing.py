"""The descriptions of signs from their codings."""

from __future__ import annotations

from collections.abc import Sequence

from gspmc_mm.descriptions import DescriptionSet, Evidence, Segment, SignDescription

from .lexicon import AslLex, AslLexError, Match, listed, match_gloss
from .sentences import (
    attributes,
    body,
    chain,
    global_text,
    left_hand,
    movement_first,
    place_first,
    primary_text,
    right_hand,
    sentence,
    shape_first,
    short_text,
)

LICENCE = "ASL-LEX 2.0, CC BY-NC 4.0 (not for commercial use)"
# What a segment is: a text for every part, or a sentence for every coded attribute.
SEGMENTS = ("parts", "attributes")


def build_descriptions(
    glosses: Sequence[str],
    lexicon: AslLex,
    name: str = "signs described from ASL-LEX codings",
    allow_missing: bool = False,
    segments: str = "parts",
) -> DescriptionSet:
    """Describe signs.

    Args:
        glosses: gloss by label.
        lexicon: the codings.
        name: what the set is called.
        allow_missing: give a sign that ASL-LEX does not have its gloss as its only text.
        segments: see `describe_sign`.

    Raises:
        AslLexError: glosses are missing or occur twice, or (unless `allow_missing`) have no entry.
        ValueError: `segments` is none of SEGMENTS.
    """
    if segments not in SEGMENTS:
        raise ValueError(f"segments={segments!r} is none of {SEGMENTS}")
    if not glosses:
        raise AslLexError("there are no glosses to describe")
    twice = sorted({gloss for gloss in glosses if list(glosses).count(gloss) > 1})
    if twice:
        raise AslLexError(f"glosses occur twice: {listed(twice)}")
    matches = [match_gloss(gloss, lexicon) for gloss in glosses]
    unknown = [gloss for gloss, match in zip(glosses, matches, strict=True) if match is None]
    if unknown and not allow_missing:
        raise AslLexError(
            f"ASL-LEX has no sign for {len(unknown)} of {len(glosses)} glosses: {listed(unknown)}; "
            "expected an EntryID or an English translation of SignBank (or allow missing signs)"
        )
    signs = []
    for label, (gloss, match) in enumerate(zip(glosses, matches, strict=True)):
        if match is None:
            signs.append(
                SignDescription(
                    label=label,
                    gloss=gloss,
                    primary=gloss,
                    unresolved=("ASL-LEX has no sign of this name or translation",),
                )
            )
        else:
            signs.append(describe_sign(label, gloss, match, segments))
    return DescriptionSet(
        name=name,
        language="en",
        generator=f"gspmc_mm.gsp.asl_lex, templates over expert codings; {LICENCE}",
        corpus_hash=lexicon.sha256,
        signs=tuple(signs),
    )


def describe_sign(label: int, gloss: str, match: Match, segments: str = "parts") -> SignDescription:
    """The texts of one sign from its codings.

    `primary` spells out all codes, `global` is one compact sentence, the four synonyms say the same
    in other words and another order. The segments are one text for each hand and one for the place on
    the body ("parts"), or a sentence for each coded attribute with all the parts that it concerns
    ("attributes"): handshape, fingers, path, repetition, place, contact... Many signs share such a
    sentence; with `positives="text"` in the head their clips are positives of the same text.
    """
    units = match.entry.morphemes
    primary = chain([primary_text(unit) for unit in units])
    wordings = [
        chain([frame(unit) for unit in units]) for frame in (shape_first, place_first, movement_first, short_text)
    ]
    # two frames may come out alike where little is coded
    synonyms = tuple(text for text in dict.fromkeys(wordings) if text != primary)
    texts: dict[str, set[str]] = {}  # the parts of each
    if segments == "attributes":
        for text, parts in (attribute for unit in units for attribute in attributes(unit)):
            texts.setdefault(sentence(text), set()).update(parts)
    else:
        of_part = {"right_hand": right_hand, "left_hand": left_hand, "body": body}
        for part, frame in of_part.items():
            if text := chain([frame(unit) for unit in units]):
                texts.setdefault(text, set()).add(part)
    evidence = tuple(
        Evidence(
            entry=match.entry.entry_id if number == 1 else f"{match.entry.entry_id} (M{number})",
            quote=unit.quote,
        )
        for number, unit in enumerate(units, start=1)
        if unit.quote
    )
    notes = list(match.notes)
    for number, unit in enumerate(units, start=1):
        uncoded = [f for f in ("Handshape", "SignType", "Movement", "MinorLocation") if not unit[f]]
        if uncoded:
            notes.append(f"unit {number}: {', '.join(uncoded)} not coded")
    return SignDescription(
        label=label,
        gloss=gloss,
        primary=primary,
        global_=chain([global_text(unit) for unit in units]),
        synonyms=synonyms,
        segments=tuple(Segment(text=text, parts=tuple(sorted(parts))) for text, parts in texts.items()),
        evidence=evidence,
        unresolved=tuple(notes),
    )
