from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from mmengine.registry import DATA_SAMPLERS

from gspmc_mm.datasets import SignGroupSampler, SignPoseDataset
from gspmc_mm.datasets.sign_group_sampler import grouped_order


class Clips:
    """A data set of labels."""

    def __init__(self, labels):
        self.labels = labels

    def __len__(self):
        return len(self.labels)

    def get_data_info(self, index):
        return {"label": self.labels[index]}


LABELS = np.array([0, 1, 0, 2, 1, 0, 2, 0, 1, 3, 0, 2])


@pytest.mark.parametrize("clips_per_sign", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(5))
def test_every_clip_once_and_signs_together(clips_per_sign, seed):
    order = grouped_order(LABELS, clips_per_sign, np.random.default_rng(seed))
    assert sorted(order) == list(range(len(LABELS)))
    signs = LABELS[order]
    groups = sum(-(-count // clips_per_sign) for count in np.bincount(LABELS))
    assert 1 + np.count_nonzero(np.diff(signs)) <= groups


def test_pairs_share_a_batch():
    labels = np.repeat(np.arange(50), 8)
    order = labels[grouped_order(labels, 2, np.random.default_rng(1))].reshape(-1, 2)
    assert (order[:, 0] == order[:, 1]).all()
    plain = labels[grouped_order(labels, 1, np.random.default_rng(1))].reshape(-1, 2)
    assert (plain[:, 0] == plain[:, 1]).mean() < 0.2


def test_epochs_differ_and_seeds_repeat():
    sampler = DATA_SAMPLERS.build(
        {"type": "SignGroupSampler", "clips_per_sign": 2}, default_args={"dataset": Clips(LABELS), "seed": 4}
    )
    first = list(sampler)
    assert first == list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert len(sampler) == len(first) == len(LABELS)


@pytest.mark.parametrize("round_up", [True, False])
def test_ranks_share_out_the_same_order(round_up):
    shares = []
    for rank in range(5):
        with mock.patch("gspmc_mm.datasets.sign_group_sampler.get_dist_info", return_value=(rank, 5)):
            sampler = SignGroupSampler(Clips(LABELS), clips_per_sign=2, seed=0, round_up=round_up)
        shares.append(list(sampler))
        assert len(sampler) == len(shares[-1])
    assert set().union(*shares) == set(range(len(LABELS)))
    assert len({len(share) for share in shares}) == (1 if round_up else 2)


def test_groups_of_no_clips_are_refused():
    with pytest.raises(ValueError, match="clips_per_sign"):
        SignGroupSampler(Clips(LABELS), clips_per_sign=0, seed=0)


def test_no_points_are_read_for_the_labels(store_path):
    dataset = SignPoseDataset(str(store_path))
    with mock.patch.object(dataset, "get_data_info", side_effect=AssertionError("points were read")):
        sampler = SignGroupSampler(dataset, seed=0)
    np.testing.assert_array_equal(sampler.labels, dataset.labels)


def test_a_data_set_that_lists_no_labels():
    clips = [{"label": int(label)} for label in LABELS]
    dataset = mock.Mock(spec=["get_data_info", "__len__"], get_data_info=clips.__getitem__)
    dataset.__len__ = lambda self: len(clips)
    np.testing.assert_array_equal(SignGroupSampler(dataset, seed=0).labels, LABELS)
