from __future__ import annotations

import pytest
from pydantic import ValidationError

from gspmc_mm.gsp.knowledge.entries import (
    Entry,
    fold_case,
    narrow_letters,
    normalize_headword,
    split_aliases,
    split_headword,
)


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("ÇALIŞMAK", "tr", "calismak"),
        ("Çalışmak", "tr", "calismak"),
        ("calismak", "tr", "calismak"),
        ("calismak", "en", "calismak"),
        ("İĞNE", "tr", "igne"),
        ("İĞNE", "en", "igne"),
        ("ISIRMAK", "tr", "isirmak"),
        ("kâr", "tr", "kar"),
        ("ＴＨＡＮＫ＿ＹＯＵ", "en", "thank you"),
        ("thank-you!", "en", "thank you"),
        ("don't", "en", "dont"),
        ("Straße", "de", "strasse"),
        ("naïve  café", "en", "naive cafe"),
        ("办公①", "zh", "办公"),
        ("办 公", "zh", "办公"),
        ("ＤＮＡ检测", "zh", "dna检测"),
        ("爷爷（祖父）", "zh", "爷爷祖父"),
        ("が", "ja", "が"),
        ("", "en", ""),
        ("...", "en", ""),
    ],
)
def test_headwords_are_looked_up_without_case_width_marks_and_punctuation(text, language, expected):
    assert normalize_headword(text, language) == expected


def test_turkish_capitals_are_small_letters_of_their_own():
    assert fold_case("KAPI", "tr") == "kapı"
    assert fold_case("KAPI", "en") == "kapi"
    assert fold_case("İŞ", "tr") == "iş"
    assert fold_case("öl", "tr") != fold_case("ol", "tr")


def test_normalizing_is_stable():
    for text in ("ÇALIŞMAK", "爷爷（祖父）", "Straße", "ＤＮＡ检测", "İĞNE"):
        for language in ("tr", "zh", "en"):
            once = normalize_headword(text, language)
            assert normalize_headword(once, language) == once


@pytest.mark.parametrize(
    ("text", "head", "names"),
    [
        ("爷爷（祖父、阿爷）", "爷爷", ("祖父", "阿爷")),
        ("热（汗）①", "热", ("汗",)),
        ("ABLA (büyük kız kardeş)", "ABLA", ("büyük kız kardeş",)),
        ("（无）", "无", ()),
        ("plain", "plain", ()),
        ("小孩儿（儿童、少年）", "小孩儿", ("儿童", "少年")),
        ("", "", ()),
    ],
)
def test_brackets_hold_other_names(text, head, names):
    assert split_headword(text) == (head, names)


def test_aliases_are_told_apart_by_commas_slashes_and_words():
    assert split_aliases("iş yapmak; uğraşmak, emek / çaba") == ("iş yapmak", "uğraşmak", "emek", "çaba")
    assert split_aliases("love veya adore") == ("love", "adore")
    assert split_aliases("喜爱、怜爱，喜爱") == ("喜爱", "怜爱")
    assert split_aliases(" , ") == ()


def test_narrow_letters_leaves_plain_texts_alone_and_narrows_others():
    plain = "一手打手指字母“Y”的指式，手背向外（胸前）。"
    assert narrow_letters(plain) is plain
    assert narrow_letters("ＡＢＣ①") == "ABC1"


def test_an_entry_refuses_what_the_schema_does_not_know_and_cannot_be_changed():
    values = dict(
        id="a:b:1", headword="b", normalized="b", language="en", text="how", variants=("how",), source="a", page=None
    )
    entry = Entry(**values)
    with pytest.raises(ValidationError):
        Entry(**values, colour="red")
    with pytest.raises(ValidationError):
        Entry(**{**values, "text": ""})
    with pytest.raises(ValidationError):
        entry.text = "other"
