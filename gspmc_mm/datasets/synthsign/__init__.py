"""synthsign: a data set of SYNTHETIC signs with written descriptions. No real language.

``lexicon`` says what each sign is, ``texts`` puts it into English, ``signer`` performs it as 133
COCO-WholeBody key points, ``generate`` writes the pose store and the description set; ``stand_ins`` writes
worse descriptions on purpose.
"""

from gspmc_mm.datasets.synthsign.generate import (
    SynthSignSpec,
    generate,
    make_clip,
    make_clips,
    signer_splits,
)
from gspmc_mm.datasets.synthsign.lexicon import (
    HARD_PAIRS,
    NOTE,
    SIGNS,
    HardPair,
    Sign,
    differing_parameters,
    get_signs,
)
from gspmc_mm.datasets.synthsign.signer import SignerProfile, draw_signer, perform
from gspmc_mm.datasets.synthsign.stand_ins import dictionary_descriptions, ungrounded_descriptions
from gspmc_mm.datasets.synthsign.texts import describe, describe_all

__all__ = [
    "HARD_PAIRS",
    "NOTE",
    "SIGNS",
    "HardPair",
    "Sign",
    "SignerProfile",
    "SynthSignSpec",
    "describe",
    "describe_all",
    "dictionary_descriptions",
    "differing_parameters",
    "draw_signer",
    "generate",
    "get_signs",
    "make_clip",
    "make_clips",
    "perform",
    "signer_splits",
    "ungrounded_descriptions",
]
