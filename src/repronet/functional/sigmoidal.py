"""Sigmoid-like activations, each with its gradient.

    sigmoid:      y = σ(x) = 1/(1 + e^−x)                  ∂L/∂x = ∂L/∂y · y·(1 − y)
    tanh:         y = (e^x − e^−x)/(e^x + e^−x)            ∂L/∂x = ∂L/∂y · (1 − y²)
    scaled tanh:  y = A·tanh(S·x)                          ∂L/∂x = ∂L/∂y · S·(A − y²/A)
    SiLU, swish:  y = x·σ(x)                               ∂L/∂x = ∂L/∂y · (σ(x) + y·(1 − σ(x)))
    hard sigmoid: y = min(max(0, x + 3), 6)/6              hard swish:  y = x·min(max(0, x + 3), 6)/6

The first three gradients need only the output y, which the next layer saves anyway. (Tanh: LeCun et al., "Efficient
BackProp", 1998, section 4.4, and "Gradient-based learning applied to document recognition", 1998, appendix A. SiLU:
Ramachandran, Zoph and Le, "Searching for activation functions", 2017. The hard ones: Howard et al., "Searching for
MobileNetV3", 2019, section 5.2.)
"""

import torch
from torch import Tensor

from repronet.functional.elementwise import as_floating, exp_of, require_floating, require_number, rewritten
from repronet.functional.function import differentiable, overridable
from repronet.functional.precision import accumulation_dtype
from repronet.functional.rectifier import relu6

# tanh(20) is 1 to the last digit of float64, and e^40 does not overflow in any dtype used for computing.
_TANH_IS_ONE = 20.0


def sigmoid_forward(input: Tensor) -> Tensor:
    """y = 1/(1 + e^−x), any shape. Where e^−x overflows, y is 0."""
    return exp_of(input, -1).add_(1).reciprocal_().to(input.dtype)


def sigmoid_input_gradient(grad_output: Tensor, output: Tensor) -> Tensor:
    """∂L/∂x = ∂L/∂y · y·(1 − y), with y = σ(x) the output."""
    y = output.to(accumulation_dtype(output.dtype))
    return (grad_output * ((1 - y) * y)).to(grad_output.dtype)


def tanh_forward(input: Tensor, amplitude: float = 1.0, slope: float = 1.0) -> Tensor:
    """y = A·tanh(S·x) = A·(e^{2Sx} − 1)/(e^{2Sx} + 1), any shape.

    expm1 keeps every digit near 0, where e^{2Sx} − 1 would cancel; the clamp avoids ∞/∞ for large x.
    """
    x = input.to(accumulation_dtype(input.dtype))
    t = torch.mul(x, 2 * slope).clamp_max_(2 * _TANH_IS_ONE).expm1_()  # in place: memory passes dominate the cost
    y = t.div_(t + 2)
    return (y if amplitude == 1 else y.mul_(amplitude)).to(input.dtype)


def tanh_input_gradient(grad_output: Tensor, output: Tensor, amplitude: float = 1.0, slope: float = 1.0) -> Tensor:
    """∂L/∂x = ∂L/∂y · S·(A − y²/A), with y = A·tanh(S·x) the output."""
    y = output.to(accumulation_dtype(output.dtype))
    return (grad_output * torch.rsub(y * y, slope * amplitude, alpha=slope / amplitude)).to(grad_output.dtype)


def silu_forward(input: Tensor) -> Tensor:
    """y = x·σ(x) = x/(1 + e^−x), any shape."""
    return torch.div(input, exp_of(input, -1).add_(1)).to(input.dtype)


def silu_input_gradient(grad_output: Tensor, input: Tensor) -> Tensor:
    """∂L/∂x = ∂L/∂y · (σ + x·σ·(1 − σ)), with σ = σ(x) recomputed to save memory."""
    x = input.to(accumulation_dtype(input.dtype))
    s = _sigmoid(x)
    return (grad_output * torch.addcmul(s, x * s, 1 - s)).to(grad_output.dtype)


_sigmoid = differentiable(sigmoid_forward, input=sigmoid_input_gradient)
_tanh = differentiable(tanh_forward, input=tanh_input_gradient)
_silu = differentiable(silu_forward, input=silu_input_gradient)


@overridable
def sigmoid(input: Tensor) -> Tensor:
    """Logistic function: y = 1/(1 + e^−x), any shape; integers and bool give the default floating type.

    Raises:
        TypeError: for anything but a tensor.
        NotImplementedError: for complex tensors.
    """
    return _sigmoid(as_floating("sigmoid", input))


@overridable
def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent: y = (e^x − e^−x)/(e^x + e^−x), any shape; integers and bool give the default floating type.

    Raises:
        TypeError: for anything but a tensor.
        NotImplementedError: for complex tensors.
    """
    return _tanh(as_floating("tanh", input), 1.0, 1.0)


@overridable
def scaled_tanh(input: Tensor, amplitude: float = 1.7159, slope: float = 2 / 3) -> Tensor:
    """y = A·tanh(S·x), any shape; LeCun's A and S map ±1 to ±1, where the curvature is largest.

    Args:
        input: integers and bool give the default floating type.
        amplitude: A, the bound of y; not 0.
        slope: S; the derivative at 0 is A·S.

    Raises:
        TypeError: for anything but a tensor and numbers.
        ValueError: for an amplitude of 0.
        NotImplementedError: for complex tensors.
    """
    require_number("amplitude", amplitude)
    require_number("slope", slope)
    if amplitude == 0:
        raise ValueError(f"amplitude must not be 0, got {amplitude}")
    return _tanh(as_floating("scaled_tanh", input), amplitude, slope)


@overridable
def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """Sigmoid linear unit, or swish: y = x·σ(x), any shape, floating point.

    Args:
        input: x.
        inplace: write the result into `input` and return it. A copy of x is then saved for the gradient.

    Raises:
        TypeError: for anything but a tensor.
        NotImplementedError: for integer, bool and complex tensors.
        RuntimeError: for `inplace` on a leaf that requires grad, or on memory that is written more than once.
    """
    require_floating("silu", input)
    return rewritten(_silu, input) if inplace else _silu(input)


@overridable
def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """Piecewise-linear sigmoid: y = min(max(0, x + 3), 6)/6, any shape, floating point.

    Raises:
        As `silu`.
    """
    require_floating("hardsigmoid", input)
    return rewritten(_hardsigmoid, input) if inplace else _hardsigmoid(input)


def _hardsigmoid(input: Tensor) -> Tensor:
    x = input.to(accumulation_dtype(input.dtype))
    return (relu6(x + 3) / 6).to(input.dtype)


@overridable
def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """Piecewise linear and quadratic swish: y = x·min(max(0, x + 3), 6)/6, any shape, floating point.

    At the two breakpoints x = −3 and x = 3 the gradient is that of the outer piece: 0 and 1.

    Raises:
        As `silu`.
    """
    require_floating("hardswish", input)
    return rewritten(_hardswish, input) if inplace else _hardswish(input)


def _hardswish(input: Tensor) -> Tensor:
    x = input.to(accumulation_dtype(input.dtype))
    return (x * relu6(x + 3) / 6).to(input.dtype)
