"""Exercises solved by the tests' loops over single numbers."""

import torch

import oracles


def both(value):
    return value, value


def conv2d_forward(input, weight, bias, stride, padding, dilation, groups):
    return oracles.conv2d(input, weight, bias, both(stride), both(padding), both(dilation), groups)


def conv2d_input_gradient(grad_output, weight, size, stride, padding, dilation, groups):
    input = torch.zeros(len(grad_output), weight.shape[1] * groups, *size)
    settings = both(stride), both(padding), both(dilation), groups
    return oracles.conv2d_gradients(grad_output, input, weight, *settings)[0]


def conv2d_weight_gradient(grad_output, input, kernel_size, stride, padding, dilation, groups):
    weight = torch.zeros(grad_output.shape[1], input.shape[1] // groups, *kernel_size)
    settings = both(stride), both(padding), both(dilation), groups
    return oracles.conv2d_gradients(grad_output, input, weight, *settings)[1]


def conv2d_bias_gradient(grad_output):
    input, weight = (
        torch.zeros(len(grad_output), 1, *grad_output.shape[2:]),
        torch.zeros(grad_output.shape[1], 1, 1, 1),
    )
    return oracles.conv2d_gradients(grad_output, input, weight)[2]


def max_pool2d_forward(input, kernel_size, stride, padding):
    return oracles.max_pool2d(input, kernel_size, both(stride), both(padding))[0]


def max_pool2d_input_gradient(grad_output, input, kernel_size, stride, padding):
    _, where = oracles.max_pool2d(input, kernel_size, both(stride), both(padding))
    return oracles.max_pool2d_gradient(grad_output, where, input.shape[2:])


def avg_pool2d_forward(input, kernel_size, stride, padding):
    return oracles.avg_pool2d(input, kernel_size, both(stride), both(padding))


def avg_pool2d_input_gradient(grad_output, size, kernel_size, stride, padding):
    return oracles.avg_pool2d_gradient(grad_output, size, kernel_size, both(stride), both(padding))


def relu_forward(input):
    return oracles.relu(input)


def linear_forward(input, weight, bias):
    return oracles.linear(input, weight, bias)


def batch_norm_forward(input, weight, bias, eps):
    return oracles.batch_norm(input, weight, bias, eps)[0]
