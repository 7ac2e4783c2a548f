"""The settings of our layers, in the notation of :mod:`repronet.papers.releases.notation`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from repronet import layers
from repronet.functional.windows import pair
from repronet.models.lenet import EuclideanRBF, ScaledTanh, Subsampling
from repronet.models.residual import PaddedShortcut
from repronet.papers.releases.notation import DOWN, RULES, UP, Sides, Value


@dataclass(frozen=True)
class Start:
    """How a parameter is initialised: the kind of distribution, its size, and the fans of the layer."""

    kind: str
    size: float
    fan_in: int
    fan_out: int

    def like(self, stated: object) -> object:
        """The text ``stated`` by a release if it is true here, else our initialisation in the same notation."""
        rules = {f"{self.kind} {rule}": size(self.fan_in, self.fan_out) for rule, size in RULES.items()}
        rules[f"{self.kind} {self.size:g}"] = self.size
        fitting = [text for text, size in rules.items() if math.isclose(size, self.size, rel_tol=1e-6)]
        if self.kind == "constant":
            return self.size
        return stated if stated in fitting else fitting[0]


Described = tuple[str, dict[str, Value | Start | None]]
Starting = Callable[[Tensor | None, Tensor], Start | None]
Reader = Callable[[Any, Tensor, Tensor, Starting], Described | None]


def _sides(value: Any) -> Sides:
    height, width = pair(value, "size")
    return height if height == width else (height, width)


def _geometry(module: Any, maps: Tensor, rounds: str) -> dict[str, Value]:
    """Window (dilated), stride and padding, and how the output size is rounded if that matters."""
    stride, padding, spread = (pair(getattr(module, n, 1), n) for n in ("stride", "padding", "dilation"))
    sides = zip(pair(module.kernel_size, "kernel_size"), spread, strict=True)
    window = tuple((side - 1) * apart + 1 for side, apart in sides)
    sizes = zip(maps.shape[2:], window, stride, padding, strict=True)
    matters = any((size + 2 * around - side) % step for size, side, step, around in sizes)
    found: dict[str, Value] = {"window": _sides(window), "stride": _sides(stride), "padding": _sides(padding)}
    return {**found, "rounds": rounds} if matters else found


def _weighted(module: Any, start: Starting) -> dict[str, Value | Start | None]:
    weight, bias = module.weight, module.bias
    return {
        "bias": bias is not None,
        "weights start": start(weight, weight),
        "bias starts": None if bias is None else start(bias, weight),
    }


def _convolution(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Described:
    weighted = _weighted(module, start)
    if maps.shape[2:] == output.shape[2:] == (1, 1) and _sides(module.kernel_size) == 1:
        return "linear", {"outputs": module.out_channels, **weighted}
    table = math.prod(module.weight.shape[:2])
    if parametrize.is_parametrized(module, "weight"):
        table = len(module.parametrizations.weight.original)
    shape = {"maps": module.out_channels, **_geometry(module, maps, DOWN), "groups": module.groups, "table": table}
    return "convolution", {**shape, **weighted}


def _local(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Described:
    shape = {"maps": output.shape[1], "window": _sides(tuple(module.weight.shape[2:4]))}
    rest = {"stride": _sides(module.stride), "padding": _sides(module.padding)}
    fan_in = module.weight[:, :, :, :, 0, 0]
    bias = start(module.bias, fan_in)
    weighted = {"bias": module.bias is not None, "weights start": start(module.weight, fan_in), "bias starts": bias}
    return "locally connected", {**shape, **rest, **weighted}


def _pool(kind: str) -> Reader:
    def read(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Described:
        if kind == "average pool" and output.shape[2:] == (1, 1) and pair(module.kernel_size, "size") == maps.shape[2:]:
            return kind, {"window": "whole map"}
        found = _geometry(module, maps, UP if module.ceil_mode else DOWN)
        counts = getattr(module, "count_include_pad", None) if found["padding"] else None
        return kind, {**found, "counts padding": counts}

    return read


def _adaptive(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Described | None:
    if maps.shape == output.shape:
        return None
    whole = output.shape[2:] == (1, 1)
    return "average pool", {"window": "whole map" if whole else f"{output.shape[2]}×{output.shape[3]} regions"}


def _response_norm(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Described:
    summed = module.size if isinstance(module, layers.KrizhevskyResponseNorm) else 1  # its α multiplies the sum
    constants = {"alpha": module.alpha * summed, "beta": module.beta, "k": module.k}
    over = "pixels" if isinstance(module, layers.ResponseNormWithinMaps) else "maps"
    return "response norm", {"size": module.size, **constants, "over": over}


def _scaled_tanh(module: Any, maps: Tensor, output: Tensor, start: Starting) -> Described:
    """Read the constants from the outputs for a large number and for 1."""
    amplitude, at_one = module.forward(torch.tensor([1e6, 1.0], dtype=torch.float64, device="cpu")).tolist()
    return "scaled tanh", {"amplitude": amplitude, "slope": math.atanh(at_one / amplitude)}


def _says(kind: str, **attributes: str) -> Reader:
    """A reader for layers whose settings are their attributes, under other names."""
    return lambda module, maps, output, start: (kind, {name: getattr(module, at) for name, at in attributes.items()})


_READERS: dict[type[nn.Module], Reader] = {
    nn.Conv2d: _convolution,
    nn.Linear: lambda m, maps, out, start: ("linear", {"outputs": m.out_features, **_weighted(m, start)}),
    layers.LocallyConnected2d: _local,
    nn.MaxPool2d: _pool("max pool"),
    nn.AvgPool2d: _pool("average pool"),
    nn.AdaptiveAvgPool2d: _adaptive,
    nn.LocalResponseNorm: _response_norm,
    nn.BatchNorm2d: lambda m, *rest: (
        "batch norm",
        {"eps": m.eps, "decay": 1 - m.momentum, "gain": m.weight is not None},
    ),
    nn.ReLU: _says("relu"),
    nn.Sigmoid: _says("sigmoid"),
    nn.Dropout: lambda m, *rest: ("dropout", {"share": m.p}) if m.p else None,
    PaddedShortcut: lambda m, *rest: (
        "padded shortcut",
        {"stride": m.stride, "zeros": "behind" if m.before == 0 else "around"},
    ),
    Subsampling: lambda m, *rest: ("subsampling", {"window": _sides(m.window_sum.kernel_size)}),
    ScaledTanh: _scaled_tanh,
    EuclideanRBF: lambda m, *rest: ("radial basis functions", {"outputs": len(m.codes)}),
}


def reader(module: nn.Module) -> Reader | None:
    """The function that reads a layer's settings; None for a module that only contains layers."""
    for kind, read in _READERS.items():
        if isinstance(module, kind):
            return read
    holds = isinstance(module, nn.Identity) or any(True for _ in module.children())
    return None if holds else _says(type(module).__name__)
