"""Put the layers of any network on this project's computation, or back on torch's, in place."""

from __future__ import annotations

from functools import cache

from torch import nn

import repronet.layers
from repronet.algorithms import ALGORITHMS


@cache
def _ours() -> dict[str, type[nn.Module]]:
    """Every layer that `repronet.layers` computes, by name; its containers are torch's."""
    named = {name: getattr(repronet.layers, name) for name in repronet.layers.__all__}
    return {
        name: found
        for name, found in named.items()
        if isinstance(found, type) and issubclass(found, nn.Module) and found is not getattr(nn, name, None)
    }


@cache
def _pairs() -> dict[type[nn.Module], type[nn.Module]]:
    """torch.nn's class: ours of the same name."""
    return {getattr(nn, name): ours for name, ours in _ours().items() if hasattr(nn, name)}


def convert(model: nn.Module, to: str) -> nn.Module:
    """Swap the layers of a network, in place, and return it.

    Every module that is exactly one of torch.nn's layers becomes ours of that name, or the other way round. Only the
    class changes: parameters, buffers, hooks, names, state-dict keys, optimizers that hold the parameters, and modules
    that stand in two places stay as they are. What a network computes by calling functions itself, and subclasses that
    other libraries made, stay the vendor's; `unconverted` names those that hold parameters. Going back to torch drops
    each layer's `algorithm`.

    Args:
        model: any network, torchvision's or timm's or your own.
        to: "custom" for this project's layers, "torch" for torch.nn's.

    Raises:
        ValueError: for any other `to`.
    """
    if to not in ("custom", "torch"):
        raise ValueError(f"to must be 'custom' or 'torch', got {to!r}")
    classes = _pairs() if to == "custom" else {ours: theirs for theirs, ours in _pairs().items()}
    for module in model.modules():
        other = classes.get(type(module))
        if other is not None:
            module.__class__ = other
            module.__dict__.pop("algorithm", None)  # ours has a default, torch's has none
    return model


def unconverted(model: nn.Module) -> list[tuple[str, str]]:
    """Name and class of every layer with parameters that torch, not we, would compute.

    A layer here is a module without children.
    """
    ours = tuple(_ours().values())
    return [
        (name, type(module).__name__)
        for name, module in model.named_modules()
        if next(module.children(), None) is None
        and next(module.parameters(recurse=False), None) is not None
        and not isinstance(module, ours)
    ]


def set_algorithm(model: nn.Module, algorithm: str) -> None:
    """Set `algorithm` on every layer of ours in the network that has a choice.

    Raises:
        ValueError: for an unknown name.
    """
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    choosing = tuple(ours for ours in _ours().values() if hasattr(ours, "algorithm"))
    for module in model.modules():
        if isinstance(module, choosing):
            module.algorithm = algorithm  # type: ignore[assignment]
