"""Stopping early: when the validation error has not fallen for a while."""

from __future__ import annotations

import logging

import pytorch_lightning as pl

from repronet.training.callbacks.recorder import EpochRecorder

log = logging.getLogger("repronet.train")


class Patience(pl.Callback):
    """Ends the training after ``epochs`` epochs without a lower validation error.

    It asks the record alone, so a resumed run stops where it would have.
    """

    def __init__(self, recorder: EpochRecorder, epochs: int):
        self.recorder = recorder
        self.epochs = epochs

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._look(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._look(trainer)

    def _look(self, trainer: pl.Trainer) -> None:
        rows = self.recorder.rows
        if rows and rows[-1]["epoch"] - self.recorder.best["epoch"] >= self.epochs:
            trainer.should_stop = True
            if rows[-1]["epoch"] < (trainer.max_epochs or 0):
                log.info(f"stopping after epoch {rows[-1]['epoch']}: epoch {self.recorder.best['epoch']} was the best")
