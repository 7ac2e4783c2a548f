"""``repronet train``: carry out a run from its checked config to a run folder with its result."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from torch import nn

from repronet import runs
from repronet.analysis.class_figures import means, reliability
from repronet.config import plugins
from repronet.config.build import Parts, assemble, plain, run_name, written_config
from repronet.config.build_weights import with_old_classes
from repronet.config.compose import checked
from repronet.config.schema_commands import PRETRAINED
from repronet.errors import UserError, in_one_line
from repronet.runs.atomic import write_whole
from repronet.runs.processes import Place
from repronet.runs.stopping import StopSwitch
from repronet.session.console import log_to_file, quiet_lightning, remembered
from repronet.session.faults import command, explained
from repronet.session.forgetting import old_task
from repronet.session.processes import Peers, peers_of
from repronet.session.run_summary import announce, make_result, report
from repronet.session.trainer import Resumed, make_session, require_loggers
from repronet.training.callbacks.history import History
from repronet.training.callbacks.tensorboard import add_hyperparameters, draw
from repronet.training.checkpoints import load_weights, position_in, read_checkpoint
from repronet.training.metrics import TOP5_SHOWN

log = logging.getLogger("repronet.train")
OLD = "ecba6cd"  # the last commit whose runs can be read but not resumed


def train(config: DictConfig, console: Console, prepare: Callable[[nn.Module], None] | None = None) -> dict[str, Any]:
    """Train and test ``config`` in a new run folder; returns the content of ``result.json`` plus ``run_dir``.

    Args:
        prepare: called with the network before training; the run folder does not record it.

    Raises:
        UserError: if the config's parts do not fit each other or the data cannot be had; no folder is made then.
        Fault: if something fails during the run; the message has the command that resumes it.
        KeyboardInterrupt: on Ctrl-C, SIGTERM and SIGUSR1, with that command.
    """
    switch = StopSwitch()
    with switch.listening(), peers_of(config) as peers:
        with remembered() as said:
            require_loggers(config)
            config = with_old_classes(with_absolute_root(config))
            parts = assemble(config, processes=peers.place.size)
            if prepare is not None:
                prepare(parts.task.network)
        folder = runs.folder_for(config.run_dir, run_name(config), config.seed)
        write_config(config, folder)
        return _run(config, parts, folder, console, switch, peers, said)


def resume(
    folder: Path, console: Console, changed: Sequence[str] = (), callbacks: Sequence[pl.Callback] = ()
) -> dict[str, Any]:
    """Resume the run in ``folder`` from its latest undamaged checkpoint, or from the start if it has none.

    Args:
        changed: overrides of the keys in :data:`repronet.config.schema_trainer.ELSEWHERE`, and of data.root.
        callbacks: additional callbacks, called after those of every run.

    Raises:
        UserError: if there is no run, it has ended, or another process is running it.
        Fault, KeyboardInterrupt: as :func:`train`.
    """
    if (folder / runs.RESULT).exists():
        raise UserError(
            f"resume={folder}: the run has ended; its results are in {runs.RESULT}; to train longer, "
            "start a new run with a larger trainer.max_epochs"
        )
    switch = StopSwitch()
    with switch.listening():
        with remembered() as said:
            resumed = newest_whole(folder)
            if resumed is None:
                config = written_config(runs.require_run(folder, runs.CONFIG, "resume"))
            else:
                config = checked("train", OmegaConf.create(resumed.config))
            merged = OmegaConf.merge(config, OmegaConf.from_dotlist(list(changed)))
            config = checked("train", merged)  # type: ignore[arg-type]
            require_loggers(config)
        with peers_of(config) as peers:
            with remembered() as more:
                if resumed is not None and resumed.processes == peers.place.size:
                    take_threads(resumed.threads, config)
                parts = assemble(config, begins=resumed is None, processes=peers.place.size)
            return _run(config, parts, folder, console, switch, peers, [*said, *more], resumed, callbacks)


def newest_whole(folder: Path) -> Resumed | None:
    """The checkpoint to resume from: the last one, or if it is missing or damaged, the best; None if there is none."""
    there = [folder / name for name in (runs.LAST, runs.BEST) if (folder / name).exists()]
    damage = []
    for path in there:
        try:
            content = read_checkpoint(path)
        except UserError as error:
            damage.append(str(error))
            continue
        if path.name != Path(runs.LAST).name:
            lost = damage[0] if damage else f"{folder / runs.LAST} is missing"
            log.warning(f"{lost}; resuming from {path.name}, after epoch {position_in(content)['epochs']}")
        if "repronet" not in content:  # started before training used Lightning's own loop
            before = f"of repronet 0.1.0 before its training loop changed (commit {OLD})"
            raise UserError(f"{path}: {before}; resume it there")
        ours = content["repronet"]
        threads, processes = ours["threads"], ours.get("processes", 1)
        logged = ours.get("logged", {})
        return Resumed(path, content["global_step"], ours["position"], threads, ours["config"], logged, processes)
    if damage:
        raise UserError(f"{'; '.join(damage)}; remove {folder / 'checkpoints'} to start the run again")
    return None


def take_threads(threads: int, config: DictConfig) -> None:
    """Use as many threads as the run began with, since another number would add in another order."""
    if config.trainer.threads is None and threads != torch.get_num_threads():
        log.info(f"computing with {threads} thread{'s' if threads > 1 else ''}, as the run began")
        torch.set_num_threads(threads)


def with_absolute_root(config: DictConfig) -> DictConfig:
    """Make the paths of data, weights and generator absolute, so that the run can be resumed from any folder."""
    paths = {key: config.data.get(key) for key in ("root", "file")}
    found: dict[str, Any] = {
        "data": {key: str(Path(path).expanduser().resolve()) for key, path in paths.items() if path is not None}
    }
    for key in ("weights", "judge"):
        if config.get(key) not in (None, PRETRAINED) and Path(config[key]).expanduser().exists():
            found[key] = str(Path(config[key]).expanduser().resolve())
    if "augmentation" in config and config.augmentation.generator is not None:
        found["augmentation"] = {"generator": str(Path(config.augmentation.generator).expanduser().resolve())}
    return OmegaConf.merge(config, found)  # type: ignore[return-value]


def write_config(config: DictConfig, folder: Path) -> None:
    """Write the config into the run folder; a run without a checkpoint is resumed from it."""
    write_whole(folder / runs.CONFIG, OmegaConf.to_yaml(config).encode())


def _run(
    config: DictConfig,
    parts: Parts,
    folder: Path,
    console: Console,
    switch: StopSwitch,
    peers: Peers,
    said: Sequence[logging.LogRecord],
    resumed: Resumed | None = None,
    callbacks: Sequence[pl.Callback] = (),
) -> dict[str, Any]:
    with runs.locked(folder), log_to_file(folder / runs.LOG, said), peers.settling():
        runs.sweep(folder)
        announce(config, parts, folder)
        quiet_lightning()
        parts.task.save_hyperparameters({}, logger=False)  # the run's config goes to the loggers instead
        mended = plugins.naming_parts(f"; once it is fixed, resume with: {command(folder, config)}")
        if peers.several:
            _invite(peers, config, parts, folder, resumed)
        with mended, explained(config, folder, switch), closing(parts.data), switch.deferring():
            session = make_session(config, parts, folder, console, switch, peers.place, resumed)
            session.trainer.callbacks.extend(callbacks)  # type: ignore[attr-defined]
            _fit(session.trainer, parts, resumed)
            test_seconds = _test(session.trainer, parts, folder, session.history)
            parts.data.trainer = None  # the rest is done by this process alone
            # Imported only after the training, so that it need not wait for matplotlib.
            from repronet.session.evaluation import answers_of, draw_pictures, draw_words, write_figures
            from repronet.training.callbacks.evaluation_plots import draw_evaluation

            answers = answers_of(parts)
            if config.trainer.board == "full":
                split = "validation" if parts.data.test is None else "test"
                if not answers.multilabel:
                    draw_evaluation(session.trainer, parts.task, parts.data, answers, split)
                draw_pictures(folder, answers, parts, run_name(config))
                draw_words(session.trainer, folder, parts, run_name(config))
        result = make_result(config, parts, session.history, session.trainer, test_seconds)
        result["fingerprint"] = session.fingerprint.content if session.fingerprint.steps else None
        found = write_figures(folder, answers, parts.data.classes)
        result["class_means"] = means(found)
        result["calibration_error"] = reliability(answers.likely, answers.labels).error
        result["old_task"] = None
        try:
            result["old_task"] = old_task(config, parts)
        except Exception as error:  # must not lose the trained network's result
            log.warning(f"the error on the old task could not be measured: {in_one_line(error)}")
        _draw_hyperparameters(session.trainer, config, result)
        if parts.data.test is not None and not parts.task.multilabel:
            runs.write_confusion(folder, parts.data.classes, parts.task.evaluation.confusion.compute().tolist())
        runs.write_result(folder, result)
        report(result, folder, config, found)
    if switch.received is not None:  # this run has ended, but the runs that would follow must stop
        raise switch.interruption("the run had just ended")
    return {**result, "run_dir": str(folder)}


def _invite(peers: Peers, config: DictConfig, parts: Parts, folder: Path, resumed: Resumed | None) -> None:
    """Make the other processes build the run too, and connect to them."""
    peers.hint = f"; resume with: {command(folder, config)}"
    log.info(f"{peers.place.size} processes share every batch")
    checkpoint = None if resumed is None else str(resumed.path)
    given = {"config": plain(config), "folder": str(folder), "checkpoint": checkpoint}
    peers.tell("task", {**given, "plugins": plugins.given(config), "hint": peers.hint})
    peers.share(parts.data)
    peers.gather()


def train_share(
    config: DictConfig, parts: Parts, folder: Path, switch: StopSwitch, place: Place, checkpoint: Path | None
) -> None:
    """Train and test on a process other than the first, which writes nothing; from ``checkpoint`` if there is one.

    Raises:
        UserError, Fault, KeyboardInterrupt: as :func:`train`.
    """
    position = {"epochs": 0, "batches": 0}
    resumed = None if checkpoint is None else Resumed(checkpoint, 0, position, 0, {}, {}, place.size)
    with explained(config, folder, switch), closing(parts.data), switch.deferring():
        session = make_session(config, parts, folder, Console(quiet=True), switch, place, resumed)
        _fit(session.trainer, parts, resumed)
        _test(session.trainer, parts, folder, session.history)


def _draw_hyperparameters(trainer: pl.Trainer, config: DictConfig, result: Mapping[str, Any]) -> None:
    names = ("last_val_error", "best_val_error", "test_error")
    top5 = (
        f"{name}_top5"
        for name in names[1:]
        if f"{name}_top5" in result and len(result["test_error_by_class"]) >= TOP5_SHOWN
    )
    several = (name for name in ("best_val_map", "test_map") if name in result)
    errors = {key: result[key] for key in (*names, *top5, *several)}
    metrics = {key: float(error) for key, error in errors.items() if error is not None}
    draw(trainer, lambda writer: add_hyperparameters(writer, plain(config), metrics, result["steps"] + 1))
    for logger in trainer.loggers:
        logger.finalize("success")


def _fit(trainer: pl.Trainer, parts: Parts, resumed: Resumed | None) -> None:
    if resumed is not None:
        log.info(str(resumed))
    checkpoint = resumed.path if resumed else None
    trainer.fit(parts.task, datamodule=parts.data, ckpt_path=checkpoint, weights_only=True if resumed else None)


def _test(trainer: pl.Trainer, parts: Parts, folder: Path, history: History) -> float:
    """Load the best-validation weights and test them if there is a test split; returns the seconds of the test."""
    started = time.monotonic()
    if not trainer.fast_dev_run:  # type: ignore[attr-defined]  # which saves nothing
        epoch, best = position_in(load_weights(parts.task, folder / runs.BEST))["epochs"], history.best["epoch"]
        if epoch != best:
            raise UserError(f"{folder / runs.BEST}: holds epoch {epoch}, but epoch {best} was best; was it replaced?")
    if parts.data.test is None:
        return 0.0
    trainer.test(parts.task, datamodule=parts.data, verbose=False)
    return time.monotonic() - started
