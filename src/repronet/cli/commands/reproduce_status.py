"""``repronet reproduce status``: the progress of the runs of experiments. Needs no torch."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Column

from repronet import runs
from repronet.cli.tables import PlainTable
from repronet.errors import UserError
from repronet.papers.cost import duration

RECENT = 5  # latest epochs, whose speed gives the time left


@dataclass(frozen=True)
class Status:
    """The progress of one run."""

    experiment: str  # with budget and seed, identifies the run
    budget: str
    seed: int
    done: int  # finished epochs; ``epochs`` is all of them, None if steps are counted
    epochs: int | None
    error: float | None  # the latest validation error, a share
    left: float | None  # seconds, at the speed of the latest epochs; None before the first has ended
    state: str  # running, stopped or ended
    since: datetime  # when a running one began, otherwise when it last wrote


def run(config: DictConfig, console: Console, words: Sequence[str]) -> list[Status]:
    """Print a line for each run, running ones first."""
    parent, names = Path(config.runs).expanduser(), [word for word in words if "=" not in word]
    folders = sorted(path.parent for path in parent.glob(f"*/*/*/{runs.CONFIG}"))
    found = [status(folder) for folder in folders if not names or folder.parts[-3] in names]
    if names and not found:
        raise UserError(f"runs={parent}: no run of {' or '.join(names)}; `repronet reproduce {names[0]}` starts one")
    if not found:
        console.print(f"no run in {parent}; `repronet reproduce EXPERIMENT` starts one", markup=False, highlight=False)
        return []
    order = ("running", "stopped", "ended")
    found.sort(key=lambda one: (order.index(one.state), one.experiment, one.budget, one.seed))
    columns = [Column(name, justify="right", no_wrap=True) for name in ("seed", "epochs", "error", "left")]
    table = PlainTable(Column("experiment"), Column("budget", no_wrap=True), *columns, Column("since", no_wrap=True))
    for one in found:
        epochs = f"{one.done}/{one.epochs or '?'}"
        error, left = "-" if one.error is None else f"{one.error:.2%}", "-" if one.left is None else duration(one.left)
        since = f"{one.state} {one.since:%d %b %H:%M}"
        table.add_row(one.experiment, one.budget, str(one.seed), epochs, error, left if one.left else "-", since)
    console.print(table)
    return found


def status(folder: Path) -> Status:
    """The progress of the run in ``folder``, from its files alone."""
    try:
        config: dict[str, Any] = yaml.safe_load((folder / runs.CONFIG).read_text("utf-8"))
        epochs, seed = config["trainer"]["max_epochs"], config["seed"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(f"{folder / runs.CONFIG}: is not a config of a run ({type(error).__name__})") from error
    history, state, left = folder / runs.HISTORY, _state(folder), None
    rows = list(csv.DictReader(history.read_text("utf-8").splitlines())) if history.is_file() else []
    if rows and epochs is not None and state != "ended":
        seconds = [0.0, *(float(row["seconds"]) for row in rows)][-RECENT - 1 :]
        left = (epochs - len(rows)) * (seconds[-1] - seconds[0]) / (len(seconds) - 1)
    # A process takes its lock when it begins, and writes the other files of a run as it proceeds.
    written = folder / runs.LOCK if state == "running" else history
    since = datetime.fromtimestamp((written if written.exists() else folder).stat().st_mtime)
    error = float(rows[-1]["val_error"]) if rows and rows[-1]["val_error"] else None
    return Status(folder.parts[-3], folder.parts[-2], seed, len(rows), epochs, error, left, state, since)


def _state(folder: Path) -> str:
    """The state of a run: running if a process holds its lock; stopped if that cannot be checked."""
    if (folder / runs.RESULT).exists():
        return "ended"
    lock = FileLock(folder / runs.LOCK, timeout=0)
    try:
        with lock:
            return "stopped"
    except Timeout:
        return "running"
    except OSError:
        return "stopped"
