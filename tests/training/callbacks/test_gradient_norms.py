"""The lengths of gradients and updates against what a step really does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from repronet import models
from repronet.training.callbacks.gradient_norms import GradientNorms, layer_weights


class Written:
    """Remembers what is drawn."""

    def __init__(self):
        self.scalars: list[tuple[str, float, int]] = []

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, value, step))


def watching(network: nn.Module, every: int) -> tuple[GradientNorms, Written]:
    board = Written()
    signals = GradientNorms(board, every)
    signals._weights = layer_weights(network)
    return signals, board


def test_a_step_of_plain_descent():
    network = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[3.0, 4.0]]))
    network.weight.grad, network.bias.grad = torch.tensor([[0.6, 0.8]]), torch.tensor([9.0])
    signals, board = watching(nn.Sequential(network), every=10)
    for number in (9, 10):
        with signals._around_update(number):
            optimizer.step()
        if number == 9:
            assert board.scalars == []
            network.weight.data = torch.tensor([[3.0, 4.0]])
    # The gradient is 1 long, the weights are 5, and half of the gradient is taken off.
    assert board.scalars == [("gradient/0", pytest.approx(1.0), 10), ("update/0", pytest.approx(0.1), 10)]


def test_frozen_layers_are_left_out():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    network[0].weight.requires_grad_(False)
    network(torch.ones(1, 2)).sum().backward()
    signals, board = watching(network, every=1)
    with signals._around_update(1):
        pass
    assert [tag for tag, _, _ in board.scalars] == ["gradient/1", "update/1"]
    assert board.scalars[1][1] == 0


def test_the_weights_of_layers_with_and_without_parametrization():
    weights = layer_weights(models.create("lenet5_1998"))
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == {
        "c1": (6, 1, 5, 5),
        "c3": (60, 5, 5),
        "c5": (120, 16, 5, 5),
        "f6": (84, 120),
    }
    assert len(layer_weights(models.create("resnet20"))) == 20


def test_the_latest_point_travels_in_the_checkpoint():
    signals, _ = watching(nn.Sequential(), every=1)
    signals._step, signals._point = 40, {"gradient/c1": 1.5}
    other, board = watching(nn.Sequential(), every=1)
    other.load_state_dict(signals.state_dict())
    other._draw()
    assert board.scalars == [("gradient/c1", 1.5, 40)]
