"""Imbalanced classes: how often their images are drawn, and how much they count in the loss."""

from __future__ import annotations

import torch
from torch import Tensor


def class_counts(labels: Tensor, classes: int) -> Tensor:
    """The number of images per class, int64 (classes,); labels are (N,), or zeros and ones (N, classes)."""
    return labels.sum(dim=0) if labels.ndim == 2 else labels.bincount(minlength=classes)


def chances(labels: Tensor, classes: int) -> Tensor:
    """Sampling weights of the images, float64 (N,), with which all classes are drawn equally often.

    The weight of an image is 1/n_c for a class of n_c images. The rarest class counts if an image has several; images
    without any form a class of their own.
    """
    counts = class_counts(labels, classes).double()
    if labels.ndim == 1:
        return 1 / counts[labels]
    none = ~labels.any(dim=1, keepdim=True)  # (N, 1)
    labels, counts = torch.cat((labels, none), dim=1), torch.cat((counts, none.sum(dim=0)))
    return torch.where(labels > 0, 1 / counts.clamp_min(1), 0.0).amax(dim=1)  # (N, classes + 1) → (N,)


def class_weights(labels: Tensor, classes: int) -> list[float]:
    """w_c = N/(C·n_c) for the C classes that occur, scikit-learn's compute_class_weight("balanced"); else 1."""
    counts = class_counts(labels, classes)
    weights = len(labels) / (int((counts > 0).sum()) * counts.double())
    return torch.where(counts > 0, weights, 1.0).tolist()


def positive_weights(labels: Tensor, classes: int) -> list[float]:
    """v_c = (N − n_c)/n_c, the weight of a class's images against all others: the ratio of the two balanced weights.

    It is 1 if all images or none are of the class, since there is nothing to balance.
    """
    counts = class_counts(labels, classes)
    both = (counts > 0) & (counts < len(labels))
    return torch.where(both, (len(labels) - counts) / counts.double(), 1.0).tolist()
