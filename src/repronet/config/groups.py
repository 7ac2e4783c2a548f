"""The config groups, the choices of each, and a title for each choice. Needs no torch.

A choice is a file in configs/, a user's file in --config-dir, a network of :mod:`repronet.models`, or a part that
a plugin has registered.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from repronet.config.plugins import OURS, named
from repronet.errors import UserError

CONFIGS = files("repronet.configs")


_DEFAULTS = yaml.safe_load((CONFIGS / "train.yaml").read_text(encoding="utf-8"))["defaults"]
# The groups of repronet train, with the choice that holds if neither the user nor the dataset makes one.
_CHOSEN = {group: choice for entry in _DEFAULTS if isinstance(entry, dict) for group, choice in entry.items()}
TRAINING: dict[str, str | None] = {group: _CHOSEN[group] for group in ("model", "data")} | _CHOSEN
GROUPS = tuple(TRAINING)
_OWN: dict[str, Any] = {}


@contextmanager
def looking_in(folder: Path | None, name: str | None = None) -> Iterator[None]:
    """Also find the user's own files in ``folder``, the value of ``--config-dir``, if a call names no other folder.

    Args:
        name: the primary config, which may be one of these files: the value of ``--config-name``.
    """
    before = dict(_OWN)
    _OWN.update(folder=folder, name=name)
    try:
        yield
    finally:
        _OWN.clear()
        _OWN.update(before)


def own_folder() -> Path | None:
    """The folder of :func:`looking_in`."""
    return _OWN.get("folder")


def own_config() -> str | None:
    """The primary config of :func:`looking_in`; None: the command's own."""
    return _OWN.get("name")


def choices(group: str) -> dict[str, str]:
    """The choices of ``group`` by name, each with a title; that of a file is its first comment line."""
    found = {**_titles(CONFIGS / group), **_published(group)}
    for name, part in named(group).items():
        found[name] = part.title if part.plugin in OURS else f"{part.title} ({part.plugin})"
    if (folder := own_folder()) is not None:
        own = _titles(folder / group)
        taken = sorted(found.keys() & own.keys())
        if taken:
            raise UserError(f"--config-dir {folder}: {group}/{taken[0]}.yaml has a name of repronet's; rename it")
        found |= own
    return dict(sorted(found.items()))


def chosen(group: str, name: str) -> str:
    """The choice, as users type it, of a config with this ``name``: ``augmentation=mnist`` for affine."""
    typed = called(group, name)
    return name if name in typed else typed[0]


def called(group: str, name: str) -> list[str]:
    """The choices, as users type them, whose config has this ``name``; the name itself if there is none."""
    return [choice for choice, its_name in _names(group).items() if its_name == name] or [name]


@cache
def _names(group: str) -> dict[str, str | None]:
    """The ``name`` in the config of each choice, by choice."""
    files = {choice: (CONFIGS / group / f"{choice}.yaml").read_text("utf-8") for choice in _titles(CONFIGS / group)}
    return {choice: (yaml.safe_load(files[choice]) or {}).get("name") for choice in sorted(files)}


def _published(group: str) -> dict[str, str]:
    """The titles of networks, which have no files, and of experiments; the tables of papers are imported on demand."""
    if group == "model":
        from repronet.papers import NETWORKS
        from repronet.papers.tables import short

        return {
            name: f"{facts.paper.year}, {short(facts.parameters)} parameters: {facts.title}"
            for name, facts in NETWORKS.items()
        }
    if group == "experiment":
        from repronet.papers.experiments import EXPERIMENTS

        return {name: experiment.title for name, experiment in EXPERIMENTS.items()}
    return {}


def _titles(folder: Traversable) -> dict[str, str]:
    """Each choice with the first comment line of its file."""
    found = {}
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.name.endswith(".yaml"):
            lines = file.read_bytes().decode("utf-8", errors="replace").splitlines()
            comments = (line[1:].strip() for line in lines if line.startswith("#"))
            title = next((text for text in comments if text and not text.startswith("@package")), "")
            found[file.name.removesuffix(".yaml")] = title
    return found
