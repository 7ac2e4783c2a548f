"""From a composed or recorded config to one whose every value has the type and the range that its schema demands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from repronet.config import plugins, schema
from repronet.config.fields import ONE_TARGET, defaults_of, targets
from repronet.config.groups import GROUPS
from repronet.config.overrides import listed
from repronet.config.schema import COMMANDS
from repronet.errors import UserError, first_line, nearest


def with_defaults(command: str, config: DictConfig) -> DictConfig:
    """``config`` with the defaults of the schemas where it says nothing."""
    found = OmegaConf.create(defaults_of(COMMANDS[command].keys))
    for group in COMMANDS[command].groups:
        values = config._get_node(group, validate_access=False)
        for path, part, _ in schema.schemas_of(group, values if isinstance(values, DictConfig) else None):
            if part is not None:
                OmegaConf.update(found, path.rstrip("."), defaults_of(part))
    OmegaConf.set_struct(config, False)
    return OmegaConf.merge(config, found, config)  # type: ignore[return-value]


def checked(command: str, config: DictConfig) -> DictConfig:
    """``config`` with its interpolations resolved and every value converted to its type.

    Raises:
        UserError: for the first key, type or range that the schema does not take.
    """
    try:
        plain: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}={_raw(config, error)}: {first_line(error)}") from error
    plain = _renamed(plain)
    _refuse_targets(plain)
    plugins.require(plain)
    groups = [group for group in GROUPS if group in plain and group != "experiment"]
    result = _typed(COMMANDS[command].keys, {key: value for key, value in plain.items() if key not in groups}, "")
    for group in groups:
        result[group] = _typed_group(group, plain[group])
    return OmegaConf.create(result)


def _raw(config: DictConfig, error: OmegaConfBaseException) -> Any:
    parent = OmegaConf.select(config, str(error.full_key).rpartition(".")[0]) if "." in str(error.full_key) else config
    return OmegaConf.to_container(parent, resolve=False).get(str(error.key))  # type: ignore[union-attr]


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
        raise UserError(f"logger.{found}: no such logger{nearest(found, known)} ({listed(group, known)})")
    known, found = schema.SCHEMAS[group], values.get("name") if isinstance(values, dict) else None
    raise UserError(f"{group}.name={found}: no such {group}{nearest(str(found), known)} ({listed(group, known)})")


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
