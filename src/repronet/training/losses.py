"""Losses by the names that configs use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from torch import Tensor, nn
from torch.nn.functional import one_hot

from repronet.errors import UserError
from repronet.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    mse_loss,
    multiclass_hinge,
    rbf_loss,
)

Loss = Callable[[Tensor, Tensor], Tensor]  # logits (N, classes), labels (N,) → mean loss, ()


def squared_error(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean of (y − t)² over images and classes, t one at the label and zero elsewhere."""
    return mse_loss(logits, one_hot(labels, logits.shape[1]).to(logits.dtype))


def one_against_all(logits: Tensor, labels: Tensor) -> Tensor:
    """A logistic loss a class, its label against all others; the mean over images and classes."""
    return binary_cross_entropy_with_logits(logits, one_hot(labels, logits.shape[1]).to(logits.dtype))


LOSSES: dict[str, Loss] = {
    "cross_entropy": cross_entropy,
    "svm": multiclass_hinge,
    "mse": squared_error,
    "binary": one_against_all,
    "rbf_map": rbf_loss,
}


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


def training_loss(loss: Loss, label_smoothing: float) -> Loss:
    """``loss`` of smoothed labels (Szegedy et al. 2016, section 7).

    Raises:
        UserError: for smoothed labels and another loss than cross-entropy.
    """
    if not label_smoothing:
        return loss
    if loss is not cross_entropy:
        name = next((name for name, known in LOSSES.items() if known is loss), "this loss")
        raise UserError(f"label_smoothing={label_smoothing}: {name} takes no smoothed labels; take 0 or cross_entropy")
    return partial(cross_entropy, label_smoothing=label_smoothing)


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


def logits_of(output: Tensor | tuple[Tensor, ...]) -> Tensor:
    """The logits (N, classes) of what a network returns in training."""
    return output if isinstance(output, Tensor) else output.logits  # type: ignore[attr-defined]
