"""Shared code of the pools: their settings, and windows split into two axes.

A maximum or a sum over a window can be computed along one axis, then along the other. So each pool takes kh + kw steps
instead of kh·kw, and each step here works along one axis only. Padding is never stored: a step covers only the windows
whose element lies inside the input.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from repronet.functional.function import Operator, by_batch, is_transformed
from repronet.functional.windows import Geometry, IntOrPair, Pair, image_size, pair, remembered

Phases = Tensor | Sequence[Tensor]  # the first dimension of a tensor is the phase

ROWS, COLUMNS = -2, -1  # the dimensions along which the two passes work


@dataclass(frozen=True)
class Step:
    """Element number a of the windows along one axis.

    It lies inside the input for `count` windows, starting with number `window`. If the input is split by stride into S
    phases, phase c with every S-th element from c on, these elements are consecutive in phase `phase` from `start` on.
    """

    window: int
    count: int
    phase: int
    start: int


@dataclass(frozen=True)
class Axis:
    """The windows along one axis: dimension `dim` of an input has `length` elements and `windows` windows."""

    dim: int
    length: int
    windows: int
    stride: int
    steps: tuple[Step, ...]

    def phases(self, input: Tensor) -> Phases:
        """S views, each with every S-th row or column, starting at 0 … S−1."""
        if self.dim == ROWS:
            return [input[..., c :: self.stride, :] for c in range(self.stride)]
        return [input[..., c :: self.stride] for c in range(self.stride)]

    def elements(self, phases: Phases, step: Step) -> Tensor:
        """A view of the step's element in each window where it lies inside the input."""
        return phases[step.phase].narrow(self.dim, step.start, step.count)

    def owners(self, output: Tensor, step: Step) -> Tensor:
        """A view of the windows in which the step's element lies inside the input."""
        return output.narrow(self.dim, step.window, step.count)


def phased(input: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """Copy the input split into the phases of both axes: (N, C, H, W) → (Sw, Sh, N, C, ⌈H/Sh⌉, ⌈W/Sw⌉), zero-padded.

    The elements of a step are then contiguous in memory, which is worth the copy if many passes follow.
    """
    (n, c, h, w), (sh, sw) = input.shape, (rows.stride, columns.stride)
    fresh = input.new_zeros if h % sh or w % sw else input.new_empty
    apart = fresh((sw, sh, n, c, -(-h // sh), -(-w // sw)))
    for phase, part in _pairs(apart, input):
        phase.copy_(part)
    return apart


def unphased_into(output: Tensor, apart: Tensor) -> None:
    """Inverse of `phased`, written into `output`: (Sw, Sh, N, C, ⌈H/Sh⌉, ⌈W/Sw⌉) → (N, C, H, W)."""
    for phase, part in _pairs(apart, output):
        part.copy_(phase)


def _pairs(apart: Tensor, whole: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """For each phase, its view in `apart` (without the zero padding) and its view in `whole`."""
    sw, sh = apart.shape[:2]
    for column in range(sw):
        for row in range(sh):
            part = whole[:, :, row::sh, column::sw]
            yield apart[column, row, :, :, : part.shape[2], : part.shape[3]], part


@remembered
def axes(size: Pair, geometry: Geometry) -> tuple[Axis, Axis]:
    """The windows over an input of this size, along its height and along its width."""
    rows, columns = (_axis(number, size[number], geometry.output_size(size)[number], geometry) for number in (0, 1))
    return rows, columns


def _axis(number: int, length: int, windows: int, geometry: Geometry) -> Axis:
    dilation = geometry.dilation[number]
    stride = geometry.stride[number] if windows > 1 else min(geometry.stride[number], length)
    steps = []
    for a in range(geometry.kernel[number]):
        first = a * dilation - geometry.padding[number]  # the position of this element of window 0
        window = max(0, -(first // stride))
        count = min(windows, (length - 1 - first) // stride + 1) - window
        if count > 0:
            phase, start = (window * stride + first) % stride, (window * stride + first) // stride
            steps.append(Step(window, count, phase, start))
    return Axis((ROWS, COLUMNS)[number], length, windows, stride, tuple(steps))


def pool_geometry(
    name: str,
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
) -> Geometry:
    """Check the settings of a pool and return them as a `Geometry`.

    Raises:
        RuntimeError: for incompatible shapes or window settings.
        TypeError: for settings that are not integers.
    """
    if input.dim() not in (3, 4) or 0 in input.shape[-3:]:
        raise RuntimeError(f"{name} needs an input (N, C, H, W) or (C, H, W) with channels, got {tuple(input.shape)}")
    kernel, pads = pair(kernel_size, "kernel_size"), pair(padding, "padding")
    # As in torch, an empty stride means that none is given.
    strides = kernel if stride is None or (isinstance(stride, Sequence) and not stride) else pair(stride, "stride")
    geometry = _checked(kernel, strides, pads, pair(dilation, "dilation"), bool(ceil_mode))
    axes(image_size(input), geometry)  # refuses windows larger than the input
    return geometry


@remembered
def _checked(kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool) -> Geometry:
    geometry = Geometry(kernel, stride, padding, dilation, ceil_mode)
    if any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        raise RuntimeError(f"padding must be at most half the kernel, got padding {padding} for kernel {kernel}")
    return geometry


def own_wins(input: Tensor) -> bool:
    """Whether our passes over whole rows can be faster than the vendor's kernels: on the CPU, for contiguous maps.

    Measured forward and backward, on one thread and two. In channels-last memory the vendor is two to five times
    faster. In torch.func, torch.compile and exports, the vendor's single operator is also easier to recognise.
    """
    return (
        input.device.type == "cpu"
        and input.dtype in (torch.float32, torch.float64)
        and input.is_contiguous()
        and input.numel() > 0
        and not is_transformed()
    )


def fold_batch(operator: Operator[..., Tensor], info: Any, in_dims: Sequence[int | None], *args: Any) -> Any:
    """The torch.func.vmap rule of a pool: images are pooled independently, so B batches of N become one of B·N."""
    many = info.batch_size
    folded = [
        by_batch(value, dim, many).flatten(0, 1) if isinstance(value, Tensor) else value
        for value, dim in zip(args, in_dims, strict=False)
    ]
    result = operator(*folded)
    return result.unflatten(0, (many, result.shape[0] // many)), 0
