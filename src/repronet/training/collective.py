"""Exact sums and maxima over the processes of a run; with one process, its own values.

Every process must call these functions equally often and in the same order: each call waits for all processes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from repronet.functional.synchronized_norm import several_processes as several


def total(values: Sequence[float]) -> list[float]:
    """Each number summed over the processes, in double precision: integers below 2⁵³ stay exact."""
    return _reduced(values, torch.float64, dist.ReduceOp.SUM) if several() else list(values)


def largest(values: Sequence[int]) -> list[int]:
    """The maximum of each number over the processes."""
    return [int(value) for value in _reduced(values, torch.int64, dist.ReduceOp.MAX)] if several() else list(values)


def _reduced(values: Sequence[float], dtype: torch.dtype, how: dist.ReduceOp.RedOpType) -> list[float]:
    numbers = torch.tensor(values, dtype=dtype)
    dist.all_reduce(numbers, how)
    return numbers.tolist()


def add_up(values: Tensor) -> None:
    """Sum a tensor over the processes, in place."""
    if several():
        dist.all_reduce(values)


def gathered(rows: Tensor) -> Tensor:
    """The rows of all processes, concatenated: (n, …) → (N, …). Processes may have different numbers of rows."""
    if not several():
        return rows
    sizes = [torch.zeros(1, dtype=torch.int64) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, torch.tensor([len(rows)]))
    most = max(int(size) for size in sizes)
    padded = torch.cat([rows, rows.new_zeros((most - len(rows), *rows.shape[1:]))])
    parts = [torch.empty_like(padded) for _ in sizes]
    dist.all_gather(parts, padded)
    return torch.cat([part[: int(size)] for part, size in zip(parts, sizes, strict=True)])


def average_statistics(module: nn.Module) -> None:
    """Set the running statistics of batch norm to their mean over all processes, in place.

    Where batch norm is local, each process has its own. Running statistics are linear in the statistics of the batches,
    so it does not matter when their mean is taken.
    """
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    running = [values for norm in norms for values in (norm.running_mean, norm.running_var) if values is not None]
    if not several() or not running:
        return
    flat = torch.cat([values.detach().flatten().double() for values in running])
    dist.all_reduce(flat)
    for values, mean in zip(running, (flat / dist.get_world_size()).split([v.numel() for v in running]), strict=True):
        values.copy_(mean.view_as(values))
