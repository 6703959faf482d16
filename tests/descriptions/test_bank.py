import dataclasses
import json
import os
import pickle
import runpy
import subprocess
import sys
import zlib

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from gspmc_mm.descriptions import (
    DescriptionSet,
    EncoderError,
    Segment,
    SignDescription,
    TextBank,
    TextBankError,
    build_text_bank,
    center,
    save_descriptions,
)

PARTS = ("body", "left_hand", "right_hand")


class HashEncoder:
    """A random unit vector per text, near a common direction as sentence vectors are."""

    id = "hash"
    dim = 16
    max_tokens = None
    note = "not CLIP: a test"

    def count_tokens(self, text):
        return len(text.split())

    def encode(self, texts):
        rows = [self.vector(text) for text in texts]
        return np.array(rows, np.float32)

    def vector(self, text):
        seed = zlib.crc32(text.encode())
        row = np.random.default_rng(seed).normal(size=self.dim) + 3
        return row / np.linalg.norm(row)


def _describe(label, gloss, still=True):
    segments = [Segment(text=f"{gloss} by the right hand", parts=("right_hand",))]
    if still:
        segments.append(Segment(text="the left hand rests", parts=("left_hand", "body")))
    return SignDescription(
        label=label,
        gloss=gloss,
        primary=f"primary of {gloss}",
        global_=f"global of {gloss}" if label else "",
        synonyms=tuple(f"{gloss} synonym {i}" for i in range(label)),
        segments=segments,
    )


@pytest.fixture
def descriptions():
    glosses = ("book", "drink", "çay", "书")
    return DescriptionSet(
        name="toy",
        language="en",
        generator="test",
        parts=PARTS,
        signs=[_describe(i, gloss, still=i != 3) for i, gloss in enumerate(glosses)],
    )


@pytest.fixture
def bank(descriptions):
    return build_text_bank(descriptions, HashEncoder(), progress=False)


def _texts(bank, label, term):
    return [bank.texts[bank.text_ids[row]] for row in bank.rows(label, term)]


def test_rows_are_the_texts_of_the_signs(bank, descriptions):
    assert bank.term_names == ("global", "synonym", *PARTS)
    assert bank.parts == PARTS
    assert bank.classes == descriptions.classes
    assert _texts(bank, 0, "global") == ["primary of book"]  # no refined text: the primary one
    assert _texts(bank, 0, "synonym") == ["primary of book"]  # no paraphrase: the primary one
    assert _texts(bank, 1, "global") == ["global of drink"]
    assert _texts(bank, 3, 1) == ["书 synonym 0", "书 synonym 1", "书 synonym 2"]
    assert _texts(bank, 2, "right_hand") == ["çay by the right hand"]
    assert _texts(bank, 2, "body") == _texts(bank, 1, "left_hand") == ["the left hand rests"]
    assert _texts(bank, 3, "body") == []
    assert bank.rows(3, "body").dtype == np.int64
    encoder = HashEncoder()
    for label in range(bank.num_classes):
        for k, term in enumerate(bank.term_names):
            rows = bank.rows(label, term)
            assert (bank.labels[rows] == label).all()
            assert (bank.terms[rows] == k).all()
            for row, text in zip(rows, _texts(bank, label, term), strict=True):
                np.testing.assert_allclose(bank.vectors[row], encoder.vector(text), atol=1e-6)
    assert sum(len(bank.rows(i, k)) for i in range(4) for k in range(5)) == len(bank)
    assert [bank.max_rows(term) for term in bank.term_names] == [1, 3, 1, 1, 1]
    assert (bank.descriptions_sha256, bank.encoder, bank.note) == (
        descriptions.sha256,
        "hash",
        "not CLIP: a test",
    )


def test_equal_texts_share_an_id_and_a_vector(bank):
    rows = [bank.rows(label, term)[0] for label in (0, 1, 2) for term in ("left_hand", "body")]
    assert len(set(rows)) == 6
    assert len(set(bank.text_ids[rows])) == 1
    assert (bank.vectors[rows] == bank.vectors[rows[0]]).all()
    assert len(set(bank.texts)) == len(bank.texts)
    assert bank.distinct_texts("left_hand") == 1
    assert bank.distinct_texts("right_hand") == 4


