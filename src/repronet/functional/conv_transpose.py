"""Transposed two-dimensional convolution and its gradients.

Each input element times the whole filter is added to the output. For one channel, stride S and padding P,

    y[r·S−P+a, c·S−P+b]  +=  x[r,c] · w[a,b]        for all r, c, a, b

(Zeiler et al., "Deconvolutional networks", 2010; Dumoulin and Visin, "A guide to convolution arithmetic for deep
learning", 2016, chapter 4.) This is ∂L/∂x of the convolution with the same filters (`repronet.functional.conv`), with
x in place of ∂L/∂y. Its gradients are therefore the other two sums of that convolution:

    ∂L/∂x[r,c]  = Σ_ab  ∂L/∂y[r·S−P+a, c·S−P+b] · w[a,b]        the convolution itself
    ∂L/∂w[a,b]  = Σ_rc  x[r,c] · ∂L/∂y[r·S−P+a, c·S−P+b]        its weight gradient, with the roles exchanged
    ∂L/∂bias    = Σ_rc  ∂L/∂y[r,c]

Weights are (C, O/groups, kh, kw), as in the convolution from O to C channels.
"""

import torch
from torch import Tensor

from repronet.functional.conv import (
    algorithm_here,
    as_groups,
    check_operands,
    conv2d_bias_gradient,
    conv2d_input_gradient,
    convolve,
    spec_for,
    weight_gradient,
)
from repronet.functional.convolution import ConvSpec, vendor
from repronet.functional.convolution.conv_spec import with_bias
from repronet.functional.function import differentiable, overridable
from repronet.functional.precision import autocast, require_operands
from repronet.functional.windows import Geometry, IntOrPair, Pair, image_size, pair


def conv_transpose2d_forward(input: Tensor, weight: Tensor, bias: Tensor | None, size: Pair, spec: ConvSpec) -> Tensor:
    """y[r·S−P+a, c·S−P+b] += x[r,c]·w[a,b], plus the bias: (N, C, H, W) → (N, O, Ho, Wo) with (Ho, Wo) = `size`."""
    if input.numel() > 0 and algorithm_here("input_gradient", input, weight, spec) == "vendor":
        return vendor.transposed(input, weight, bias, size, spec)
    return with_bias(conv2d_input_gradient(input, weight, size, spec), bias)


def conv_transpose2d_input_gradient(grad_output: Tensor, weight: Tensor, spec: ConvSpec) -> Tensor:
    """∂L/∂x[r,c] = Σ ∂L/∂y[r·S−P+a, c·S−P+b]·w[a,b]: (N, O, Ho, Wo) → (N, C, H, W)."""
    return convolve(grad_output, weight, None, spec)


def conv_transpose2d_weight_gradient(grad_output: Tensor, input: Tensor, spec: ConvSpec) -> Tensor:
    """∂L/∂w[a,b] = Σ x[r,c]·∂L/∂y[r·S−P+a, c·S−P+b]: (N, O, Ho, Wo) and (N, C, H, W) → (C, O/G, kh, kw)."""
    return weight_gradient(input, grad_output, spec)


_conv_transpose2d = differentiable(
    conv_transpose2d_forward,
    input=conv_transpose2d_input_gradient,
    weight=conv_transpose2d_weight_gradient,
    bias=conv2d_bias_gradient,
    vmap=as_groups,
)


@overridable
def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    output_padding: IntOrPair = 0,
    groups: int = 1,
    dilation: IntOrPair = 1,
    algorithm: str = "auto",
) -> Tensor:
    """Transposed convolution: y[o, r·S−P+a·D, c·S−P+b·D] += x[i,r,c]·w[i,o,a,b], plus bias[o].

    Args:
        input: (N, C, H, W), or (C, H, W) for one image.
        weight: (C, O/groups, kh, kw).
        bias: (O,) or None.
        stride: S, one integer or (height, width); likewise `padding` P, `output_padding` and `dilation` D.
        padding: number of rows and columns cut from every side of the output.
        output_padding: extra rows at the bottom and columns at the right, fewer than the stride or the dilation:
            several sizes convolve to (H, W), and this selects which of them the output has.
        groups: number of channel groups, convolved independently of each other.
        algorithm: see `repronet.functional.conv2d`.

    Returns:
        (N, O, Ho, Wo), or (O, Ho, Wo); Ho = (H − 1)·S − 2P + D·(kh−1) + 1 + output_padding.

    Raises:
        RuntimeError: for incompatible shapes, dtypes or window settings.
        ValueError: for an unknown algorithm, or one that does not apply here.
        TypeError: for arguments of the wrong type.
        NotImplementedError: for complex tensors.
    """
    require_operands("conv_transpose2d", input, weight, bias)
    input, weight, bias = autocast(input, weight, bias)
    if bias is not None and input.is_floating_point() and not bias.is_complex():  # as in torch, except in conv2d
        bias = bias.to(input.dtype)
    check_operands("conv_transpose2d", input, weight, bias, groups, transposed=True)
    kernel, strides, dilations = (weight.shape[2], weight.shape[3]), pair(stride, "stride"), pair(dilation, "dilation")
    spec = spec_for(kernel, strides, pair(padding, "padding"), dilations, groups, algorithm, input.dtype)
    batch = input if input.dim() == 4 else input.unsqueeze(0)
    size = _output_size(image_size(batch), pair(output_padding, "output_padding"), spec.geometry)
    (h, w), (rows, columns) = image_size(batch), spec.geometry.output_size(size)
    if (rows, columns) != (h, w):  # large output padding makes room for further windows, whose inputs are 0
        batch = torch.constant_pad_nd(batch, (0, columns - w, 0, rows - h))
    output = _conv_transpose2d(batch, weight, bias, size, spec)
    return output if input.dim() == 4 else output.squeeze(0)


def _output_size(size: Pair, output_padding: Pair, geometry: Geometry) -> Pair:
    """Height and width of the output for an input of `size`."""
    if min(size) < 1:
        raise RuntimeError(f"only the batch may be empty, got an input of height and width {size}")
    limits = [max(s, d) for s, d in zip(geometry.stride, geometry.dilation, strict=True)]
    if not all(0 <= beyond < limit for beyond, limit in zip(output_padding, limits, strict=True)):
        raise RuntimeError(
            f"output_padding must be at least 0 and smaller than the stride or the dilation, got {output_padding}"
            f" for stride {geometry.stride} and dilation {geometry.dilation}"
        )
    rows, columns = (n + beyond for n, beyond in zip(geometry.transposed_size(size), output_padding, strict=True))
    if min(rows, columns) < 1:
        raise RuntimeError(f"padding {geometry.padding} leaves nothing of the output, whose size is {(rows, columns)}")
    return rows, columns
