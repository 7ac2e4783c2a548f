"""Pooling to a given output size, whatever the size of the input: forward and gradient.

Along an axis of length H, window i of Ho spans the elements ⌊i·H/Ho⌋ … ⌈(i+1)·H/Ho⌉ − 1. If Ho divides H, these are the
windows of an ordinary pool with kernel and stride H/Ho, and that pool is used. Otherwise their lengths differ by at
most one, and neighbours may share an element:

    average:   y = sum over the window / number m of its elements, one axis at a time; ∂L/∂x = Σ ∂L/∂y / m over windows
    maximum:   windows are copied side by side, padded to one length with their last element (which changes no maximum,
               and is never the first of equal elements), and pooled; ∂L/∂x is the sum of its copies' gradients

(He et al., "Spatial pyramid pooling in deep convolutional networks for visual recognition", 2014, section 2.2; Lin,
Chen and Yan, "Network in network", 2014, section 3.2, for the global average.)
"""

from collections.abc import Sequence
from typing import Any, Literal, overload

import torch
from torch import Tensor

from repronet.functional.algorithms import own_or_vendor
from repronet.functional.convolution.conv_spec import room_for
from repronet.functional.function import differentiable, overridable
from repronet.functional.max_pool import Maxima, max_pool2d, pooled
from repronet.functional.pool import avg_pool2d
from repronet.functional.pool_windows import COLUMNS, ROWS, fold_batch
from repronet.functional.precision import accumulation_dtype, require_input, require_real_floating
from repronet.functional.windows import Pair, image_size, of_images, pair, size_in

OutputSize = int | Sequence[int | None]


