"""The config groups: which there are, which choices each has, and what each choice is for. Needs no torch.

A choice is a file in configs/, a file of the user's in --config-dir, a network of :mod:`repronet.models`, or what a
plugin has registered.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml

from repronet.config.plugins import named
from repronet.errors import UserError

CONFIGS = files("repronet.configs")


def _defaults_of_train() -> dict[str, str | None]:
    entries = yaml.safe_load((CONFIGS / "train.yaml").read_text(encoding="utf-8"))["defaults"]
    return {group: choice for entry in entries if isinstance(entry, dict) for group, choice in entry.items()}


TRAINING = _defaults_of_train()  # the groups of repronet train, with the choice where none is made
GROUPS = tuple(TRAINING)


def choices(group: str, config_dir: Path | None = None) -> dict[str, str]:
    """The choices of ``group`` by name, each with a title: of a file, its first line of comment.

    Raises:
        UserError: when a file of the user's has the name of one of ours.
    """
    found = {**_titles(CONFIGS / group), **_networks(group), **_experiments(group)}
    found |= {name: f"{part.title} ({part.plugin})" for name, part in named(group).items()}
    if config_dir is not None:
        own = _titles(config_dir / group)
        taken = sorted(found.keys() & own.keys())
        if taken:
            raise UserError(f"--config-dir {config_dir}: {group}/{taken[0]}.yaml has a name of repronet's; rename it")
        found |= own
    return dict(sorted(found.items()))


def _networks(group: str) -> dict[str, str]:
    """The networks have no files: a name and a loss is all that there is to say of each."""
    if group != "model":
        return {}
    from repronet.papers import NETWORKS  # here, since only few commands need the facts
    from repronet.papers.tables import short

    return {
        name: f"{facts.paper.year}, {short(facts.parameters)} parameters: {facts.title}"
        for name, facts in NETWORKS.items()
    }


def _experiments(group: str) -> dict[str, str]:
    if group != "experiment":
        return {}
    from repronet.papers.experiments import EXPERIMENTS  # here, as above

    return {name: experiment.title for name, experiment in EXPERIMENTS.items()}


def _titles(folder: Traversable) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    return {f.name.removesuffix(".yaml"): _title(f) for f in folder.iterdir() if f.name.endswith(".yaml")}


def _title(file: Traversable) -> str:
    lines = file.read_bytes().decode("utf-8", errors="replace").splitlines()
    comments = (line[1:].strip() for line in lines if line.startswith("#"))
    return next((text for text in comments if text and not text.startswith("@package")), "")
