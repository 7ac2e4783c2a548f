"""Losses that ask every class a question of its own: sigmoid cross-entropy and the multiclass hinge.

    sigmoid cross-entropy:  L = (1 − t)·x + s·log(1 + e^−x)            ∂L/∂x = (1 − t) − s·(1 − σ(x))
    hinge:                  L = Σ_{j≠y} max(0, m − x_y + x_j)^p       ∂L/∂x_j = p·max(0, m − x_y + x_j)^(p−1) for j ≠ y,
                                                                    ∂L/∂x_y = −Σ_{j≠y} of these

with s = 1 + (w₊ − 1)·t. For w₊ = 1 the first is −t·log σ(x) − (1 − t)·log(1 − σ(x)), and its gradient σ(x) − t. (The
CS231n notes on linear classification; Bishop, "Pattern recognition and machine learning", 2006, section 4.3.2; Crammer
and Singer, "On the algorithmic implementation of multiclass kernel-based vector machines", 2001.)
"""

from typing import Any

import torch
from torch import Tensor

from repronet.functional.function import Function
from repronet.functional.precision import accumulation_dtype, require_real, require_tensors


def binary_cross_entropy_with_logits_forward(input: Tensor, target: Tensor, positive: Tensor) -> Tensor:
    """(1 − t)·x + s·log(1 + e^−x), any shape; s = 1 + (w₊ − 1)·t is `positive`.

    log(1 + e^−x) is written as log(1 + e^−|x|) + max(−x, 0), which never overflows.
    """
    softplus = (-input.abs()).exp().log1p() + (-input).clamp(min=0)
    return (1 - target) * input + positive * softplus


def binary_cross_entropy_with_logits_input_gradient(
    grad_output: Tensor, input: Tensor, target: Tensor, positive: Tensor
) -> Tensor:
    """∂L/∂x = (1 − t) − s·(1 − σ(x)), and 1 − σ(x) = σ(−x)."""
    return grad_output * ((1 - target) - positive * (-input).sigmoid())


def binary_cross_entropy_with_logits_target_gradient(grad_output: Tensor, input: Tensor) -> Tensor:
    """∂L/∂t = −x, the other place of t being in s."""
    return grad_output * -input


def binary_cross_entropy_with_logits_positive_gradient(grad_output: Tensor, input: Tensor) -> Tensor:
    """∂L/∂s = log(1 + e^−x)."""
    return grad_output * ((-input.abs()).exp().log1p() + (-input).clamp(min=0))


class _BinaryCrossEntropy(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor, target: Tensor, positive: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits_forward(input, target, positive)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad,), (input, target, positive) = grad_outputs, ctx.saved_tensors
        needs_input, needs_target, needs_positive = ctx.needs_input_grad
        return (
            binary_cross_entropy_with_logits_input_gradient(grad, input, target, positive) if needs_input else None,
            binary_cross_entropy_with_logits_target_gradient(grad, input) if needs_target else None,
            binary_cross_entropy_with_logits_positive_gradient(grad, input) if needs_positive else None,
        )


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """−w·[ w₊·t·log σ(x) + (1 − t)·log(1 − σ(x)) ], averaged: every class by itself is there or not.

    Args:
        input, target: of one shape; t from 0 to 1.
        weight: w of each element, anything that broadcasts to the input.
        reduction: "mean", "sum" or "none".
        pos_weight: w₊ of each class, anything that broadcasts to the input.

    Raises:
        ValueError: for input and target of different shapes, or an unknown reduction.
        RuntimeError: for weights that do not broadcast.
        TypeError: for anything but tensors.
        NotImplementedError: for complex tensors.
    """
    _check("binary_cross_entropy_with_logits", input, target, reduction)
    require_tensors("binary_cross_entropy_with_logits", weight, pos_weight)
    if not input.is_floating_point() or input.dtype != target.dtype:
        raise NotImplementedError(f"needs input and target of one floating type, got {input.dtype}, {target.dtype}")
    if input.shape != target.shape:
        raise ValueError(f"input and target must have one shape, got {tuple(input.shape)} and {tuple(target.shape)}")
    _check_weight("weight", weight, input)
    _check_weight("pos_weight", pos_weight, input)
    wide = accumulation_dtype(input.dtype)
    x, t = input.to(wide), target.to(wide)
    positive = torch.ones_like(t) if pos_weight is None else 1 + (pos_weight.to(wide) - 1) * t
    losses = _BinaryCrossEntropy.apply(x, t, positive)
    losses = losses if weight is None else losses * weight.to(wide)
    return _reduced(losses, reduction).to(input.dtype)


