"""A description set from the expert codings of ASL-LEX 2.0, by written English templates.

ASL-LEX (Sehyr et al. 2021, CC BY-NC 4.0) codes how each of 2,723 ASL signs is made: handshape,
selected fingers, flexion, location, movement, contact and more. Here each code has its words, and a
few sentence frames put the words of a sign together: no language model, nothing that the codes do
not say. In a sign the dominant hand is written as the right hand and the other as the left hand.

The texts tell apart what the codes tell apart. What the frames have in common is kept short, and the
words that differ come first, since sentence vectors of long frames with few differing words lie very
close together.
"""

from __future__ import annotations

from .codes import FIELDS
from .describing import LICENCE, SEGMENTS, build_descriptions, describe_sign
from .lexicon import DATA_FILE, AslLex, AslLexError, Entry, Match, column_name, match_gloss, read_asl_lex
from .sentences import UNUSED_HAND

__all__ = [
    "DATA_FILE",
    "FIELDS",
    "LICENCE",
    "SEGMENTS",
    "UNUSED_HAND",
    "AslLex",
    "AslLexError",
    "Entry",
    "Match",
    "build_descriptions",
    "column_name",
    "describe_sign",
    "match_gloss",
    "read_asl_lex",
]
