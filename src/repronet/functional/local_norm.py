"""Normalisation by neighbouring values: local response and local contrast.

Local response normalisation divides by the activity of n neighbouring channels at the same position,

    s_i = k + α·Σ_j x_j²  (j among the n channels around i),      y_i = x_i·s_i^−β
    ∂L/∂x_j = ∂L/∂y_j · s_j^−β − 2αβ·x_j·Σ_i ∂L/∂y_i·x_i·s_i^(−β−1)  (i such that j is around i)

(Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", 2012, section 3.3, with k = 2,
n = 5, α = 1e-4, β = 0.75.) torch's function of this name takes the mean of the squares instead of their sum, so its α
is the paper's times n: here the two are separate functions. Within maps, the neighbours are n × n pixels of the same
channel (cuda-convnet's rnorm).

Local contrast normalisation subtracts the weighted mean of the neighbourhood, over all channels and a Gaussian window,
and divides by its weighted standard deviation where that is above the image's average (Jarrett et al., "What is the
best multi-stage architecture for object recognition?", 2009, section 3.1):

    v = x − A(x),      y = v/max(c, σ),      σ = √A(v²),      c = mean of σ over the image

where A is the weighted mean. At the edges, A includes only pixels inside the image; its weights always sum to 1.
"""

import torch
from torch import Tensor

from repronet.functional.conv import conv2d
from repronet.functional.function import differentiable, overridable
from repronet.functional.precision import accumulation_dtype, is_lowered, require_real_floating

ACROSS_MAPS, WITHIN_MAPS = (1,), (2, 3)  # the dimensions along which neighbours lie
Dims = tuple[int, ...]


def _around(values: Tensor, size: int, before: int, dims: Dims) -> Tensor:
    """Sum over `size` neighbours of each element along each of `dims`, `before` of them preceding it: (N, C, …)."""
    for dim in dims:
        padding = (0, 0) * (values.dim() - 1 - dim) + (before, size - 1 - before)
        padded, length = torch.constant_pad_nd(values, padding), values.shape[dim]
        values = padded.narrow(dim, 0, length)
        for offset in range(1, size):
            values = values + padded.narrow(dim, offset, length)
    return values


