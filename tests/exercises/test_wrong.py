"""Wrong implementations as students write them: each is found, on the smallest case, with the idea that is missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from repronet.exercises.catalogue import exercises
from repronet.exercises.checking import check_function
from repronet.exercises.reference import RIGHT


def windows(x, kernel_size, stride):
    """Where each window lies, and what is in it."""
    (kh, kw), (h, w) = kernel_size, x.shape[2:]
    for r in range((h - kh) // stride + 1):
        for c in range((w - kw) // stride + 1):
            rows, columns = slice(r * stride, r * stride + kh), slice(c * stride, c * stride + kw)
            yield (r, c), (slice(None), slice(None), rows, columns)


def padded(x, padding, value=0.0):
    return F.pad(x, (padding,) * 4, value=value)


def ties_counted_twice(grad_output, input, kernel_size, stride, padding):
    x = padded(input, padding, -torch.inf)
    total = torch.zeros_like(x)
    for (r, c), place in windows(x, kernel_size, stride):
        is_largest = x[place] == x[place].amax((2, 3), keepdim=True)
        total[place] += is_largest * grad_output[:, :, r, c, None, None]
    return total[:, :, padding : padding + input.shape[2], padding : padding + input.shape[3]]


def overlap_overwritten(grad_output, size, kernel_size, stride, padding):
    n, channels = grad_output.shape[:2]
    total = torch.zeros(n, channels, size[0] + 2 * padding, size[1] + 2 * padding)
    for (r, c), place in windows(total, kernel_size, stride):
        total[place] = grad_output[:, :, r, c, None, None] / (kernel_size[0] * kernel_size[1])
    return total[:, :, padding : padding + size[0], padding : padding + size[1]]


def sum_instead_of_average(grad_output, size, kernel_size, stride, padding):
    return RIGHT["avg_pool2d_input_gradient"](grad_output, size, kernel_size, stride, padding) * np.prod(kernel_size)


def largest_against_zeros(input, kernel_size, stride, padding):
    x = padded(input, padding)
    return RIGHT["max_pool2d_forward"](x, kernel_size, stride, 0)


def bias_over_the_wrong_axes(grad_output):
    return grad_output.sum((1, 2, 3))


def bias_of_the_first_image(grad_output):
    return grad_output[0].sum((1, 2))


def flipped_kernel(input, weight, bias, stride, padding, dilation, groups):
    return F.conv2d(input, weight.flip(2, 3), bias, stride, padding, dilation, groups)


def padding_off_by_one(input, weight, bias, stride, padding, dilation, groups):
    shifted = F.pad(input, (0, 2 * padding, 0, 2 * padding))
    return F.conv2d(shifted, weight, bias, stride, 0, dilation, groups)


def dilation_of_the_columns_only(input, weight, bias, stride, padding, dilation, groups):
    y = F.conv2d(input, weight, bias, stride, padding, (1, dilation), groups)
    return y[:, :, : RIGHT["conv2d_forward"](input, weight, bias, stride, padding, dilation, groups).shape[2]]


def rest_of_the_stride_cut_off(grad_output, weight, size, stride, padding, dilation, groups):
    return F.conv_transpose2d(grad_output, weight, None, stride, padding, 0, groups, dilation)


def groups_mixed(grad_output, input, kernel_size, stride, padding, dilation, groups):
    channels = input.shape[1] // groups
    first = input[:, :channels].repeat(1, groups, 1, 1)
    return RIGHT["conv2d_weight_gradient"](grad_output, first, kernel_size, stride, padding, dilation, groups)


def mean_over_the_images(grad_output, input, kernel_size, stride, padding, dilation, groups):
    total = RIGHT["conv2d_weight_gradient"](grad_output, input, kernel_size, stride, padding, dilation, groups)
    return total / max(1, len(input))


def without_the_path_of_the_mean(grad_output, input, weight, eps):
    _, of_weight, of_bias = RIGHT["batch_norm_gradients"](grad_output, input, weight, eps)
    centred = input - input.mean((0, 2, 3), keepdim=True)
    deviation = (centred.square().mean((0, 2, 3), keepdim=True) + eps).sqrt()
    m, by_channel = input.numel() / input.shape[1], (1, -1, 1, 1)
    through_variance = centred / deviation * of_weight.reshape(by_channel) / m
    return weight.reshape(by_channel) / deviation * (grad_output - through_variance), of_weight, of_bias


def variance_over_one_less(input, weight, bias, eps):
    by_channel = (1, -1, 1, 1)
    mean, variance = input.mean((0, 2, 3), keepdim=True), input.var((0, 2, 3), keepdim=True)
    return weight.reshape(by_channel) * (input - mean) / (variance + eps).sqrt() + bias.reshape(by_channel)


def softmax_without_shift(input, labels):
    probabilities = np.exp(input) / np.exp(input).sum(1, keepdims=True)
    return -np.log(probabilities[np.arange(len(labels)), labels]).mean()


def not_divided_by_the_images(input, labels):
    return input.softmax(1) - F.one_hot(labels, input.shape[1])


def rows_in_another_order(input, kernel_size, stride, padding, dilation):
    channels = input.shape[1]
    columns = RIGHT["im2col"](input, kernel_size, stride, padding, dilation)
    return columns.unflatten(0, (channels, -1)).transpose(0, 1).flatten(0, 1)


def transposed(grad_output, input):
    return input.T @ grad_output


def passes_at_zero(grad_output, output):
    return grad_output * (output >= 0)


WRONG = [
    # exercise, implementation, what the hint is about, arguments of the smallest case
    ("max_pool2d_input_gradient", ties_counted_twice, "equal", {"kernel_size": [1, 2], "stride": 1, "padding": 0}),
    ("avg_pool2d_input_gradient", overlap_overwritten, "overlap", {"size": [1, 3], "kernel_size": [1, 2], "stride": 1}),
    ("avg_pool2d_input_gradient", sum_instead_of_average, "share", {"size": [1, 2], "kernel_size": [1, 2]}),
    ("max_pool2d_forward", largest_against_zeros, "never wins", {"input": [[[[-1]]]], "padding": 1}),
    ("conv2d_bias_gradient", bias_over_the_wrong_axes, "bias", {"grad_output": [[[[0]], [[0]]]]}),
    ("conv2d_bias_gradient", bias_of_the_first_image, "share", {"grad_output": [[[[1]]], [[[1]]]]}),
    ("conv2d_forward", flipped_kernel, "laid on the image", {"input": [[[[0, 1]]]], "weight": [[[[0, 1]]]]}),
    ("conv2d_forward", padding_off_by_one, "padding", {"padding": 1, "stride": 1, "groups": 1, "dilation": 1}),
    ("conv2d_forward", dilation_of_the_columns_only, "gaps", {"dilation": 2, "stride": 1, "groups": 1}),
    ("conv2d_input_gradient", rest_of_the_stride_cut_off, "remainder", {"stride": 2, "size": [1, 2], "groups": 1}),
    ("conv2d_weight_gradient", groups_mixed, "groups", {"groups": 2, "kernel_size": [1, 1], "stride": 1}),
    ("conv2d_weight_gradient", mean_over_the_images, "images share", {"groups": 1, "kernel_size": [1, 1]}),
    ("batch_norm_gradients", without_the_path_of_the_mean, "mean", {"grad_output": [[[[1]]]]}),
    ("batch_norm_forward", variance_over_one_less, "divisor", {"eps": 1.0}),
    ("softmax_cross_entropy", softmax_without_shift, "exp small", {"labels": [0]}),
    ("softmax_cross_entropy_input_gradient", not_divided_by_the_images, "share", {"input": [[0, 0], [0, 0]]}),
    ("im2col", rows_in_another_order, "order", {"kernel_size": [1, 2], "stride": 1, "padding": 0}),
    ("linear_weight_gradient", transposed, "joins", {"grad_output": [[0, 0]], "input": [[0]]}),
    ("relu_input_gradient", passes_at_zero, "zero", {"grad_output": [[[1]]], "output": [[[0]]]}),
]


@pytest.mark.parametrize(
    ("name", "function", "idea", "smallest"), WRONG, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_wrong_implementation_is_found_on_the_smallest_case(name, function, idea, smallest):
    verdict = check_function(exercises()[name], function, takes_tensors=function is not softmax_without_shift)
    assert verdict.verdict == "wrong"
    assert idea in verdict.hint
    assert {key: verdict.case[key] for key in smallest} == smallest
    numbers = [np.size(value) for key, value in verdict.case.items() if key in ("input", "grad_output", "weight")]
    assert max(numbers) <= 4
    assert verdict.yours != verdict.right or "shape" in verdict.what
