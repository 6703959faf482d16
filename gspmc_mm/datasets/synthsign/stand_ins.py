"""Stand-ins for the texts of the paper's Table 4, written by rules: what a language model would leave in or get wrong.

Table 4 compares texts that a language model wrote out of its head, texts that it wrote from a dictionary, and refined
ones. For SYNTHETIC signs there is no dictionary and no model knows them, so the first two are made from the parameters
of the signs by rules, and their `generator` says so. The refined ones are those of `texts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from gspmc_mm.datasets.synthsign.lexicon import HARD_PAIRS, NOTE, SIGNS, Sign
from gspmc_mm.datasets.synthsign.texts import describe
from gspmc_mm.descriptions import DescriptionSet, Segment, SignDescription

STAND_IN_VERSION = "1"
# How often a parameter of a sign is made up. Fluent texts without a source are partly right.
WRONG_SHARE = 0.35

_MADE_UP = ("handshape", "location", "movement", "orientation", "mouth", "brows", "eyes", "head")
_SMALL_TALK = (
    "This expressive sign is widely used in everyday conversation.",
    "To make this sign, signers rely on a smooth and natural motion.",
    "The sign is easy to recognise and beautifully mirrors the idea behind it.",
    "In many communities this gesture is understood at once.",
)
# One of two signs of a hard pair is described by the other, as dictionaries do.
_ORIGIN = MappingProxyType({pair.second: pair.first for pair in HARD_PAIRS})


def made_up(sign: Sign, rng: np.random.Generator) -> Sign:
    """The sign as somebody describes it who does not know it: about a third of its parameters are another sign's."""
    for name in _MADE_UP:
        other = SIGNS[int(rng.integers(len(SIGNS)))]
        if rng.random() >= WRONG_SHARE:
            continue
        try:
            sign = replace(sign, **{name: getattr(other, name)})
        except ValueError:  # contradicts what the sign keeps, so nobody would write it
            continue
    return sign


def ungrounded_descriptions(signs: Sequence[Sign], seed: int = 0) -> DescriptionSet:
    """In place of 'raw LLM texts': fluent, partly wrong, with words that say nothing.

    Args:
        signs: The lexicon; the place of a sign is its label.
        seed: Of what is made up. A sign's text depends on seed and label only.
    """
    return _description_set(
        signs,
        "synthsign, ungrounded",
        f"about {WRONG_SHARE:.0%} of the parameters made up (seed {seed}), as if written without a dictionary",
        [_ungrounded(sign, label, np.random.default_rng([seed, label])) for label, sign in enumerate(signs)],
    )


def dictionary_descriptions(signs: Sequence[Sign]) -> DescriptionSet:
    """In place of 'texts from the knowledge base': right, but as a dictionary has them.

    Meanings and notes are left in, and a sign that resembles another is described by reference to it, which the
    refinement of the paper (P3) would replace by what the other entry says.
    """
    by_gloss = {sign.gloss: describe(sign, label) for label, sign in enumerate(signs)}
    return _description_set(
        signs,
        "synthsign, unrefined",
        "meanings, notes and references to other signs left in, as if copied from a dictionary",
        [_from_dictionary(by_gloss[sign.gloss], by_gloss.get(_ORIGIN.get(sign.gloss, ""))) for sign in signs],
    )


def _description_set(
    signs: Sequence[Sign], name: str, what: str, descriptions: Sequence[SignDescription]
) -> DescriptionSet:
    generator = f"stand-in by rules {STAND_IN_VERSION}, no language model: {what}. {NOTE}"
    return DescriptionSet(name=name, language="en", generator=generator, signs=tuple(descriptions))


def _ungrounded(sign: Sign, label: int, rng: np.random.Generator) -> SignDescription:
    guessed = describe(made_up(sign, rng), label)
    primary = f"{_SMALL_TALK[int(rng.integers(len(_SMALL_TALK)))]} {guessed.primary}"
    return SignDescription(label=label, gloss=sign.gloss, primary=primary, segments=guessed.segments)


def _from_dictionary(true: SignDescription, origin: SignDescription | None) -> SignDescription:
    family = true.gloss.split("-")[1].lower()
    note = f"Meaning: an invented word of the family '{family}', also used of things like it."
    if origin is None:
        segments = true.segments
        primary = f"{true.primary} {note}"
    else:
        same = {(segment.text, segment.parts) for segment in origin.segments}
        reference = f"As in the sign {origin.gloss}."
        segments = tuple(
            Segment(text=reference, parts=segment.parts) if (segment.text, segment.parts) in same else segment
            for segment in true.segments
        )
        known = set(_sentences(origin.primary))
        new = [sentence for sentence in _sentences(true.primary) if sentence not in known]
        primary = " ".join([f"Like the sign {origin.gloss}, but:", *new, note, f"Do not confuse with {origin.gloss}."])
    return SignDescription(label=true.label, gloss=true.gloss, primary=primary, segments=segments)


def _sentences(text: str) -> list[str]:
    return [f"{sentence.rstrip('.')}." for sentence in text.split(". ")]
