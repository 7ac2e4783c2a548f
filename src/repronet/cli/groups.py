"""The config files that come with the package: which groups there are, which choices, and what each is for."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

GROUPS = (
    "model",
    "data",
    "augmentation",
    "preprocessing",
    "normalization",
    "optimizer",
    "schedule",
    "trainer",
    "experiment",
)


@cache
def choices(group: str, config_dir: Path | None = None) -> dict[str, str]:
    """The choices of ``group`` by name, each with the first line of comment in its file; the user's files win."""
    folders: list[Traversable] = [files("repronet.configs") / group]
    if config_dir is not None:
        folders.append(config_dir / group)
    found = {
        file.name.removesuffix(".yaml"): _title(file)
        for folder in folders
        if folder.is_dir()
        for file in folder.iterdir()
        if file.name.endswith(".yaml")
    }
    return dict(sorted(found.items()))


def _title(file: Traversable) -> str:
    comments = (line[1:].strip() for line in file.read_text("utf-8").splitlines() if line.startswith("#"))
    return next((text for text in comments if text and not text.startswith("@package")), "")
