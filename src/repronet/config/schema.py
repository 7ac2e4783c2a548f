"""What a config may hold: one dataclass a named choice, with the type and the range of every value.

The choices of the groups are in :data:`SCHEMAS`, the commands with their keys in :data:`COMMANDS`.

The YAML files hold the values, these classes the rules. A name in a config selects a row of :data:`SCHEMAS` and nothing
else: no key of a config is ever imported, called or evaluated. This file needs no torch, so a wrong value is found
before the heavy libraries load.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from repronet.config import schema_commands, schema_tools  # noqa: F401
from repronet.config.command import ENTERED
from repronet.config.fields import required, tag
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
from repronet.errors import UserError
from repronet.models import MODELS

LOSSES = ["cross_entropy", "svm", "mse", "binary", "rbf_map"]  # of repronet.training.losses, named without torch
RBF_OUTPUT = "lenet5_1998"  # the network whose loss is rbf_map


@dataclass
class Network:
    name: str = tag()
    loss: str = required(None, f"{', '.join(LOSSES)}, or one of a plugin's")

    def conflict(self) -> str | None:
        if self.loss not in LOSSES:
            return f"model.loss={self.loss}: must be one of {', '.join(LOSSES)}"
        wrong = self.loss == "rbf_map" and self.name != RBF_OUTPUT
        reason = f"needs an RBF output, which {self.name} has not; take cross_entropy"
        return f"model.loss=rbf_map: {reason}" if wrong else None


COMMANDS = ENTERED  # complete, as the two modules whose classes enter themselves are imported above

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


def schemas_in(group: str) -> list[tuple[str, type]]:
    """The schemas of a group, each once, with the path of their keys."""
    if group == "trainer":
        return [("trainer.", Trainer)]
    if group == "logger":
        return [(f"logger.{name}.", logger) for name, logger in LOGGERS.items()]
    return [(f"{group}.", schema) for schema in dict.fromkeys(SCHEMAS.get(group, {}).values())]


def network_choices() -> dict[str, dict[str, str]]:
    """The config of each network, which has no file: its name and its loss."""
    return {name: {"name": name, "loss": "rbf_map" if name == RBF_OUTPUT else "cross_entropy"} for name in MODELS}


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
