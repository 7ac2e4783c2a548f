"""Losses against their formulas."""

from __future__ import annotations

import math

import pytest
import torch

from repronet import losses


def test_cross_entropy_by_hand():
    logits = torch.tensor([[math.log(3.0), 0.0]])
    assert losses.cross_entropy(logits, torch.tensor([0])).item() == pytest.approx(math.log(4 / 3))


def test_rbf_map_is_equation_9():
    distances = torch.tensor([[1.0, 4.0, 9.0], [0.5, 0.25, 2.0]], dtype=torch.float64)
    labels, j = torch.tensor([0, 2]), 3.0
    wanted = sum(
        row[label] + math.log(math.exp(-j) + sum(math.exp(-y) for y in row))
        for row, label in zip(distances.tolist(), labels.tolist(), strict=True)
    )
    assert losses.rbf_map(-distances, labels, rubbish=j).item() == pytest.approx(wanted / 2, rel=1e-12)


def test_rbf_map_does_not_push_what_is_farther_than_the_rubbish_class():
    distances = torch.tensor([[1.0, 500.0]], requires_grad=True)
    losses.rbf_map(-distances, torch.tensor([0]), rubbish=10.0).backward()
    assert distances.grad is not None
    assert distances.grad[0, 1].abs() < 1e-6


def test_rbf_map_differentiates():
    logits = torch.randn(4, 5, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([0, 4, 2, 2])
    assert torch.autograd.gradcheck(lambda x: losses.rbf_map(x, labels, rubbish=2.0), logits)


def test_the_configured_rubbish_distance_is_the_documented_one():
    far = losses.LOSSES["rbf_map"](torch.full((1, 10), -1e6), torch.tensor([0]))
    assert far.item() == pytest.approx(1e6 - 10.0)
