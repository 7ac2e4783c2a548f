"""The list of Hydra's own settings, ``hydra.…`` and ``hydra/…``, that are allowed. All others are refused.

Hydra imports the packages of its search path and instantiates callbacks, launchers, sweepers, log handlers and whatever
else in its config has a ``_target_`` or a ``class``. So only listed settings are passed on, from the command line and
from files alike. Launchers and searches are available under our own names, with checked values
(:mod:`repronet.config.schema_sweep`).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from repronet.config.fields import flat
from repronet.config.overrides import parse
from repronet.constraints import Constraint, one_of
from repronet.errors import UserError

LEVEL = one_of("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")
NAME = r"[\w.-]+"
FOLDER = Constraint(lambda x: isinstance(x, str) and bool(x.strip()), "a folder")
WORD = Constraint(lambda x: isinstance(x, str) and re.fullmatch(NAME, x) is not None, "a name")
PLACES = Constraint(
    lambda x: all(re.fullmatch(r"file://.+", str(place)) for place in (x if isinstance(x, list) else [x])),
    "a folder, [file://DIR]; packages are not searched",
)
LOUD = Constraint(
    lambda x: isinstance(x, bool) or all(re.fullmatch(NAME, str(name)) for name in (x if isinstance(x, list) else [x])),
    "true, false or names of loggers",
)

# Settings that are passed to Hydra unchanged.
ALLOWED: dict[str, Constraint] = {
    r"hydra\.run\.dir": FOLDER,
    r"hydra\.sweep\.dir": FOLDER,
    r"hydra\.mode": one_of("RUN", "MULTIRUN"),
    r"hydra\.verbose": LOUD,
    r"hydra\.searchpath": PLACES,
    r"hydra\.job\.name": WORD,
    r"hydra\.job_logging\.root\.level": LEVEL,
    rf"hydra\.job_logging\.loggers\.{NAME}\.level": LEVEL,
    r"hydra/job_logging": one_of("default", "stdout", "none", "disabled"),
}
# Settings that are translated to a word of ours, which is then checked.
RENAMED = {
    **{f"hydra/launcher={name}": f"launcher={name}" for name in ("basic", "joblib", "ray")},
    "hydra/launcher=submitit_local": "launcher=local",
    "hydra/launcher=submitit_slurm": "launcher=slurm",
    "hydra/sweeper=basic": "search=none",
    "hydra/sweeper=optuna": "search=optuna",
}
_ALIKE = ("n_jobs", "partition", "account", "qos", "constraint", "mem_gb")
RENAMED_KEYS = {
    **{f"hydra.launcher.{key}": f"launcher.{key}" for key in _ALIKE},
    "hydra.launcher.timeout_min": "launcher.time",
    "hydra.launcher.cpus_per_task": "launcher.threads",
    "hydra.launcher.gpus_per_node": "launcher.gpus",
    "hydra.launcher.array_parallelism": "launcher.n_jobs",
    "hydra.sweeper.n_trials": "search.trials",
    "hydra.sweeper.storage": "search.storage",
    "hydra.sweeper.study_name": "search.study",
}
# Keys that Hydra itself fills from the words and the primary config, and the search path, which we set: a user's
# primary config is checked for one before.
ITS_OWN = (
    *("hydra.searchpath", "hydra.overrides", "hydra.runtime"),
    *("hydra.job.name", "hydra.job.config_name", "hydra.job.override_dirname"),
)


@dataclass(frozen=True)
class HydraWords:
    """The words of a command line, sorted into ours and Hydra's."""

    ours: list[str]  # all other words, and the translated ones
    hydra: list[str]  # the words for Hydra

    @property
    def values(self) -> dict[str, Any]:
        """The values for Hydra by key."""
        return {override.key_or_group: override.value() for override in parse(self.hydra, hydra=True)}


def sorted_out(words: Sequence[str]) -> HydraWords:
    """Separate Hydra's own settings from the other words.

    Raises:
        UserError: for a setting that is not allowed, or whose value is not.
    """
    found = HydraWords([], [])
    for word in words:
        if not re.match(r"[+~]*hydra[./@=]", word):
            found.ours.append(word)
            continue
        key, _, value = word.lstrip("+").partition("=")
        if f"{key}={value}" in RENAMED:
            found.ours.append(RENAMED[f"{key}={value}"])
        elif key in RENAMED_KEYS:
            found.ours.append(f"{RENAMED_KEYS[key]}={value}")
        else:
            (override,) = parse([word], hydra=True)
            rule = _rule(override.key_or_group)
            if rule is None or override.is_delete() or override.package is not None:
                raise UserError(f"{word}: {_refusal(override.key_or_group)}")
            if override.is_sweep_override() or not rule.check(override.value()):
                raise UserError(f"{word}: must be {rule.expected}")
            found.hydra.append(word)
    return found


def _rule(key: str) -> Constraint | None:
    return next((rule for pattern, rule in ALLOWED.items() if re.fullmatch(pattern, key)), None)


def _refusal(key: str) -> str:
    """Why a setting is refused, and what to use instead."""
    instead = {
        "launcher": "; write launcher=joblib, local, ray or slurm (repronet list launcher)",
        "sweeper": "; write search=optuna (repronet list search)",
        "callbacks": "; add your callback with --plugin",
        "searchpath": "; add your folder with --config-dir",
    }
    part = re.split(r"[./@]", key)[1] if re.search(r"[./@]", key) else ""
    return f"this Hydra setting is not allowed, as some settings run code{instead.get(part, '')}"


def check_primary(file: Path) -> None:
    """Refuse a search path in a user's primary config, which Hydra would follow while it composes."""
    try:
        content = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return  # Hydra reports what is wrong
    own = content.get("hydra") if isinstance(content, Mapping) else None
    if isinstance(own, Mapping) and "searchpath" in own:
        raise UserError(f"{file}: hydra.searchpath={own['searchpath']}: {_refusal('hydra.searchpath')}")


def check_node(node: DictConfig, untouched: DictConfig) -> None:
    """Refuse settings of Hydra's own config that files have made and that are not allowed.

    Args:
        node: the whole composed config.
        untouched: the same without the user's files.
    """
    before = dict(flat(OmegaConf.to_container(untouched.hydra, resolve=False), "hydra"))
    for key, value in flat(OmegaConf.to_container(node.hydra, resolve=False), "hydra"):
        if key.startswith(ITS_OWN) or (key in before and before[key] == value):
            continue
        rule = _rule(key)
        if rule is None:
            raise UserError(f"{key}={value}: {_refusal(key)}")
        if not rule.check(value):
            raise UserError(f"{key}={value}: must be {rule.expected}")


@contextmanager
def levels(config: DictConfig) -> Iterator[None]:
    """Temporarily set the log levels in Hydra's ``job_logging`` and ``verbose``; its root stands for our logger."""
    settings, verbose = config.hydra.job_logging or {}, config.hydra.verbose
    named = OmegaConf.to_container(settings.get("loggers") or OmegaConf.create(), resolve=True)
    wanted = {path.removesuffix(".level"): level for path, level in flat(named) if level}
    wanted["repronet"] = (settings.get("root") or {}).get("level")
    loud = ["repronet"] if verbose is True else [verbose] if isinstance(verbose, str) else list(verbose or [])
    wanted |= dict.fromkeys(loud, "DEBUG")
    before = {name: logging.getLogger(name).level for name in wanted}
    for name, level in wanted.items():
        if level is not None:
            logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
