"""The four-layer networks for CIFAR-10: sizes by hand, the released files, and what sets variants apart."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.agreement import largest_difference
from repronet import layers, models
from repronet.papers import NETWORKS

NAMES = ("four_layer", "four_layer_tanh", "four_layer_abutting")
NORMALIZED = ("norm1", "norm2")


def inputs() -> Tensor:
    return torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) / 4


def seeded(name: str, **choices) -> nn.Module:
    torch.manual_seed(0)
    return models.create(name, **choices)


@pytest.mark.parametrize("name", NAMES)
def test_four_layers_hold_the_parameters_that_a_hand_counts(name):
    held = {
        key: sum(p.numel() for p in module.parameters())
        for key, module in seeded(name).named_children()
        if any(True for _ in module.parameters())
    }
    assert held == {
        "conv1": 32 * (5 * 5 * 3 + 1),
        "conv2": 32 * (5 * 5 * 32 + 1),
        "conv3": 64 * (5 * 5 * 32 + 1),
        "fc": 10 * (4 * 4 * 64 + 1),
    }
    assert sum(held.values()) == 2_432 + 25_632 + 51_264 + 10_250 == 89_578


@pytest.mark.parametrize("name", NAMES)
def test_each_pool_halves_the_maps(name):
    network = seeded(name)
    shapes = {}
    for key in ("conv1", "pool1", "conv2", "pool2", "conv3", "pool3", "fc"):
        network.get_submodule(key).register_forward_hook(
            lambda module, given, y, key=key: shapes.__setitem__(key, tuple(y.shape[1:]))
        )
    network(inputs())
    assert shapes == {
        "conv1": (32, 32, 32),
        "pool1": (32, 16, 16),
        "conv2": (32, 16, 16),
        "pool2": (32, 8, 8),
        "conv3": (64, 8, 8),
        "pool3": (64, 4, 4),
        "fc": (10,),
    }


@pytest.mark.parametrize(("name", "side"), [("four_layer", 3), ("four_layer_abutting", 2)])
def test_windows_overlap_or_abut(name, side):
    """One bright pixel where two windows of three meet: as many outputs see it as windows hold it."""
    network = seeded(name)
    image = torch.zeros(1, 1, 32, 32)
    image[0, 0, 2, 2] = 1
    assert int(network.pool1(image).count_nonzero()) == (4 if side == 3 else 1)
    assert float(network.pool2(image).max()) == pytest.approx(1 / side**2)


def test_tanh_stands_where_relu_stood_and_nothing_else_changes():
    relu, tanh = seeded("four_layer"), seeded("four_layer_tanh")
    assert all(torch.equal(a, b) for a, b in zip(relu.state_dict().values(), tanh.state_dict().values(), strict=True))
    differing = {
        key for key, module in relu.named_modules() if key and type(module) is not type(tanh.get_submodule(key))
    }
    assert differing == {"activation"}
    below = torch.tensor([-2.0])
    assert relu.activation(below) == 0
    torch.testing.assert_close(tanh.activation(below), torch.tanh(below))
    assert not torch.allclose(relu(inputs()), tanh(inputs()), rtol=1e-2)


@pytest.mark.parametrize("name", NAMES)
def test_normalization_is_the_papers_or_another_or_none(name):
    kinds = {"none": nn.Identity, "batch": nn.BatchNorm2d, "local_response": nn.LocalResponseNorm}
    for chosen, kind in kinds.items():
        network = seeded(name, normalization=chosen)
        assert all(isinstance(network.get_submodule(key), kind) for key in NORMALIZED), chosen
        assert network.architecture == name
    own, named = seeded(name)(inputs()), seeded(name, normalization="local_response")(inputs())
    assert torch.equal(own, named)
    assert not torch.allclose(own, seeded(name, normalization="none")(inputs()), rtol=1e-2)


def test_response_norm_weighs_as_much_at_the_start_as_in_alexnet():
    """α E[a²] of the first maps, before the activation: of AlexNet on pixels to 255, of ours on pixels to 1."""
    noise = torch.randn(64, 3, 32, 32, generator=torch.Generator().manual_seed(0)) / 4
    ours, alexnet = seeded("four_layer"), seeded("alexnet")
    first = next(module for module in alexnet.modules() if isinstance(module, nn.Conv2d))
    its = next(module for module in alexnet.modules() if isinstance(module, nn.LocalResponseNorm))
    with torch.no_grad():
        here = ours.norm1.alpha * (ours.conv1(noise)[..., 2:-2, 2:-2] - ours.conv1.bias[:, None, None]).square().mean()
        there = its.alpha * (first(255 * noise) - first.bias[:, None, None]).square().mean()
    assert float(here) == pytest.approx(float(there), rel=0.1)
    assert (ours.norm1.size, ours.norm1.beta, ours.norm1.k) == (its.size, its.beta, its.k)


@pytest.mark.parametrize("normalization", ["local_response", "none", "batch"])
@pytest.mark.parametrize("name", NAMES)
def test_our_layers_and_torchs_agree(name, normalization):
    ours, theirs = (seeded(name, layers=layers, normalization=normalization).double() for layers in ("custom", "torch"))
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))
    assert largest_difference(ours, theirs, inputs().double()) < 1e-9


RELEASED = {
    # layer: parameters of the networks of 13 % and 11 %, deviation of its fresh weights
    "conv1": (64 * (5 * 5 * 3 + 1), 64 * (5 * 5 * 3 + 1), 1e-4),
    "conv2": (64 * (5 * 5 * 64 + 1), 64 * (5 * 5 * 64 + 1), 0.01),
    "local3": (6 * 6 * 32 * (3 * 3 * 64 + 1), 6 * 6 * 64 * (3 * 3 * 64 + 1), 0.04),
    "local4": (6 * 6 * 32 * (3 * 3 * 32 + 1), 6 * 6 * 32 * (3 * 3 * 64 + 1), 0.04),
    "fc": (10 * (6 * 6 * 32 + 1), 10 * (6 * 6 * 32 + 1), 0.01),
}


@pytest.mark.parametrize(("name", "column"), [("four_layer_13pct", 0), ("four_layer_11pct", 1)])
def test_released_local_networks_are_those_of_their_files(name, column):
    network = seeded(name)
    for key, row in RELEASED.items():
        layer = network.get_submodule(key)
        assert sum(p.numel() for p in layer.parameters()) == row[column], key
        assert float(layer.weight.detach().std()) == pytest.approx(row[2], rel=0.05), key
        assert not layer.bias.any()
    assert sum(p.numel() for p in network.parameters()) == sum(row[column] for row in RELEASED.values())
    assert network.input_size == 24
    for key in ("pool1", "pool2"):
        assert isinstance(network.get_submodule(key), nn.MaxPool2d)


def test_the_released_network_of_11_percent_normalises_nine_maps():
    """Behind the first pool, before the second (layers-conv-local-11pct.cfg)."""
    network, plain = seeded("four_layer_11pct"), seeded("four_layer_13pct")
    norms = [network.get_submodule(key) for key in NORMALIZED]
    assert [(norm.size, norm.alpha, norm.beta, norm.k) for norm in norms] == [(9, 1e-3, 0.75, 1.0)] * 2
    assert all(isinstance(plain.get_submodule(key), nn.Identity) for key in NORMALIZED)
    order: list[str] = []
    for key in ("pool1", "norm1", "norm2", "pool2"):
        network.get_submodule(key).register_forward_hook(lambda module, given, y, key=key: order.append(key))
    network(inputs()[..., :24, :24])
    assert order == ["pool1", "norm1", "norm2", "pool2"]


def test_the_released_network_of_18_percent_normalises_within_each_map():
    network = seeded("four_layer_18pct")
    for key in NORMALIZED:
        norm = network.get_submodule(key)
        assert isinstance(norm, layers.ResponseNormWithinMaps)
        assert (norm.size, norm.alpha, norm.beta, norm.k) == (3, 5e-5, 0.75, 1.0)
    for key, deviation in (("conv1", 1e-4), ("conv2", 0.01), ("conv3", 0.01), ("fc", 0.01)):
        assert float(network.get_submodule(key).weight.detach().std()) == pytest.approx(deviation, rel=0.05)
    assert sum(p.numel() for p in network.parameters()) == 89_578


@pytest.mark.parametrize(
    ("name", "side"), [("four_layer_13pct", 24), ("four_layer_11pct", 24), ("four_layer_18pct", 32)]
)
def test_released_networks_agree_on_our_layers_and_torchs(name, side):
    ours, theirs = (seeded(name, layers=family).double() for family in ("custom", "torch"))
    images = 255 * inputs().double()[..., :side, :side]
    assert largest_difference(ours, theirs, images) < 1e-9


def test_what_is_our_own_says_so():
    for name in NAMES:
        assert any("own, of which nothing is published" in deviation for deviation in NETWORKS[name].deviations)


def test_weights_start_as_large_as_the_signal_needs():
    network = seeded("four_layer")
    for key, gain in (("conv1", 2), ("conv2", 2), ("conv3", 2), ("fc", 1)):
        layer = network.get_submodule(key)
        assert float(layer.weight.detach().square().mean()) == pytest.approx(gain / layer.weight[0].numel(), rel=0.1), (
            key
        )
        assert not layer.bias.any()
