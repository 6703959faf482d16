"""Splits that have no signer in common."""

from __future__ import annotations

import pytest

from gspmc_mm.poses.clip_list import ClipList, ClipListError, VideoClip
from gspmc_mm.poses.clip_splits import carve_split, with_splits


@pytest.fixture
def clips(tmp_path):
    """Ten signers with three clips of each of two signs; signer s9 with one."""
    found = [
        VideoClip(f"s{s}/{sign}/{take}", f"s{s}{sign}{take}.mp4", sign, "ab"[sign], f"s{s}", ("all",))
        for s in range(10)
        for sign in range(2)
        for take in range(3)
        if s < 9 or (sign, take) == (0, 0)
    ]
    return ClipList(tuple(found), ("a", "b"), tmp_path, "n")


def signers(clips, split):
    return {clip.signer for clip in clips.of_split(split)}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.9])
def test_parts_share_no_signer_and_have_about_the_wanted_size(clips, seed, fraction):
    parted = carve_split(clips, fraction=fraction, seed=seed)
    train, test = signers(parted, "train"), signers(parted, "test")
    assert train
    assert test
    assert not train & test
    assert train | test == {f"s{s}" for s in range(10)}
    assert len(parted.of_split("test")) == pytest.approx(fraction * len(clips), abs=6)
    assert all("all" in clip.splits for clip in parted.clips)
    assert carve_split(clips, fraction=fraction, seed=seed) == parted


def test_the_seed_draws_and_other_signers_do_not_change_the_order(clips):
    drawn = {frozenset(signers(carve_split(clips, fraction=0.2, seed=seed), "test")) for seed in range(8)}
    assert len(drawn) > 1


def test_named_signers_are_held_out(clips):
    assert signers(carve_split(clips, "fit", "val", signers=["s3"]), "val") == {"s3"}
    with pytest.raises(ClipListError, match="no clip of signer 's33'"):
        carve_split(clips, signers=["s33"])
    with pytest.raises(ClipListError, match=r"all 10 signers are held out \(s0, s1, .*nobody is left to learn from"):
        carve_split(clips, signers=[f"s{s}" for s in range(10)])


def test_a_part_of_a_split(clips):
    first = carve_split(clips, signers=["s0", "s1"])
    second = carve_split(first, "fit", "val", fraction=0.25, among="train")
    assert not signers(second, "val") & {"s0", "s1"}
    assert signers(second, "fit") | signers(second, "val") == signers(second, "train")


def test_signs_that_are_on_one_side_only_are_noted(clips):
    parted = carve_split(clips, signers=["s9"])
    assert any("no clip of 'test' shows 'b'" in note for note in parted.notes)


def test_two_signers(tmp_path):
    two = [VideoClip(f"{s}{n}", f"{s}{n}.mp4", 0, "a", s) for s in "xy" for n in range(3)]
    parted = carve_split(ClipList(tuple(two), ("a",), tmp_path, "n"), fraction=0.1)
    assert len(signers(parted, "train")) == len(signers(parted, "test")) == 1


def test_one_or_unknown_signers_are_refused_unless_clips_are_held_out(tmp_path):
    for signer, said in (("maria", "only 1 signer"), ("", "signer of 6 clips is unknown")):
        found = [VideoClip(f"{g}{n}", f"{g}{n}.mp4", g, "ab"[g], signer) for g in range(2) for n in range(3)]
        clips = ClipList(tuple(found), ("a", "b"), tmp_path, "n")
        with pytest.raises(ClipListError, match=said):
            carve_split(clips)
        parted = carve_split(clips, by="clip", fraction=0.3)
        assert sorted(clip.gloss for clip in parted.of_split("test")) == ["a", "b"]
        assert len(parted.of_split("train")) == 4


def test_single_takes_cannot_be_parted(tmp_path):
    clips = ClipList(
        (VideoClip("a", "a.mp4", 0, "a", ""), VideoClip("b", "b.mp4", 1, "b", "")), ("a", "b"), tmp_path, "n"
    )
    with pytest.raises(ClipListError, match="give more takes"):
        carve_split(clips, by="clip")


@pytest.mark.parametrize("options", [{"by": "day"}, {"fraction": 0.0}, {"fraction": 1.0}])
def test_wrong_options(clips, options):
    with pytest.raises(ClipListError):
        carve_split(clips, **options)


def test_adding_splits_keeps_those_that_are_there(clips):
    more = with_splits(clips, {"new": ["s0/0/0"], "all": ["s0/0/0"]})
    assert more.clips[0].splits == ("all", "new")
    assert more.clips[1].splits == ("all",)
