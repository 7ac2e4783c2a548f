"""Elementwise activations, each with its gradient.

    ReLU:  y = max(0, x)                            ∂L/∂x = ∂L/∂y where y > 0, else 0
    tanh:  y = (e^x − e^−x)/(e^x + e^−x)            ∂L/∂x = ∂L/∂y · (1 − y²)

Both gradients need only the output y, which the next layer keeps anyway. (Nair and Hinton, "Rectified linear units
improve restricted Boltzmann machines", 2010; LeCun et al., "Efficient BackProp", 1998.)
"""

from typing import Any

import torch
from torch import Tensor

from repronet.functional.precision import accumulation_dtype, require_real

# tanh(20) is 1 to the last digit of float64, and e^40 overflows no type that is computed in.
_TANH_IS_ONE = 20.0


def relu_forward(input: Tensor) -> Tensor:
    """y = max(0, x), any shape; NaN stays NaN."""
    return input.clamp(min=0)


def relu_input_gradient(grad_output: Tensor, output: Tensor) -> Tensor:
    """∂L/∂x = ∂L/∂y where the output is positive, 0 where it is 0 (so at x = 0, by convention)."""
    return torch.where(output <= 0, 0.0, grad_output)


def tanh_forward(input: Tensor) -> Tensor:
    """y = (e^{2x} − 1)/(e^{2x} + 1), any shape.

    expm1 keeps every digit near 0, where e^{2x} − 1 would cancel; the clamp keeps ∞/∞ out for large x.
    """
    x = input.to(accumulation_dtype(input.dtype)).clamp(max=_TANH_IS_ONE)
    t = x.mul_(2).expm1_()  # e^{2x} − 1; in place, since every pass over memory counts here
    return t.div_(t + 2).to(input.dtype)


def tanh_input_gradient(grad_output: Tensor, output: Tensor) -> Tensor:
    """∂L/∂x = ∂L/∂y · (1 − y²), with y = tanh x the output."""
    return grad_output * (1 - output * output)


class _ReLU(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        return relu_forward(input)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        (grad_output,), (output,) = grad_outputs, ctx.saved_tensors
        return relu_input_gradient(grad_output, output)


class _Tanh(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        return tanh_forward(input)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> Tensor:
        (grad_output,), (output,) = grad_outputs, ctx.saved_tensors
        return tanh_input_gradient(grad_output, output)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """Rectify: y = max(0, x).

    Args:
        input: any shape, floating point or integer.
        inplace: write the result into `input` and return it.

    Raises:
        TypeError: for anything but a tensor.
        NotImplementedError: for bool and complex tensors.
        RuntimeError: for `inplace` on a leaf that requires grad, or on memory that is written more than once.
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"relu needs a tensor, got {type(input).__name__}")
    if input.dtype == torch.bool:
        raise NotImplementedError("relu needs numbers, got torch.bool")
    require_real("relu", input)
    output = _ReLU.apply(input)
    # The copy, not the Function, changes `input`: autograd then sees an ordinary in-place write.
    return input.copy_(output) if inplace else output


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent: y = (e^x − e^−x)/(e^x + e^−x), any shape; integers give the default floating type.

    Raises:
        TypeError: for anything but a tensor.
        NotImplementedError: for complex tensors.
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"tanh needs a tensor, got {type(input).__name__}")
    require_real("tanh", input)
    return _Tanh.apply(input if input.is_floating_point() else input.to(torch.get_default_dtype()))
