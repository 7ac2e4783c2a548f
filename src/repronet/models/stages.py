"""Split a network into stages, from input to head, for fine-tuning: frozen stages and separate learning rates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import torch
from torch import nn

from repronet import models
from repronet.errors import UserError
from repronet.models import foreign

# Containers whose children are stages, rather than the container itself; the later names are torchvision's.
_CONTAINERS = ("features", "stages", "classifier", "trunk_output", "blocks", "layers", "encoder", "heads")
_POOLING = (nn.MaxPool2d, nn.AvgPool2d)
_NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
_LETTERED = re.compile(r"^(.*?\d+)[a-z]\b|^(Conv2d_\d|Mixed_\d)[a-z]")  # inception3a and 3b are one stage

HEAD = -1  # the head's number, among timm's numbers of stages

Part: TypeAlias = nn.Module | nn.Parameter


@dataclass(frozen=True)
class Stage:
    """Consecutive modules of a network."""

    name: str  #: path of its first part, or the start of that (``inception3``); ``head`` for the head
    #: modules, and parameters outside of them, each with its path, in the order of definition
    parts: tuple[tuple[str, Part], ...]

    @property
    def modules(self) -> Iterator[nn.Module]:
        return (part for _, part in self.parts if isinstance(part, nn.Module))

    def parameters(self) -> Iterator[nn.Parameter]:
        return (parameter for _, part in self.parts for parameter in _parameters(part))

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(parameter.numel() for parameter in self.parameters())


def stages(network: nn.Module) -> list[Stage]:
    """The stages of a network, the head last.

    The head is every layer whose size depends on the number of classes, with the rest of an auxiliary classifier. The
    other stages are timm's groups, or in any other network groups of blocks (``layer1``, ``denseblock1``,
    ``inception3``), or in networks without these the convolutions between two pools, or single layers. Normalisation,
    transitions and parameters outside of modules belong to the stage before them.

    Raises:
        UserError: for a network with weights that are used in two stages.
    """
    heads = class_layers(network)
    numbers = foreign.stage_numbers(network)
    numbers |= {name: HEAD for name in numbers if name.rpartition(".")[0] in heads}
    grouped: dict[str | int, list[tuple[str, Part]]] = {}
    head: list[tuple[str, Part]] = []
    key: str | int = ""
    pooled = False
    for path, part in _opened(network, heads, numbers):
        pooled |= isinstance(part, _POOLING)
        if not _parameters(part):
            continue
        within = path.startswith("features.") and isinstance(part, nn.Conv2d) and not pooled
        pooled = False
        if any(layer == path or layer.startswith(f"{path}.") for layer in heads):
            head.append((path, part))
            continue
        before = grouped.get(key, [])
        if numbers and not (before and isinstance(part, _NORMS)):
            key = numbers[path if isinstance(part, nn.Parameter) else f"{path}.{next(part.named_parameters())[0]}"]
        elif not (before and (within or _belongs(path, part, before))):
            key = _name(path)
        grouped.setdefault(key, []).append((path, part))
    head = head or grouped.pop(key)
    if numbers:
        grouped = {grouped[number][0][0]: grouped[number] for number in sorted(grouped)}
    found = [*(Stage(str(name), tuple(parts)) for name, parts in grouped.items()), Stage("head", tuple(head))]
    held = [id(parameter) for stage in found for parameter in stage.parameters()]
    if len(held) > len(set(held)):
        raise UserError(f"finetune: stages of {network.architecture} share weights; keep finetune=none")
    return found


def class_layers(network: nn.Module) -> set[str]:
    """The layers whose size depends on the number of classes: the output layers of network and auxiliary classifiers.

    The set is empty for a network that has a fixed number of classes. For a module that is not from
    :mod:`repronet.models`, it is the last linear or convolutional layer.
    """
    name = getattr(network, "architecture", None)
    if not models.is_known(str(name)):
        weighted = [path for path, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
        return set(weighted[-1:])
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    channels = first.in_channels if first is not None else None
    found = _remembered if foreign.is_foreign(str(name)) else _depending_on_classes
    return found(str(name), channels)


def _depending_on_classes(name: str, channels: int | None) -> set[str]:
    """The layers of the network ``name`` whose shapes change with the number of classes."""
    shapes = []
    for classes in (3, 4):
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            try:
                twin = models.create(name, num_classes=classes, in_channels=channels, layers="torch")
            except UserError:
                return set()
        shapes.append({key: tensor.shape for key, tensor in twin.state_dict().items()})
    return {key.rpartition(".")[0] for key in shapes[0] if shapes[0][key] != shapes[1][key]}


_remembered = cache(_depending_on_classes)  # for other libraries' networks, which are never re-registered


def _opened(
    network: nn.Module, heads: set[str], numbers: Mapping[str, int], prefix: str = ""
) -> Iterator[tuple[str, Part]]:
    """The network's own parameters and its children; a child that contains several stages is itself opened."""
    yield from ((f"{prefix}{name}", parameter) for name, parameter in network.named_parameters(recurse=False))
    for name, child in network.named_children():
        path = f"{prefix}{name}"
        if numbers:
            several = len({numbers[f"{path}.{inner}"] for inner, _ in child.named_parameters()}) > 1
        else:
            holds_head = isinstance(child, nn.Sequential) and any(layer.startswith(f"{path}.") for layer in heads)
            several = holds_head or (name in _CONTAINERS and next(child.children(), None) is not None)
        if several:
            yield from _opened(child, heads, numbers, f"{path}.")
        else:
            yield path, child


def _belongs(path: str, part: Part, before: list[tuple[str, Part]]) -> bool:
    """Whether a part belongs to the stage before it, as it also does if that has only parameters outside of modules."""
    alone = all(isinstance(other, nn.Parameter) for _, other in before)
    return alone or isinstance(part, (nn.Parameter, *_NORMS)) or "transition" in path


def _name(path: str) -> str:
    """The name of the stage that begins with the part at this path."""
    match = _LETTERED.match(path)
    return (match.group(1) or match.group(2)) if match else path


def _parameters(part: Part) -> list[nn.Parameter]:
    return [part] if isinstance(part, nn.Parameter) else list(part.parameters())
