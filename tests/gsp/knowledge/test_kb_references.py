from __future__ import annotations

import pytest

from gspmc_mm.gsp.knowledge.entries import KnowledgeBaseError
from gspmc_mm.gsp.knowledge.references import find_references, gather_grounds, resolve_references
from gspmc_mm.gsp.knowledge.retrieval import Retriever


def targets(text: str, language: str) -> list[tuple[str, str]]:
    return [(link.kind, link.target) for link in find_references(text, language)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("手势同“爱”。", [("sign", "爱")]),
        ("同“爱”，面露笑容。", [("sign", "爱")]),
        ("（一）手势同“爱”。（二）同“人”。", [("sign", "爱"), ("sign", "人")]),
        ("参见“朋友”。", [("sign", "朋友")]),
        ("先打“爱”的手势，再伸拇指。", [("sign", "爱")]),
        ("与“爱”的手势相同。", [("sign", "爱")]),
        ("一手打手指字母“Q”的指式。", [("handshape", "Q")]),
        ("一手连续打手指字母“ U”“ M”的指式", [("handshape", "U"), ("handshape", "M")]),
        ("一手打手指字母ZH的指式", [("handshape", "ZH")]),
        ("一手打数字“5”的手势", [("handshape", "5")]),
        ("双手拇、食指搭成“公”字形，表示“怜爱”之意，仿小写拉丁字母“d”的形状。", []),
        ("书空“%”，同时向前微移。", []),
        ("手势同爱。", [("sign", "爱")]),
        ("手势同爱，然后向前移动。", [("sign", "爱")]),
        ("打法与爱人相同。动作相同于朋友。", [("sign", "朋友")]),
        ("双手手势相同，同时向下移动。动作同时做，手势同上。", []),
    ],
)
def test_chinese_references(text, expected):
    assert targets(text, "zh") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SEVMEK işareti gibi yapılır.", [("sign", "SEVMEK")]),
        ("“Sevmek” işareti yapılır.", [("sign", "Sevmek")]),
        ("İŞ YERİ işaretiyle aynı.", [("sign", "İŞ YERİ")]),
        ("Sağ elle Q harfi yapılır.", [("handshape", "Q")]),
        ("Parmak alfabesindeki “Ş” ile başlar.", [("handshape", "Ş")]),
        ("Sağ el 5 el şekli alır.", [("handshape", "5")]),
        ("bkz. SEVMEK", [("sign", "SEVMEK")]),
        ("Sağ elin işaret parmağı öne uzanır.", []),
        ("Sol el üzerinde gezdirilir.", []),
    ],
)
def test_turkish_references(text, expected):
    assert targets(text, "tr") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Make the sign LOVE, then nod.", [("sign", "LOVE")]),
        ('The same as "thank you", but with both hands.', [("sign", "thank you")]),
        ("Same as LOVE.", [("sign", "LOVE")]),
        ("See also BIG HOUSE.", [("sign", "BIG HOUSE")]),
        ("One hand forms the manual letter Q near the chin.", [("handshape", "Q")]),
        ("Fingerspell the letters 'O' and 'K'.", [("handshape", "O"), ("handshape", "K")]),
        ("The '5' handshape circles.", [("handshape", "5")]),
        ("Both 5-hands wiggle.", [("handshape", "5")]),
        ("The right hand moves in a circle; the sign ends at the chin.", []),
        ("A flat hand, as if to see something, the same height as the chin.", []),
    ],
)
def test_english_references(text, expected):
    assert targets(text, "en") == expected


def test_a_chinese_name_without_quotes_ends_where_the_base_has_one(build):
    rows = [("爱", "双手交叉。"), ("爱人", "双手相握。"), ("a", "手势同爱人但动作慢。"), ("b", "手势同鬼神，向前。")]
    kb = build(rows, "zh")
    resolution = resolve_references(kb, kb.lookup("a")[0])
    assert [entry.headword for entry in resolution.entries] == ["a", "爱人"]
    assert [(link.phrase, link.target) for link in resolution.links] == [("手势同爱人", "爱人")]
    unknown = resolve_references(kb, kb.lookup("b")[0])
    assert unknown.unresolved == ("'手势同鬼神' in rows_zh:b:1: no sign of this name (鬼神)",)


