"""The multiclass hinge loss, which support vector machines minimise, with its gradient.

For one example with scores x, correct class y, margin m and class weights w,

    z_i = max(0, m − x_y + x_i)  for i ≠ y,  z_y = 0
    l = w_y/C · Σ_i z_i^p
    ∂l/∂x_i = w_y/C · p·z_i^{p−1}·[z_i > 0]  for i ≠ y,      ∂l/∂x_y = −Σ_{i≠y} ∂l/∂x_i

The CS231n notes on linear classification do not divide by the number of classes C; torch does. (Weston and Watkins,
"Support vector machines for multi-class pattern recognition", 1999; Tang, "Deep learning using linear support vector
machines", 2013, for p = 2.)
"""

import torch
from torch import Tensor

from repronet.functional.class_labels import is_plain_sight
from repronet.functional.elementwise import require_floating, require_number
from repronet.functional.function import differentiable, overridable
from repronet.functional.loss_reduction import (
    Share,
    in_full_precision,
    reduced,
    require_constant,
    require_reduction,
    require_tensor,
    share_of_each,
)


def _violations(input: Tensor, labels: Tensor, margin: float) -> Tensor:
    """z = max(0, m − x_y + x) for wrong classes, 0 for the correct one: (N, C) and (N, 1) → (N, C)."""
    room = input.gather(1, labels) - margin  # (N, 1)
    return (input - room).clamp_min(0).scatter(1, labels, 0.0)


def multiclass_hinge_forward(input: Tensor, labels: Tensor, p: int, margin: float, share: Share, total: bool) -> Tensor:
    """l = share·Σ z^p: (N, C) and labels (N, 1) → (N, 1), or () for the total."""
    z = _violations(input, labels, margin)
    return reduced((z if p == 1 else z * z).sum(1, keepdim=True), share, total)


def multiclass_hinge_input_gradient(
    grad_output: Tensor, input: Tensor, labels: Tensor, p: int, margin: float, share: Share
) -> Tensor:
    """∂L/∂x_i = ∂L/∂l·share·p·z_i^{p−1}·[z_i > 0], and the negative sum of these at the label: (N, C)."""
    z = _violations(input, labels, margin)
    slope = (z.detach().sign() if p == 1 else 2 * z) * (grad_output * share)  # (N, C)
    return slope.scatter_add(1, labels, -slope.sum(1, keepdim=True))


_multiclass_hinge = differentiable(multiclass_hinge_forward, input=multiclass_hinge_input_gradient)


@overridable
def multiclass_hinge(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    mean_over_classes: bool = True,
) -> Tensor:
    """Multiclass hinge loss, torch's multi_margin_loss: l = w_y/C · Σ_{i≠y} max(0, m − x_y + x_i)^p.

    Args:
        input: scores x, (N, C), or (C,) for one example; one number counts as one class.
        target: correct classes from 0 to C − 1, int64, (N,) or ().
        p: 1, or 2 for the squared hinge.
        margin: m, by how much the correct score should exceed the others.
        weight: the weight w of each class, (C,), or None.
        reduction: "mean" for Σ l/N, which is 0 for no examples, "sum", or "none" for every l.
        mean_over_classes: whether to divide by C; the CS231n notes do not.

    Returns:
        () or, without reduction, the shape of the target.

    Raises:
        ValueError: for another p, a weight not of one dimension, or an unknown reduction.
        RuntimeError: for incompatible shapes, dtypes or labels, or a weight that requires grad.
        TypeError: for arguments of the wrong type.
        NotImplementedError: for dtypes other than float32, float64 and, under autocast, the half-precision types.
    """
    require_tensor("multiclass_hinge", input=input, target=target)
    require_number("margin", margin)
    require_reduction(reduction)
    if p not in (1, 2):
        raise ValueError(f"multiclass_hinge needs p 1 or 2, got {p!r}")
    input, weight = in_full_precision(input, weight)
    if weight is not None and isinstance(weight, Tensor) and weight.dim() != 1:
        raise ValueError(f"multiclass_hinge needs a weight (C,), got shape {tuple(weight.shape)}")
    _check_operands(input, target, weight)
    scores = input.reshape(1, -1) if input.dim() < 2 else input  # (N, C)
    labels = target.reshape(-1, 1)  # (N, 1)
    share: Share = share_of_each(reduction, labels.numel())
    if mean_over_classes:
        share /= scores.shape[1]
    if weight is not None:
        share = weight[labels] * share  # (N, 1)
    loss = _multiclass_hinge(scores, labels, int(p), float(margin), share, reduction != "none")
    return loss.reshape(target.shape) if reduction == "none" else loss


def _check_operands(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    require_floating("multiclass_hinge", input)
    if input.dtype not in (torch.float32, torch.float64):
        raise NotImplementedError(f"multiclass_hinge needs float32 or float64, got {input.dtype}")
    shapes = f"{tuple(input.shape)} and {tuple(target.shape)}"
    examples = input.shape[0] if input.dim() == 2 else 1
    classes = input.shape[-1] if input.dim() > 0 else 1
    one = examples == 1 and target.dim() == 0
    if input.dim() > 2 or classes == 0 or not (one or target.shape == (examples,)):
        raise RuntimeError(f"multiclass_hinge needs scores (N, C) or (C,) and labels (N,) or (), got {shapes}")
    if target.dtype != torch.int64:
        raise RuntimeError(f"multiclass_hinge needs labels of int64, got {target.dtype}")
    if weight is not None:
        _check_weight(input, weight, classes)
    if not is_plain_sight(target):
        return
    wrong = target[(target < 0) | (target >= classes)]
    if wrong.numel() > 0:
        raise RuntimeError(f"multiclass_hinge needs labels from 0 to {classes - 1}, got {wrong[0].item()}")


def _check_weight(input: Tensor, weight: Tensor, classes: int) -> None:
    require_tensor("multiclass_hinge", weight=weight)
    if weight.shape != (classes,):
        raise RuntimeError(f"multiclass_hinge needs one weight for each of {classes} classes, got {len(weight)}")
    if weight.dtype != input.dtype:
        raise RuntimeError(f"multiclass_hinge needs input and weight of one dtype, got {input.dtype}, {weight.dtype}")
    require_constant("multiclass_hinge", weight=weight)
