"""Batch normalisation over the batches of several processes, forward and its gradients.

Process r has m_r elements of a channel, with mean μ_r and Σ(x − μ_r)² = M_r. Over all m = Σ m_r of them

    μ = Σ m_r·μ_r / m,      σ² = Σ (M_r + m_r·(μ_r − μ)²) / m

(Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979), so each
process is weighted by its number of elements, which may be 0. The rest is as in `repronet.functional.norm`, with

    ∂L/∂x = γ/√(σ² + ε) · (∂L/∂y − (Σ ∂L/∂y + x̂·Σ ∂L/∂y·x̂)/m),

both sums over all processes and L the sum of their losses. Each process returns its own gradients of γ and β, since the
code that averages gradients over processes adds them up like those of any weight.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from repronet.functional.norm import (
    batch_norm_bias_gradient,
    batch_norm_input_gradient,
    batch_norm_weight_gradient,
    batch_statistics,
    channel_scale,
    shifted,
)
from repronet.functional.norm_operands import check_operands
from repronet.functional.precision import accumulation_dtype
from repronet.functional.reductions import along_channels, elements


def several_processes() -> bool:
    """Whether this process is one of several connected by `torch.distributed`."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def pooled_statistics(counts: Tensor, means: Tensor, sums: Tensor) -> tuple[int, Tensor, Tensor]:
    """m, μ and σ² from m_r, μ_r and M_r: (P, 1), (P, C), (P, C) → a number, (C,), (C,)."""
    total = counts.sum()
    mean = (counts * means).sum(0) / total
    variance = (sums + counts * (means - mean).square()).sum(0) / total
    return int(total), mean, variance


def synchronized_statistics(input: Tensor) -> tuple[int, Tensor, Tensor]:
    """Elements per channel over all processes, their mean and variance: (N, C, …) → a number, (C,), (C,)."""
    own_mean, own_variance, _ = batch_statistics(input)
    count = elements(input) if input.numel() else 0
    own = torch.cat([own_mean.new_tensor([count]), own_mean, own_variance * count]).double()  # (1 + 2C,)
    rows = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(rows, own)
    counts, means, sums = torch.stack(rows).split([1, input.shape[1], input.shape[1]], dim=1)
    total, mean, variance = pooled_statistics(counts, means, sums)
    return total, mean.to(input.dtype), variance.to(input.dtype)


class _SynchronizedBatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, int]:
        x = input.to(accumulation_dtype(input.dtype))
        count, mean, variance = synchronized_statistics(x)
        if count == 1:
            raise ValueError(f"training needs more than 1 value per channel, got input {tuple(input.shape)}")
        ctx.save_for_backward(input, weight, mean, variance)
        ctx.eps, ctx.count = eps, count
        ctx.mark_non_differentiable(mean, variance)
        scale = along_channels(channel_scale(variance, weight, eps), x)
        return shifted(x - along_channels(mean, x), scale, bias).to(input.dtype), mean, variance, count

    @staticmethod
    @once_differentiable
    def backward(  # type: ignore[override]
        ctx: Any, grad_output: Tensor, *_: Any
    ) -> tuple[Tensor, Tensor | None, Tensor | None, None]:
        input, weight, mean, variance = ctx.saved_tensors
        x = input.to(mean.dtype)
        grad, centred = grad_output.to(mean.dtype), x - along_channels(mean, x)
        own = batch_norm_weight_gradient(grad, centred, variance, ctx.eps), batch_norm_bias_gradient(grad)
        sums = torch.stack(own).double()  # (2, C)
        dist.all_reduce(sums)
        of_weight, of_bias = sums.to(mean.dtype)
        of_input = batch_norm_input_gradient(grad, centred, variance, weight, of_weight, of_bias, ctx.eps, ctx.count)
        of_weight, of_bias = (own[n] if ctx.needs_input_grad[n + 1] else None for n in (0, 1))
        return of_input.to(input.dtype), of_weight, of_bias, None


def synchronized_batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel by mean and variance over the batches of all processes, which must all call this together.

    It has first derivatives only, and needs an initialised `torch.distributed` process group.

    Args:
        input: (N, C, …), this process's part of the batch; N may be 0.
        running_mean, running_var: (C,), updated in place as by `repronet.functional.batch_norm`, in every process.
        weight, bias: γ and β, (C,); None for 1 and 0.

    Raises:
        ValueError: if all processes together have a single value per channel.
        RuntimeError, NotImplementedError: for incompatible or unsupported sizes or dtypes.
    """
    check_operands(input, running_mean, running_var, weight, bias)
    dtype = accumulation_dtype(input.dtype)
    gamma, beta = (None if values is None else values.to(dtype) for values in (weight, bias))
    output, mean, variance, count = _SynchronizedBatchNorm.apply(input, gamma, beta, eps)
    if running_mean is not None and running_var is not None:
        with torch.no_grad():
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            running_var.lerp_((variance * (count / (count - 1))).to(running_var.dtype), momentum)
    return output
