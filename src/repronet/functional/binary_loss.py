"""Sigmoid cross-entropy: each class is present or absent, independently of the others.

With a target t from 0 to 1, a weight w of each element and a weight v of positive examples (with excess v − 1),

    l = −w·(v·t·log σ(x) + (1 − t)·log(1 − σ(x)))
      = w·((1 − t)·x + s·log(1 + e^−x)),             s = 1 + (v − 1)·t

    ∂l/∂x = w·(1 − t − s·σ(−x))                      which is σ(x) − t for v = w = 1
    ∂l/∂t = w·((v − 1)·log(1 + e^−x) − x)

log(1 + e^−x) is computed as max(0, −x) + log(1 + e^−|x|), which never overflows. (The CS231n notes on neural networks,
attribute classification; Bishop, "Pattern recognition and machine learning", 2006, section 4.3.2.)
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from repronet.functional.elementwise import require_floating
from repronet.functional.function import differentiable, overridable
from repronet.functional.loss_reduction import (
    in_full_precision,
    not_a_number_if,
    reduced,
    require_constant,
    require_reduction,
    require_tensor,
    share_of_each,
)
from repronet.functional.precision import accumulation_dtype, broadcasts, require_real
from repronet.functional.sigmoidal import sigmoid


def _softplus_of_negative(input: Tensor) -> Tensor:
    """log(1 + e^−x)."""
    return input.abs().neg_().exp_().log1p_().sub_(input.clamp_max(0))


def binary_cross_entropy_with_logits_forward(
    input: Tensor, target: Tensor, weight: Tensor | None, excess: Tensor | None, share: float, total: bool
) -> Tensor:
    """l = share·w·((1 − t)·x + s·log(1 + e^−x)): any shape, or () for the total."""
    softplus = _softplus_of_negative(input)
    if excess is not None:
        softplus = softplus * (1 + excess * target)
    losses = torch.addcmul(softplus, 1 - target, input)
    return reduced(losses if weight is None else losses * weight, share, total)


def binary_cross_entropy_with_logits_input_gradient(
    grad_output: Tensor, input: Tensor, target: Tensor, excess: Tensor | None
) -> Tensor:
    """∂L/∂x = ∂L/∂l·(1 − t − s·σ(−x)), any shape; ∂L/∂l already includes w and the share."""
    if excess is None:
        return grad_output * (sigmoid(input) - target)
    return grad_output * (1 - target - (1 + excess * target) * sigmoid(-input))


def binary_cross_entropy_with_logits_target_gradient(
    grad_output: Tensor, input: Tensor, excess: Tensor | None
) -> Tensor:
    """∂L/∂t = ∂L/∂l·((v − 1)·log(1 + e^−x) − x), any shape; ∂L/∂l already includes w and the share."""
    if excess is None:
        return grad_output * -input
    return grad_output * (excess * _softplus(input) - input)


# Its derivative −σ(−x) is needed for second derivatives with respect to x and t.
_softplus = differentiable(_softplus_of_negative, input=lambda grad_output, input: grad_output * -sigmoid(-input))


def _gradients(
    grad_output: Tensor,
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    excess: Tensor | None,
    share: float,
    needs: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None]:
    """∂L/∂x and ∂L/∂t; None for one that is not needed."""
    each = grad_output * share if weight is None else grad_output * share * weight
    return (
        binary_cross_entropy_with_logits_input_gradient(each, input, target, excess) if needs[0] else None,
        binary_cross_entropy_with_logits_target_gradient(each, input, excess) if needs[1] else None,
    )


_binary_cross_entropy = differentiable(binary_cross_entropy_with_logits_forward, _gradients)


@overridable
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    *,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Cross-entropy between each target and the sigmoid of its input, see above.

    Args:
        input: scores x before the sigmoid, any shape.
        target: t from 0 to 1, with the input's shape.
        weight: w of each element, a tensor that broadcasts to the input, or None.
        reduction: "mean", "sum", or "none" for every l.
        pos_weight: v of the positive examples, a tensor that broadcasts to the input, or None.

    Returns:
        The loss in the target's dtype: () or, without reduction, the input's shape.

    Raises:
        ValueError: if target and input differ in shape, or for an unknown reduction.
        RuntimeError: for weights that do not broadcast to the input, or that require grad.
        TypeError: for anything but tensors.
        NotImplementedError: for tensors that are not real floating point; the weights may also be integers.
    """
    name = "binary_cross_entropy_with_logits"
    require_tensor(name, input=input, target=target)
    require_reduction(reduction)
    if target.shape != input.shape:
        shapes = f"{tuple(input.shape)} and {tuple(target.shape)}"
        raise ValueError(f"{name} needs input and target of one shape, got {shapes}")
    input, target, weight, pos_weight = in_full_precision(input, target, weight, pos_weight)
    require_floating(name, input)
    require_floating(name, target)
    dtype = accumulation_dtype(torch.promote_types(input.dtype, target.dtype))
    _require_broadcast("weight", weight, input)
    _require_broadcast("pos_weight", pos_weight, input)
    w = None if weight is None else weight.to(dtype)
    excess = None if pos_weight is None else (pos_weight - 1).to(dtype)
    share = share_of_each(reduction, input.numel())
    losses = _binary_cross_entropy(input.to(dtype), target.to(dtype), w, excess, share, reduction != "none")
    return not_a_number_if(reduction == "mean" and input.numel() == 0, losses.to(target.dtype))


def _require_broadcast(what: str, weight: Tensor | None, input: Tensor) -> None:
    """Refuse anything but a constant that broadcasts to the input, or None."""
    if weight is None:
        return
    require_tensor("binary_cross_entropy_with_logits", **{what: weight})
    require_constant("binary_cross_entropy_with_logits", **{what: weight})
    if not broadcasts(weight.shape, input.shape):
        raise RuntimeError(f"{what} {tuple(weight.shape)} does not broadcast to the input {tuple(input.shape)}")
    require_real(what, weight)
