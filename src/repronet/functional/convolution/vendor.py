"""Convolution by torch's kernels, forward and backward: the baseline for the other algorithms."""

import torch
from torch import Tensor

from repronet.functional.convolution.conv_spec import ConvSpec, room_for
from repronet.functional.windows import Pair, image_size


def forward(input: Tensor, weight: Tensor, bias: Tensor | None, spec: ConvSpec) -> Tensor:
    """(N, C, H, W) → (N, O, Ho, Wo)."""
    g = spec.geometry
    return torch.convolution(input, weight, bias, g.stride, g.padding, g.dilation, False, (0, 0), spec.groups)


def transposed(input: Tensor, weight: Tensor, bias: Tensor | None, size: Pair, spec: ConvSpec) -> Tensor:
    """`input_gradient` and a bias in one step: (N, C, H, W) → (N, O, Ho, Wo) with (Ho, Wo) = `size`."""
    g = spec.geometry
    beyond = [n - least for n, least in zip(size, g.transposed_size(image_size(input)), strict=True)]
    return torch.convolution(input, weight, bias, g.stride, g.padding, g.dilation, True, beyond, spec.groups)


def input_gradient(grad_output: Tensor, weight: Tensor, size: Pair, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) → (N, C, H, W) with (H, W) = `size`."""
    shape = (grad_output.shape[0], weight.shape[1] * spec.groups, *size)
    input = room_for(shape, weight, grad_output)  # only its shape and layout matter
    return _backward(grad_output, input, weight, spec, (True, False, False))[0]


def weight_gradient(grad_output: Tensor, input: Tensor, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) and (N, C, H, W) → (O, C/G, kh, kw)."""
    shape = (grad_output.shape[1], input.shape[1] // spec.groups, *spec.geometry.kernel)
    weight = room_for(shape, input, grad_output)
    return _backward(grad_output, input, weight, spec, (False, True, False))[1]


def gradients(
    grad_output: Tensor, input: Tensor, weight: Tensor, spec: ConvSpec, with_bias: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The gradients for input, weight and bias in one call."""
    return _backward(grad_output, input, weight, spec, (True, True, with_bias))


def _backward(
    grad_output: Tensor, input: Tensor, weight: Tensor, spec: ConvSpec, wanted: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor | None]:
    g, bias = spec.geometry, [weight.shape[0]]
    return torch.ops.aten.convolution_backward(
        grad_output, input, weight, bias, g.stride, g.padding, g.dilation, False, (0, 0), spec.groups, wanted
    )
