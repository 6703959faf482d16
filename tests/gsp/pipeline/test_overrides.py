"""What people wrote stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gspmc_mm.descriptions import DescriptionSet, Segment, SignDescription, load_descriptions, save_descriptions
from gspmc_mm.gsp.class_list import ClassRow
from gspmc_mm.gsp.overrides import OverrideError, SignOverride, changes_between, hand_edits, load_overrides
from gspmc_mm.gsp.pipeline import EXTRACTIVE, GenerationError, generate

CLASSES = (ClassRow(0, "book"), ClassRow(1, "you"), ClassRow(2, "you"), ClassRow(3, "5"))


def sign(label: int, gloss: str, **values) -> SignDescription:
    return SignDescription(**{"label": label, "gloss": gloss, "primary": f"How {gloss} is made.", **values})


def description_set(*signs: SignDescription) -> DescriptionSet:
    return DescriptionSet(name="n", language="en", generator="g", signs=signs)


def test_a_file_in_yaml_and_in_json(tmp_path: Path) -> None:
    path = tmp_path / "o.yaml"
    path.write_text("book: {primary: Own words.}\n2: {global: '', segments: [{text: Up., parts: [body]}]}\n'5': {}\n")
    overrides = load_overrides(path, CLASSES)
    assert overrides[0].fields == ("primary",)
    assert overrides[2].global_ == ""
    assert overrides[2].segments == (Segment(text="Up.", parts=("body",)),)
    assert overrides[3].fields == (), "'5' in quotes is the gloss"
    path.write_text(json.dumps({"book": {"primary": "Own words."}}))
    assert load_overrides(path, CLASSES) == {0: overrides[0]}
    path.write_text("book: &b {primary: Own words.}\n'5':\n  <<: *b\n  synonyms: []\n")
    assert load_overrides(path, CLASSES)[3] == SignOverride(primary="Own words.", synonyms=())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("nobody: {primary: x}", "no sign 'nobody'"),
        ("you: {primary: x}", r"2 signs have the gloss 'you'; name the label: \[1, 2\]"),
        ("book: {primary: x}\n0: {primary: y}", "twice, by gloss and by label"),
        ("book: {primary: x}\n5: {}\nbook: {primary: y}", "line 3: 'book' is there twice, first at line 1"),
        ('{"book": {"primary": "x"}, "book": {"primary": "y"}}', "line 1: 'book' is there twice"),
        ("book:\n  primary: x\n  primary: y", "line 3: 'primary' is there twice, first at line 2"),
        ("yes: {primary: x}\non: {primary: y}", "line 2: 'on' is there twice.*quotes"),
        ("yes: {primary: x}", "no sign True .*write glosses in quotes"),
        ("nobody: {primary: x}", "nor as label$"),
        ("book: {primry: x}", "'book': field primry"),
        ("book: {synonyms: x}", "field synonyms"),
        ("[book]", "found a list"),
        ("{", "neither YAML nor JSON"),
    ],
)
def test_a_file_that_cannot_be_kept(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "o.yaml"
    path.write_text(content)
    with pytest.raises(OverrideError, match=rf"o\.yaml.*{problem}"):
        load_overrides(path, CLASSES)


def test_an_override_goes_before_another_field_by_field() -> None:
    first = SignOverride(primary="a", synonyms=())
    second = SignOverride(primary="b", global_="c")
    assert first.over(second) == SignOverride(primary="a", synonyms=(), global_="c")
    assert first.over(None) is first


def test_hand_edits_are_what_differs_from_what_the_machine_wrote() -> None:
    machine = description_set(sign(0, "book", global_="G."), sign(1, "you"), sign(2, "you"))
    human = description_set(sign(0, "book", global_=""), sign(1, "you"), sign(2, "you", synonyms=("S.",)))
    assert hand_edits(human, machine, CLASSES) == {0: SignOverride(global_=""), 2: SignOverride(synonyms=("S.",))}
    assert hand_edits(machine, machine, CLASSES) == {}
    moved = (ClassRow(0, "other"), ClassRow(1, "book"), ClassRow(2, "you"))
    assert hand_edits(description_set(sign(0, "book", global_="")), machine, moved) == {1: SignOverride(global_="")}
    with pytest.raises(OverrideError, match=r"'book' .*edited by hand and is not in the class list any more"):
        hand_edits(human, machine, CLASSES[1:])


def test_changes_are_shown_line_by_line() -> None:
    before = description_set(sign(0, "book", synonyms=("A.", "B.")))
    after = description_set(sign(0, "book", synonyms=("A.", "C."), global_="G."))
    first, second = changes_between(before, after)
    assert list(first.lines()) == ["book (0), global", "+ G."]
    assert list(second.lines()) == ["book (0), synonyms", "- B.", "+ C."]


@pytest.fixture
def made(knowledge_base, tmp_path):
    """A set made by rules, and how to make it again."""
    out = tmp_path / "signs.json"
    classes = [ClassRow(0, "word000"), ClassRow(1, "word001"), ClassRow(2, "nowhere")]

    def again(**options):
        return generate(knowledge_base, classes, EXTRACTIVE, language="en", output_language="en", out=out, **options)

    again()
    return out, again


def edit(out: Path, **values) -> None:
    content = json.loads(out.read_text())
    content["signs"][1].update(values)
    out.write_text(json.dumps(content))


def test_edits_in_the_json_stay_over_any_number_of_runs(made) -> None:
    out, again = made
    original = load_descriptions(out)
    edit(out, primary="Corrected by a person.", unresolved=[])
    for _ in range(3):
        report = again()
        assert load_descriptions(out).signs[1].primary == "Corrected by a person."
        assert report.by_hand == {1: ("primary",)}
        assert not report.changes
    edit(out, primary=original.signs[1].primary)
    assert again().by_hand == {}, "an edit that is taken back is none"


def test_an_override_file_goes_before_an_edit_and_both_stay(made, tmp_path) -> None:
    out, again = made
    edit(out, primary="Edited.", synonyms=["Edited too."])
    path = tmp_path / "o.yaml"
    path.write_text("word001: {primary: From the file.}\nnowhere: {primary: The hand waves.}\n")
    report = again(overrides=path)
    signs = load_descriptions(out).signs
    assert (signs[1].primary, signs[1].synonyms) == ("From the file.", ("Edited too.",))
    assert signs[2].primary == "The hand waves."
    assert set(report.by_hand) == {1, 2}
    shown = "\n".join(line for change in report.changes for line in change.lines())
    assert "- Edited.\n+ From the file." in shown
    report = again()
    assert load_descriptions(out).signs[2].primary == "nowhere", "without the file its texts are gone"


def test_a_set_of_unknown_origin_is_not_overwritten(made) -> None:
    out, again = made
    (out.with_suffix(".gsp") / "generated.json").unlink()
    content = out.read_bytes()
    with pytest.raises(GenerationError, match="--discard-edits"):
        again()
    assert out.read_bytes() == content
    again(discard_edits=True)
    again()


def test_edits_can_be_given_up(made) -> None:
    out, again = made
    content = out.read_bytes()
    edit(out, primary="Edited.")
    report = again(discard_edits=True)
    assert out.read_bytes() == content
    assert "- Edited." in "\n".join(report.changes[0].lines())


def test_a_kill_between_the_two_files_makes_no_edits_of_machine_texts(made) -> None:
    out, again = made
    folder = out.with_suffix(".gsp")
    edit(out, primary="Edited.")
    again()
    # as if the next run had written its record and died before the set
    current = load_descriptions(folder / "generated.json")
    other = [s.model_copy(update={"primary": f"New {s.label}."}) for s in current.signs]
    save_descriptions(current.model_copy(update={"signs": tuple(other)}), folder / "generated.next.json")
    assert again().by_hand == {1: ("primary",)}
    assert not (folder / "generated.next.json").exists()
