"""synthsign: a data set of SYNTHETIC signs with written descriptions. No real language.

``lexicon`` says what each sign is, ``texts`` puts it into English. ``profile`` draws a signer, ``motion`` moves it
(``timing``, ``kinematics``, ``handshapes``, ``face``), ``observation`` turns that into 133 COCO-WholeBody key points
in pixels. ``generate`` writes the pose store and the description set; ``stand_ins`` writes worse descriptions on
purpose.
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
from gspmc_mm.datasets.synthsign.observation import perform
from gspmc_mm.datasets.synthsign.profile import SignerProfile, draw_signer
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
