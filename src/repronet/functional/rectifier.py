"""Activations that keep positive numbers and treat the others differently, each with its gradients.

    ReLU:        y = max(0, x)                           ∂L/∂x = ∂L/∂y · [y > 0]
    ReLU6:       y = min(max(0, x), 6)                   ∂L/∂x = ∂L/∂y · [0 < y < 6]
    leaky ReLU:  y = x if x > 0, else s·x                ∂L/∂x = ∂L/∂y · (1 if x > 0, else s)
    PReLU:       y = x if x > 0, else w·x                as above with w for s;   ∂L/∂w = Σ ∂L/∂y · min(x, 0)
    ELU:         y = x if x > 0, else α·(e^x − 1)        ∂L/∂x = ∂L/∂y · (1 if y > 0, else y + α)

The gradient keeps the output, which the next layer keeps anyway, wherever the output tells on which side x was.
[x > 0] is a float, 0 or 1, since a product with it takes a tenth of the time of a selection by bool. A product is not
a selection: 0 times an infinite ∂L/∂y is NaN, where a selection would give 0.

(ReLU: Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", 2010. Leaky: Maas, Hannun and
Ng, "Rectifier nonlinearities improve neural network acoustic models", 2013, section 2. PReLU: He et al., "Delving deep
into rectifiers", 2015, section 2.1. ELU: Clevert, Unterthiner and Hochreiter, "Fast and accurate deep network learning
by exponential linear units", 2016, equation 15. ReLU6: Krizhevsky, "Convolutional deep belief networks on CIFAR-10",
2010.)
"""

import torch
from torch import Tensor

from repronet.functional.algorithms import own_or_vendor
from repronet.functional.elementwise import applied, require_floating, require_number, require_writable
from repronet.functional.function import differentiable, is_transformed, overridable
from repronet.functional.precision import accumulation_dtype, autocast, require_input, require_real, require_same_dtype


def _positive(input: Tensor) -> Tensor:
    """[x > 0] as a float, 0 for NaN; a constant to autograd."""
    return input.detach().sign().clamp_min_(0)


def relu_forward(input: Tensor, out: Tensor | None = None) -> Tensor:
    """y = max(0, x), any shape; NaN stays NaN."""
    return torch.clamp(input, min=0, out=out)


def relu_input_gradient(grad_output: Tensor, output: Tensor) -> Tensor:
    """∂L/∂x = ∂L/∂y · [y > 0], so 0 at x = 0, by convention; 0 where y is NaN, NaN where ∂L/∂y is infinite and y 0."""
    return grad_output * output.detach().sign()  # y is never negative


def relu6_forward(input: Tensor, out: Tensor | None = None) -> Tensor:
    """y = min(max(0, x), 6), any shape; NaN stays NaN."""
    return torch.clamp(input, min=0, max=6, out=out)


def relu6_input_gradient(grad_output: Tensor, output: Tensor) -> Tensor:
    """∂L/∂x = ∂L/∂y · [0 < y < 6]: y·(6 − y) is positive there, and 0 at both ends."""
    y = output.detach()
    return grad_output * (6 - y).mul_(y).sign_()


def leaky_relu_forward(input: Tensor, negative_slope: float, out: Tensor | None = None) -> Tensor:
    """y = x if x > 0, else s·x: the larger of the two where s ≤ 1, else the smaller. Any shape."""
    if negative_slope == 0:
        return relu_forward(input, out)  # 0·∞ is no number
    either = torch.maximum if negative_slope <= 1 else torch.minimum
    return either(input, input * negative_slope, out=out)


def leaky_relu_input_gradient(grad_output: Tensor, side: Tensor, negative_slope: float) -> Tensor:
    """∂L/∂x = ∂L/∂y · (1 if x > 0, else s).

    Args:
        side: anything positive where x is: x itself, or y if s ≥ 0.
    """
    return grad_output * torch.threshold_(side.detach().sign(), 0, negative_slope)


