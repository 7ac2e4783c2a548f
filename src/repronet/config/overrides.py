"""Parses command-line words in Hydra's grammar, expands sweeps, and checks the words against known keys and choices.

Unknown keys and choices are answered with the nearest valid name. Paths are taken literally, so that a folder may have
any name. Hydra's own settings are removed before (:mod:`repronet.config.hydra_words`).
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
from repronet.config.fields import NO_TARGETS, ONE_TARGET
from repronet.config.groups import GROUPS, choices
from repronet.config.schema import COMMANDS
from repronet.config.schema_sweep import BESIDE
from repronet.errors import UserError, first_line, nearest
from repronet.models import foreign

PATH_KEYS = {
    *("run", "run_dir", "data.root", "data_root", "data.file", "out", "logdir", "weights", "images", "sheet"),
    *("results", "runs", "zoo", "aside", "runtime", "resume", "judge", "augmentation.generator", "search.storage"),
    "data.label_separator",  # taken literally too
}


def is_path(word: str) -> bool:
    """Whether the value of a word is a path, which is not parsed as a Hydra expression."""
    return word.partition("=")[0].lstrip("+") in PATH_KEYS and "=" in word


def is_beside(word: str) -> bool:
    """Whether a word belongs to a group that is not part of a run."""
    return re.match(rf"[+~]*({'|'.join(BESIDE)})[.=@]", word) is not None


def path_of(word: str) -> tuple[str, str | None]:
    """Key and value of a path word; ``null`` becomes None, and quotes around the whole value are removed."""
    key, _, value = word.lstrip("+").partition("=")
    if "${" in value:
        raise UserError(f"{word}: a path is used as it is; ${{…}} has no meaning in it")
    quoted = re.fullmatch(r"(['\"])(.*)\1", value, re.DOTALL)
    if quoted:
        value = quoted[2].replace(f"\\{quoted[1]}", quoted[1])
    elif value == "null":
        return key, None
    if str(Path(value)).startswith("~") and os.path.expanduser(value) == value:  # noqa: PTH111  # pathlib's fails
        value = str(Path.cwd() / value)  # a plain name: no user has such a home folder
    return key, value


def bracketed(word: str) -> str:
    """Turn ``input=3,224,224`` and ``what=filters`` into lists; Hydra would take commas for a sweep."""
    return re.sub(r"^(input|seeds)=(\d+(?:,\d+)+)$|^(what|ways|models)=([\w/,]+)$", r"\1\3=[\2\4]", word)


def with_logger_added(words: Sequence[str], default: str | None) -> list[str]:
    """The words without ``+`` and ``++``: every valid key exists already, so these would only set it.

    ``+logger=wandb`` adds a logger to the chosen ones.
    """
    found: list[str] = []
    for word in words:
        plain = re.sub(r"^\+{1,2}(?=\w)", "", word)
        if re.match(r"\+logger=\w", word):
            chosen = next((w for w in reversed(found) if w.startswith("logger=")), f"logger={default}")
            there = chosen.removeprefix("logger=").strip("[]")
            plain = f"logger=[{there},{plain.removeprefix('logger=').strip('[]')}]" if there != "none" else plain
        found.append(plain)
    return found


def as_quoted(text: str | None) -> str:
    """A text as a quoted value of Hydra's grammar."""
    return "null" if text is None else "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def parse(overrides: Sequence[str], example: str = "optimizer.lr=0.05", hydra: bool = False) -> list[Override]:
    """Parse each word with Hydra's grammar.

    Args:
        example: the suggestion for a word that is not an override and not a choice of a group.
        hydra: whether the words are Hydra's own settings.
    """
    parser = OverridesParser.create()
    parsed = []
    for word in overrides:
        try:
            override = parser.parse_override(word)
        except (OverrideParseException, HydraException) as error:
            group = next((group for group in GROUPS if word in choices(group)), None)
            near = f"{group}={word}" if group else example
            raise UserError(f"{word}: not KEY=VALUE; write for example {near}") from error
        if override.is_hydra_override() and not hydra:
            raise UserError(f"{word}: Hydra's own settings work only on the command line")
        if override.package is not None and not hydra:
            raise UserError(f"{word}: a package (@) has no use here; write {override.key_or_group}=…")
        parsed.append(override)
    return parsed


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """The jobs of a multirun: the product of every sweep, ``seed=0,1`` or ``seed=range(3)`` or ``model=glob(*)``.

    Raises:
        UserError: for a sweep without values.
    """
    options = []
    for word in overrides:
        override = None if is_path(word) else parse([word])[0]
        if override is None or not override.is_sweep_override():
            options.append([word])
        else:
            options.append([f"{override.get_key_element()}={value}" for value in swept(word, override)])
    return [list(job) for job in itertools.product(*options)]


