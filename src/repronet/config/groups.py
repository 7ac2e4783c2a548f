"""The config files that come with the package: which groups there are, which choices, and what each is for."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from repronet.errors import UserError

GROUPS = (
    "model",
    "data",
    "augmentation",
    "preprocessing",
    "normalization",
    "optimizer",
    "schedule",
    "averaging",
    "finetune",
    "trainer",
    "logger",
    "experiment",
)


def choices(group: str, config_dir: Path | None = None) -> dict[str, str]:
    """The choices of ``group`` by name, each with the first line of comment in its file.

    Raises:
        UserError: when a file of the user's has the name of one of ours.
    """
    found = _titles(files("repronet.configs") / group)
    if config_dir is not None:
        own = _titles(config_dir / group)
        taken = sorted(found.keys() & own.keys())
        if taken:
            raise UserError(f"--config-dir {config_dir}: {group}/{taken[0]}.yaml has a name of repronet's; rename it")
        found |= own
    return dict(sorted(found.items()))


def _titles(folder: Traversable) -> dict[str, str]:
    if not folder.is_dir():
        return {}
    return {f.name.removesuffix(".yaml"): _title(f) for f in folder.iterdir() if f.name.endswith(".yaml")}


def _title(file: Traversable) -> str:
    lines = file.read_bytes().decode("utf-8", errors="replace").splitlines()
    comments = (line[1:].strip() for line in lines if line.startswith("#"))
    return next((text for text in comments if text and not text.startswith("@package")), "")
