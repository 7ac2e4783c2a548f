"""Softmax and log softmax: scores to probabilities or their logarithms, each with its gradient.

    softmax:      p_i = e^{x_i} / Σ_j e^{x_j}              ∂L/∂x_i = p_i · (∂L/∂p_i − Σ_j ∂L/∂p_j · p_j)
    log softmax:  l_i = x_i − log Σ_j e^{x_j}              ∂L/∂x_i = ∂L/∂l_i − e^{l_i} · Σ_j ∂L/∂l_j

Both subtract the largest x first, which changes nothing and keeps e^x from overflowing. (Bridle, "Probabilistic
interpretation of feedforward classification network outputs", 1990; the CS231n notes on linear classification.)
"""

import torch
from torch import Tensor

from repronet.functional.elementwise import exp_of, require_floating
from repronet.functional.function import differentiable, overridable
from repronet.functional.precision import accumulation_dtype


def _below_largest(input: Tensor, dim: int) -> Tensor:
    """x − max x along the dimension, in the dtype used for sums."""
    x = input.to(accumulation_dtype(input.dtype))
    return x - x.amax(dim, keepdim=True)


def softmax_forward(input: Tensor, dim: int) -> Tensor:
    """p = e^x / Σ e^x along the dimension, any shape."""
    if input.numel() == 0:
        return torch.empty_like(input)
    powers = exp_of(_below_largest(input, dim))
    return powers.div_(powers.sum(dim, keepdim=True)).to(input.dtype)


def softmax_input_gradient(grad_output: Tensor, output: Tensor, dim: int) -> Tensor:
    """∂L/∂x = p·(∂L/∂p − Σ ∂L/∂p·p), with p the output."""
    dtype = accumulation_dtype(output.dtype)
    g, p = grad_output.to(dtype), output.to(dtype)
    return (p * (g - (g * p).sum(dim, keepdim=True))).to(output.dtype)


def log_softmax_forward(input: Tensor, dim: int) -> Tensor:
    """l = x − log Σ e^x along the dimension, any shape."""
    if input.numel() == 0:
        return torch.empty_like(input)
    x = _below_largest(input, dim)
    return x.sub_(exp_of(x).sum(dim, keepdim=True).log_()).to(input.dtype)


def log_softmax_input_gradient(grad_output: Tensor, output: Tensor, dim: int) -> Tensor:
    """∂L/∂x = ∂L/∂l − e^l·Σ ∂L/∂l, with l the output."""
    g = grad_output.to(accumulation_dtype(output.dtype))
    return torch.addcmul(g, exp_of(output), g.sum(dim, keepdim=True), value=-1).to(output.dtype)


_softmax = differentiable(softmax_forward, input=softmax_input_gradient)
_log_softmax = differentiable(log_softmax_forward, input=log_softmax_input_gradient)


@overridable
def softmax(input: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Probabilities along one dimension: p_i = e^{x_i} / Σ_j e^{x_j}.

    Args:
        input: any shape, floating point.
        dim: the dimension along which the probabilities sum to 1. Unlike in torch, it must be given.
        dtype: cast the input to this dtype first; the input may then be integers.

    Raises:
        TypeError: for arguments of the wrong kind.
        IndexError: for a dimension that the input does not have.
        NotImplementedError: for integer, bool and complex tensors.
    """
    return _softmax(_prepared("softmax", input, dim, dtype), dim)


@overridable
def log_softmax(input: Tensor, dim: int, dtype: torch.dtype | None = None) -> Tensor:
    """Logarithms of the softmax along one dimension: l_i = x_i − log Σ_j e^{x_j}; accurate even where p underflows.

    Args:
        input: any shape, floating point.
        dim: the dimension along which the probabilities sum to 1.
        dtype: cast the input to this dtype first; the input may then be integers.

    Raises:
        As `softmax`.
    """
    return _log_softmax(_prepared("log_softmax", input, dim, dtype), dim)


def _prepared(name: str, input: Tensor, dim: int, dtype: torch.dtype | None) -> Tensor:
    if not isinstance(input, Tensor) or not isinstance(dim, int) or not isinstance(dtype, torch.dtype | None):
        got = f"{type(input).__name__}, dim={dim!r} and dtype={dtype!r}"
        raise TypeError(f"{name} needs a tensor, a dimension and a dtype or None, got {got}")
    dimensions = max(input.dim(), 1)  # a single number counts as one dimension
    if not -dimensions <= dim < dimensions:
        raise IndexError(f"{name} needs a dim from {-dimensions} to {dimensions - 1}, got {dim}")
    typed = input if dtype is None else input.to(dtype)
    require_floating(name, typed)
    return typed
