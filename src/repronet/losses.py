"""Losses by the names that configs use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]  # logits (N, classes), labels (N,) → mean loss, ()


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """−log softmax(logits)[label], averaged over the batch."""
    return F.cross_entropy(logits, labels)


def rbf_map(logits: Tensor, labels: Tensor, rubbish: float) -> Tensor:
    """LeNet-5's maximum a posteriori criterion, equation 9 of LeCun et al. 1998.

    E = mean[ y_D + log(e^{−j} + Σ_i e^{−y_i}) ], where y_i is the squared distance to the code of class i, D the right
    class and j (``rubbish``) the distance of a made-up rubbish class: wrong codes farther away than j are not pushed.

    Args:
        logits: the negated distances −y, (N, classes).
        labels: (N,).
        rubbish: j; the paper says only that it is positive.
    """
    right = logits.gather(1, labels.unsqueeze(1)).squeeze(1)  # (N, classes) → (N,)
    others = torch.cat([logits, logits.new_full((len(logits), 1), -rubbish)], dim=1)  # → (N, classes + 1)
    return (others.logsumexp(dim=1) - right).mean()


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "rbf_map": partial(rbf_map, rubbish=10.0)}
