"""Network in Network against its first author's released configuration, where a count does not show it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repronet import models


def test_nin_has_the_layers_of_its_release():
    torch.manual_seed(0)
    network = models.create("nin", layers="torch")
    for name in ("pool1", "pool2"):  # section 4.1: max pooling behind every mlpconv layer but the last
        pool = network.get_submodule(name)
        assert isinstance(pool, nn.MaxPool2d), name
        assert (pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode) == (3, 2, 0, True)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    widths = [layer.out_channels for layer in convolutions]
    assert widths == [192, 160, 96, 192, 192, 192, 192, 192, 10]
    assert [layer.padding[0] for layer in convolutions] == [2, 0, 0, 2, 0, 0, 1, 0, 0]
    for layer in convolutions:
        assert layer.weight.std().item() == pytest.approx(0.05, rel=0.05)
        assert layer.bias is not None
        assert not layer.bias.any()
    assert network.dropout.p == 0.5


def test_nin_drops_what_leaves_the_two_pools():
    network = models.create("nin", layers="torch").train()
    entered: list[torch.Size] = []
    network.dropout.register_forward_hook(lambda module, given, y: entered.append(y.shape[1:]))
    network(torch.zeros(1, 3, 32, 32))
    assert entered == [(96, 16, 16), (192, 8, 8)]
