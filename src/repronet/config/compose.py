"""From the words of a command line to a checked config, or to one line that says what is wrong with them.

Hydra composes the config. What it is asked to compose is looked at before and after: before, so that an unknown key or
choice is answered with the nearest valid name; after, so that every value has the type and range that
:mod:`repronet.config.schema` demands. ``hydra.*`` keys are refused, because Hydra would instantiate some of them. Paths
are taken as they stand, so that a folder may have any name; everything else is in Hydra's grammar.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from repronet.config import schema, schema_commands
from repronet.config.groups import GROUPS, choices
from repronet.config.schema_trainer import RENAMED
from repronet.errors import UserError, nearest
from repronet.reproduction.budget import scaled

_EXAMPLES = {
    "eval": "checkpoint=last",
    "summary": "model=lenet5",
    "verify": "model=resnet50",
    "gradcheck": "layer=conv2d",
    "bench": "filters=64",
    "augment": "augmentation=lecture",
    "check": "data.root=photos",
    "find_rate": "optimizer=adam",
    "compare": "weights=IMAGENET1K_V1",
    "predict": "protocol=ten_crop",
    "export": "to=onnx",
    "visualize": "what=filters",
    "report": "out=report.html",
    "reproduce": "seeds=3",
}
# Commands whose config has another name than what is typed.
_SPOKEN = {
    "preview": "schedule",
    "find_rate": "find-rate",
    "compare": "finetune compare",
    "check": "data check",
    "bench": "bench conv",
}
PATH_KEYS = ("run", "run_dir", "data.root", "data_root", "out", "logdir", "weights", "images", "sheet", "results")


def compose(command: str, overrides: Sequence[str], config_dir: Path | None = None) -> DictConfig:
    """The checked config of ``command`` under Hydra ``overrides`` without sweeps.

    Args:
        command: the name of a top-level file in configs/, ``train`` for instance.
        overrides: ``key=value`` words; groups by name, values by dotted key.
        config_dir: a folder of the user's whose files are found beside ours, for instance ``DIR/experiment/mine.yaml``.

    Raises:
        UserError: for anything that Hydra or the schema would not take.
    """
    paths = dict(map(_path, filter(_is_path, overrides)))
    words = [_bracketed(word) for word in overrides if not _is_path(word)]
    parsed = parse(words, _EXAMPLES.get(command, "optimizer.lr=0.05"))
    for override in parsed:
        _check_choice(command, override, config_dir)
    search_path = [_search_path(config_dir)] if config_dir else []
    picked = {o.key_or_group: o.value() for o in parsed if o.key_or_group in GROUPS}  # the last word of each group
    # An experiment of null is the default; Hydra has no word for choosing it.
    picks = [f"{group}={_as_word(choice)}" for group, choice in picked.items() if choice is not None]
    base = with_defaults(command, _hydra(command, [*search_path, *picks]))
    for override in parsed:
        _check_key(override.key_or_group, str(override.input_line), base)
    for key in paths:
        _check_key(key, f"{key}={paths[key]}", base)
    values = [word for word, o in zip(words, parsed, strict=True) if o.key_or_group not in GROUPS]
    # ++ sets a key whether or not a file has it already: those at their defaults stand in the schema alone.
    config = with_defaults(command, _hydra(command, [*search_path, *picks, *(f"++{word}" for word in values)]))
    for key, path in paths.items():
        OmegaConf.update(config, key, path)
    if command == "train":
        _name_experiment(config, picked.get("experiment"))
    return _within_budget(checked(command, config), picked.get("experiment"), values)


def _as_word(choice: Any) -> str:
    return f"[{','.join(choice)}]" if isinstance(choice, list) else str(choice)


def with_defaults(command: str, config: DictConfig) -> DictConfig:
    """``config`` with the defaults of the schemas where it says nothing."""
    found = OmegaConf.create(schema.defaults_of(schema_commands.COMMANDS[command]))
    for group in schema_commands.GROUPS_OF[command]:
        values = config._get_node(group, validate_access=False)
        for path, part, _ in schema.schemas_of(group, values if isinstance(values, DictConfig) else None):
            if part is not None:
                OmegaConf.update(found, path.rstrip("."), schema.defaults_of(part))
    OmegaConf.set_struct(config, False)
    return OmegaConf.merge(config, found, config)  # type: ignore[return-value]


def _within_budget(config: DictConfig, experiment: Any, values: Sequence[str]) -> DictConfig:
    """The config with the length that its ``budget`` pays for, where it is one of a run."""
    if "trainer" not in config or config.budget == "paper":
        return config
    for word in values:
        if word.startswith("trainer.max_epochs="):
            raise UserError(f"{word}: budget={config.budget} says how many epochs there are; give one of the two")
    plain: dict[str, Any] = OmegaConf.to_container(config)  # type: ignore[assignment]
    return OmegaConf.create(scaled(plain, experiment))


def _is_path(word: str) -> bool:
    return word.partition("=")[0] in PATH_KEYS and "=" in word


def _path(word: str) -> tuple[str, str | None]:
    """Key and value of a path word; ``null`` is None."""
    key, _, value = word.partition("=")
    if "${" in value:
        raise UserError(f"{word}: a path is taken as it stands; ${{…}} has no meaning in it")
    return key, None if value == "null" else value


def _bracketed(word: str) -> str:
    """``input=3,224,224`` and ``what=filters`` as the lists that are meant; Hydra would read several runs."""
    return re.sub(r"^(input|seeds)=(\d+(?:,\d+)+)$|^(what|ways)=([a-z_,]+)$", r"\1\3=[\2\4]", word)


def _search_path(folder: Path) -> str:
    quoted = str(folder.resolve()).replace("\\", "\\\\").replace("'", "\\'")
    return f"hydra.searchpath=['file://{quoted}']"


def _name_experiment(config: DictConfig, name: Any) -> None:
    """Note the experiment's name, which Hydra has used up, in the config."""
    if isinstance(config._get_node("experiment", validate_access=False), DictConfig):
        raise UserError(f"experiment={name}: its file must begin with the line '# @package _global_'")
    OmegaConf.update(config, "experiment", name, force_add=True)


