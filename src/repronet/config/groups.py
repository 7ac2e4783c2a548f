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


_DEFAULTS = yaml.safe_load((CONFIGS / "train.yaml").read_text(encoding="utf-8"))["defaults"]
# The groups of repronet train, with the choice where none is made.
TRAINING: dict[str, str | None] = {
    group: choice for entry in _DEFAULTS if isinstance(entry, dict) for group, choice in entry.items()
}
GROUPS = tuple(TRAINING)


def choices(group: str, config_dir: Path | None = None) -> dict[str, str]:
    """The choices of ``group`` by name, each with a title: of a file, its first line of comment.

    Raises:
        UserError: when a file of the user's has the name of one of ours.
    """
    found = {**_titles(CONFIGS / group), **_published(group)}
    found |= {name: f"{part.title} ({part.plugin})" for name, part in named(group).items()}
    if config_dir is not None:
        own = _titles(config_dir / group)
        taken = sorted(found.keys() & own.keys())
        if taken:
            raise UserError(f"--config-dir {config_dir}: {group}/{taken[0]}.yaml has a name of repronet's; rename it")
        found |= own
    return dict(sorted(found.items()))


def _published(group: str) -> dict[str, str]:
    """The titles of networks, which have no files, and of experiments: what papers say, imported where it is asked."""
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
    """Each choice with the first line of comment in its file."""
    found = {}
    for file in folder.iterdir() if folder.is_dir() else ():
        if file.name.endswith(".yaml"):
            lines = file.read_bytes().decode("utf-8", errors="replace").splitlines()
            comments = (line[1:].strip() for line in lines if line.startswith("#"))
            title = next((text for text in comments if text and not text.startswith("@package")), "")
            found[file.name.removesuffix(".yaml")] = title
    return found
