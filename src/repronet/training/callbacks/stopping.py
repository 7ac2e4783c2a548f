"""Early stopping, when the validation error has not fallen for some epochs."""

from __future__ import annotations

import logging

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping

from repronet.training.callbacks.history import History

log = logging.getLogger("repronet.train")


class Patience(EarlyStopping):
    """Lightning's early stopping on ``val/error``; a run that is resumed after the decision to stop stops again.

    With several labels per image, it monitors ``val/map``.
    """

    def __init__(self, validations: int, history: History, multilabel: bool = False):
        monitor, mode = ("val/map", "max") if multilabel else ("val/error", "min")
        super().__init__(monitor, patience=validations, mode=mode, check_finite=False)
        self.history = history

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.wait_count >= self.patience:
            trainer.should_stop = True

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.stopped_epoch:
            best = self.history.best["epoch"]
            log.info(f"stopping after epoch {self.stopped_epoch + 1}: epoch {best} was the best")
