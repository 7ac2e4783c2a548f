"""Helpers of the losses: the reduction from one loss per example to one number, and checks of arguments."""

from typing import Any

import torch
from torch import Tensor

from repronet.functional.function import is_differentiated
from repronet.functional.precision import is_lowered

REDUCTIONS = ("none", "mean", "sum")
Share = float | Tensor  # the factor of each loss: one number for all, or one per loss


def require_reduction(reduction: str) -> None:
    """Refuse an unknown reduction.

    Raises:
        ValueError: for anything but "none", "mean" and "sum".
    """
    if not isinstance(reduction, str) or reduction not in REDUCTIONS:
        raise ValueError(f"reduction must be one of {', '.join(REDUCTIONS)}, got {reduction!r}")


def require_tensor(name: str, **arguments: Any) -> None:
    """Refuse arguments that are not tensors.

    Raises:
        TypeError: for anything else.
    """
    for argument, value in arguments.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name} needs a tensor for {argument}, got {type(value).__name__}")


def require_constant(name: str, **arguments: Tensor | None) -> None:
    """Refuse an argument that requires a gradient which the loss does not compute, as torch does.

    Raises:
        RuntimeError: for a tensor that requires grad.
    """
    for argument, value in arguments.items():
        if value is not None and is_differentiated(value):
            raise RuntimeError(f"{name} has no gradient for {argument}, which requires one: {tuple(value.shape)}")


def share_of_each(reduction: str, losses: int) -> float:
    """The factor of each of m losses: 1/m for the mean, else 1."""
    return 1 / max(losses, 1) if reduction == "mean" else 1.0


def not_a_number_if(condition: bool, loss: Tensor) -> Tensor:
    """Replace the mean over no losses by NaN. Gradients do not change, since there are no elements."""
    return loss + float("nan") if condition else loss


def reduced(losses: Tensor, share: Share, total: bool) -> Tensor:
    """The losses times their shares, or the sum of these if `total`."""
    if not isinstance(share, Tensor) and total:
        return losses.sum() * share
    scaled = losses * share
    return scaled.sum() if total else scaled


def without_ignored(losses: Tensor, share: Share) -> Tensor:
    """Set losses with a share of 0 to 0: an ignored loss may be infinite or NaN."""
    return losses.masked_fill(share == 0, 0) if isinstance(share, Tensor) else losses


def of_each(grad_output: Tensor, dim: int, total: bool) -> Tensor:
    """The gradient of each loss, to broadcast along the classes: (N, …) → (N, 1, …), () for the total."""
    return grad_output if total else grad_output.unsqueeze(dim)


def in_full_precision(*tensors: Tensor | None) -> tuple[Any, ...]:
    """Inside `torch.autocast`, convert half-precision types to float32, in which torch computes its losses there."""
    if not is_lowered(next(tensor for tensor in tensors if isinstance(tensor, Tensor))):
        return tensors
    halves = (torch.float16, torch.bfloat16)
    return tuple(t.float() if isinstance(t, Tensor) and t.dtype in halves else t for t in tensors)
