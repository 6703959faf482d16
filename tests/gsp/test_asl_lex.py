"""Descriptions from ASL-LEX codings: matching, wording, and bad input."""

from __future__ import annotations

import csv
import importlib.util

import pytest

from gspmc_mm.descriptions import load_descriptions
from gspmc_mm.gsp import asl_lex
from gspmc_mm.gsp.asl_lex import (
    FIELDS,
    UNUSED_HAND,
    AslLexError,
    build_descriptions,
    match_gloss,
    read_asl_lex,
)

ONE_HAND = {
    "Handshape": "v",
    "SelectedFingers": "im",
    "Flexion": "FullyOpen",
    "FlexionChange": "0",
    "Spread": "1",
    "SpreadChange": "0",
    "ThumbPosition": "Closed",
    "ThumbContact": "1",
    "SignType": "OneHanded",
    "Movement": "Circular",
    "RepeatedMovement": "1",
    "MajorLocation": "Head",
    "MinorLocation": "Chin",
    "SecondMinorLocation": "NA",
    "Contact": "0",
    "NonDominantHandshape": "NA",
    "UlnarRotation": "0",
}
SYMMETRICAL = ONE_HAND | {
    "SignType": "SymmetricalOrAlternating",
    "NonDominantHandshape": "v",
    "MajorLocation": "Neutral",
    "MinorLocation": "Neutral",
    "Contact": "1",
}
ON_PALM = ONE_HAND | {
    "SignType": "AsymmetricalDifferentHandshape",
    "NonDominantHandshape": "B",
    "MajorLocation": "Hand",
    "MinorLocation": "Palm",
    "Contact": "1",
}
BARE = dict.fromkeys(FIELDS, "NA") | {"Handshape": "s"}


def row(name, codes, second=None, translations="", dominant="", frequency="NA"):
    values = {
        "EntryID": name,
        "DominantTranslation": dominant,
        "SignBankEnglishTranslations": translations,
        "SignFrequency(M)": frequency,
    }
    for number, unit in ((1, codes), (2, second)):
        for field in FIELDS:
            values[asl_lex.column_name(field, number)] = "NA" if unit is None else unit[field]
    return values


ROWS = (
    row("one", ONE_HAND),
    row("two", SYMMETRICAL),
    row("palm", ON_PALM),
    row("bare", BARE),
    row("pair", ONE_HAND, ON_PALM | {"Handshape": "s"}),
    row("deaf_1", ONE_HAND, frequency="3.0"),
    row("deaf_2", SYMMETRICAL, frequency="6.5"),
    row("deaf_school", SYMMETRICAL, frequency="7.0", translations="deaf, school"),
    row("forgetful", ONE_HAND, translations="bad memory, Forget", frequency="2"),
    row("erase", SYMMETRICAL, translations="forget, wipe", frequency="5"),
    row("abbreviate", ONE_HAND, translations="brief, short", dominant="short"),
    row("short_person", ONE_HAND, translations="short, small", frequency="6"),
)


def write(path, rows):
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def lexicon(tmp_path):
    write(tmp_path / asl_lex.DATA_FILE, ROWS)
    return read_asl_lex(tmp_path)


def sign(lexicon, gloss):
    return build_descriptions([gloss], lexicon).signs[0]


def test_one_handed_sign(lexicon):
    described = sign(lexicon, "one")
    assert described.part_texts("left_hand") == (UNUSED_HAND,)
    for words in ("index and middle fingers", "circle", "again and again", "chin", "without touching"):
        assert words in described.primary.lower()
    assert described.global_text != described.primary
    assert len(described.synonyms) >= 3
    assert "near the chin" in described.part_texts("body")[0].lower()
    assert "circles again and again" in described.part_texts("right_hand")[0]
    assert described.evidence[0].entry == "one"
    assert "Handshape=v" in described.evidence[0].quote
    assert "NA" not in described.evidence[0].quote
    assert described.unresolved == ()


def test_both_hands_and_still_base(lexicon):
    two = sign(lexicon, "two")
    assert "like the right hand" in two.part_texts("left_hand")[0]
    assert "the hands touching each other" in two.global_text.lower()
    palm = sign(lexicon, "palm")
    assert "held still, touched on the left palm" in palm.part_texts("left_hand")[0]
    assert "flat upright hand" in palm.primary.lower()


