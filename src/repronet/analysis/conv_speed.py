"""Time each convolution algorithm on a shape: the forward pass and both gradients."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from repronet.functional.conv import refusal
from repronet.functional.convolution import ALGORITHMS, ConvSpec
from repronet.functional.windows import Geometry

STEPS = ("forward", "input_gradient", "weight_gradient")


@dataclass(frozen=True)
class ConvShape:
    """One convolution: the input (N, C, H, W), the filters (O, C/G, kh, kw) and the windows."""

    input: tuple[int, int, int, int]
    filters: int
    geometry: Geometry
    groups: int = 1

    @property
    def multiplications(self) -> int:
        """Multiplications of the forward pass; each gradient needs as many."""
        batch, channels, *size = self.input
        height, width = self.geometry.output_size((size[0], size[1]))
        per_output = channels // self.groups * len(self.geometry.offsets)
        return batch * self.filters * height * width * per_output

    def __str__(self) -> str:
        pairs = (self.geometry.kernel, self.geometry.stride, self.geometry.padding, self.geometry.dilation)
        kernel, stride, padding, dilation = (str(a) if a == b else f"{a}×{b}" for a, b in pairs)
        text = f"{'×'.join(map(str, self.input))} → {self.filters}, {kernel}"
        for name, value, plain in (("/", stride, "1"), (" pad ", padding, "0"), (" dil ", dilation, "1")):
            text += "" if value == plain else f"{name}{value}"
        return text + (f" groups {self.groups}" if self.groups > 1 else "")


def conv_shapes(network: nn.Module, images: Tensor) -> dict[ConvShape, int]:
    """The convolutions of a network for these images and how often each occurs, in the order of the forward pass."""
    found: dict[ConvShape, int] = {}

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        padding = (0, 0) if isinstance(layer.padding, str) else layer.padding
        kernel, stride, pads, dilation = (
            (pair[0], pair[1]) for pair in (layer.kernel_size, layer.stride, padding, layer.dilation)
        )
        n, c, h, w = inputs[0].shape
        shape = ConvShape((n, c, h, w), layer.out_channels, Geometry(kernel, stride, pads, dilation), layer.groups)
        found[shape] = found.get(shape, 0) + 1

    with torch.no_grad(), ExitStack() as hooks:
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                hooks.enter_context(layer.register_forward_hook(note))
        network(images)
    return found


def measure(
    shape: ConvShape,
    algorithms: Iterable[str] = ALGORITHMS,
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> dict[str, dict[str, float]]:
    """The shortest time in seconds of each step and applicable algorithm: {"forward": {"im2col": …}, …}.

    Raises:
        ValueError: if none of the algorithms applies to the shape.
    """
    device = device or torch.device("cpu")
    x, w, g = _operands(shape, dtype, device, memory_format)
    size = (shape.input[2], shape.input[3])
    refused = {name: refusal(name, shape.geometry, dtype) for name in algorithms}
    names = [name for name, reason in refused.items() if reason is None]
    if not names:
        raise ValueError("; ".join(str(reason) for reason in refused.values()))
    times = {}
    for step, arguments in zip(STEPS, ((x, w, None), (g, w, size), (g, x)), strict=True):
        spec = ConvSpec(shape.geometry, shape.groups)
        runs = {name: partial(getattr(ALGORITHMS[name], step), *arguments, spec) for name in names}
        times[step] = _least_seconds(runs, device)
    return times


_ROUNDS = 10
_LOADING_SECONDS = 0.1  # that loading a kernel may add to a first call
_ROUNDS_SECONDS = 0.5  # no further rounds after this time; a slow operator has less relative noise and needs fewer


def _least_seconds(runs: Mapping[str, Callable[[], object]], device: torch.device) -> dict[str, float]:
    """The shortest time of each run, in seconds. They run in turn, so that changes of machine speed affect all alike.

    The shortest, not the median: other processes only ever make a call slower, and the median would include them.
    A run whose first call takes over twice the shortest one is not called again, unless it may be loading a kernel.
    """
    with torch.no_grad():
        least = {name: _time(run, device) for name, run in runs.items()}  # allocates, loads kernels
        limit = max(2 * min(least.values()), _LOADING_SECONDS)
        begun, kept = time.perf_counter(), [name for name in runs if least[name] <= limit]
        for _ in range(_ROUNDS):
            least |= {name: min(least[name], _time(runs[name], device)) for name in kept}
            if time.perf_counter() - begun > _ROUNDS_SECONDS:
                break
    return least


def _time(run: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    begun = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - begun


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _operands(
    shape: ConvShape, dtype: torch.dtype, device: torch.device, memory_format: torch.memory_format
) -> tuple[Tensor, Tensor, Tensor]:
    """Random x, w and ∂y."""
    batch, channels, height, width = shape.input
    output = shape.geometry.output_size((height, width))
    generator = torch.Generator(device).manual_seed(0)
    sizes = (
        shape.input,
        (shape.filters, channels // shape.groups, *shape.geometry.kernel),
        (batch, shape.filters, *output),
    )
    x, w, g = (torch.randn(size, dtype=dtype, device=device, generator=generator) for size in sizes)
    return x.contiguous(memory_format=memory_format), w, g.contiguous(memory_format=memory_format)
