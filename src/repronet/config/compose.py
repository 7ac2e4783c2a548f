"""From the words of a command line to a checked config, or to one line that says what is wrong with them.

Hydra composes the config. What it is asked to compose is looked at before and after: before, so that an unknown key or
choice is answered with the nearest valid name (:mod:`repronet.config.overrides`); after, so that every value has the
type and range that its schema demands (:func:`checked`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from repronet.config import plugins
from repronet.config.fields import ONE_TARGET, defaults_of, expected, targets
from repronet.config.groups import CONFIGS, GROUPS
from repronet.config.overrides import (
    as_word,
    bracketed,
    check_choice,
    check_effect,
    check_key,
    expand,
    is_path,
    listed,
    parse,
    path_of,
)
from repronet.config.schema import COMMANDS, LOGGERS, LOSSES, SCHEMAS, network_choices, schemas_of
from repronet.data.augmentation_ops import OPERATIONS
from repronet.errors import UserError, first_line, nearest
from repronet.reproduction.budget import scaled

__all__ = ["checked", "compose", "expand", "parse"]


def compose(command: str, overrides: Sequence[str], config_dir: Path | None = None) -> DictConfig:
    """The checked config of ``command`` under Hydra ``overrides`` without sweeps.

    Args:
        command: a key of :data:`repronet.config.schema.COMMANDS`, ``train`` for instance.
        config_dir: a folder of the user's whose files are found beside ours, for instance ``DIR/experiment/mine.yaml``.

    Raises:
        UserError: for anything that Hydra or the schema would not take.
    """
    row = COMMANDS[command]
    if row.takes_words:
        overrides = [word for word in overrides if "=" in word]
    paths = dict(map(path_of, filter(is_path, overrides)))
    words = [bracketed(word) for word in overrides if not is_path(word)]
    parsed = parse(words, row.example)
    for override in parsed:
        check_choice(command, override, config_dir)
    check_effect(command, words)
    picked = {o.key_or_group: o.value() for o in parsed if o.key_or_group in GROUPS}  # the last word of each group
    # An experiment of null is the default; Hydra has no word for choosing it.
    picks = [f"{group}={as_word(choice)}" for group, choice in picked.items() if choice is not None]
    if config_dir is not None:
        quoted = str(config_dir.resolve()).replace("\\", "\\\\").replace("'", "\\'")
        picks.insert(0, f"hydra.searchpath=['file://{quoted}']")
    base = _composed(command, picks)
    for key, word in [
        *((override.key_or_group, str(override.input_line)) for override in parsed),
        *((key, f"{key}={path}") for key, path in paths.items()),
    ]:
        check_key(key, word, base)
    values = [word for word, o in zip(words, parsed, strict=True) if o.key_or_group not in GROUPS]
    # ++ sets a key whether or not a file has it: those at their defaults stand in the schema alone.
    config = _composed(command, [*picks, *(f"++{word}" for word in values)])
    for key, path in paths.items():
        OmegaConf.update(config, key, path)
    experiment = picked.get("experiment")
    if row.trains and not _complete(config, experiment):
        return compose(command, overrides, config_dir)
    return _within_budget(checked(command, config), experiment, values)


def _complete(config: DictConfig, experiment: Any) -> bool:
    """Note the experiment and the plugins of a run, which Hydra does not know; False once more plugins are loaded."""
    if isinstance(config._get_node("experiment", validate_access=False), DictConfig):
        raise UserError(f"experiment={experiment}: its file must begin with the line '# @package _global_'")
    OmegaConf.update(config, "experiment", experiment, force_add=True)
    plain: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    tables = {**SCHEMAS, "loss": LOSSES, "callback": plugins.named("callback"), "augmentation_step": OPERATIONS}
    if any(name not in tables[kind] for kind, name in plugins.chosen(plain)) and plugins.load_installed():
        return False
    config.plugins = plugins.needed(plain)
    return True


def _within_budget(config: DictConfig, experiment: Any, values: Sequence[str]) -> DictConfig:
    """The config with the length that its ``budget`` pays for, where it is one of a run."""
    if "trainer" not in config or config.budget == "paper":
        return config
    for word in values:
        if word.startswith("trainer.max_epochs="):
            raise UserError(f"{word}: budget={config.budget} says how many epochs there are; give one of the two")
    plain: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    return OmegaConf.create(scaled(plain, experiment))


def _composed(command: str, overrides: Sequence[str]) -> DictConfig:
    """What Hydra composes, with the defaults of the schemas where the files say nothing."""
    _store_what_has_no_file()
    for group, name, values in plugins.choices():
        ConfigStore.instance().store(group=group, name=name, node=values)
    try:
        with initialize_config_module("repronet.configs", version_base="1.3"):
            config = hydra_compose(command, list(overrides))
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as error:
        if isinstance(error, HydraException) and plugins.load_installed():
            return _composed(command, overrides)  # a file may choose what an installed plugin has
        raise UserError(first_line(error)) from error
    defaults = OmegaConf.create(defaults_of(COMMANDS[command].keys))
    for group in COMMANDS[command].groups:
        found = config._get_node(group, validate_access=False)
        for path, schema, _ in schemas_of(group, found if isinstance(found, DictConfig) else None):
            if schema is not None:
                OmegaConf.update(defaults, path.rstrip("."), defaults_of(schema))
    OmegaConf.set_struct(config, False)
    return OmegaConf.merge(config, defaults, config)  # type: ignore[return-value]


@cache
def _store_what_has_no_file() -> None:
    """The configs that are the same but for a name: of every network, and of every command but train."""
    store = ConfigStore.instance()
    for name, values in network_choices().items():
        store.store(group="model", name=name, node=values)
    for name, command in COMMANDS.items():
        own = ["train"] if command.trains else [{group: choice} for group, choice in command.groups.items()]
        if not (CONFIGS / f"{name}.yaml").is_file():
            store.store(name=name, node={"defaults": [*own, "_self_"]})


def checked(command: str, config: DictConfig) -> DictConfig:
    """``config``, composed or recorded, with interpolations resolved and every value converted to its type.

    Raises:
        UserError: for the first key, type or range that the schema does not take.
    """
    try:
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        above, dot, key = str(error.full_key).rpartition(".")
        raw: Any = OmegaConf.to_container(OmegaConf.select(config, above) if dot else config, resolve=False)
        raise UserError(f"{error.full_key}={raw.get(key)}: {first_line(error)}") from error
    plain = _renamed(plain)
    _refuse_targets(plain)
    plugins.require(plain)
    groups = [group for group in GROUPS if group in plain and group != "experiment"]
    result = _typed(COMMANDS[command].keys, {key: value for key, value in plain.items() if key not in groups}, "")
    for group in groups:
        result[group] = _typed_group(group, plain[group])
    return OmegaConf.create(result)


def _renamed(config: dict[str, Any]) -> dict[str, Any]:
    """A config recorded by an earlier version under today's keys; any other as it stands.

    ``accumulate`` cut a batch into parts, where ``accumulate_grad_batches`` adds batches up.

    Raises:
        UserError: for a batch that cannot be cut into equal parts.
    """
    if not isinstance(config.get("trainer"), dict) or not {"clip_norm", "accumulate"} <= config["trainer"].keys():
        return config
    trainer, data = dict(config["trainer"]), dict(config["data"])
    parts, batch = trainer.pop("accumulate"), data["batch_size"]
    trainer.pop("profile", None)
    if batch % parts:
        raise UserError(f"trainer.accumulate={parts}: data.batch_size={batch} has no {parts} equal parts")
    trainer |= {"gradient_clip_val": trainer.pop("clip_norm"), "accumulate_grad_batches": parts}
    return {**config, "trainer": trainer, "data": {**data, "batch_size": batch // parts}, "logger": {"tensorboard": {}}}


def _refuse_targets(values: Any, path: str = "") -> None:
    """Refuse Hydra's keys that would import or call something."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            if ONE_TARGET.fullmatch(str(key)):
                raise UserError(f"{path}{key}={value}: {targets()}")
            _refuse_targets(value, f"{path}{key}.")


