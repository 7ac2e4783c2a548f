"""Put the layers of any network on this project's computation, or back on torch's, in place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TypeAlias

from torch import nn
from torch.nn.utils import parametrize

import repronet.layers
from repronet.layers import exact_types
from repronet.layers.has_algorithm import HasAlgorithm, require_algorithm

Class: TypeAlias = type[nn.Module]

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


@cache
def _ours() -> dict[str, Class]:
    """Every layer that `repronet.layers` computes, by name; its containers are torch's."""
    named = {name: getattr(repronet.layers, name) for name in repronet.layers.__all__}
    return {
        name: found
        for name, found in named.items()
        if isinstance(found, type) and issubclass(found, nn.Module) and found is not getattr(nn, name, None)
    }


@cache
def _pairs() -> dict[Class, Class]:
    """torch.nn's class: ours of the same name, a subclass of it."""
    return {getattr(nn, name): ours for name, ours in _ours().items() if hasattr(nn, name)}


def convert(model: nn.Module, to: str = "custom") -> nn.Module:
    """Swap the layers of a network, in place, and return it.

    Every module that is exactly one of torch.nn's layers becomes ours of that name, or the other way round. Only the
    class changes: parameters and their parametrizations, buffers, hooks, names, state-dict keys, optimizers that hold
    the parameters, and modules that stand in two places stay as they are. Going back to torch drops each layer's
    `algorithm`.

    What a network computes by calling functions itself stays the vendor's. So do subclasses that others made, and a
    layer whose `forward` was replaced; `unconverted` names those with parameters or buffers. torch.fx's fusion and
    quantization look layers up by their exact class and know torch's alone: go to "torch" before them.

    Args:
        model: any network, torchvision's or timm's or your own.
        to: "custom" for this project's layers, "torch" for torch.nn's.

    Raises:
        TypeError: if `model` is no module, a state dict for instance.
        ValueError: for any other `to`.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"convert needs a torch.nn.Module, got {type(model).__name__}")
    if to not in ("custom", "torch"):
        raise ValueError(f"to must be 'custom' or 'torch', got {to!r}")
    classes = _pairs() if to == "custom" else {ours: theirs for theirs, ours in _pairs().items()}
    for module in model.modules():
        _swap(module, classes)
    if to == "custom":
        for ours in set(map(type, model.modules())) & set(_ours().values()):
            exact_types.enter(ours)
    return model


def _swap(module: nn.Module, classes: Mapping[Class, Class]) -> None:
    """Give the module the class that stands for its own, if there is one and it would be what computes."""
    before = parametrize.type_before_parametrizations(module)
    after = classes.get(before)
    if after is None or _has_own_forward(module):
        return
    if hasattr(before, "algorithm"):
        module.__dict__.pop("algorithm", None)  # torch's layer has none
    module.__class__ = _parametrized(type(module), after) if parametrize.is_parametrized(module) else after


def _parametrized(injected: Class, base: Class) -> Class:
    """The class that parametrize made for one module, with its properties, over another base.

    A new one, not the same with its bases replaced: copies of the module share the class.
    """
    return type(f"Parametrized{base.__name__}", (base,), dict(vars(injected)))


def _has_own_forward(module: nn.Module) -> bool:
    """Whether someone laid a function over the class's, as libraries do that wrap modules."""
    return "forward" in vars(module)


def unconverted(model: nn.Module) -> list[tuple[str, str]]:
    """Name and class of every layer with parameters or buffers that this project does not compute.

    A layer here is a module without children, or one that torch.nn or a library made out of torch.nn's layers, as timm
    made its normalisation with an activation inside.
    """
    return [
        (name, type(module).__name__)
        for name, module in model.named_modules()
        if _holds_tensors(module) and _is_layer(name, module) and (_has_own_forward(module) or not _is_ours(module))
    ]


def _holds_tensors(module: nn.Module) -> bool:
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return len(own) > 0 or parametrize.is_parametrized(module)


def _is_layer(name: str, module: nn.Module) -> bool:
    if "parametrizations" in name.split("."):
        return False  # computes a weight
    bases = [base for base in type(module).__mro__ if base is not nn.Module]
    from_torch = any(base.__module__.startswith("torch.nn.modules.") for base in bases)
    return next(module.children(), None) is None or (from_torch and not isinstance(module, _CONTAINERS))


def _is_ours(module: nn.Module) -> bool:
    return isinstance(module, tuple(_ours().values())) or type(module).__module__.startswith("repronet.")


def set_algorithm(model: nn.Module, algorithm: str) -> None:
    """Set `algorithm` on every layer of ours in the network that has a choice; torch's layers have none.

    Raises:
        ValueError: for an unknown name, or where a network has no such layer and "auto" is not meant.
    """
    require_algorithm(algorithm)
    found = [module for module in model.modules() if isinstance(module, HasAlgorithm)]
    if not found and algorithm != "auto":
        raise ValueError(f"algorithm={algorithm!r}: none of the network's layers is ours; convert it first")
    for module in found:
        module.algorithm = algorithm  # type: ignore[assignment]
