"""Directions of the filters' lengths, and the loss along them."""

from __future__ import annotations

import torch
from torch import nn

from repronet import models
from repronet.visualization.layer_outputs import probe
from repronet.visualization.loss_surface import random_direction, surface


def test_a_direction_has_each_filters_length_and_leaves_biases_and_norms():
    network = models.create("resnet20")
    direction = random_direction(network, torch.Generator().manual_seed(0))
    weights = dict(network.named_parameters())
    assert set(direction) == {name for name, weight in weights.items() if weight.ndim >= 2}
    for name, moved in direction.items():
        torch.testing.assert_close(moved.flatten(1).norm(dim=1), weights[name].detach().flatten(1).norm(dim=1))
    assert abs(torch.cosine_similarity(direction["fc.weight"].flatten(), weights["fc.weight"].flatten(), dim=0)) < 0.2


def test_the_surface_of_a_quadratic_loss():
    network = probe(nn.Linear(2, 1, bias=False))
    network.weight.copy_(torch.tensor([[3.0, 4.0]]))
    first, second = {"weight": torch.tensor([[1.0, 0.0]])}, {"weight": torch.tensor([[0.0, 2.0]])}
    found = surface(network, lambda net: float(net.weight.square().sum()), (first, second), [-1, 0, 1], [0, 1])
    assert found.tolist() == [[4 + 16, 9 + 16, 16 + 16], [4 + 36, 9 + 36, 16 + 36]]
    assert network.weight.tolist() == [[3, 4]]


def test_the_weights_come_back_even_when_the_loss_fails():
    network = probe(nn.Linear(2, 1, bias=False))
    before = network.weight.clone()
    direction = random_direction(network, torch.Generator())

    def failing(net: nn.Module) -> float:
        raise KeyboardInterrupt

    try:
        surface(network, failing, (direction, direction), [1.0], [0.0])
    except KeyboardInterrupt:
        assert torch.equal(network.weight, before)
