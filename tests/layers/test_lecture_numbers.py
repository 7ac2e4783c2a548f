"""The counts of weights, neurons and connections that the lectures work out."""

import pytest
import torch
from torch import nn

from repronet import layers
from repronet.functional.windows import Geometry

META = torch.device("meta")  # shapes without memory: some of these layers would take gigabytes


def weights(layer: nn.Module) -> int:
    """Without biases."""
    return sum(parameter.numel() for name, parameter in layer.named_parameters() if name.endswith("weight"))


def parameters(layer: nn.Module) -> int:
    return sum(parameter.numel() for parameter in layer.parameters())


@pytest.fixture(autouse=True)
def _on_meta():
    with META:
        yield


def test_three_ways_to_connect_seven_inputs_with_three_hidden_units():
    """Each to all; each to three of its own, with its own weights or with the same."""
    full = layers.Linear(7, 3)
    local = layers.LocallyConnected2d(1, 1, (1, 7), (1, 3), stride=(1, 2))
    shared = layers.Conv2d(1, 1, (1, 3), stride=(1, 2))
    x = torch.zeros(1, 1, 1, 7)
    assert full(x).shape == local(x).shape == shared(x).shape == (1, 1, 1, 3)
    assert (weights(full), weights(local), weights(shared)) == (21, 9, 3)


def test_an_image_of_200_by_200_with_40_000_hidden_units():
    """Fully connected about 2 billion weights on the slide, which rounds 1.6; locally with 10×10 windows 4 million."""
    assert weights(layers.Linear(200 * 200, 40_000)) == 1_600_000_000
    # Windows that hang over the edge by 9 give a unit for every pixel: padding 5 gives one row and column too many.
    local = layers.LocallyConnected2d(1, 1, (199, 199), 10, padding=5)
    assert local.weight.shape[4:] == (200, 200)
    assert weights(local) == 4_000_000
    assert weights(layers.Conv2d(1, 100, 10)) == 10_000  # 100 shared filters


def test_an_image_of_300_by_300_in_colour_with_1_000_hidden_units():
    assert weights(layers.Linear(300 * 300 * 3, 1_000)) == 270_000_000


@pytest.mark.parametrize(
    ("filters", "kernel", "stride", "size", "neurons", "weights_each", "connections", "shared"),
    [
        pytest.param(6, 5, 1, 32, 4_704, 76, 357_504, 456, id="LeNet conv1 on 32×32×3"),
        pytest.param(96, 11, 4, 227, 290_400, 364, 105_705_600, 34_944, id="AlexNet conv1"),
    ],
)
def test_connections_and_parameters(filters, kernel, stride, size, neurons, weights_each, connections, shared):
    """Every neuron has k·k·3 weights and a bias. Unshared, each connection is a parameter; shared, few are."""
    rows, columns = Geometry((kernel, kernel), (stride, stride)).output_size((size, size))
    conv = layers.Conv2d(3, filters, kernel, stride)
    local = layers.LocallyConnected2d(3, filters, size, kernel, stride)
    x = torch.zeros(1, 3, size, size)
    assert conv(x).shape == local(x).shape == (1, filters, rows, columns)
    assert filters * rows * columns == neurons
    assert kernel * kernel * 3 + 1 == weights_each
    assert parameters(local) == neurons * weights_each == connections
    assert parameters(conv) == filters * weights_each == shared


def test_max_pooling_adds_no_parameters():
    """AlexNet's: 3×3 windows, two apart, 55 → 27."""
    pool = layers.MaxPool2d(3, 2)
    assert Geometry((3, 3), (2, 2)).output_size((55, 55)) == (27, 27)
    assert parameters(pool) == 0
    assert not pool.state_dict()
