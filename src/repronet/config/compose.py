"""From the words of a command line to a checked config, or to one line that says what is wrong with them.

Hydra composes the config. What it is asked to compose is looked at before and after: before, so that an unknown key or
choice is answered with the nearest valid name (:mod:`repronet.config.overrides`); after, so that every value has the
type and range that its schema demands (:mod:`repronet.config.checking`).
"""

from __future__ import annotations

from collections.abc import Sequence
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
from repronet.config.checking import checked, with_defaults
from repronet.config.groups import CONFIGS, GROUPS
from repronet.config.overrides import as_word, bracketed, check_choice, check_key, expand, is_path, parse, path_of
from repronet.config.schema import COMMANDS, LOSSES, SCHEMAS, network_choices
from repronet.data.augmentation_ops import OPERATIONS
from repronet.errors import UserError, first_line
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
    paths = dict(map(path_of, filter(is_path, overrides)))
    words = [bracketed(word) for word in overrides if not is_path(word)]
    parsed = parse(words, COMMANDS[command].example)
    for override in parsed:
        check_choice(command, override, config_dir)
    search_path = [_search_path(config_dir)] if config_dir else []
    picked = {o.key_or_group: o.value() for o in parsed if o.key_or_group in GROUPS}  # the last word of each group
    # An experiment of null is the default; Hydra has no word for choosing it.
    picks = [f"{group}={as_word(choice)}" for group, choice in picked.items() if choice is not None]
    base = with_defaults(command, _hydra(command, [*search_path, *picks]))
    for override in parsed:
        check_key(override.key_or_group, str(override.input_line), base)
    for key in paths:
        check_key(key, f"{key}={paths[key]}", base)
    values = [word for word, o in zip(words, parsed, strict=True) if o.key_or_group not in GROUPS]
    # ++ sets a key whether or not a file has it: those at their defaults stand in the schema alone.
    config = with_defaults(command, _hydra(command, [*search_path, *picks, *(f"++{word}" for word in values)]))
    for key, path in paths.items():
        OmegaConf.update(config, key, path)
    if COMMANDS[command].trains:
        _name_experiment(config, picked.get("experiment"))
        plain: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
        if not _known(plain) and plugins.load_installed():
            return compose(command, overrides, config_dir)
        config.plugins = plugins.needed(plain)
    return _within_budget(checked(command, config), picked.get("experiment"), values)


def _known(config: dict[str, Any]) -> bool:
    """Whether every part that a config names, and that a plugin may have, is there."""
    tables = {**SCHEMAS, "loss": LOSSES, "callback": plugins.named("callback"), "augmentation_step": OPERATIONS}
    return all(name in tables[kind] for kind, name in plugins.chosen(config))


def _within_budget(config: DictConfig, experiment: Any, values: Sequence[str]) -> DictConfig:
    """The config with the length that its ``budget`` pays for, where it is one of a run."""
    if "trainer" not in config or config.budget == "paper":
        return config
    for word in values:
        if word.startswith("trainer.max_epochs="):
            raise UserError(f"{word}: budget={config.budget} says how many epochs there are; give one of the two")
    plain: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    return OmegaConf.create(scaled(plain, experiment))


def _search_path(folder: Path) -> str:
    quoted = str(folder.resolve()).replace("\\", "\\\\").replace("'", "\\'")
    return f"hydra.searchpath=['file://{quoted}']"


def _name_experiment(config: DictConfig, name: Any) -> None:
    """Note the experiment's name, which Hydra has used up, in the config."""
    if isinstance(config._get_node("experiment", validate_access=False), DictConfig):
        raise UserError(f"experiment={name}: its file must begin with the line '# @package _global_'")
    OmegaConf.update(config, "experiment", name, force_add=True)


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


def _hydra(command: str, overrides: Sequence[str]) -> DictConfig:
    _store_what_has_no_file()
    for group, name, values in plugins.choices():
        ConfigStore.instance().store(group=group, name=name, node=values)
    try:
        with initialize_config_module("repronet.configs", version_base="1.3"):
            return hydra_compose(command, list(overrides))
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as error:
        if isinstance(error, HydraException) and plugins.load_installed():
            return _hydra(command, overrides)  # a file may choose what an installed plugin has
        raise UserError(first_line(error)) from error
