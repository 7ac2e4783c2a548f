"""Composes a checked config from the words of a command line, or says in one line what is wrong with them.

Hydra composes the config. The words are checked before, the result after: before, so that an unknown key or
choice is answered with the nearest valid name (:mod:`repronet.config.overrides`); after, so that every value has the
type and range that its schema demands (:func:`checked`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir, initialize_config_module
from hydra._internal.hydra import Hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from repronet.config import plugins
from repronet.config.fields import NO_TARGETS, ONE_TARGET, defaults_of, expected
from repronet.config.groups import CONFIGS, GROUPS, looking_in, own_config, own_folder
from repronet.config.hydra_words import check_node
from repronet.config.overrides import (
    as_quoted,
    as_word,
    bracketed,
    check_choice,
    check_effect,
    check_key,
    expand,
    is_beside,
    is_path,
    listed,
    parse,
    path_of,
    with_logger_added,
)
from repronet.config.schema import COMMANDS, LOGGERS, LOSSES, SCHEMAS, network_choice, schemas_of
from repronet.config.schema_sweep import BESIDE
from repronet.data.augmentation_ops import OPERATIONS
from repronet.errors import UserError, first_line, nearest
from repronet.models import MODELS
from repronet.models.foreign import is_foreign, require
from repronet.reproduction.budget import scaled

__all__ = ["checked", "compose", "compose_with_launcher", "expand", "parse"]


OURS = "pkg://repronet.configs"


def compose(command: str, overrides: Sequence[str], config_dir: Path | None = None) -> DictConfig:
    """The checked config of ``command`` under Hydra ``overrides`` without sweeps.

    Args:
        command: a key of :data:`repronet.config.schema.COMMANDS`, ``train`` for instance.
        config_dir: a folder with the user's own files, found beside ours, for instance ``DIR/experiment/mine.yaml``;
            default: that of :func:`repronet.config.groups.looking_in`.
    """
    for word in overrides:
        if is_beside(word):
            wanted = (
                "add -m for that" if command == "train" else f"repronet {COMMANDS[command].words} has no use for it"
            )
            raise UserError(f"{word}: is for several runs; {wanted}")
    with looking_in(config_dir or own_folder(), own_config()):
        config = compose_with_launcher(command, overrides)
    for group in BESIDE:
        config.pop(group, None)
    return config


def compose_with_launcher(command: str, overrides: Sequence[str]) -> DictConfig:
    """The config of :func:`compose` with the groups that are not part of a run: ``launcher`` and ``search``."""
    row, asked = COMMANDS[command], _asked(command, overrides)
    base = _composed(command, asked.picks)
    for key, word in asked.keys:
        check_key(key, word, base, command)
    # ++ sets a key whether or not a file has it: keys at their defaults are only in the schema.
    config = _composed(command, [*asked.picks, *(f"++{word}" for word in asked.values)], asked.removed)
    for key, path in asked.paths.items():
        OmegaConf.update(config, key, path)
    if row.trains and not _complete(config, asked.experiment):
        return compose_with_launcher(command, overrides)
    config = _fitted(checked(command, config))
    if not row.trains or config.budget == "paper":
        return config
    for word in asked.values:
        if word.startswith("trainer.max_epochs="):
            raise UserError(f"{word}: budget={config.budget} says how many epochs there are; give one of the two")
    plain: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    return OmegaConf.create(scaled(plain, asked.experiment))


@cache
def untouched() -> DictConfig:
    """The config that Hydra composes without any words or user files."""
    _store_what_has_no_file()
    with initialize_config_module("repronet.configs", version_base="1.3"):
        return hydra_compose("train", return_hydra_config=True)


def hydra_config(command: str, overrides: Sequence[str], hydra: Sequence[str] = ()) -> DictConfig:
    """The config that Hydra composes, with its own under ``hydra`` and without the defaults of our schemas.

    Args:
        hydra: Hydra's own settings, as :func:`repronet.config.hydra_words.sorted_out` lets them through.
    """
    try:
        with composing(command, overrides, hydra) as (itself, name, words):
            return itself.compose_config(name, words, RunMode.RUN)
    except HydraException as error:
        raise UserError(first_line(error)) from error


@contextmanager
def composing(command: str, overrides: Sequence[str], hydra: Sequence[str]) -> Iterator[tuple[Hydra, str, list[str]]]:
    """Hydra, the name of the primary config, and the words in Hydra's grammar that compose a command's config."""
    asked = _asked(command, overrides)
    paths = (f"++{key}={as_quoted(path)}" for key, path in asked.paths.items())
    values = [*(f"++{word}" for word in asked.values), *paths]
    with _initialized():
        found = GlobalHydra.instance().hydra
        assert found is not None
        if asked.removed:  # Hydra can only remove keys that files set
            said = found.compose_config(_primary(command), asked.picks, RunMode.RUN)
            values += [f"~{key}" for key in asked.removed if OmegaConf.select(said, key) is not None]
        yield found, _primary(command), [*asked.picks, *values, *hydra]


class _Asked(NamedTuple):
    """The requests in the words of a command line."""

    picks: list[str]  # choices of groups, as Hydra takes them
    experiment: Any
    keys: list[tuple[str, str]]  # every key with its word
    values: list[str]
    paths: dict[str, str | None]
    removed: list[str]  # keys that go back to their defaults


def _asked(command: str, overrides: Sequence[str]) -> _Asked:
    row = COMMANDS[command]
    if row.takes_words:
        overrides = [word for word in overrides if "=" in word]
    overrides = with_logger_added(overrides, row.groups.get("logger"))
    paths = dict(map(path_of, filter(is_path, overrides)))
    words = [bracketed(word) for word in overrides if not is_path(word)]
    parsed = parse(words, row.example)
    for override in parsed:
        check_choice(command, override)
    check_effect(command, words)
    chosen: dict[str, Any] = {}  # the last word of a group counts; ~augmentation chooses none
    for override in parsed:
        if (group := override.key_or_group) in GROUPS:
            none = None if group == "experiment" else "none"
            chosen[group] = none if override.is_delete() else override.value()
    # An experiment of null is the default; Hydra has no word for choosing it.
    picks = [f"{group}={as_word(choice)}" for group, choice in chosen.items() if choice is not None]
    if (folder := own_folder()) is not None:
        other = OURS if own_config() else f"file://{folder.resolve()}"
        picks.insert(0, f"hydra.searchpath=[{as_quoted(other)}]")
    own = [(word, o) for word, o in zip(words, parsed, strict=True) if o.key_or_group not in GROUPS]
    keys = [
        *((o.key_or_group, str(o.input_line)) for o in parsed),
        *((key, f"{key}={path}") for key, path in paths.items()),
    ]
    values = [word for word, o in own if not o.is_delete()]
    removed = [o.key_or_group for _, o in own if o.is_delete()]
    return _Asked(picks, chosen.get("experiment"), keys, values, paths, removed)


def _initialized() -> AbstractContextManager[None]:
    """Initialize Hydra with our configs, or the user's if the primary one is there, as Hydra does not search for it."""
    _store_what_has_no_file()
    for group, name, values in plugins.choices():
        ConfigStore.instance().store(group=group, name=name, node=values)
    folder = own_folder()
    if own_config() is not None and folder is not None:
        return initialize_config_dir(str(folder.resolve()), version_base="1.3")
    return initialize_config_module("repronet.configs", version_base="1.3")


