"""The losses as layers, beside torch's."""

import pytest
import torch
from torch import nn

from differential import assert_same, random
from repronet import layers
from repronet.functional import rbf_loss

LABELS = torch.tensor([0, 2, 1, 2])
CLASS_WEIGHT = torch.tensor([1.0, 2.0, 3.0]).double()
LOSSES = [
    ("CrossEntropyLoss", {}, LABELS),
    ("CrossEntropyLoss", {"weight": CLASS_WEIGHT, "label_smoothing": 0.1, "ignore_index": 2}, LABELS),
    ("CrossEntropyLoss", {"reduction": "sum"}, random(4, 3).softmax(1)),
    ("NLLLoss", {}, LABELS),
    ("NLLLoss", {"weight": CLASS_WEIGHT, "ignore_index": 1, "reduction": "none"}, LABELS),
    ("MultiMarginLoss", {}, LABELS),
    ("MultiMarginLoss", {"p": 2, "margin": 0.5, "weight": CLASS_WEIGHT, "reduction": "none"}, LABELS),
    ("BCEWithLogitsLoss", {}, random(4, 3).sigmoid()),
    (
        "BCEWithLogitsLoss",
        {"weight": CLASS_WEIGHT, "pos_weight": CLASS_WEIGHT, "reduction": "sum"},
        random(4, 3).sigmoid(),
    ),
    ("MSELoss", {}, random(4, 3, seed=2)),
    ("MSELoss", {"reduction": "none"}, random(4, 3, seed=2)),
]
every_loss = pytest.mark.parametrize(("name", "how", "target"), LOSSES)


@every_loss
def test_stands_where_torchs_stands(name, how, target):
    ours, theirs = getattr(layers, name)(**how), getattr(nn, name)(**how)
    assert isinstance(ours, type(theirs))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    second = not name.startswith("Multi")  # torch's has none
    assert_same(lambda x: ours(x, target), lambda x: theirs(x, target), random(4, 3), second=second)


@every_loss
def test_is_converted(name, how, target):
    """A network that holds torch's loss gets ours, and back."""
    network = nn.Sequential(getattr(nn, name)(**how))
    assert type(layers.convert(network, to="custom")[0]) is getattr(layers, name)
    assert type(layers.convert(network, to="torch")[0]) is getattr(nn, name)


def test_rbf_loss():
    layer = layers.RBFLoss(rubbish=3, reduction="sum")
    x = -random(4, 3).square()
    torch.testing.assert_close(layer(x, LABELS), rbf_loss(x, LABELS, 3, reduction="sum"))
    torch.testing.assert_close(layers.RBFLoss()(x, LABELS), rbf_loss(x, LABELS, 10))
    assert repr(layer) == "RBFLoss(rubbish=3)"
    assert not layer.state_dict()
    with pytest.raises(ValueError, match="got 'average'"):
        layers.RBFLoss(reduction="average")
