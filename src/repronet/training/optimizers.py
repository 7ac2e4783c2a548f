"""Optimizers, by their names in configs. The implementations are torch's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from repronet.training.tables import row_of

OptimizerBuilder = Callable[[Iterable[Parameter] | list[dict[str, Any]]], Optimizer]


def sgd(
    lr: float = 0.05, momentum: float = 0.9, weight_decay: float = 5e-4, nesterov: bool = False
) -> OptimizerBuilder:
    """v ← μv + g + λw; w ← w − ηv (with ``nesterov``: w ← w − η(g + λw + μv))."""
    return partial(SGD, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)


def adam(
    lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0
) -> OptimizerBuilder:
    """Adam with weight decay added to the gradient (L2)."""
    return partial(Adam, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def adamw(
    lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.01
) -> OptimizerBuilder:
    """Adam with weight decay applied directly to the weights."""
    return partial(AdamW, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def rmsprop(
    lr: float = 0.045, alpha: float = 0.9, momentum: float = 0.9, eps: float = 1.0, weight_decay: float = 0.0
) -> OptimizerBuilder:
    """s ← αs + (1 − α)g²; v ← μv + g/(√s + ε); w ← w − ηv. Inception-v3 uses α = 0.9 and ε = 1 (section 8)."""
    return partial(RMSprop, lr=lr, alpha=alpha, momentum=momentum, eps=eps, weight_decay=weight_decay)


OPTIMIZERS: dict[str, Callable[..., OptimizerBuilder]] = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
    "rmsprop": rmsprop,
}


def optimizer_builder(chosen: str | Mapping[str, Any] | OptimizerBuilder) -> tuple[OptimizerBuilder, str]:
    """The optimizer builder from an entry of :data:`OPTIMIZERS`, and which parameters have weight decay.

    Args:
        chosen: a name, or a mapping with ``name``, ``decay`` and the entry's own values; a function is used unchanged.

    Raises:
        UserError: for an unknown name, or values that the entry does not take.
    """
    if callable(chosen):
        return chosen, "all"
    values = {"name": chosen} if isinstance(chosen, str) else dict(chosen)
    name, decay = values.pop("name", None), values.pop("decay", "all")
    return row_of(OPTIMIZERS, "optimizer", name, values), decay


def rate_of(build: OptimizerBuilder) -> float:
    """The learning rate of the optimizers that ``build`` creates."""
    return build([Parameter(torch.zeros(1))]).param_groups[0]["lr"]


def parameter_groups(parameters: Iterable[Parameter], decay: str) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer, from the trainable parameters; with "weights", no group is empty.

    Args:
        decay: the parameters with weight decay: "all", as in the papers, or "weights": those of two or more dimensions,
            not biases nor the gains and shifts of normalisation (He et al. 2019, "Bag of Tricks", section 3.1).
    """
    trainable = [parameter for parameter in parameters if parameter.requires_grad]
    if decay == "all":
        return [{"params": trainable}]
    weights = [parameter for parameter in trainable if parameter.ndim > 1]
    others = [parameter for parameter in trainable if parameter.ndim <= 1]
    groups = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