def _primary(command: str) -> str:
    """The name of the primary config: that of ``--config-name``, or else the command's."""
    return (own_config() if COMMANDS[command].trains else None) or command


def _complete(config: DictConfig, experiment: Any) -> bool:
    """Add a run's experiment and plugins to its config; False if more plugins were loaded: compose it again."""
    if isinstance(config._get_node("experiment", validate_access=False), DictConfig):
        raise UserError(f"experiment={experiment}: its file must begin with the line '# @package _global_'")
    OmegaConf.update(config, "experiment", experiment, force_add=True)
    plain: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    tables = {**SCHEMAS, "loss": LOSSES, "callback": plugins.named("callback"), "augmentation_step": OPERATIONS}
    if any(name not in tables[kind] for kind, name in plugins.chosen(plain)) and plugins.load_installed():
        return False
    config.plugins = plugins.needed(plain)
    return True


NOT_FITTED: dict[str, tuple[Any, ...]] = {  # keys without effect on a fitted pipeline, and their allowed values
    **{"weights": (None,), "trainer.devices": (1,), "trainer.precision": ("32-true",), "dropout": (None,)},
    **{"label_smoothing": (0.0,), "data.balance": ("none", "gan")},
}


def _fitted(config: DictConfig) -> DictConfig:
    """Adapt the config of a fitted pipeline: one epoch of one step for each C, on unaugmented images."""
    costs = OmegaConf.select(config, "model.costs")
    if costs is None or "trainer" not in config:
        return config
    for key, possible in NOT_FITTED.items():
        if (found := OmegaConf.select(config, key)) not in possible:
            raise UserError(f"{key}={found}: model={config.model.name} is fitted, not trained by steps; leave it out")
    trainer = {"max_epochs": len(costs), "limit_train_batches": 1, "num_sanity_val_steps": 0, "compile": False}
    config = OmegaConf.merge(config, {"trainer": trainer})  # type: ignore[assignment]
    given = {key: config.augmentation.get(key) for key in ("generator", "generated")}
    config.augmentation = typed_group("augmentation", {"name": "none", **given})
    config.averaging = typed_group("averaging", {"name": "none"})
    return config


