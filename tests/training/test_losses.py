"""The table of losses, by the names that configs use."""

from __future__ import annotations

import math

import pytest
import torch

from repronet.functional import cross_entropy, rbf_loss
from repronet.training.losses import LOSSES


def test_the_names():
    assert set(LOSSES) == {"cross_entropy", "svm", "mse", "binary", "rbf_map"}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_every_loss_is_the_mean_of_a_batch(loss):
    logits, labels = -torch.rand(4, 5).double(), torch.tensor([0, 4, 2, 2])
    each = [loss(logits[n : n + 1], labels[n : n + 1]) for n in range(4)]
    torch.testing.assert_close(loss(logits, labels), torch.stack(each).mean())


def test_cross_entropy_by_hand():
    logits = torch.tensor([[math.log(3.0), 0.0]])
    assert LOSSES["cross_entropy"](logits, torch.tensor([0])).item() == pytest.approx(math.log(4 / 3))
    assert LOSSES["cross_entropy"] is cross_entropy


def test_rbf_map_is_equation_9():
    distances, labels = torch.tensor([[1.0, 4.0, 9.0], [0.5, 0.25, 2.0]]).double(), [0, 2]
    wanted = sum(
        row[label] + math.log(math.exp(-10) + sum(math.exp(-y) for y in row))
        for row, label in zip(distances.tolist(), labels, strict=True)
    )
    found = LOSSES["rbf_map"](-distances, torch.tensor(labels))
    assert found.item() == pytest.approx(wanted / 2, rel=1e-12)
    torch.testing.assert_close(found, rbf_loss(-distances, torch.tensor(labels), rubbish=10.0))


def test_the_configured_rubbish_distance_is_the_documented_one():
    far = LOSSES["rbf_map"](torch.full((1, 10), -1e6), torch.tensor([0]))
    assert far.item() == pytest.approx(1e6 - 10.0)
