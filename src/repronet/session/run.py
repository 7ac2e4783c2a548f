"""``repronet train``: from a checked config to a run folder with its result."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from repronet import runs
from repronet.config.build import Parts, assemble, recorded_config, run_name, written_config
from repronet.config.build_weights import with_old_classes
from repronet.errors import UserError
from repronet.functional.autotune import recorded_in
from repronet.runs.stopping import StopSwitch
from repronet.session.console import log_to_file, quiet_lightning, remembered
from repronet.session.faults import explained
from repronet.session.forgetting import old_task
from repronet.session.run_summary import announce, make_result, report
from repronet.training.callbacks.board import Board
from repronet.training.callbacks.checkpoints import BestAndLast
from repronet.training.callbacks.curves import Curves, add_hyperparameters
from repronet.training.callbacks.evaluation_plots import add_findings
from repronet.training.callbacks.gradient_norms import SELDOM, GradientNorms
from repronet.training.callbacks.inputs_and_graph import Pictures
from repronet.training.callbacks.patience import Patience
from repronet.training.callbacks.progress import TrainingProgress
from repronet.training.callbacks.recorder import EpochRecorder
from repronet.training.callbacks.snapshots import Snapshots
from repronet.training.checkpoints import WholeFiles, load_weights, read_checkpoint

log = logging.getLogger("repronet.train")


@dataclass(frozen=True)
class Session:
    """A trainer with what it writes to."""

    trainer: pl.Trainer
    recorder: EpochRecorder
    board: Board
    epoch_board: Board


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
        raise UserError(f"resume={folder}: the run has ended; its figures stand in {runs.RESULT}")
    switch = StopSwitch()
    with switch.listening():
        with remembered() as said:
            checkpoint = _newest_whole(folder)
            if checkpoint is None:
                config = written_config(runs.require_run(folder, runs.CONFIG, "resume"))
            else:
                config = recorded_config(checkpoint)
                _take_threads(checkpoint, config)
            parts = assemble(config, begins=checkpoint is None)
        return _run(config, parts, folder, console, switch, said, checkpoint)


def _newest_whole(folder: Path) -> Path | None:
    """The checkpoint to go on from: the last one, or if that is damaged the best; None where there is none.

    Raises:
        UserError: when there are some and all are damaged.
    """
    there = [folder / name for name in (runs.LAST, runs.BEST) if (folder / name).exists()]
    damage = []
    for path in there:
        try:
            position = read_checkpoint(path)["position"]
        except UserError as error:
            damage.append(str(error))
            continue
        if path.name != Path(runs.LAST).name:
            lost = damage[0] if damage else f"{folder / runs.LAST} is missing"
            log.warning(f"{lost}; going on from {path.name}, after epoch {position['epochs']}")
        return path
    if damage:
        raise UserError(f"{'; '.join(damage)}; remove {folder / 'checkpoints'} to begin the run again")
    return None


def _take_threads(checkpoint: Path, config: DictConfig) -> None:
    """As many threads as the run began with: another number adds in another order."""
    threads = read_checkpoint(checkpoint)["threads"]
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
    checkpoint: Path | None = None,
) -> dict[str, Any]:
    with runs.locked(folder), log_to_file(folder / runs.LOG, said), recorded_in(folder / runs.ALGORITHMS):
        runs.sweep(folder)
        announce(config, parts, folder)
        session = make_session(config, parts, folder, console, switch, checkpoint)
        with explained(config, folder, switch), closing(parts.data), switch.deferring():
            _fit(session.trainer, parts, checkpoint)
            test_seconds = _test(session.trainer, parts, folder, session.recorder)
            if config.trainer.board == "full":
                add_findings(session.board, parts.task, parts.data, session.recorder.rows[-1]["step"] + 1)
        result = make_result(config, parts, session.recorder, session.trainer, test_seconds)
        result["old_task"] = old_task(config, parts)
        add_hyperparameters(session.board, OmegaConf.to_container(config, resolve=True), result)  # type: ignore[arg-type]
        session.board.close()
        session.epoch_board.close()
        if parts.data.test is not None:
            runs.write_confusion(folder, parts.data.classes, parts.task.evaluation.confusion.compute().tolist())
        runs.write_result(folder, result)
        report(result, folder)
    if switch.received is not None:  # too late for this run, but not for those after it
        raise switch.interruption("the run had just ended")
    return {**result, "run_dir": str(folder)}


def make_session(
    config: DictConfig,
    parts: Parts,
    folder: Path,
    console: Console,
    switch: StopSwitch,
    checkpoint: Path | None = None,
) -> Session:
    """The Trainer with everything that watches it."""
    quiet_lightning()
    recorder = EpochRecorder(folder)
    # A resumed run drops from its curves what was written after the checkpoint that it starts from. What is dropped is
    # named by one number, so curves over steps and curves over epochs cannot share a TensorBoard run.
    step, epoch = _purged(checkpoint) if checkpoint else (0, 0)
    drawn = config.trainer.board != "none"
    board = Board(folder if drawn else None, step)
    epoch_board = Board(folder / runs.BY_EPOCH if drawn else None, epoch)
    every = config.trainer.log_every_n_steps
    curves = Curves(board, epoch_board, recorder, every)
    patience = [Patience(recorder, config.trainer.patience)] if config.trainer.patience else []
    pictures = [GradientNorms(board, SELDOM * every), Pictures(board, parts.vendor_twin), Snapshots(board)]
    trainer = pl.Trainer(
        max_epochs=config.trainer.max_epochs,
        accelerator=config.trainer.accelerator,
        precision=config.trainer.precision,
        deterministic=config.deterministic,
        devices=config.trainer.devices,
        default_root_dir=folder,
        logger=False,  # our callbacks write to TensorBoard themselves
        plugins=[WholeFiles()],
        callbacks=[
            recorder,  # first: the others read its row
            *patience,
            TrainingProgress(recorder, console),
            curves,
            *(pictures if config.trainer.board == "full" else ()),
            BestAndLast(folder, recorder, curves, switch, config.trainer.save_minutes),
        ],
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    return Session(trainer, recorder, board, epoch_board)


def _purged(checkpoint: Path) -> tuple[int, int]:
    """The first step and the first epoch whose points a run that goes on from there draws again."""
    content = read_checkpoint(checkpoint)
    position = content["position"]
    return content["global_step"] + (position["steps"] == 0), position["epochs"] + 1


def _fit(trainer: pl.Trainer, parts: Parts, checkpoint: Path | None) -> None:
    if checkpoint is not None:
        position = read_checkpoint(checkpoint)["position"]
        within = f", step {position['steps']} of the next" if position["steps"] else ""
        log.info(f"going on after epoch {position['epochs']}{within}")
    trainer.fit(parts.task, datamodule=parts.data, ckpt_path=checkpoint, weights_only=bool(checkpoint) or None)


def _test(trainer: pl.Trainer, parts: Parts, folder: Path, recorder: EpochRecorder) -> float:
    """Test the best-validation weights, where there is a test split; returns the seconds."""
    if parts.data.test is None:
        return 0.0
    started = time.monotonic()
    epoch, best = load_weights(parts.task, folder / runs.BEST)["position"]["epochs"], recorder.best["epoch"]
    if epoch != best:
        raise UserError(f"{folder / runs.BEST}: holds epoch {epoch}, but epoch {best} was best; was it replaced?")
    trainer.test(parts.task, datamodule=parts.data, verbose=False)
    return time.monotonic() - started
