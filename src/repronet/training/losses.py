"""Losses, by their names in configs."""

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
    """The mean of (y − t)² over images and classes; t is 1 at the image's label or labels, and 0 elsewhere."""
    return mse_loss(logits, _hot(labels, logits))


def one_against_all(logits: Tensor, labels: Tensor, positive_weights: Tensor | None = None) -> Tensor:
    """One logistic loss per class, its images against all others; the mean over images and classes.

    Args:
        logits: (N, classes).
        labels: (N,), or zeros and ones (N, classes).
        positive_weights: (classes,), the weight of a class's own images relative to the others; None: 1.
    """
    return binary_cross_entropy_with_logits(logits, _hot(labels, logits), pos_weight=positive_weights)


def _hot(labels: Tensor, logits: Tensor) -> Tensor:
    """Targets (N, classes) in the dtype of the logits: 1 at the image's label or labels, and 0 elsewhere."""
    return (labels if labels.ndim == 2 else one_hot(labels, logits.shape[1])).to(logits.dtype)


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "svm": multiclass_hinge,
    "mse": squared_error,
    "binary": one_against_all,
    "rbf_map": rbf_loss,
}


# The losses for several labels per image; and the losses with class weights, with the function that balances them.
MULTILABEL = ("binary", "mse")
WEIGHTS: dict[str, Callable[[Tensor, int], list[float]]] = {"cross_entropy": class_weights, "binary": positive_weights}


class Balanced(nn.Module):
    """A loss with one weight per class, stored as a buffer, so that the weights move with the module."""

    weights: Tensor

    def __init__(self, loss: Callable[..., Tensor], weights: Sequence[float]):
        super().__init__()
        self.loss = loss
        self.register_buffer("weights", torch.tensor(weights, dtype=torch.float32), persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.loss(logits, labels, self.weights)

    def counted(self, labels: Tensor) -> float:
        """The total weight of the images in the mean; labels are (N,) or probabilities (N, classes)."""
        alike = labels.ndim == 2 or self.loss is one_against_all
        return len(labels) if alike else float(self.weights[labels].sum())


def loss_function(chosen: str | Loss) -> Loss:
    """The loss of that name; a function is returned unchanged.

    Raises:
        UserError: for an unknown name.
    """
    if callable(chosen):
        return chosen
    if chosen not in LOSSES:
        raise UserError(f"loss={chosen}: no such loss (choices: {', '.join(LOSSES)})")
    return LOSSES[chosen]


def training_loss(loss: Loss, label_smoothing: float, class_weights: Sequence[float] | None = None) -> Loss:
    """``loss`` with label smoothing (Szegedy et al. 2016, section 7) and one weight per class.

    Raises:
        UserError: for label smoothing with a loss other than cross-entropy.
    """
    name = next((name for name, known in LOSSES.items() if known is loss), "this loss")
    if label_smoothing and loss is not cross_entropy:
        raise UserError(f"label_smoothing={label_smoothing}: {name} has no label smoothing; use 0 or cross_entropy")
    smoothed: Loss = partial(cross_entropy, label_smoothing=label_smoothing) if label_smoothing else loss
    return smoothed if class_weights is None else Balanced(smoothed, class_weights)


def balancing_weights(loss: str, labels: Tensor, classes: int) -> list[float]:
    """The class weights that give every class the same influence on a loss.

    Raises:
        UserError: for a loss that takes no class weights.
    """
    if loss not in WEIGHTS:
        taking = " or ".join(f"model.loss={name}" for name in WEIGHTS)
        raise UserError(
            f"data.balance=loss: {loss} takes no weights of classes; take {taking}, or data.balance=sampler"
        )
    return WEIGHTS[loss](labels, classes)


def loss_of_heads(network: nn.Module, output: Tensor | tuple[Tensor, ...], labels: Tensor, loss: Loss) -> Tensor:
    """The loss of the logits, plus the loss of every auxiliary head times the network's ``aux_weight``.

    Args:
        output: logits (N, classes), or a NamedTuple with these as ``logits`` and the logits of the auxiliary heads.
        labels: (N,) or probabilities (N, classes).
    """
    if isinstance(output, Tensor):
        return loss(output, labels)
    heads: Mapping[str, Tensor] = output._asdict()  # type: ignore[attr-defined]  # identified by name, not by position
    auxiliary = sum(loss(head, labels) for name, head in heads.items() if name != "logits")
    return loss(heads["logits"], labels) + float(network.aux_weight) * auxiliary  # type: ignore[arg-type]


def share_in_mean(loss: Loss, labels: Tensor, images: int, processes: int) -> float:
    """The factor for this process's mean loss that makes the mean over processes equal the mean over all images.

    For n of N images on one of P processes it is n·P/N: the average over the processes is then Σ n/N·(their mean).

    Args:
        loss: the loss; a :class:`Balanced` one weighs images by their classes.
        images: N, the images of all processes together.
    """
    if isinstance(loss, Balanced):
        own = loss.counted(labels)
        return own * processes / collective.total([own])[0]
    return len(labels) * processes / images


def logits_of(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The logits (N, classes) in the output of a network in training mode."""
    return output if isinstance(output, Tensor) else output.logits  # type: ignore[attr-defined]
