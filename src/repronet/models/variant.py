"""A network of a family as a plain function, when what sets it apart is data and not code."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Protocol, TypeVar

from torch import nn

import repronet.layers

Network = TypeVar("Network", bound=nn.Module, covariant=True)


class Build(Protocol[Network]):
    """Builds a network with fresh weights, for so many classes and image planes, of the layers of that module."""

    def __call__(self, num_classes: int = ..., in_channels: int = ..., layers: ModuleType = ...) -> Network: ...


def variant(
    name: str, make: Callable[[int, int, ModuleType], Network], *, num_classes: int, in_channels: int = 3
) -> Build[Network]:
    """The function called ``name`` that calls ``make(num_classes, in_channels, layers)``.

    Args:
        num_classes, in_channels: its defaults, the paper's.
    """

    def build(
        num_classes: int = num_classes, in_channels: int = in_channels, layers: ModuleType = repronet.layers
    ) -> Network:
        network = make(num_classes, in_channels, layers)
        network.architecture = name  # type: ignore[assignment]  # files of weights record it
        return network

    build.__name__ = build.__qualname__ = name
    build.__doc__ = f"The network {name}; `repronet list model` says what it is."
    return build
