from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from gspmc_mm.gsp.knowledge.entries import KnowledgeBaseError
from gspmc_mm.gsp.knowledge.parsing import (
    EntryMaker,
    Skipped,
    guess_language,
    join_lines,
    merge_numbered,
    parse_codings,
    parse_lines,
    parse_rows,
    split_variants,
)
from gspmc_mm.gsp.knowledge.profiles import Profile, load_profile, profile_names
from gspmc_mm.gsp.knowledge.readers import Line, Row


def parse(profile: str, text: str) -> tuple[list, Skipped]:
    skipped = Skipped()
    lines = [Line(line.strip(), number) for number, line in enumerate(text.split("\n"), start=1)]
    drafts = list(merge_numbered(parse_lines(lines, load_profile(profile), skipped)))
    return drafts, skipped


def brief(drafts: Sequence) -> list[tuple]:
    return [(d.headword, d.aliases, d.text) for d in drafts]


def test_the_national_lexicon_with_synonyms_pinyin_steps_and_wrapped_lines():
    drafts, skipped = parse(
        "gf0020",
        """国家通用手语常用词表
        B
        爷爷（祖父） yéye（zǔfù）
        一手打手指字母“Y”的指式，手背向外，
        从颏部向下移动
        两下。
        千米（km、公里） qiānmǐ（gōnglǐ）
        一手连续打手指字母“K”“M”的指式，表示千米的法定计量单位符号。
        福建
        （一）一手五指张开，掌心贴胸部逆时针转动一圈。
        （二）双手斜伸，指尖搭成“∧”形。
        — 17 —
        右（右面）\t左手拍一下右臂。（可根据实际决定动作）
        """,
    )
    assert brief(drafts) == [
        ("爷爷", ("祖父",), "一手打手指字母“Y”的指式，手背向外，从颏部向下移动两下。"),
        ("千米", ("km", "公里"), "一手连续打手指字母“K”“M”的指式，表示千米的法定计量单位符号。"),
        ("福建", (), "（一）一手五指张开，掌心贴胸部逆时针转动一圈。（二）双手斜伸，指尖搭成“∧”形。"),
        ("右", ("右面",), "左手拍一下右臂。（可根据实际决定动作）"),
    ]
    # the steps of a compound sign belong together
    assert all(draft.variants == () for draft in drafts)
    assert skipped.count == 1
    assert "国家通用手语常用词表" in skipped.first


def test_numbers_at_a_headword_are_variants_of_one_entry():
    drafts, _ = parse(
        "gf0020", "办公① bàngōng\n左手横伸。\n办公② bàngōng\n双手搭成“公”字形\n人①\n双手食指搭成“人”字形。"
    )
    assert [(d.headword, d.variants) for d in drafts] == [("办公", ("左手横伸。", "双手搭成“公”字形")), ("人", ())]
    assert drafts[0].text == "左手横伸。\n双手搭成“公”字形"


def test_a_wrapped_line_that_looks_like_a_headword_is_text_until_the_text_is_finished():
    drafts, _ = parse("gf0020", "爱\n一手轻抚另一手\n拇指指背\n向下移动。\n恨\n双手握拳。")
    assert brief(drafts) == [("爱", (), "一手轻抚另一手拇指指背向下移动。"), ("恨", (), "双手握拳。")]


def test_the_manual_alphabet():
    drafts, _ = parse(
        "gf0021",
        "A\n右手伸拇指，指尖朝上。\nＺＨ：右手食、中、小指横伸。\n字母“Q”\n拇指与食、中指相捏。\n5 五指张开。",
    )
    assert [d.headword for d in drafts] == ["A", "ZH", "Q", "5"]
    assert load_profile("gf0021").kind == "handshape"


