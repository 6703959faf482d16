"""Claims and quotes against their sources: what has to be found and what must not be."""

from __future__ import annotations

import pytest
import yaml

from gspmc_mm.descriptions import Evidence
from gspmc_mm.gsp.grounding import (
    KINDS,
    GroundingError,
    check_claims,
    check_quotes,
    compare_texts,
    concepts,
    parts_of,
)
from gspmc_mm.gsp.grounding.lexicon import LANGUAGES, concept_of, get_lexicon, load_concepts, narrow, plain
from gspmc_mm.gsp.grounding.reading import entailed, read
from gspmc_mm.gsp.knowledge.entries import Entry

HAMMER = "左手平伸，手心向上；右手握拳，向左手掌心砸两下。"


def entry(text, language="en", name="e:1", variants=()):
    return Entry(
        id=name,
        headword="x",
        normalized="x",
        language=language,
        text=text,
        variants=tuple(variants) or (text,),
        source="test",
    )


def kinds(text, source, language="en", source_language=None):
    return {f.kind for f in check_claims(text, [source], language=language, source_language=source_language)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_lexicon_loads_and_names_only_concepts(language):
    assert get_lexicon(language).language == language


def test_every_concept_has_words_in_every_language_or_is_listed_as_empty(repository):
    folder = repository / "gspmc_mm" / "gsp" / "grounding" / "lexicons"
    for language in LANGUAGES:
        words = yaml.safe_load((folder / f"{language}.yaml").read_text("utf-8"))["words"]
        missing = sorted(c for c in load_concepts() if c not in words and not c.startswith("letter_"))
        assert missing == [], f"{language}.yaml has no line for {missing}"


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "The right fist touches the chin.", {"fist", "touch", "chin"}),
        ("zh", "右拳触下巴。", {"fist", "touch", "chin"}),
        ("tr", "Sağ el yumruk yapılır, çeneye dokunur.", {"hand", "fist", "touch", "chin"}),
    ],
)
def test_the_same_concepts_in_three_languages(language, text, expected):
    (found,) = concepts(text, language)
    assert found == expected


def test_longest_match_wins():
    (found,) = concepts("食指尖触太阳穴。", "zh")
    assert "index_finger" in found
    assert "finger" not in found
    (found,) = concepts("the little finger", "en")
    assert found == {"little_finger"}


@pytest.mark.parametrize(
    "word", ["eller", "elin", "elini", "ellerimizi", "ellerimizin", "elimiz", "elde", "elle", "eldeki"]
)
def test_turkish_endings(word):
    assert "hand" in concepts(word, "tr")[0]


@pytest.mark.parametrize("word", ["elma", "elbise", "kolay", "başarı", "dilek", "gözlük"])
def test_turkish_words_that_only_begin_alike(word):
    assert concepts(word, "tr")[0] == frozenset()


def test_turkish_capitals_and_softened_stems():
    assert "index_finger" in concepts("İŞARET PARMAĞI", "tr")[0]
    assert "mouth" in concepts("AĞZA", "tr")[0]
    assert "cheek" in concepts("YANAĞI", "tr")[0]


@pytest.mark.parametrize("text", ["“Ａ” … ﬁst　İ", "手　，（一）", "a\u0301  b\nc"])
def test_plain_text_keeps_every_place(text):
    for language in LANGUAGES:
        assert len(plain(text, language)) == len(narrow(text))


def test_fullwidth_and_narrow_are_one():
    assert concepts("双手成Ｖ形，手心向上。", "zh") == concepts("双手成V形,手心向上。", "zh")


def test_letters_of_the_manual_alphabet_keep_their_name():
    assert "letter_q" in concepts("The manual letter Q moves up.", "en")[0]
    assert "letter_q" in concepts("一手打手指字母“Q”的指式。", "zh")[0]
    assert "letter_q" in concepts("Sağ elle “Q” harfi yapılır.", "tr")[0]
    assert "handshape" in kinds(
        "The right hand shows the manual letter G.", "The right hand shows the manual letter Q."
    )
    assert kinds("The right hand in a V shape.", "The right hand makes the manual letter V.") == set()


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "The right fist taps the left palm.", ("left_hand", "right_hand")),
        ("en", "Both fists move up in front of the chest.", ("body", "left_hand", "right_hand")),
        ("en", "The lips are pursed.", ("mouth",)),
        ("en", "The eyebrows are raised.", ("face",)),
        ("zh", "面露笑容。", ("mouth", "face")),
        ("tr", "Sol el yumruk yapılır.", ("left_hand",)),
        ("en", "A fist.", ("right_hand",)),
        ("en", "This is about money.", ()),
    ],
)
def test_parts_that_a_text_speaks_of(language, text, expected):
    assert parts_of(text, language) == expected


def test_sides_go_with_the_hand_that_acts():
    sides = read(HAMMER, "zh").sides
    assert sides["flat_hand"] == {"left"}
    assert sides["fist"] == {"right"}
    assert sides["strike"] == {"right"}
    assert sides["palm"] == {"left"}  # 向左手掌心 is towards the left palm
    assert "left" in concepts("右手向左移动。", "zh")[0]


@pytest.mark.parametrize("target", ["sol avuca", "sol bileğe", "sol elin sırtına", "sol elin üstüne", "sol kola"])
def test_a_turkish_hand_that_is_reached_does_not_act(target):
    sides = read(f"Sağ el yumruk yapılır ve {target} iki kez vurur.", "tr").sides
    assert sides["strike"] == {"right"}


