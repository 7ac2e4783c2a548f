"""Optimizers: two steps of each by hand, on one weight with gradient g."""

from __future__ import annotations

import math

import pytest
import torch

from repronet import optimizers

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