def test_letters_of_another_language_are_not_taken(tmp_path):
    from gspmc_mm.gsp.knowledge.base import KnowledgeBase, build_knowledge_base

    (tmp_path / "rows.csv").write_text(
        "headword,text,language,kind\nQ,拇指与食指相捏。,zh,handshape\nambience,Make the manual letter Q.,en,sign\n"
        "气氛,打手指字母“Q”的指式。,zh-TW,sign\n",
        encoding="utf-8",
    )
    kb = KnowledgeBase.open(build_knowledge_base([tmp_path / "rows.csv"], tmp_path / "kb", embedder="none").path)
    resolution = resolve_references(kb, kb.lookup("ambience")[0])
    assert [entry.headword for entry in resolution.entries] == ["ambience"]
    assert resolution.unresolved[0].endswith("no handshape of this name (Q) in en, found only in zh")
    # one language, though in another script
    assert [entry.headword for entry in resolve_references(kb, kb.lookup("气氛")[0]).entries] == ["气氛", "Q"]


def test_a_name_that_agrees_only_without_its_marks_is_another_word(build):
    kb = build(
        [("ACI", "El yanar."), ("a", "“açı” işareti gibi yapılır."), ("ÖL", "El döner."), ("b", "bkz. “ol”")], "tr"
    )
    assert "no sign of this name (açı)" in resolve_references(kb, kb.lookup("a")[0]).unresolved[0]
    assert [entry.headword for entry in resolve_references(kb, kb.lookup("b")[0]).entries] == ["b", "ÖL"]
    other = gather_grounds(Retriever(kb), "açı", language="tr")
    assert (other.route, other.is_fuzzy, other.notes) == ("spelling", True, ())
    typed = gather_grounds(Retriever(kb), "ol", language="tr")
    assert (typed.route, typed.is_fuzzy) == ("exact", False)
    assert typed.notes == ("spelt without marks: 'ol' was taken to be 'ÖL' (rows_tr:ol:1)",)
    assert gather_grounds(Retriever(kb), "öl", language="tr").notes == ()


def test_other_languages_have_none():
    assert find_references("Same as LOVE", "de") == []


def test_where_a_name_ends_is_decided_by_what_the_base_has(build):
    kb = build(
        [("devoted", "Make the sign for love with both hands."), ("love", "Cross the arms."), ("big house", "x")]
    )
    (link,) = find_references("Make the sign for love with both hands.", "en")
    assert link.candidates
    resolution = resolve_references(kb, kb.lookup("devoted")[0])
    assert [entry.headword for entry in resolution.entries] == ["devoted", "love"]


# The two examples of the paper's Table 1: Devoted is made with the sign LOVE, Ambience with the manual letter Q.
TABLE_1 = {
    "en": (
        "Make the sign LOVE, then raise both index fingers.",
        "love",
        "One hand forms the manual letter 'Q' and circles.",
    ),
    "zh": ("（一）手势同“爱”。（二）一手食指直立，贴于胸前。", "爱", "一手打手指字母“Q”的指式，在胸前转动一圈。"),
    "tr": (
        "SEVMEK işareti gibi yapılır, sonra iki işaret parmağı kalkar.",
        "sevmek",
        "Sağ elle Q harfi yapılır ve daire çizilir.",
    ),
}


@pytest.mark.parametrize("language", TABLE_1)
def test_devoted_is_the_sign_love_and_ambience_the_letter_q(build, language):
    devoted, love, ambience = TABLE_1[language]
    how_love, how_q = "LOVE is made so.", "Q is formed so."
    rows = [("devoted", devoted), (love, how_love), ("ambience", ambience), ("Q", how_q, "", "handshape")]
    retriever = Retriever(build([*rows, ("Q", "a sign of one letter", "", "sign")], language))
    grounds = gather_grounds(retriever, "devoted")
    assert [entry.text for entry in grounds.entries] == [devoted, how_love]
    assert grounds.unresolved == ()
    grounds = gather_grounds(retriever, "ambience")
    assert [entry.text for entry in grounds.entries] == [ambience, how_q]
    assert grounds.entries[1].kind == "handshape"