def test_a_passive_gives_the_deed_to_the_agent():
    assert read("The left palm is tapped by the right fist.", "en").sides["tap"] == {"right"}


def test_both_hands_named_last_are_meant_from_the_start():
    assert read("Flat hand, fingers together, both hands alike.", "en").sides["flat_hand"] == {"both"}


def test_exchanged_hands_are_found_although_every_word_is_in_the_source():
    swapped = "The right hand is flat, palm up; the left hand makes a fist and hits the right palm twice."
    right = "The left hand is flat, palm up; the right hand makes a fist and hits the left palm twice."
    assert "hand" in kinds(swapped, HAMMER, "en", "zh")
    assert kinds(right, HAMMER, "en", "zh") == set()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The left fist touches the chin.", "hand"),
        ("Both fists touch the chin.", "hand_count"),
        ("The right fist touches the nose.", "place"),
        ("The right index finger touches the chin.", "body_part"),
        ("A flat right hand touches the chin.", "handshape"),
        ("The right fist brushes the chin.", "contact"),
        ("The right fist touches the chin and circles.", "movement"),
        ("The right fist touches the chin and moves down.", "direction"),
        ("The right fist touches the chin, the cheeks are puffed.", "mouth"),
        ("The right fist touches the chin, with a smile.", "face"),
    ],
)
def test_one_of_each_kind(text, kind):
    source = "The right fist touches the chin and moves up."
    assert kind in KINDS
    assert kind in kinds(text, source)


def test_more_general_is_supported_and_more_special_is_not():
    assert kinds("A finger touches the face.", "The thumb touches the cheek.") == set()
    assert kinds("The thumb touches the cheek.", "A finger touches the face.") == {"body_part", "place"}


def test_palm_and_path_are_two_directions():
    source = "The flat right hand, palm up, moves forward."
    assert kinds("The right palm faces up.", source) == set()
    assert "direction" in kinds("The right palm faces forward.", source)
    assert "direction" in kinds("The right hand moves up.", source)
    # the back of the hand up is the palm down
    assert kinds("右手平伸，手心向下。", "右手平伸，手背向上。", "zh") == set()
    assert kinds("右手平伸，手心向上。", "右手平伸，手背向上。", "zh") == {"direction"}


def test_denied_contact_supports_no_contact():
    source = "The right hand is near the chin without touching it."
    assert "contact" in kinds("The right hand touches the chin.", source)


def test_an_unused_hand_is_no_claim_about_a_second_hand():
    assert kinds("The left hand is not used.", "The right fist touches the chin.") == set()
    assert kinds("The left hand is not used.", "Both fists touch the chin.") == {"hand_count"}


def test_variants_are_read_one_by_one():
    both = entry("x", variants=("The right fist touches the chin.", "Both fists touch the chest."))
    assert check_claims("One fist touches the chin.", [both], language="en") == []


def test_several_sources_in_several_languages():
    sources = [entry("右手握拳。", "zh"), entry("The hand touches the chin.", "en")]
    assert check_claims("Sağ yumruk çeneye dokunur.", sources, language="tr") == []


def test_findings_are_of_the_sentence():
    text = "The right fist moves up. The tongue is out."
    (finding,) = check_claims(text, ["The right fist moves up."], language="en")
    assert (finding.kind, finding.sentence) == ("mouth", "The tongue is out.")
    assert "tongue" in finding.message
    assert str(finding).startswith("mouth: ")


def test_synonym_against_refined_text():
    assert compare_texts("右拳砸左掌心。", HAMMER, language="zh") == []
    assert [f.kind for f in compare_texts("右拳砸额头。", HAMMER, language="zh")] == ["place"]


def test_nothing_at_all_supports_no_claim():
    assert {"handshape", "place"} <= {f.kind for f in check_claims("A fist at the chin.", [], language="en")}
    assert check_claims("", [], language="en") == []


def test_a_language_without_a_lexicon_is_refused():
    with pytest.raises(GroundingError, match=r"'de'.*en, tr, zh"):
        check_claims("Die rechte Hand.", ["x"], language="de")
    assert check_claims("右手握拳。", [entry("右手握拳。", "zh-TW")], language="zh-Hans") == []


def test_entailment_has_an_end_and_contains_its_start():
    for name in load_concepts():
        assert name in entailed([name])
    assert {"index_finger", "finger", "middle_finger"} <= entailed(["v_hand"])
    for shape in (c.id for c in load_concepts().values() if c.kind in ("handshape", "body_part")):
        assert "touch" not in entailed([shape]), f"{shape} alone touches nothing"
    assert concept_of("letter_zz").kind == "handshape"


@pytest.mark.parametrize(
    ("quote", "fine"),
    [
        ("左手平伸，手心向上", True),
        ("左手平伸,手心向上", True),
        ("左手平伸 ... 砸两下", True),
        ("砸两下……左手平伸", False),
        ("左手握拳", False),
        ("...", False),
    ],
)
def test_quotes(quote, fine):
    findings = check_quotes([Evidence(entry="e:1", quote=quote)], {"e:1": entry(HAMMER, "zh")})
    assert [f.kind for f in findings] == ([] if fine else ["quote"])


def test_a_quote_of_an_entry_that_is_not_there():
    (finding,) = check_quotes([Evidence(entry="e:2", quote="x")], {})
    assert "'e:2'" in finding.message


def test_hostile_text_takes_no_time():
    text = "right left both " * 400 + "手" * 4000
    for language in LANGUAGES:
        assert isinstance(check_claims(text, [text], language=language), list)
