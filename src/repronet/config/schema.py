"""What a config may hold: one dataclass a named choice, with the type and the range of every value.

The choices are here, the keys of the commands in :mod:`repronet.config.schema_commands`.

The YAML files hold the values, these classes the rules. A name in a config selects a row of :data:`SCHEMAS` and nothing
else: no key of a config is ever imported, called or evaluated. This file needs no torch, so a wrong value is found
before the heavy libraries load.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import MISSING as NO_DEFAULT
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from omegaconf import MISSING

from repronet.config.fields import required
from repronet.config.schema_data import (
    Affine,
    Folder,
    GlobalContrast,
    LocalContrast,
    Nothing,
    Npz,
    OneSize,
    PadCropFlip,
    Policy,
    Published,
    Scale,
    Standardize,
    Zca,
)
from repronet.config.schema_logger import LOGGERS
from repronet.config.schema_recipe import (
    Adam,
    Constant,
    Cosine,
    Discriminative,
    Ema,
    Exponential,
    Gradual,
    HeadThenAll,
    LatestWeights,
    Multistep,
    OneCycle,
    Plateau,
    Polyak,
    Polynomial,
    RmsProp,
    Sgd,
    Stages,
    Way,
    WithoutForgetting,
)
from repronet.config.schema_trainer import Trainer
from repronet.constraints import one_of
from repronet.errors import UserError
from repronet.models import MODELS


@dataclass
class Network:
    name: str = MISSING
    loss: str = required(one_of("cross_entropy", "svm", "mse", "binary", "rbf_map"))

    def conflict(self) -> str | None:
        wrong = self.loss == "rbf_map" and self.name != "lenet5_1998"
        return (
            f"model.loss=rbf_map: needs an RBF output, which {self.name} has not; take cross_entropy" if wrong else None
        )


SCHEMAS: dict[str, dict[str, type]] = {
    "model": dict.fromkeys(MODELS, Network),
    "data": {
        **dict.fromkeys(("mnist5k", "mnist", "fashion_mnist", "svhn", "stl10", "cifar10", "cifar100"), OneSize),
        **dict.fromkeys(("imagenette", "imagenet"), Published),
        "image_folder": Folder,
        "npz": Npz,
    },
    "augmentation": {"none": Nothing, "affine": Affine, "cifar_standard": PadCropFlip, "policy": Policy},
    "preprocessing": {
        "standardize": Standardize,
        "scale": Scale,
        "per_pixel_mean": Nothing,
        "per_image": Nothing,
        "global_contrast": GlobalContrast,
        "local_contrast": LocalContrast,
        "zca": Zca,
    },
    "normalization": dict.fromkeys(
        ("paper", "none", "batch", "local_response", "local_contrast", "layer", "group", "instance"), Nothing
    ),
    "optimizer": {"sgd": Sgd, "adam": Adam, "adamw": Adam, "rmsprop": RmsProp},
    "schedule": {
        "constant": Constant,
        "multistep": Multistep,
        "exponential": Exponential,
        "polynomial": Polynomial,
        "plateau": Plateau,
        "stages": Stages,
        "cosine": Cosine,
        "one_cycle": OneCycle,
    },
    "finetune": {
        **dict.fromkeys(("none", "scratch", "all", "head"), Way),
        "discriminative": Discriminative,
        "gradual": Gradual,
        "head_then_all": HeadThenAll,
        "lwf": WithoutForgetting,
    },
    "averaging": {"none": LatestWeights, "ema": Ema, "polyak": Polyak},
}


def schemas_of(group: str, values: Any) -> Iterator[tuple[str, type | None, Any]]:
    """The parts of a group's values with the path and the schema of each; a part without a schema has ``None``.

    A group is one part, whose ``name`` selects the schema; ``logger`` has a part for each logger.
    """
    if group == "logger" and isinstance(values, Mapping):
        yield from ((f"logger.{name}.", LOGGERS.get(name), part) for name, part in values.items())
    elif group == "trainer":
        yield "trainer.", Trainer, values
    else:
        name = values.get("name") if isinstance(values, Mapping) else None
        yield f"{group}.", SCHEMAS.get(group, {}).get(str(name)), values


def defaults_of(schema: type) -> dict[str, Any]:
    """The keys of a schema that have a default, with it."""
    found = {}
    for item in fields(schema):
        if item.default_factory is not NO_DEFAULT:
            found[item.name] = item.default_factory()
        elif item.default is not NO_DEFAULT and item.default != MISSING and item.name != "name":
            found[item.name] = item.default
    return found


def check_rules(config: Any, path: str = "") -> None:
    """Check every rule of a dataclass instance, then its ``conflict()`` between values where it has one.

    Raises:
        UserError: for the first value that breaks its rule or is not finite, with its key and what is wanted.
    """
    assert is_dataclass(config)
    for item in fields(config):
        found, key = getattr(config, item.name), f"{path}{item.name}"
        rule = item.metadata.get("rule")
        if rule is None or found is None:
            continue
        numbers = found if isinstance(found, list) else [found]
        finite = all(math.isfinite(n) for n in numbers if isinstance(n, float))
        if not finite or not rule.check(found):
            raise UserError(f"{key}={found}: must be {rule.expected}")
    conflict = getattr(config, "conflict", lambda: None)()
    if conflict:
        raise UserError(conflict)
