from __future__ import annotations

import numpy as np
import pytest
from mmaction.registry import TRANSFORMS

from gspmc_mm.datasets import LoadSignDescriptions, MirrorSigner
from gspmc_mm.descriptions import TextBankError


def texts_of(bank, rows, term):
    line = rows[bank.term_names.index(term)]
    return sorted(line[line >= 0].tolist())


def test_rows_equal_the_bank(bank, bank_path, results):
    load = LoadSignDescriptions(bank_path)
    for label in range(3):
        rows = load({**results, "label": label})["text_rows"]
        assert rows.dtype == np.int64
        assert rows.shape == (7, 2)  # the widest line: two left hand texts; a synonym is one row
        for term in bank.term_names:
            expected = bank.rows(label, term).tolist()
            if term == "synonym":
                assert len(texts_of(bank, rows, term)) == 1
                assert texts_of(bank, rows, term)[0] in expected
            else:
                assert texts_of(bank, rows, term) == sorted(expected)
        assert rows.min() >= -1


def test_every_synonym_is_drawn(bank, bank_path, results):
    np.random.seed(0)
    load = LoadSignDescriptions(bank_path)
    drawn = [load({**results, "label": 0})["text_rows"][1] for _ in range(60)]
    assert {line[0] for line in drawn} == set(bank.rows(0, "synonym"))
    assert {line[1] for line in drawn} == {-1}


@pytest.mark.parametrize("label", [0, 1, 2])
def test_a_mirrored_clip_gets_the_other_hands_texts(bank, bank_path, results, label):
    load = LoadSignDescriptions(bank_path)
    plain = load({**results, "label": label, "mirrored": False})["text_rows"]
    mirrored = load(MirrorSigner(prob=1)({**results, "label": label}))["text_rows"]
    assert texts_of(bank, mirrored, "left_hand") == texts_of(bank, plain, "right_hand")
    assert texts_of(bank, mirrored, "right_hand") == texts_of(bank, plain, "left_hand")
    for term in ("global", "body", "mouth", "face"):
        assert texts_of(bank, mirrored, term) == texts_of(bank, plain, term)
    twice = load(MirrorSigner(1)(MirrorSigner(1)({**results, "label": label})))["text_rows"]
    np.testing.assert_array_equal(np.delete(twice, 1, 0), np.delete(plain, 1, 0))


def test_a_layout_without_hands_exchanges_nothing(bank, bank_path, make_results):
    load = LoadSignDescriptions(bank_path)
    clip = make_results("coco17")
    rows = [load({**clip, "label": 1, "mirrored": flag})["text_rows"] for flag in (False, True)]
    np.testing.assert_array_equal(np.delete(rows[0], 1, 0), np.delete(rows[1], 1, 0))


def test_a_bank_lacking_the_opposite_part_gives_no_text(bank, make_results):
    from dataclasses import replace

    keep = np.isin(bank.terms, [0, 1, 3])
    terms = np.searchsorted([0, 1, 3], bank.terms[keep]).astype(np.int64)
    one_handed = replace(
        bank,
        vectors=bank.vectors[keep],
        labels=bank.labels[keep],
        terms=terms,
        text_ids=bank.text_ids[keep],
        term_names=("global", "synonym", "left_hand"),
    )
    load = LoadSignDescriptions(one_handed)
    clip = {**make_results("sign87"), "label": 0}
    assert (load({**clip, "mirrored": False})["text_rows"][2] >= 0).any()
    assert (load({**clip, "mirrored": True})["text_rows"][2] == -1).all()


def test_the_table_is_not_handed_out(bank_path, results):
    load = LoadSignDescriptions(bank_path)
    load({**results, "label": 1})["text_rows"][:] = 99
    assert load({**results, "label": 1})["text_rows"].max() < 99


def test_no_vectors_are_kept(bank_path):
    load = LoadSignDescriptions(bank_path)
    kept = [value for value in vars(load).values() if isinstance(value, np.ndarray)]
    assert kept
    assert all(value.dtype == np.int64 for value in kept)


def test_label_beyond_the_bank(bank_path, results):
    with pytest.raises(ValueError, match=r"clip 'clip-1' has label 3.*bank\.safetensors.*3 signs"):
        LoadSignDescriptions(bank_path)({**results, "label": 3})


def test_bank_of_another_data_set(bank_path, tmp_path):
    with pytest.raises(TextBankError, match="500"):
        LoadSignDescriptions(bank_path, num_classes=500)
    with pytest.raises(TextBankError, match="supper"):
        LoadSignDescriptions(bank_path, classes=("again", "age", "supper"))
    with pytest.raises(FileNotFoundError, match=r"no_bank\.safetensors"):
        LoadSignDescriptions(tmp_path / "no_bank.safetensors")


def test_built_from_a_config(bank_path):
    load = TRANSFORMS.build({"type": "LoadSignDescriptions", "text_bank": str(bank_path), "num_classes": 3})
    assert "bank.safetensors" in repr(load)
    assert "left_hand" in repr(load)


def test_the_first_synonyms_only(bank, bank_path, results):
    np.random.seed(0)
    load = LoadSignDescriptions(bank_path, num_synonyms=1)
    drawn = {load({**results, "label": 0})["text_rows"][1, 0] for _ in range(30)}
    assert len(bank.rows(0, "synonym")) > 1
    assert drawn == {bank.rows(0, "synonym")[0]}
    none = LoadSignDescriptions(bank_path, num_synonyms=0)({**results, "label": 0})["text_rows"]
    assert (none[1] == -1).all()
    with pytest.raises(ValueError, match="num_synonyms"):
        LoadSignDescriptions(bank_path, num_synonyms=-1)


def test_the_augmentations_of_a_seed_are_the_same_with_and_without_texts(bank_path, results):
    found = []
    for load in (
        LoadSignDescriptions(),
        LoadSignDescriptions(bank_path),
        LoadSignDescriptions(bank_path, num_synonyms=0),
    ):
        np.random.seed(3)
        load({**results, "label": 0})
        found.append(np.random.rand(3))
    np.testing.assert_array_equal(found[1], found[0])
    np.testing.assert_array_equal(found[2], found[0])
