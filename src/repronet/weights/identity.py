"""Which of our networks a module is, told by how it is built.

Two of our networks may have the same keys and shapes: resnet50 and resnet50_v1_5 differ in where a stride stands. So a
network is compared module by module, class and settings, with what :mod:`repronet.models` builds under each name.
Candidates are built on the meta device, which takes some hundredths of a second each and no memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from repronet import models
from repronet.errors import UserError
from repronet.models.normalization import NORMALIZATIONS
from repronet.weights.adapt import differences, first_convolution
from repronet.weights.converters import convert

# What may be set on a network without making it another one.
_INCIDENTAL = {"training", "algorithm", "inplace"}


def counts(network: nn.Module) -> tuple[int | None, int | None]:
    """Classes and input channels, by its last matrix of weights and its first convolution; None for unknown."""
    tensors = network.state_dict()
    matrices = [tensor for tensor in tensors.values() if tensor.ndim >= 2]
    stem = first_convolution(tensors)
    return (matrices[-1].shape[0] if matrices else None), (tensors[stem].shape[1] if stem else None)


def name_of(network: nn.Module) -> str | None:
    """The name under which :func:`repronet.models.create` builds this network; None when it is none of ours."""
    if not type(network).__module__.startswith("repronet.models."):
        return None
    home = type(network).__module__.rpartition(".")[2]
    names = sorted(models.MODELS, key=lambda name: models.MODELS[name] != home)  # those of its own file first
    return next((name for name in names if is_named(network, name)), None)


def is_named(network: nn.Module, name: str) -> bool:
    """Whether ``name`` builds this network, for its classes and channels."""
    structure = _structure(network)
    built = _candidates(name, *counts(network), "custom" if _is_custom(network) else "torch")
    return any(_structure(candidate) == structure for candidate in built)


def fitting(tensors: Mapping[str, Tensor]) -> list[str]:
    """The networks that a state dict would fill, but for class count and input channels."""
    return [name for name in models.MODELS if any(_fits(tensors, built) for built in _candidates(name))]


def _fits(tensors: Mapping[str, Tensor], network: nn.Module) -> bool:
    ours = network.state_dict()
    return not differences(convert(tensors, ours.keys()), ours).beyond_the_ends


def _candidates(
    name: str, num_classes: int | None = None, in_channels: int | None = None, layers: str = "torch"
) -> Iterator[nn.Module]:
    """The network ``name``, and where it leaves the choice of normalisation, one for each."""
    for normalization in (None, *NORMALIZATIONS):
        built = _on_meta(name, num_classes, in_channels, layers, normalization)
        if built is None:
            return
        yield built


def _on_meta(
    name: str, num_classes: int | None, in_channels: int | None, layers: str, normalization: str | None
) -> nn.Module | None:
    """A network without memory, or None where it does not take these settings."""
    try:
        with torch.device("meta"):
            return models.create(
                name, num_classes=num_classes, in_channels=in_channels, layers=layers, normalization=normalization
            )
    except UserError:
        return None


def _is_custom(network: nn.Module) -> bool:
    return any(type(module).__module__.startswith("repronet.layers.") for module in network.modules())


def _structure(network: nn.Module) -> list[tuple[str, str, frozenset[tuple[str, object]]]]:
    """Path, class and settings of every module, but for fractions: rates of dropout and the like are training's."""
    return [
        (path, type(module).__name__, frozenset(_settings(vars(module).items())))
        for path, module in network.named_modules()
    ]


def _settings(attributes: Iterable[tuple[str, object]]) -> Iterator[tuple[str, object]]:
    for key, value in attributes:
        if not key.startswith("_") and key not in _INCIDENTAL and _is_whole(value):
            yield key, value


def _is_whole(value: object) -> bool:
    if isinstance(value, tuple):
        return all(_is_whole(part) for part in value)
    return value is None or isinstance(value, (bool, int, str))