def test_references_are_followed_to_a_depth_and_what_is_deeper_is_listed(build):
    kb = build([(f"w{i}", f"Same as W{i + 1}.".replace("W", "WORD")) for i in range(1)])
    chain = [(f"word {c}", f"Same as 'word {d}'.") for c, d in ("ab", "bc", "cd", "de", "ef")]
    kb = build([*chain, ("word f", "The end.")])
    first = kb.lookup("word a")[0]
    resolution = resolve_references(kb, first, max_depth=3)
    assert [entry.headword for entry in resolution.entries] == ["word a", "word b", "word c", "word d"]
    assert len(resolution.unresolved) == 1
    assert "more than 3 references deep" in resolution.unresolved[0]
    whole = resolve_references(kb, first, max_depth=10)
    assert [entry.headword for entry in whole.entries][-1] == "word f"
    assert whole.unresolved == ()


def test_circles_are_found_and_end(build):
    kb = build(
        [("a", "Same as 'b'."), ("b", "Same as 'c', then as 'x'."), ("c", "See 'a'."), ("self", "Same as 'self'.")]
    )
    resolution = resolve_references(kb, kb.lookup("a")[0], max_depth=10)
    assert [entry.headword for entry in resolution.entries] == ["a", "b", "c"]
    assert resolution.cycles == ("a -> b -> c -> a",)
    assert resolve_references(kb, kb.lookup("self")[0]).cycles == ("self -> self",)
    grounds = gather_grounds(Retriever(kb), "a")
    assert grounds.unresolved == ("references go in a circle: a -> b -> c -> a",)


def test_two_ways_to_one_entry_are_no_circle(build):
    kb = build([("a", "Same as 'b'. See 'c'."), ("b", "See 'c'."), ("c", "The end.")])
    resolution = resolve_references(kb, kb.lookup("a")[0])
    assert [entry.headword for entry in resolution.entries] == ["a", "b", "c"]
    assert resolution.cycles == ()


def test_what_is_not_in_the_base_is_listed_with_its_words(build):
    kb = build([("a", "Make the sign GHOST. One hand forms the manual letter Q.")])
    resolution = resolve_references(kb, kb.lookup("a")[0])
    assert len(resolution.unresolved) == 2
    assert "GHOST" in resolution.unresolved[0]
    assert "no sign of this name" in resolution.unresolved[0]
    assert "no handshape of this name" in resolution.unresolved[1]
    assert [link.entry for link in resolution.links] == [None, None]


def test_the_same_source_comes_first(tmp_path):
    from gspmc_mm.gsp.knowledge.base import KnowledgeBase, build_knowledge_base

    for name, text in (("a", "other book"), ("b", "this book")):
        (tmp_path / f"{name}.csv").write_text(f"headword,text\nlove,{text}\ndevoted {name},Same as 'love'.\n")
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    kb = KnowledgeBase.open(build_knowledge_base(paths, tmp_path / "kb", embedder="none").path)
    resolution = resolve_references(kb, kb.lookup("devoted b")[0])
    assert resolution.entries[1].text == "this book"


def test_grounds_of_a_name_are_its_entries_and_nothing_else(kb):
    grounds = gather_grounds(Retriever(kb), "忠诚", label=7)
    assert (grounds.label, grounds.gloss, grounds.route, grounds.is_fuzzy) == (7, "忠诚", "exact", False)
    assert [entry.headword for entry in grounds.entries] == ["忠诚", "爱"]
    assert gather_grounds(Retriever(kb), "喜爱").route == "alias"
    assert gather_grounds(Retriever(kb), "unknown", aliases=["祖父"]).hits[0].entry.headword == "爷爷"


def test_a_language_that_the_base_does_not_have_is_an_error(kb):
    with pytest.raises(KnowledgeBaseError, match=r"no entry in the language 'en', only in 'zh', 'tr'"):
        gather_grounds(Retriever(kb), "love", language="en")


def test_grounds_of_a_misspelt_name_are_marked_and_of_an_unknown_one_empty(kb):
    fuzzy = gather_grounds(Retriever(kb), "calısmaak")
    assert fuzzy.is_fuzzy
    assert [hit.entry.headword for hit in fuzzy.hits] == ["ÇALIŞMAK"]
    unknown = gather_grounds(Retriever(kb), "zeppelin")
    assert (unknown.hits, unknown.entries, unknown.route, unknown.is_fuzzy) == ((), (), "", False)
