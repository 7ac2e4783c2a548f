"""What a count of DenseNet's parameters does not show."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repronet import models
from repronet.models.dropout import set_dropout


@pytest.mark.parametrize("name", ["densenet40_12", "densenet_bc_100_12"])
def test_dropout_follows_every_convolution_but_the_first(name):
    """Section 4.2 and the authors' models/densenet.lua: in bottlenecks and transitions too, and nowhere else."""
    with torch.device("meta"):
        network = models.create(name, layers="torch").train()
        set_dropout(network, 0.2)
        called: list[nn.Module] = []
        for module in network.modules():
            if not list(module.children()):
                module.register_forward_hook(lambda module, given, y: called.append(module))
        network(torch.zeros(2, 3, 32, 32))
    behind = [called[index + 1] for index, module in enumerate(called) if isinstance(module, nn.Conv2d)]
    assert not isinstance(behind[0], nn.Dropout)
    assert all(isinstance(module, nn.Dropout) and module.p == 0.2 for module in behind[1:])
    assert len(behind) == int(name.removeprefix("densenet_bc_").removeprefix("densenet").split("_")[0]) - 1
    assert sum(isinstance(module, nn.Dropout) for module in called) == len(behind) - 1


def test_weights_start_with_a_variance_of_two_by_kernel_and_planes_out():
    """As in the release; by planes in, which He et al. 2015 allow too, these weights would be a sixth as large."""
    torch.manual_seed(0)
    weight = models.create("densenet40_12").features.denseblock3.denselayer12.conv1.weight
    assert weight.shape == (12, 436, 3, 3)
    assert weight.std().item() == pytest.approx((2 / (9 * 12)) ** 0.5, rel=0.02)


def test_nothing_is_dropped_unless_it_is_asked_for():
    network = models.create("densenet40_12").train()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network(images), network(images))
