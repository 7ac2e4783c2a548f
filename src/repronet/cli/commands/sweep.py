"""Many runs from one line: each has its folder before the first begins, so that what is missing can be run later."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from rich.text import Text

from repronet import runs
from repronet.cli.failures import say
from repronet.config import plugins
from repronet.errors import UserError

SWEEP = "sweep.json"


def begin(configs: Sequence[DictConfig], jobs: list[list[str]], compared: bool = False) -> Path:
    """A folder with one for every run in it, each with its config; ``jobs`` is what each run has of its own.

    Args:
        compared: whether the runs are ways of fine-tuning, which a table and a picture sum up at the end.

    Raises:
        UserError: for a run that has no weights to tune.
    """
    from repronet.config.build_weights import with_old_classes
    from repronet.session.run import with_absolute_root, write_config

    settled = [with_old_classes(with_absolute_root(config)) for config in configs]  # before a folder is made
    sweep = Path("runs") / "sweeps" / f"{datetime.now():%Y-%m-%d_%H-%M-%S}-{secrets.token_hex(3)}"
    try:
        sweep.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{sweep}: cannot be made ({error.strerror}); go to a folder that can be written") from error
    for config, folder in zip(settled, job_folders(sweep, jobs), strict=True):
        folder.mkdir()
        write_config(config, folder)
    # Last, so that a folder without it was never a whole sweep.
    content = {"jobs": jobs, "compared": compared}
    (sweep / SWEEP).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return sweep


def listed(seeds: Any) -> list[int]:
    """The seeds of ``seeds=3`` or ``seeds=[0,1,2]``."""
    return list(range(seeds)) if isinstance(seeds, int) else list(seeds)


def job_folders(sweep: Path, jobs: list[list[str]]) -> list[Path]:
    """The folders of the runs, each named by a number and what the run has of its own, as any system takes it."""
    names = (f"{number}_{','.join(words)}"[:100] for number, words in enumerate(jobs, start=1))
    return [sweep / re.sub(r"[^\w.=,+-]+", "_", name).rstrip("_") for name in names]


def begun(sweep: Path) -> tuple[list[list[str]], bool]:
    """What each run of a sweep that is there has of its own, and whether the runs are compared at the end.

    Raises:
        UserError: when there is no sweep, or a part of it is missing.
    """
    try:
        content = json.loads((sweep / SWEEP).read_text("utf-8"))
        jobs = content["jobs"]
        whole = all(folder.is_dir() for folder in job_folders(sweep, jobs))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"resume_sweep={sweep}: no sweep there; give the folder that holds {SWEEP}") from error
    if not whole:
        raise UserError(f"resume_sweep={sweep}: a run's folder is missing; {SWEEP} names {len(jobs)} of them")
    return jobs, bool(content.get("compared"))


def go_on(sweep: Path, console: Console) -> bool:
    """Run what is missing of a sweep, go on with what was stopped, show all; whether every run has ended well."""
    jobs, compared = begun(sweep)
    for folder in job_folders(sweep, jobs):
        plugins.require_for(folder)
    succeeded = work(sweep, jobs, console)
    if compared:
        from repronet.cli.commands.finetune_compare import sum_up

        sum_up(sweep, jobs, console)
    return succeeded


def work(sweep: Path, jobs: list[list[str]], console: Console) -> bool:
    """Run what is missing, one after another, and show all; whether every run has ended well."""
    from repronet.session.run import resume

    rows: list[tuple[list[str], dict[str, Any] | str]] = []  # of a run that failed, why
    console.print(f"{len(jobs)} jobs in {sweep}", markup=False, soft_wrap=True)
    try:
        for number, (words, folder) in enumerate(zip(jobs, job_folders(sweep, jobs), strict=True), start=1):
            if (folder / runs.RESULT).exists():
                rows.append((words, {**runs.read_result(folder), "run_dir": str(folder)}))
                continue
            console.print(f"\njob {number} of {len(jobs)}: {' '.join(words)}", markup=False)
            try:
                rows.append((words, resume(folder, console)))
            except Exception as error:
                rows.append((words, say(error)))
    except KeyboardInterrupt as stop:
        raise type(stop)(f"interrupted; go on with: repronet train resume_sweep={sweep}") from stop
    finally:  # after Ctrl-C too: what was done is shown
        console.print()
        console.print(_table(rows))
    missing = sum(isinstance(outcome, str) for _, outcome in rows)
    if missing:
        console.print(f"\n{missing} to be run again: repronet train resume_sweep={sweep}", markup=False, soft_wrap=True)
    return not missing


def _table(rows: list[tuple[list[str], dict[str, Any] | str]]) -> Table:
    table = Table(box=None, title="all jobs", title_justify="left", pad_edge=False)
    for heading in ("job", "best val", "test", "seconds"):
        table.add_column(heading, no_wrap=heading != "job")
    table.add_column("run folder", overflow="fold")
    for words, outcome in rows:
        name = Text(" ".join(words))
        if isinstance(outcome, str):
            table.add_row(name, "failed", "", "", Text(outcome))
        else:
            figures = (outcome[key] for key in ("best_val_error", "test_error"))
            errors = ("-" if error is None else f"{error:.2%}" for error in figures)
            table.add_row(name, *errors, f"{outcome['train_seconds']:.0f}", Text(Path(outcome["run_dir"]).name))
    return table
