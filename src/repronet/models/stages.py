"""A network cut into stages, from its input to its head: what fine-tuning freezes, and gives rates of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from repronet import models
from repronet.errors import UserError

_CONTAINERS = ("features", "stages", "classifier")  # whose children are stages, not they themselves
_POOLING = (nn.MaxPool2d, nn.AvgPool2d)
_LETTERED = re.compile(r"^(.*?\d+)[a-z]\b|^(Conv2d_\d|Mixed_\d)[a-z]")  # inception3a and 3b are one stage


@dataclass(frozen=True)
class Stage:
    """Consecutive modules of a network.

    Attributes:
        name: where its first module stands in the network.
        modules: each with its place, in the order of definition.
    """

    name: str
    modules: tuple[tuple[str, nn.Module], ...]

    def parameters(self) -> Iterator[nn.Parameter]:
        for _, module in self.modules:
            yield from module.parameters()

    @property
    def size(self) -> int:
        """Parameters."""
        return sum(parameter.numel() for parameter in self.parameters())


def stages(network: nn.Module) -> list[Stage]:
    """The stages of one of our networks, the head last.

    The head is every layer whose size depends on the classes, with the rest of an auxiliary classifier. Before it, a
    stage is a group of blocks (``layer1``, ``denseblock1``, ``inception3``), or in networks without such, the
    convolutions between two poolings, or a single layer. Normalisation and transitions belong to what precedes them.
    """
    heads = class_layers(network)
    grouped: dict[str, list[tuple[str, nn.Module]]] = {}
    head: list[tuple[str, nn.Module]] = []
    key, pooled = "", False
    for path, module in _opened(network, heads):
        pooled |= isinstance(module, _POOLING)
        if not any(True for _ in module.parameters()):
            continue
        belongs = isinstance(module, nn.BatchNorm2d | nn.GroupNorm) or "transition" in path
        within = path.startswith("features.") and isinstance(module, nn.Conv2d) and not pooled
        pooled = False
        if any(layer == path or layer.startswith(f"{path}.") for layer in heads):
            head.append((path, module))
            continue
        if not grouped or not (belongs or within):
            match = _LETTERED.match(path)
            key = (match.group(1) or match.group(2)) if match else path
        grouped.setdefault(key, []).append((path, module))
    head = head or grouped.pop(key)
    return [*(Stage(name, tuple(modules)) for name, modules in grouped.items()), Stage("head", tuple(head))]


def class_layers(network: nn.Module) -> set[str]:
    """The layers whose size depends on how many classes there are: the output, and those of auxiliary classifiers.

    None for a network that is made for one number of classes. Of a module that is none of :mod:`repronet.models`, the
    last layer with weights.
    """
    name = getattr(network, "architecture", None)
    if name not in models.MODELS:
        weighted = [path for path, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        return set(weighted[-1:])
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    channels = first.in_channels if first is not None else None
    shapes = []
    for classes in (3, 4):
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            try:
                twin = models.create(name, num_classes=classes, in_channels=channels, layers="torch")  # type: ignore[arg-type]
            except UserError:
                return set()
        shapes.append({key: tensor.shape for key, tensor in twin.state_dict().items()})
    return {key.rpartition(".")[0] for key in shapes[0] if shapes[0][key] != shapes[1][key]}


def _opened(network: nn.Module, heads: set[str], prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The network's children; in place of a container, or of a sequence that ends in the head, its children."""
    for name, child in network.named_children():
        path = f"{prefix}{name}"
        holds_head = any(layer.startswith(f"{path}.") for layer in heads)
        if isinstance(child, nn.Sequential) and (name in _CONTAINERS or holds_head):
            yield from _opened(child, heads, f"{path}.")
        else:
            yield path, child
