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
    name: str, make: Callable[[int, int, ModuleType], Network], doc: str, *, num_classes: int, in_channels: int = 3
) -> Build[Network]:
    """The function called ``name`` that calls ``make(num_classes, in_channels, layers)``.

    Args:
        doc: its docstring: which table of the paper, and what is not as there.
        num_classes, in_channels: its defaults, the paper's.
    """

    def build(
        num_classes: int = num_classes, in_channels: int = in_channels, layers: ModuleType = repronet.layers
    ) -> Network:
        network = make(num_classes, in_channels, layers)
        network.architecture = name  # type: ignore[assignment]  # a plain value: it tells weights whose they are
        return network

    build.__name__ = build.__qualname__ = name
    build.__doc__ = doc
    return build
