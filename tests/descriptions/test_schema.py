import json
import os

import pytest
from pydantic import ValidationError

from gspmc_mm.descriptions import (
    DescriptionError,
    DescriptionSet,
    SignDescription,
    load_descriptions,
    parse_descriptions,
    save_descriptions,
)
from gspmc_mm.skeleton import PARTS


def _sign(label, gloss, **more):
    return {"label": label, "gloss": gloss, "primary": f"The right hand signs {gloss}.", **more}


@pytest.fixture
def content():
    return {
        "schema_version": 1,
        "name": "toy",
        "language": "en",
        "generator": "by hand",
        "signs": [
            _sign(
                0,
                "book",
                **{"global": "Both flat hands open like a book."},
                synonyms=["The palms part like two covers."],
                segments=[
                    {"text": "Both hands are flat.", "parts": ["left_hand", "right_hand"]},
                    {"text": "The elbows stay low.", "parts": ["body"]},
                ],
                evidence=[{"entry": "book_1", "quote": "palms together, then open"}],
                unresolved=["which way the thumbs point"],
            ),
            _sign(1, "çay"),
        ],
    }


def test_terms_of_a_sign(content):
    book, tea = parse_descriptions(content).signs
    assert book.global_text == "Both flat hands open like a book."
    assert book.synonym_texts == ("The palms part like two covers.",)
    assert book.part_texts("left_hand") == book.part_texts("right_hand") == ("Both hands are flat.",)
    assert book.part_texts("mouth") == ()
    # where there is no refined text or paraphrase the primary one stands in
    assert tea.global_text == tea.primary
    assert tea.synonym_texts == (tea.primary,)


def test_equal_segment_text_counts_once(content):
    segment = {"text": "The elbows stay low.", "parts": ["body", "face"]}
    content["signs"][0]["segments"].append(segment)
    book = parse_descriptions(content).signs[0]
    assert book.part_texts("body") == book.part_texts("face") == ("The elbows stay low.",)


def test_round_trip_through_a_file(content, tmp_path):
    descriptions = parse_descriptions(content)
    assert descriptions.parts == PARTS
    assert descriptions.classes == ("book", "çay")
    path = tmp_path / "deep" / "toy.json"
    save_descriptions(descriptions, path)
    assert load_descriptions(path) == descriptions
    assert json.loads(path.read_text("utf-8"))["signs"][0]["global"].startswith("Both flat")
    assert "çay" in path.read_text("utf-8")
    assert os.listdir(path.parent) == ["toy.json"]