@pytest.mark.parametrize(("label", "term"), [(4, 0), (-1, 0), (0, "mouth"), (0, 5)])
def test_unknown_label_or_term(bank, label, term):
    with pytest.raises(TextBankError, match=r"outside|no term"):
        bank.rows(label, term)


def test_wrong_language_is_refused(descriptions):
    encoder = HashEncoder()
    encoder.languages = ("tr",)
    with pytest.raises(EncoderError, match=r"'en'.*hash reads tr"):
        build_text_bank(descriptions, encoder, progress=False)


def test_round_trip_through_a_file(bank, tmp_path):
    path = tmp_path / "deep" / "bank.safetensors"
    bank.save(path)
    assert os.listdir(path.parent) == ["bank.safetensors"]
    for other in (TextBank.load(path), pickle.loads(pickle.dumps(bank))):
        for name in ("vectors", "labels", "terms", "text_ids"):
            np.testing.assert_array_equal(getattr(other, name), getattr(bank, name))
            assert getattr(other, name).dtype == getattr(bank, name).dtype
        for name in ("term_names", "classes", "texts", "encoder", "note", "descriptions_sha256"):
            assert getattr(other, name) == getattr(bank, name)
    info = TextBank.read_info(path)
    assert info == {
        "encoder": "hash",
        "note": "not CLIP: a test",
        "descriptions_sha256": bank.descriptions_sha256,
        "term_names": bank.term_names,
        "classes": bank.classes,
        "num_classes": 4,
        "num_texts": len(bank.texts),
        "num_rows": len(bank),
        "dim": 16,
    }


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, -1])
def test_cut_file(bank, tmp_path, keep):
    path = tmp_path / "bank.safetensors"
    bank.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    for read in (TextBank.load, TextBank.read_info):
        with pytest.raises(TextBankError, match=r"bank\.safetensors: damaged or cut"):
            read(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"encode\.py"):
        TextBank.load(tmp_path / "none.safetensors")


def _rewrite(bank, path, arrays=None, header=None):
    """Save the bank with some arrays or header fields replaced (None: taken out)."""
    from safetensors import safe_open

    bank.save(path)
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    content = {**load_file(path), **(arrays or {})}
    for key, value in (header or {}).items():
        if value is None:
            metadata.pop(key)
        else:
            metadata[key] = value
    save_file({key: value for key, value in content.items() if value is not None}, path, metadata)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda b: {"arrays": {"vectors": 2 * b.vectors}}, "row 0 has length 2"),
        (lambda b: {"arrays": {"vectors": b.vectors * np.float32("nan")}}, "length nan"),
        (lambda b: {"arrays": {"vectors": b.vectors.astype(np.float64)}}, "found float64"),
        (lambda b: {"arrays": {"vectors": b.vectors[0]}}, "vectors"),
        (lambda b: {"arrays": {"labels": b.labels + 1}}, r"labels: found values 1\.\.4"),
        (lambda b: {"arrays": {"terms": b.terms - 1}}, r"terms: found values -1\.\.3"),
        (lambda b: {"arrays": {"text_ids": b.text_ids + 1}}, "text_ids: found values"),
        (lambda b: {"arrays": {"labels": b.labels[1:]}}, "labels: found"),
        (lambda b: {"arrays": {"labels": b.labels.astype(np.int32)}}, "labels: found int32"),
        (lambda b: {"arrays": {"terms": None}}, "damaged"),
        (lambda b: {"header": {"descriptions_sha256": None}}, "without descriptions_sha256"),
        (lambda b: {"header": {"descriptions_sha256": "12"}}, "64 hexadecimal digits"),
        (lambda b: {"header": {"encoder": ""}}, "an encoder id"),
        (lambda b: {"header": {"format": "other"}}, "not a text bank"),
        (lambda b: {"header": {"format_version": "9"}}, "version '9'"),
        (lambda b: {"header": {"classes": "[1]"}}, "classes: expected a list of strings"),
        (lambda b: {"header": {"texts": "["}}, "texts: expected a list of strings"),
        (lambda b: {"header": {"term_names": json.dumps(PARTS)}}, "term_names: found"),
    ],
)
def test_damaged_content(bank, tmp_path, change, words):
    path = tmp_path / "bank.safetensors"
    _rewrite(bank, path, **change(bank))
    with pytest.raises(TextBankError, match=words) as caught:
        TextBank.load(path)
    assert "bank.safetensors" in str(caught.value)