@pytest.mark.parametrize(
    ("field", "value", "part", "words"),
    [
        ("Handshape", "s", "right_hand", "fist"),
        ("Movement", "Z-shaped", "right_hand", "zigzags"),
        ("RepeatedMovement", "0", "right_hand", "circles."),
        ("UlnarRotation", "1", "right_hand", "the wrist twists"),
        ("FlexionChange", "1", "right_hand", "the index and middle fingers open"),
        ("MinorLocation", "Forehead", "body", "near the forehead"),
        ("MinorLocation", "Other", "body", "the side of the head"),
        ("MinorLocation", "HeadAway", "body", "in the air near the head"),
        ("SecondMinorLocation", "HeadAway", "body", "then out into the air near the head"),
        ("Contact", "1", "body", "touching the chin"),
    ],
)
def test_every_code_reaches_the_text(tmp_path, field, value, part, words):
    path = write(tmp_path / "codes.csv", [row("x", ONE_HAND), row("y", ONE_HAND | {field: value})])
    x, y = build_descriptions(["x", "y"], read_asl_lex(path)).signs
    text = y.part_texts(part)[0]
    assert words in text[0].lower() + text[1:]
    assert x.part_texts(part) != y.part_texts(part)
    assert x.global_text != y.global_text
    assert x.primary != y.primary


def test_units_follow_each_other(lexicon):
    pair = sign(lexicon, "pair")
    assert " Then: " in pair.global_text
    assert pair.part_texts("left_hand")[0].startswith(UNUSED_HAND)
    assert [e.entry for e in pair.evidence] == ["pair", "pair (M2)"]


def test_uncoded_fields_are_said_and_not_guessed(lexicon):
    bare = sign(lexicon, "bare")
    assert bare.part_texts("left_hand") == ()
    assert bare.part_texts("body") == ()
    assert bare.primary == "Tight fist, thumb across the fingers."
    assert bare.unresolved == ("unit 1: SignType, Movement, MinorLocation not coded",)


def attributes(lexicon, gloss):
    (described,) = build_descriptions([gloss], lexicon, segments="attributes").signs
    return {segment.text: segment.parts for segment in described.segments}


def test_one_sentence_for_each_attribute(lexicon):
    right, at = ("right_hand",), ("body", "right_hand")
    assert attributes(lexicon, "one") == {
        "A V of two fingers.": right,
        "The index and middle fingers carry the shape.": right,
        "The fingers are straight.": right,
        "The hand circles.": right,
        "The movement is repeated.": right,
        "The hand acts at the chin.": at,
        "The sign is made at the head.": at,
        "The left hand is not used.": ("left_hand",),
        "One hand signs.": at,
    }


def test_attributes_concern_the_hands_that_have_them(lexicon):
    hands = ("left_hand", "right_hand")
    two, palm = attributes(lexicon, "two"), attributes(lexicon, "palm")
    assert two["A V of two fingers."] == two["The hand circles."] == hands
    assert two["There is contact."] == ("body", *hands)
    assert "Both hands move alike." in two
    assert palm["A V of two fingers."] == palm["The hand circles."] == ("right_hand",)
    assert palm["A flat palm."] == palm["The left hand is held still."] == ("left_hand",)
    # Other signs have the same sentences: that is what they are for.
    assert len(set(two) & set(palm) & set(attributes(lexicon, "one"))) >= 4


def test_attributes_of_all_units_and_of_no_other(lexicon):
    pair = attributes(lexicon, "pair")
    assert {"The left hand is not used.", "The left hand is held still.", "A tight fist."} <= set(pair)
    assert attributes(lexicon, "bare") == {"A tight fist.": ("right_hand",)}
    with pytest.raises(ValueError, match="segments='words' is none of"):
        build_descriptions(["one"], lexicon, segments="words")


def test_matching(lexicon):
    assert match_gloss("ONE", lexicon).entry.entry_id == "one"
    deaf = match_gloss("deaf", lexicon)
    assert deaf.entry.entry_id == "deaf_2"  # a variant, the one rated most frequent
    assert "'deaf_1'" in deaf.notes[0]
    assert "school" not in deaf.notes[0]
    forget = match_gloss("forget", lexicon)
    assert forget.entry.entry_id == "forgetful"  # its id begins with the gloss
    assert "through its translations" in forget.notes[0]
    assert "'erase'" in forget.notes[0]
    assert match_gloss("short", lexicon).entry.entry_id == "abbreviate"  # dominant translation
    assert match_gloss("zebra", lexicon) is None