def elu_forward(input: Tensor, alpha: float, out: Tensor | None = None) -> Tensor:
    """y = x if x > 0, else α·(e^x − 1), any shape."""
    x = input.to(accumulation_dtype(input.dtype))
    below = x.clamp(max=0).expm1_()
    y = torch.add(x.clamp(min=0), below, alpha=alpha)
    return y.to(input.dtype) if out is None else out.copy_(y)


def elu_input_gradient(grad_output: Tensor, side: Tensor, alpha: float, from_output: bool) -> Tensor:
    """∂L/∂x = ∂L/∂y · (1 if x > 0, else α·e^x), and α·e^x = y + α.

    Args:
        side: y if `from_output`, which needs α ≥ 0, since y is else positive on both sides; else x.
    """
    s = side.to(accumulation_dtype(side.dtype))
    below = s.clamp(max=0) if from_output else s.clamp(max=0).expm1() * alpha  # min(y, 0), or y of min(x, 0)
    slope = below + alpha  # α where x > 0
    if alpha != 1:
        slope = torch.add(slope, _positive(s), alpha=1 - alpha)
    return (grad_output * slope).to(grad_output.dtype)


def prelu_forward(input: Tensor, weight: Tensor) -> Tensor:
    """y = max(x, 0) + w·min(x, 0): (N, C, …) and (C, 1, …) or () → (N, C, …)."""
    return torch.addcmul(input.clamp(min=0), weight, input.clamp(max=0))


def prelu_input_gradient(grad_output: Tensor, input: Tensor, weight: Tensor) -> Tensor:
    """∂L/∂x = ∂L/∂y · (1 if x > 0, else w): (N, C, …) and (C, 1, …) or () → (N, C, …)."""
    above = _positive(input)
    return grad_output * torch.addcmul(above, weight, 1 - above)


def prelu_weight_gradient(grad_output: Tensor, input: Tensor, weight_shape: torch.Size) -> Tensor:
    """∂L/∂w = Σ ∂L/∂y · min(x, 0) over all that share the weight: (N, C, …) → (C, 1, …) or ()."""
    return (grad_output * input.clamp(max=0)).sum_to_size(weight_shape)


_relu = differentiable(relu_forward, input=relu_input_gradient)
_relu6 = differentiable(relu6_forward, input=relu6_input_gradient)
_prelu = differentiable(prelu_forward, input=prelu_input_gradient, weight=prelu_weight_gradient)

# Two gradients need the side on which x was: the output tells it, or else the input.
_leaky_relu_of_output = differentiable(
    leaky_relu_forward,
    input=lambda grad, output, negative_slope: leaky_relu_input_gradient(grad, output, negative_slope),
)
_leaky_relu_of_input = differentiable(
    leaky_relu_forward, input=lambda grad, input, negative_slope: leaky_relu_input_gradient(grad, input, negative_slope)
)
_elu_of_output = differentiable(
    elu_forward, input=lambda grad, output, alpha: elu_input_gradient(grad, output, alpha, from_output=True)
)
_elu_of_input = differentiable(
    elu_forward, input=lambda grad, input, alpha: elu_input_gradient(grad, input, alpha, from_output=False)
)


def _require_numbers(name: str, input: Tensor) -> None:
    require_input(name, input)
    if input.dtype == torch.bool:
        raise NotImplementedError(f"{name} needs numbers, got torch.bool")
    require_real(name, input)


