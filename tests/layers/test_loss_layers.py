"""Losses as layers: torch.nn's, computed by ours."""

import pytest
import torch
from torch import nn

from differential import random
from repronet import layers
from repronet.layers import convert

LABELS = torch.tensor([0, 3, 1])
CASES = [
    ("CrossEntropyLoss", {"weight": random(4).abs(), "label_smoothing": 0.1, "ignore_index": 1}, LABELS),
    ("CrossEntropyLoss", {"reduction": "sum"}, random(3, 4).softmax(1)),
    ("MSELoss", {"reduction": "none"}, random(3, 4, seed=1)),
    ("BCEWithLogitsLoss", {"pos_weight": random(4).abs()}, random(3, 4).sigmoid()),
    ("MultiMarginLoss", {"p": 2, "margin": 0.5}, LABELS),
]


@pytest.mark.parametrize(("name", "how", "target"), CASES)
def test_as_torchs(name, how, target):
    ours, theirs = getattr(layers, name)(**how), getattr(nn, name)(**how)
    expected = theirs(random(3, 4), target)
    torch.testing.assert_close(ours(random(3, 4), target), expected)
    torch.testing.assert_close(convert(theirs, to="custom")(random(3, 4), target), expected)
    assert type(theirs) is getattr(layers, name)


def test_rbf_loss_knows_its_rubbish():
    assert repr(layers.RBFLoss(3.0)) == "RBFLoss(rubbish=3.0)"
    far = layers.RBFLoss(3.0)(torch.full((1, 5), -1e6), torch.tensor([0]))
    assert far.item() == pytest.approx(1e6 - 3.0)