def test_unknown_gloss(lexicon):
    with pytest.raises(AslLexError, match="no sign for 2 of 3 glosses: 'zebra', 'yak'"):
        build_descriptions(["one", "zebra", "yak"], lexicon)
    allowed = build_descriptions(["one", "zebra"], lexicon, allow_missing=True)
    assert allowed.signs[1].primary == "zebra"
    assert allowed.signs[1].unresolved


def test_bad_gloss_lists(lexicon):
    with pytest.raises(AslLexError, match="twice: 'one'"):
        build_descriptions(["one", "two", "one"], lexicon)
    with pytest.raises(AslLexError, match="no glosses"):
        build_descriptions([], lexicon)


def test_bad_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=asl_lex.DATA_FILE):
        read_asl_lex(tmp_path)
    path = tmp_path / "codes.csv"
    write(path, [row("odd", ONE_HAND | {"Handshape": "tentacle"})])
    with pytest.raises(AslLexError, match=r"entry 'odd', unit 1, field Handshape: 'tentacle'"):
        read_asl_lex(path)
    write(path, [row("odd", ONE_HAND | {"NonDominantHandshape": "hoof"})])
    with pytest.raises(AslLexError, match="NonDominantHandshape: 'hoof'"):
        read_asl_lex(path)
    less = row("odd", ONE_HAND)
    del less["Movement.2.0"]
    write(path, [less])
    with pytest.raises(AslLexError, match=r"columns Movement\.2\.0 are missing"):
        read_asl_lex(path)
    path.write_bytes(b"EntryID\n\xff\xfe\xd5\n")
    with pytest.raises(AslLexError, match="expected UTF-8"):
        read_asl_lex(path)


def test_command_line(tmp_path, repository, monkeypatch, capsys):
    spec = importlib.util.spec_from_file_location("tool_asl_lex", repository / "tools/gsp/asl_lex.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    source = write(tmp_path / "codes.csv", ROWS)
    glosses, out = tmp_path / "glosses.txt", tmp_path / "descriptions.json"
    glosses.write_text("one\ndeaf\n\n")
    arguments = ["--source", str(source), "--glosses-from", str(glosses), "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["asl_lex.py", *arguments])
    assert tool.main() == 0
    assert "unresolved, deaf" in capsys.readouterr().out
    descriptions = load_descriptions(out)
    assert descriptions.classes == ("one", "deaf")
    monkeypatch.setattr("sys.argv", ["asl_lex.py", *arguments, "--segments", "attributes"])
    assert tool.main() == 0
    assert "The hand circles." in load_descriptions(out).signs[0].part_texts("right_hand")
    monkeypatch.setattr("sys.argv", ["asl_lex.py", *arguments])
    assert "CC BY-NC 4.0" in descriptions.generator
    out.unlink()
    glosses.write_text("one\nzebra\n")
    assert tool.main() == 1
    assert "zebra" in capsys.readouterr().err
    assert not out.exists()


# --- the real file ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(shared_data):
    return read_asl_lex(shared_data / "asl_lex")


def test_every_real_entry_can_be_described(real):
    assert len(real.entries) == 2723
    for entry in real.entries:
        described = asl_lex.describe_sign(0, entry.entry_id, asl_lex.Match(entry, ()))
        assert len(described.synonyms) >= 3
        assert asl_lex.describe_sign(0, entry.entry_id, asl_lex.Match(entry, ()), "attributes").segments


def test_real_glosses_of_wlasl100(real, shared_data):
    import numpy as np

    with np.load(shared_data / "wlasl100" / "wlasl100_hands.npz", allow_pickle=False) as data:
        glosses = data["class_names"].tolist()
    signs = build_descriptions(glosses, real).signs
    through = [s.gloss for s in signs if any("translations" in note for note in s.unresolved)]
    assert through == ["forget", "short"]
    assert len({s.global_text for s in signs}) >= 98
    assert len({s.part_texts("right_hand") for s in signs}) >= 80
    shared = build_descriptions(glosses, real, segments="attributes").signs
    assert len({text for s in shared for text in s.part_texts("right_hand")}) < len(signs)
    assert len({s.part_texts("right_hand") for s in shared}) >= 80  # and together they tell the signs apart
    assert len({s.part_texts("left_hand") for s in signs}) >= 45
    assert all(s.part_texts("left_hand") and s.part_texts("body") for s in signs)
    unused = sum(s.part_texts("left_hand") == (UNUSED_HAND,) for s in signs)
    assert 35 <= unused <= 60
