"""``repronet train``: from a checked config to a run folder with its result."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from repronet import runs
from repronet.callbacks.checkpoints import BestAndLast
from repronet.callbacks.curves import Curves, add_hyperparameters
from repronet.callbacks.pictures import Pictures
from repronet.callbacks.progress import TrainingProgress
from repronet.callbacks.recorder import EpochRecorder
from repronet.checkpoints import load_weights, read_checkpoint
from repronet.cli.build import Parts, assemble, recorded_config, run_name, written_config
from repronet.cli.console import interruptible, log_to_file, quiet_lightning
from repronet.cli.result import announce, make_result, report, resume_hint
from repronet.errors import UserError
from repronet.functional.choice import recorded_in

log = logging.getLogger("repronet.train")


@dataclass(frozen=True)
class Session:
    """A trainer with what it writes to."""

    trainer: pl.Trainer
    recorder: EpochRecorder
    writer: SummaryWriter
    epoch_writer: SummaryWriter


def train(config: DictConfig, console: Console) -> dict[str, Any]:
    """Run ``config`` in a run folder of its own and return the result that stands there, with ``run_dir`` added.

    Raises:
        UserError: when the config's parts do not fit each other or the data cannot be had; no folder is made then.
        KeyboardInterrupt: on Ctrl-C, with the command that goes on.
    """
    config = _with_absolute_root(config)
    parts = assemble(config)
    folder = _folder(config)
    runs.write_atomically(folder / runs.CONFIG, OmegaConf.to_yaml(config))
    return _fit_and_test(config, parts, folder, console)


def resume(folder: Path, console: Console) -> dict[str, Any]:
    """Go on with the run in ``folder`` from the end of its last finished epoch, or from its start when it has none.

    Raises:
        UserError: when there is no run, when it has ended, or when another process is at work on it.
    """
    if (folder / runs.RESULT).exists():
        raise UserError(f"resume={folder}: the run has ended; its figures stand in {runs.RESULT}")
    if (folder / runs.LAST).exists():
        checkpoint = folder / runs.LAST
        config = recorded_config(checkpoint)
    else:
        checkpoint = None
        config = written_config(runs.require_run(folder, runs.CONFIG, "resume"))
    return _fit_and_test(config, assemble(config), folder, console, checkpoint)


def _with_absolute_root(config: DictConfig) -> DictConfig:
    """The config with ``data.root`` absolute, so that the run can be evaluated from any folder."""
    if config.data.root is None:
        return config
    root = str(Path(config.data.root).expanduser().resolve())
    return OmegaConf.merge(config, {"data": {"root": root}})  # type: ignore[return-value]


def _folder(config: DictConfig) -> Path:
    if config.run_dir is not None:
        return runs.claim_run_folder(Path(config.run_dir).expanduser())
    return runs.new_run_folder(Path("runs") / run_name(config), config.seed)


def _fit_and_test(
    config: DictConfig, parts: Parts, folder: Path, console: Console, checkpoint: Path | None = None
) -> dict[str, Any]:
    with runs.locked(folder), log_to_file(folder / runs.LOG), recorded_in(folder / runs.ALGORITHMS):
        announce(config, parts, folder)
        session = make_session(config, parts, folder, console, checkpoint)
        with closing(parts.data), interruptible(session.trainer, resume_hint(folder)):
            _fit(session.trainer, parts, checkpoint)
            test_seconds = _test(session.trainer, parts, folder, session.recorder)
        result = make_result(config, parts, session.recorder, session.trainer, test_seconds)
        add_hyperparameters(session.writer, OmegaConf.to_container(config, resolve=True), result)  # type: ignore[arg-type]
        session.writer.close()
        session.epoch_writer.close()
        runs.write_result(folder, result)
        report(result, folder)
    return {**result, "run_dir": str(folder)}


def make_session(
    config: DictConfig, parts: Parts, folder: Path, console: Console, checkpoint: Path | None = None
) -> Session:
    """The Trainer with everything that watches it."""
    quiet_lightning()
    recorder = EpochRecorder(folder)
    # A resumed run drops from its curves what was written after the checkpoint that it starts from. What is dropped is
    # named by one number, so curves over steps and curves over epochs cannot share a TensorBoard run.
    content = read_checkpoint(checkpoint) if checkpoint else None
    writer = SummaryWriter(folder, purge_step=content["global_step"] + 1 if content else 0)
    epoch_writer = SummaryWriter(folder / runs.BY_EPOCH, purge_step=content["epoch"] + 2 if content else 0)
    trainer = pl.Trainer(
        max_epochs=config.trainer.max_epochs,
        accelerator=config.trainer.accelerator,
        precision=config.trainer.precision,
        devices=1,
        default_root_dir=folder,
        logger=False,  # our callbacks write to TensorBoard themselves
        callbacks=[
            recorder,  # first: the others read its row
            TrainingProgress(recorder, console),
            Curves(writer, epoch_writer, recorder, config.trainer.log_every_n_steps),
            Pictures(writer, parts.vendor_twin),
            BestAndLast(folder, recorder),
        ],
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    return Session(trainer, recorder, writer, epoch_writer)


def _fit(trainer: pl.Trainer, parts: Parts, checkpoint: Path | None) -> None:
    if checkpoint is not None:
        log.info("going on after epoch %d", read_checkpoint(checkpoint)["epoch"] + 1)
    trainer.fit(parts.task, datamodule=parts.data, ckpt_path=checkpoint, weights_only=bool(checkpoint) or None)


def _test(trainer: pl.Trainer, parts: Parts, folder: Path, recorder: EpochRecorder) -> float:
    """Test the best-validation weights, where there is a test split; returns the seconds."""
    if parts.data.test is None:
        return 0.0
    started = time.monotonic()
    epoch, best = load_weights(parts.task, folder / runs.BEST), recorder.best["epoch"]
    if epoch != best:
        raise UserError(f"{folder / runs.BEST}: holds epoch {epoch}, but epoch {best} was best; was it replaced?")
    trainer.test(parts.task, datamodule=parts.data, verbose=False)
    return time.monotonic() - started
