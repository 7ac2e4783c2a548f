"""Max and average pooling, forward and gradient.

    max pool:   y[r,c] = max_ab  x[r·S−P+a·D, c·S−P+b·D]     all of ∂L/∂y[r,c] goes to the element that won
    mean pool:  y[r,c] = 1/m Σ_ab x[r·S−P+a, c·S−P+b]        every element of the window gets 1/m of ∂L/∂y[r,c]

Where windows overlap, an element adds up what it receives from each. (The CS231n notes on pooling; overlapping 3×3
windows with stride 2 are those of Krizhevsky et al., "ImageNet classification with deep convolutional neural
networks", 2012.)
"""

from collections.abc import Sequence
from typing import Any, Literal, overload

import torch
from torch import Tensor

from repronet.functional.precision import accumulation_dtype
from repronet.functional.windows import Geometry, IntOrPair, Pair, image_size, overlap_add, pair, slices


def _lowest(dtype: torch.dtype) -> float:
    """What max pooling pads with: it loses to every element."""
    return -torch.inf if dtype.is_floating_point else torch.iinfo(dtype).min


def _first_inside(size: Pair, axis: int, geometry: Geometry) -> list[int]:
    """For each window along one axis, the first of its elements that is not padding."""
    pad, stride, dilation = geometry.padding[axis], geometry.stride[axis], geometry.dilation[axis]
    # The first a with r·S − P + a·D ≥ 0.
    return [max(0, -((r * stride - pad) // dilation)) for r in range(geometry.output_size(size)[axis])]


def _first_elements(size: Pair, geometry: Geometry, device: torch.device) -> Tensor:
    """Scan-order number of each window's first element that is not padding: (Ho, Wo)."""
    rows = torch.tensor(_first_inside(size, 0, geometry), device=device)
    columns = torch.tensor(_first_inside(size, 1, geometry), device=device)
    return rows[:, None] * geometry.kernel[1] + columns


def max_pool2d_forward(input: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
    """Maximum of every window and which element won: (N, C, H, W) → two of (N, C, Ho, Wo).

    The winner is the window element's number a·kw + b in scan order. The first of equal elements wins, and the last
    NaN wins over everything, as in torch.
    """
    pictures = slices(input, geometry, _lowest(input.dtype))
    best = next(pictures)  # (N, C, Ho, Wo)
    # One byte an output: this is all that the gradient has to remember.
    winner = torch.zeros_like(best, dtype=torch.uint8 if len(geometry.offsets) <= 256 else torch.int32)
    if geometry.padding != (0, 0):  # a window of −∞ alone must not be won by the padding
        winner = winner + _first_elements(image_size(input), geometry, input.device).to(winner.dtype)
    for number, picture in enumerate(pictures, start=1):
        better = (picture > best).logical_or_(picture != picture)
        winner = torch.maximum(winner, better.to(winner.dtype) * number)  # numbers rise: the latest better one stays
        best = torch.maximum(best, picture)
    return best, winner


def max_pool2d_indices(winner: Tensor, size: Pair, geometry: Geometry) -> Tensor:
    """Position h·W + w, in the input of this size, of each window's winner: (N, C, Ho, Wo), int64."""
    (ho, wo), width, device = image_size(winner), size[1], winner.device
    (sh, sw), (ph, pw), (dh, dw) = geometry.stride, geometry.padding, geometry.dilation
    top = torch.arange(ho, device=device) * sh - ph
    left = torch.arange(wo, device=device) * sw - pw
    corner = top[:, None] * width + left  # (Ho, Wo)
    step = torch.tensor([a * dh * width + b * dw for a, b in geometry.offsets], device=device)  # (kh·kw,)
    return corner + step.index_select(0, winner.flatten().int()).reshape(winner.shape)


def max_pool2d_input_gradient(grad_output: Tensor, winner: Tensor, size: Pair, geometry: Geometry) -> Tensor:
    """All of ∂L/∂y goes to the winner, added up where windows overlap: (N, C, Ho, Wo) → (N, C, H, W)."""
    indices = max_pool2d_indices(winner, size, geometry).flatten(2)  # (N, C, Ho·Wo)
    dtype = accumulation_dtype(grad_output.dtype)
    nothing = grad_output.new_zeros((*grad_output.shape[:2], size[0] * size[1]), dtype=dtype)
    total = nothing.scatter_add(2, indices, grad_output.flatten(2).to(dtype))  # (N, C, H·W)
    return total.unflatten(2, size).to(grad_output.dtype)


def _elements_counted(size: Pair, axis: int, geometry: Geometry, with_padding: bool) -> list[int]:
    """For each window along one axis, how many elements its mean counts."""
    length, pad, stride, kernel = size[axis], geometry.padding[axis], geometry.stride[axis], geometry.kernel[axis]
    counts = []
    for r in range(geometry.output_size(size)[axis]):
        start = r * stride - pad
        end = min(start + kernel, length + pad)  # in ceil mode a window may run over the padding's end
        counts.append(end - start if with_padding else min(end, length) - max(start, 0))
    return counts


def avg_pool2d_divisor(
    size: Pair, geometry: Geometry, count_include_pad: bool, divisor_override: int | None, device: torch.device
) -> int | Tensor:
    """The m of each window's mean: one number if all are equal, else (Ho, Wo)."""
    if divisor_override is not None:
        return divisor_override
    if geometry.padding == (0, 0) and not geometry.ceil_mode:
        return geometry.kernel[0] * geometry.kernel[1]
    rows = torch.tensor(_elements_counted(size, 0, geometry, count_include_pad), device=device)
    columns = torch.tensor(_elements_counted(size, 1, geometry, count_include_pad), device=device)
    return rows[:, None] * columns


def avg_pool2d_forward(input: Tensor, geometry: Geometry, divisor: int | Tensor) -> Tensor:
    """y = 1/m Σ x over each window: (N, C, H, W) → (N, C, Ho, Wo)."""
    pictures = slices(input.to(accumulation_dtype(input.dtype)), geometry)
    total = next(pictures).clone()
    for picture in pictures:
        total = total.add_(picture)
    rounding = None if input.is_floating_point() else "trunc"
    return torch.div(total, divisor, rounding_mode=rounding).to(input.dtype)


def avg_pool2d_input_gradient(grad_output: Tensor, size: Pair, geometry: Geometry, divisor: int | Tensor) -> Tensor:
    """∂L/∂x = 1/m Σ ∂L/∂y over the windows that hold x: (N, C, Ho, Wo) → (N, C, H, W)."""
    share = grad_output / divisor
    return overlap_add((share for _ in geometry.offsets), size, geometry)


class _MaxPool2d(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor, geometry: Geometry) -> tuple[Tensor, Tensor]:
        return max_pool2d_forward(input, geometry)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        input, ctx.geometry = inputs
        ctx.size = image_size(input)
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (grad_output, _), (winner,) = grad_outputs, ctx.saved_tensors
        return max_pool2d_input_gradient(grad_output, winner, ctx.size, ctx.geometry), None


class _AvgPool2d(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor, geometry: Geometry, count_include_pad: bool, divisor_override: int | None) -> Tensor:
        size = image_size(input)
        divisor = avg_pool2d_divisor(size, geometry, count_include_pad, divisor_override, input.device)
        return avg_pool2d_forward(input, geometry, divisor)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, ctx.geometry, ctx.count_include_pad, ctx.divisor_override = inputs
        ctx.size = image_size(input)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        (grad_output,) = grad_outputs
        divisor = avg_pool2d_divisor(
            ctx.size, ctx.geometry, ctx.count_include_pad, ctx.divisor_override, grad_output.device
        )
        return avg_pool2d_input_gradient(grad_output, ctx.size, ctx.geometry, divisor), None, None, None


@overload
def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
) -> Tensor: ...
@overload
def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
) -> tuple[Tensor, Tensor]: ...
@overload
def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]: ...
def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Maximum of every window: y[r,c] = max_ab x[r·S−P+a·D, c·S−P+b·D].

    Args:
        input: (N, C, H, W) or (C, H, W), floating point or integer.
        kernel_size: (kh, kw), or one integer for both; so are `stride` S (None: the kernel size), `padding` P
            (of −∞) and `dilation` D.
        ceil_mode: keep a last window that runs over the edge.
        return_indices: also return where each maximum stood, as h·W + w.

    Returns:
        (N, C, Ho, Wo) or (C, Ho, Wo), with the indices of that shape if asked for.

    Raises:
        RuntimeError: for shapes or window settings that do not go together.
        TypeError: for arguments of the wrong kind.
        NotImplementedError: for bool and complex tensors.
    """
    if not isinstance(input, Tensor):
        raise TypeError(f"max_pool2d needs a tensor, got {type(input).__name__}")
    geometry = _pool_geometry("max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode)
    if input.dtype == torch.bool or input.is_complex():
        raise NotImplementedError(f"max_pool2d needs real numbers, got {input.dtype}")
    batch = input.unsqueeze(0) if input.dim() == 3 else input
    output, winner = _MaxPool2d.apply(batch, geometry)
    output = output.squeeze(0) if input.dim() == 3 else output
    if not return_indices:
        return output
    return output, max_pool2d_indices(winner, image_size(input), geometry).reshape(output.shape)


def avg_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """Mean of every window: y[r,c] = 1/m Σ_ab x[r·S−P+a, c·S−P+b].

    Args:
        input: (N, C, H, W) or (C, H, W), floating point or int64.
        kernel_size: (kh, kw), or one integer for both; so are `stride` S (None: the kernel size) and `padding` P.
        ceil_mode: keep a last window that runs over the edge; what lies beyond the padding is not counted in m.
        count_include_pad: whether m counts the zeros of the padding.
        divisor_override: use this m for every window.

    Returns:
        (N, C, Ho, Wo) or (C, Ho, Wo).

    Raises:
        RuntimeError: for shapes or window settings that do not go together, or a divisor of 0.
        TypeError: for arguments of the wrong kind.
        NotImplementedError: for other dtypes.
    """
    if not isinstance(input, Tensor) or not (divisor_override is None or isinstance(divisor_override, int)):
        got = f"{type(input).__name__} and divisor_override={divisor_override!r}"
        raise TypeError(f"avg_pool2d needs a tensor and an integer divisor, got {got}")
    geometry = _pool_geometry("avg_pool2d", input, kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override == 0:
        raise RuntimeError("divisor_override must not be 0")
    if not input.is_floating_point() and input.dtype != torch.int64:
        raise NotImplementedError(f"avg_pool2d needs floating point or int64, got {input.dtype}")
    if input.dim() == 3:
        return _AvgPool2d.apply(input.unsqueeze(0), geometry, count_include_pad, divisor_override).squeeze(0)
    return _AvgPool2d.apply(input, geometry, count_include_pad, divisor_override)


def _pool_geometry(
    name: str,
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: IntOrPair,
    dilation: IntOrPair,
    ceil_mode: bool,
) -> Geometry:
    if input.dim() not in (3, 4) or 0 in input.shape[-3:]:
        raise RuntimeError(f"{name} needs an input (N, C, H, W) or (C, H, W) with channels, got {tuple(input.shape)}")
    kernel, pads = pair(kernel_size, "kernel_size"), pair(padding, "padding")
    # torch takes an empty stride for a missing one.
    strides = kernel if stride is None or (isinstance(stride, Sequence) and not stride) else pair(stride, "stride")
    geometry = Geometry(kernel, strides, pads, pair(dilation, "dilation"), ceil_mode)
    if any(2 * p > k for p, k in zip(pads, kernel, strict=True)):
        raise RuntimeError(f"padding must be at most half the kernel, got padding {pads} for kernel {kernel}")
    geometry.output_size(image_size(input))
    return geometry
