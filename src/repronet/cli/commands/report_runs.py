"""Runs as the report reads them from their folders, and names that tell them apart."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from repronet import runs
from repronet.config.fields import flat
from repronet.errors import UserError
from repronet.figures import charts
from repronet.papers import NETWORKS
from repronet.papers.records import Error
from repronet.training.metrics import TOP5_SHOWN, to_be_low

PAPER_SPLITS = {
    "mnist": "MNIST test",
    "cifar10": "CIFAR-10 test",
    "cifar100": "CIFAR-100 test",
    "imagenet": "ImageNet val",
}
BY_TIME = re.compile(r"\d{4}-\d\d-\d\d_(\d\d-\d\d-\d\d)-seed\d+-[0-9a-f]{6}")  # as runs.new_run_folder names them
TOLD_FIRST = ("experiment", "model.name", "data.name", "weights", "finetune.name", "optimizer.name", "optimizer.lr")
UNTOLD = ("run_dir", "data.root")


@dataclass(frozen=True)
class Run:
    """One run, read from its folder."""

    folder: Path
    path: str  # relative to the folder that all runs of the report share
    name: str  # the path, or if that ends in a time, the keys that set the run apart
    config: dict[str, Any]
    rows: list[dict[str, float]]
    result: dict[str, Any] | None  # None while it has not ended

    @property
    def published(self) -> list[Error]:
        """The errors that the paper of its network reports on its test split, most comparable first."""
        facts = NETWORKS.get(self.config.get("model.name", ""))
        split = PAPER_SPLITS.get(self.config.get("data.name", ""))
        if facts is None or split is None:
            return []
        others = ("a reproduction", "the variant")
        return [e for e in facts.errors if e.of.startswith(split) and not e.note.startswith(others)]

    @property
    def shows_top5(self) -> bool:
        """Whether there are enough classes for a top-5 error to mean something."""
        return self.result is not None and len(self.result.get("test_error_by_class", ())) >= TOP5_SHOWN

    @property
    def multilabel(self) -> bool:
        """Whether its images may have several labels."""
        return any("val_map" in row for row in self.rows)

    @property
    def best(self) -> dict[str, float] | None:
        """The epoch whose weights were tested."""
        kind = "map" if self.multilabel else "error"
        rows = charts.validated(self.rows)
        return min(rows, key=lambda row: to_be_low({kind: row[f"val_{kind}"]}), default=None)


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs in the folders or below them."""
    places: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; name run folders, or a folder that holds some")
        below = sorted(path.parent for path in folder.rglob(runs.CONFIG))
        if not below:
            raise UserError(f"{folder}: no run there; name run folders, or a folder that holds some")
        places += [place for place in below if place not in places]
    common = os.path.commonpath([place.parent.absolute() for place in places])
    return named([_read(place, str(place.absolute().relative_to(common))) for place in places])


def _read(folder: Path, path: str) -> Run:
    """Raises: UserError, when a file of the run is damaged."""
    try:
        config = OmegaConf.to_container(OmegaConf.load(folder / runs.CONFIG))
        rows = charts.read_history(folder / runs.HISTORY) if (folder / runs.HISTORY).is_file() else []
        result = runs.read_result(folder) if (folder / runs.RESULT).is_file() else None
    except Exception as error:  # whatever the readers raise for a damaged YAML, JSON or table
        raise UserError(f"{folder}: cannot be read as a run ({type(error).__name__}: {error})") from error
    return Run(folder, path, path, {key: value for key, value in flat(config) if value != {}}, rows, result)


def differences(found: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """The keys that the runs' configs differ in, with the value of each run."""
    keys = dict.fromkeys(key for run in found for key in run.config if key != "run_dir")
    values = {key: ["-" if run.config.get(key) is None else str(run.config[key]) for run in found] for key in keys}
    return [(key, row) for key, row in values.items() if len(set(row)) > 1]


def by_folds(found: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """Finished runs that differ only in their fold, grouped; groups of one are left out."""
    groups: dict[str, list[Run]] = {}
    for run in found:
        if run.result is not None and run.config.get("data.fold") is not None:
            shared = {key: value for key, value in run.config.items() if key not in ("data.fold", "run_dir")}
            groups.setdefault(repr(shared), []).append(run)
    several = [group for group in groups.values() if len(group) > 1]
    own = apart([group[0] for group in several]) if len(several) > 1 else [""]
    kinds = [f"{group[0].config.get('model.name')} on {group[0].config.get('data.name')}" for group in several]
    return [(f"{kind} {word}".strip(), group) for kind, word, group in zip(kinds, own, several, strict=False)]


def named(found: Sequence[Run]) -> list[Run]:
    """The runs; those whose folders are named by a time get the names of :func:`apart`."""
    return [
        replace(run, name=name) if BY_TIME.fullmatch(run.folder.name) else run
        for run, name in zip(found, apart(found), strict=True)
    ]


def apart(found: Sequence[Run]) -> list[str]:
    """Names such as ``lr=0.1 seed=2``: as many of the differing keys as tell the runs apart, else the time of start.

    Keys that people compare come first. A key that separates no further runs is left out.
    """
    differing = {key: row for key, row in differences(found) if key not in UNTOLD}
    names = [""] * len(found)
    for key in sorted(differing, key=lambda key: TOLD_FIRST.index(key) if key in TOLD_FIRST else len(TOLD_FIRST)):
        word = key.removesuffix(".name").split(".")[-1]
        longer = [f"{name} {word}={value}".strip() for name, value in zip(names, differing[key], strict=True)]
        if len(set(longer)) > len(set(names)):
            names = longer
    twice = {name for name in names if names.count(name) > 1}
    times = [BY_TIME.fullmatch(run.folder.name) for run in found]
    return [
        f"{name} {time[1].replace('-', ':')}".strip() if name in twice and time else name or run.path
        for name, time, run in zip(names, times, found, strict=True)
    ]
