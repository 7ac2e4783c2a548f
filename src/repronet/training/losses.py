"""Losses by the names that configs use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from repronet.data.balance import class_weights, positive_weights
from repronet.errors import UserError
from repronet.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse_loss,
    multiclass_hinge,
    rbf_loss,
)
from repronet.training import collective

Loss = Callable[[Tensor, Tensor], Tensor]  # logits (N, classes), labels (N,) or (N, classes) → mean loss, ()


def squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of (y − t)² over images and classes, t one at the label, or the labels, and zero elsewhere."""
    return mse_loss(logits, _hot(labels, logits))


def one_against_all(logits: Tensor, labels: Tensor, positive_weights: Tensor | None = None) -> Tensor:
    """A logistic loss a class, its images against all others; the mean over images and classes.

    Args:
        logits: (N, classes).
        labels: (N,), or zeros and ones (N, classes).
        positive_weights: (classes,), what a class's own images count against the others; None: 1.
    """
    return binary_cross_entropy_with_logits(logits, _hot(labels, logits), pos_weight=positive_weights)


def _hot(labels: Tensor, logits: Tensor) -> Tensor:
    """(N, classes) in the type of the logits, one at the label, or the labels, and zero elsewhere."""
    return (labels if labels.ndim == 2 else one_hot(labels, logits.shape[1])).to(logits.dtype)


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "svm": multiclass_hinge,
    "mse": squared_error,
    "binary": one_against_all,
    "rbf_map": rbf_loss,
}


# Those that know several labels per image; and those that take weights of classes, with what balances these.
MULTILABEL = ("binary", "mse")
WEIGHTS: dict[str, Callable[[Tensor, int], list[float]]] = {"cross_entropy": class_weights, "binary": positive_weights}


class Balanced(nn.Module):
    """A loss with a weight for each class, on the device of the module that it is part of."""

    weights: Tensor

    def __init__(self, loss: Callable[..., Tensor], weights: Sequence[float]):
        super().__init__()
        self.loss = loss
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32), persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.loss(logits, labels, self.weights)

    def counted(self, labels: Tensor) -> float:
        """What the images weigh together in the mean: labels (N,) or probabilities (N, classes)."""
        alike = labels.ndim == 2 or self.loss is one_against_all
        return len(labels) if alike else float(self.weights[labels].sum())


def loss_function(chosen: str | Loss) -> Loss:
    """The loss of that name; a function is taken as it is.

    Raises:
        UserError: for an unknown name.
    """
    if callable(chosen):
        return chosen
    if chosen not in LOSSES:
        raise UserError(f"loss={chosen}: no such loss (choices: {', '.join(LOSSES)})")
    return LOSSES[chosen]


def training_loss(loss: Loss, label_smoothing: float, class_weights: Sequence[float] | None = None) -> Loss:
    """``loss`` of smoothed labels (Szegedy et al. 2016, section 7), with a weight for each class.

    Raises:
        UserError: for smoothed labels and another loss than cross-entropy.
    """
    name = next((name for name, known in LOSSES.items() if known is loss), "this loss")
    if label_smoothing and loss is not cross_entropy:
        raise UserError(f"label_smoothing={label_smoothing}: {name} has no label smoothing; use 0 or cross_entropy")
    smoothed: Loss = partial(cross_entropy, label_smoothing=label_smoothing) if label_smoothing else loss
    return smoothed if class_weights is None else Balanced(smoothed, class_weights)


def balancing_weights(loss: str, labels: Tensor, classes: int) -> list[float]:
    """The weights under which every class counts alike in a loss.

    Raises:
        UserError: for a loss that takes none.
    """
    if loss not in WEIGHTS:
        taking = " or ".join(f"model.loss={name}" for name in WEIGHTS)
        raise UserError(
            f"data.balance=loss: {loss} takes no weights of classes; take {taking}, or data.balance=sampler"
        )
    return WEIGHTS[loss](labels, classes)


def loss_of_heads(network: nn.Module, output: Tensor | tuple[Tensor, ...], labels: Tensor, loss: Loss) -> Tensor:
    """The loss of the logits, plus that of every auxiliary head times the network's ``aux_weight``.

    Args:
        output: logits (N, classes), or a NamedTuple with these as ``logits`` and those of the auxiliary heads.
        labels: (N,) or probabilities (N, classes).
    """
    if isinstance(output, Tensor):
        return loss(output, labels)
    heads: Mapping[str, Tensor] = output._asdict()  # type: ignore[attr-defined]  # known by name, not by place
    auxiliary = sum(loss(head, labels) for name, head in heads.items() if name != "logits")
    return loss(heads["logits"], labels) + float(network.aux_weight) * auxiliary  # type: ignore[arg-type]


def share_in_mean(loss: Loss, labels: Tensor, images: int, processes: int) -> float:
    """What the mean loss of this process's labels counts, so that the mean over processes is that over all images.

    With n of N images on one of P processes it is n·P/N: the average over the processes is then Σ n/N·(their mean).

    Args:
        loss: which may weigh images, by their classes.
        images: N, of all processes together.
    """
    if isinstance(loss, Balanced):
        own = loss.counted(labels)
        return own * processes / collective.total([own])[0]
    return len(labels) * processes / images


def logits_of(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The logits (N, classes) of what a network returns in training."""
    return output if isinstance(output, Tensor) else output.logits  # type: ignore[attr-defined]
