"""Reference solutions: every exercise under its name and with its arguments, by :mod:`repronet.functional`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from repronet.functional import conv, conv2d, max_pool, norm, pool, rectifier
from repronet.functional.convolution import ConvSpec
from repronet.functional.cross_entropy import cross_entropy_forward, cross_entropy_input_gradient
from repronet.functional.linear import linear_bias_gradient as bias_gradient
from repronet.functional.linear import linear_forward, linear_input_gradient, linear_weight_gradient
from repronet.functional.windows import Geometry, Pair, receptive_field, size_in
from repronet.functional.windows import col2im as add_columns
from repronet.functional.windows import im2col as columns_of

Gradients = tuple[Tensor, Tensor, Tensor]


def geometry(kernel_size: Pair, stride: int, padding: int, dilation: int = 1) -> Geometry:
    """The windows of an exercise, with one stride, padding and dilation for both axes."""
    return Geometry(kernel_size, (stride, stride), (padding, padding), (dilation, dilation))


def _spec(kernel_size: Pair, stride: int, padding: int, dilation: int, groups: int) -> ConvSpec:
    return ConvSpec(geometry(kernel_size, stride, padding, dilation), groups, "own")


def im2col(input: Tensor, kernel_size: Pair, stride: int, padding: int, dilation: int) -> Tensor:
    return columns_of(input, geometry(kernel_size, stride, padding, dilation))


def col2im(
    columns: Tensor, batch: int, size: Pair, kernel_size: Pair, stride: int, padding: int, dilation: int
) -> Tensor:
    return add_columns(columns, batch, size, geometry(kernel_size, stride, padding, dilation))


def conv2d_forward(
    input: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int, dilation: int, groups: int
) -> Tensor:
    return conv.conv2d_forward(input, weight, bias, _spec(size_in(weight.shape), stride, padding, dilation, groups))


def conv2d_input_gradient(
    grad_output: Tensor, weight: Tensor, size: Pair, stride: int, padding: int, dilation: int, groups: int
) -> Tensor:
    spec = _spec(size_in(weight.shape), stride, padding, dilation, groups)
    return conv.conv2d_input_gradient(grad_output, weight, size, spec)


def conv2d_weight_gradient(
    grad_output: Tensor, input: Tensor, kernel_size: Pair, stride: int, padding: int, dilation: int, groups: int
) -> Tensor:
    return conv.conv2d_weight_gradient(grad_output, input, _spec(kernel_size, stride, padding, dilation, groups))


def max_pool2d_forward(input: Tensor, kernel_size: Pair, stride: int, padding: int) -> Tensor:
    return max_pool.max_pool2d_forward(input, geometry(kernel_size, stride, padding))


def max_pool2d_input_gradient(
    grad_output: Tensor, input: Tensor, kernel_size: Pair, stride: int, padding: int
) -> Tensor:
    return max_pool.max_pool2d_input_gradient(grad_output, input, geometry(kernel_size, stride, padding))


def avg_pool2d_forward(input: Tensor, kernel_size: Pair, stride: int, padding: int) -> Tensor:
    return pool.avg_pool2d_forward(input, geometry(kernel_size, stride, padding), kernel_size[0] * kernel_size[1])


def avg_pool2d_input_gradient(grad_output: Tensor, size: Pair, kernel_size: Pair, stride: int, padding: int) -> Tensor:
    windows, count = geometry(kernel_size, stride, padding), kernel_size[0] * kernel_size[1]
    return pool.avg_pool2d_input_gradient(grad_output, size, windows, count)


def linear_bias_gradient(grad_output: Tensor) -> Tensor:
    return bias_gradient(grad_output, grad_output.shape[1:])


def batch_norm_forward(input: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    return norm.batch_norm_forward(input, weight, bias, eps)[0]


def batch_norm_gradients(grad_output: Tensor, input: Tensor, weight: Tensor, eps: float) -> Gradients:
    _, variance, centred = norm.batch_statistics(input)
    of_weight = norm.batch_norm_weight_gradient(grad_output, centred, variance, eps)
    of_bias = norm.batch_norm_bias_gradient(grad_output)
    of_input = norm.batch_norm_input_gradient(grad_output, centred, variance, weight, of_weight, of_bias, eps)
    return of_input, of_weight, of_bias


def softmax_cross_entropy(input: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy_forward(input, labels[:, None], 1 / len(labels), 1, True)[0]


def softmax_cross_entropy_input_gradient(input: Tensor, labels: Tensor) -> Tensor:
    share, one = 1 / len(labels), input.new_ones(())
    _, probabilities = cross_entropy_forward(input, labels[:, None], share, 1, True)
    return cross_entropy_input_gradient(one, probabilities, labels[:, None], share, 1)


RIGHT: dict[str, Callable[..., Any]] = {
    right.__name__: right
    for right in (
        *(im2col, col2im),
        *(conv2d_forward, conv2d_input_gradient, conv2d_weight_gradient, conv.conv2d_bias_gradient),
        *(max_pool2d_forward, max_pool2d_input_gradient, avg_pool2d_forward, avg_pool2d_input_gradient),
        *(rectifier.relu_forward, rectifier.relu_input_gradient),
        *(linear_forward, linear_input_gradient, linear_weight_gradient, linear_bias_gradient),
        *(batch_norm_forward, batch_norm_gradients),
        *(softmax_cross_entropy, softmax_cross_entropy_input_gradient),
    )
}


def numbers() -> dict[str, Any]:
    """The results of the hand computations, exact even where the nearest million is enough."""
    image = [[3, 0, 1, 2, 7, 4], [1, 5, 8, 9, 3, 1], [2, 7, 2, 5, 1, 3]]
    image += [[0, 1, 3, 1, 7, 8], [4, 2, 1, 6, 2, 8], [2, 4, 5, 2, 3, 9]]
    edge = torch.tensor([[1.0, 0, -1]] * 3)
    first, three = Geometry((11, 11), (4, 4)), Geometry((3, 3))
    places, (rows, columns) = Geometry((3, 3), (3, 3)).output_size((7, 7))[0], first.output_size((227, 227))
    stacks = [three] * 2, [three] * 3, [Geometry((3, 3), (2, 2)), three]
    area, channels = 28 * 28, 256
    return {
        "edge_6x6": conv2d(torch.tensor(image).float()[None, None], edge[None, None])[0, 0].tolist(),
        "places_7_stride_3": [places, 7 - 3 * places],
        "alexnet_conv1_units": 96 * rows * columns,
        "alexnet_conv1_parameters": 96 * (11 * 11 * 3 + 1),
        "alexnet_conv1_im2col": [11 * 11 * 3, rows * columns],
        "receptive_fields": [receptive_field(stack)[0] for stack in stacks],
        "inception_operations": area * channels * (128 + 192 * 3 * 3 + 96 * 5 * 5),
        "inception_bottleneck_operations": area * (channels * (64 + 64 + 64 + 128) + 64 * (192 * 3 * 3 + 96 * 5 * 5)),
    }
