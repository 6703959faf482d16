from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from gspmc_mm.models.text_pairs import gather_features, gather_rows, pair_texts, stack_terms


def groups_of(bank):
    return bank.labels * len(bank.term_names) + bank.terms


def slow_pairs(rows, bank, candidates, by_text):
    """{(skeleton, key of the text)} and the keys, with sets; the key is the row or the sentence's id."""
    used = {int(row) for row in rows.ravel() if row >= 0} | {int(row) for row in candidates}
    own = []
    for line in rows:
        valid = [row for row in line if row >= 0]
        own.append((bank.labels[valid[0]], bank.terms[valid[0]]) if valid else None)
    everything = range(len(bank))
    keys, pairs = set(), set()
    for row in used:
        key = int(bank.text_ids[row]) if by_text else row
        keys.add(key)
        same = [r for r in everything if bank.text_ids[r] == key] if by_text else [row]
        for b, group in enumerate(own):
            if group in [(bank.labels[r], bank.terms[r]) for r in same]:
                pairs.add((b, key))
    return keys, pairs


def check(rows, bank, candidates=None, by_text=False):
    chosen, positives = pair_texts(rows, groups_of(bank), bank.text_ids, candidates, by_text)
    assert positives.dtype == np.bool_
    assert positives.shape == (len(rows), len(chosen))
    names = [int(bank.text_ids[row]) if by_text else int(row) for row in chosen]
    keys, pairs = slow_pairs(rows, bank, [] if candidates is None else candidates, by_text)
    assert len(set(names)) == len(names)
    assert set(names) == keys
    assert {(b, names[m]) for b, m in zip(*np.nonzero(positives), strict=True)} == pairs
    return chosen, positives


BATCHES = ([0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 4], [5, 5, 5], [4, 5], [3])


@pytest.mark.parametrize(
    ("labels", "by_text", "whole_bank"), list(itertools.product(BATCHES, [False, True], [False, True]))
)
def test_equals_sets_for_every_term(bank, make_rows, labels, by_text, whole_bank):
    rows = np.stack([make_rows(bank, label, synonym=k) for k, label in enumerate(labels)])
    for term in range(len(bank.term_names)):
        candidates = np.flatnonzero(bank.terms == term) if whole_bank else None
        check(rows[:, term], bank, candidates, by_text)


def test_stacked_terms_hold_every_term_and_nothing_else(bank, make_rows):
    rows = np.stack([make_rows(bank, label) for label in (0, 1, 1, 4)])
    pairs = [pair_texts(rows[:, term], groups_of(bank), bank.text_ids) for term in (0, 2, 3)]
    counts = [len(chosen) for chosen, _ in pairs]
    assert len(set(counts)) > 1, "the terms should differ in their number of texts"
    chosen, positives, present = stack_terms(pairs)
    assert present.sum(axis=1).tolist() == counts
    assert chosen.shape == present.shape == (3, max(counts))
    for term, (of_term, own) in enumerate(pairs):
        np.testing.assert_array_equal(chosen[term, present[term]], of_term)
        np.testing.assert_array_equal(positives[term][:, present[term]], own)
        assert not positives[term][:, ~present[term]].any()


def test_a_shared_sentence_is_a_positive_of_all_its_signs_only_by_text(bank, make_rows):
    term = bank.term_names.index("left_hand")
    rows = np.stack([make_rows(bank, label)[term] for label in (0, 1, 3)])
    chosen, positives = check(rows, bank)
    assert len(chosen) == 3
    assert positives.sum() == 3  # each sign its own copy
    chosen, positives = check(rows, bank, by_text=True)
    assert len(chosen) == 2
    assert positives.sum(axis=0).tolist() == [2, 1]


def test_a_synonym_that_was_not_drawn_still_belongs_to_its_sign(make_bank, make_rows):
    bank = make_bank()
    # The second wording of sign 1 is also the wording of sign 0.
    first, second = bank.rows(0, "synonym")[0], bank.rows(1, "synonym")[1]
    bank.text_ids[second] = bank.text_ids[first]
    term = bank.term_names.index("synonym")
    rows = np.stack([make_rows(bank, 0)[term], make_rows(bank, 1, synonym=0)[term]])
    _, positives = check(rows, bank, by_text=True)
    assert positives.sum(axis=1).tolist() == [1, 2]


def test_all_synonyms_drawn_for_a_sign_are_positives_of_each_of_its_clips(bank, make_rows):
    term = bank.term_names.index("synonym")
    rows = np.stack([make_rows(bank, 2, synonym=k)[term] for k in range(3)])
    chosen, positives = check(rows, bank)
    assert len(chosen) == 3
    assert positives.all()


def test_mirrored_clips_have_the_other_hands_texts(bank, make_rows):
    left, right = bank.term_names.index("left_hand"), bank.term_names.index("right_hand")
    plain, mirrored = make_rows(bank, 0), make_rows(bank, 0)
    mirrored[[left, right]] = mirrored[[right, left]]
    rows = np.stack([plain[left], mirrored[left], make_rows(bank, 1)[left]])
    _, positives = check(rows, bank)
    # One sign, but its left-hand text says nothing about a mirrored clip's left hand.
    assert not (positives[0] & positives[1]).any()
    check(rows, bank, by_text=True)
    check(rows, bank, candidates=np.flatnonzero(bank.terms == left))


def test_no_text_at_all(bank):
    chosen, positives = check(np.full((3, 2), -1), bank)
    assert chosen.shape == (0,)
    assert positives.shape == (3, 0)
    check(np.full((3, 2), -1), bank, by_text=True)
    check(np.empty((3, 0), np.int64), bank)


def test_padding_is_never_chosen(bank, make_rows):
    rows = np.stack([make_rows(bank, 4)[3], make_rows(bank, 0)[3]])  # sign 4 has no left hand
    assert rows[0].tolist() == [-1, -1]
    _, positives = check(rows, bank)
    assert positives.sum(axis=1).tolist() == [0, 1]


def test_one_process_gathers_nothing(bank, make_rows):
    features = torch.randn(2, 3, 4)
    assert gather_features(features) is features
    rows = make_rows(bank, 0)[None]
    assert gather_rows(rows, torch.device("cpu")) is rows
