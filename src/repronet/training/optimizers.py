"""Optimizers by the names that configs use. The arithmetic is torch's; the choice is a table of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

OptimizerBuilder = Callable[[Iterable[Parameter] | list[dict[str, Any]]], Optimizer]


def sgd(lr: float, momentum: float, weight_decay: float, nesterov: bool) -> OptimizerBuilder:
    """v ← μv + g + λw; w ← w − ηv (with ``nesterov``: w ← w − η(g + λw + μv))."""
    return partial(SGD, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)


def adam(lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> OptimizerBuilder:
    """Adam with the decay added to the gradient (L2)."""
    return partial(Adam, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def adamw(lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> OptimizerBuilder:
    """Adam with the decay applied to the weights directly."""
    return partial(AdamW, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def rmsprop(lr: float, alpha: float, momentum: float, eps: float, weight_decay: float) -> OptimizerBuilder:
    """s ← αs + (1 − α)g²; v ← μv + g/(√s + ε); w ← w − ηv. Inception-v3 has α = 0.9 and ε = 1 (section 8)."""
    return partial(RMSprop, lr=lr, alpha=alpha, momentum=momentum, eps=eps, weight_decay=weight_decay)


OPTIMIZERS: dict[str, Callable[..., OptimizerBuilder]] = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
}


def parameter_groups(parameters: Iterable[Parameter], decay: str) -> list[dict[str, Any]]:
    """The trainable ones of a network's parameters as an optimizer takes them; no group is empty.

    Args:
        decay: "all" parameters are decayed, as the papers' are, or "weights" alone: those of two or more dimensions,
            neither biases nor the gains and shifts of normalisation (He et al. 2019, "Bag of Tricks", section 3.1).
    """
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    if decay == "all":
        return [{"params": trainable}]
    weights = [parameter for parameter in trainable if parameter.ndim > 1]
    others = [parameter for parameter in trainable if parameter.ndim <= 1]
    groups = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
