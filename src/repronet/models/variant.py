"""Make a plain function for each network of a family whose members differ in data, not in code."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Protocol, TypeVar

from torch import nn

import repronet.layers

Network = TypeVar("Network", bound=nn.Module, covariant=True)


class Build(Protocol[Network]):
    """Build a network with fresh weights for these numbers of classes and image channels, of that module's layers."""

    def __call__(self, num_classes: int = ..., in_channels: int = ..., layers: ModuleType = ...) -> Network: ...


def variant(
    name: str, make: Callable[[int, int, ModuleType], Network], *, num_classes: int, in_channels: int = 3
) -> Build[Network]:
    """Return a function called ``name`` that calls ``make(num_classes, in_channels, layers)``.

    Args:
        num_classes, in_channels: the function's defaults, which are the paper's numbers.
    """

    def build(
        num_classes: int = num_classes, in_channels: int = in_channels, layers: ModuleType = repronet.layers
    ) -> Network:
        network = make(num_classes, in_channels, layers)
        network.architecture = name  # type: ignore[assignment]  # recorded in files of weights
        return network

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"The network {name}; `repronet list model` says what it is."
    return build