def _check_weight(name: str, weight: Tensor | None, input: Tensor) -> None:
    if weight is None:
        return
    if not weight.is_floating_point():
        raise NotImplementedError(f"{name} must be floating point, got {weight.dtype}")
    if weight.dim() > input.dim():
        raise RuntimeError(f"{name} {tuple(weight.shape)} does not broadcast to the input {tuple(input.shape)}")


def multiclass_hinge_forward(margins: Tensor, p: int) -> Tensor:
    """Σ_j max(0, margin_j)^p: (N, C) → (N,)."""
    return (margins.clamp(min=0) ** p).sum(1)


def multiclass_hinge_margin_gradient(grad_losses: Tensor, margins: Tensor, p: int) -> Tensor:
    """p·max(0, margin_j)^(p−1), 0 where no margin is violated: (N,) → (N, C)."""
    violated = margins.detach().sign().clamp_min(0)
    slope = violated if p == 1 else 2 * margins.clamp(min=0)
    return grad_losses[:, None] * slope


class _Hinge(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(margins: Tensor, p: int) -> Tensor:
        return multiclass_hinge_forward(margins, p)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        margins, ctx.p = inputs
        ctx.save_for_backward(margins)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        return multiclass_hinge_margin_gradient(grad_outputs[0], ctx.saved_tensors[0], ctx.p), None


def multiclass_hinge(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    reduction: str = "mean",
    mean_over_classes: bool = True,
) -> Tensor:
    """w_y·Σ_{j≠y} max(0, m − x_y + x_j)^p, averaged: the multiclass SVM.

    Args:
        input: the scores x, (N, C), or (C,) for one picture.
        target: the labels, (N,) or ().
        p: 1, or 2 for the squared hinge.
        margin: m.
        weight: w of each class, (C,).
        reduction: "mean", "sum" or "none".
        mean_over_classes: divide by C, as torch's multi_margin_loss does; the CS231n notes do not.

    Raises:
        ValueError: for another p, or an unknown reduction.
        IndexError: for a label that is no class.
        RuntimeError: for shapes or dtypes that do not go together.
        TypeError: for anything but tensors.
        NotImplementedError: for integer and complex inputs.
    """
    _check("multiclass_hinge", input, target, reduction)
    require_tensors("multiclass_hinge", weight)
    scores, labels = _scores(input, target, p, weight)
    right = scores.gather(1, labels[:, None])  # (N, 1)
    others = torch.ones_like(scores).scatter(1, labels[:, None], 0.0)
    # The right class is given a margin that nothing violates, and no gradient: its share comes through `right`.
    losses = _Hinge.apply((margin - right + scores) * others, p)  # (N,)
    if weight is not None:
        losses = losses * weight.to(scores.dtype).gather(0, labels)
    losses = losses / scores.shape[1] if mean_over_classes else losses
    return _reduced(losses.reshape(target.shape), reduction).to(input.dtype)


def _scores(input: Tensor, target: Tensor, p: int, weight: Tensor | None) -> tuple[Tensor, Tensor]:
    """(N, C) and (N,), checked."""
    if not input.is_floating_point():
        raise NotImplementedError(f"multiclass_hinge needs floating point, got {input.dtype}")
    if p not in (1, 2):
        raise ValueError(f"multiclass_hinge needs p=1 or p=2, got {p}")
    if weight is not None and weight.dim() != 1:
        raise ValueError(f"weight must have one dimension, got shape {tuple(weight.shape)}")
    if target.dtype != torch.int64:
        raise RuntimeError(f"labels must be int64, got {target.dtype}")
    pictures = input.shape[0] if input.dim() == 2 else 1
    if input.dim() > 2 or 0 in input.shape[-1:] or target.dim() > 1 or target.numel() != pictures:
        shapes = f"{tuple(input.shape)} and {tuple(target.shape)}"
        raise RuntimeError(f"multiclass_hinge needs scores (N, C) and labels (N,), got {shapes}")
    classes = input.shape[-1] if input.dim() else 1
    if weight is not None and weight.shape != (classes,):
        raise RuntimeError(f"weight must have shape ({classes},), one a class, got {tuple(weight.shape)}")
    wrong = next((label for label in target.reshape(-1).tolist() if not 0 <= label < classes), None)
    if wrong is not None:
        raise IndexError(f"multiclass_hinge needs labels from 0 to {classes - 1}, got {wrong}")
    return input.reshape(-1, classes).to(accumulation_dtype(input.dtype)), target.reshape(-1)


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return losses
    return losses.sum() if reduction == "sum" else losses.sum() / max(1, losses.numel())


def _check(name: str, input: Tensor, target: Tensor, reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    if not isinstance(input, Tensor) or not isinstance(target, Tensor):
        raise TypeError(f"{name} needs tensors, got {type(input).__name__} and {type(target).__name__}")
    require_real(name, input)
    require_real(name, target)
