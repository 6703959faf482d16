"""A dictionary entry, and the forms under which its headword is found."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Kind = Literal["sign", "handshape"]
KINDS: tuple[Kind, ...] = ("sign", "handshape")

# Letters that decomposition does not take apart; the dotless i of Turkish is the one that matters most.
_LETTERS_WITHOUT_MARKS = str.maketrans({"ı": "i", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe"})
_TURKISH_CAPITALS = str.maketrans({"I": "ı", "İ": "i"})
# Numbers that tell apart the signs of one word: 办公①. NFKC would make digits of them.
_CIRCLED = re.compile("[\u2460-\u2473\u2776-\u2793\u24f5-\u24fe]")
# What folding leaves as it is; most headwords of a Chinese dictionary, and there may be hundreds of thousands.
_PLAIN_HAN = re.compile("[\u4e00-\u9fff]+")
# Texts in which NFKC would change nothing but punctuation; it takes longer than all else that is done with a text.
_PLAIN_TEXT = re.compile("[\x00-\x7f\u3000-\u303f\u4e00-\u9fff“”‘’…—，；：！？（）]*")
_APOSTROPHES = re.compile(r"(?<=\w)['’`ʼ](?=\w)")
_NOT_LETTERS = re.compile(r"[\W_]+")
# Han and kana: written without spaces.
_WIDE = "\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SPACE_AT_WIDE = re.compile(rf"(?<=[{_WIDE}]) | (?=[{_WIDE}])")
_BRACKETS = re.compile(r"[(（\[【〔]([^()（）\[\]【】〔〕]*)[)）\]】〕]")
_BETWEEN_ALIASES = re.compile(r"[、，,;；/|]|\s+ya da\s+|\s+veya\s+|\s+or\s+")


class KnowledgeBaseError(ValueError):
    """A source, a profile or a knowledge base that cannot be used: says which, where and what to do."""


class Entry(BaseModel):
    """One entry of a dictionary with all its variants.

    Attributes:
        id: stable as long as source and headword are: '<source stem>:<normalised headword>:<n>', or the source's own.
        headword: as written, without brackets and variant numbers.
        normalized: `normalize_headword(headword, language)`.
        aliases: other names of the sign, as written.
        language: code of the language that the entry is written in.
        kind: a sign, or a handshape (manual alphabet, numbers).
        text: how it is made, all variants.
        variants: the different ways of making it; one that equals `text` where there is only one.
        source: name of the file that it comes from.
        page: page of the source, where it has pages.
        licence: what the source says about its use.
        flags: what somebody who uses the entry has to know, such as text that looks like an instruction.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    headword: str = Field(min_length=1)
    normalized: str
    aliases: tuple[str, ...] = ()
    language: str
    kind: Kind = "sign"
    text: str = Field(min_length=1)
    variants: tuple[str, ...] = Field(min_length=1)
    source: str
    page: int | None = None
    licence: str = ""
    flags: tuple[str, ...] = ()


def fold_case(text: str, language: str) -> str:
    """A headword without differences of case, width, punctuation and spaces; letters keep their marks.

    In Turkish I is the capital of ı and İ that of i.
    """
    if _PLAIN_HAN.fullmatch(text):
        return text
    text = unicodedata.normalize("NFKC", _CIRCLED.sub(" ", text))
    if language == "tr":
        text = text.translate(_TURKISH_CAPITALS)
    # the capital İ of another language folds to i and a combining dot, which is a mark and no letter
    text = unicodedata.normalize("NFC", text.casefold()).replace("i\u0307", "i")
    return _SPACE_AT_WIDE.sub("", _NOT_LETTERS.sub(" ", _APOSTROPHES.sub("", text)).strip())


def normalize_headword(text: str, language: str) -> str:
    """The form under which a headword is looked up: `fold_case`, and Latin letters without their marks.

    'ÇALIŞMAK', 'Çalışmak' and 'calismak' are one, as are 'ＡＢＣ' and 'abc', '办公①' and '办公'. Words that
    differ in a mark only ('ol', 'öl') share this form; `fold_case` tells them apart.
    """
    folded = fold_case(text, language)
    if folded.isascii() or _PLAIN_HAN.fullmatch(folded):
        return folded
    letters = unicodedata.normalize("NFD", folded)
    bare = "".join(
        c for i, c in enumerate(letters) if not (unicodedata.combining(c) and i and _is_latin(letters, i - 1))
    )
    return unicodedata.normalize("NFC", bare).translate(_LETTERS_WITHOUT_MARKS)


def narrow_letters(text: str) -> str:
    """A text in NFKC, so that full-width and other variant letters are plain ones; full-width marks may stay."""
    return text if _PLAIN_TEXT.fullmatch(text) else unicodedata.normalize("NFKC", text)


def split_headword(text: str) -> tuple[str, tuple[str, ...]]:
    """A headword as printed, taken apart: '爷爷（祖父、阿爷）' is ('爷爷', ('祖父', '阿爷')).

    Without anything outside of the brackets, the first name inside is the headword.
    """
    inside = [name.strip() for group in _BRACKETS.findall(text) for name in _BETWEEN_ALIASES.split(group)]
    head = " ".join(_CIRCLED.sub(" ", _BRACKETS.sub(" ", text)).split())
    names = [name for name in (head, *inside) if name]
    if not names:
        return "", ()
    return names[0], tuple(dict.fromkeys(name for name in names[1:] if name != names[0]))


def split_aliases(text: str) -> tuple[str, ...]:
    """The names of an alias column, which separates them by comma, semicolon, slash or bar."""
    return tuple(dict.fromkeys(name.strip() for name in _BETWEEN_ALIASES.split(text) if name.strip()))


def is_wide(character: str) -> bool:
    """Whether a character belongs to a script that is written without spaces (Han, kana)."""
    return bool(_WIDE_CHARACTER.match(character))


def _is_latin(letters: str, index: int) -> bool:
    """Whether the letter under a chain of marks is Latin."""
    while index > 0 and unicodedata.combining(letters[index]):
        index -= 1
    return letters[index] < "\u0250"


_WIDE_CHARACTER = re.compile(f"[{_WIDE}]")