def parse(overrides: Sequence[str], example: str = "optimizer.lr=0.05") -> list[Override]:
    """Hydra's reading of each word.

    Args:
        example: what to write instead of a word that is no override, if nothing is nearer.

    Raises:
        UserError: for a word that is no override, or one that reaches into Hydra itself.
    """
    parser = OverridesParser.create()
    parsed = []
    for word in overrides:
        try:
            override = parser.parse_override(word)
        except (OverrideParseException, HydraException) as error:
            raise UserError(
                f"{word}: not an override; write key=value, for example {_as_override(word) or example}"
            ) from error
        if override.key_or_group.split(".")[0].split("/")[0] == "hydra":
            raise UserError(f"{word}: Hydra's own settings are not open; repronet sets them itself")
        if override.package is not None:
            raise UserError(f"{word}: a package (@) has no use here; write {override.key_or_group}=…")
        parsed.append(override)
    return parsed


def _as_override(word: str) -> str | None:
    """The word with the group that it is a choice of, if there is one."""
    group = next((group for group in GROUPS if word in choices(group)), None)
    return f"{group}={word}" if group else None


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """The jobs of a multirun: the product of every sweep, ``seed=0,1`` or ``seed=range(3)`` or ``model=glob(*)``.

    Raises:
        UserError: for a sweep without values.
    """
    options = [[word] if _is_path(word) else _swept(word, *parse([word])) for word in overrides]
    return [list(job) for job in itertools.product(*options)]


