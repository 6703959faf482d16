"""Texts read off skeletons: the regression beside an obvious one, and what each question can and cannot tell."""

from __future__ import annotations

import numpy as np
import pytest

from gspmc_mm.descriptions import TextBank
from gspmc_mm.evaluation.text_probe import Clips, Fold, bank_targets, probe, read_unseen, sign_vectors, unit

SIGNS, TRAITS, CLIPS = 24, 6, 8


def clips(rng: np.random.Generator, poses: np.ndarray, per_sign: int, signer: str) -> Clips:
    """Noisy performances of signs with these poses (S, F); the last feature never moves."""
    labels = np.repeat(np.arange(len(poses)), per_sign)
    features = poses[labels] + 0.3 * rng.standard_normal((len(labels), poses.shape[1]))
    features = np.concatenate([features, np.full((len(labels), 1), 7.0)], axis=1)
    names = tuple(f"{signer}_{i}" for i in range(len(labels)))
    return Clips(names, labels, tuple(f"{signer}{i % 3}" for i in range(len(labels))), features, ())


def bank(vectors: np.ndarray, without: int | None = None) -> TextBank:
    """One global text a sign."""
    labels = np.asarray([label for label in range(len(vectors)) if label != without])
    return TextBank(
        vectors=unit(vectors[labels]).astype(np.float32),
        labels=labels,
        terms=np.zeros(len(labels), dtype=np.int64),
        text_ids=np.arange(len(labels)),
        term_names=("global", "synonym"),
        classes=tuple(f"sign {label}" for label in range(len(vectors))),
        texts=tuple(f"text {label}" for label in labels),
        encoder="made up",
        note="",
        descriptions_sha256="0" * 64,
    )


@pytest.fixture
def world() -> tuple[list[Fold], TextBank]:
    """Poses and texts that both say a few traits of the sign, in two folds."""
    rng = np.random.default_rng(3)
    traits = rng.standard_normal((SIGNS, TRAITS))
    poses = traits @ rng.standard_normal((TRAITS, 40))
    texts = traits @ rng.standard_normal((TRAITS, 32)) + 4.0  # all alike: a large part in common
    folds = [Fold.of(clips(rng, poses, CLIPS, f"a{k}"), clips(rng, poses, 3, f"b{k}")) for k in range(2)]
    return folds, bank(texts)


def test_the_regression_equals_ridge_in_the_space_of_the_features(world: tuple[list[Fold], TextBank]) -> None:
    """W = (X'X + r I)^-1 X'Y on standardised features, written out; the constant feature counts for nothing."""
    (fold, _), texts = world
    vectors = sign_vectors(texts, "global")
    used = fold.train.labels != 5
    x, y = fold.train.features[:, :-1], fold.test.features[:, :-1]
    mean, deviation = x.mean(0), x.std(0)
    x, y = (x - mean) / deviation, (y - mean) / deviation
    ridge = 0.7 * (x * x).sum(1).mean()
    x, targets = x[used], vectors[fold.train.labels[used]]
    said = y @ np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ targets)
    expected = np.array(
        [[a @ b / np.linalg.norm(a) for b in vectors] for a in said]  # the vectors have length 1
    )
    np.testing.assert_allclose(fold.read(vectors, 0.7, used), expected, atol=1e-9)


def test_sign_vectors_are_centred_means_of_the_texts(world: tuple[list[Fold], TextBank]) -> None:
    _, texts = world
    vectors = sign_vectors(texts, "global")
    raw = texts.vectors - texts.vectors.mean(0)
    np.testing.assert_allclose(vectors, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-6)
    assert texts.mean_cosine("global") > 0.5 > abs((vectors @ vectors.T)[~np.eye(SIGNS, dtype=bool)].mean())


def test_only_the_meaning_tells_signs_that_were_never_seen(world: tuple[list[Fold], TextBank]) -> None:
    folds, texts = world
    targets = bank_targets({"texts": texts}, "global", seed=0)
    assert list(targets) == ["texts", "texts, given to other signs", "no text: a vector of its own for every sign"]
    found = probe(folds, targets, ridge=0.1, group=6, seed=0)
    right, wrong, none = (found[name] for name in targets)
    assert right["unseen"].clips == right["seen"].clips == 2 * SIGNS * 3
    assert right["unseen"].interval == "signers and clips"
    assert right["unseen"].low > 0.5
    assert wrong["unseen"].mean < 0.35
    assert none["unseen"].mean < 0.35
    assert none["seen"].mean > 0.5  # chance is 1 / 24
    assert right["seen"].mean > 0.5


def test_a_sign_that_is_read_was_not_in_the_regression(world: tuple[list[Fold], TextBank]) -> None:
    """Each clip is read among the signs of its group only, and every sign is in one group of a fold."""
    folds, texts = world
    read = read_unseen(folds, sign_vectors(texts, "global"), ridge=0.1, group=5, seed=1)
    candidates = read.scores > -1.5
    assert set(candidates.sum(axis=1)) == {6}  # 24 signs make four groups of 5 or more
    assert candidates[np.arange(len(read)), read.label].all()
    again = read_unseen(folds, sign_vectors(texts, "global"), ridge=0.1, group=5, seed=1)
    np.testing.assert_array_equal(read.scores, again.scores)
    # The text of a sign that is left out has no part in what is said about its clips.
    changed = sign_vectors(texts, "global").copy()
    fold, first = folds[0], int(read.label[0])
    group = np.flatnonzero(candidates[0])
    used = ~np.isin(fold.train.labels, group)
    before = fold.read(changed, 0.1, used)[0]
    changed[first] = unit(np.ones((1, changed.shape[1])))[0]
    after = fold.read(changed, 0.1, used)[0]
    others = np.arange(SIGNS) != first
    np.testing.assert_allclose(before[others], after[others])


@pytest.mark.parametrize("group", [1, 13])
def test_groups_that_leave_nothing_to_learn_or_to_tell(world: tuple[list[Fold], TextBank], group: int) -> None:
    folds, texts = world
    with pytest.raises(ValueError, match=f"groups of {group} out of 24 signs: take 2 to 12"):
        read_unseen(folds, sign_vectors(texts, "global"), ridge=0.1, group=group, seed=0)


def test_a_sign_without_a_text_is_named() -> None:
    vectors = np.random.default_rng(0).standard_normal((4, 8))
    with pytest.raises(ValueError, match=r"1 of 4 signs have no text 'global' .the first: 'sign 2'"):
        sign_vectors(bank(vectors, without=2), "global")
