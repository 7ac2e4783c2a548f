"""Negative log-likelihood of the right classes, forward and gradient.

    l = −w_y·log p_y            ∂l/∂log p_i = −w_y·[i = y]

for one example with log-probabilities log p, right class y and class weights w. Its share, the factor of −log p_y, is
w_y/Σ w_y in the mean, w_y otherwise, 0 if its label is to be ignored. (The CS231n notes on linear classification.)
"""

import torch
from torch import Tensor

from repronet.functional.class_labels import checked_labels, class_dim
from repronet.functional.function import differentiable, overridable
from repronet.functional.loss_reduction import (
    Share,
    in_full_precision,
    of_each,
    reduced,
    require_constant,
    require_reduction,
    require_tensor,
    without_ignored,
)
from repronet.functional.precision import accumulation_dtype


def nll_loss_forward(log_probabilities: Tensor, labels: Tensor, share: Share, dim: int, total: bool) -> Tensor:
    """l = −share·log p_y: (N, C, …) and labels (N, 1, …) → (N, …), or () if `total`."""
    right = log_probabilities.gather(dim, labels)  # (N, 1, …)
    right = right.to(accumulation_dtype(right.dtype))
    losses = reduced(without_ignored(right, share), share, total).neg_()
    losses = losses.to(log_probabilities.dtype)
    return losses if total else losses.squeeze(dim)


def nll_loss_input_gradient(grad_output: Tensor, input: Tensor, labels: Tensor, share: Share, dim: int) -> Tensor:
    """∂L/∂log p_i = −∂L/∂l·share·[i = y]: (N, …) or () → (N, C, …)."""
    each = (-share * grad_output).to(input.dtype).expand(labels.shape)  # (N, 1, …)
    return torch.zeros_like(input).scatter(dim, labels, each)


_nll_loss = differentiable(
    nll_loss_forward,
    log_probabilities=lambda grad, log_probabilities, labels, share, dim, total: nll_loss_input_gradient(
        of_each(grad, dim, total), log_probabilities, labels, share, dim
    ),
)


@overridable
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of the right classes: l = −w_y·log p_y.

    Args:
        input: log-probabilities: (N, C), (N, C, …) for maps, or (C,) for one example.
        target: right classes from 0 to C − 1, int64 or uint8, in the shape of the input without C.
        weight: (C,), w of each class, or None.
        ignore_index: a label whose examples do not count; it may lie outside 0 to C − 1.
        reduction: "mean" for Σ l/Σ w_y, "sum", or "none" for every l.

    Returns:
        () or, without reduction, the shape of the target.

    Raises:
        As `cross_entropy`; ValueError also for an input without dimensions.
    """
    require_tensor("nll_loss", input=input, target=target)
    input, weight = in_full_precision(input, weight)
    if input.dim() == 0:
        raise ValueError("nll_loss needs an input (N, C, …) or (C,), got one number")
    labels = checked_labels("nll_loss", input, target, weight, ignore_index)
    require_constant("nll_loss with labels", weight=weight)
    require_reduction(reduction)
    share = labels.share(weight, reduction, accumulation_dtype(input.dtype))
    if input.shape[class_dim(input)] == 0:  # every label is ignored, but `gather` needs an element
        input = torch.cat([input, torch.zeros_like(input.sum(class_dim(input), keepdim=True))], class_dim(input))
    loss = _nll_loss(input, labels.index, share, class_dim(input), reduction != "none")
    return labels.not_a_number_if_all_ignored(loss, reduction)
