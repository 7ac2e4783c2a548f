"""Convolution as one matrix product: the windows of x are the columns of a matrix X.

    Y = W·X + b,        ∂W = ∂Y·Xᵀ,        ∂X = Wᵀ·∂Y

and ∂x sums ∂X over all windows that contain an element. For AlexNet's first layer, W is 96×363, and X for one image is
363×3025 (the CS231n notes on convolutional networks; Chellapilla et al., "High performance convolutional neural
networks for document processing", 2006).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from repronet.functional.convolution.conv_spec import ConvSpec, layout_of, room_for, with_bias
from repronet.functional.function import is_traced
from repronet.functional.precision import accumulation_dtype
from repronet.functional.product import product
from repronet.functional.windows import Geometry, Pair, col2im, im2col, image_size, pad

# Elements of the column matrix built at a time. The matrix repeats every input element kh·kw times; in pieces it stays
# near the cache and reuses its memory, which on a CPU is 2-3 times as fast as all at once. A GPU needs large products.
_COLUMN_ELEMENTS_CPU = 2**20
_COLUMN_ELEMENTS_GPU = 2**27


def _images_at_once(device: torch.device, channels: int, output_size: Pair, geometry: Geometry) -> int:
    """How many images of the batch share one column matrix."""
    limit = _COLUMN_ELEMENTS_CPU if device.type == "cpu" else _COLUMN_ELEMENTS_GPU
    return max(1, limit // (max(1, channels) * len(geometry.offsets) * output_size[0] * output_size[1]))


def _filters(weight: Tensor, groups: int) -> Tensor:
    """W, one matrix per group: (O, C/G, kh, kw) → (G, O/G, C/G·kh·kw)."""
    return weight.flatten(1).unflatten(0, (groups, -1))


def _columns(input: Tensor, spec: ConvSpec) -> Tensor:
    """X, one matrix per group: (N, C, H, W) → (G, C/G·kh·kw, N·Ho·Wo)."""
    return im2col(input, spec.geometry).unflatten(0, (spec.groups, -1))


def _maps(output: Tensor, groups: int) -> Tensor:
    """Y or ∂Y, one matrix per group: (N, O, Ho, Wo) → (G, O/G, N·Ho·Wo)."""
    return output.transpose(0, 1).flatten(1).unflatten(0, (groups, -1))


def _from_maps(maps: Tensor, output_size: Pair) -> Tensor:
    """Inverse of `_maps`: (G, O/G, N·Ho·Wo) → (N, O, Ho, Wo)."""
    return maps.flatten(0, 1).unflatten(1, (-1, *output_size)).transpose(0, 1)


def _in_pieces(
    compute: Callable[[Tensor], Tensor], maps: Tensor, shape: Sequence[int], weight: Tensor, many: int
) -> Tensor:
    """Apply `compute` to the maps, `many` images at a time; the result has the layout of the operands."""
    if is_traced():  # another batch may have more pieces
        return compute(maps).contiguous(memory_format=layout_of(maps, weight))
    found = room_for(shape, maps, weight)
    for part, result in zip(maps.split(many), found.split(many), strict=True):
        result.copy_(compute(part))
    return found


def forward(input: Tensor, weight: Tensor, bias: Tensor | None, spec: ConvSpec) -> Tensor:
    """(N, C, H, W) → (N, O, Ho, Wo)."""
    output_size = spec.geometry.output_size(image_size(input))
    filters, shape = _filters(weight, spec.groups), (input.shape[0], weight.shape[0], *output_size)
    many = _images_at_once(input.device, input.shape[1], output_size, spec.geometry)

    def maps(part: Tensor) -> Tensor:
        return _from_maps(filters @ _columns(part, spec), output_size)  # (n, O, Ho, Wo)

    return with_bias(_in_pieces(maps, input, shape, weight, many), bias)


def input_gradient(grad_output: Tensor, weight: Tensor, size: Pair, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) → (N, C, H, W) with (H, W) = `size`."""
    filters, channels = _filters(weight, spec.groups).mT, weight.shape[1] * spec.groups  # (G, C/G·kh·kw, O/G)
    many = _images_at_once(grad_output.device, channels, image_size(grad_output), spec.geometry)

    def gradient(grad: Tensor) -> Tensor:
        columns = (filters @ _maps(grad, spec.groups)).flatten(0, 1)  # (C·kh·kw, n·Ho·Wo)
        return col2im(columns, grad.shape[0], size, spec.geometry)  # (n, C, H, W)

    return _in_pieces(gradient, grad_output, (grad_output.shape[0], channels, *size), weight, many)


def weight_gradient(grad_output: Tensor, input: Tensor, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) and (N, C, H, W) → (O, C/G, kh, kw)."""
    images = _images_at_once(input.device, input.shape[1], image_size(grad_output), spec.geometry)
    shape = (grad_output.shape[1], input.shape[1] // spec.groups, *spec.geometry.kernel)
    total = torch.zeros(shape, dtype=accumulation_dtype(input.dtype), device=input.device).flatten(1)
    in_runs = spec.geometry.stride == (1, 1)
    for grad, part in zip(grad_output.split(images), input.split(images), strict=True):
        maps, columns = _in_runs(grad, part, spec) if in_runs else (_maps(grad, spec.groups), _columns(part, spec))
        if spec.groups == 1:
            total += product(maps[0], columns[0])  # (O, C·kh·kw)
        else:
            total += (maps @ columns.mT).flatten(0, 1)  # (O, C/G·kh·kw)
    return total.view(shape).to(input.dtype)


def _in_runs(grad_output: Tensor, input: Tensor, spec: ConvSpec) -> tuple[Tensor, Tensor]:
    """∂Y and X for stride 1, where each window element reads one contiguous run of the padded image.

    The run of element (a, b) starts at its offset and continues across the ends of rows, so it can be copied at once
    rather than row by row; ∂Y has zeros where the runs cross them. Both have R = (Ho−1)·Wp + Wo elements per image
    instead of Ho·Wo: (G, O/G, N·R) and (G, C/G·kh·kw, N·R).
    """
    geometry, (ho, wo) = spec.geometry, image_size(grad_output)
    (kh, kw), (dh, dw) = geometry.kernel, geometry.dilation
    padded = pad(input, geometry).contiguous()  # (N, C, Hp, Wp)
    n, c, hp, wp = padded.shape
    run = (ho - 1) * wp + wo
    runs = padded.as_strided((c, kh, kw, n, run), (hp * wp, dh * wp, dw, c * hp * wp, 1))
    columns = runs.reshape(spec.groups, -1, n * run)  # (G, C/G·kh·kw, N·R)
    maps = grad_output.new_zeros((grad_output.shape[1], n, ho, wp))
    maps[..., :wo] = grad_output.transpose(0, 1)  # (O, N, Ho, Wp)
    return maps.flatten(2)[..., :run].reshape(spec.groups, -1, n * run), columns
