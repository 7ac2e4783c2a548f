"""What a config may hold: one dataclass a named choice, with the type and the range of every value.

The choices of the groups are in :data:`SCHEMAS`, the commands with their keys in :data:`COMMANDS`.

The YAML files hold the values, these classes the rules. A name in a config selects a row of :data:`SCHEMAS` and nothing
else: no key of a config is ever imported, called or evaluated. This file needs no torch, so a wrong value is found
before the heavy libraries load.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass
from typing import Any

from repronet.config import schema_commands, schema_tools  # noqa: F401
from repronet.config import schema_data as data
from repronet.config import schema_recipe as recipe
from repronet.config.command import ENTERED
from repronet.config.fields import keys_of, required, tag
from repronet.config.schema_trainer import LOGGERS, Trainer
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
        **dict.fromkeys(("mnist5k", "mnist", "fashion_mnist", "svhn", "stl10", "cifar10", "cifar100"), data.OneSize),
        **dict.fromkeys(("imagenette", "imagenet"), data.Published),
        "image_folder": data.Folder,
        "npz": data.Npz,
    },
    "augmentation": {
        "none": data.Nothing,
        "affine": data.Affine,
        "cifar_standard": data.PadCropFlip,
        "policy": data.Policy,
    },
    "preprocessing": {
        "standardize": data.Standardize,
        "scale": data.Scale,
        "per_pixel_mean": data.Nothing,
        "per_image": data.Nothing,
        "global_contrast": data.GlobalContrast,
        "local_contrast": data.LocalContrast,
        "zca": data.Zca,
    },
    "normalization": dict.fromkeys(
        (
            *("paper", "none", "batch", "local_response", "local_response_mean"),
            *("local_contrast", "layer", "group", "instance"),
        ),
        data.Nothing,
    ),
    "optimizer": {"sgd": recipe.Sgd, "adam": recipe.Adam, "adamw": recipe.Adam, "rmsprop": recipe.RmsProp},
    "schedule": {
        "constant": recipe.Constant,
        "multistep": recipe.Multistep,
        "exponential": recipe.Exponential,
        "polynomial": recipe.Polynomial,
        "plateau": recipe.Plateau,
        "stages": recipe.Stages,
        "cosine": recipe.Cosine,
        "one_cycle": recipe.OneCycle,
    },
    "finetune": {
        **dict.fromkeys(("none", "scratch", "all", "head"), recipe.Way),
        "discriminative": recipe.Discriminative,
        "gradual": recipe.Gradual,
        "head_then_all": recipe.HeadThenAll,
        "lwf": recipe.WithoutForgetting,
    },
    "averaging": {"none": recipe.LatestWeights, "ema": recipe.Ema, "polyak": recipe.Polyak},
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


def keys_in(group: str) -> dict[str, Field[Any]]:
    """The keys of a group, each once, by its path."""
    found: dict[str, Field[Any]] = {}
    for path, schema in schemas_in(group):
        for item in keys_of(schema):
            found.setdefault(f"{path}{item.name}", item)
    return found


def network_choices() -> dict[str, dict[str, str]]:
    """The config of each network, which has no file: its name and its loss."""
    return {name: {"name": name, "loss": "rbf_map" if name == RBF_OUTPUT else "cross_entropy"} for name in MODELS}
