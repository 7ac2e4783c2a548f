"""One job or many: configs are composed and checked, all of them, before the first heavy import."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from rich.text import Text

from repronet.cli.compose import compose, expand
from repronet.cli.console import speaking_to
from repronet.errors import UserError


def train_one(overrides: Sequence[str], config_dir: Path | None) -> int:
    """``repronet train``, new or resumed."""
    folder = _resumed_folder(overrides)
    config = None if folder else compose("train", overrides, config_dir)
    console = Console(highlight=False)
    from repronet.cli.train import resume, train

    with speaking_to(console):
        if config is not None:
            train(config, console)
        elif folder is not None:
            resume(folder, console)
    return 0


def _resumed_folder(overrides: Sequence[str]) -> Path | None:
    """The folder of ``resume=…``, read as it stands: a path is no Hydra expression."""
    named = [word.removeprefix("resume=") for word in overrides if word.startswith("resume=")]
    if not named:
        return None
    others = [word for word in overrides if not word.startswith("resume=")]
    if others:
        raise UserError(f"{others[0]}: a resumed run keeps its config; give resume={named[-1]} alone")
    if not named[-1].strip():
        raise UserError("resume=: must be a run folder")
    return Path(named[-1]).expanduser()


def evaluate_one(overrides: Sequence[str]) -> int:
    """``repronet eval``."""
    config = compose("eval", overrides)
    from repronet.cli.evaluate import evaluate

    console = Console(highlight=False)
    with speaking_to(console):
        evaluate(config, console)
    return 0


# What says nothing beside a network, or without one.
_WITH_NETWORK = {"bench": ("filters", "kernel", "stride", "padding", "dilation", "groups"), "gradcheck": ("details",)}
_WITHOUT_NETWORK = {"gradcheck": ("batch",)}


def _refuse_idle_words(command: str, overrides: Sequence[str]) -> None:
    """Refuse what would change nothing, since whoever wrote it expects that it does."""
    named = [word for word in overrides if word.startswith("model=")]
    idle = (_WITH_NETWORK if named else _WITHOUT_NETWORK).get(command, ())
    for word in overrides:
        if word.partition("=")[0] in idle:
            reason = f"beside {named[-1]}" if named else "without model="
            raise UserError(f"{word}: means nothing {reason}; leave it out")


def bench(overrides: Sequence[str]) -> int:
    """``repronet bench conv``."""
    config = compose("bench", overrides)
    _refuse_idle_words("bench", overrides)
    from repronet.cli.bench import bench

    bench(config, Console(highlight=False))
    return 0


def check_gradients(overrides: Sequence[str]) -> int:
    """``repronet gradcheck``: 1 if a gradient is wrong."""
    config = compose("gradcheck", overrides)
    _refuse_idle_words("gradcheck", overrides)
    from repronet.cli.gradcheck import check

    return 0 if check(config, Console(highlight=False)) else 1


def summarize(overrides: Sequence[str]) -> int:
    """``repronet summary``."""
    config = compose("summary", overrides)
    from repronet.cli.summary import show

    show(config, Console(highlight=False))
    return 0


def verify_networks(overrides: Sequence[str]) -> int:
    """``repronet verify``: 1 if a network is not the published one."""
    config = compose("verify", overrides)
    from repronet.cli.verify import check

    return 0 if check(config, Console(highlight=False)) else 1


def augment(overrides: Sequence[str]) -> int:
    """``repronet augment``."""
    config = compose("augment", overrides)
    from repronet.cli.augment import draw

    console = Console(highlight=False)
    with speaking_to(console):
        draw(config, console)
    return 0


def check_data(overrides: Sequence[str]) -> int:
    """``repronet data check``: 1 if a run would stop or learn wrong."""
    config = compose("check", overrides)
    from repronet.cli.data import check

    return 0 if check(config, Console(highlight=False)) else 1


def preview_schedule(overrides: Sequence[str]) -> int:
    """``repronet schedule``."""
    config = compose("preview", overrides)
    from repronet.cli.schedule import preview

    preview(config, Console(highlight=False))
    return 0


SINGLE: dict[str, Callable[[Sequence[str]], int]] = {
    "eval": evaluate_one,
    "bench": bench,
    "gradcheck": check_gradients,
    "summary": summarize,
    "verify": verify_networks,
    "augment": augment,
    "check": check_data,
    "preview": preview_schedule,
}


def train_many(overrides: Sequence[str], config_dir: Path | None, debug: bool) -> int:
    """``repronet train -m``: the jobs one after another; a failed one is reported at once and the others go on."""
    if any(word.startswith("resume=") for word in overrides):
        raise UserError("resume: goes on with one run; leave -m out")
    job_words = expand(overrides)
    configs = [compose("train", words, config_dir) for words in job_words]
    named = [config.run_dir for config in configs if config.run_dir is not None]
    if len(named) > 1:
        raise UserError(f"run_dir={named[0]}: {len(named)} runs cannot share a folder; leave it out")
    console = Console(highlight=False)
    varied = [[word for word in words if word not in _common(job_words)] for words in job_words]
    rows = []
    try:
        for number, (config, words) in enumerate(zip(configs, varied, strict=True), start=1):
            console.print(f"\njob {number} of {len(configs)}: {' '.join(words)}", markup=False)
            rows.append((words, _attempt(config, console, debug)))
    finally:  # after Ctrl-C too: what was done is shown
        console.print()
        console.print(_table(rows))
    return 1 if any(isinstance(outcome, str) for _, outcome in rows) else 0


def _common(jobs: list[list[str]]) -> set[str]:
    return set.intersection(*(set(words) for words in jobs)) if len(jobs) > 1 else set()


def _attempt(config: DictConfig, console: Console, debug: bool) -> dict[str, Any] | str:
    """The job's result, or the one line that says why there is none."""
    from repronet.cli.train import train

    try:
        with speaking_to(console):
            return train(config, console)
    except Exception as error:
        if debug:
            traceback.print_exc()
        expected = isinstance(error, UserError)
        reason = str(error) if expected else f"{type(error).__name__}: {error} (debug=true shows where)"
    print(f"repronet: {' '.join(reason.split())}", file=sys.stderr)
    return reason


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
            table.add_row(name, *errors, f"{outcome['train_seconds']:.0f}", Text(outcome["run_dir"]))
    return table