def _swept(word: str, override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [word]
    if not override.is_discrete_sweep():
        raise UserError(f"{word}: an interval cannot be run through; list values, or use range(start, stop, step)")
    try:
        values = list(_sweep_values(override))
    except (ValueError, HydraException) as error:
        raise UserError(f"{word}: {_first_line(error)}") from error
    if not values:
        raise UserError(f"{word}: stands for no value, so there is nothing to run")
    return [f"{override.get_key_element()}={value}" for value in values]


def _sweep_values(override: Override) -> Iterable[str]:
    if override.value_type is not None and override.value_type.name == "GLOB_CHOICE_SWEEP":
        return override.value().filter(list(choices(override.key_or_group)))  # type: ignore[union-attr]
    return override.sweep_string_iterator()


def _check_choice(command: str, override: Override, config_dir: Path | None) -> None:
    group, word = override.key_or_group, override.input_line
    if override.is_sweep_override():
        wanted = "add -m for that" if command == "train" else f"repronet {_spoken(command)} takes one value"
        raise UserError(f"{word}: several values make several runs; {wanted}")
    if override.is_delete():
        raise UserError(f"{word}: neither a group nor a key can be removed")
    if override.is_add() or override.is_force_add():
        raise UserError(f"{word}: nothing can be added; write {group}=…, without the +")
    if group not in GROUPS:
        return
    if group not in schema_commands.GROUPS_OF[command]:
        raise UserError(f"{word}: repronet {_spoken(command)} has no {group}=")
    available, wanted = choices(group, config_dir), override.value()
    if wanted is None and (group == "experiment" or command != "train"):
        return
    for name in _names(group, wanted):
        if not isinstance(name, str) or name not in available:
            raise UserError(f"{word}: no such {group}{nearest(str(name), available)} ({_listed(group, available)})")


def _names(group: str, wanted: Any) -> list[Any]:
    """The choices that a word makes: one, or several of the loggers."""
    if group != "logger" or not isinstance(wanted, list):
        return [wanted]
    if len(wanted) > 1 and "none" in wanted:
        raise UserError(f"logger={_as_word(wanted)}: none stands alone; leave it out")
    return wanted


def _spoken(command: str) -> str:
    return _SPOKEN.get(command, command)


def _listed(group: str, available: Iterable[str]) -> str:
    """All choices, or where they are listed if they are many."""
    names = list(available)
    return f"choices: {', '.join(names)}" if len(names) <= 20 else f"`repronet list {group}` names all {len(names)}"


def _check_key(key: str, word: str, base: DictConfig) -> None:
    if key in GROUPS:
        return
    group, _, leaf = key.partition(".")
    if group in GROUPS and leaf == "name":
        raise UserError(f"{word}: choose with {group}=… ({_listed(group, choices(group))})")
    if key in RENAMED:
        raise UserError(f"{word}: is called {RENAMED[key]} now")
    known = [leaf for leaf in _leaves(base) if not leaf.endswith(".name")]
    if key not in known:
        raise UserError(f"{word}: no such key{nearest(key, [*known, *GROUPS])}{_of_choice(group, base)}")


def _of_choice(group: str, base: DictConfig) -> str:
    """Whose keys were looked through, as the keys of a group depend on the choice in it."""
    name = OmegaConf.select(base, f"{group}.name") if group in GROUPS else None
    if group == "logger":
        name = _as_word([*base.logger]) if base.logger else "none"
    return f" (with {group}={name})" if name else ""


def _leaves(config: DictConfig, path: str = "") -> Iterable[str]:
    for key in config:
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none():
            yield from _leaves(node, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def _hydra(command: str, overrides: Sequence[str]) -> DictConfig:
    try:
        with initialize_config_module("repronet.configs", version_base="1.3"):
            return hydra_compose(command, list(overrides))
    except (HydraException, OmegaConfBaseException, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(_first_line(error)) from error


def checked(command: str, config: DictConfig) -> DictConfig:
    """``config`` with its interpolations resolved and every value converted to its type.

    Raises:
        UserError: for the first key, type or range that the schema does not take.
    """
    try:
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}={_raw(config, error)}: {_first_line(error)}") from error
    plain = _renamed(plain)
    groups = [group for group in GROUPS if group in plain and group != "experiment"]
    top = schema_commands.COMMANDS[command]
    result = _typed(top, {key: value for key, value in plain.items() if key not in groups}, "")
    for group in groups:
        result[group] = _typed_group(group, plain[group])
    return OmegaConf.create(result)


def _typed_group(group: str, values: Any) -> dict[str, Any]:
    parts = {}
    for path, part, found in schema.schemas_of(group, values):
        parts[path] = _typed(part or _no_schema(group, path, found), found, path)
    if group != "logger":
        return parts[f"{group}."]
    if not isinstance(values, dict):
        raise UserError(f"logger={values}: must be loggers with their keys, {{tensorboard: {{}}}} for instance")
    return {path.split(".")[1]: typed for path, typed in parts.items()}


def _no_schema(group: str, path: str, values: Any) -> NoReturn:
    """Refuse the name of a choice that is in no table.

    Raises:
        UserError: always.
    """
    if group == "logger":
        known, found = schema.LOGGERS, path.split(".")[1]
        raise UserError(f"logger.{found}: no such logger{nearest(found, known)} ({_listed(group, known)})")
    known, found = schema.SCHEMAS[group], values.get("name") if isinstance(values, dict) else None
    raise UserError(f"{group}.name={found}: no such {group}{nearest(str(found), known)} ({_listed(group, known)})")


def _renamed(config: dict[str, Any]) -> dict[str, Any]:
    """A config recorded by an earlier version under today's keys; any other as it stands.

    ``accumulate`` cut a batch into parts, where ``accumulate_grad_batches`` adds batches up.

    Raises:
        UserError: for an old key beside its new one, and for a batch that cannot be cut into equal parts.
    """
    trainer, data = dict(config.get("trainer") or {}), dict(config.get("data") or {})
    if not isinstance(config.get("trainer"), dict) or not {"clip_norm", "accumulate"} <= trainer.keys():
        return config
    parts, batch = trainer.pop("accumulate"), data["batch_size"]
    trainer.pop("profile", None)
    if batch % parts:
        raise UserError(f"trainer.accumulate={parts}: data.batch_size={batch} has no {parts} equal parts")
    trainer |= {"gradient_clip_val": trainer.pop("clip_norm"), "accumulate_grad_batches": parts}
    return {**config, "trainer": trainer, "data": {**data, "batch_size": batch // parts}, "logger": {"tensorboard": {}}}


def _raw(config: DictConfig, error: OmegaConfBaseException) -> Any:
    parent = OmegaConf.select(config, str(error.full_key).rpartition(".")[0]) if "." in str(error.full_key) else config
    return OmegaConf.to_container(parent, resolve=False).get(str(error.key))  # type: ignore[union-attr]


def _typed(cls: type, values: Any, path: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise UserError(f"{path.rstrip('.')}={values}: must be a group of keys")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(cls), values)
        instance = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise UserError(_explain(error, cls, values, path)) from error
    schema.check_rules(instance, path)
    return OmegaConf.to_container(merged)  # type: ignore[return-value]


def _explain(error: OmegaConfBaseException, cls: type, values: dict[str, Any], path: str) -> str:
    key, known = str(error.full_key or error.key), cls.__dataclass_fields__  # type: ignore[attr-defined]
    item = known.get(key.split("[")[0])
    if item is None:
        return f"{path}{key}: no such key{nearest(key, known)}"
    rule = item.metadata.get("rule")
    wanted = rule.expected if rule else {"bool": "true or false"}.get(item.type, "a word or null")
    found = values.get(item.name, "???")
    if found == "???":
        return f"{path}{item.name}: missing; it must be {wanted}"
    return f"{path}{item.name}={found}: must be {wanted}"


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
