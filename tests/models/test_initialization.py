"""Initialisations by name: their spread is the formula's, their biases are the paper's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from repronet import models
from repronet.errors import UserError
from repronet.models import INITIALIZATIONS
from repronet.models.dropout import set_dropout
from repronet.models.initialization import SCHEMES, initialize


def test_the_names_that_need_no_torch_are_all():
    assert set(INITIALIZATIONS) == set(SCHEMES)


@pytest.mark.parametrize(
    ("scheme", "std"),
    [
        ("he", math.sqrt(2 / 2400)),
        ("xavier", math.sqrt(2 / (2400 + 6400))),  # uniform in ±√(6/(in+out)) has a variance of 2/(in+out)
        ("lecun", 2.4 / 2400 / math.sqrt(3)),
        ("normal", 0.01),
    ],
)
def test_the_spread_is_the_formulas(scheme, std):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(96, 256, 5), nn.Linear(256, 10))  # fan-in 2400, fan-out 6400
    initialize(network, scheme)
    weight = network[0].weight
    assert weight.std().item() == pytest.approx(std, rel=0.01)
    assert abs(weight.mean().item()) < std / 100
    assert (network[0].bias == 0).all()


def test_normal_has_alexnets_biases():
    torch.manual_seed(0)
    network = models.create("alexnet", num_classes=7)

    def biases() -> dict[str, float]:
        return {name: value.mean().item() for name, value in network.state_dict().items() if name.endswith("bias")}

    expected = biases()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.constant_(parameter, 5.0)
    initialize(network, "normal")
    assert biases() == expected
    assert set(expected.values()) == {0.0, 1.0}


def test_a_convolution_without_a_bias_gets_none():
    network = models.create("resnet20")
    initialize(network, "normal")
    assert network.conv1.bias is None


def test_weights_of_another_form_are_refused():
    with pytest.raises(UserError, match=r"initialization=he: lenet5_1998 sets its own initial weights; keep paper"):
        initialize(models.create("lenet5_1998"), "he")


@pytest.mark.parametrize(
    ("scheme", "std"),
    [
        ("he", math.sqrt(2 / 576)),
        ("xavier", math.sqrt(2 / (576 + 288))),
        ("lecun", 2.4 / 576 / math.sqrt(3)),
        ("normal", 0.01),
    ],
)
def test_locally_connected_layers_are_drawn_by_what_one_position_sees(scheme, std):
    torch.manual_seed(0)
    network = models.create("four_layer_13pct")
    initialize(network, scheme)
    assert network.local3.weight.std().item() == pytest.approx(std, rel=0.02)  # 3 × 3 × 64 inputs, 32 maps
    assert not network.local3.bias.any()


def test_dropout_of_a_network_is_set_and_of_another_is_added():
    alexnet = models.create("alexnet", num_classes=7)
    set_dropout(alexnet, 0.2)
    assert alexnet.dropout.p == 0.2
    network = models.create("lenet5")
    keys = list(network.state_dict())
    set_dropout(network, 0.9)
    assert list(network.state_dict()) == keys
    images = torch.randn(4, 1, 32, 32)
    assert not torch.equal(network(images), network(images))
    network.eval()
    assert torch.equal(network(images), network(images))


def test_a_network_without_a_place_for_dropout_says_so():
    nowhere = nn.Conv2d(1, 1, 1)
    nowhere.architecture = "nowhere"
    with pytest.raises(UserError, match=r"dropout=0.5: nowhere has no dropout layer to set; keep dropout=null"):
        set_dropout(nowhere, 0.5)
