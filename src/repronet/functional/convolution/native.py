"""Convolution by our compiled kernels, with the channels innermost: see `repronet.native` and docs/guide/speed.md.

There are two kernels: Winograd's F(4×4, 3×3), with a quarter of the products for 3×3 filters, and the direct sums. They
support float32 and float64 on a CPU, strides that are equal in both directions, and groups. The vendor's kernels do
the rest, and whatever they do faster, by the fixed rule of `kernel_for`.

The direct sums of n products are exact to n·ε·Σ|x·w|. The errors of Winograd's are below 200·ε·max|y|, 2.4·10⁻⁵ of the
largest output in float32, since small outputs are differences of larger numbers there.
"""

from ctypes import c_int64

import torch
from torch import Tensor

from repronet.functional import native
from repronet.functional.convolution import vendor
from repronet.functional.convolution.conv_spec import ConvSpec, layout_of
from repronet.functional.windows import Geometry, Pair, image_size


def refusal(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why the compiled kernels are unavailable, or None."""
    return native.refusal()


def kernel_for(step: str, first: Tensor, second: Tensor, spec: ConvSpec) -> str | None:
    """The kernel that computes a step for these operands, "winograd" or "conv"; None to use the vendor's.

    Measured with AVX-512 in float32, channels innermost (docs/guide/speed.md). The vendor's kernels and our direct sums
    reach the same share of peak performance, except for input gradients with a stride, where the vendor took half as
    long again, weight gradients with many positions, and few channels. In float64 the vendor has no comparable kernel.
    """
    if not _serves(spec, first, second):
        return None
    inner = second.shape[1] * (spec.groups if step != "weight_gradient" else 1)
    outer = second.shape[0] if step != "weight_gradient" else first.shape[1]
    if _is_for_winograd(step, first, inner, outer, spec):
        return "winograd"
    if first.dtype == torch.float64:
        return "conv"
    if step == "forward":
        pays = 4 <= inner < 16
    elif step == "input_gradient":
        pays = spec.geometry.stride != (1, 1)
    else:
        many = first.shape[2] * first.shape[3] >= 28 * 28
        large = 64 <= inner <= outer or spec.geometry.kernel >= (5, 5)
        pays = spec.groups == 1 and ((many and large) or 4 <= inner < 16)
    return "conv" if pays else None


def _is_for_winograd(step: str, first: Tensor, inner: int, outer: int, spec: ConvSpec) -> bool:
    """Whether Winograd pays: 3×3, stride 1, whole vectors of channels, enough 4×4 tiles per filter, few partial."""
    g, lanes = spec.geometry, native.lanes(first.dtype)
    plain = g.kernel == (3, 3) and g.stride == g.dilation == (1, 1) and spec.groups == 1 and max(g.padding) <= 2
    if not plain or inner % lanes or outer % lanes:
        return False
    images, _, height, width = first.shape
    tiles = images * -(-height // 4) * -(-width // 4)
    filled = 16 * tiles <= 2 * images * height * width
    if step == "weight_gradient":
        return filled and tiles >= 512 and min(inner, outer) >= 64
    return filled and tiles >= 128 and min(inner, outer) >= 32


def forward(input: Tensor, weight: Tensor, bias: Tensor | None, spec: ConvSpec) -> Tensor:
    """(N, C, H, W) → (N, O, Ho, Wo)."""
    kernel = kernel_for("forward", input, weight, spec)
    if kernel is None:
        return vendor.forward(input, weight, bias, spec)
    size = spec.geometry.output_size(image_size(input))
    x, w = _innermost(input), _innermost(weight)
    output = _room((input.shape[0], weight.shape[0], *size), input)
    sizes = _sizes(input.shape, output.shape, spec)
    native.call(f"{kernel}_forward", x.dtype, x, w, None if bias is None else bias.contiguous(), output, sizes)
    return _as_it_was(output, input, weight)


def input_gradient(grad_output: Tensor, weight: Tensor, size: Pair, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) → (N, C, H, W) with (H, W) = `size`."""
    kernel = kernel_for("input_gradient", grad_output, weight, spec)
    if kernel is None:
        return vendor.input_gradient(grad_output, weight, size, spec)
    g, w = _innermost(grad_output), _innermost(weight)
    found = _room((grad_output.shape[0], weight.shape[1] * spec.groups, *size), grad_output)
    if spec.geometry.stride != (1, 1):
        found.zero_()  # for elements that no window contains
    native.call(f"{kernel}_input_gradient", g.dtype, g, w, found, _sizes(found.shape, grad_output.shape, spec))
    return _as_it_was(found, grad_output, weight)


def weight_gradient(grad_output: Tensor, input: Tensor, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) and (N, C, H, W) → (O, C/G, kh, kw)."""
    kernel = kernel_for("weight_gradient", grad_output, input, spec)
    if kernel is None:
        return vendor.weight_gradient(grad_output, input, spec)
    g, x = _innermost(grad_output), _innermost(input)
    found = _room((grad_output.shape[1], input.shape[1] // spec.groups, *spec.geometry.kernel), input)
    native.call(f"{kernel}_weight_gradient", g.dtype, g, x, found, _sizes(input.shape, grad_output.shape, spec))
    return _as_it_was(found, grad_output, input)


def _serves(spec: ConvSpec, *tensors: Tensor | None) -> bool:
    stride = spec.geometry.stride
    return stride[0] == stride[1] and native.serves(*tensors)


def _innermost(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last)


def _room(shape: tuple[int, ...], like: Tensor) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _as_it_was(found: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The result in torch's layout; left channels-last if the first operand has one channel, which fits both."""
    return found if first.shape[1] == 1 else found.contiguous(memory_format=layout_of(first, second))


def _sizes(inner: torch.Size, outer: torch.Size, spec: ConvSpec) -> "c_int64 * 15":  # type: ignore[valid-type]
    """The `sizes` of `conv.h`: those of the input, the output, the filters and the windows."""
    (n, c, h, w), (_, o, q, r), g = inner, outer, spec.geometry
    values = n, h, w, c, q, r, o, spec.groups, *g.kernel, g.stride[0], *g.padding, *g.dilation
    return (c_int64 * 15)(*values)