def test_equal_banks_are_equal_files(bank, tmp_path):
    """Ten times, as the library draws the order of the metadata; texts hold quotes, tabs and other scripts."""
    texts = ('a "quoted"\ttext\\ \x1f\x7f', "çay 书 \U0001f90c", *bank.texts[2:])
    bank = dataclasses.replace(bank, texts=texts)
    files = [tmp_path / f"{number}.safetensors" for number in range(10)]
    for file in files:
        bank.save(file)
    assert len({file.read_bytes() for file in files}) == 1
    again = TextBank.load(files[0])
    assert again.texts == texts
    for name, array in load_file(files[0]).items():
        np.testing.assert_array_equal(array, getattr(bank, name))


def test_failed_save_leaves_the_old_file(bank, tmp_path, monkeypatch):
    path = tmp_path / "bank.safetensors"
    bank.save(path)
    before = path.read_bytes()

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        bank.shuffled(0).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["bank.safetensors"]


def test_check_classes(bank):
    bank.check_classes()
    bank.check_classes(num_classes=4)
    bank.check_classes(num_classes=4, classes=["book", "drink", "çay", "书"])
    with pytest.raises(TextBankError, match="4 signs, the config 5 classes"):
        bank.check_classes(num_classes=5)
    with pytest.raises(TextBankError, match="4 signs, the config 3 classes"):
        bank.check_classes(classes=["book", "drink", "çay"])
    with pytest.raises(TextBankError, match="label 1 is 'drink' in the bank and 'tea'"):
        bank.check_classes(classes=["book", "tea", "drink", "书"])
    with pytest.raises(TextBankError, match="the data set names 3"):
        bank.check_classes(num_classes=4, classes=["book", "drink", "çay"])


def test_shuffled_gives_every_sign_the_texts_of_another(bank):
    seen = set()
    for seed in range(20):
        other = bank.shuffled(seed)
        given = []
        for label in range(4):
            source = [i for i in range(4) if all(_texts(bank, i, k) == _texts(other, label, k) for k in range(5))]
            assert len(source) == 1
            given += source
        assert sorted(given) == [0, 1, 2, 3]
        assert all(source != label for label, source in enumerate(given))
        seen.add(tuple(given))
        assert other.classes == bank.classes
        assert f"seed {seed}" in other.note
        assert other.note.startswith("not CLIP: a test; ")
    assert len(seen) > 3
    np.testing.assert_array_equal(bank.shuffled(3).labels, bank.shuffled(3).labels)


def test_one_sign_cannot_be_shuffled(descriptions):
    single = descriptions.model_copy(update={"signs": descriptions.signs[:1]})
    with pytest.raises(TextBankError, match="one sign"):
        build_text_bank(single, HashEncoder(), progress=False).shuffled(0)


def test_mean_cosine_against_a_loop(bank):
    for term in range(5):
        rows = np.flatnonzero(bank.terms == term)
        cosines = [bank.vectors[a] @ bank.vectors[b] for a in rows for b in rows if bank.labels[a] != bank.labels[b]]
        assert bank.mean_cosine(term) == pytest.approx(np.mean(cosines), abs=1e-6)
    assert bank.mean_cosine("left_hand") == pytest.approx(1, abs=1e-6)  # one text for all


