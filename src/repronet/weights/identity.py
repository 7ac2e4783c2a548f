"""Find which of our networks a module is, and which ones a state dict would fill.

Two of our networks may have the same keys and shapes: resnet50 and resnet50_v1_5 differ in the place of a stride. So
:mod:`repronet.models` stores each network's name in it, and files keep the name.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from repronet import models
from repronet.weights.adapt import differences, first_convolution
from repronet.weights.converters import convert


def counts(network: nn.Module) -> tuple[int | None, int | None]:
    """The number of classes and of input channels, from the last weight matrix and the first convolution, or None."""
    tensors = network.state_dict()
    matrices = [tensor for tensor in tensors.values() if tensor.ndim >= 2]
    stem = first_convolution(tensors)
    return (matrices[-1].shape[0] if matrices else None), (tensors[stem].shape[1] if stem else None)


def name_of(network: nn.Module) -> str | None:
    """The name under which :mod:`repronet.models` built this network; None if it was not built there."""
    name = getattr(network, "architecture", None)
    return name if isinstance(name, str) and models.is_known(name) else None


def fitting(tensors: Mapping[str, Tensor]) -> list[str]:
    """The networks that a state dict would fill, apart from the number of classes and of input channels.

    This builds every network on the meta device, some hundredths of a second each, so use it only for errors.
    """
    ours = (name for name, family in models.MODELS.items() if isinstance(family, str))
    states = {name: models.without_memory(name).state_dict() for name in ours}
    return [
        name for name, state in states.items() if not differences(convert(tensors, state.keys()), state).beyond_the_ends
    ]
