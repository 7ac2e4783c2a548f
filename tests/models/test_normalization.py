"""Another normalisation in place of a network's own: where it stands, what it holds, and that the network works."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repronet import models
from repronet.errors import UserError
from repronet.models.normalization import NORMALIZATIONS, group_count, normalization_2d

# Each builds its normalisation in a way of its own.
NETWORKS = {
    "lenet5": (1, 32),
    "resnet20": (3, 32),
    "preact_resnet110": (3, 32),
    "densenet40_12": (3, 32),
    "vgg11_bn_32px": (3, 32),
    "alexnet": (3, 227),
}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("layers", ["custom", "torch"])
@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_each_layer_normalises_what_it_says(name, layers):
    x = 3 + 2 * torch.randn(4, 8, 10, 10, generator=torch.Generator().manual_seed(0))
    y = normalization_2d(name, 8, models.layer_family(layers))(x)
    assert y.shape == x.shape
    over = {"batch": (0, 2, 3), "layer": (1, 2, 3), "instance": (2, 3)}.get(name)
    if over:
        assert y.mean(over).abs().max() < 1e-5
        assert (y.var(over, unbiased=False) - 1).abs().max() < 1e-3
    if name == "group":
        grouped = y.unflatten(1, (4, 2))
        assert grouped.mean((2, 3, 4)).abs().max() < 1e-5
    if name == "none":
        assert torch.equal(y, x)
    if name.startswith("local"):
        assert y.abs().max() < x.abs().max()


def test_groups_divide_the_channels_into_two_or_more():
    assert {channels: group_count(channels) for channels in (1, 3, 6, 16, 24, 64, 512)} == {
        1: 1,
        3: 1,
        6: 3,
        16: 8,
        24: 12,
        64: 32,
        512: 32,
    }


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("name", ["lenet5", "resnet20", pytest.param("densenet40_12", marks=pytest.mark.slow)])
def test_networks_learn_with_every_normalization(name, normalization):
    channels, size = NETWORKS[name]
    torch.manual_seed(0)
    network = models.create(name, num_classes=5, in_channels=channels, normalization=normalization)
    loss = nn.functional.cross_entropy(network(torch.randn(2, channels, size, size)), torch.tensor([0, 3]))
    loss.backward()
    assert loss.isfinite()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", NETWORKS)
def test_every_place_is_exchanged_and_nothing_else(name):
    with torch.device("meta"):
        own, group = models.create(name), models.create(name, normalization="group")
    kinds = (nn.BatchNorm2d, nn.LocalResponseNorm)
    places = {key for key, module in own.named_modules() if isinstance(module, kinds)}
    assert not any(isinstance(module, kinds) for module in group.modules())
    assert {key for key, module in group.named_modules() if isinstance(module, nn.GroupNorm)} >= places
    rest = {key for key, _ in own.named_modules()} - places
    assert {key for key, _ in group.named_modules()} >= rest


def test_group_norm_holds_what_batch_norm_held():
    assert count(models.create("resnet20", normalization="group")) == count(models.create("resnet20"))
    assert (
        models.create("resnet20", normalization="batch").state_dict().keys()
        == models.create("resnet20").state_dict().keys()
    )


def test_without_parameters_convolutions_get_a_bias():
    bare = models.create("resnet20", normalization="none")
    convolutions = [module for module in bare.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 19
    assert all(module.bias is not None and module.bias.abs().max() == 0 for module in convolutions)
    own = models.create("resnet20")
    norms = sum(module.num_features for module in own.modules() if isinstance(module, nn.BatchNorm2d))
    assert count(bare) == count(own) - norms


def test_response_norm_takes_the_channels_of_its_convolution():
    with torch.device("meta"):
        alexnet = models.create("alexnet", normalization="batch")
    assert [module.num_features for module in alexnet.modules() if isinstance(module, nn.BatchNorm2d)] == [96, 256]


def test_the_weights_are_those_of_the_network_itself():
    torch.manual_seed(3)
    own = models.create("resnet20").state_dict()
    torch.manual_seed(3)
    group = models.create("resnet20", normalization="group").state_dict()
    assert torch.equal(own["layer2.0.conv1.weight"], group["layer2.0.conv1.weight"])
    assert torch.equal(own["fc.weight"], group["fc.weight"])


@pytest.mark.parametrize("name", ["vgg16", "lenet5_1998", "nin"])
def test_a_network_without_normalization_says_so(name):
    with torch.device("meta"), pytest.raises(UserError, match=f"normalization=group: {name} has no normalization"):
        models.create(name, normalization="group")


def test_an_unknown_name():
    with pytest.raises(UserError, match="normalization=bach: no such layer"):
        models.create("resnet20", normalization="bach")
