"""Average pooling, forward and gradient; max pooling is in `repronet.functional.max_pool`.

    y[r,c] = 1/m Σ_ab x[r·S−P+a, c·S−P+b]            every element of the window gets 1/m of ∂L/∂y[r,c]

Where windows overlap, an element's gradient is the sum over its windows. Both are linear, and each is the other's
adjoint: the derivative of the gradient is the pool again. (The CS231n notes on pooling; LeCun et al., "Gradient-based
learning applied to document recognition", 1998, subsample in this way.)
"""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor

from repronet.functional.algorithms import own_or_vendor
from repronet.functional.convolution.conv_spec import room_for
from repronet.functional.function import differentiable, overridable
from repronet.functional.max_pool import max_pool2d
from repronet.functional.pool_windows import Axis, axes, fold_batch, own_wins, pool_geometry
from repronet.functional.precision import accumulation_dtype
from repronet.functional.windows import Geometry, IntOrPair, Pair, image_size, of_images, size_in

__all__ = ["avg_pool2d", "max_pool2d"]


def _elements_counted(size: Pair, axis: int, geometry: Geometry, with_padding: bool) -> list[int]:
    """For each window along one axis, the number of elements that its mean counts."""
    length, pad, stride, kernel = size[axis], geometry.padding[axis], geometry.stride[axis], geometry.kernel[axis]
    counts = []
    for r in range(geometry.output_size(size)[axis]):
        start = r * stride - pad
        end = min(start + kernel, length + pad)  # in ceil mode a window may extend beyond the padding
        counts.append(end - start if with_padding else min(end, length) - max(start, 0))
    return counts


def avg_pool2d_divisor(
    size: Pair, geometry: Geometry, count_include_pad: bool, divisor_override: int | None, device: torch.device
) -> int | Tensor:
    """The divisor m of each window's mean: one number where all are known to be equal, else (Ho, Wo)."""
    if divisor_override is not None:
        return divisor_override
    if geometry.padding == (0, 0) and not geometry.ceil_mode:
        return geometry.kernel[0] * geometry.kernel[1]
    rows = torch.tensor(_elements_counted(size, 0, geometry, count_include_pad), device=device)
    columns = torch.tensor(_elements_counted(size, 1, geometry, count_include_pad), device=device)
    return rows[:, None] * columns


def _sum_along(input: Tensor, axis: Axis) -> Tensor:
    """Sum of the windows along one axis: (N, C, H, W) → (N, C, Ho, W) or (N, C, H, Wo)."""
    phases = axis.phases(input)
    elements = [axis.elements(phases, step) for step in axis.steps]
    if len(elements) > 1 and all(step.count == axis.windows for step in axis.steps):
        return reduce(Tensor.add_, elements[2:], elements[0] + elements[1])
    total = _zeros_like(input, axis, axis.windows)
    for step, element in zip(axis.steps, elements, strict=True):
        axis.owners(total, step).add_(element)
    return total


def _spread_along(output: Tensor, axis: Axis) -> Tensor:
    """Adjoint of `_sum_along`: each element receives the sum of the numbers of all windows that contain it."""
    total = _zeros_like(output, axis, axis.length)
    phases = axis.phases(total)
    for step in axis.steps:
        axis.elements(phases, step).add_(axis.owners(output, step))
    return total


def _zeros_like(maps: Tensor, axis: Axis, length: int) -> Tensor:
    """Zeros in the dtype and memory layout of `maps`, with the given length along the axis."""
    shape = list(maps.shape)
    shape[axis.dim] = length
    return room_for(shape, maps, maps).zero_()


def _is_global(size: Pair, geometry: Geometry) -> bool:
    """Whether one window covers the whole image exactly."""
    return geometry.kernel == size and geometry.padding == (0, 0)


def avg_pool2d_forward(input: Tensor, geometry: Geometry, divisor: int | Tensor) -> Tensor:
    """y = 1/m Σ x over each window: (N, C, H, W) → (N, C, Ho, Wo)."""
    x = input.to(accumulation_dtype(input.dtype))
    if _is_global(image_size(x), geometry):
        total = x.sum((2, 3), keepdim=True)  # (N, C, 1, 1)
    else:
        rows, columns = axes(image_size(x), geometry)
        # Rows first: that pass reads contiguous memory, and leaves less data for the second pass, which does not.
        total = _sum_along(_sum_along(x, rows), columns)  # (N, C, Ho, W), then (N, C, Ho, Wo)
    rounding = None if input.is_floating_point() else "trunc"
    return torch.div(total, divisor, rounding_mode=rounding).to(input.dtype)


