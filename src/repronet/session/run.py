"""``repronet train``: from a checked config to a run folder with its result."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from repronet import runs
from repronet.config import plugins
from repronet.config.build import Parts, assemble, plain, run_name, written_config
from repronet.config.build_weights import with_old_classes
from repronet.config.compose import checked
from repronet.errors import UserError
from repronet.functional.autotune import recorded_in
from repronet.runs.stopping import StopSwitch
from repronet.session.console import log_to_file, quiet_lightning, remembered
from repronet.session.faults import command, explained
from repronet.session.forgetting import old_task
from repronet.session.run_summary import announce, make_result, report
from repronet.session.trainer import Resumed, make_session, require_loggers
from repronet.training.callbacks.evaluation_plots import draw_evaluation
from repronet.training.callbacks.history import History
from repronet.training.callbacks.tensorboard import add_hyperparameters, draw
from repronet.training.checkpoints import config_in, load_weights, position_in, read_checkpoint
from repronet.training.metrics import TOP5_SHOWN

log = logging.getLogger("repronet.train")
OLD = "ecba6cd"  # the last commit whose runs cannot be resumed, but are read


def train(config: DictConfig, console: Console) -> dict[str, Any]:
    """Run ``config`` in a run folder of its own and return the result that stands there, with ``run_dir`` added.

    Raises:
        UserError: when the config's parts do not fit each other or the data cannot be had; no folder is made then.
        Fault: when something breaks on the way, with the command that goes on.
        KeyboardInterrupt: on Ctrl-C, SIGTERM and SIGUSR1, with that command.
    """
    switch = StopSwitch()
    with switch.listening():
        with remembered() as said:
            require_loggers(config)
            config = with_old_classes(with_absolute_root(config))
            parts = assemble(config)
        folder = _folder(config)
        write_config(config, folder)
        return _run(config, parts, folder, console, switch, said)


def resume(folder: Path, console: Console) -> dict[str, Any]:
    """Go on with the run in ``folder`` where its latest whole checkpoint stands, or from its start when it has none.

    Raises:
        UserError: when there is no run, when it has ended, or when another process is at work on it.
        Fault, KeyboardInterrupt: as :func:`train`.
    """
    if (folder / runs.RESULT).exists():
        raise UserError(
            f"resume={folder}: the run has ended; its figures stand in {runs.RESULT}; to train longer, "
            "begin a new run with a larger trainer.max_epochs"
        )
    switch = StopSwitch()
    with switch.listening():
        with remembered() as said:
            resumed = _newest_whole(folder)
            if resumed is None:
                config = written_config(runs.require_run(folder, runs.CONFIG, "resume"))
            else:
                config = checked("train", OmegaConf.create(resumed.config))
                _take_threads(resumed.threads, config)
            require_loggers(config)
            parts = assemble(config, begins=resumed is None)
        return _run(config, parts, folder, console, switch, said, resumed)


def _newest_whole(folder: Path) -> Resumed | None:
    """The checkpoint to go on from: the last one, or if that is damaged the best; None where there is none.

    Raises:
        UserError: when there are some and all are damaged.
    """
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
        if "repronet" not in content:  # begun before training went by Lightning's own loop
            before = f"of repronet 0.1.0 before its training loop changed (commit {OLD})"
            raise UserError(f"{path}: {before}; resume it there")
        ours = content["repronet"]
        config = config_in(content, path)
        return Resumed(path, content["global_step"], ours["position"], ours["threads"], config, ours.get("logged", {}))
    if damage:
        raise UserError(f"{'; '.join(damage)}; remove {folder / 'checkpoints'} to begin the run again")
    return None


def _take_threads(threads: int, config: DictConfig) -> None:
    """As many threads as the run began with: another number adds in another order."""
    if config.trainer.threads is None and threads != torch.get_num_threads():
        log.info(f"computing with {threads} thread{'s' if threads > 1 else ''}, as the run began")
        torch.set_num_threads(threads)


def with_absolute_root(config: DictConfig) -> DictConfig:
    """The config with ``data.root`` and a path in ``weights`` absolute: the run can be gone on with from any folder."""
    found = {}
    if config.data.root is not None:
        found["data"] = {"root": str(Path(config.data.root).expanduser().resolve())}
    if config.weights is not None and Path(config.weights).expanduser().exists():
        found["weights"] = str(Path(config.weights).expanduser().resolve())
    return OmegaConf.merge(config, found)  # type: ignore[return-value]


def write_config(config: DictConfig, folder: Path) -> None:
    """Leave the config in the run folder, from which a run can begin again that has no checkpoint yet."""
    runs.write_text(folder / runs.CONFIG, OmegaConf.to_yaml(config))


def _folder(config: DictConfig) -> Path:
    if config.run_dir is not None:
        return runs.claim_run_folder(Path(config.run_dir).expanduser())
    return runs.new_run_folder(Path("runs") / run_name(config), config.seed)


def _run(
    config: DictConfig,
    parts: Parts,
    folder: Path,
    console: Console,
    switch: StopSwitch,
    said: Sequence[logging.LogRecord],
    resumed: Resumed | None = None,
) -> dict[str, Any]:
    with runs.locked(folder), log_to_file(folder / runs.LOG, said), recorded_in(folder / runs.ALGORITHMS):
        runs.sweep(folder)
        announce(config, parts, folder)
        quiet_lightning()
        parts.task.save_hyperparameters({}, logger=False)  # the run's config goes to the loggers instead
        mended = plugins.naming_parts(f"; when it is mended, go on with: {command(folder, config)}")
        with mended, explained(config, folder, switch), closing(parts.data), switch.deferring():
            session = make_session(config, parts, folder, console, switch, resumed)
            _fit(session.trainer, parts, resumed)
            test_seconds = _test(session.trainer, parts, folder, session.history)
            if config.trainer.board == "full":
                draw_evaluation(session.trainer, parts.task, parts.data)
        result = make_result(config, parts, session.history, session.trainer, test_seconds)
        result["old_task"] = _old_task(config, parts)
        _draw_hyperparameters(session.trainer, config, result)
        if parts.data.test is not None:
            runs.write_confusion(folder, parts.data.classes, parts.task.evaluation.confusion.compute().tolist())
        runs.write_result(folder, result)
        report(result, folder, config)
    if switch.received is not None:  # too late for this run, but not for those after it
        raise switch.interruption("the run had just ended")
    return {**result, "run_dir": str(folder)}


def _old_task(config: DictConfig, parts: Parts) -> dict[str, Any] | None:
    """What is left of the task that the weights came from. That it cannot be measured loses no run."""
    try:
        return old_task(config, parts)
    except Exception as error:
        log.warning(f"what is left of the old task is not measured: {type(error).__name__}: {error}")
        return None


def _draw_hyperparameters(trainer: pl.Trainer, config: DictConfig, result: Mapping[str, Any]) -> None:
    names = ("last_val_error", "best_val_error", "test_error")
    top5 = (f"{name}_top5" for name in names[1:] if len(result["test_error_by_class"]) >= TOP5_SHOWN)
    errors = {key: result[key] for key in (*names, *top5)}
    metrics = {key: float(error) for key, error in errors.items() if error is not None}
    draw(trainer, lambda writer: add_hyperparameters(writer, plain(config), metrics, result["steps"] + 1))
    for logger in trainer.loggers:
        logger.finalize("success")


def _fit(trainer: pl.Trainer, parts: Parts, resumed: Resumed | None) -> None:
    if resumed is None:
        trainer.fit(parts.task, datamodule=parts.data)
        return
    log.info(str(resumed))
    trainer.fit(parts.task, datamodule=parts.data, ckpt_path=resumed.path, weights_only=True)


def _test(trainer: pl.Trainer, parts: Parts, folder: Path, history: History) -> float:
    """Test the best-validation weights, where there is a test split; returns the seconds."""
    if parts.data.test is None:
        return 0.0
    started = time.monotonic()
    if not trainer.fast_dev_run:  # type: ignore[attr-defined]  # which saves nothing
        epoch, best = position_in(load_weights(parts.task, folder / runs.BEST))["epochs"], history.best["epoch"]
        if epoch != best:
            raise UserError(f"{folder / runs.BEST}: holds epoch {epoch}, but epoch {best} was best; was it replaced?")
    trainer.test(parts.task, datamodule=parts.data, verbose=False)
    return time.monotonic() - started
