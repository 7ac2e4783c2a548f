"""The networks, one file per paper family, found by name.

A name is looked up in :data:`MODELS` and its file is imported only then, so that listing the names needs no torch.
"""

from __future__ import annotations

import difflib
import inspect
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from repronet.errors import UserError

if TYPE_CHECKING:
    from torch import nn


def _depths(prefix: str, *depths: int, suffix: str = "") -> tuple[str, ...]:
    return tuple(f"{prefix}{depth}{suffix}" for depth in depths)


_CIFAR_DEPTHS = (20, 32, 44, 56, 110)

_FAMILIES: dict[str, tuple[str, ...]] = {
    # a file of this folder: the networks in it, each a function of that name
    "lenet": ("lenet5", "lenet5_1998"),
    "baselines": ("lecture_net", "locally_connected", "mlp"),
    "alexnet": ("alexnet", "alexnet_owt"),
    "four_layer": ("four_layer", "four_layer_tanh", "four_layer_abutting"),
    "zfnet": ("zfnet", "zfnet_wide"),
    "vgg": (
        *("vgg11", "vgg11_lrn", "vgg13", "vgg16", "vgg16_c", "vgg19"),
        *_depths("vgg", 11, 13, 16, 19, suffix="_bn"),
        *_depths("vgg", 11, 13, 16, 19, suffix="_32px"),
        *_depths("vgg", 11, 13, 16, 19, suffix="_bn_32px"),
    ),
    "network_in_network": ("nin",),
    "googlenet": ("googlenet", "googlenet_bn"),
    "inception_v3": ("inception_v3",),
    "resnet": (
        *_depths("resnet", 18, 34, 50, 101, 152),
        *("resnet18_a", "resnet34_a", "resnet34_c", "plain18", "plain34"),
        *_depths("resnet", 50, 101, 152, suffix="_v1_5"),
        *_depths("resnet", 18, 34, 50, suffix="_32px"),
        *_depths("resnet", *_CIFAR_DEPTHS, 1202),
        *_depths("resnet", *_CIFAR_DEPTHS, suffix="_b"),
        *_depths("plain", *_CIFAR_DEPTHS),
    ),
    "preact_resnet": _depths("preact_resnet", 110, 164, 1001),
    "resnext": ("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "resnext29_8x64d", "resnext29_16x64d"),
    "densenet": (
        *_depths("densenet", 121, 161, 169, 201),
        *("densenet40_12", "densenet100_12", "densenet_bc_100_12", "densenet_bc_250_24", "densenet_bc_190_40"),
    ),
    "senet": (
        *_depths("se_resnet", 50, 101, 152),
        *("se_resnet50_v1_5", "se_resnext50_32x4d", "senet154"),
        *_depths("se_resnet", *_CIFAR_DEPTHS),
    ),
}

INITIALIZATIONS = ("he", "xavier", "lecun", "normal")  # of repronet.models.initialization, named without torch

MODELS: dict[str, str] = {name: family for family, names in _FAMILIES.items() for name in names}


def create(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    layers: str = "custom",
    normalization: str | None = None,
) -> nn.Module:
    """Build the network ``name`` with fresh weights drawn from torch's global generator.

    Args:
        name: a key of :data:`MODELS`.
        num_classes: outputs of the last layer; None for as many as the paper's dataset has.
        in_channels: planes of the input image, 1 for grey and 3 for colour; None for the paper's.
        layers: ``"custom"`` for this project's layers, ``"torch"`` for :mod:`torch.nn`'s. The same seed gives the same
            weights under both.
        normalization: which normalisation stands where the network has its own (:mod:`repronet.models.normalization`
            has the names); None for that.

    Raises:
        UserError: for an unknown name or layer family, a count below one, or a normalization without a place.
    """
    build = builder(name)
    chosen = {"num_classes": num_classes, "in_channels": in_channels, "normalization": normalization}
    given = {key: value for key, value in chosen.items() if value is not None}
    counts = {key: value for key, value in given.items() if key != "normalization"}
    wrong = {key: value for key, value in counts.items() if type(value) is not int or value < 1}
    if wrong:
        shown = ", ".join(f"{key}={value!r}" for key, value in wrong.items())
        raise UserError(f"model={name}: {shown}: must be a whole number of at least 1")
    family = layer_family(layers)
    if normalization is None or "normalization" in inspect.signature(build).parameters:
        network = build(**given, layers=family)
    else:
        from repronet.models.normalization import renormalize  # here, because listing networks needs no torch

        network = build(**counts, layers=family)
        renormalize(network, normalization, family)
    network.architecture = name
    network.blueprint = {"name": name, **chosen, "layers": layers}
    return network


def builder(name: str):
    """The function that builds the network ``name``; its signature holds the paper's classes and channels.

    Raises:
        UserError: for an unknown name.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"; nearest: {near[0]}" if near else ""
        raise UserError(f"model={name}: no such network{hint} (`repronet list models` names all {len(MODELS)})")
    return getattr(import_module(f"repronet.models.{MODELS[name]}"), name)


def layer_family(name: str) -> ModuleType:
    """The module whose classes a network is built from: :mod:`repronet.layers` or :mod:`torch.nn`."""
    families = {"custom": "repronet.layers", "torch": "torch.nn"}
    if name not in families:
        raise UserError(f"layers={name}: no such layer family (choices: {', '.join(families)})")
    return import_module(families[name])
