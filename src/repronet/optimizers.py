"""Optimizers by the names that configs use. The arithmetic is torch's; the choice is a table of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from torch.nn import Parameter
from torch.optim import SGD, Adam, AdamW, Optimizer

OptimizerBuilder = Callable[[Iterable[Parameter]], Optimizer]


def sgd(lr: float, momentum: float, weight_decay: float, nesterov: bool) -> OptimizerBuilder:
    """v ← μv + g + λw; w ← w − ηv (with ``nesterov``: w ← w − η(g + λw + μv))."""
    return partial(SGD, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)


def adam(lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> OptimizerBuilder:
    """Adam with the decay added to the gradient (L2)."""
    return partial(Adam, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


def adamw(lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> OptimizerBuilder:
    """Adam with the decay applied to the weights directly."""
    return partial(AdamW, lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)


OPTIMIZERS: dict[str, Callable[..., OptimizerBuilder]] = {"sgd": sgd, "adam": adam, "adamw": adamw}
