"""Descriptions by rules: small dictionaries in the style of the sources, from text file to description set."""

from __future__ import annotations

import csv
import json

import pytest

from gspmc_mm.descriptions import load_descriptions
from gspmc_mm.gsp.class_list import ClassRow
from gspmc_mm.gsp.extractive import ExtractiveError, describe_extractively
from gspmc_mm.gsp.grounding import check_claims, check_quotes
from gspmc_mm.gsp.knowledge.base import KnowledgeBase, build_knowledge_base
from gspmc_mm.gsp.knowledge.entries import Entry
from gspmc_mm.gsp.knowledge.references import Grounds, gather_grounds
from gspmc_mm.gsp.knowledge.retrieval import Hit, Retriever
from gspmc_mm.gsp.lint import lint_descriptions
from gspmc_mm.gsp.pipeline import generate

CHINESE = """情况 qíngkuàng
双手平伸，手心向上，在胸前左右摆动。（可根据实际表示情况）
前途 qiántú
一手食指直立，从胸前向前移动，表示前面的路。
局势 júshì
左手握拳，手背向上；右手伸食指，在左手手背上转动一圈。
形势 xíngshì
手势同“局势”。
目标 mùbiāo
右手打手指字母“C”的指式，置于额前，向前移动一下，面露微笑。
局面 júmiàn
（一）左手横伸，手心向下；右手握拳，砸左手手背。
（二）一手五指张开，在面前转动一圈。
成效（成功） chéngxiào
一手伸拇指，置于胸前，上下移动两下。
"""
LETTERS = """C
右手拇指在下，其余四指在上，弯曲成半圆形，虎口朝内。
"""
TURKISH = """ABLA
1. İŞARET
Sağ elin işaret parmağı sağ yanağa iki kez dokundurulur.
2. İŞARET
Sağ el yumruk yapılır, göğse konur.
ACIKMAK
Sağ el açık, avuç içi karna bakacak şekilde karnın üzerinde daire çizer. Yanaklar içe çekilir.
AĞAÇ
Sol kol göğsün önünde yatay tutulur. Sağ elin dirseği sol elin sırtına konur, parmaklar açılır ve el sallanır.
AĞLAMAK
İki elin işaret parmakları gözlerin altından aşağı doğru sırayla indirilir. Yüz üzgündür.
"""


def grounds(text, language, gloss="x", route="exact", variants=()):
    entry = Entry(
        id=f"d:{gloss}:1",
        headword=gloss,
        normalized=gloss,
        language=language,
        text=text,
        variants=tuple(variants) or (text,),
        source="d",
    )
    return Grounds(label=0, gloss=gloss, hits=(Hit(entry, 1.0, route, {}),), entries=(entry,), route=route)


def describe(text, language, gloss="x", **more):
    return describe_extractively(0, gloss, grounds(text, language, gloss, **more), language=language)


def test_clauses_go_to_the_parts_they_name():
    sign = describe("左手平伸，手心向上；右手握拳，向左手掌心砸两下，嘴巴微张。", "zh")
    # what the right hand does to the left palm would read as done by the left hand
    assert sign.part_texts("left_hand") == ("左手平伸，手心向上。",)
    assert sign.part_texts("right_hand")[0].startswith("右手握拳")
    assert "平伸" not in sign.part_texts("right_hand")[0]
    assert sign.part_texts("mouth") == ("嘴巴微张。",)


def test_one_hand_leaves_the_left_hand_unused_and_both_hands_do_not():
    assert describe("The right fist touches the chin.", "en").part_texts("left_hand") == ("The left hand is not used.",)
    assert describe("Sağ yumruk çeneye dokunur.", "tr").part_texts("left_hand") == ("Sol el kullanılmaz.",)
    both = describe("Both fists touch the chin.", "en")
    assert both.part_texts("left_hand") == both.part_texts("right_hand")
    assert describe("A fist at the chin.", "en").part_texts("left_hand") == ()


def test_nothing_retrieved_means_nothing_described():
    sign = describe_extractively(7, "unicorn", Grounds(label=7, gloss="unicorn"), language="en")
    assert (sign.primary, sign.global_, sign.synonyms, sign.segments) == ("unicorn", "", (), ())
    assert sign.unresolved == ("not in the corpus: no entry describes 'unicorn'",)


def test_rules_do_not_translate():
    with pytest.raises(ExtractiveError, match=r"'zh'.*'en'"):
        describe_extractively(0, "x", grounds("右手握拳。", "zh"), language="en")


