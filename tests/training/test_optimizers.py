"""Optimizers: two steps of each by hand, on one weight with gradient g."""

from __future__ import annotations

import math

import pytest
import torch

from repronet.errors import UserError
from repronet.training import optimizers

W, G = 2.0, 0.5


def steps(build: optimizers.OptimizerBuilder, count: int = 2) -> float:
    """The weight after ``count`` steps from W with the gradient G each time."""
    weight = torch.nn.Parameter(torch.tensor(W, dtype=torch.float64))
    optimizer = build([weight])
    for _ in range(count):
        weight.grad = torch.tensor(G, dtype=torch.float64)
        optimizer.step()
    return weight.item()


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd(nesterov):
    lr, mu, decay = 0.1, 0.9, 0.01
    w, v = W, 0.0
    for _ in range(2):
        g = G + decay * w
        v = mu * v + g
        w -= lr * (g + mu * v if nesterov else v)
    assert steps(optimizers.sgd(lr, mu, decay, nesterov)) == pytest.approx(w, rel=1e-12)


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam(decoupled):
    lr, b1, b2, eps, decay = 0.1, 0.9, 0.99, 1e-8, 0.05
    w, m, v = W, 0.0, 0.0
    for t in (1, 2):
        g = G if decoupled else G + decay * w
        w -= lr * decay * w if decoupled else 0
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        w -= lr * (m / (1 - b1**t)) / (math.sqrt(v / (1 - b2**t)) + eps)
    build = optimizers.adamw if decoupled else optimizers.adam
    assert steps(build(lr, (b1, b2), eps, decay)) == pytest.approx(w, rel=1e-9)
    assert optimizers.OPTIMIZERS["adamw" if decoupled else "adam"] is build


def test_rmsprop():
    lr, alpha, mu, eps, decay = 0.1, 0.9, 0.5, 1.0, 0.01
    w, s, v = W, 0.0, 0.0
    for _ in range(2):
        g = G + decay * w
        s = alpha * s + (1 - alpha) * g * g
        v = mu * v + g / (math.sqrt(s) + eps)
        w -= lr * v
    assert steps(optimizers.rmsprop(lr, alpha, mu, eps, decay)) == pytest.approx(w, rel=1e-9)


def test_decay_of_weights_alone_spares_biases_and_norms():
    network = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.Linear(2, 2))
    network[2].bias.requires_grad = False
    (everything,) = optimizers.parameter_groups(network.parameters(), "all")
    assert len(everything["params"]) == 5
    weights, others = optimizers.parameter_groups(network.parameters(), "weights")
    assert {id(p) for p in weights["params"]} == {id(network[0].weight), id(network[2].weight)}
    assert {id(p) for p in others["params"]} == {id(network[0].bias), id(network[1].weight), id(network[1].bias)}
    assert "weight_decay" not in weights
    optimizer = optimizers.sgd(0.1, 0.0, 0.5, False)([weights, others])
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.5, 0.0]


def test_a_value_that_the_row_does_not_take_has_its_nearest_key():
    with pytest.raises(UserError, match=r"^optimizer=sgd: .*'lrr'.*; nearest: lr$"):
        optimizers.optimizer_builder({"name": "sgd", "lrr": 1})
