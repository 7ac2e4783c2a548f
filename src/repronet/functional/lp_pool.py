"""Pooling by a norm over a window's elements or over neighbouring channels, forward and gradient.

    L^p pool:       y = (Σ_i x_i^p)^(1/p)        ∂L/∂x_i = ∂L/∂y · (Σ x^p)^(1/p − 1) · x_i^(p − 1)
    feature pool:   y = √(Σ_i x_i²)              ∂L/∂x_i = ∂L/∂y · x_i/y

The lectures write (Σ|x|^p)^(1/p − 1)·|x_i|^(p − 1)·sign(x_i), which is the same for even p. For odd p torch takes
signed powers, and so do we: a window whose powers sum to less than 0 has no root, and its output is NaN. Where the sum
is 0 the root has no slope; its gradient is set to 0, as in torch. (Sermanet, Chintala and LeCun, "Convolutional neural
networks applied to house numbers digit classification", 2012, for L^p; Le et al., "Building high-level features using
large scale unsupervised learning", 2012, for L2 pooling.)

The L^p pool is three operators in a row, each with its own gradient here: power, average (times the number of elements)
and root.
"""

import math

from torch import Tensor

from repronet.functional.function import differentiable, overridable
from repronet.functional.pool import avg_pool2d, max_pool2d
from repronet.functional.precision import accumulation_dtype, require_real, require_real_floating
from repronet.functional.windows import IntOrPair, of_images, pair


def _one_where_zero(values: Tensor) -> Tensor:
    return (values == 0).to(values.dtype)


def power_forward(input: Tensor, exponent: float) -> Tensor:
    """x^p, any shape."""
    return input.pow(exponent)


def power_input_gradient(grad_output: Tensor, input: Tensor, exponent: float) -> Tensor:
    """∂L/∂x = ∂L/∂y · p·x^(p − 1)."""
    if exponent == 2:
        return grad_output * input * 2
    return grad_output * input.pow(exponent - 1) * exponent


def root_forward(sums: Tensor, degree: float) -> Tensor:
    """y = s^(1/p), any shape."""
    return sums.pow(1.0 / degree)


def root_input_gradient(grad_output: Tensor, sums: Tensor, degree: float) -> Tensor:
    """∂L/∂s = ∂L/∂y · s^(1/p − 1)/p, but 0 at s = 0."""
    zero = _one_where_zero(sums)
    slope = (sums + zero).pow(1.0 / degree - 1) * ((1 - zero) / degree)  # finite everywhere
    return grad_output * slope


def feature_pool_forward(input: Tensor, pool_size: int) -> Tensor:
    """y = √Σ x² over each `pool_size` neighbouring channels: (N, C, H, W) → (N, C/pool_size, H, W)."""
    groups = input.to(accumulation_dtype(input.dtype)).unflatten(1, (-1, pool_size))  # (N, C/s, s, H, W)
    return (groups * groups).sum(2).sqrt().to(input.dtype)  # (N, C/s, H, W)


def feature_pool_input_gradient(grad_output: Tensor, input: Tensor, output: Tensor, pool_size: int) -> Tensor:
    """∂L/∂x = ∂L/∂y · x/y, but 0 at y = 0: (N, C/pool_size, H, W) → (N, C, H, W)."""
    zero = _one_where_zero(output)
    ratio = grad_output * ((1 - zero) / (output + zero))  # (N, C/s, H, W)
    return (input.unflatten(1, (-1, pool_size)) * ratio.unsqueeze(2)).flatten(1, 2)  # (N, C, H, W)


_power = differentiable(power_forward, input=power_input_gradient)
_root = differentiable(root_forward, sums=root_input_gradient)
_feature_pool = differentiable(feature_pool_forward, input=feature_pool_input_gradient)


@overridable
def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    ceil_mode: bool = False,
    algorithm: str = "auto",
) -> Tensor:
    """L^p norm of every window: y[r,c] = (Σ_ab x[r·S+a, c·S+b]^p)^(1/p).

    Args:
        input: (N, C, H, W) or (C, H, W).
        norm_type: p, not 0; ∞ gives the largest |x| of the window, −∞ the smallest.
        kernel_size: (kh, kw), or one integer for both; likewise `stride` S (None: the kernel size).
        ceil_mode: keep a last window that extends over the edge. As in torch, its sum is scaled up to kh·kw elements.
        algorithm: of the sums, see `avg_pool2d`, or for infinite p of the maxima, see `max_pool2d`.

    Returns:
        (N, C, Ho, Wo) or (C, Ho, Wo).

    Raises:
        ValueError: for a norm_type of 0, a kernel size of other than one or two numbers, or an unknown algorithm.
        RuntimeError: for incompatible shapes or window settings.
        TypeError: for arguments of the wrong type.
        NotImplementedError: for complex tensors and integers that torch cannot average.
    """
    if not isinstance(input, Tensor) or not isinstance(norm_type, int | float):
        raise TypeError(f"lp_pool2d needs a tensor and a number, got {type(input).__name__} and {norm_type!r}")
    if norm_type == 0:
        raise ValueError(f"norm_type must not be 0, got {norm_type}")
    require_real("lp_pool2d", input)
    if hasattr(kernel_size, "__len__") and len(kernel_size) != 2:  # type: ignore[arg-type]
        raise ValueError(f"kernel_size must be one integer or (height, width), got {kernel_size!r}")
    if math.isinf(norm_type):
        sign = 1 if norm_type > 0 else -1
        return sign * max_pool2d(sign * input.abs(), kernel_size, stride, 0, 1, ceil_mode, algorithm=algorithm)
    kernel = pair(kernel_size, "kernel_size")
    powers = _power(input.to(accumulation_dtype(input.dtype)), norm_type)
    means = avg_pool2d(powers, kernel, stride, 0, ceil_mode, algorithm=algorithm)
    roots = _root(means * (kernel[0] * kernel[1]), norm_type)
    return roots.to(input.dtype) if input.is_floating_point() else roots


@overridable
def feature_pool(input: Tensor, pool_size: int) -> Tensor:
    """L2 norm of neighbouring channels: y[o] = √(x[o·s]² + … + x[o·s+s−1]²) at every position.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        pool_size: s, the number of channels combined into one; it must divide C.

    Returns:
        (N, C/s, H, W) or (C/s, H, W).

    Raises:
        RuntimeError: for another shape, or a pool size that does not divide the channels.
        TypeError: for arguments of the wrong type.
        NotImplementedError: for integers and complex tensors.
    """
    if not isinstance(input, Tensor) or isinstance(pool_size, bool) or not isinstance(pool_size, int):
        raise TypeError(f"feature_pool needs a tensor and an integer, got {type(input).__name__} and {pool_size!r}")
    require_real_floating("feature_pool", input)
    if input.dim() not in (3, 4):
        raise RuntimeError(f"feature_pool needs an input (N, C, H, W) or (C, H, W), got {tuple(input.shape)}")
    if pool_size < 1 or input.shape[-3] % pool_size or input.shape[-3] == 0:
        raise RuntimeError(f"pool_size must divide the {input.shape[-3]} channels, got {pool_size}")
    return of_images(_feature_pool, input, pool_size)