def test_failed_save_leaves_the_old_file(content, tmp_path, monkeypatch):
    path = tmp_path / "toy.json"
    save_descriptions(parse_descriptions(content), path)
    before = path.read_bytes()

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    content["name"] = "other"
    with pytest.raises(OSError, match="disk full"):
        save_descriptions(parse_descriptions(content), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["toy.json"]


def test_hash_is_of_the_content_and_not_of_the_file(content, tmp_path):
    reference = parse_descriptions(content).sha256
    assert len(reference) == 64
    # order of keys, order of signs, white space and a byte order mark do not matter
    shuffled = dict(reversed(content.items()))
    shuffled["signs"] = content["signs"][::-1]
    path = tmp_path / "toy.json"
    path.write_text(json.dumps(shuffled, indent=7), encoding="utf-8-sig")
    loaded = load_descriptions(path)
    assert loaded.sha256 == reference
    assert loaded.classes == ("book", "çay")
    content["signs"][1]["primary"] += " Twice."
    assert parse_descriptions(content).sha256 != reference


def test_hash_is_known():
    # a change of the schema or of the canonical form would invalidate every bank: notice it
    sign = SignDescription(label=0, gloss="a", primary="b", global_="c")
    descriptions = DescriptionSet(name="n", language="en", generator="g", signs=[sign])
    assert descriptions.sha256 == "e1a8876fb69e324f4937173b7d194238b33e183847c0db0f3ad549295e640025"


def test_own_parts(content):
    content["parts"] = ["head", "left_arm"]
    content["signs"][0]["segments"] = [{"text": "The arm rises.", "parts": ["left_arm"]}]
    descriptions = parse_descriptions(content)
    assert descriptions.term_names == ("global", "synonym", "head", "left_arm")
    content["signs"][0]["segments"][0]["parts"] = ["mouth"]
    with pytest.raises(DescriptionError, match=r"'mouth', expected one of head, left_arm"):
        parse_descriptions(content)


def _change(path, value):
    def change(content):
        *way, last = path
        for key in way:
            content = content[key]
        if value is KeyError:
            del content[last]
        else:
            content[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            _change(["signs", 0, "segments", 1, "parts"], ["body", "elbow"]),
            ["sign 'book' (label 0)", "segments[1].parts", "'elbow'", "right_hand, mouth, face"],
        ),
        (_change(["signs", 1, "primary"], "  "), ["sign 'çay' (label 1)", "primary", "'  '"]),
        (_change(["signs", 1, "primary"], KeyError), ["sign 'çay'", "field primary is missing"]),
        (_change(["signs", 1, "glos"], "x"), ["sign 'çay'", "field glos is not part"]),
        (_change(["signs", 1, "label"], 0), ["sign 'çay' (label 0)", "'book' has already"]),
        (_change(["signs", 1, "label"], 4), ["3 labels have no description: 1, 2, 3"]),
        (_change(["signs", 1, "label"], "1"), ["sign 'çay' (label 1)", "field label", "'1'"]),
        (_change(["signs", 1, "label"], -1), ["label -1", "greater than or equal to 0"]),
        (_change(["signs", 1, "synonyms"], ["a", "a"]), ["synonyms[1]", "second time"]),
        (
            _change(["signs", 1, "synonyms"], ["The right hand signs çay."]),
            ["sign 'çay'", "synonyms[0]", "primary text itself"],
        ),
        (_change(["signs", 0, "segments", 0, "parts"], []), ["sign 'book'", "segments[0].parts"]),
        (
            _change(["signs", 0, "segments", 0, "parts"], ["face", "face"]),
            ["segments[0].parts", "'face' twice"],
        ),
        (_change(["signs", 0, "evidence", 0, "quote"], ""), ["sign 'book'", "evidence[0].quote"]),
        (_change(["signs", 0, "global"], 3), ["sign 'book'", "field global", "3"]),
        (_change(["signs"], []), ["field signs"]),
        (_change(["signs", 1], "çay"), ["signs[1]", "'çay'"]),
        (_change(["language"], "English"), ["language", "'English'", "'en'"]),
        (_change(["parts"], ["body", "global"]), ["'global'", "name of a term"]),
        (_change(["parts"], ["body", "body"]), ["'body' twice"]),
        (_change(["schema_version"], 2), ["schema_version", "2", "1"]),
        (_change(["schema_version"], KeyError), ["schema_version is missing"]),
    ],
)
def test_errors_name_file_sign_field_and_value(content, tmp_path, change, words):
    change(content)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DescriptionError) as caught:
        load_descriptions(path)
    for word in ["broken.json", *words]:
        assert word in str(caught.value)


def test_every_problem_is_told_at_once(content):
    content["signs"][0]["segments"][0]["parts"] = ["elbow"]
    content["signs"][1]["synonyms"] = ["a", "a"]
    with pytest.raises(DescriptionError) as caught:
        parse_descriptions(content)
    assert "2 problems" in str(caught.value)
    assert "'elbow'" in str(caught.value)
    assert "synonyms[1]" in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b'{"a": 1,\n "b": }', "line 2"),
        (b"[1]", "found list"),
        (b'{"name": "a", "name": "b"}', "'name' occurs twice"),
        ('{"name": "ş"}'.encode("cp1254"), "not UTF-8"),
    ],
)
def test_files_that_are_no_set(tmp_path, raw, words):
    path = tmp_path / "raw.json"
    path.write_bytes(raw)
    with pytest.raises(DescriptionError, match=words):
        load_descriptions(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.json"):
        load_descriptions(tmp_path / "nowhere.json")


def test_frozen(content):
    descriptions = parse_descriptions(content)
    with pytest.raises(ValidationError, match="frozen"):
        descriptions.name = "other"


def test_example_of_the_documentation(repository):
    page = (repository / "docs" / "descriptions.md").read_text("utf-8")
    example = page.split("```json\n")[1].split("```")[0]
    descriptions = parse_descriptions(json.loads(example), "docs/descriptions.md")
    assert descriptions.classes == ("book", "drink", "ambience")
    assert descriptions.signs[1].part_texts("mouth") == ("The lips open a little.",)
