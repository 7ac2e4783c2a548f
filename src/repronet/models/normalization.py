"""Normalisation layers by name, for networks that let the user choose one or whose own can be replaced."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import nn

import repronet.layers
from repronet.errors import UserError
from repronet.models.alexnet import response_norm

RESPONSE_NORMS = ("local_response", "local_response_mean")
NORMALIZATIONS = ("none", "batch", *RESPONSE_NORMS, "local_contrast", "layer", "group", "instance")
GROUPS = 32  # Wu and He 2018, table 3
WITHOUT_PARAMETERS = ("none", *RESPONSE_NORMS, "local_contrast")


def normalization_2d(name: str, channels: int, layers: ModuleType) -> nn.Module:
    """The layer called ``name`` for (N, ``channels``, H, W).

    ``none`` is the identity. ``layer``, ``group`` and ``instance`` are group normalisation with one group, with the
    number of groups from ``group_count``, and with one group per channel (Wu and He 2018, figure 2).
    ``local_response`` has AlexNet's constants (section 3.3), ``local_response_mean`` the same with α divided by the
    number of maps, as cuda-convnet and Caffe read it; ``local_contrast`` a Gaussian of 9 × 9 (Jarrett et al. 2009).

    Raises:
        UserError: for another name.
    """
    if name == "none":
        return nn.Identity()
    if name == "batch":
        return layers.BatchNorm2d(channels)
    if name in RESPONSE_NORMS:
        return response_norm(layers, mean=name == "local_response_mean")
    if name == "local_contrast":
        return repronet.layers.LocalContrastNorm()  # torch.nn has none
    groups = {"layer": 1, "group": group_count(channels), "instance": channels}
    if name in groups:
        return layers.GroupNorm(groups[name], channels)
    raise UserError(f"normalization={name}: no such layer (choices: {', '.join(NORMALIZATIONS)})")


def group_count(channels: int) -> int:
    """The largest number of groups, at most 32, that divides ``channels`` into groups of at least two each."""
    return next(n for n in range(min(GROUPS, max(1, channels // 2)), 0, -1) if channels % n == 0)


def renormalize(network: nn.Module, name: str, layers: ModuleType) -> None:
    """Replace every batch normalisation in ``network`` or, if it has none, every local response norm by ``name``.

    If the new layer has no parameters, nothing shifts the output of convolutions without bias; they get biases of 0.

    Raises:
        UserError: if the network has neither.
    """
    places = _places(network, nn.BatchNorm2d) or _places(network, nn.LocalResponseNorm)
    if not places:
        raise UserError(f"normalization={name}: {network.architecture} has no normalization; keep normalization=paper")
    for path, channels in places:
        parent, _, child = path.rpartition(".")
        network.get_submodule(parent)._modules[child] = normalization_2d(name, channels, layers)
    if name in WITHOUT_PARAMETERS:
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.bias is None:
                module.bias = nn.Parameter(torch.zeros(module.out_channels))


def _places(network: nn.Module, kind: type[nn.Module]) -> list[tuple[str, int]]:
    """Paths of all layers of that kind, with their numbers of channels: their own, or the last convolution's."""
    places, channels = [], 0
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            channels = module.out_channels
        if isinstance(module, kind):
            places.append((path, getattr(module, "num_features", channels)))
    return places
