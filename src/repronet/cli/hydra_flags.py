"""Hydra's flags ``--cfg`` and ``--info``: the config that the words compose, printed in Hydra's format."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra._internal.hydra import Hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from repronet.config.compose import compose, composing, hydra_config
from repronet.errors import UserError, first_line, nearest

KINDS = ("job", "hydra", "all")
INFO = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def shown(
    command: str, words: Sequence[str], hydra: Sequence[str], kind: str, package: str | None, resolve: bool
) -> str:
    """The text that ``--cfg`` prints: the config of the run, that of Hydra, or both.

    Args:
        package: the part of the config to print; None: all.
        resolve: whether interpolations such as ``${seed}`` are replaced by their values.
    """
    job = compose(command, words)
    composed = hydra_config(command, words, hydra)
    _with_interpolations(job, composed)
    own = Hydra.get_sanitized_hydra_cfg(composed)
    OmegaConf.set_struct(own, False)
    OmegaConf.set_readonly(own.hydra, False)
    config = {"job": job, "hydra": own, "all": OmegaConf.merge(own, job)}[kind]
    HydraConfig.instance().set_config(composed)
    try:
        part = config if package in (None, "_global_") else OmegaConf.select(config, str(package))
    except OmegaConfBaseException as error:
        raise UserError(f"--package {package}: {first_line(error)}") from error
    if part is None:
        near = nearest(str(package), map(str, config))
        raise UserError(f"--package {package}: no such part of the config{near}; --cfg {kind} alone shows all")
    if not isinstance(part, Container):
        return f"{part}\n"
    if resolve:
        OmegaConf.resolve(part)
    return (f"# @package {package}\n" if package is not None else "") + OmegaConf.to_yaml(part)


def _with_interpolations(config: DictConfig, composed: DictConfig) -> None:
    """Put the interpolations of the files and words back into ``config``, which was checked with their values."""
    for key in config:
        there = composed._get_node(key, validate_access=False)
        if there is None:
            continue
        if OmegaConf.is_interpolation(composed, str(key)):
            config._set_item_impl(key, OmegaConf.to_container(composed, resolve=False)[key])  # type: ignore[index]
        elif isinstance(there, DictConfig) and isinstance(config[key], DictConfig):
            _with_interpolations(config[key], there)


def show_info(command: str, words: Sequence[str], hydra: Sequence[str], what: str, multirun: bool) -> None:
    """Print what ``--info`` asks for: Hydra's plugins, search path, defaults and config."""
    compose(command, words)  # reports in one line an error that Hydra would report in many
    mode = RunMode.MULTIRUN if multirun else RunMode.RUN
    with composing(command, words, hydra) as (itself, name, composed), _logging_as_it_was():
        itself.show_info(what, name, composed, run_mode=mode)


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    """Restore the root logger afterwards, since Hydra adds a handler to it in order to print."""
    root = logging.getLogger()
    handlers: list[Any] = list(root.handlers)
    level = root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