def test_a_similar_name_is_marked():
    sign = describe("The right fist touches the chin.", "en", route="bm25")
    assert any(note.startswith("fuzzy match: ") for note in sign.unresolved)


def test_an_entry_without_an_action_is_kept_as_it_is_and_marked():
    sign = describe("A word for money, see also coin.", "en")
    assert sign.primary.startswith("A word for money")
    assert sign.global_ == ""
    assert sign.unresolved[0].startswith("not in the corpus: ")


@pytest.mark.parametrize(
    ("language", "text", "remark"),
    [
        ("zh", "一手握拳，贴于胸部（心脏部位），表示内心。", "表示"),
        ("zh", "一手握拳。“力”与“利”音近，借代。", "音近"),
        ("tr", "Sağ el yumruk yapılır (güç). Not: Bölgeye göre değişir.", "Bölgeye"),
        ("en", "The right fist rests on the chest. This sign is also used for STRONG.", "STRONG"),
        ("en", "The right fist rests on the chest, showing strength.", "strength"),
    ],
)
def test_remarks_are_left_out_of_the_refined_text_only(language, text, remark):
    sign = describe(text, language)
    assert remark in sign.primary
    assert sign.global_
    assert remark not in sign.global_


REFERRED = {
    "en": [
        ("love", "Cross both fists on the chest.", "sign"),
        ("Q", "The thumb and index finger point down.", "handshape"),
        ("L", "The thumb and index finger form a right angle.", "handshape"),
        ("5", "All fingers are spread.", "handshape"),
    ],
    "zh": [
        ("爱", "双手交叉，贴于胸前。", "sign"),
        ("Q", "拇指与食、中指相捏，其余二指弯曲。", "handshape"),
        ("Y", "拇指、小指伸直，其他三指弯曲。", "handshape"),
        ("N", "食指、中指并拢。", "handshape"),
        ("M", "食指、中指、无名指并拢。", "handshape"),
    ],
    "tr": [
        ("sevmek", "İki kol göğüste çaprazlanır.", "sign"),
        ("Q", "Başparmak ve işaret parmağı aşağı uzanır.", "handshape"),
    ],
}


def extract_with_references(folder, text, language):
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("headword", "text", "kind"), *REFERRED[language], ("asked", text, "sign")])
    report = build_knowledge_base([folder / "rows.csv"], folder / "kb", language=language, embedder="none")
    found = gather_grounds(Retriever(KnowledgeBase.open(report.path)), "asked")
    return describe_extractively(0, "asked", found, language=language)


@pytest.mark.parametrize(
    ("language", "text", "refined"),
    [
        # in a clause that says more, the sentence stays whole beside what its reference means
        (
            "en",
            "Make the manual letter Q at the chin, then move it down.",
            "The thumb and index finger point down. Make the manual letter Q at the chin, then move it down.",
        ),
        (
            "en",
            'The right hand forms the "5" handshape in front of the chest.',
            'All fingers are spread. The right hand forms the "5" handshape in front of the chest.',
        ),
        (
            "en",
            "Make the sign for LOVE with both hands",
            "Cross both fists on the chest. Make the sign for LOVE with both hands.",
        ),
        (
            "en",
            "Make the sign for love with both hands",
            "Cross both fists on the chest. Make the sign for love with both hands.",
        ),
        (
            "en",
            'The same as "love", but with the left hand.',
            'Cross both fists on the chest. The same as "love", but with the left hand.',
        ),
        (
            "zh",
            "一手打手指字母“Y”的指式，手背向外，从颏部向下移动两下。",
            "拇指、小指伸直，其他三指弯曲。一手打手指字母“Y”的指式，手背向外，从颏部向下移动两下。",
        ),
        # a clause that only refers gives way
        ("zh", "手势同爱，然后向前移动。", "双手交叉，贴于胸前。然后向前移动。"),
        (
            "en",
            "Make the sign for love, and then move it forward.",
            "Cross both fists on the chest. Then move it forward.",
        ),
        # the examples of Table 1 of the paper
        (
            "en",
            "Make the sign LOVE, then raise both index fingers.",
            "Cross both fists on the chest. Then raise both index fingers.",
        ),
        (
            "en",
            "One hand forms the manual letter 'Q' and circles.",
            "The thumb and index finger point down. One hand forms the manual letter 'Q' and circles.",
        ),
        ("zh", "（一）手势同“爱”。（二）一手食指直立，贴于胸前。", "双手交叉，贴于胸前。一手食指直立，贴于胸前。"),
        (
            "zh",
            "一手打手指字母“Q”的指式，在胸前转动一圈。",
            "拇指与食、中指相捏，其余二指弯曲。一手打手指字母“Q”的指式，在胸前转动一圈。",
        ),
        (
            "tr",
            "SEVMEK işareti gibi yapılır, sonra iki işaret parmağı kalkar.",
            "İki kol göğüste çaprazlanır. Sonra iki işaret parmağı kalkar.",
        ),
        (
            "tr",
            "Sağ elle Q harfi yapılır ve daire çizilir.",
            "Başparmak ve işaret parmağı aşağı uzanır. Sağ elle Q harfi yapılır ve daire çizilir.",
        ),
        # several references in one phrase
        (
            "zh",
            "一手连续打手指字母“N”“M”的指式。",
            "食指、中指并拢。食指、中指、无名指并拢。一手连续打手指字母“N”“M”的指式。",
        ),
        (
            "en",
            'Form the manual letters "Q" and "L".',
            "The thumb and index finger point down. The thumb and index finger form a right angle.",
        ),
    ],
)
def test_a_reference_is_told_and_no_sentence_is_torn(tmp_path, language, text, refined):
    sign = extract_with_references(tmp_path, text, language)
    assert sign.global_ == refined
    assert sign.unresolved == ()