def test_the_turkish_dictionary_with_signs_of_a_word_as_variants():
    drafts, _ = parse(
        "meb",
        """TÜRK İŞARET DİLİ SÖZLÜĞÜ
        A
        ABLA (BÜYÜK KIZ KARDEŞ)
        1. İŞARET
        Sağ el işaret parmağı çeneye dokunur, sonra dai-
        resel hareket yapar.
        2. İŞARET: Sağ el yumruk yapılır.
        23
        AFİYET OLSUN: Sağ el ağza götürülür.
        İŞARET
        Sağ el öne uzatılır.
        """,
    )
    assert [(d.headword, d.aliases) for d in drafts] == [
        ("ABLA", ("BÜYÜK KIZ KARDEŞ",)),
        ("AFİYET OLSUN", ()),
        ("İŞARET", ()),
    ]
    assert drafts[0].variants == (
        "Sağ el işaret parmağı çeneye dokunur, sonra dairesel hareket yapar.",
        "Sağ el yumruk yapılır.",
    )
    assert drafts[1].text == "Sağ el ağza götürülür."


def test_plain_texts_and_markdown():
    drafts, skipped = parse(
        "plain", "# LOVE (adore)\nCross both arms.\nOn the chest.\n\n- **Hate**: Flick the fingers.\n"
    )
    assert brief(drafts) == [
        ("LOVE", ("adore",), "Cross both arms. On the chest."),
        ("Hate", (), "Flick the fingers."),
    ]
    assert skipped.count == 0


def test_a_headword_without_text_is_counted_and_named():
    drafts, skipped = parse("plain", "# Empty\n# Full\ntext")
    assert [d.headword for d in drafts] == ["Full"]
    assert skipped.count == 1
    assert "Empty" in skipped.first


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["一手伸食指，", "指尖朝前"], "一手伸食指，指尖朝前"),
        (["the left", "hand"], "the left hand"),
        (["a circu-", "lar path"], "a circular path"),
        (["the C-", "SHAPE"], "the C- SHAPE"),
        (["soft\u00ad", "hyphen"], "softhyphen"),
        (["打手指字母", "“Y”"], "打手指字母“Y”"),
        ([], ""),
    ],
)
def test_wrapped_lines_are_joined(lines, text):
    assert join_lines(lines) == text


def test_text_before_the_first_variant_is_in_the_text_only():
    mark = re.compile(r"\d\. İŞARET:? ?")
    assert split_variants("isim. 1. İŞARET: el. 2. İŞARET kol.", mark) == ("el.", "kol.")
    assert split_variants("el.", mark) == ()
    assert split_variants("el.", None) == ()


def test_tables_by_column_names_in_three_languages():
    for names in (("Headword", "TEXT", "aliases"), ("词目", "说明", "同义词"), ("Kelime", "Açıklama", "Eş Anlamlı")):
        rows = [Row(dict(zip(names, ("爱（喜爱）", "一手", "怜爱"), strict=True)), 2)]
        (draft,) = parse_rows(rows, load_profile("table"), Path("a.csv"), Skipped())
        assert (draft.headword, draft.aliases, draft.text) == ("爱", ("喜爱", "怜爱"), "一手")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"word": "a"}, "there is none for text"),
        ({"a": "b"}, "there is none for headword .* and text"),
        ({"headword": "a", "text": "b", "page": "xii"}, "line 7, column page: found 'xii'"),
        ({"headword": "a", "text": "b", "kind": "letter"}, "line 7, column kind: found 'letter', expected sign or"),
        ({"headword": "a", "text": "b", "language": "English"}, "line 7, column language: found 'English', expected a"),
        ({"headword": "a", "text": "b", "text (again)": "c"}, "the column 'text' occurs twice"),
    ],
)
def test_what_a_table_cannot_say_is_named(values, message):
    with pytest.raises(KnowledgeBaseError, match=message):
        list(parse_rows([Row(values, 7)], load_profile("table"), Path("a.csv"), Skipped()))


def test_rows_without_text_are_counted():
    skipped = Skipped()
    rows = [Row({"headword": "a", "text": ""}, 2), Row({"headword": "", "text": "b"}, 3)]
    assert list(parse_rows(rows, load_profile("table"), Path("a.csv"), skipped)) == []
    assert (skipped.count, skipped.first) == (2, "row 2: 'a'")


