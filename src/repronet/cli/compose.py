"""From the words of a command line to a checked config, or to one line that says what is wrong with them.

Hydra composes the config. What it is asked to compose is looked at before and after: before, so that an unknown key or
choice is answered with the nearest valid name; after, so that every value has the type and range that
:mod:`repronet.cli.schema` demands. ``hydra.*`` keys are refused, because Hydra would instantiate some of them.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from repronet.cli import schema
from repronet.cli.groups import GROUPS, choices
from repronet.errors import UserError


def compose(command: str, overrides: Sequence[str], config_dir: Path | None = None) -> DictConfig:
    """The checked config of ``command`` under Hydra ``overrides`` without sweeps.

    Args:
        command: the name of a top-level file in configs/, ``train`` for instance.
        overrides: ``key=value`` words; groups by name, values by dotted key.
        config_dir: a folder of the user's whose files are found beside ours, for instance ``DIR/experiment/mine.yaml``.

    Raises:
        UserError: for anything that Hydra or the schema would not take.
    """
    parsed = parse(overrides)
    search_path = [f"hydra.searchpath=[file://{config_dir.resolve()}]"] if config_dir else []
    for override in parsed:
        _check_choice(override, config_dir)
    words = list(zip(overrides, parsed, strict=True))
    picks = [word for word, o in words if o.key_or_group in GROUPS and o.value() is not None]
    values = [word for word, o in words if o.key_or_group not in GROUPS]
    base = _hydra(command, [*search_path, *picks])
    for override in parsed:
        _check_key(override, base)
    config = _hydra(command, [*search_path, *picks, *values])
    if command == "train":
        with open_dict(config):
            config.experiment = next((o.value() for o in parsed if o.key_or_group == "experiment"), None)
    return checked(command, config)


def parse(overrides: Sequence[str]) -> list[Override]:
    """Hydra's reading of each word.

    Raises:
        UserError: for a word that is no override, or one that reaches into Hydra itself.
    """
    parser = OverridesParser.create()
    parsed = []
    for word in overrides:
        try:
            override = parser.parse_override(word)
        except (OverrideParseException, HydraException) as error:
            raise UserError(f"{word}: not an override; write key=value, for example optimizer.lr=0.05") from error
        if override.key_or_group.split(".")[0].split("/")[0] == "hydra":
            raise UserError(f"{word}: Hydra's own settings are not open; repronet sets them itself")
        if override.package is not None:
            raise UserError(f"{word}: a package (@) has no use here; write {override.key_or_group}=…")
        parsed.append(override)
    return parsed


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """The jobs of a multirun: the product of every sweep, ``seed=0,1`` or ``seed=range(3)`` or ``model=glob(*)``."""
    options = []
    for word, override in zip(overrides, parse(overrides), strict=True):
        if not override.is_sweep_override():
            options.append([word])
        elif not override.is_discrete_sweep():
            raise UserError(f"{word}: an interval cannot be run through; list values, or use range(start, stop, step)")
        else:
            key = override.get_key_element()
            options.append([f"{key}={one}" for one in _sweep_values(override)])
    return [list(job) for job in itertools.product(*options)]


def _sweep_values(override: Override) -> Iterable[str]:
    if override.value_type is not None and override.value_type.name == "GLOB_CHOICE_SWEEP":
        return override.value().filter(list(choices(override.key_or_group)))  # type: ignore[union-attr]
    return override.sweep_string_iterator()


def _check_choice(override: Override, config_dir: Path | None) -> None:
    group, word = override.key_or_group, override.input_line
    if override.is_sweep_override():
        raise UserError(f"{word}: several values make several runs; add -m for that")
    if group not in GROUPS:
        return
    if override.is_delete() or override.is_add():
        raise UserError(f"{word}: a group is chosen with {group}=…, never added or removed")
    available, wanted = choices(group, config_dir), override.value()
    if wanted is None and group == "experiment":
        return
    if not isinstance(wanted, str) or wanted not in available:
        raise UserError(f"{word}: no such {group}{nearest(str(wanted), available)} (choices: {', '.join(available)})")


def _check_key(override: Override, base: DictConfig) -> None:
    key, word = override.key_or_group, override.input_line
    if key in GROUPS:
        return
    if override.is_delete():
        raise UserError(f"{word}: a key cannot be removed; every key has its use")
    known = list(_leaves(base))
    if key not in known:
        raise UserError(f"{word}: no such key{nearest(key, known)}")


def _leaves(config: DictConfig, path: str = "") -> Iterable[str]:
    for key in config:
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none():
            yield from _leaves(node, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def nearest(word: str, valid: Iterable[str]) -> str:
    """``; nearest: X``, or nothing when nothing is near. A dotted key may be near by its last part alone."""
    valid = list(valid)
    tails = {key.rsplit(".", 1)[-1]: key for key in valid}
    tail = word.rsplit(".", 1)[-1]
    near = [tails[tail]] if tail in tails else difflib.get_close_matches(word, valid, n=1, cutoff=0.5)
    near = near or [tails[t] for t in difflib.get_close_matches(tail, tails, n=1, cutoff=0.5)]
    return f"; nearest: {near[0]}" if near else ""


def _hydra(command: str, overrides: Sequence[str]) -> DictConfig:
    try:
        with initialize_config_module("repronet.configs", version_base="1.3"):
            return hydra_compose(command, list(overrides))
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_first_line(error)) from error


def checked(command: str, config: DictConfig) -> DictConfig:
    """``config`` with every value converted to its type; interpolations resolved.

    Raises:
        UserError: for the first key, type or range that the schema does not take.
    """
    top = {"train": schema.Train, "eval": schema.Eval}[command]
    groups = [group for group in GROUPS if group in config and group != "experiment"]
    plain = OmegaConf.create({key: node for key, node in config.items_ex(resolve=False) if key not in groups})
    result = OmegaConf.create(_typed(top, plain, ""))
    for group in groups:
        result[group] = _typed(_schema_of(group, config[group]), config[group], f"{group}.")
    return result


def _schema_of(group: str, node: Any) -> type:
    if group == "trainer":
        return schema.Trainer
    table = schema.SCHEMAS[group]
    name = node.get("name") if isinstance(node, DictConfig) else None
    if name not in table:
        raise UserError(
            f"{group}.name={name}: no such {group}{nearest(str(name), table)} (choices: {', '.join(table)})"
        )
    return table[name]


def _typed(cls: type, node: DictConfig, path: str) -> dict[str, Any]:
    try:
        merged = OmegaConf.merge(OmegaConf.structured(cls), node)
        instance = OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        raise UserError(_explain(error, cls, node, path)) from error
    schema.check_rules(instance, path)
    return OmegaConf.to_container(merged, resolve=True, enum_to_str=True)  # type: ignore[return-value]


def _explain(error: OmegaConfBaseException, cls: type, node: DictConfig, path: str) -> str:
    key = str(error.full_key or error.key)
    item = cls.__dataclass_fields__.get(key.split("[")[0])  # type: ignore[attr-defined]
    if item is None:
        return f"{path}{key}: no such key{nearest(key, cls.__dataclass_fields__)}"  # type: ignore[attr-defined]
    rule = item.metadata.get("rule")
    wanted = rule.wanted if rule else {"bool": "true or false", "str": "a word"}.get(item.type, "a word or null")
    found = OmegaConf.to_container(node, resolve=False).get(item.name, "???")  # type: ignore[union-attr]
    if found == "???":
        return f"{path}{item.name}: missing; it must be {wanted}"
    return f"{path}{item.name}={found}: must be {wanted}"


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