def test_mean_cosine_needs_two_signs(bank):
    only = bank.labels == 2
    terms = np.where(only, bank.terms, 0)
    single = dataclasses.replace(bank, terms=terms)
    assert np.isnan(single.mean_cosine("right_hand"))


def test_center_against_a_loop(bank):
    rows = center(bank.vectors, bank.terms)
    for r, term in enumerate(bank.terms):
        same = [bank.vectors[i] for i in range(len(bank)) if bank.terms[i] == term]
        if bank.term_names[term] in ("left_hand", "body"):  # one text for all: nothing to enhance
            expected = bank.vectors[r]
        else:
            expected = bank.vectors[r] - np.mean(same, axis=0)
            expected = expected / np.linalg.norm(expected)
        np.testing.assert_allclose(rows[r], expected, atol=1e-5)
    assert rows.dtype == np.float32


def test_centered_bank_tells_signs_apart_and_says_so(bank, tmp_path):
    assert bank.mean_cosine("global") > 0.7
    centered = bank.centered()
    assert centered.mean_cosine("global") < 0
    assert centered.note.startswith("not CLIP: a test; centred")
    assert "not of body, left_hand" in centered.note
    np.testing.assert_array_equal(centered.text_ids, bank.text_ids)
    centered.save(tmp_path / "c.safetensors")
    assert TextBank.load(tmp_path / "c.safetensors").note == centered.note


def test_center_refuses_a_row_without_remainder():
    eye = np.eye(2, dtype=np.float32)
    middle = np.float32([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 0], [-1, 0]])
    assert center(middle, np.zeros(6, np.int64)).shape == (6, 2)
    # a unit row that is exactly the mean of unit rows forces all of them to be equal, so only
    # rows that are not of length one can get here
    with pytest.raises(TextBankError, match="row 2"):
        center(np.vstack([eye, [[0.5, 0.5]]]).astype(np.float32), np.zeros(3, np.int64))


# ---- the command line --------------------------------------------------------------------------


@pytest.fixture
def encode(repository, monkeypatch):
    """Run tools/gsp/encode.py with these arguments and return its exit status."""

    def run(*arguments):
        tool = str(repository / "tools" / "gsp" / "encode.py")
        monkeypatch.setattr(sys, "argv", [tool, *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(tool, run_name="__main__")
        return end.value.code

    monkeypatch.setenv("COLUMNS", "120")
    return run


@pytest.mark.parametrize("options", [(), ("--center",)])
def test_encode_tool(encode, descriptions, tmp_path, capsys, options):
    save_descriptions(descriptions, tmp_path / "toy.json")
    out = tmp_path / "bank.safetensors"
    source = tmp_path / "toy.json"
    assert encode(source, "--encoder", "use-multilingual", "--out", out, *options) == 0
    bank = TextBank.load(out)
    assert bank.descriptions_sha256 == descriptions.sha256
    assert bank.encoder == "use-multilingual"
    assert ("centred" in bank.note) == bool(options)
    printed = capsys.readouterr().out
    assert bank.note in printed
    assert bank.note.startswith("not CLIP")
    assert f"(no limit): 0 of {len(bank.texts)}" in printed
    assert f"{bank.mean_cosine('right_hand'):.3f}" in printed
    assert f"{len(bank)} rows of 512" in printed


def test_encode_tool_fails_without_a_trace(encode, tmp_path, capsys):
    (tmp_path / "bad.json").write_text("{}")
    out = tmp_path / "bank.safetensors"
    assert encode(tmp_path / "bad.json", "--encoder", "use-multilingual", "--out", out) == 1
    assert "bad.json: field schema_version is missing" in capsys.readouterr().err
    assert os.listdir(tmp_path) == ["bad.json"]


def test_help_needs_neither_torch_nor_the_package(repository):
    tool = str(repository / "tools" / "gsp" / "encode.py")
    code = (
        f"import runpy, sys\nsys.argv = [{tool!r}, '--help']\n"
        f"try: runpy.run_path({tool!r}, run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'torch' not in sys.modules and 'gspmc_mm' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--encoder" in done.stdout
