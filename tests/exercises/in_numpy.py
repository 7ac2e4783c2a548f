"""Exercises solved in numpy: windows as views, einsum, loops. The convolution knows no groups and no dilation."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def both(value):
    return value, value


def im2col(input, kernel_size, stride, padding, dilation):
    x, (kh, kw) = np.pad(input, [(0, 0), (0, 0), both(padding), both(padding)]), kernel_size
    spans = (dilation * (kh - 1) + 1, dilation * (kw - 1) + 1)
    seen = sliding_window_view(x, spans, (2, 3))[:, :, ::stride, ::stride, ::dilation, ::dilation]
    return seen.transpose(1, 4, 5, 0, 2, 3).reshape(x.shape[1] * kh * kw, seen.shape[0] * seen.shape[2] * seen.shape[3])


def conv2d_forward(x, w, b, stride, padding):  # without groups and dilation, and with names of one's own
    x = np.pad(x, [(0, 0), (0, 0), both(padding), both(padding)])
    seen = sliding_window_view(x, w.shape[2:], (2, 3))[:, :, ::stride, ::stride]
    return np.einsum("ncrsab,ocab->nors", seen, w) + b[:, None, None]


def conv2d_bias_gradient(grad_output):
    return [grad_output[:, o].sum() for o in range(grad_output.shape[1])]


def max_pool2d_forward(input, kernel_size, stride, padding):
    x = np.pad(input, [(0, 0), (0, 0), both(padding), both(padding)], constant_values=-np.inf)
    return sliding_window_view(x, kernel_size, (2, 3))[:, :, ::stride, ::stride].max((4, 5))


def max_pool2d_input_gradient(grad_output, input, kernel_size, stride, padding):
    x = np.pad(input, [(0, 0), (0, 0), both(padding), both(padding)], constant_values=-np.inf)
    total = np.zeros_like(x)
    for n, i, r, c in np.ndindex(*grad_output.shape):
        seen = x[n, i, r * stride : r * stride + kernel_size[0], c * stride : c * stride + kernel_size[1]]
        a, b = divmod(int(seen.argmax()), kernel_size[1])
        total[n, i, r * stride + a, c * stride + b] += grad_output[n, i, r, c]
    return total[:, :, padding : padding + input.shape[2], padding : padding + input.shape[3]]


def relu_forward(input):
    return np.where(input > 0, input, 0)


def relu_input_gradient(grad_output, output):
    return grad_output * np.sign(output)


def linear_forward(input, weight, bias):
    return np.einsum("ni,oi->no", input, weight) + bias


def linear_weight_gradient(grad_output, input):
    total = np.zeros((grad_output.shape[1], input.shape[1]))
    for g, x in zip(grad_output, input, strict=True):
        total += np.outer(g, x)
    return total


def batch_norm_forward(input, weight, bias, eps):
    by_channel = input.transpose(1, 0, 2, 3).reshape(input.shape[1], -1)
    scale = weight / np.sqrt(by_channel.var(1) + eps)
    return ((input.transpose(0, 2, 3, 1) - by_channel.mean(1)) * scale + bias).transpose(0, 3, 1, 2)


def batch_norm_gradients(grad_output, input, weight, eps):
    """In stages, as CS231n draws them."""
    axes, m = (0, 2, 3), input.size / input.shape[1]
    centred = input - input.mean(axes, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axes, keepdims=True) + eps)
    of_normed = grad_output * weight[:, None, None]
    of_variance = (of_normed * centred).sum(axes, keepdims=True) * -0.5 / deviation**3
    of_centred = of_normed / deviation + 2 * centred / m * of_variance
    of_input = of_centred - of_centred.sum(axes, keepdims=True) / m
    return [of_input, (grad_output * centred / deviation).sum(axes), grad_output.sum(axes)]


def softmax_cross_entropy(input, labels):
    total = 0.0
    for row, label in zip(input.tolist(), labels.tolist(), strict=True):
        most = max(row)
        total += math.log(sum(math.exp(value - most) for value in row)) + most - row[label]
    return total / len(labels)


def softmax_cross_entropy_input_gradient(input, labels):
    powers = np.exp(input - input.max(1, keepdims=True))
    p = powers / powers.sum(1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return p / len(labels)