def _composed(command: str, overrides: Sequence[str], removed: Sequence[str] = ()) -> DictConfig:
    """The config that Hydra composes, with schema defaults for keys that no file sets or that are ``removed``."""
    try:
        with _initialized():
            config = hydra_compose(_primary(command), list(overrides), return_hydra_config=own_folder() is not None)
        if own_folder() is not None:
            check_node(config, untouched())
    except MissingConfigException as error:  # a file may choose another library's network, or a plugin's part
        group, _, name = str(error.missing_cfg_file).partition("/")
        if group == "model" and is_foreign(name):  # too many to store all in advance
            require(name)
            library, _, short = name.partition("/")
            store = ConfigStore.instance()
            store.store(group=f"model/{library}", name=short, node=network_choice(name), package="model")
        elif not plugins.load_installed():
            raise UserError(first_line(error)) from error
        return _composed(command, overrides, removed)
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(first_line(error)) from error
    OmegaConf.set_struct(config, False)
    for group in {"hydra", *GROUPS} - set(COMMANDS[command].groups):
        config.pop(group, None)
    for key in removed:
        above, dot, leaf = key.rpartition(".")
        OmegaConf.select(config, above).pop(leaf, None) if dot else config.pop(leaf, None)
    defaults = OmegaConf.create(defaults_of(COMMANDS[command].keys))
    for group in COMMANDS[command].groups:
        found = config._get_node(group, validate_access=False)
        for path, schema in schemas_of(group, found if isinstance(found, DictConfig) else None).items():
            if schema is not None:
                OmegaConf.update(defaults, path.rstrip("."), defaults_of(schema))
    return OmegaConf.merge(config, defaults, config)  # type: ignore[return-value]


@cache
def _store_what_has_no_file() -> None:
    """Store the configs that have no file: one for each network, and one for each command without a file."""
    store = ConfigStore.instance()
    for name in MODELS:
        store.store(group="model", name=name, node=network_choice(name))
    for name, command in COMMANDS.items():
        own: list[Any] = [{group: choice} for group, choice in command.groups.items()]
        if "data" in command.groups:  # data files choose in other groups too
            own = ["train"] if command.trains else ["train", {"override /data": command.groups["data"]}]
        if not (CONFIGS / f"{name}.yaml").is_file():
            store.store(name=name, node={"defaults": [*own, "_self_"]})


def checked(command: str, config: DictConfig) -> DictConfig:
    """Check a composed or recorded config: resolve interpolations and convert every value to its type."""
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
        result[group] = typed_group(group, plain[group])
    return OmegaConf.create(result)


def _renamed(config: dict[str, Any]) -> dict[str, Any]:
    """Translate a config recorded by an earlier version to today's keys; any other stays unchanged.

    The old key ``accumulate`` split a batch into parts; ``accumulate_grad_batches`` adds up several batches.
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
                raise UserError(f"{path}{key}={value}: {NO_TARGETS}")
            _refuse_targets(value, f"{path}{key}.")


def typed_group(group: str, values: Any) -> dict[str, Any]:
    """Check the values of a group by the schema of its choice; those of ``logger``, logger by logger."""
    if group == "logger":
        if not isinstance(values, dict):
            raise UserError(f"logger={values}: must be loggers with their keys, {{tensorboard: {{}}}} for instance")
        for name in values:
            if name not in LOGGERS:
                raise UserError(f"logger.{name}: no such logger{nearest(name, LOGGERS)} ({listed(group, LOGGERS)})")
        return {name: _typed(LOGGERS[name], part, f"logger.{name}.") for name, part in values.items()}
    ((path, schema),) = schemas_of(group, values).items()
    if schema is None:
        known, name = SCHEMAS[group], values.get("name") if isinstance(values, dict) else None
        raise UserError(f"{group}.name={name}: no such {group}{nearest(str(name), known)} ({listed(group, known)})")
    return _typed(schema, values, path)


def _typed(schema: type, values: Any, path: str) -> dict[str, Any]:
    """Convert ``values`` to the types of the dataclass ``schema`` and check its rules."""
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