def _typed_group(group: str, values: Any) -> dict[str, Any]:
    """The values of a group under the schema of its choice; of ``logger``, those of each logger."""
    if group == "logger":
        if not isinstance(values, dict):
            raise UserError(f"logger={values}: must be loggers with their keys, {{tensorboard: {{}}}} for instance")
        for name in values:
            if name not in LOGGERS:
                raise UserError(f"logger.{name}: no such logger{nearest(name, LOGGERS)} ({listed(group, LOGGERS)})")
        return {name: _typed(LOGGERS[name], part, f"logger.{name}.") for name, part in values.items()}
    ((path, schema, _),) = schemas_of(group, values)
    if schema is None:
        known, name = SCHEMAS[group], values.get("name") if isinstance(values, dict) else None
        raise UserError(f"{group}.name={name}: no such {group}{nearest(str(name), known)} ({listed(group, known)})")
    return _typed(schema, values, path)


def _typed(schema: type, values: Any, path: str) -> dict[str, Any]:
    """``values`` converted to the types of the dataclass ``schema``, once they satisfy its rules."""
    if not isinstance(values, dict):
        raise UserError(f"{path.rstrip('.')}={values}: must be a group of keys")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(schema), values)
        instance: Any = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        key, known = str(error.full_key or error.key), {item.name: item for item in fields(schema)}
        item = known.get(key.split("[")[0])
        if item is None:
            raise UserError(f"{path}{key}: no such key{nearest(key, known)}") from error
        wanted, found = expected(item) or "a word or null", values.get(item.name, "???")
        if found == "???":
            raise UserError(f"{path}{item.name}: missing; it must be {wanted}") from error
        raise UserError(f"{path}{item.name}={found}: must be {wanted}") from error
    for item in fields(schema):
        rule, found = item.metadata.get("rule"), getattr(instance, item.name)
        numbers = found if isinstance(found, list) else [found]
        finite = all(math.isfinite(n) for n in numbers if isinstance(n, float))
        if rule is not None and found is not None and not (finite and rule.check(found)):
            raise UserError(f"{path}{item.name}={found}: must be {rule.expected}")
    conflict = instance.conflict() if hasattr(instance, "conflict") else None  # between its values
    if conflict:
        raise UserError(conflict)
    return OmegaConf.to_container(merged)  # type: ignore[return-value]
