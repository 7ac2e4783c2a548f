"""Decorators with which a plugin adds its own parts: ``@register.model("mine")`` and the like.

A registered part can be chosen like any other: ``model=mine data=mine`` on the command line and in experiments.
Its keyword arguments with a default become keys (``model.depth=3``), checked for the default's type; a dataclass given
as ``keys=`` can also declare rules and descriptions, with :mod:`repronet.config.fields`.

::

    from repronet import register

    @register.model("mine", input_size=28)
    def mine(num_classes: int, in_channels: int, depth: int = 3) -> nn.Module: ...
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import make_dataclass
from functools import partial
from typing import Any, TypeVar

from repronet import models
from repronet.config import schema
from repronet.config.fields import defaults_of, keys_of, optional
from repronet.config.plugins import PARTS, enter
from repronet.config.schema_data import OneSize
from repronet.config.schema_recipe import Optimizer
from repronet.constraints import Constraint
from repronet.data.augmentation_ops import OPERATIONS, Value
from repronet.errors import UserError

T = TypeVar("T", bound=Callable[..., Any])

_TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
CALLBACKS: dict[str, Callable[[], Any]] = {}  # the choices of callbacks=[…]


def model(name: str, input_size: int | None = None, keys: type | None = None) -> Callable[[T], T]:
    """A network: a class or function that takes ``num_classes`` and ``in_channels`` and returns an ``nn.Module``.

    Args:
        input_size: height and width of its images, if the module has no ``input_size`` of its own.
        keys: a dataclass of further arguments; by default the keyword arguments with their defaults.
    """
    known = ("num_classes", "in_channels", "layers", "normalization")

    def register(build: T) -> T:
        values = {"name": name, "loss": "cross_entropy"}
        _choice("model", name, build, values, schema.Network, known, keys)
        models.MODELS[name] = models.Own(PARTS["model", name].plugin, build, input_size)
        return build

    return register


def dataset(name: str, keys: type | None = None) -> Callable[[T], T]:
    """A dataset: a function that returns an :class:`~repronet.data.splits.ImageDataset`.

    It may take ``root`` and ``val``, the values of ``data.root`` and ``data.val``.
    """
    usual = {"val": 0.1, "fit": "resize", "batch_size": 64, "eval_batch_size": 500, "batches_per_chunk": 4}

    def register(build: T) -> T:
        _choice("data", name, build, {"name": name, **usual}, OneSize, ("root", "val"), keys)
        from repronet.data.sources import SOURCES, ImageDataset, Request

        wanted = {"root", "val"} & inspect.signature(build).parameters.keys()

        def made(request: Request) -> ImageDataset:
            images = build(**{key: getattr(request, key) for key in wanted}, **request.options)
            if not isinstance(images, ImageDataset):
                place = f"{PARTS['data', name].plugin}, {build.__name__}"
                needed = "return a repronet.data.splits.ImageDataset"
                raise UserError(f"data={name}: {place} gives {type(images).__name__}; {needed}")
            return images

        SOURCES[name] = made
        return build

    return register


def optimizer(name: str, keys: type | None = None) -> Callable[[T], T]:
    """An optimizer: a class or function that takes ``params``, ``lr`` and ``weight_decay``."""

    def register(build: T) -> T:
        known = ("params", "lr", "weight_decay")
        if not set(known) <= inspect.signature(build).parameters.keys():
            raise UserError(f"register.optimizer: {name} must take params, lr and weight_decay")
        _choice("optimizer", name, build, {"name": name, "lr": 1e-3, "weight_decay": 0.0}, Optimizer, known, keys)
        from repronet.training.optimizers import OPTIMIZERS

        OPTIMIZERS[name] = partial(partial, build)
        return build

    return register


def loss(name: str) -> Callable[[T], T]:
    """A loss: a function of logits (N, classes) and labels (N,) that returns their mean loss."""

    def register(build: T) -> T:
        enter("loss", name, build, name in schema.LOSSES)
        from repronet.training.losses import LOSSES

        LOSSES[name] = build
        if name not in schema.LOSSES:
            schema.LOSSES.append(name)
        return build

    return register


def augmentation_step(name: str, p: float = 1.0) -> Callable[[T], T]:
    """A step of a policy: a function of an image, uint8 (C, H, W), whose keyword arguments are numbers.

    Args:
        p: the probability of the step if the policy gives none.
    """

    def register(build: T) -> T:
        enter("augmentation_step", name, build, name in OPERATIONS)
        number = Constraint(lambda x: True, "a number")
        values = {key: Value(default, number) for key, default in _arguments(build, (), skip=1).items()}
        OPERATIONS[name] = (p, values)
        from repronet.data.operations import OURS

        OURS[name] = build
        return build

    return register


def callback(name: str) -> Callable[[T], T]:
    """A callback: a class or function that takes no arguments and returns a ``pytorch_lightning.Callback``."""

    def register(build: T) -> T:
        enter("callback", name, build, taken=False)
        CALLBACKS[name] = build
        return build

    return register


def _choice(
    kind: str,
    name: str,
    build: Any,
    values: Mapping[str, Any],
    base: type,
    known: tuple[str, ...],
    keys: type | None,
) -> None:
    """Register a part that is a choice of a config group, with the schema of its keys."""
    own = _schema(name, base, keys, build, known)
    arguments = tuple(item.name for item in keys_of(own) if item.name not in base.__dataclass_fields__)
    config = {**values, **{key: value for key, value in defaults_of(own).items() if key in arguments}}
    enter(kind, name, build, name in schema.SCHEMAS[kind], config, arguments)
    schema.SCHEMAS[kind][name] = own


def _schema(name: str, base: type, keys: type | None, build: Any, known: tuple[str, ...]) -> type:
    """A schema with the base's keys and those of a dataclass or of the keyword arguments."""
    if keys is not None:
        return make_dataclass(name, [], bases=(keys, base))
    fields: list[tuple[str, Any, Any]] = []
    for key, default in _arguments(build, known).items():
        rule = Constraint(lambda x: True, _TYPES[type(default)]) if type(default) in _TYPES else None
        kind = type(default) if rule else Any
        plain = list(default) if isinstance(default, tuple) else default
        fields.append((key, kind, optional(rule, f"of {name}", plain)))
    return make_dataclass(name, fields, bases=(base,))


def _arguments(build: Any, known: tuple[str, ...], skip: int = 0) -> dict[str, Any]:
    """The arguments that are keys, with their defaults."""
    found = {}
    for parameter in list(inspect.signature(build).parameters.values())[skip:]:
        if parameter.name in known or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is parameter.empty:
            raise UserError(f"register: {build.__name__}({parameter.name}): needs a default to become a key")
        found[parameter.name] = parameter.default
    return found
