"""Two checkpoints per run: the best epoch so far, and the latest state, which may be within an epoch."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.loggers import MLFlowLogger, WandbLogger

from repronet import runs
from repronet.errors import UserError
from repronet.runs.atomic import write_whole
from repronet.runs.stopping import StopRequested, StopSwitch
from repronet.training import collective
from repronet.training.averaging import AverageWeights
from repronet.training.callbacks.history import Rows
from repronet.training.callbacks.nonfinite import first_bad_weight
from repronet.training.module import ImageClassifier

PATIENCE = 20.0  # seconds of training that a stop in validation may lose; else it waits for the end of the epoch


class BestAndLast(Checkpoint):
    """Writes ``best.ckpt`` when the latest epoch is the best one in the history, and ``last.ckpt`` after every epoch.

    ``last.ckpt`` is also written every ``minutes``, and before a run stops on request. The history decides which epoch
    is best and is stored in the checkpoints, so a run folder can be moved and its run resumed. Since it is a Lightning
    ``Checkpoint``, it is called after all other callbacks.

    Args:
        config: plain values that describe the run; stored in every checkpoint, so that a checkpoint is self-contained.
    """

    def __init__(self, folder: Path, config: dict[str, Any], history: Rows, switch: StopSwitch, minutes: float):
        self.folder = folder
        self.config = config
        self.history = history
        self.switch = switch
        self.seconds = 60 * minutes
        self._saved = time.monotonic()
        self._position = {"epochs": 0, "batches": 0}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved = time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs, batch, batch_idx) -> None:
        """Save if a checkpoint is due; stop if a stop was requested.

        After the last batch it does neither: validation belongs to the same epoch, and Lightning would skip it when it
        resumes from there.

        Raises:
            StopRequested: after the checkpoint is saved.
        """
        stop, due = self._agreed(time.monotonic() - self._saved >= self.seconds)
        if trainer.is_last_batch or not (stop or due):
            return
        if trainer.accumulate_grad_batches == 1 or (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
            self._position = {"epochs": trainer.current_epoch, "batches": batch_idx + 1}
            self._save(trainer, pl_module, runs.LAST)
            if stop:
                raise StopRequested

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._align(trainer, pl_module)

    def on_validation_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0) -> None:
        """Raises: StopRequested, when a stop was requested and little training would be lost."""
        stop, late = self._agreed(time.monotonic() - self._saved >= PATIENCE)
        if stop and not late:
            raise StopRequested

    def on_test_batch_start(self, trainer, pl_module, batch, batch_idx, dataloader_idx=0) -> None:
        """Raises: StopRequested, when a stop was requested."""
        if self._agreed()[0]:
            raise StopRequested

    def _agreed(self, *flags: bool) -> list[bool]:
        """Whether any process was asked to stop, and for each flag, whether any sets it; all processes must call it."""
        number, *said = collective.largest([self.switch.received or 0, *flags])
        self.switch.received = self.switch.received or number or None
        return [number > 0, *map(bool, said)]

    def _align(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Average the running statistics over processes, so that all evaluate and save the same ones."""
        averages = [found.average for found in trainer.callbacks if isinstance(found, AverageWeights)]  # type: ignore[attr-defined]
        for module in (pl_module, *averages):
            if module is not None:
                collective.average_statistics(module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._position = {"epochs": trainer.current_epoch + 1, "batches": 0}
        if self.history.rows[-1] is self.history.best:
            self._save(trainer, pl_module, runs.BEST)
            if trainer.is_global_zero:  # last after best: a kill in between repeats the epoch and loses nothing
                write_whole(self.folder / runs.LAST, (self.folder / runs.BEST).read_bytes())
        else:
            self._save(trainer, pl_module, runs.LAST)
        if self._agreed()[0] and trainer.current_epoch + 1 != trainer.max_epochs:
            raise StopRequested

    def _save(self, trainer: pl.Trainer, pl_module: pl.LightningModule, name: str) -> None:
        """Raises: UserError when the weights are no longer finite; the previous checkpoint is kept."""
        self._align(trainer, pl_module)
        classifies = isinstance(pl_module, ImageClassifier)
        bad = first_bad_weight(pl_module.network if classifies else pl_module)
        if bad:
            rate = "optimizer.lr" if classifies else "lr"
            raise UserError(f"{bad} is no longer finite after step {trainer.global_step}; lower {rate}")
        for logger in trainer.loggers:  # points that a checkpoint counts as logged must not be lost if the process dies
            logger.save()
            with suppress(Exception):  # not every logger has something to flush
                logger.experiment.flush()  # type: ignore[union-attr]
        trainer.save_checkpoint(self.folder / name)
        self._saved = time.monotonic()

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        services = [logger for logger in trainer.loggers if isinstance(logger, WandbLogger | MLFlowLogger)]
        at_work = [logger for logger in services if not getattr(logger, "failed", False)]
        checkpoint["repronet"] = {
            "config": self.config,
            "position": dict(self._position),
            "threads": torch.get_num_threads(),
            "processes": trainer.world_size,
            # The service's own ID of the run, with which a resumed run continues there instead of starting a new one.
            "logged": {type(logger).__name__: logger.version for logger in at_work},
        }