def test_objects_of_a_jsonl_file_without_text_are_counted():
    skipped, path, table = Skipped(), Path("a.jsonl"), load_profile("table")
    rows = [Row({"headword": "a"}, 1), Row({"headword": "b", "text": "c"}, 2), Row({}, 3)]
    assert [draft.headword for draft in parse_rows(rows, table, path, skipped)] == ["b"]
    assert (skipped.count, skipped.first) == (2, "row 1: 'a'")
    with pytest.raises(KnowledgeBaseError, match=r"a\.jsonl: the columns are headword; there is none for text"):
        list(parse_rows(rows[:1], table, path, Skipped()))


def test_language_codes_are_brought_into_their_usual_form():
    codes = ["EN", "zh_tw", "zh-hant", " tr ", ""]
    rows = [Row({"headword": "a", "text": "b", "language": code}, 2) for code in codes]
    drafts = list(parse_rows(rows, load_profile("table"), Path("a.csv"), Skipped()))
    assert [draft.language for draft in drafts] == ["en", "zh-TW", "zh-Hant", "tr", ""]
    assert EntryMaker("book", load_profile("plain"), "EN").make(drafts[-1]).language == "en"
    with pytest.raises(KnowledgeBaseError, match=r"book: --language .*found 'english', expected a language code"):
        EntryMaker("book", load_profile("plain"), "english")


def test_ids_stay_while_source_and_headword_do():
    drafts, _ = parse("plain", "# Love\na.\n# Hate\nb.\n# LOVE\nc.")
    maker = EntryMaker("book", load_profile("plain"), "en")
    assert [maker.make(draft).id for draft in drafts] == ["book:love:1", "book:hate:1", "book:love:2"]


def test_languages_are_guessed():
    assert guess_language(["爱 一手轻抚 Y"]) == "zh"
    assert guess_language(["Sağ el yumruk yapılır ve öne uzatılır."]) == "tr"
    assert guess_language(["the right hand forms a fist"]) == "en"
    assert guess_language([]) == "en"


def test_asl_lex_in_sentences_with_its_variants(shared_data):
    drafts = list(parse_codings(shared_data / "asl_lex"))
    by_name = {draft.headword: draft for draft in drafts}
    assert len(drafts) > 2200
    assert len({draft.id for draft in drafts}) == len(drafts)
    deaf = by_name["deaf"]
    assert len(deaf.variants) >= 2
    assert "ndex finger" in deaf.variants[0]
    thanks = next(draft for draft in drafts if "thank you" in (draft.headword, *draft.aliases))
    assert thanks.text


def test_all_profiles_of_the_package_are_valid():
    assert {"gf0020", "gf0021", "meb", "asl_lex", "plain", "table"} <= set(profile_names())
    for name in profile_names():
        assert load_profile(name).name == name


def test_a_profile_of_the_user(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nabout: x\nlayout: lines\nlanguage: de\nheadword: ['^(?P<headword>\\w+) = (?P<text>.*)$']\n"
    )
    profile = load_profile(str(path))
    drafts = list(parse_lines([Line("Haus = beide Hände", 1)], profile, Skipped()))
    assert brief(drafts) == [("Haus", (), "beide Hände")]
    assert profile.sha256 != load_profile("plain").sha256


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nabout: x\nlayout: lines\n", "needs headword patterns"),
        ("name: a\nabout: x\nlayout: lines\nheadword: ['(']\n", "not regular"),
        ("name: a\nabout: x\nlayout: lines\nheadword: ['(?P<word>x)']\n", "expected headword"),
        ("name: a\nabout: x\nlayout: table\nencodings: [utf-9]\n", "unknown encoding 'utf-9'"),
        ("name: a\nabout: x\nlayout: table\ncolumns: {colour: [c]}\n", "are no fields"),
        ("name: a\nabout: x\nlayout: table\ncolor: red\n", "color"),
        ("name: [\n", "not YAML"),
    ],
)
def test_what_a_profile_cannot_say_is_named(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(KnowledgeBaseError, match=message):
        load_profile(str(path))


def test_an_unknown_profile_is_answered_with_those_that_are_there():
    with pytest.raises(KnowledgeBaseError, match=r"no profile 'gf20': expected one of .*gf0020"):
        load_profile("gf20")


def test_a_profile_knows_what_it_reads(tmp_path):
    table = load_profile("table")
    assert isinstance(table, Profile)
    assert table.field_of("EŞ ANLAMLI") == "aliases"
    assert table.field_of("colour") is None
