"""The settings that all algorithms of convolution receive, and the memory layout of their outputs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from repronet.functional.windows import Geometry


@dataclass(frozen=True)
class ConvSpec:
    """Windows, channel groups, and the algorithm's name."""

    geometry: Geometry
    groups: int = 1
    algorithm: str = "auto"


def layout_of(first: Tensor, second: Tensor) -> torch.memory_format:
    """Memory format of the result: channels-last if an operand is, as in torch's convolution."""
    either = _is_channels_last(first) or _is_channels_last(second)
    return torch.channels_last if either else torch.contiguous_format


def room_for(shape: Sequence[int], first: Tensor, second: Tensor) -> Tensor:
    """Uninitialised memory for a result of two operands: in their layout, with dtype and device of the first."""
    return torch.empty(shape, dtype=first.dtype, device=first.device, memory_format=layout_of(first, second))


def _is_channels_last(tensor: Tensor) -> bool:
    return not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def with_bias(output: Tensor, bias: Tensor | None) -> Tensor:
    """Add the bias in place: (N, O, Ho, Wo) and (O,)."""
    return output if bias is None else output.add_(bias[:, None, None])
