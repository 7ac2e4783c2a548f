"""A network cut into stages, from its input to its head: what fine-tuning freezes, and gives rates of their own."""

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

# Whose children are stages, not they themselves; the later ones are torchvision's.
_CONTAINERS = ("features", "stages", "classifier", "trunk_output", "blocks", "layers", "encoder", "heads")
_POOLING = (nn.MaxPool2d, nn.AvgPool2d)
_NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)
_LETTERED = re.compile(r"^(.*?\d+)[a-z]\b|^(Conv2d_\d|Mixed_\d)[a-z]")  # inception3a and 3b are one stage

HEAD = -1  # the number of what depends on the classes, among timm's of stages

Part: TypeAlias = nn.Module | nn.Parameter


@dataclass(frozen=True)
class Stage:
    """Consecutive modules of a network."""

    name: str  #: where its first module stands in the network
    #: modules, and parameters outside of these, each with its place, in the order of definition
    parts: tuple[tuple[str, Part], ...]

    @property
    def modules(self) -> Iterator[nn.Module]:
        return (part for _, part in self.parts if isinstance(part, nn.Module))

    def parameters(self) -> Iterator[nn.Parameter]:
        return (parameter for _, part in self.parts for parameter in _parameters(part))

    @property
    def size(self) -> int:
        """Parameters."""
        return sum(parameter.numel() for parameter in self.parameters())


def stages(network: nn.Module) -> list[Stage]:
    """The stages of a network, the head last.

    The head is every layer whose size depends on the classes, with the rest of an auxiliary classifier. Before it, a
    stage is what timm groups, or in any other network a group of blocks (``layer1``, ``denseblock1``, ``inception3``),
    or in networks without such, the convolutions between two poolings, or a single layer. Normalisation, transitions
    and parameters outside of modules belong to what precedes them.

    Raises:
        UserError: for a network with weights that stand in two stages.
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
    """The layers whose size depends on how many classes there are: the output, and those of auxiliary classifiers.

    None for a network that is made for one number of classes. Of a module that is none of :mod:`repronet.models`'s, the
    last layer with weights.
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
    """The layers of the network ``name`` whose shapes differ when it is built for other classes."""
    shapes = []
    for classes in (3, 4):
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            try:
                twin = models.create(name, num_classes=classes, in_channels=channels, layers="torch")
            except UserError:
                return set()
        shapes.append({key: tensor.shape for key, tensor in twin.state_dict().items()})
    return {key.rpartition(".")[0] for key in shapes[0] if shapes[0][key] != shapes[1][key]}


_remembered = cache(_depending_on_classes)  # of other libraries' networks, which nobody registers anew


def _opened(
    network: nn.Module, heads: set[str], numbers: Mapping[str, int], prefix: str = ""
) -> Iterator[tuple[str, Part]]:
    """The network's own parameters and its children; in place of one that holds several stages, what is in that."""
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
    """Whether a part goes with what precedes it, as a module does with the parameters alone before it."""
    alone = all(isinstance(other, nn.Parameter) for _, other in before)
    return alone or isinstance(part, (nn.Parameter, *_NORMS)) or "transition" in path


def _name(path: str) -> str:
    """The stage that a part begins."""
    match = _LETTERED.match(path)
    return (match.group(1) or match.group(2)) if match else path


def _parameters(part: Part) -> list[nn.Parameter]:
    return [part] if isinstance(part, nn.Parameter) else list(part.parameters())
