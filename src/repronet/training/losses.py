"""Losses by the names that configs use."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import one_hot

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