def avg_pool2d_input_gradient(grad_output: Tensor, size: Pair, geometry: Geometry, divisor: int | Tensor) -> Tensor:
    """∂L/∂x = Σ 1/m · ∂L/∂y over the windows that contain x: (N, C, Ho, Wo) → (N, C, H, W)."""
    share = grad_output.to(accumulation_dtype(grad_output.dtype)) / divisor
    if _is_global(size, geometry):
        return share.to(grad_output.dtype).expand(-1, -1, *size)  # (N, C, H, W), without a copy
    rows, columns = axes(size, geometry)
    by_row = _spread_along(share, columns)  # (N, C, Ho, W)
    return _spread_along(by_row, rows).to(grad_output.dtype)  # (N, C, H, W)


@dataclass(frozen=True)
class _AvgPoolSpec:
    """The settings of one average pool."""

    geometry: Geometry
    count_include_pad: bool
    divisor_override: int | None
    algorithm: str

    def is_own(self, maps: Tensor) -> bool:
        """Whether our formulas compute the pool: "auto" uses them where they are faster, up to two or three times."""
        return self.algorithm == "own" or (self.algorithm == "auto" and own_wins(maps))

    def divisor(self, size: Pair, device: torch.device) -> int | Tensor:
        return avg_pool2d_divisor(size, self.geometry, self.count_include_pad, self.divisor_override, device)

    @property
    def for_torch(self) -> tuple[Any, ...]:
        g = self.geometry
        return g.kernel, g.stride, g.padding, g.ceil_mode, self.count_include_pad, self.divisor_override


def _forward(input: Tensor, spec: _AvgPoolSpec) -> Tensor:
    if spec.is_own(input):
        return avg_pool2d_forward(input, spec.geometry, spec.divisor(image_size(input), input.device))
    return torch.ops.aten.avg_pool2d(input, *spec.for_torch)


def _input_gradient(grad_output: Tensor, size: Pair, spec: _AvgPoolSpec) -> Tensor:
    if spec.is_own(grad_output):
        return avg_pool2d_input_gradient(grad_output, size, spec.geometry, spec.divisor(size, grad_output.device))
    input = room_for((*grad_output.shape[:2], *size), grad_output, grad_output)  # only its shape and layout matter
    return torch.ops.aten.avg_pool2d_backward(grad_output, input, *spec.for_torch)


_avg_pool2d = differentiable(
    _forward,
    input=lambda grad, input_shape, spec: _avg_pool2d_input_gradient(grad, size_in(input_shape), spec),
    vmap=fold_batch,
)
_avg_pool2d_input_gradient = differentiable(
    _input_gradient,
    grad_output=lambda grad, spec: _avg_pool2d(grad, spec),
    vmap=fold_batch,
)


@overridable
def avg_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    algorithm: str = "auto",
) -> Tensor:
    """Mean of every window: y[r,c] = 1/m Σ_ab x[r·S−P+a, c·S−P+b].

    Args:
        input: (N, C, H, W) or (C, H, W), floating point or int64.
        kernel_size: (kh, kw), or one integer for both; likewise `stride` S (None: the kernel size) and `padding` P.
        ceil_mode: keep a last window that extends beyond the edge; m does not count what lies beyond the padding.
        count_include_pad: whether m counts the zeros in the padding.
        divisor_override: use this m for every window.
        algorithm: "own" for the formulas above, "vendor" for torch's kernels, "auto" for the faster of the two.

    Returns:
        (N, C, Ho, Wo) or (C, Ho, Wo).

    Raises:
        RuntimeError: for incompatible shapes or window settings, or a divisor of 0.
        ValueError: for an unknown algorithm.
        TypeError: for arguments of the wrong kind.
        NotImplementedError: for other dtypes.
    """
    if not isinstance(input, Tensor) or not (divisor_override is None or isinstance(divisor_override, int)):
        got = f"{type(input).__name__} and divisor_override={divisor_override!r}"
        raise TypeError(f"avg_pool2d needs a tensor and an integer divisor, got {got}")
    geometry = pool_geometry("avg_pool2d", input, kernel_size, stride, padding, ceil_mode=ceil_mode)
    if divisor_override == 0:
        raise RuntimeError("divisor_override must not be 0")
    if not input.is_floating_point() and input.dtype != torch.int64:
        raise NotImplementedError(f"avg_pool2d needs floating point or int64, got {input.dtype}")
    spec = _AvgPoolSpec(geometry, bool(count_include_pad), divisor_override, own_or_vendor(algorithm))
    return of_images(_avg_pool2d, input, spec)
