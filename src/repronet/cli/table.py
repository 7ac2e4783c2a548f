"""How a command begins: its config is composed and checked before the first heavy import."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from rich.console import Console

from repronet.config import plugins
from repronet.config.compose import compose
from repronet.config.groups import choices
from repronet.errors import UserError, nearest
from repronet.runs.stopping import StopSwitch
from repronet.session.console import speaking_to

# By the name of its config, the file in commands/ and the function of a command that needs a config and a console; one
# that returns False leaves with exit code 1.
PLAIN = {
    "eval": "evaluate.evaluate",
    "predict": "predict.predict",
    "visualize": "visualize.visualize",
    "export": "export.export",
    "preview": "schedule.preview",
    "find_rate": "find_rate.find_rate",
    "summary": "summary.show",
    "verify": "verify.check",
    "gradcheck": "gradcheck.check",
    "bench": "bench.bench",
    "augment": "augment.draw",
    "check": "data.check",
}
# What says nothing beside a network, or without one.
_WITH_NETWORK = {"bench": ("filters", "kernel", "stride", "padding", "dilation", "groups"), "gradcheck": ("details",)}
_WITHOUT_NETWORK = {"gradcheck": ("batch",)}


def plain(command: str, overrides: Sequence[str]) -> int:
    """A command of :data:`PLAIN`."""
    config = compose(command, overrides)
    _refuse_idle_words(command, overrides)
    if "run" in config:
        plugins.require_for(Path(config.run).expanduser())
    file, _, function = PLAIN[command].partition(".")
    work = getattr(import_module(f"repronet.cli.commands.{file}"), function)
    console = Console(highlight=False)
    with speaking_to(console):
        return 1 if work(config, console) is False else 0


def _refuse_idle_words(command: str, overrides: Sequence[str]) -> None:
    """Refuse what would change nothing, since whoever wrote it expects that it does."""
    named = [word for word in overrides if word.startswith("model=")]
    idle = (_WITH_NETWORK if named else _WITHOUT_NETWORK).get(command, ())
    for word in overrides:
        if word.partition("=")[0] in idle:
            reason = f"beside {named[-1]}" if named else "without model="
            raise UserError(f"{word}: means nothing {reason}; leave it out")


def train(overrides: Sequence[str], config_dir: Path | None, multirun: bool, debug: bool) -> int:
    """``repronet train``: a run or many, new or resumed. Signals end it with their exit code from the start."""
    with StopSwitch().listening():
        from repronet.cli.commands.sweep import train_many

        if multirun:
            return train_many(overrides, config_dir, debug)
        sweep = _resumed_folder("resume_sweep", overrides)
        return _resume_sweep(sweep, debug) if sweep else _train_one(overrides, config_dir)


def _resume_sweep(sweep: Path, debug: bool) -> int:
    """Run what is missing, go on with what was stopped, show all."""
    from repronet.cli.commands.compare import sum_up
    from repronet.cli.commands.sweep import begun, job_folders, work

    jobs, compared = begun(sweep)
    for folder in job_folders(sweep, jobs):
        plugins.require_for(folder)
    code = work(sweep, jobs, debug)
    if compared:
        sum_up(sweep, jobs, Console(highlight=False))
    return code


def _train_one(overrides: Sequence[str], config_dir: Path | None) -> int:
    folder = _resumed_folder("resume", overrides)
    if folder:
        plugins.require_for(folder)
    config = None if folder else compose("train", overrides, config_dir)
    console = Console(highlight=False)
    from repronet.session.run import resume, train

    with speaking_to(console):
        if config is not None:
            train(config, console)
        elif folder is not None:
            resume(folder, console)
    return 0


def _resumed_folder(key: str, overrides: Sequence[str]) -> Path | None:
    """The folder of ``resume=…`` or ``resume_sweep=…``, read as it stands: a path is no Hydra expression."""
    named = [word.removeprefix(f"{key}=") for word in overrides if word.startswith(f"{key}=")]
    if not named:
        return None
    others = [word for word in overrides if not word.startswith(f"{key}=")]
    if others:
        raise UserError(f"{others[0]}: a resumed run keeps its config; give {key}={named[-1]} alone")
    if not named[-1].strip():
        raise UserError(f"{key}=: must be a {'run' if key == 'resume' else 'sweep'} folder")
    return Path(named[-1]).expanduser()


def compare_tunings(overrides: Sequence[str], debug: bool) -> int:
    """``repronet finetune compare``."""
    config = compose("compare", overrides)
    from repronet.cli.commands.compare import compare

    with StopSwitch().listening():
        return compare(config, overrides, Console(highlight=False), debug)


def report(words: Sequence[str]) -> int:
    """``repronet report``: words without an equals sign are folders."""
    folders = [Path(word).expanduser() for word in words if "=" not in word]
    config = compose("report", [word for word in words if "=" in word])
    from repronet.cli.commands.records import are_records, show

    console = Console(highlight=False)
    if not folders:  # somebody's own folder results/ is none of ours
        folders = [Path(name) for name in ("results", "runs") if Path(name).is_dir()]
        folders = [folder for folder in folders if folder.name == "runs" or are_records(folder)]
    recorded = [folder for folder in folders if are_records(folder)]
    others = [folder for folder in folders if folder not in recorded]
    if recorded and not others and any(word.startswith("out=") for word in words):
        raise UserError(f"out={config.out}: is the page of run folders; {recorded[0]} has its own, README.md in it")
    for folder in recorded:
        show(folder, console)
    if others or not recorded:
        from repronet.cli.commands.report import report  # draws, and needs torch

        report(others, config, console)
    return 0


def reproduce(words: Sequence[str], debug: bool) -> int:
    """``repronet reproduce``: words without an equals sign are experiments; 1 if a run failed."""
    names = [word for word in words if "=" not in word]
    config = compose("reproduce", [word for word in words if "=" in word])
    known = choices("experiment")
    if not names:
        raise UserError("reproduce: needs an experiment; `repronet list experiment` names all, resnet20_cifar10 is one")
    for name in names:
        if name not in known:
            raise UserError(f"reproduce {name}: no such experiment{nearest(name, known)} (`repronet list experiment`)")
    with StopSwitch().listening():
        from repronet.cli.commands.reproduce import reproduce

        console = Console(highlight=False)
        with speaking_to(console):
            return reproduce(list(dict.fromkeys(names)), config, console, debug)