def test_a_reference_that_is_not_told_stays_in_the_text(tmp_path):
    sign = extract_with_references(tmp_path, 'Form the manual letters "Q" and "X". Then move up.', "en")
    told = "The thumb and index finger point down."
    assert sign.global_ == f'{told} Form the manual letters "Q" and "X". Then move up.'
    (note,) = sign.unresolved
    assert "no handshape of this name (X)" in note
    alone = extract_with_references(tmp_path, "Make the sign GHOST.", "en")
    assert alone.global_ == ""
    assert any(note.startswith("not in the corpus: ") for note in alone.unresolved)


def test_the_first_variant_is_described():
    sign = describe("x", "en", variants=("The right fist touches the chin.", "Both fists touch the chest."))
    assert sign.primary == "The right fist touches the chin."
    assert "chest" not in sign.global_


def test_order_in_time_is_kept():
    text = "The right fist touches the chin. Then it moves down. Then the hand opens."
    assert all(s.index("chin") < s.index("down") < s.index("opens") for s in describe(text, "en").synonyms)
    moving = "The right hand is flat. It moves up. It moves left."
    assert all(s.index("up") < s.index("left") for s in describe(moving, "en").synonyms)


def test_other_wordings_never_give_a_shape_to_the_other_hand():
    text = "左手平伸。右手握拳。向上移动。"
    sign = describe(text, "zh")
    for synonym in sign.synonyms:
        assert check_claims(synonym, [text], language="zh") == []
    assert sign.primary not in sign.synonyms


@pytest.fixture(scope="module")
def chinese(tmp_path_factory, shared_data):
    """SLR-500's list of glosses against a small dictionary."""
    folder = tmp_path_factory.mktemp("chinese")
    (folder / "signs.txt").write_text(CHINESE, encoding="utf-8")
    (folder / "letters.txt").write_text(LETTERS, encoding="utf-8")
    build_knowledge_base(
        [folder / "signs.txt", folder / "letters.txt"],
        folder / "kb",
        profile=["gf0020", "gf0021=letters*"],
        embedder="none",
    )
    lines = (shared_data / "labels" / "slr500" / "CSL" / "gloss_label.txt").read_text("utf-8-sig").splitlines()
    classes = [ClassRow(i, gloss.strip()) for i, gloss in enumerate(lines) if gloss.strip()]
    report = generate(
        folder / "kb", classes, "extractive", language="zh", output_language="zh", out=folder / "slr500.json"
    )
    return KnowledgeBase.open(folder / "kb"), report.descriptions


def test_slr500_end_to_end(chinese):
    kb, descriptions = chinese
    assert len(descriptions.signs) == 500
    assert descriptions.language == "zh"
    assert descriptions.corpus_hash == kb.corpus_hash
    described = {s.gloss: s for s in descriptions.signs if not any("not in the corpus" in n for n in s.unresolved)}
    assert {"情况", "前途", "局势", "形势", "目标", "局面", "成效（成功）"} <= set(described)
    assert len(described) < 40  # what is not in the small dictionary is not described
    assert described["情况"].global_ == "双手平伸，手心向上，在胸前左右摆动。"
    assert "表示" not in described["前途"].global_


