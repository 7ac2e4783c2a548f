"""Initialise weights by a named scheme instead of a network's own initialisation."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from repronet.errors import UserError
from repronet.layers import LocallyConnected2d


def lecun_uniform_(weight: Tensor) -> Tensor:
    """Uniform in ±2.4 / fan-in (LeCun et al. 1998, appendix A)."""
    bound = 2.4 / _fan_in(weight)
    return nn.init.uniform_(weight, -bound, bound)


def he_normal_(weight: Tensor) -> Tensor:
    """Normal with variance 2 / fan-in (He et al. 2015, "Delving deep into rectifiers", equation 10)."""
    return nn.init.normal_(weight, std=math.sqrt(2 / _fan_in(weight)))


def xavier_uniform_(weight: Tensor) -> Tensor:
    """Uniform in ±√(6 / (fan-in + fan-out)) (Glorot and Bengio 2010, equation 16)."""
    bound = math.sqrt(6 / (_fan_in(weight) + weight.shape[0] * math.prod(weight.shape[2:4])))
    return nn.init.uniform_(weight, -bound, bound)


def _fan_in(weight: Tensor) -> int:
    """Inputs per unit for weights (O, I), (O, C, kh, kw) or, in locally connected layers, (O, C, kh, kw, Ho, Wo)."""
    return math.prod(weight.shape[1:4])


SCHEMES: dict[str, Callable[[Tensor], Tensor]] = {
    "he": he_normal_,
    "xavier": xavier_uniform_,
    "lecun": lecun_uniform_,
    "normal": partial(nn.init.normal_, std=0.01),
}


@torch.no_grad()
def initialize(network: nn.Module, scheme: str) -> None:
    """Redraw the weights of every convolution, locally connected and linear layer, and set their biases to 0.

    ``normal`` is AlexNet's scheme, with biases of 1 as in AlexNet: in the second, fourth and fifth convolution and in
    all linear layers but the last (Krizhevsky et al. 2012, section 5).

    Raises:
        UserError: if the network has parametrized weights, which no scheme supports.
    """
    if any(nn.utils.parametrize.is_parametrized(module) for module in network.modules()):
        raise UserError(f"initialization={scheme}: {network.architecture} sets its own initial weights; keep paper")
    layers = [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.Linear | LocallyConnected2d)]
    for layer in layers:
        SCHEMES[scheme](layer.weight)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    if scheme == "normal":
        convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
        hidden = [layer for layer in layers if isinstance(layer, nn.Linear)][:-1]
        for layer in [*convolutions[1:2], *convolutions[3:5], *hidden]:
            if layer.bias is not None:
                nn.init.ones_(layer.bias)
