"""Convert the layers of any network to this project's, or back to torch's, in place."""

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
    """Every layer class of `repronet.layers` by name, without the classes that are torch's own, such as containers."""
    named = {name: getattr(repronet.layers, name) for name in repronet.layers.__all__}
    return {
        name: found
        for name, found in named.items()
        if isinstance(found, type) and issubclass(found, nn.Module) and found is not getattr(nn, name, None)
    }


@cache
def _pairs() -> dict[Class, Class]:
    """Map each torch.nn class to ours of the same name, which is a subclass of it."""
    return {getattr(nn, name): ours for name, ours in _ours().items() if hasattr(nn, name)}


def convert(model: nn.Module, to: str = "custom") -> nn.Module:
    """Replace the layers of a network by this project's, or by torch's, in place, and return it.

    Every module whose class is exactly a torch.nn layer becomes ours of the same name, or the other way round. Only the
    class changes: parameters and their parametrizations, buffers, hooks, names, state-dict keys, optimizers that hold
    the parameters, and modules used in several places stay as they are. Converting to torch drops each layer's
    `algorithm`.

    Not converted are functions that a network calls directly, subclasses of torch's layers from other libraries, and
    layers whose `forward` was replaced; `unconverted` names the layers with parameters or buffers. torch.fx's fusion
    and quantization look layers up by exact class and know only torch's: convert to "torch" before using them.

    Args:
        model: any network, from torchvision or timm or your own.
        to: "custom" for this project's layers, "torch" for torch.nn's.

    Raises:
        TypeError: if `model` is not a module, but for instance a state dict.
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
    """Replace the module's class by its counterpart, if there is one and the class's own `forward` is in use."""
    before = parametrize.type_before_parametrizations(module)
    after = classes.get(before)
    if after is None or _has_own_forward(module):
        return
    if hasattr(before, "algorithm"):
        module.__dict__.pop("algorithm", None)  # torch's layer has none
    module.__class__ = _parametrized(type(module), after) if parametrize.is_parametrized(module) else after


def _parametrized(injected: Class, base: Class) -> Class:
    """A copy of the class that parametrize made for one module, with its properties, but with another base.

    It is a new class, since copies of the module share the old one, whose bases must stay as they are.
    """
    return type(f"Parametrized{base.__name__}", (base,), dict(vars(injected)))


def _has_own_forward(module: nn.Module) -> bool:
    """Whether the module has a `forward` of its own over the class's, as set by libraries that wrap modules."""
    return "forward" in vars(module)


def unconverted(model: nn.Module) -> list[tuple[str, str]]:
    """Name and class of every layer with parameters or buffers that this project does not compute.

    A layer here is a module without children, or one whose class is, or is derived from, a torch.nn layer (not a
    container), such as timm's normalisation layers that contain an activation.
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
        return False  # a parametrization, which computes a weight
    bases = [base for base in type(module).__mro__ if base is not nn.Module]
    from_torch = any(base.__module__.startswith("torch.nn.modules.") for base in bases)
    return next(module.children(), None) is None or (from_torch and not isinstance(module, _CONTAINERS))


def _is_ours(module: nn.Module) -> bool:
    return isinstance(module, tuple(_ours().values())) or type(module).__module__.startswith("repronet.")


def set_algorithm(model: nn.Module, algorithm: str) -> None:
    """Set `algorithm` on every layer of ours in the network that has this attribute; torch's layers do not have it.

    Raises:
        ValueError: for an unknown name, or for any but "auto" if the network has no such layer.
    """
    require_algorithm(algorithm)
    found = [module for module in model.modules() if isinstance(module, HasAlgorithm)]
    if not found and algorithm != "auto":
        raise ValueError(f"algorithm={algorithm!r}: none of the network's layers is ours; convert it first")
    for module in found:
        module.algorithm = algorithm  # type: ignore[assignment]
