"""What is taken for a layer's output."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repronet import models
from repronet.errors import UserError
from repronet.visualization.layer_outputs import chosen_layer, layer_names, probe, spread, watched


def outputs_of(network, images):
    with watched(network) as outputs, torch.no_grad():
        network(images)
    return outputs


def test_a_layer_is_taken_behind_its_own_activation():
    network = probe(models.create("lenet5"))
    images = torch.randn(2, 1, 32, 32)
    found = outputs_of(network, images).of
    assert list(found) == ["c1", "c3", "c5", "f6", "output"]
    c1 = network.c1(images).relu()
    torch.testing.assert_close(found["c1"], c1)
    torch.testing.assert_close(found["c3"], network.c3(network.s2(c1)).relu())
    assert found["output"].min() < 0


def test_a_layer_ends_where_a_shortcut_is_added():
    network = probe(models.create("resnet20"))
    images = torch.randn(2, 3, 32, 32)
    found = outputs_of(network, images)
    block = network.layer1[0]
    stem = network.relu(network.bn1(network.conv1(images)))
    torch.testing.assert_close(found.of["conv1"], stem)
    inner = block.relu(block.bn1(block.conv1(stem)))
    torch.testing.assert_close(found.of["layer1.0.conv1"], inner)
    torch.testing.assert_close(found.of["layer1.0.conv2"], block.bn2(block.conv2(inner)))
    assert found.of["layer1.0.conv2"].min() < 0


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("lenet5", (16, 10, 10)),
        ("lenet5_1998", (16, 5, 5)),
        ("resnet20", (64, 8, 8)),
        ("densenet40_12", (448, 8, 8)),
        ("googlenet", (1024, 7, 7)),
        ("nin", (10, 8, 8)),
        ("mlp", None),
    ],
)
def test_the_last_maps_are_those_before_the_places_are_lost(name, shape):
    network = probe(models.create(name, layers="torch"))
    side, channels = network.input_size, 1 if name in ("lenet5", "lenet5_1998", "mlp") else 3
    last = outputs_of(network, torch.randn(2, channels, side, side)).last_maps
    assert (None if last is None else tuple(last.shape[1:])) == shape


def test_a_network_without_maps_has_its_layers():
    network = probe(models.create("mlp"))
    assert layer_names(network, torch.zeros(1, 1, 28, 28)) == ["fc1", "fc2", "output"]


def test_a_probe_leaves_the_network_as_it_was():
    network = models.create("alexnet").train()
    twin = probe(network)
    assert not any(getattr(module, "inplace", False) for module in twin.modules())
    assert network.relu.inplace
    assert network.training
    assert all(weight.requires_grad for weight in network.parameters())
    assert not any(weight.requires_grad for weight in twin.parameters())


def test_nothing_is_watched_afterwards():
    network = probe(models.create("lenet5"))
    outputs_of(network, torch.zeros(1, 1, 32, 32))
    assert not any(module._forward_hooks for module in network.modules())


def test_a_layer_that_is_none_is_refused_with_those_that_are():
    with pytest.raises(UserError, match=r"layer=conv9: no such layer with maps \(c1, c3\)"):
        chosen_layer(["c1", "c3"], "conv9")
    with pytest.raises(UserError, match=r"\(a0, a1, a2, a3, a4, a5, …, a27, a28, a29\)"):
        chosen_layer([f"a{n}" for n in range(30)], "b")


def test_layers_are_spread_from_the_first_to_the_last():
    assert spread(list("abcdefg"), 3) == ["a", "d", "g"]
    assert spread(list("ab"), 3) == ["a", "b"]


def test_what_keeps_no_shape_is_no_part_of_a_layer():
    network = probe(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.ReLU()))
    found = outputs_of(network, torch.randn(1, 1, 8, 8)).of
    assert {name: tuple(output.shape) for name, output in found.items()} == {"0": (1, 2, 6, 6)}
