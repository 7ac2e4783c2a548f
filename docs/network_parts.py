"""What a network consists of, in the order of computation: the boxes of its page's diagram, and all output shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from network_diagram import Part
from torch import Tensor, nn

from repronet import models
from repronet.papers import NETWORKS

_LAYERS = ("Conv", "Linear", "Connect", "Pool", "Subsampling", "RBF")
_SHORT = {
    "AdaptiveAvgPool2d": "mean",
    "AvgPool2d": "mean pool",
    "EuclideanRBF": "RBF",
    "Linear": "linear",
    "LocallyConnected2d": "unshared",
    "MaxPool2d": "max pool",
    "Subsampling": "subsampling",
}


@dataclass(frozen=True)
class Parts:
    """The boxes, the module that each of them shows ("" for the image), and the output shape of every module."""

    boxes: list[Part]
    paths: list[str]
    shapes: dict[str, tuple[int, ...]]


def parts(name: str) -> Parts:
    """The image, then each convolution, pool and fully connected layer, or the block that contains it."""
    network, size = _built(name), NETWORKS[name].input
    drawn = {path: _text(path, module) for path, module in _drawn(network)}
    found = Parts([("image", size)], [""], {})

    def seen(path: str):
        def hook(module: nn.Module, given: tuple[Tensor, ...], output: object) -> None:
            if not isinstance(output, Tensor):
                return
            found.shapes[path] = tuple(output.shape[1:])
            if path in drawn:
                found.boxes.append((drawn[path], found.shapes[path]))
                found.paths.append(path)

        return hook

    for path, module in network.named_modules():
        if path:
            module.register_forward_hook(seen(path))
    device = next(network.parameters()).device
    with torch.no_grad():
        network(torch.zeros(1, *size, device=device))
    return found


def _built(name: str) -> nn.Module:
    """The network in evaluation, on torch's meta device if it can; batch norm, which is slow there, is left out."""
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                network = models.create(name, layers="torch")
        except (NotImplementedError, RuntimeError):  # a parametrization, lenet5_1998's table, needs numbers
            network = models.create(name, layers="torch")
    for parent in list(network.modules()):
        for child, module in list(parent.named_children()):
            if isinstance(module, nn.BatchNorm2d):
                setattr(parent, child, nn.Identity())
    return network.eval()


def _drawn(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, child in module.named_children():
        below = f"{path}.{name}".lstrip(".")
        if isinstance(child, nn.Sequential) and not _is_repeated(child):
            yield from _drawn(child, below)
        elif any(map(_is_layer, child.modules())):
            yield below, child


def _is_layer(module: nn.Module) -> bool:
    return any(word in type(module).__name__ for word in _LAYERS)


def _is_repeated(module: nn.Module) -> bool:
    """Whether it is a stage: blocks of one kind."""
    kinds = {type(child) for child in module.children()}
    return len(kinds) == 1 and not _is_layer(next(module.children())) and kinds != {nn.Sequential}


def _text(path: str, module: nn.Module) -> str:
    """The last name of the path, unless that is a number, and what it is."""
    name = path.rpartition(".")[2]
    what = _what(module)
    return what if name.isdigit() or name == what else f"{name}\n{what}"


def _what(module: nn.Module) -> str:
    layers = [layer for layer in module.modules() if _is_layer(layer) and not any(map(_is_layer, layer.children()))]
    if hasattr(module, "kernel_size") or type(module).__name__ in _SHORT:
        return _layer(module)
    if len(layers) == 1:
        return _layer(layers[0])
    kinds = [type(child).__name__ for child in module.children()]
    is_stage = isinstance(module, nn.Sequential) or (len(kinds) > 1 and len(set(kinds)) == 1)
    return f"{len(kinds)} × {kinds[0]}" if is_stage else type(module).__name__


def _layer(module: nn.Module) -> str:
    """``conv 3×3 /2``: the window, and the stride if it is not one."""
    kind = type(module).__name__
    short = _SHORT.get(kind, "conv" if "Conv" in kind else kind)
    window = getattr(module, "kernel_size", None)
    if window is None:
        return f"{short}{_onto(module)}"
    (high, wide), (step, _) = _pair(window), _pair(getattr(module, "stride", 1))
    return f"{short} {high}×{wide}{'' if step == 1 else f' /{step}'}"


def _onto(module: nn.Module) -> str:
    """Of an adaptive pool, unless it leaves one place."""
    high, wide = _pair(getattr(module, "output_size", 1))
    return "" if high == wide == 1 else f" to {high}×{wide}"


def _pair(sides: int | tuple[int, int]) -> tuple[int, int]:
    return (sides, sides) if isinstance(sides, int) else sides
