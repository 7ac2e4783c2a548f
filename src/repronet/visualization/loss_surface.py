"""The loss around trained weights, along random directions.

H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018, section
4: f(α, β) = L(θ + α·δ + β·η), where each filter of the directions δ and η is drawn from a normal distribution and
scaled to the norm of the filter that it is added to. Biases and normalisation parameters are not moved.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Direction = dict[str, Tensor]


def random_direction(network: nn.Module, generator: torch.Generator) -> Direction:
    """A filter-normalised direction: d ← d · ‖w‖ / ‖d‖ filter by filter."""
    direction = {}
    for name, weight in network.named_parameters():
        if weight.ndim < 2:
            continue
        drawn = torch.randn(weight.shape, generator=generator)
        rest = tuple(range(1, weight.ndim))
        lengths = [tensor.square().sum(dim=rest, keepdim=True).sqrt() for tensor in (weight.detach(), drawn)]
        direction[name] = drawn * lengths[0] / lengths[1].clamp_min(1e-12)
    return direction


@torch.no_grad()
def surface(
    network: nn.Module,
    loss: Callable[[nn.Module], float],
    directions: tuple[Direction, Direction],
    alphas: list[float],
    betas: list[float],
    advance: Callable[[int], None] = lambda points: None,
) -> Tensor:
    """The loss at every (α, β): (len(betas), len(alphas)); the network's weights are restored afterwards.

    Args:
        loss: computes the loss of the network with its current weights.
        betas: ``[0.0]`` for a line along the first direction.
        advance: called at every point.
    """
    named = {name: weight for name, weight in network.named_parameters() if weight.ndim >= 2}
    before = {name: weight.detach().clone() for name, weight in named.items()}
    losses = torch.zeros(len(betas), len(alphas))
    try:
        for row, beta in enumerate(betas):
            for column, alpha in enumerate(alphas):
                for name, weight in named.items():
                    weight.copy_(before[name] + alpha * directions[0][name] + beta * directions[1][name])
                losses[row, column] = loss(network)
                advance(1)
    finally:
        for name, weight in named.items():
            weight.copy_(before[name])
    return losses
