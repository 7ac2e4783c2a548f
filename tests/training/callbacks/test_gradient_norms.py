"""The norms of gradients and updates against what a step really does."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from repronet import models
from repronet.training.callbacks import gradient_norms
from repronet.training.callbacks.gradient_norms import GradientNorms, layer_weights


class Written:
    """Remembers what is drawn, in place of TensorBoard's writer."""

    def __init__(self):
        self.scalars: list[tuple[str, float, int]] = []

    def add_scalar(self, tag, value, step):
        self.scalars.append((tag, value, step))


@pytest.fixture
def written(monkeypatch) -> Written:
    writer = Written()
    monkeypatch.setattr(gradient_norms, "experiment", lambda trainer: writer)
    monkeypatch.setattr(gradient_norms, "draw", lambda trainer, action: action(writer))
    return writer


def step(callback: GradientNorms, number: int, optimizer: torch.optim.Optimizer) -> None:
    """The ``number``-th step of a training, as Lightning calls the callback."""
    trainer = SimpleNamespace(global_step=number - 1)
    callback.on_before_optimizer_step(trainer, None, optimizer)  # type: ignore[arg-type]
    optimizer.step()
    trainer.global_step = number
    callback.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]


def test_a_step_of_plain_descent(written):
    network = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[3.0, 4.0]]))
    network.weight.grad, network.bias.grad = torch.tensor([[0.6, 0.8]]), torch.tensor([9.0])
    callback = GradientNorms(every=10)
    callback._weights = layer_weights(nn.Sequential(network))
    step(callback, 9, optimizer)
    assert written.scalars == []
    network.weight.data = torch.tensor([[3.0, 4.0]])
    step(callback, 10, optimizer)
    # The norm of the gradient is 1, that of the weights 5, and half of the gradient is subtracted.
    norms = [("watch_gradient/0", pytest.approx(1.0), 9), ("watch_update/0", pytest.approx(0.1), 9)]
    assert written.scalars == norms


def test_frozen_layers_are_left_out(written):
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    network[0].weight.requires_grad_(False)
    network(torch.ones(1, 2)).sum().backward()
    callback = GradientNorms(every=1)
    callback._weights = layer_weights(network)
    step(callback, 1, torch.optim.SGD(network.parameters(), lr=0.0))
    assert [tag for tag, _, _ in written.scalars] == ["watch_gradient/1", "watch_update/1"]
    assert written.scalars[1][1] == 0


def test_the_weights_of_layers_with_and_without_parametrization():
    weights = layer_weights(models.create("lenet5_1998"))
    assert {name: tuple(weight.shape) for name, weight in weights.items()} == {
        "c1": (6, 1, 5, 5),
        "c3": (60, 5, 5),
        "c5": (120, 16, 5, 5),
        "f6": (84, 120),
    }
    assert len(layer_weights(models.create("resnet20"))) == 20
