"""One job or many: configs are composed and checked, all of them, before the first heavy import."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from repronet.cli.compose import compose, expand, parse
from repronet.cli.console import speaking_to
from repronet.errors import UserError


def train_one(overrides: Sequence[str], config_dir: Path | None) -> int:
    """``repronet train``, new or resumed."""
    folder = _resumed_folder(overrides)
    config = None if folder else compose("train", overrides, config_dir)
    console = Console(highlight=False)
    from repronet.cli.train import InterruptedRunError, resume, train

    try:
        with speaking_to(console):
            if config is not None:
                train(config, console)
            elif folder is not None:
                resume(folder, console)
    except InterruptedRunError as stop:
        print(f"repronet: {stop}", file=sys.stderr)
        return 130
    return 0


def _resumed_folder(overrides: Sequence[str]) -> Path | None:
    resumes = [o for o in parse(overrides) if o.key_or_group == "resume"]
    if not resumes:
        return None
    others = [o.input_line for o in parse(overrides) if o.key_or_group != "resume"]
    if others:
        raise UserError(f"{others[0]}: a resumed run keeps its config; give resume={resumes[0].value()} alone")
    return Path(str(resumes[0].value())).expanduser()


def evaluate_one(overrides: Sequence[str]) -> int:
    """``repronet eval``."""
    config = compose("eval", overrides)
    from repronet.cli.evaluate import evaluate

    console = Console(highlight=False)
    with speaking_to(console):
        evaluate(config, console)
    return 0


def train_many(overrides: Sequence[str], config_dir: Path | None) -> int:
    """``repronet train -m``: the jobs one after another; a failed one is reported at once and the others go on."""
    job_words = expand(overrides)
    if _resumed_folder([word for word in job_words[0] if word.startswith("resume=")]):
        raise UserError("resume: goes on with one run; leave -m out")
    configs = [compose("train", words, config_dir) for words in job_words]
    named = [config.run_dir for config in configs if config.run_dir is not None]
    if len(set(named)) < len(named):
        raise UserError(f"run_dir={named[0]}: {len(named)} runs cannot share a folder; leave it out")
    console = Console(highlight=False)
    varied = [[word for word in words if word not in _common(job_words)] for words in job_words]
    rows = []
    for number, (config, words) in enumerate(zip(configs, varied, strict=True), start=1):
        console.print(f"\njob {number} of {len(configs)}: {' '.join(words)}", markup=False)
        rows.append((words, _attempt(config, console)))
    console.print(_table(rows))
    return 1 if any(isinstance(outcome, str) for _, outcome in rows) else 0


def _common(jobs: list[list[str]]) -> set[str]:
    return set.intersection(*(set(words) for words in jobs)) if len(jobs) > 1 else set()


def _attempt(config: DictConfig, console: Console) -> dict[str, Any] | str:
    """The job's result, or the one line that says why there is none."""
    from repronet.cli.train import train

    try:
        with speaking_to(console):
            return train(config, console)
    except UserError as error:
        reason = str(error)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        traceback.print_exc()
    print(f"repronet: {' '.join(reason.split())}", file=sys.stderr)
    return reason


def _table(rows: list[tuple[list[str], dict[str, Any] | str]]) -> Table:
    table = Table("job", "best val", "test", "seconds", "run folder", box=None, title="all jobs", title_justify="left")
    for words, outcome in rows:
        name = " ".join(words)
        if isinstance(outcome, str):
            table.add_row(name, "failed", "", "", outcome)
        else:
            errors = (f"{outcome[key]:.2%}" for key in ("best_val_error", "test_error"))
            table.add_row(name, *errors, f"{outcome['train_seconds']:.0f}", outcome["run_dir"])
    return table
