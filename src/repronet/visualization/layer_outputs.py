"""The outputs of every layer with weights, after its normalisation and activation."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor, nn

from repronet.errors import UserError
from repronet.layers import LocallyConnected2d

WEIGHTED = (nn.Conv2d, nn.Linear, LocallyConnected2d)
POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.LPPool2d)


@dataclass
class LayerOutputs:
    """The outputs of one forward pass under :func:`watched`.

    A layer's output is taken after the modules that directly follow it and keep its shape: normalisation, activation.
    The addition of a shortcut is no longer part of it.
    """

    #: (N, C, H, W) or (N, features), by the layer's path, in the order of computation
    of: dict[str, Tensor] = field(default_factory=dict)
    #: the last (N, C, H, W) with more than one place that is the input of a pool or the output of another module, and
    #: not a pool's output; None if there is none
    last_maps: Tensor | None = None

    def maps(self) -> dict[str, Tensor]:
        """The outputs of only those layers whose units have a place in the image: (N, C, H, W)."""
        return {name: output for name, output in self.of.items() if has_places(output)}


def has_places(output: Tensor) -> bool:
    """Whether there is more than one unit per map."""
    return output.ndim == 4 and output.shape[2] * output.shape[3] > 1


@contextmanager
def watched(network: nn.Module, wanted: Collection[str] | None = None) -> Iterator[LayerOutputs]:
    """Collect the layers' outputs in the forward pass inside the ``with`` block; of a layer that runs twice, the last.

    Args:
        network: without in-place activations, as from :func:`probe`: they would overwrite the collected outputs.
        wanted: paths of the layers to keep; None for all.
    """
    found = LayerOutputs()
    held: dict[int, str] = {}  # the layer whose output a tensor is, by the tensor's id
    kept: list[Tensor] = []  # keeps tensors alive, so that ids are not reused
    pooled: set[int] = set()

    def seen(name: str, module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
        if not isinstance(output, Tensor):
            return
        source = given[0] if given and isinstance(given[0], Tensor) else None
        layer = name if isinstance(module, WEIGHTED) else held.get(id(source))
        if layer is not None and (layer == name or (source is not None and source.shape == output.shape)):
            held[id(output)] = layer
            kept.append(output)
            if wanted is None or layer in wanted:
                found.of[layer] = output
        if isinstance(module, POOLING):
            pooled.add(id(output))
            kept.append(output)
        # The input of a pool may join several branches, and so be no module's output.
        maps = source if isinstance(module, POOLING) else output
        if maps is not None and has_places(maps) and id(maps) not in pooled:
            found.last_maps = maps

    with ExitStack() as hooks:
        for name, module in network.named_modules():
            holds_layers = any(isinstance(part, WEIGHTED) for part in module.modules())
            if "parametrizations" not in name.split(".") and (isinstance(module, WEIGHTED) or not holds_layers):
                hooks.enter_context(module.register_forward_hook(partial(seen, name)))
        yield found


def probe(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode, without in-place layers and without gradients of the weights."""
    twin = copy.deepcopy(network).eval().requires_grad_(False)
    for module in twin.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]
    return twin


def layer_names(network: nn.Module, images: Tensor) -> list[str]:
    """The layers with spatial maps, in the order of computation; if there are none, all layers.

    Args:
        network: from :func:`probe`.
        images: (N, C, H, W); fewer are faster.
    """
    with watched(network) as outputs:
        network(images)
    return list(outputs.maps() or outputs.of)


def chosen_layer(names: list[str], wanted: str) -> str:
    """``wanted`` if it is one of the layers.

    Raises:
        UserError: if it is not, with the names of the layers.
    """
    if wanted in names:
        return wanted
    listed = ", ".join(names) if len(names) <= 12 else f"{', '.join(names[:6])}, …, {', '.join(names[-3:])}"
    raise UserError(f"layer={wanted}: no such layer with maps ({listed})")


def spread(names: list[str], count: int) -> list[str]:
    """At most ``count`` of the names, evenly spaced, including the first and the last."""
    if len(names) <= count:
        return names
    return [names[round(index * (len(names) - 1) / (count - 1))] for index in range(count)]
