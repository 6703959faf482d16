"""The lint: each rule finds what it is for, the page escapes what it shows, the exit status says what it should."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gspmc_mm.descriptions import DescriptionSet, Evidence, Segment, SignDescription, save_descriptions
from gspmc_mm.gsp.knowledge.base import KnowledgeBase, build_knowledge_base
from gspmc_mm.gsp.length_budget import LengthBudget
from gspmc_mm.gsp.lint import lint_descriptions
from gspmc_mm.gsp.lint_page import render_page

TEXT = "The right fist touches the chin and moves up."


@pytest.fixture(scope="module")
def kb(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lint")
    rows = [
        {"headword": "power", "text": TEXT, "aliases": "strength", "language": "en"},
        {"headword": "tag", "text": "The right <b>fist</b> & palm.", "language": "en"},
    ]
    source = folder / "signs.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    build_knowledge_base([source], folder / "kb", embedder="none")
    return KnowledgeBase.open(folder / "kb")


def a_sign(label=0, gloss="power", kb=None, **more):
    fields = {
        "primary": TEXT,
        "global_": TEXT,
        "synonyms": ("The chin is touched by the right fist, which moves up.",),
        "segments": (
            Segment(text="The right fist touches the chin.", parts=("right_hand", "body")),
            Segment(text="The left hand is not used.", parts=("left_hand",)),
        ),
    }
    if kb is not None:
        fields["evidence"] = (Evidence(entry=kb.lookup("power")[0].id, quote="right fist touches the chin"),)
    return SignDescription(label=label, gloss=gloss, **(fields | more))


def a_set(*signs, language="en", corpus_hash=None):
    return DescriptionSet(name="test", language=language, generator="hand", corpus_hash=corpus_hash, signs=signs)


def rules(report, level=None):
    return {p.rule for p in report.all_problems if level in (None, p.level)}


class OneDirection:
    """An encoder for which all texts with the same first word are one."""

    id, dim, max_tokens, note = "one-direction", 4, None, ""

    def count_tokens(self, text):
        return len(text.split())

    def encode(self, texts):
        vectors = np.zeros((len(texts), 4), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row, len(text.split()[0]) % 4] = 1.0
        return vectors


def test_a_good_sign_has_notes_only(kb):
    report = lint_descriptions(a_set(a_sign(kb=kb)), kb=kb)
    assert rules(report, "error") == set()
    assert rules(report, "warning") == set()
    assert rules(report) == {"no text for mouth", "no text for face"}
    assert report.signs[0].route == "exact"
    assert report.coverage["left_hand"] == 1


@pytest.mark.parametrize(("gloss", "route"), [("POWER", "exact"), ("strength", "alias"), ("money", "other entry")])
def test_route_by_name(kb, gloss, route):
    assert lint_descriptions(a_set(a_sign(gloss=gloss, kb=kb)), kb=kb).signs[0].route == route


@pytest.mark.parametrize(
    ("note", "rule", "level", "route"),
    [
        ("reference: 'same as X' in power: no sign of this name", "unresolved reference", "warning", "unknown"),
        ("unsupported: global: 'nose': no source says this", "unsupported claim", "error", "unknown"),
        ("failed: P1: time-out", "failed", "error", "unknown"),
        ("fuzzy match: 'powers' was taken to be 'power'", "fuzzy match", "warning", "fuzzy"),
        ("not in the corpus: no entry", "not in the corpus", "warning", "none"),
        ("somebody should look: here", "open question", "note", "unknown"),
    ],
)
def test_marks_of_generation(note, rule, level, route):
    sign = a_sign(evidence=(Evidence(entry="e", quote="q"),), unresolved=(note,))
    report = lint_descriptions(a_set(sign))
    assert (level, rule) in {(p.level, p.rule) for p in report.signs[0].problems}
    assert report.signs[0].route == route


@pytest.mark.parametrize(
    "change",
    [
        {"primary": "The left fist touches the chin and moves up."},
        {"global_": "The right fist touches the nose and moves up."},
        {"synonyms": ("The right fist touches the chin, the tongue is out.",)},
        {"segments": (Segment(text="A flat right hand.", parts=("right_hand",)),)},
    ],
)
def test_unsupported_claims(kb, change):
    report = lint_descriptions(a_set(a_sign(kb=kb, **change)), kb=kb)
    assert "unsupported claim" in rules(report, "error")


def test_evidence_that_is_not_there(kb):
    entry = kb.lookup("power")[0].id
    wrong = a_sign(evidence=(Evidence(entry=entry, quote="a flat hand"), Evidence(entry="nobody:1", quote="x")))
    assert {"quote", "evidence"} <= rules(lint_descriptions(a_set(wrong), kb=kb), "error")


def test_another_corpus(kb):
    assert rules(lint_descriptions(a_set(a_sign(kb=kb), corpus_hash="0" * 64), kb=kb)) >= {"another corpus"}
    assert "another corpus" not in rules(lint_descriptions(a_set(a_sign(kb=kb), corpus_hash=kb.corpus_hash), kb=kb))


def test_what_no_text_says():
    sign = SignDescription(label=0, gloss="x", primary="At the chin.", evidence=(Evidence(entry="e", quote="q"),))
    found = rules(lint_descriptions(a_set(sign)), "warning")
    assert {"no handshape", "no movement", "no text for body", "no text for right_hand"} <= found
    assert "no location" not in found
    still = SignDescription(label=0, gloss="x", primary="The right fist moves up.")
    assert {"no location", "no evidence"} <= rules(lint_descriptions(a_set(still)), "warning")


def test_gloss_only():
    report = lint_descriptions(a_set(SignDescription(label=0, gloss="x", primary="x")))
    assert "gloss only" in rules(report, "warning")
    assert report.coverage["described"] == 0


def test_long_texts():
    report = lint_descriptions(a_set(a_sign()), budget=LengthBudget("estimate", 12))
    (problem, *_) = [p for p in report.all_problems if p.rule == "over the token limit"]
    assert "12" in problem.message
    assert "over the token limit" not in rules(lint_descriptions(a_set(a_sign()), budget=LengthBudget("estimate", 77)))


def test_near_duplicates_with_and_without_an_encoder():
    signs = (
        a_sign(0, "a"),
        a_sign(1, "b"),
        a_sign(2, "c", primary="The left fist.", global_="The left fist."),
        a_sign(3, "d", primary="Both fists.", global_="Both fists."),
    )
    equal = lint_descriptions(a_set(*signs))
    assert [p.label for p in equal.all_problems if p.rule == "near duplicate"] == [0, 1]
    near = lint_descriptions(a_set(*signs), encoder=OneDirection())
    pairs = {(p.label, p.message.split("'")[1]) for p in near.all_problems if p.rule == "near duplicate"}
    assert pairs == {(0, "b"), (1, "a"), (0, "c"), (2, "a"), (1, "c"), (2, "b")}
    assert near.nearest == pytest.approx(0.75)


def test_a_language_without_a_lexicon_is_said():
    report = lint_descriptions(a_set(a_sign(), language="de"))
    assert any("'de'" in note for note in report.notes)
    assert "no handshape" not in rules(report)


def test_the_page_escapes_everything(kb):
    entry = kb.lookup("tag")[0]
    sign = a_sign(
        gloss="<script>alert(1)</script>",
        primary="The right <i>fist</i>.",
        evidence=(Evidence(entry=entry.id, quote="<b>fist</b>"),),
    )
    page = render_page(lint_descriptions(a_set(sign), kb=kb))
    assert "<script" not in page
    assert "<i>" not in page
    assert "<mark>&lt;b&gt;fist&lt;/b&gt;</mark> &amp; palm." in page


def test_exit_status(command, tmp_path, kb):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    save_descriptions(a_set(a_sign(kb=kb), a_sign(1, "strength", kb=kb)), good)
    save_descriptions(a_set(a_sign(kb=kb, global_="The right fist touches the nose.")), bad)
    plain = ("--kb", kb.path, "--encoder", "none", "--tokens-of", "none")
    page, found = tmp_path / "page.html", tmp_path / "found.json"
    done = command("gsp/lint.py", good, *plain, "--html", page, "--json", found)
    assert done.status == 0, done.err  # two signs with one text: a warning
    assert "near duplicate" in done.out
    assert page.read_text("utf-8").startswith("<!doctype html>")
    assert json.loads(found.read_text("utf-8"))["routes"] == {"exact": 1, "alias": 1}
    first, second = json.loads(found.read_text("utf-8"))["signs"]
    assert (first["label"], first["gloss"], first["route"]) == (0, "power", "exact")
    assert first["parts"] == ["right_hand", "body", "left_hand"]
    assert (first["synonyms"], first["evidence"], first["errors"], first["warnings"]) == (1, 1, 0, 1)
    assert (second["gloss"], second["route"]) == ("strength", "alias")
    assert "power (0): route exact" not in done.out
    listed = command("gsp/lint.py", good, *plain, "--signs").out
    assert "power (0): route exact; parts: right_hand, body, left_hand; described, global, 1 synonyms, " in listed
    assert command("gsp/lint.py", good, *plain, "--strict").status == 1
    failed = command("gsp/lint.py", bad, *plain)
    assert failed.status == 1
    assert "unsupported claim" in failed.out


@pytest.mark.parametrize("missing", ["set", "kb", "json"])
def test_what_cannot_be_read_is_said(command, tmp_path, missing):
    path = tmp_path / "desc.json"
    if missing == "kb":
        save_descriptions(a_set(a_sign()), path)
    elif missing == "json":
        path.write_text("{", encoding="utf-8")
    arguments = ("--kb", tmp_path / "nothing") if missing == "kb" else ()
    done = command("gsp/lint.py", path, "--encoder", "none", "--tokens-of", "none", *arguments)
    assert done.status == 1
    assert done.err.startswith("error: ")
