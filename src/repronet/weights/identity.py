"""Which of our networks a module is, and which ones a state dict would fill.

Two of our networks may have the same keys and shapes: resnet50 and resnet50_v1_5 differ in where a stride stands. So
:mod:`repronet.models` writes each network's name into it, and files carry it on.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from repronet import models
from repronet.weights.adapt import differences, first_convolution
from repronet.weights.converters import convert


def counts(network: nn.Module) -> tuple[int | None, int | None]:
    """Classes and input channels, by its last matrix of weights and its first convolution; None for unknown."""
    tensors = network.state_dict()
    matrices = [tensor for tensor in tensors.values() if tensor.ndim >= 2]
    stem = first_convolution(tensors)
    return (matrices[-1].shape[0] if matrices else None), (tensors[stem].shape[1] if stem else None)


def name_of(network: nn.Module) -> str | None:
    """The name under which :mod:`repronet.models` built this network; None when it built none such."""
    name = getattr(network, "architecture", None)
    return name if isinstance(name, str) and models.is_known(name) else None


def fitting(tensors: Mapping[str, Tensor]) -> list[str]:
    """The networks that a state dict would fill, but for class count and input channels.

    Every network is built on the meta device for this, some hundredths of a second each: only worth it for an error.
    """
    ours = (name for name, family in models.MODELS.items() if isinstance(family, str))
    states = {name: models.without_memory(name).state_dict() for name in ours}
    return [
        name for name, state in states.items() if not differences(convert(tensors, state.keys()), state).beyond_the_ends
    ]