@overridable
def relu(input: Tensor, inplace: bool = False, algorithm: str = "auto") -> Tensor:
    """Rectify: y = max(0, x).

    Args:
        input: any shape, floating point or integer.
        inplace: write the result into `input` and return it.
        algorithm: "own" for the formulas above, whose gradient is the product ∂L/∂y · [y > 0]; "vendor" for torch's
            kernels, which select: where y is 0 they give 0 even if ∂L/∂y is infinite, and they let ∂L/∂y through
            where y is NaN. "auto" takes those: one pass cannot be beaten, so there is nothing to measure.

    Raises:
        TypeError: for anything but a tensor.
        ValueError: for an unknown algorithm.
        NotImplementedError: for bool and complex tensors.
        RuntimeError: for `inplace` on a leaf that requires grad, or on memory that is written more than once.
    """
    _require_numbers("relu", input)
    if own_or_vendor(algorithm) == "own":
        return applied(_relu, input, inplace)
    if not inplace:
        return torch.relu(input)
    require_writable(input)
    return torch.relu_(input)


@overridable
def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """Rectify and cut off at 6: y = min(max(0, x), 6).

    Args:
        input: any shape, floating point or integer.
        inplace: write the result into `input` and return it.

    Raises:
        As `relu`.
    """
    _require_numbers("relu6", input)
    return applied(_relu6, input, inplace)


def _require_telling(name: str, input: Tensor, slope: float, inplace: bool) -> None:
    if inplace and slope < 0 and input.requires_grad and torch.is_grad_enabled():
        raise RuntimeError(f"{name} in place has no gradient for {slope}: what is written hides the sign of x")


@overridable
def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """Rectify, but let some of the negative through: y = x if x > 0, else negative_slope·x.

    Args:
        input: any shape, floating point.
        negative_slope: s, a number; s = 0 is `relu`.
        inplace: write the result into `input` and return it.

    Raises:
        TypeError: for anything but a tensor and a number.
        NotImplementedError: for integer, bool and complex tensors.
        RuntimeError: for `inplace` on a leaf that requires grad, on memory that is written more than once, or with a
            negative slope where a gradient is wanted.
    """
    require_floating("leaky_relu", input)
    require_number("negative_slope", negative_slope)
    _require_telling("leaky_relu", input, negative_slope, inplace)
    operator = _leaky_relu_of_output if negative_slope >= 0 else _leaky_relu_of_input
    return applied(operator, input, inplace, negative_slope)


@overridable
def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """Rectify, with a smooth way down to −α: y = x if x > 0, else α·(e^x − 1).

    Args:
        input: any shape, floating point.
        alpha: α, a number.
        inplace: write the result into `input` and return it.

    Raises:
        As `leaky_relu`, with α for the slope.
    """
    require_floating("elu", input)
    require_number("alpha", alpha)
    _require_telling("elu", input, alpha, inplace)
    # A half type rounds y near −α, where y + α then cancels; x has all its digits there.
    from_output = alpha >= 0 and accumulation_dtype(input.dtype) == input.dtype
    overwrites = inplace and not is_transformed()  # then x is lost
    return applied(_elu_of_output if from_output or overwrites else _elu_of_input, input, inplace, alpha)


@overridable
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """Rectify with learnt slopes: y = x if x > 0, else w·x.

    Args:
        input: (N, C, …) or any other shape, floating point.
        weight: (C,), a slope a channel, or (1,) or () for one slope.

    Raises:
        TypeError: for anything but tensors.
        NotImplementedError: for integer, bool and complex tensors.
        RuntimeError: for a weight of another shape or dtype.
    """
    require_floating("prelu", input)
    if not isinstance(weight, Tensor):
        raise TypeError(f"prelu needs a weight tensor, got {type(weight).__name__}")
    input, weight, _ = autocast(input, weight, None)
    channels = input.shape[1] if input.dim() > 1 else 1
    if weight.dim() > 1 or weight.numel() not in (1, channels):
        expected = f"(1,) or ({channels},)" if channels != 1 else "(1,)"
        raise RuntimeError(f"prelu needs a weight {expected} for input {tuple(input.shape)}, got {tuple(weight.shape)}")
    require_same_dtype("prelu", input, weight, None)
    shape = () if weight.numel() == 1 else (channels, *[1] * (input.dim() - 2))
    return _prelu(input, weight.reshape(shape))  # (C,) → (C, 1, …)
