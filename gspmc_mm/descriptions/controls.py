"""Control experiments: text banks in which one thing is destroyed, to see what the network takes from the texts.

| control | destroyed | kept |
|---|---|---|
| `shuffled` (`TextBank.shuffled`) | which sign a text is of | the texts, the number of terms and rows |
| `gloss_only` | what the sign looks like | which sign it is; the terms and the parts that have a text |
| `rotated` | the meaning of every direction of the text space | all cosines between texts |
| `wrong_parts` | which part a text speaks of | which sign it is, the texts |

Each one leaves its name in the bank's note.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from gspmc_mm.descriptions.bank import TextBank, TextBankError, derangement
from gspmc_mm.descriptions.schema import DescriptionSet, Segment, SignDescription

GLOSS_ONLY_NOTE = "gloss only: the gloss stands in place of every text"
# The global term and the synonyms stand in front of the parts.
_BEFORE_PARTS = 2


def gloss_only(descriptions: DescriptionSet) -> DescriptionSet:
    """The set with the gloss in place of every text.

    A part keeps a text where it had one, so that the loss has the same terms as with the descriptions. Glosses are
    not translated: those in another language than the descriptions are words that the encoder may not know.
    """
    signs = []
    for sign in descriptions.signs:
        named = tuple(part for part in descriptions.parts if sign.part_texts(part))
        segments = (Segment(text=sign.gloss, parts=named),) if named else ()
        signs.append(SignDescription(label=sign.label, gloss=sign.gloss, primary=sign.gloss, segments=segments))
    generator = f"gloss only, in place of the texts of {descriptions.sha256[:16]} ({descriptions.generator})"
    # Built anew: a copy of the model would carry the hash of the texts that it no longer has.
    fields = {name: getattr(descriptions, name) for name in DescriptionSet.model_fields}
    return DescriptionSet(**{**fields, "signs": tuple(signs), "generator": generator})


def rotated(bank: TextBank, seed: int) -> TextBank:
    """All vectors turned by one random rotation: random directions with the Gram matrix of the texts.

    Skeletons are compared with the texts through a projection that is learned from a random start, and which knows no
    direction of the text space from another. So this bank should do as well as the true one, and a difference is
    noise: what a network can take from the texts is how alike they are.
    """
    turn = _random_rotation(bank.dim, seed)
    vectors = bank.vectors.astype(np.float64) @ turn
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    note = f"rotated: random vectors with the Gram matrix of the texts (seed {seed})"
    return replace(bank, vectors=vectors.astype(np.float32)).noted(note)


def wrong_parts(bank: TextBank, seed: int) -> TextBank:
    """The texts of every part given to another part, the same exchange for all signs.

    Parts without any text are left out of the exchange.

    Raises:
        TextBankError: Fewer than two parts have texts.
    """
    spoken_of = [k for k in range(_BEFORE_PARTS, len(bank.term_names)) if (bank.terms == k).any()]
    if len(spoken_of) < 2:
        names = ", ".join(bank.term_names[k] for k in spoken_of) or "no part"
        raise TextBankError(f"texts cannot be given to the wrong part: {names} alone has texts")
    places = np.arange(len(bank.term_names))
    places[spoken_of] = np.array(spoken_of)[derangement(len(spoken_of), seed)]
    moves = ", ".join(f"{bank.term_names[k]} to {bank.term_names[places[k]]}" for k in spoken_of)
    note = f"part texts given to the wrong part (seed {seed}): {moves}"
    return replace(bank, terms=places[bank.terms]).noted(note)


def _shuffled(bank: TextBank, seed: int) -> TextBank:
    return bank.shuffled(seed)


#: What a finished bank can be turned into, by the name of the option of `tools/gsp/encode.py`.
CONTROLS: Mapping[str, Callable[[TextBank, int], TextBank]] = MappingProxyType(
    {"shuffle": _shuffled, "rotate": rotated, "wrong-parts": wrong_parts}
)


def _random_rotation(dim: int, seed: int) -> np.ndarray:
    """(dim, dim) orthogonal, uniformly distributed (QR of a Gaussian with the signs of R taken out; Mezzadri 2007)."""
    gaussian = np.random.default_rng(seed).standard_normal((dim, dim))
    orthogonal, triangle = np.linalg.qr(gaussian)
    return orthogonal * np.sign(np.diag(triangle))