def adaptive_spans(length: int, windows: int) -> list[Pair]:
    """First element and length of each window along an axis."""
    starts = [i * length // windows for i in range(windows)]
    ends = [-(-(i + 1) * length // windows) for i in range(windows)]
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


def _bounds(length: int, windows: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First element of each window along an axis, and the one after its last; computed on `device`, without a copy."""
    numbers = torch.arange(windows, device=device)
    return numbers * length // max(windows, 1), ((numbers + 1) * length + windows - 1) // max(windows, 1)


def _counts(size: Pair, output_size: Pair, device: torch.device) -> Tensor:
    """The number of elements of each window: (Ho, Wo)."""
    bounds = (_bounds(length, windows, device) for length, windows in zip(size, output_size, strict=True))
    rows, columns = (end - start for start, end in bounds)
    return rows[:, None] * columns


def _sum_along(input: Tensor, axis: int, windows: int) -> Tensor:
    """Sum of the windows along one axis: (N, C, H, W) → (N, C, Ho, W) or (N, C, H, Wo)."""
    if windows == 0:
        return input.narrow(axis, 0, 0)
    spans = adaptive_spans(input.shape[axis], windows)
    return torch.stack([input.narrow(axis, *span).sum(axis) for span in spans], axis)


def _spread_along(output: Tensor, axis: int, length: int) -> Tensor:
    """Adjoint of `_sum_along`: add the value of every window to each of its elements."""
    shape = list(output.shape)
    shape[axis] = length
    total = output.new_zeros(shape)
    for number, span in enumerate(adaptive_spans(length, output.shape[axis])):
        total.narrow(axis, *span).add_(output.narrow(axis, number, 1))
    return total


def adaptive_avg_pool2d_forward(input: Tensor, output_size: Pair) -> Tensor:
    """y = 1/m Σ x over each window: (N, C, H, W) → (N, C, Ho, Wo)."""
    x = input.to(accumulation_dtype(input.dtype))
    total = _sum_along(_sum_along(x, ROWS, output_size[0]), COLUMNS, output_size[1])  # (N, C, Ho, Wo)
    return (total / _counts(image_size(x), output_size, x.device)).to(input.dtype)


def adaptive_avg_pool2d_input_gradient(grad_output: Tensor, size: Pair) -> Tensor:
    """∂L/∂x = Σ 1/m ∂L/∂y over the windows that hold x: (N, C, Ho, Wo) → (N, C, H, W)."""
    g = grad_output.to(accumulation_dtype(grad_output.dtype))
    share = g / _counts(size, image_size(g), g.device)
    by_row = _spread_along(share, COLUMNS, size[1])  # (N, C, Ho, W)
    return _spread_along(by_row, ROWS, size[0]).to(grad_output.dtype)  # (N, C, H, W)


def _forward(input: Tensor, output_size: Pair, algorithm: str) -> Tensor:
    if algorithm == "own":
        return adaptive_avg_pool2d_forward(input, output_size)
    return torch.ops.aten._adaptive_avg_pool2d(input, output_size)


def _input_gradient(grad_output: Tensor, size: Pair, algorithm: str) -> Tensor:
    if grad_output.numel() == 0:
        return grad_output.new_zeros((*grad_output.shape[:2], *size))
    if algorithm == "own":
        return adaptive_avg_pool2d_input_gradient(grad_output, size)
    input = room_for((*grad_output.shape[:2], *size), grad_output, grad_output)  # only its shape and layout matter
    return torch.ops.aten._adaptive_avg_pool2d_backward(grad_output, input)


_adaptive_avg_pool2d = differentiable(
    _forward,
    input=lambda grad, input_shape, algorithm: _adaptive_avg_pool2d_input_gradient(
        grad, size_in(input_shape), algorithm
    ),
    vmap=fold_batch,
)
_adaptive_avg_pool2d_input_gradient = differentiable(
    _input_gradient,
    grad_output=lambda grad, grad_output_shape, algorithm: _adaptive_avg_pool2d(
        grad, size_in(grad_output_shape), algorithm
    ),
    vmap=fold_batch,
)


def lay_out_forward(input: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Copy the rows and columns with the given numbers: (N, C, H, W) → (N, C, len(rows), len(columns))."""
    return input.index_select(ROWS, rows).index_select(COLUMNS, columns)


def lay_out_input_gradient(grad_output: Tensor, rows: Tensor, columns: Tensor, size: Pair) -> Tensor:
    """Sum the gradients of the copies of each element: (N, C, len(rows), len(columns)) → (N, C, H, W)."""
    g = grad_output.to(accumulation_dtype(grad_output.dtype))
    by_row = g.new_zeros((*g.shape[:3], size[1])).index_add(COLUMNS, columns, g)  # (N, C, len(rows), W)
    total = g.new_zeros((*g.shape[:2], *size)).index_add(ROWS, rows, by_row)  # (N, C, H, W)
    return total.to(grad_output.dtype)


_lay_out = differentiable(
    lay_out_forward,
    input=lambda grad, rows, columns, input_shape: lay_out_input_gradient(grad, rows, columns, size_in(input_shape)),
)


@overridable
def adaptive_avg_pool2d(input: Tensor, output_size: OutputSize, algorithm: str = "auto") -> Tensor:
    """Average-pool to a given size: y[r,c] is the mean over rows ⌊r·H/Ho⌋ … ⌈(r+1)·H/Ho⌉ − 1, columns likewise.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point.
        output_size: (Ho, Wo), where None keeps the input's size; or one integer for both.
        algorithm: "own" for the formulas above, "vendor" for torch's kernels, "auto" for the faster of the two: as in
            `avg_pool2d` if Ho divides H and Wo divides W, the vendor's otherwise.

    Returns:
        (N, C, Ho, Wo) or (C, Ho, Wo).

    Raises:
        RuntimeError: for an input of another shape, or an output size that is negative or is not one or two numbers.
        ValueError: for an unknown algorithm, or an output size at least as long as the input's shape.
        TypeError: for arguments of the wrong type.
        NotImplementedError: for integers and complex tensors.
    """
    size = _checked_size("adaptive_avg_pool2d", input, output_size)
    algorithm = own_or_vendor(algorithm)
    kernel = _even_kernel(image_size(input), size)
    if kernel is not None and input.shape[-3] > 0:
        return avg_pool2d(input, kernel, algorithm=algorithm)
    return of_images(_adaptive_avg_pool2d, input, size, algorithm)


@overload
def adaptive_max_pool2d(
    input: Tensor, output_size: OutputSize, return_indices: Literal[False] = False, algorithm: str = "auto"
) -> Tensor: ...
@overload
def adaptive_max_pool2d(
    input: Tensor, output_size: OutputSize, return_indices: Literal[True], algorithm: str = "auto"
) -> tuple[Tensor, Tensor]: ...
@overload
def adaptive_max_pool2d(
    input: Tensor, output_size: OutputSize, return_indices: bool = False, algorithm: str = "auto"
) -> Tensor | tuple[Tensor, Tensor]: ...
@overridable
def adaptive_max_pool2d(
    input: Tensor, output_size: OutputSize, return_indices: bool = False, algorithm: str = "auto"
) -> Tensor | tuple[Tensor, Tensor]:
    """Max-pool to a given size: y[r,c] is the maximum over rows ⌊r·H/Ho⌋ … ⌈(r+1)·H/Ho⌉ − 1, columns likewise.

    Args:
        input: (N, C, H, W) or (C, H, W), floating point, with at least one channel.
        output_size: (Ho, Wo), where None keeps the input's size; or one integer for both.
        return_indices: also return the position of each maximum, as h·W + w.
        algorithm: "own" for the computation above, "vendor" for torch's kernels, "auto" for the faster of the two: as
            in `max_pool2d` if Ho divides H and Wo divides W, the vendor's otherwise.

    Returns:
        (N, C, Ho, Wo) or (C, Ho, Wo), and indices of that shape if `return_indices`.

    Raises:
        RuntimeError: for an input of another shape, or an output size that is negative or is not one or two numbers.
        ValueError: for an unknown algorithm, or an output size at least as long as the input's shape.
        TypeError: for arguments of the wrong type.
        NotImplementedError: for integers and complex tensors.
    """
    size = _checked_size("adaptive_max_pool2d", input, output_size)
    if input.shape[-3] == 0:
        raise RuntimeError(f"adaptive_max_pool2d needs an input with channels, got {tuple(input.shape)}")
    kernel = _even_kernel(image_size(input), size)
    if kernel is not None:
        return max_pool2d(input, kernel, return_indices=return_indices, algorithm=algorithm)
    if own_or_vendor(algorithm) == "own" or 0 in size:  # torch has no gradient for an empty output
        return pooled(lambda batch: _maximum_side_by_side(batch, size, return_indices), input, return_indices)
    return pooled(lambda batch: torch.ops.aten.adaptive_max_pool2d(batch, size), input, return_indices)


def _maximum_side_by_side(input: Tensor, output_size: Pair, return_indices: bool) -> Maxima:
    """Copy the windows side by side, and pool them: (N, C, H, W) → (N, C, Ho, Wo)."""
    (rows, kh), (columns, kw) = (
        side_by_side(length, windows, input.device)
        for length, windows in zip(image_size(input), output_size, strict=True)
    )
    apart = _lay_out(input, rows, columns)  # (N, C, Ho·kh, Wo·kw)
    if 0 in output_size:
        nothing = apart[..., : output_size[0], : output_size[1]]
        return nothing, nothing.to(torch.int64)
    if not return_indices:
        return max_pool2d(apart, (kh, kw), algorithm="own"), None
    output, where = max_pool2d(apart, (kh, kw), return_indices=True, algorithm="own")
    width = apart.shape[-1]
    return output, rows[where // width] * input.shape[-1] + columns[where % width]


def _even_kernel(size: Pair, output_size: Pair) -> Pair | None:
    """The kernel and stride of the ordinary pool with the same windows, if there is one."""
    if 0 in output_size or size[0] % output_size[0] or size[1] % output_size[1]:
        return None
    return size[0] // output_size[0], size[1] // output_size[1]


def side_by_side(length: int, windows: int, device: torch.device) -> tuple[Tensor, int]:
    """Element numbers of all windows along an axis, each padded to the longest with its last one; and that length."""
    longest = max((count for _, count in adaptive_spans(length, windows)), default=1)
    start, end = _bounds(length, windows, device)
    numbers = start[:, None] + torch.arange(longest, device=device)  # (windows, longest)
    return torch.minimum(numbers, end[:, None] - 1).flatten(), longest


def _checked_size(name: str, input: Tensor, output_size: OutputSize) -> Pair:
    require_input(name, input)
    pairs = isinstance(output_size, list | tuple)
    if pairs and len(output_size) >= input.dim():  # torch compares these two first
        raise ValueError(f"{name} needs an input (N, C, H, W) or (C, H, W), got {tuple(input.shape)}")
    if input.dim() not in (3, 4) or 0 in image_size(input):
        raise RuntimeError(f"{name} needs an input (N, C, H, W) or (C, H, W), got {tuple(input.shape)}")
    wanted: Any = output_size
    if pairs:
        if len(output_size) != 2:
            raise RuntimeError(f"output_size must be one integer or two (height, width), got {output_size!r}")
        wanted = [own if length is None else length for own, length in zip(image_size(input), output_size, strict=True)]
    size = pair(wanted, "output_size")
    if min(size) < 0:
        raise RuntimeError(f"output_size must not be negative, got {size}")
    require_real_floating(name, input)
    return size
