"""The table of losses that configs choose from; their mathematics is tested in tests/functional/test_loss.py."""

from __future__ import annotations

import math

import pytest
import torch

from repronet.losses import LOSSES


def test_cross_entropy_by_hand():
    logits = torch.tensor([[math.log(3.0), 0.0]])
    assert LOSSES["cross_entropy"](logits, torch.tensor([0])).item() == pytest.approx(math.log(4 / 3))


def test_the_configured_rubbish_distance_is_the_documented_one():
    far = LOSSES["rbf_map"](torch.full((1, 10), -1e6), torch.tensor([0]))
    assert far.item() == pytest.approx(1e6 - 10.0)
