"""Maxout, forward and gradient: the maximum over each group of k consecutive channels.

    y_i = max(x_{ik}, …, x_{ik+k−1})                       ∂L/∂x = ∂L/∂y for the first largest x; 0 for the others

After a convolution or a linear layer with k times the channels, each y is the maximum of k learnt linear functions.
(Goodfellow, Warde-Farley, Mirza, Courville and Bengio, "Maxout networks", 2013, section 3.)
"""

from functools import reduce

import torch
from torch import Tensor

from repronet.functional.function import differentiable, overridable
from repronet.functional.precision import require_real


def _pieces(input: Tensor, pool_size: int, dim: int) -> tuple[Tensor, ...]:
    """The first channel of every group, the second of every group, …: (N, C, …) → k views (N, C/k, …)."""
    groups = input.unflatten(dim, (input.shape[dim] // pool_size, pool_size))  # (N, C/k, k, …)
    return groups.unbind(dim + 1)


def maxout_forward(input: Tensor, pool_size: int, dim: int) -> Tensor:
    """y = max over each group of k: (N, C, …) → (N, C/k, …); NaN stays NaN."""
    pieces = _pieces(input, pool_size, dim)
    return reduce(torch.maximum, pieces) if pool_size > 1 else pieces[0].clone()


def maxout_input_gradient(grad_output: Tensor, input: Tensor, output: Tensor, pool_size: int, dim: int) -> Tensor:
    """∂L/∂x = ∂L/∂y for the first x of a group that equals y, 0 for the others: (N, C/k, …) → (N, C, …).

    Each piece keeps the gradient where it is the maximum and passes the rest on; the last one keeps what is left.
    Nothing is rounded. An infinite ∂L/∂y becomes NaN.
    """
    rest, kept = grad_output, []
    for piece in _pieces(input.detach(), pool_size, dim)[:-1]:
        loses = (output.detach() - piece).sign_()  # (N, C/k, …), 1 below the maximum, 0 for it and for NaN
        handed_on = rest * loses
        kept.append(rest - handed_on)
        rest = handed_on
    return torch.stack([*kept, rest], dim + 1).flatten(dim, dim + 1)  # (N, C/k, k, …) → (N, C, …)


_maxout = differentiable(maxout_forward, input=maxout_input_gradient)


@overridable
def maxout(input: Tensor, pool_size: int, dim: int = 1) -> Tensor:
    """Maximum over each group of `pool_size` consecutive channels: (N, C, …) → (N, C/pool_size, …).

    torch has no such operator.

    Args:
        input: any shape, floating point or integer.
        pool_size: k, which must divide the number of channels.
        dim: the dimension of the channels.

    Raises:
        TypeError: for anything but a tensor and integers.
        IndexError: for a dimension that the input does not have.
        ValueError: for a pool size that is below 1 or does not divide the number of channels.
        NotImplementedError: for bool and complex tensors.
    """
    if not isinstance(input, Tensor) or not isinstance(pool_size, int) or not isinstance(dim, int):
        got = f"{type(input).__name__}, {pool_size!r} and {dim!r}"
        raise TypeError(f"maxout needs a tensor and two integers, got {got}")
    if not -input.dim() <= dim < input.dim():
        raise IndexError(f"maxout needs a dim of the input {tuple(input.shape)}, got {dim}")
    if pool_size < 1 or input.shape[dim] % pool_size:
        raise ValueError(f"pool_size must divide the {input.shape[dim]} channels, got {pool_size}")
    require_real("maxout", input)
    if input.dtype == torch.bool:
        raise NotImplementedError("maxout needs numbers, got torch.bool")
    return _maxout(input, pool_size, dim % input.dim())
