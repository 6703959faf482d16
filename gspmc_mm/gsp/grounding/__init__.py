"""Are the texts in their sources? Quotes and claims, in Chinese, Turkish and English (docs/grounding.md)."""

from gspmc_mm.gsp.grounding.checks import KINDS, Finding, check_claims, check_quotes, compare_texts
from gspmc_mm.gsp.grounding.lexicon import LANGUAGES, GroundingError
from gspmc_mm.gsp.grounding.reading import concepts, parts_of

__all__ = [
    "KINDS",
    "LANGUAGES",
    "Finding",
    "GroundingError",
    "check_claims",
    "check_quotes",
    "compare_texts",
    "concepts",
    "parts_of",
]
