"""The networks by name, one file per family of papers.

A network's file is imported only when its name is looked up in :data:`MODELS`, so that listing names needs no torch.
Names with a slash are those of other libraries' networks, see :mod:`repronet.models.foreign`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from repronet.errors import UserError, nearest
from repronet.models import foreign

if TYPE_CHECKING:
    from torch import nn


def _depths(prefix: str, *depths: int, suffix: str = "") -> tuple[str, ...]:
    return tuple(f"{prefix}{depth}{suffix}" for depth in depths)


_CIFAR_DEPTHS = (20, 32, 44, 56, 110)

_FAMILIES: dict[str, tuple[str, ...]] = {
    # a file of this folder: the networks in it, each built by a function of the same name
    "lenet": ("lenet5", "lenet5_1998"),
    "baselines": ("lecture_net", "locally_connected", "mlp"),
    "alexnet": ("alexnet", "alexnet_abutting", "alexnet_owt"),
    "four_layer": (
        *("four_layer_13pct", "four_layer_11pct", "four_layer_18pct"),
        *("four_layer", "four_layer_tanh", "four_layer_abutting"),
    ),
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
        *_depths("resnet", 50, 101, 152, suffix="_caffe"),
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
        *_depths("se_preact_resnet", 110, 164),
        *_depths("se_resnet", *_CIFAR_DEPTHS),
    ),
}

INITIALIZATIONS = ("he", "xavier", "lecun", "normal")  # SCHEMES of repronet.models.initialization, without torch

USUAL = {"num_classes": 10, "in_channels": 3}  # for a network from outside the package that has no defaults


@dataclass(frozen=True)
class Own:
    """A network from outside the package."""

    plugin: str  #: the module or file that it comes from
    #: builds it from those of ``num_classes``, ``in_channels`` and ``layers`` (a module) that it takes, and from
    #: arguments of its own
    build: Callable[..., nn.Module]
    input_size: int | None  #: height and width of its images, for a network without an ``input_size`` attribute

    def network(self, name: str, given: Mapping[str, Any], options: Mapping[str, Any]) -> nn.Module:
        """Build the network and add the attributes that all of our networks have.

        Raises:
            UserError: if its input size is unknown.
        """
        parameters = inspect.signature(self.build).parameters
        usual = {**USUAL, **given}
        wanted = (key for key, value in parameters.items() if key in given or value.default is value.empty)
        network = self.build(**{key: usual[key] for key in wanted if key in usual}, **options)
        for key, value in (("architecture", name), ("input_size", self.input_size)):
            if not hasattr(network, key):
                setattr(network, key, value)
        if network.input_size is None:
            raise UserError(f"model={name}: has no input_size; give one, @register.model({name!r}, input_size=32)")
        return network


# For each name, the file of its family, or a network from outside the package.
MODELS: dict[str, str | Own] = {name: family for family, names in _FAMILIES.items() for name in names}


def own_keys(group: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a model's config besides name and loss: arguments of a network from outside the package."""
    own = {key: value for key, value in group.items() if key not in ("name", "loss")}
    return {
        key: list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
        for key, value in own.items()
    }


def create(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    layers: str = "custom",
    normalization: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """Build the network ``name`` with fresh weights drawn from torch's global generator.

    Args:
        name: a key of :data:`MODELS`, or ``timm/NAME`` or ``torchvision/NAME``.
        num_classes: outputs of the last layer; None for the number of classes in the paper's dataset.
        in_channels: channels of the input image, 1 for grey and 3 for colour; None for the paper's.
        layers: ``"custom"`` for this project's layers, ``"torch"`` for :mod:`torch.nn`'s. The same seed gives the same
            weights with both.
        normalization: the normalisation that replaces the network's own, one of the names in
            :mod:`repronet.models.normalization`; None to keep its own.
        options: further arguments of a network from outside the package.

    Raises:
        UserError: for an unknown name or layer family, a count below one, a normalization that the network has no place
            for, or options for a network of this package.
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
    own = MODELS.get(name)
    if own is None and normalization is not None:
        raise UserError(f"normalization={normalization}: networks of other libraries keep their own; use paper")
    if isinstance(own, Own):
        network = own.network(name, {**counts, "layers": family}, options or {})
        if layers == "custom":
            import_module("repronet.layers").convert(network, layers)  # if it was built from torch's
        if normalization is not None:
            _renormalize(network, normalization, family)
        return _identified(network, {"name": name, **chosen, "layers": layers, "options": dict(options or {})})
    if options:
        raise UserError(f"model={name}: {', '.join(options)}: only a network from outside the package has options")
    if normalization is None or "normalization" in inspect.signature(build).parameters:
        network = build(**given, layers=family)
    else:
        network = build(**counts, layers=family)
        _renormalize(network, normalization, family)
    chosen["num_classes"] = num_classes or inspect.signature(build).parameters["num_classes"].default
    return _identified(network, {"name": name, **chosen, "layers": layers})


def without_memory(name: str, normalization: str | None = None, options: Mapping[str, Any] | None = None) -> nn.Module:
    """The network ``name`` of torch's layers on the meta device; on the CPU if building it needs actual values."""
    import torch  # here, because listing networks must not need torch

    build = partial(create, name, layers="torch", normalization=normalization, options=options)
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return build()
        except (NotImplementedError, RuntimeError):  # lenet5_1998's connection table
            return build()


def _identified(network: nn.Module, blueprint: dict[str, Any]) -> nn.Module:
    """Attach the arguments of :func:`create` that rebuild the network, for checkpoints, and return the network."""
    network.architecture = blueprint["name"]
    network.blueprint = blueprint  # type: ignore[assignment]
    return network


def _renormalize(network: nn.Module, normalization: str, family: ModuleType) -> None:
    from repronet.models.normalization import renormalize  # here, because listing networks must not need torch

    renormalize(network, normalization, family)


def builder(name: str) -> Callable[..., nn.Module]:
    """The function that builds the network ``name``; its defaults are the paper's numbers of classes and channels.

    Raises:
        UserError: for an unknown name.
    """
    if foreign.is_foreign(name):
        return foreign.builder(name)
    if name not in MODELS:
        raise UserError(
            f"model={name}: no such network{nearest(name, MODELS)} (`repronet list models` names all {len(MODELS)})"
        )
    family = MODELS[name]
    return family.build if isinstance(family, Own) else getattr(import_module(f"repronet.models.{family}"), name)


def is_known(name: str) -> bool:
    """Whether :func:`create` can build a network of that name: one of :data:`MODELS`, or another library's."""
    return name in MODELS or (foreign.is_foreign(name) and name in foreign.names(name.partition("/")[0]))


def usual_channels(name: str) -> int:
    """The default number of input channels of the network ``name``."""
    default = inspect.signature(builder(name)).parameters["in_channels"].default
    return USUAL["in_channels"] if default is inspect.Parameter.empty else default


def layer_family(name: str) -> ModuleType:
    """The module whose classes a network is built from: :mod:`repronet.layers` or :mod:`torch.nn`."""
    families = {"custom": "repronet.layers", "torch": "torch.nn"}
    if name not in families:
        raise UserError(f"layers={name}: no such layer family (choices: {', '.join(families)})")
    return import_module(families[name])
