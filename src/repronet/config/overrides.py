"""The words of a command line, in Hydra's grammar: how they are read, swept and checked against what there is.

Unknown keys and choices are answered with the nearest valid name. Paths are taken as they stand, so that a folder may
have any name. ``hydra.*`` keys are refused, because Hydra would instantiate some of them.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf

from repronet.config import plugins
from repronet.config.fields import ONE_TARGET, targets
from repronet.config.groups import GROUPS, choices
from repronet.config.schema import COMMANDS
from repronet.config.schema_trainer import RENAMED
from repronet.errors import UserError, first_line, nearest

PATH_KEYS = {"run", "run_dir", "data.root", "data_root", "out", "logdir", "weights", "images", "sheet"}
PATH_KEYS |= {"results", "aside"}


def is_path(word: str) -> bool:
    """Whether the value of a word is a path, which is no Hydra expression."""
    return word.partition("=")[0] in PATH_KEYS and "=" in word


def path_of(word: str) -> tuple[str, str | None]:
    """Key and value of a path word; ``null`` is None, and quotes around the whole value are Hydra's.

    Raises:
        UserError: for an interpolation.
    """
    key, _, value = word.partition("=")
    if "${" in value:
        raise UserError(f"{word}: a path is taken as it stands; ${{…}} has no meaning in it")
    quoted = re.fullmatch(r"(['\"])(.*)\1", value, re.DOTALL)
    if quoted:
        value = quoted[2].replace(f"\\{quoted[1]}", quoted[1])
    elif value == "null":
        return key, None
    if str(Path(value)).startswith("~") and os.path.expanduser(value) == value:  # noqa: PTH111  # pathlib's fails
        value = str(Path.cwd() / value)  # a name like any other: nobody has it as a home
    return key, value


def bracketed(word: str) -> str:
    """``input=3,224,224`` and ``what=filters`` as the lists that are meant; Hydra would read several runs."""
    return re.sub(r"^(input|seeds)=(\d+(?:,\d+)+)$|^(what|ways)=([a-z_,]+)$", r"\1\3=[\2\4]", word)


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
            group = next((group for group in GROUPS if word in choices(group)), None)
            near = f"{group}={word}" if group else example
            raise UserError(f"{word}: not an override; write key=value, for example {near}") from error
        if override.key_or_group.split(".")[0].split("/")[0] == "hydra":
            raise UserError(f"{word}: Hydra's own settings are not open; repronet sets them itself")
        if override.package is not None:
            raise UserError(f"{word}: a package (@) has no use here; write {override.key_or_group}=…")
        parsed.append(override)
    return parsed


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """The jobs of a multirun: the product of every sweep, ``seed=0,1`` or ``seed=range(3)`` or ``model=glob(*)``.

    Raises:
        UserError: for a sweep without values.
    """
    options = [[word] if is_path(word) else _swept(word, *parse([word])) for word in overrides]
    return [list(job) for job in itertools.product(*options)]


def _swept(word: str, override: Override) -> list[str]:
    if not override.is_sweep_override():
        return [word]
    if not override.is_discrete_sweep():
        raise UserError(f"{word}: an interval cannot be run through; list values, or use range(start, stop, step)")
    try:
        if override.value_type is not None and override.value_type.name == "GLOB_CHOICE_SWEEP":
            values = override.value().filter(list(choices(override.key_or_group)))  # type: ignore[union-attr]
        else:
            values = list(override.sweep_string_iterator())
    except (ValueError, HydraException) as error:
        raise UserError(f"{word}: {first_line(error)}") from error
    if not values:
        raise UserError(f"{word}: stands for no value, so there is nothing to run")
    return [f"{override.get_key_element()}={value}" for value in values]


# What has no effect beside model=, or without it.
_WITH_NETWORK = {
    "bench_conv": ("filters", "kernel", "stride", "padding", "dilation", "groups"),
    "gradcheck": ("details",),
}
_WITHOUT_NETWORK = {"gradcheck": ("batch",)}


def check_effect(command: str, words: Sequence[str]) -> None:
    """Refuse what would change nothing, since whoever wrote it expects that it does."""
    named = [word for word in words if word.startswith("model=")]
    idle = (_WITH_NETWORK if named else _WITHOUT_NETWORK).get(command, ())
    for word in words:
        if word.partition("=")[0] in idle:
            reason = f"beside {named[-1]}" if named else "without model="
            raise UserError(f"{word}: means nothing {reason}; leave it out")


def check_choice(command: str, override: Override, config_dir: Path | None) -> None:
    """Refuse a word that Hydra has no use for here, and a choice that its group has not.

    Raises:
        UserError: with the nearest choice.
    """
    group, word, spoken = override.key_or_group, override.input_line, f"repronet {COMMANDS[command].words}"
    if ONE_TARGET.search(str(word)):
        raise UserError(f"{word}: {targets()}")
    if override.is_sweep_override():
        wanted = "add -m for that" if command == "train" else f"{spoken} takes one value"
        raise UserError(f"{word}: several values make several runs; {wanted}")
    if override.is_delete():
        raise UserError(f"{word}: neither a group nor a key can be removed")
    if override.is_add() or override.is_force_add():
        raise UserError(f"{word}: nothing can be added; write {group}=…, without the +")
    if group not in GROUPS:
        return
    if group not in COMMANDS[command].groups:
        raise UserError(f"{word}: {spoken} has no {group}=")
    wanted = override.value()
    if wanted is None and (group == "experiment" or command != "train"):
        return
    names = wanted if group == "logger" and isinstance(wanted, list) else [wanted]  # there may be several loggers
    if len(names) > 1 and "none" in names:
        raise UserError(f"logger={as_word(names)}: none stands alone; leave it out")
    for name in names:
        available = choices(group, config_dir)
        if str(name) not in available and plugins.load_installed():
            available = choices(group, config_dir)
        if not isinstance(name, str) or name not in available:
            raise UserError(f"{word}: no such {group}{nearest(str(name), available)} ({listed(group, available)})")


def as_word(choice: Any) -> str:
    """A choice as it is typed."""
    return f"[{','.join(choice)}]" if isinstance(choice, list) else str(choice)


def listed(group: str, available: Iterable[str]) -> str:
    """All choices, or where they are listed if they are many."""
    names = list(available)
    return f"choices: {', '.join(names)}" if len(names) <= 20 else f"`repronet list {group}` names all {len(names)}"


def check_key(key: str, word: str, base: DictConfig) -> None:
    """Refuse a key that is not in the config of the choices made.

    Raises:
        UserError: with the nearest key.
    """
    if key in GROUPS:
        return
    group, _, leaf = key.partition(".")
    if group in GROUPS and leaf == "name":
        raise UserError(f"{word}: choose with {group}=… ({listed(group, choices(group))})")
    if key in RENAMED:
        raise UserError(f"{word}: is called {RENAMED[key]} now")
    if key == "plugins":
        raise UserError(f"{word}: a plugin is given as an option, --plugin my_module")
    known = [leaf for leaf in _leaves(base) if not leaf.endswith(".name")]
    if key not in known:
        raise UserError(f"{word}: no such key{nearest(key, [*known, *GROUPS], 0.5)}{_of_choice(group, base)}")


def _of_choice(group: str, base: DictConfig) -> str:
    """Whose keys were looked through, as the keys of a group depend on the choice in it."""
    if group == "logger" and group in base:
        return f" (with logger={as_word([*base.logger]) if base.logger else 'none'})"
    name = OmegaConf.select(base, f"{group}.name") if group in GROUPS else None
    return f" (with {group}={name})" if name else ""


def _leaves(config: DictConfig, path: str = "") -> Iterable[str]:
    for key in config:
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none():
            yield from _leaves(node, f"{path}{key}.")
        else:
            yield f"{path}{key}"