def test_a_reference_gives_way_to_what_its_entry_says(chinese):
    _, descriptions = chinese
    by_gloss = {s.gloss: s for s in descriptions.signs}
    assert "手势同" not in by_gloss["形势"].global_
    assert by_gloss["形势"].global_ == by_gloss["局势"].global_
    assert "半圆形" in by_gloss["目标"].global_  # the letter C, from the list of letters
    assert "额前" in by_gloss["目标"].global_
    assert len({item.entry for item in by_gloss["目标"].evidence}) == 2


def test_steps_of_a_compound_sign_stay_together(chinese):
    _, descriptions = chinese
    sign = next(s for s in descriptions.signs if s.gloss == "局面")
    assert "砸左手手背" in sign.global_
    assert "五指张开" in sign.global_
    assert "（一）" not in sign.global_


def test_what_is_written_rests_on_the_entries(chinese):
    kb, descriptions = chinese
    report = lint_descriptions(descriptions, kb=kb)
    assert [p for p in report.all_problems if p.level == "error"] == []
    for sign in descriptions.signs:
        assert check_quotes(sign.evidence, {item.entry: kb.entry(item.entry) for item in sign.evidence}) == []


def test_autsl_end_to_end(tmp_path, shared_data):
    (tmp_path / "meb.txt").write_text(TURKISH, encoding="utf-8")
    build_knowledge_base([tmp_path / "meb.txt"], tmp_path / "kb", profile="meb", embedder="none")
    file = shared_data / "labels" / "autsl" / "AUTSL" / "SignList_ClassId_TR_EN.csv"
    with file.open(encoding="utf-8-sig", newline="") as lines:
        classes = [ClassRow(int(row["ClassId"]), row["TR"].replace("_", " ")) for row in csv.DictReader(lines)]
    report = generate(
        tmp_path / "kb", classes, "extractive", language="tr", output_language="tr", out=tmp_path / "autsl.json"
    )
    signs = {sign.gloss: sign for sign in report.descriptions.signs}
    assert len(signs) == 226
    assert signs["abla"].global_ == "Sağ elin işaret parmağı sağ yanağa iki kez dokundurulur."
    assert signs["acikmak"].part_texts("mouth") == ("Yanaklar içe çekilir.",)  # found without its marks
    assert signs["aglamak"].part_texts("face")
    assert signs["agac"].segments
    assert signs["zor"].unresolved
    assert signs["zor"].segments == ()
    found = lint_descriptions(report.descriptions, kb=KnowledgeBase.open(tmp_path / "kb"))
    assert found.count("error") == 0
    assert found.routes()["none"] >= 200


@pytest.mark.slow
def test_asl_lex_to_text_bank(command, tmp_path, shared_data):
    """The commands of the README: expert codings to a text bank for signs of WLASL, no model, no network."""
    source = shared_data / "asl_lex" / "signdata-2020-10-28.csv"
    classes = tmp_path / "classes.csv"
    glosses = ["book", "drink", "computer", "before", "chair", "who", "table", "son", "zeppelin"]
    classes.write_text("label,gloss\n" + "".join(f"{i},{g}\n" for i, g in enumerate(glosses)), encoding="utf-8")
    desc, kb, bank = tmp_path / "desc.json", tmp_path / "kb", tmp_path / "bank.safetensors"

    def run(script, *arguments):
        done = command(script, *arguments)
        assert done.status == 0, done.err

    run("gsp/build_kb.py", source, "--profile", "asl_lex", "--embedder", "none", "--out", kb)
    languages = ("--language", "en", "--output-language", "en")
    run("gsp/generate.py", "--kb", kb, "--classes", classes, "--llm", "extractive", *languages, "--out", desc)
    page, found = tmp_path / "lint.html", tmp_path / "lint.json"
    run(
        *("gsp/lint.py", desc, "--kb", kb, "--encoder", "none", "--tokens-of", "estimate"),
        *("--html", page, "--json", found),
    )
    run("gsp/encode.py", desc, "--encoder", "use-multilingual", "--out", bank)
    signs = load_descriptions(desc).signs
    for sign in signs[:-1]:
        for part in ("body", "left_hand", "right_hand"):
            assert sign.part_texts(part), (sign.gloss, part)
    assert signs[-1].primary == "zeppelin"
    assert len({sign.global_text for sign in signs}) == len(signs)
    text = page.read_text("utf-8")
    assert "ASL-LEX 2.0" in text
    assert "<mark>" in text
    assert json.loads(found.read_text("utf-8"))["coverage"]["body"] == 8
    assert bank.is_file()
