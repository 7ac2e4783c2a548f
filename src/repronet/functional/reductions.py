"""Sums used by the normalisations: along rows, and over all dimensions but the channels."""

import math

import torch
from torch import Tensor

from repronet.functional.precision import is_lowered


def row_dot(left: Tensor, right: Tensor) -> Tensor:
    """Σ left·right along the last dimension, on the CPU without storing the products: two of (…, M) → (…)."""
    # On other devices, and under autocast, a dot product may be computed in lower precision than its operands have.
    if is_lowered(left) or left.device.type != "cpu":
        return (left * right).sum(-1)
    return torch.linalg.vecdot(left, right)


def along_channels(values: Tensor, input: Tensor) -> Tensor:
    """(C,) → (1, C, 1, …), to broadcast against the input."""
    return values.reshape((1, -1) + (1,) * (input.dim() - 2))


def over_batch(values: Tensor) -> Tensor:
    """Sum over all dimensions but the channels: (N, C, …) → (C,)."""
    return values.sum((0, *range(2, values.dim())))


def dot_over_batch(left: Tensor, right: Tensor) -> Tensor:
    """Sum of products over all dimensions but the channels: two of (N, C, …) → (C,)."""
    if left.dim() == 2 or not (left.is_contiguous() and right.is_contiguous()):
        return over_batch(left * right)
    return row_dot(left.flatten(2), right.flatten(2)).sum(0)


def elements(input: Tensor) -> int:
    """m, the number of elements per channel in the batch; 1 for an empty batch, whose sums are 0."""
    return max(1, input.shape[0] * math.prod(input.shape[2:]))


def mean_over_batch(input: Tensor) -> Tensor:
    """Mean over all dimensions but the channels: (N, C, …) → (C,)."""
    rows = input.sum(tuple(range(2, input.dim()))) if input.dim() > 2 else input  # (N, C)
    # A large mean must be exact to its last digit, since the variance depends on it. Apple's GPUs have no float64.
    total = rows.sum(0) if input.device.type == "mps" else rows.sum(0, dtype=torch.float64)
    return (total / elements(input)).to(input.dtype)
