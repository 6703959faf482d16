"""Finds text in sources that looks like an instruction to a reading program, so that people are told of it.

Screening is a warning, not the protection: entries reach a model only as quoted data, whatever they say.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import yaml

from gspmc_mm.gsp.knowledge.entries import narrow_letters

# Characters that are not seen: zero-width marks, overrides of the writing direction, tags.
_HIDDEN = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
_SHOWN = 80
# Which texts the patterns of a script can match at all.
_SCRIPTS = {"latin": re.compile(r"[^\W\d_\u2e80-\U0003ffff]{2}"), "wide": re.compile("[\u2e80-\U0003ffff]")}


def screen_text(text: str) -> tuple[str, ...]:
    """What somebody who uses a text has to know, each as one line; empty for nearly all.

    The text is compared with hidden characters taken out and full-width letters made narrow, so that neither hides an
    instruction.
    """
    flags = []
    hidden = _HIDDEN.findall(text)
    if hidden:
        names = sorted({f"U+{ord(c):04X}" for c in hidden})
        flags.append(f"hidden characters: {', '.join(names[:5])}")
    plain = narrow_letters(_HIDDEN.sub("", text))
    for script, letters in _SCRIPTS.items():
        # most texts are of one script and have none: one look at the others, one pass over its own
        if letters.search(plain) and _any_of(script).search(plain):
            for pattern in _patterns(script):
                match = pattern.search(plain)
                if match:
                    flags.append(f'instruction-like text: "{_shorten(match.group())}"')
    return tuple(dict.fromkeys(flags))


@cache
def _patterns(script: str) -> tuple[re.Pattern[str], ...]:
    text = (resources.files("gspmc_mm.gsp.knowledge") / "screening.yaml").read_text("utf-8")
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in yaml.safe_load(text)[script])


@cache
def _any_of(script: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern.pattern})" for pattern in _patterns(script)), re.IGNORECASE)


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
