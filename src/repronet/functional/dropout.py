"""Dropout, forward and gradient: in training, zero each element with probability p and scale up the others.

    y = x · m,    m = 0 with probability p, else 1/(1 − p)          ∂L/∂x = ∂L/∂y · m

The expected value of y is x, so evaluation returns x unchanged; the paper scales the weights down there instead, which
is equivalent. dropout2d draws one m per channel map. (Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov,
"Dropout: a simple way to prevent neural networks from overfitting", 2014, section 4; whole maps: Tompson et al.,
"Efficient object localization using convolutional networks", 2015, section 3.2.)
"""

import warnings

import torch
from torch import Tensor

from repronet.functional.elementwise import applied
from repronet.functional.function import differentiable, overridable
from repronet.functional.precision import require_real

_share: list[tuple[slice, int]] = []  # (rows, total) while several processes share a batch, else empty


def draw_as_share(rows: slice | None, total: int = 0) -> None:
    """From now on, draw masks for `rows` of a batch of `total` images as one process would for all; None to end this.

    The rows then get the same masks for any number of processes. Inputs with another number of rows get ordinary
    masks.
    """
    _share[:] = [] if rows is None else [(rows, total)]


def dropout_mask(like: Tensor, p: float) -> Tensor:
    """m: 0 with probability p, else 1/(1 − p), in the shape and dtype of `like`; on a CPU, torch draws the same m."""
    if p == 1:
        return torch.zeros_like(like)
    for rows, total in _share:
        if len(like) == rows.stop - rows.start:
            innermost = like.dim() == 4 and not like.is_contiguous()
            order = torch.channels_last if innermost else torch.contiguous_format
            whole = torch.empty((total, *like.shape[1:]), dtype=like.dtype, device=like.device, memory_format=order)
            return whole.bernoulli_(1 - p)[rows].div_(1 - p)
    return torch.empty_like(like).bernoulli_(1 - p).div_(1 - p)


def dropout_forward(input: Tensor, mask: Tensor, out: Tensor | None = None) -> Tensor:
    """y = x·m, where m may be broadcast: any shape."""
    return torch.mul(input, mask, out=out)


def dropout_input_gradient(grad_output: Tensor, mask: Tensor) -> Tensor:
    """∂L/∂x = ∂L/∂y · m."""
    return grad_output * mask


_dropout = differentiable(dropout_forward, input=dropout_input_gradient)


@overridable
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability p, and divide the others by 1 − p.

    Args:
        input: any shape, floating point.
        p: probability of zeroing an element, 0 to 1.
        training: if false, the input is returned unchanged.
        inplace: write the result into `input` and return it.

    Raises:
        ValueError: for a p outside 0 to 1.
        TypeError: for anything but a tensor and a number.
        NotImplementedError: for complex tensors.
        RuntimeError: in training, for integers; for `inplace` on a leaf that requires grad, or on a tensor whose
            elements share memory.
    """
    if _changes_nothing("dropout", input, p, training):
        return input
    return applied(_dropout, input, inplace, dropout_mask(input, p))


@overridable
def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each channel map with probability p, and divide the others by 1 − p: (N, C, H, W).

    Other shapes are treated as (N, C, …), as in torch, with a warning.

    Args:
        input: floating point.
        p: probability of zeroing a map, 0 to 1.
        training: if false, the input is returned unchanged.
        inplace: write the result into `input` and return it.

    Raises:
        As `dropout`, and RuntimeError in training for fewer than two dimensions.
    """
    nothing = _changes_nothing("dropout2d", input, p, training)
    if input.dim() != 4:
        warnings.warn(f"dropout2d takes {tuple(input.shape)} for (N, C, …); use dropout?", stacklevel=2)
    if nothing:
        return input
    if input.dim() < 2:
        raise RuntimeError(f"dropout2d needs an input (N, C, …), got shape {tuple(input.shape)}")
    maps = input.new_empty((*input.shape[:2], *[1] * (input.dim() - 2)))  # (N, C, 1, 1)
    return applied(_dropout, input, inplace, dropout_mask(maps, p))


def _changes_nothing(name: str, input: Tensor, p: float, training: bool) -> bool:
    """Whether the output is the input, after checking the arguments."""
    if not isinstance(input, Tensor) or not isinstance(p, int | float):
        raise TypeError(f"{name} needs a tensor and a probability, got {type(input).__name__} and {p!r}")
    if not 0 <= p <= 1:
        raise ValueError(f"p must be from 0 to 1, got {p}")
    require_real(name, input)
    nothing = p == 0 or not training or input.numel() == 0
    if not nothing and not input.is_floating_point():
        raise RuntimeError(f"{name} needs floating point in training, got {input.dtype}")
    return nothing
