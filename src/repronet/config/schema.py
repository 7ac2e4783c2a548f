"""The schema of configs: one dataclass per named choice, with the type and the range of every value.

The choices of the groups are in :data:`SCHEMAS`, the commands with their keys in :data:`COMMANDS`.

The YAML files have the values, these classes the rules. A name in a config selects a row of :data:`SCHEMAS` and nothing
else: no key of a config is ever imported, called or evaluated. This file needs no torch, so a wrong value is found
before the heavy libraries load.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import Field, dataclass
from typing import Any

from repronet.config import (
    schema_commands,
    schema_exercises,
    schema_gan,
    schema_reproduce,
    schema_runs,
    schema_tools,
)
from repronet.config import schema_data as data
from repronet.config import schema_recipe as recipe
from repronet.config.command import ENTERED
from repronet.config.fields import Choice, keys_of, required
from repronet.config.schema_sweep import LAUNCHERS, SEARCHES
from repronet.config.schema_trainer import LOGGERS, Trainer
from repronet.models import MODELS
from repronet.models.foreign import is_foreign

LOSSES = ["cross_entropy", "svm", "mse", "binary", "rbf_map"]  # as in repronet.training.losses, without torch
RBF_OUTPUT = "lenet5_1998"  # the network whose loss is rbf_map


@dataclass
class Network(Choice):
    loss: str = required(None, f"{', '.join(LOSSES)}, or one of a plugin's")

    def conflict(self) -> str | None:
        if self.loss not in LOSSES:
            return f"model.loss={self.loss}: must be one of {', '.join(LOSSES)}"
        wrong = self.loss == "rbf_map" and self.name != RBF_OUTPUT
        reason = f"needs an RBF output, which {self.name} does not have; use cross_entropy"
        return f"model.loss=rbf_map: {reason}" if wrong else None


_PARTS = (schema_commands, schema_exercises, schema_runs, schema_gan, schema_reproduce, schema_tools)
COMMANDS = {  # in the order of the help page, whichever module was imported first
    name: row for part in _PARTS for name, row in ENTERED.items() if row.keys.__module__ == part.__name__
}

SCHEMAS: dict[str, dict[str, type]] = {
    "model": dict.fromkeys(MODELS, Network),
    "data": {
        **dict.fromkeys(("mnist5k", "mnist", "fashion_mnist", "svhn", "stl10", "cifar10", "cifar100"), data.OneSize),
        **dict.fromkeys(("imagenette", "imagenet"), data.Published),
        "image_folder": data.Folder,
        "table": data.Table,
        "webdataset": data.Shards,
        "huggingface": data.HuggingFace,
        "npz": data.Npz,
    },
    "augmentation": {
        "none": data.Unchanged,
        "affine": data.Affine,
        "cifar_standard": data.PadCropFlip,
        "policy": data.Policy,
    },
    "preprocessing": {
        "standardize": data.Standardize,
        "scale": data.Scale,
        "per_pixel_mean": Choice,
        "per_image": Choice,
        "global_contrast": data.GlobalContrast,
        "local_contrast": data.LocalContrast,
        "zca": data.Zca,
    },
    "normalization": dict.fromkeys(
        (
            *("paper", "none", "batch", "local_response", "local_response_mean"),
            *("local_contrast", "layer", "group", "instance"),
        ),
        Choice,
    ),
    "optimizer": {"sgd": recipe.Sgd, "adam": recipe.Adam, "adamw": recipe.Adam, "rmsprop": recipe.RmsProp},
    "schedule": {
        "constant": recipe.Schedule,
        "multistep": recipe.Multistep,
        "exponential": recipe.Exponential,
        "polynomial": recipe.Polynomial,
        "plateau": recipe.Plateau,
        "stages": recipe.Stages,
        "cosine": recipe.Cosine,
        "one_cycle": recipe.OneCycle,
    },
    "finetune": {
        **dict.fromkeys(("none", "scratch", "all", "head"), Choice),
        "discriminative": recipe.Discriminative,
        "gradual": recipe.Gradual,
        "head_then_all": recipe.HeadThenAll,
        "lwf": recipe.WithoutForgetting,
    },
    "averaging": {"none": Choice, "ema": recipe.Ema, "polyak": recipe.Polyak},
    "launcher": LAUNCHERS,
    "search": SEARCHES,
}


def schemas_of(group: str, values: Any) -> dict[str, type | None]:
    """The schema of a group's values by the path of its keys, None if no schema has that name.

    A group's ``name`` selects its schema; ``logger`` has one for each logger.
    """
    if group == "logger" and isinstance(values, Mapping):
        return {f"logger.{name}.": LOGGERS.get(name) for name in values}
    if group == "trainer":
        return {"trainer.": Trainer}
    name = str(values.get("name")) if isinstance(values, Mapping) else ""
    foreign = group == "model" and is_foreign(name)
    return {f"{group}.": Network if foreign else SCHEMAS.get(group, {}).get(name)}


def schemas_in(group: str) -> list[tuple[str, type]]:
    """The schemas of a group, each once, with the path of their keys."""
    if group == "trainer":
        return [("trainer.", Trainer)]
    if group == "logger":
        return [(f"logger.{name}.", logger) for name, logger in LOGGERS.items()]
    return [(f"{group}.", schema) for schema in dict.fromkeys(SCHEMAS.get(group, {}).values())]


def keys_by_choice(group: str) -> dict[tuple[str, ...], list[tuple[str, Field[Any]]]]:
    """The keys of a group with their paths, by the names of the choices that have them; () for keys of all.

    A key appears twice if it has two meanings.
    """
    if group not in SCHEMAS:
        return {(): [(f"{path}{item.name}", item) for path, schema in schemas_in(group) for item in keys_of(schema)]}
    owners, items = defaultdict[tuple[str, str], list[str]](list), dict[tuple[str, str], Field[Any]]()
    for name, schema in SCHEMAS[group].items():
        for item in keys_of(schema):
            key = f"{group}.{item.name}", item.metadata["about"]
            owners[key].append(name)
            items.setdefault(key, item)
    found = defaultdict[tuple[str, ...], list[tuple[str, Field[Any]]]](list)
    for key, names in owners.items():
        found[() if len(names) == len(SCHEMAS[group]) else tuple(names)].append((key[0], items[key]))
    return found


def keys_in(group: str) -> list[tuple[str, Field[Any]]]:
    """The keys of a group with their paths, as :func:`keys_by_choice` has them."""
    return [key for keys in keys_by_choice(group).values() for key in keys]


def network_choice(name: str) -> dict[str, str]:
    """The config of a network: its name and its loss."""
    return {"name": name, "loss": "rbf_map" if name == RBF_OUTPUT else "cross_entropy"}
