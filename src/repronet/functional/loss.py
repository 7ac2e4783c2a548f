"""The Euclidean loss, with its gradients, and the loss of LeNet-5.

    Euclidean:  l = w·(x − t)²      ∂l/∂x = 2w·(x − t)      ∂l/∂t = −2w·(x − t)      ∂l/∂w = (x − t)²

(Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", 1986; the CS231n notes on
neural networks. For the loss of LeNet-5 see `rbf_loss`.)
"""

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from repronet.functional.class_labels import class_dim, require_classes
from repronet.functional.cross_entropy import cross_entropy
from repronet.functional.elementwise import require_floating, require_number
from repronet.functional.function import differentiable, overridable
from repronet.functional.loss_reduction import (
    in_full_precision,
    not_a_number_if,
    reduced,
    require_reduction,
    require_tensor,
    share_of_each,
)
from repronet.functional.precision import accumulation_dtype, require_real


def mse_loss_forward(input: Tensor, target: Tensor, weight: Tensor | None, share: float, total: bool) -> Tensor:
    """l = share·w·(x − t)²: any shape, or () for the total."""
    difference = input - target
    losses = difference.mul_(difference)
    return reduced(losses if weight is None else losses * weight, share, total)


def mse_loss_input_gradient(
    grad_output: Tensor, input: Tensor, target: Tensor, weight: Tensor | None, share: float
) -> Tensor:
    """∂L/∂x = ∂L/∂l·share·2w·(x − t), any shape; ∂L/∂t is its negative."""
    each = grad_output * (2 * share)
    return (input - target) * (each if weight is None else each * weight)


def mse_loss_weight_gradient(grad_output: Tensor, input: Tensor, target: Tensor, share: float) -> Tensor:
    """∂L/∂w = ∂L/∂l·share·(x − t)², any shape."""
    difference = input - target
    return difference * difference * (grad_output * share)


def _mse_loss_gradients(
    grad_output: Tensor, input: Tensor, target: Tensor, weight: Tensor | None, share: float, needs: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """∂L/∂x, ∂L/∂t and ∂L/∂w; None for those not needed."""
    needs_input, needs_target, needs_weight, *_ = needs
    of_input = None
    if needs_input or needs_target:
        of_input = mse_loss_input_gradient(grad_output, input, target, weight, share)
    return (
        of_input if needs_input else None,
        -of_input if needs_target and of_input is not None else None,
        mse_loss_weight_gradient(grad_output, input, target, share) if needs_weight else None,
    )


_mse_loss = differentiable(mse_loss_forward, _mse_loss_gradients)


@overridable
def mse_loss(input: Tensor, target: Tensor, *, reduction: str = "mean", weight: Tensor | None = None) -> Tensor:
    """Squared differences, the Euclidean loss: l = w·(x − t)².

    Args:
        input: any shape.
        target: with the input's shape. Another shape that broadcasts gives a warning, since it is seldom intended.
        reduction: "mean", "sum", or "none" for every l.
        weight: w of each element, with the input's shape, or None. With weights, the mean is Σ l/Σ w.

    Returns:
        () or, without reduction, the shape of the input.

    Raises:
        ValueError: for a weight of another shape, or an unknown reduction.
        RuntimeError: for shapes that do not broadcast.
        TypeError: for anything but tensors.
        NotImplementedError: for complex tensors, or if all tensors are integers.
    """
    require_tensor("mse_loss", input=input, target=target)
    require_reduction(reduction)
    if weight is not None:
        require_tensor("mse_loss", weight=weight)
        if weight.shape != input.shape:
            shapes = f"{tuple(weight.shape)} and {tuple(input.shape)}"
            raise ValueError(f"mse_loss needs weight and input of one shape, got {shapes}")
    if target.shape != input.shape:
        shapes = f"{tuple(input.shape)} and {tuple(target.shape)}"
        warnings.warn(f"mse_loss broadcasts an input and a target of shapes {shapes}", stacklevel=2)
    given = [tensor for tensor in in_full_precision(input, target, weight) if tensor is not None]
    dtype = _common_dtype("mse_loss", given)
    x, t, *w = torch.broadcast_tensors(*(tensor.to(accumulation_dtype(dtype)) for tensor in given))
    total = reduction != "none"
    if not w:
        loss = _mse_loss(x, t, None, share_of_each(reduction, x.numel()), total).to(dtype)
        return not_a_number_if(reduction == "mean" and x.numel() == 0, loss)
    loss = _mse_loss(x, t, w[0], 1.0, total)
    return (loss / given[2].to(loss.dtype).sum() if reduction == "mean" else loss).to(dtype)


def _common_dtype(name: str, tensors: list[Tensor]) -> torch.dtype:
    """The dtype that torch's arithmetic would give."""
    dtype = tensors[0].dtype
    for tensor in tensors:
        require_real(name, tensor)
        dtype = torch.promote_types(dtype, tensor.dtype)
    if not dtype.is_floating_point:
        raise NotImplementedError(f"{name} needs real floating point, got {dtype}")
    return dtype


@overridable
def rbf_loss(input: Tensor, target: Tensor, rubbish: float = 10.0, *, reduction: str = "mean") -> Tensor:
    """LeNet-5's maximum a posteriori criterion: l = y_D + log(e^{−j} + Σ_i e^{−y_i}).

    y_i is the squared distance to the code of class i, D the correct class and j the distance of an extra "rubbish"
    class: codes of wrong classes much farther away than j are hardly pushed further, since

        ∂l/∂y_i = [i = D] − e^{−y_i} / (e^{−j} + Σ_k e^{−y_k}).

    This is the cross-entropy of the scores −y and one more, −j, for a class that is never correct. (LeCun et al.,
    "Gradient-based learning applied to document recognition", 1998, section III.C, equation 9.)

    Args:
        input: the negated distances −y, (N, C), (N, C, …) or (C,), as a network's scores.
        target: correct classes from 0 to C − 1, with the input's shape without C.
        rubbish: j; the paper says only that it is positive.
        reduction: "mean", as in the paper, "sum", or "none" for every l.

    Returns:
        () or, without reduction, the shape of the target.

    Raises:
        As `cross_entropy`.
    """
    require_tensor("rbf_loss", input=input, target=target)
    require_floating("rbf_loss", input)
    require_number("rubbish", rubbish)
    if input.dim() == 0:
        raise RuntimeError("rbf_loss needs an input (N, C, …) or (C,), got one number")
    dim = class_dim(input)
    require_classes("rbf_loss", target, input.shape[dim])  # the rubbish class is not a valid label
    score = torch.full_like(input.narrow(dim, 0, 1), -rubbish)  # (N, 1, …)
    return cross_entropy(torch.cat([input, score], dim), target, reduction=reduction)  # of (N, C + 1, …)
