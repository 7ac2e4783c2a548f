"""``repronet train``: one run or many, new or to go on with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from repronet.cli.commands import sweep
from repronet.config import plugins
from repronet.config.compose import compose, expand
from repronet.config.overrides import path_of
from repronet.errors import UserError


def run(words: Sequence[str], config_dir: Path | None, multirun: bool, console: Console) -> bool:
    """Train as the words say; whether every run ended well. What needs torch is imported once the words are checked.

    Raises:
        UserError: for words that make no run, before anything is written.
        Fault, KeyboardInterrupt: when a run breaks or is stopped, with the command that goes on.
    """
    if multirun:
        return _train_many(words, config_dir, console)
    begun, folder = _resumed("resume_sweep", words), _resumed("resume", words)
    if begun is not None:
        return sweep.go_on(begun, console)
    if folder is not None:
        plugins.require_for(folder)
        from repronet.session.run import resume

        resume(folder, console)
    else:
        config = compose("train", words, config_dir)
        from repronet.session.run import train

        train(config, console)
    return True


def _resumed(key: str, words: Sequence[str]) -> Path | None:
    """The folder of ``resume=…`` or ``resume_sweep=…``, read as it stands: a path is no Hydra expression."""
    named = [word.removeprefix(f"{key}=") for word in words if word.startswith(f"{key}=")]
    if not named:
        return None
    others = [word for word in words if not word.startswith(f"{key}=")]
    if others:
        raise UserError(f"{others[0]}: a resumed run keeps its config; give {key}={named[-1]} alone")
    if not named[-1].strip():
        raise UserError(f"{key}=: must be a {'run' if key == 'resume' else 'sweep'} folder")
    return Path(path_of(f"{key}={named[-1]}")[1] or "null").expanduser()


def _train_many(words: Sequence[str], config_dir: Path | None, console: Console) -> bool:
    """``repronet train -m``: one run after another; a failed one is reported at once and the others go on."""
    if any(word.startswith(("resume=", "resume_sweep=")) for word in words):
        raise UserError("resume: goes on with what there is; leave -m out")
    jobs = expand(words)
    configs = [compose("train", job, config_dir) for job in jobs]
    named = [config.run_dir for config in configs if config.run_dir is not None]
    if len(named) > 1:
        raise UserError(f"run_dir={named[0]}: {len(named)} runs cannot share a folder; leave it out")
    common = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
    varied = [[word for word in job if word not in common] for job in jobs]
    return sweep.work(sweep.begin(configs, varied), varied, console)
