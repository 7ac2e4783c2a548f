"""``repronet train``: train one run or many, new or resumed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig
from rich.console import Console

from repronet.cli.commands import sweep
from repronet.config import plugins, preflight
from repronet.config.compose import compose, compose_with_launcher, expand, parse
from repronet.config.overrides import is_beside, is_path, path_of
from repronet.errors import UserError
from repronet.exercises.submission import load, read
from repronet.runs.processes import launched, refuse_several
from repronet.session.launchers import require_launcher
from repronet.session.search import corners, require_search

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger("repronet.train")


def run(words: Sequence[str], multirun: bool, console: Console, sweep_folder: Path | None = None) -> bool:
    """Train as the words say; returns whether every run succeeded. Imports torch only after checking the words.

    Args:
        sweep_folder: a new or empty folder for many runs; default: one below runs/sweeps.
    """
    place = launched()
    if place is not None and place.rank:
        from repronet.session.member import take_part

        sys.exit(take_part(place))
    if multirun:
        if any(word.startswith("exercises=") for word in words):
            raise UserError("exercises: is for one run; leave -m out")
        return _train_many(words, console, sweep_folder)
    begun, folder = _resumed("resume_sweep", words), _resumed("resume", words)
    if begun is not None:
        refuse_several()
        return _go_on(begun, console)
    if folder is not None:
        preflight.require_run(folder, "resume")
        plugins.require_for(folder)
        from repronet.session.run import resume

        resume(folder, console, [word for word in words if not word.startswith("resume=")])
    else:
        file, others = _exercises(words)
        config = compose("train", others)
        preflight.look(config)
        prepare = None if file is None else _on_exercises(file, config)
        from repronet.session.run import train

        train(config, console, prepare)
    return True


def _exercises(words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The file of ``exercises=…`` and the other words. It is no config key, as configs never name code to run."""
    named = [word for word in words if word.startswith("exercises=")]
    if len(named) > 1:
        raise UserError(f"{named[1]}: one file has all layers; leave {named[0]} out")
    others = [word for word in words if word not in named]
    return (Path(named[0].removeprefix("exercises=")).expanduser() if named else None), others


def _on_exercises(file: Path, config: DictConfig) -> Callable[[nn.Module], None]:
    """Run a student's file; returns a function that makes a network compute with the functions in it."""
    if config.layers != "custom":
        raise UserError(f"exercises={file}: replaces repronet's layers; leave layers={config.layers} out")
    submission = read(file, "exercises=")
    module = load(file)
    from repronet.exercises.layers import compute_with

    def prepare(network: nn.Module) -> None:
        own, missing = compute_with(network, module, submission)
        if not own:
            raise UserError(f"exercises={file}: has no function of a layer that {config.model.name} has")
        rest = f"; repronet's for the missing ones: {', '.join(missing)}" if missing else ""
        log.info(f"computing with {file} (functions: {len(own)}){rest}; a resumed run uses only repronet's")

    return prepare


def _resumed(key: str, words: Sequence[str]) -> Path | None:
    """The folder of ``resume=…`` or ``resume_sweep=…``, read literally: a path is no Hydra expression."""
    named = [word.removeprefix(f"{key}=") for word in words if word.startswith(f"{key}=")]
    if not named:
        return None
    from repronet.config.schema_trainer import ELSEWHERE

    free = tuple(f"{name}=" for name in ELSEWHERE) if key == "resume" else ()
    others = [word for word in words if not word.startswith((f"{key}=", *free))]
    if others:
        raise UserError(f"{others[0]}: a resumed run keeps its config; give {key}={named[-1]} alone")
    if not named[-1].strip():
        raise UserError(f"{key}=: must be a {'run' if key == 'resume' else 'sweep'} folder")
    return Path(path_of(f"{key}={named[-1]}")[1] or "null").expanduser()


def _go_on(begun: Path, console: Console) -> bool:
    """Start the missing runs of a sweep, resume the stopped ones, show all; returns whether the sweep succeeded."""
    found = sweep.begun(begun)
    for folder in found.runs:
        plugins.require_for(folder)
    succeeded = sweep.work(found, console)
    if found.compared:
        from repronet.cli.commands.finetune_compare import sum_up

        sum_up(found, console)
    return succeeded


def _train_many(words: Sequence[str], console: Console, folder: Path | None) -> bool:
    """``repronet train -m``: many runs, here or where ``launcher=`` says; a failed run is reported, others go on."""
    if any(word.startswith(("resume=", "resume_sweep=")) for word in words):
        raise UserError("resume: continues what exists; leave -m out")
    beside = [word for word in words if is_beside(word)]
    own = [word for word in words if word not in beside]
    if any(word.startswith("search=") and word != "search=none" for word in beside):
        begun = _search(own, beside, folder)
    else:
        begun = _product(own, beside, folder)
    return sweep.work(begun, console)


def _product(own: list[str], beside: list[str], folder: Path | None) -> sweep.Sweep:
    """Create a sweep over every combination of the values."""
    jobs = expand(own)
    configs, launcher, search = _looked_at(jobs, beside)
    if search.name != "none":
        raise UserError(f"search={search.name}: is set in a file; set it on the command line, beside the values")
    named = [config.run_dir for config in configs if config.run_dir is not None]
    if len(named) > 1:
        raise UserError(f"run_dir={named[0]}: {len(named)} runs cannot share a folder; leave it out")
    common = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
    varied = [[word for word in job if word not in common] for job in jobs]
    return sweep.begin(configs, varied, launcher=launcher, folder=folder)


def _search(own: list[str], beside: list[str], folder: Path | None) -> sweep.Sweep:
    """Create a search, in which Optuna chooses the values; the ends of every interval are checked first."""
    require_search()
    space = [word for word in own if not is_path(word) and parse([word])[0].is_sweep_override()]
    if not space:
        raise UserError("search=optuna: nothing to choose; give optimizer.lr='interval(0.001,1)' for instance")
    common = [word for word in own if word not in space]
    configs, launcher, search = _looked_at([[*common, *chosen] for chosen in corners(space)], beside)
    for config in configs:
        if config.run_dir is not None:
            raise UserError(f"run_dir={config.run_dir}: the runs of a search cannot share a folder; leave it out")
        if config.trainer.devices != 1 and search.pruner != "none":
            several = f"trainer.devices={config.trainer.devices}"
            raise UserError(f"{several}: cannot be pruned in several processes; use search.pruner=none")
        if config.data.val == 0:
            raise UserError("data.val=0: a search compares validation errors; take validation images, 0.1 for instance")
    return sweep.begin_search(search, common, space, launcher, folder)


def _looked_at(jobs: Sequence[Sequence[str]], beside: Sequence[str]) -> tuple[list[DictConfig], DictConfig, DictConfig]:
    """Compose and check the configs of runs; returns them, and the launcher and the search that they share."""
    configs = [compose_with_launcher("train", [*job, *beside]) for job in jobs]
    launcher, search = configs[0].launcher, configs[0].search
    threads = max(config.trainer.threads or 0 for config in configs)
    if threads > (launcher.get("threads", threads) or 0):
        launcher.threads = threads  # as many cores as a run has threads
    require_launcher(launcher)
    for config in configs:
        config.pop("launcher")
        config.pop("search")
    preflight.look_at_all(configs)
    return configs, launcher, search
