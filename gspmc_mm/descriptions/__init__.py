"""What a sign looks like, in words: description sets, text encoders and text banks."""

from gspmc_mm.descriptions.bank import TextBank, TextBankError, build_text_bank, center
from gspmc_mm.descriptions.controls import CONTROLS, GLOSS_ONLY_NOTE, gloss_only, rotated, wrong_parts
from gspmc_mm.descriptions.encoders import (
    EncoderError,
    LongTextWarning,
    TextEncoder,
    check_language,
    encode_texts,
    get_encoder,
    long_texts,
    split_text,
)
from gspmc_mm.descriptions.schema import (
    GLOBAL_TERM,
    SCHEMA_VERSION,
    SYNONYM_TERM,
    DescriptionError,
    DescriptionSet,
    Evidence,
    Segment,
    SignDescription,
    load_descriptions,
    parse_descriptions,
    save_descriptions,
)

__all__ = [
    "CONTROLS",
    "GLOBAL_TERM",
    "GLOSS_ONLY_NOTE",
    "SCHEMA_VERSION",
    "SYNONYM_TERM",
    "DescriptionError",
    "DescriptionSet",
    "EncoderError",
    "Evidence",
    "LongTextWarning",
    "Segment",
    "SignDescription",
    "TextBank",
    "TextBankError",
    "TextEncoder",
    "build_text_bank",
    "center",
    "check_language",
    "encode_texts",
    "get_encoder",
    "gloss_only",
    "load_descriptions",
    "long_texts",
    "parse_descriptions",
    "rotated",
    "save_descriptions",
    "split_text",
    "wrong_parts",
]
