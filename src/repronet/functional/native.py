"""Calls of the compiled kernels in `repronet.native`: which tensors they accept, in which memory layout; results."""

from __future__ import annotations

from ctypes import Array, c_double, c_int, c_int64, c_void_p
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from repronet import native
from repronet.functional.function import is_plain

_SUFFIX = {torch.float32: "float", torch.float64: "double"}
_PLAIN = (Tensor, nn.Parameter)


def refusal() -> str | None:
    """The reason why `algorithm="native"` is unavailable here, in one line; None if it is available."""
    return native.missing()


# Tells torch.compile not to trace it, as torch.compiler.assume_constant_result does, which would import the compiler.
refusal._dynamo_marked_constant = True  # type: ignore[attr-defined]


def require() -> None:
    """Refuse `algorithm="native"` if the kernels are unavailable.

    Raises:
        ValueError: if they are, with the reason.
    """
    reason = refusal()
    if reason is not None:
        raise ValueError(f"algorithm='native' does not apply: {reason}")


def readable(*tensors: Tensor | None) -> bool:
    """Whether kernels can read these tensors: all float32 or all float64, in CPU memory, none empty."""
    given = [tensor for tensor in tensors if tensor is not None]
    dtype = given[0].dtype
    return dtype in _SUFFIX and all(
        type(tensor) in _PLAIN and tensor.device.type == "cpu" and tensor.dtype == dtype and tensor.numel() > 0
        for tensor in given
    )


def serves(*tensors: Tensor | None) -> bool:
    """Whether kernels can read these tensors, and nothing differentiates or traces the computation."""
    return is_plain() and readable(*tensors)


def is_channels_last(tensor: Tensor) -> bool:
    """Whether the channels are innermost in memory; always true for (N, C)."""
    return tensor.dim() == 2 or (
        tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)
    )


def in_layout(tensor: Tensor, channels_last: bool) -> Tensor:
    """The tensor as contiguous memory, in channels-last order or in the order of its dimensions."""
    last = channels_last and tensor.dim() == 4
    return tensor.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)


@cache
def lanes(dtype: torch.dtype) -> int:
    """How many numbers of this dtype a vector register of this processor holds."""
    return getattr(native.library(), f"lanes_{_SUFFIX[dtype]}")()


def call(name: str, dtype: torch.dtype, *args: Any) -> None:
    """Run a kernel: tensors are passed as addresses, None as NULL, integers as int64; the thread count comes last."""
    words = [_word(value) for value in args]
    getattr(native.library(), f"{name}_{_SUFFIX[dtype]}")(*words, c_int(torch.get_num_threads()))


def _word(value: Any) -> Any:
    if isinstance(value, Tensor):
        return c_void_p(value.data_ptr())
    if isinstance(value, Array):
        return value
    if isinstance(value, bool):
        return c_int(value)
    if isinstance(value, int):
        return c_int64(value)
    return c_double(value) if isinstance(value, float) else c_void_p(value)


def _sizes(input: Tensor) -> tuple[int, int, int]:
    """(N, C, …) → N, C and the number of positions in a plane."""
    batch, channels = input.shape[:2]
    return batch, channels, input.numel() // (batch * channels)


def norm_forward(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    residual: Tensor | None = None,
    relu: bool = False,
    statistics: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """γ·x̂ + β, then a residual and a ReLU if requested; mean, variance: (N, C, …) → (N, C, …), (C,), (C,).

    Args:
        statistics: mean and variance to use instead of the batch's own.
    """
    last = is_channels_last(input)
    x = in_layout(input, last)
    added = None if residual is None else in_layout(residual, last)
    output = torch.empty_like(x)
    mean, variance = statistics or (x.new_empty(x.shape[1]), x.new_empty(x.shape[1]))
    parameters = (None if value is None else value.contiguous() for value in (weight, bias))
    given = statistics is not None
    held = (x, added, output, *parameters, mean.contiguous(), variance.contiguous())
    call("norm_forward", x.dtype, *held, float(eps), *_sizes(x), last, relu, given)
    return output, mean, variance


def norm_gradients(
    grad_output: Tensor,
    input: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    eps: float,
    output: Tensor | None = None,
    with_residual: bool = False,
) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
    """The gradients of `norm_forward` for input, residual, γ and β.

    Args:
        output: the output of the forward pass, if it ended with a ReLU.
        with_residual: whether to compute the gradient of a residual that was added before the ReLU.
    """
    last = is_channels_last(input)
    x, grad = in_layout(input, last), in_layout(grad_output, last)
    y = None if output is None else in_layout(output, last)
    of_input, of_residual = torch.empty_like(x), torch.empty_like(x) if with_residual else None
    of_weight, of_bias = torch.empty_like(mean), torch.empty_like(mean)
    gamma = None if weight is None else weight.contiguous()
    held = (grad, x, y, mean, variance, gamma, of_input, of_residual, of_weight, of_bias)
    call("norm_backward", x.dtype, *held, float(eps), *_sizes(x), last)
    return of_input, of_residual, of_weight, of_bias
