"""Exercises solved by other functions of torch's and by its autograd."""

import math

import torch
import torch.nn.functional as F


def im2col(input, kernel_size, stride, padding, dilation):
    return F.unfold(input, kernel_size, dilation, padding, stride).transpose(0, 1).flatten(1)


def col2im(columns, batch, size, kernel_size, stride, padding, dilation):
    if not batch:
        return columns.new_zeros(0, len(columns) // math.prod(kernel_size), *size)
    by_image = columns.unflatten(1, (batch, -1)).transpose(0, 1)
    return F.fold(by_image, size, kernel_size, dilation, padding, stride)


def conv2d_input_gradient(grad_output, weight, size, stride, padding, dilation, groups):
    input = torch.zeros(len(grad_output), weight.shape[1] * groups, *size, requires_grad=True)
    F.conv2d(input, weight, None, stride, padding, dilation, groups).backward(grad_output)
    return input.grad


def avg_pool2d_forward(input, kernel_size, stride, padding):
    kernel = torch.full((input.shape[1], 1, *kernel_size), 1 / math.prod(kernel_size))
    return F.conv2d(input, kernel, None, stride, padding, groups=input.shape[1])


def linear_input_gradient(grad_output, weight):
    return torch.einsum("no,oi->ni", grad_output, weight)


def linear_bias_gradient(grad_output):
    return torch.ones(len(grad_output)) @ grad_output


def batch_norm_gradients(grad_output, input, weight, eps):
    x, w = input.clone().requires_grad_(), weight.clone().requires_grad_()
    b = torch.zeros_like(weight, requires_grad=True)
    variance, mean = torch.var_mean(x, (0, 2, 3), correction=0, keepdim=True)
    y = w[:, None, None] * (x - mean) / (variance + eps).sqrt() + b[:, None, None]
    return torch.autograd.grad(y, (x, w, b), grad_output)


def softmax_cross_entropy(input, labels):
    return -input.log_softmax(1)[range(len(labels)), labels].mean()