def swept(word: str, override: Override) -> list[str]:
    """The values of a sweep."""
    if not override.is_discrete_sweep():
        raise UserError(
            f"{word}: an interval has no list of values to run; list some, use range(start, stop, step), or let "
            "search=optuna choose"
        )
    try:
        if override.value_type is not None and override.value_type.name == "GLOB_CHOICE_SWEEP":
            values = override.value().filter(list(choices(override.key_or_group)))  # type: ignore[union-attr]
        else:
            values = list(override.sweep_string_iterator())
    except (ValueError, HydraException) as error:
        raise UserError(f"{word}: {first_line(error)}") from error
    if not values:
        raise UserError(f"{word}: has no values, so there is nothing to run")
    return values


# Keys that have no effect together with model=, or without it.
_WITH_NETWORK = {
    "bench_conv": ("filters", "kernel", "stride", "padding", "dilation", "groups"),
    "gradcheck": ("details",),
}
_WITHOUT_NETWORK = {"gradcheck": ("batch",)}


def check_effect(command: str, words: Sequence[str]) -> None:
    """Refuse keys that have no effect, since whoever set them expects one."""
    named = [word for word in words if word.startswith("model=")]
    idle = (_WITH_NETWORK if named else _WITHOUT_NETWORK).get(command, ())
    for word in words:
        if word.partition("=")[0] in idle:
            reason = f"beside {named[-1]}" if named else "without model="
            raise UserError(f"{word}: has no effect {reason}; leave it out")


def check_choice(command: str, override: Override) -> None:
    """Refuse a word that the command cannot use, and a choice that its group does not have."""
    group, word, spoken = override.key_or_group, override.input_line, f"repronet {COMMANDS[command].words}"
    if ONE_TARGET.search(str(word)):
        raise UserError(f"{word}: {NO_TARGETS}")
    if override.is_sweep_override():
        wanted = "add -m for that" if command == "train" else f"{spoken} takes one value"
        raise UserError(f"{word}: several values make several runs; {wanted}")
    if group not in GROUPS:
        return
    if group not in COMMANDS[command].groups:
        raise UserError(f"{word}: {spoken} has no {group}=")
    if override.is_delete():
        if group != "experiment" and "none" not in choices(group):
            raise UserError(f"{word}: a run needs {group}; choose another one ({listed(group, choices(group))})")
        return
    wanted = override.value()
    if wanted is None and (group == "experiment" or command != "train"):
        return
    names = wanted if group == "logger" and isinstance(wanted, list) else [wanted]  # there may be several loggers
    if len(names) > 1 and "none" in names:
        raise UserError(f"logger={as_word(names)}: none cannot be combined; leave it out")
    for name in names:
        if group == "model" and isinstance(name, str) and foreign.is_foreign(name):
            foreign.require(name)
            continue
        available = choices(group)
        if str(name) not in available and plugins.load_installed():
            available = choices(group)
        if not isinstance(name, str) or name not in available:
            raise UserError(f"{word}: no such {group}{nearest(str(name), available)} ({listed(group, available)})")


def as_word(choice: Any) -> str:
    """A choice as it is typed."""
    return f"[{','.join(choice)}]" if isinstance(choice, list) else str(choice)


def listed(group: str, available: Iterable[str]) -> str:
    """All choices, or the command that lists them if there are many."""
    names = list(available)
    return f"choices: {', '.join(names)}" if len(names) <= 20 else f"`repronet list {group}` names all {len(names)}"


def check_key(key: str, word: str, base: DictConfig, command: str) -> None:
    """Refuse a key that is not in the config of the choices made."""
    if key in GROUPS:
        return
    group, _, leaf = key.partition(".")
    if group in GROUPS and leaf == "name":
        raise UserError(f"{word}: choose with {group}=… ({listed(group, choices(group))})")
    if key == "plugins":
        raise UserError(f"{word}: a plugin is given as an option, --plugin my_module")
    if word.startswith("~") and OmegaConf.select(base, key) is not None:
        return
    known = [leaf for leaf in _leaves(base) if not leaf.endswith(".name")]
    if key not in known:
        near = nearest(key, [*known, *GROUPS])
        lists = f"list {group}" if group in GROUPS else f"{COMMANDS[command].words} --help"
        listed_by = "" if near else f"; `repronet {lists}` lists them"
        # The keys of a group depend on the choice in it.
        choice = OmegaConf.select(base, f"{group}.name") if group in GROUPS else None
        if group == "logger" and group in base:
            choice = as_word([*base.logger]) if base.logger else "none"
        of_choice = f" (with {group}={choice})" if choice else ""
        raise UserError(f"{word}: no such key{near or listed_by}{of_choice}")


def _leaves(config: DictConfig, path: str = "") -> Iterable[str]:
    for key in config:
        node = config._get_node(key)
        if isinstance(node, DictConfig) and not node._is_none():
            yield from _leaves(node, f"{path}{key}.")
        else:
            yield f"{path}{key}"
