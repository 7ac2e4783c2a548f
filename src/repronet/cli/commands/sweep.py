"""Many runs from one line: each has its folder before the first begins, so that what is missing can be run later."""

from __future__ import annotations

import json
import re
import secrets
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from rich.text import Text

from repronet.config.compose import compose, expand
from repronet.errors import Fault, UserError
from repronet.session.console import speaking_to

SWEEP = "sweep.json"
Outcome = dict[str, Any] | str  # a result, or the one line that says why there is none


def train_many(overrides: Sequence[str], config_dir: Path | None, debug: bool) -> int:
    """``repronet train -m``: the jobs one after another; a failed one is reported at once and the others go on."""
    if any(word.startswith(("resume=", "resume_sweep=")) for word in overrides):
        raise UserError("resume: goes on with what there is; leave -m out")
    job_words = expand(overrides)
    configs = [compose("train", words, config_dir) for words in job_words]
    named = [config.run_dir for config in configs if config.run_dir is not None]
    if len(named) > 1:
        raise UserError(f"run_dir={named[0]}: {len(named)} runs cannot share a folder; leave it out")
    varied = [[word for word in words if word not in _common(job_words)] for words in job_words]
    return work(begin_sweep(configs, varied), varied, debug)


def begin_sweep(configs: Sequence[DictConfig], jobs: list[list[str]], compared: bool = False) -> Path:
    """A folder with one for every run in it, each with its config; ``jobs`` is what each run has of its own.

    Args:
        compared: whether the runs are ways of fine-tuning, which a table and a picture sum up at the end.

    Raises:
        UserError: for a run that has no weights to tune.
    """
    from repronet.config.build_weights import with_old_classes
    from repronet.session.run import with_absolute_root, write_config

    settled = [with_old_classes(with_absolute_root(config)) for config in configs]  # before a folder is made
    sweep = _new_folder(Path("runs") / "sweeps")
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
    """Where the runs of a sweep are."""
    return [sweep / _job_name(number, words) for number, words in enumerate(jobs, start=1)]


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


def _common(jobs: list[list[str]]) -> set[str]:
    return set.intersection(*(set(words) for words in jobs)) if len(jobs) > 1 else set()


def _new_folder(parent: Path) -> Path:
    moment = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    folder = parent / f"{moment}-{secrets.token_hex(3)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); go to a folder that can be written") from error
    return folder


def _job_name(number: int, words: list[str]) -> str:
    """The job's folder: its number and what it has of its own, of characters that any system takes."""
    return re.sub(r"[^\w.=,+-]+", "_", f"{number}_{','.join(words)}"[:100]).rstrip("_")


def work(sweep: Path, jobs: list[list[str]], debug: bool) -> int:
    """Run what is missing, one after another, and show all; 1 if a run failed."""
    console = Console(highlight=False)
    rows: list[tuple[list[str], Outcome]] = []
    console.print(f"{len(jobs)} jobs in {sweep}", markup=False, soft_wrap=True)
    try:
        for number, (words, folder) in enumerate(zip(jobs, job_folders(sweep, jobs), strict=True), start=1):
            rows.append((words, _finished(folder) or _attempt(folder, f"job {number} of {len(jobs)}", words, debug)))
    except KeyboardInterrupt as stop:
        hint = f"interrupted; go on with: repronet train resume_sweep={sweep}"
        raise type(stop)(hint) from stop
    finally:  # after Ctrl-C too: what was done is shown
        console.print()
        console.print(_table(rows))
    missing = sum(isinstance(outcome, str) for _, outcome in rows)
    if missing:
        console.print(f"\n{missing} to be run again: repronet train resume_sweep={sweep}", markup=False, soft_wrap=True)
    return 1 if missing else 0


def _finished(folder: Path) -> dict[str, Any] | None:
    from repronet import runs

    return {**runs.read_result(folder), "run_dir": str(folder)} if (folder / runs.RESULT).exists() else None


def _attempt(folder: Path, which: str, words: list[str], debug: bool) -> Outcome:
    from repronet.session.run import resume

    console = Console(highlight=False)
    console.print(f"\n{which}: {' '.join(words)}", markup=False)
    try:
        with speaking_to(console):
            return resume(folder, console)
    except Exception as error:
        if debug:
            traceback.print_exc()
        expected = isinstance(error, UserError | Fault)
        reason = str(error) if expected else f"{type(error).__name__}: {error} (debug=true shows where)"
    print(f"repronet: {' '.join(reason.split())}", file=sys.stderr)
    return reason


def _table(rows: list[tuple[list[str], Outcome]]) -> Table:
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
