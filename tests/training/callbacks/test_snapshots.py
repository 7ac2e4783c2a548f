"""What a look into the network counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repronet import models
from repronet.training.callbacks.snapshots import TIMES, counted, dead_share, evaluating, snapshot_epochs


def test_a_histogram_counts_all():
    values = torch.tensor([-1.0, 0, 0, 3])
    found = counted(values)
    assert (found["min"], found["max"], found["num"], found["sum"], found["sum_squares"]) == (-1, 3, 4, 2, 10)
    assert sum(found["bucket_counts"]) == 4
    assert found["bucket_limits"][-1] == 3
    assert len(found["bucket_limits"]) == len(found["bucket_counts"])
    below_one = [
        count for limit, count in zip(found["bucket_limits"], found["bucket_counts"], strict=True) if limit < 1
    ]
    assert sum(below_one) == 3


def test_a_histogram_of_one_number_and_of_very_many():
    assert sum(counted(torch.full((5,), 2.0))["bucket_counts"]) == 5
    assert counted(torch.randn(1_000_000))["num"] == 100_000


def test_a_map_is_dead_that_no_image_excites():
    maps = torch.zeros(2, 4, 3, 3)
    maps[0, 1, 2, 2] = 1
    maps[1, 3] = 1
    assert dead_share(maps) == 0.5
    assert dead_share(torch.tensor([[0.0, 1], [0, 0], [0, 2]])) == 0.5
    assert dead_share(maps[:, :, :1, :1]) == 0.75


@pytest.mark.parametrize("epochs", [1, 2, TIMES, TIMES + 1, 40, 1000])
def test_snapshots_are_few_and_hold_the_first_and_the_last(epochs):
    chosen = snapshot_epochs(epochs)
    assert {1, epochs} <= chosen <= set(range(1, epochs + 1))
    assert len(chosen) == min(epochs, TIMES)


def test_a_network_is_afterwards_as_it_was():
    network = models.create("alexnet").train()
    network.dropout.eval()
    with evaluating(network):
        assert not network.training
        assert not network.relu.inplace
    assert network.training
    assert network.relu.inplace
    assert not network.dropout.training
    assert not nn.ReLU().inplace