def local_response_norm_activity(input: Tensor, size: int, alpha: float, k: float, dims: Dims) -> Tensor:
    """s = k + α·Σ x² over the neighbours of each element: (N, C, …) → (N, C, …)."""
    return _around(input * input, size, size // 2, dims) * alpha + k


def local_response_norm_forward(input: Tensor, size: int, alpha: float, beta: float, k: float, dims: Dims) -> Tensor:
    """y = x·s^−β: (N, C, …) → (N, C, …)."""
    return input * local_response_norm_activity(input, size, alpha, k, dims) ** -beta


def local_response_norm_input_gradient(
    grad_output: Tensor, input: Tensor, size: int, alpha: float, beta: float, k: float, dims: Dims
) -> Tensor:
    """∂L/∂x_j = ∂L/∂y_j·s_j^−β − 2αβ·x_j·Σ_i ∂L/∂y_i·x_i·s_i^(−β−1): (N, C, …)."""
    activity = local_response_norm_activity(input, size, alpha, k, dims)
    direct = grad_output * activity**-beta
    # j is a neighbour of i if i is a neighbour of j with the numbers before and after exchanged.
    through = _around(direct * input / activity, size, size - 1 - size // 2, dims)
    return direct - 2 * alpha * beta * input * through


_local_response_norm = differentiable(local_response_norm_forward, input=local_response_norm_input_gradient)


@overridable
def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Divide by (k + α·mean of x²)^β over `size` neighbouring channels, scaled as in torch: α is divided by `size`.

    Args:
        input: (N, C, …) with at least one dimension after the channels.
        size: n, the number of channels in the mean, with zeros beyond the ends; size // 2 of them come before.

    Raises:
        ValueError: for an input with fewer than 3 dimensions.
        RuntimeError: for a size below 1.
        TypeError: for anything but a tensor and a whole number.
        NotImplementedError: for complex tensors, and for integers, whose means torch's function truncates.
    """
    _check_response("local_response_norm", input, size)
    return _responded(input, size, alpha / size, beta, k)


@overridable
def local_response_norm_krizhevsky(
    input: Tensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 2.0
) -> Tensor:
    """Divide by (k + α·Σ x²)^β over `size` neighbouring channels, as in the paper: α is not divided.

    b_i = a_i/(k + α·Σ_j a_j²)^β with j from i − n/2 to i + n/2 within the C channels (Krizhevsky et al. 2012, section
    3.3); the defaults are the paper's. Arguments and errors are those of `local_response_norm`.
    """
    _check_response("local_response_norm_krizhevsky", input, size)
    return _responded(input, size, alpha, beta, k)


@overridable
def local_response_norm_within_maps(
    input: Tensor, size: int = 3, alpha: float = 5e-5, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Divide by (k + α·mean of x²)^β over `size` × `size` pixels of the same map, with zeros beyond its edges.

    cuda-convnet's ``rnorm``, which divides its ``scale`` by size² (layer.py); the defaults are those of its released
    network with 18 % error on CIFAR-10 (layer-params-18pct.cfg).

    Args:
        input: (N, C, H, W).
        size: side of the window.

    Raises:
        ValueError: for an input of another shape.
        RuntimeError, TypeError, NotImplementedError: as `local_response_norm`.
    """
    _check("local_response_norm_within_maps", input, size)
    if input.dim() != 4:
        raise ValueError(f"local_response_norm_within_maps needs an input (N, C, H, W), got {tuple(input.shape)}")
    return _responded(input, size, alpha / size**2, beta, k, WITHIN_MAPS)


def _check_response(name: str, input: Tensor, size: int) -> None:
    if isinstance(input, Tensor) and input.dim() < 3:
        raise ValueError(f"{name} needs an input (N, C, …) of 3 dimensions or more, got {tuple(input.shape)}")
    _check(name, input, size)


def _responded(input: Tensor, size: int, alpha: float, beta: float, k: float, dims: Dims = ACROSS_MAPS) -> Tensor:
    if input.numel() == 0:
        return input
    wide = input.to(accumulation_dtype(input.dtype))
    output = _local_response_norm(wide, size, alpha, beta, k, dims)
    # Under autocast torch's output is float32, except on the CPU for (N, C, L).
    keeps_dtype = not is_lowered(input) or (input.device.type == "cpu" and input.dim() == 3)
    return output.to(input.dtype) if keeps_dtype else output


def gaussian_window(size: int, deviation: float, like: Tensor) -> Tensor:
    """w_pq ∝ e^{−(p² + q²)/2·deviation²} around the middle, summing to 1: (1, 1, size, size)."""
    positions = torch.arange(size, dtype=like.dtype, device=like.device) - (size - 1) / 2
    side = torch.exp(-(positions**2) / (2 * deviation**2))
    window = side[:, None] * side
    return (window / window.sum())[None, None]


def _neighbourhood(input: Tensor, window: Tensor) -> Tensor:
    """A: the weighted mean over all channels and the window, inside the image: (N, C, H, W) → (N, 1, H, W)."""
    padding = window.shape[-1] // 2
    means = conv2d(input.mean(1, keepdim=True), window, padding=padding)
    return means / _weight_inside(input, window)


def _weight_inside(input: Tensor, window: Tensor) -> Tensor:
    """The sum of the weights that lie inside the image: (1, 1, H, W)."""
    ones = torch.ones((1, 1, *input.shape[-2:]), dtype=input.dtype, device=input.device)
    return conv2d(ones, window, padding=window.shape[-1] // 2)


def _neighbourhood_adjoint(grad: Tensor, window: Tensor, channels: int) -> Tensor:
    """The gradient of A: (N, 1, H, W) → (N, C, H, W). The window is symmetric, so it is its own adjoint."""
    spread = conv2d(grad / _weight_inside(grad, window), window, padding=window.shape[-1] // 2)
    return (spread / channels).expand(-1, channels, -1, -1)


def _divisor(deviation: Tensor) -> tuple[Tensor, Tensor]:
    """max(c, σ), or 1 where both are 0, since v is 0 there too; and [σ > c] as numbers: (N, 1, H, W)."""
    average = deviation.mean((2, 3), keepdim=True)
    above = (deviation > average).to(deviation.dtype)
    divisor = torch.maximum(deviation, average)
    return divisor + (divisor == 0).to(divisor.dtype), above


def divisive_norm_forward(input: Tensor, window: Tensor) -> Tensor:
    """y = v/max(c, σ): (N, C, H, W) → (N, C, H, W)."""
    return input / _divisor(_neighbourhood(input * input, window).clamp(min=0).sqrt())[0]


def divisive_norm_input_gradient(grad_output: Tensor, input: Tensor, window: Tensor) -> Tensor:
    """∂L/∂v = ∂L/∂y/d + 2v·Aᵀ(∂L/∂σ/2σ), with d = max(c, σ) and ∂L/∂d = −Σ ∂L/∂y·v/d²: (N, C, H, W).

    ∂L/∂σ is ∂L/∂d where σ > c, plus 1/HW·∂L/∂c everywhere, with ∂L/∂c = Σ ∂L/∂d over positions with σ ≤ c. Where σ = 0,
    ∂L/∂σ is set to 0, since v is 0 in the whole neighbourhood.
    """
    square = _neighbourhood(input * input, window).clamp(min=0)
    nothing = (square == 0).to(square.dtype)
    deviation = (square + nothing).sqrt() * (1 - nothing)  # no infinite slope at 0
    divisor, above = _divisor(deviation)
    of_divisor = -(grad_output * input).sum(1, keepdim=True) / divisor**2
    of_average = (of_divisor * (1 - above)).mean((2, 3), keepdim=True)
    of_deviation = (of_divisor * above + of_average) * (1 - nothing)
    of_square = of_deviation / (2 * (deviation + nothing))
    return grad_output / divisor + 2 * input * _neighbourhood_adjoint(of_square, window, input.shape[1])


_divisive_norm = differentiable(divisive_norm_forward, input=divisive_norm_input_gradient)


def subtractive_norm_forward(input: Tensor, window: Tensor) -> Tensor:
    """v = x − A(x): (N, C, H, W) → (N, C, H, W)."""
    return input - _neighbourhood(input, window)


def subtractive_norm_input_gradient(grad_output: Tensor, window: Tensor) -> Tensor:
    """∂L/∂x = ∂L/∂v − Aᵀ(Σ over channels of ∂L/∂v): (N, C, H, W)."""
    summed = grad_output.sum(1, keepdim=True)
    return grad_output - _neighbourhood_adjoint(summed, window, grad_output.shape[1])


_subtractive_norm = differentiable(subtractive_norm_forward, input=subtractive_norm_input_gradient)


@overridable
def subtractive_norm(input: Tensor, size: int = 9, deviation: float | None = None) -> Tensor:
    """v = x − A(x): subtract the weighted mean of the neighbourhood.

    In an image without contrast, only rounding errors remain, which `divisive_norm` would scale up like any other
    contrast: the paper has no threshold.

    Args:
        input: (N, C, H, W).
        size: side of the Gaussian window, odd; 9 in the paper.
        deviation: standard deviation of the Gaussian, which the paper does not give; None for size/4.

    Raises:
        RuntimeError: for an input of another shape, a size that is even or below 1, or a deviation not above 0.
        TypeError: for anything but a tensor.
        NotImplementedError: for integer and complex tensors.
    """
    window, wide = _prepared("subtractive_norm", input, size, deviation)
    return _subtractive_norm(wide, window).to(input.dtype)


@overridable
def divisive_norm(input: Tensor, size: int = 9, deviation: float | None = None) -> Tensor:
    """y = v/max(c, σ): divide by the neighbourhood's weighted standard deviation where above the image's average.

    Arguments and errors are those of `subtractive_norm`.
    """
    window, wide = _prepared("divisive_norm", input, size, deviation)
    return _divisive_norm(wide, window).to(input.dtype)


@overridable
def local_contrast_norm(input: Tensor, size: int = 9, deviation: float | None = None) -> Tensor:
    """Subtractive, then divisive normalisation. Arguments and errors are those of `subtractive_norm`."""
    return divisive_norm(subtractive_norm(input, size, deviation), size, deviation)


def _prepared(name: str, input: Tensor, size: int, deviation: float | None) -> tuple[Tensor, Tensor]:
    """The Gaussian window, and the input in the dtype used for sums."""
    _check(name, input, size)
    if input.dim() != 4 or 0 in input.shape[1:]:
        raise RuntimeError(f"{name} needs an input (N, C, H, W), got shape {tuple(input.shape)}")
    if size % 2 == 0:
        raise RuntimeError(f"{name} needs a window with a middle, got size={size}")
    spread = size / 4 if deviation is None else deviation
    if spread <= 0:
        raise RuntimeError(f"deviation must be above 0, got {deviation}")
    wide = input.to(accumulation_dtype(input.dtype))
    return gaussian_window(size, spread, wide), wide


def _check(name: str, input: Tensor, size: int) -> None:
    require_real_floating(name, input)
    if not isinstance(size, int):
        raise TypeError(f"{name} needs a whole number as size, got {size!r}")
    if size < 1:
        raise RuntimeError(f"{name} needs a size of at least 1, got {size}")
