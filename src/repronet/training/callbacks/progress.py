"""One plain line per epoch, in the log and above Lightning's progress bar."""

from __future__ import annotations

import logging
import time
from typing import Any, ClassVar

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar

from repronet.terminal import WIDTH
from repronet.training.callbacks.history import EpochRow, History
from repronet.training.module import ImageClassifier

log = logging.getLogger("repronet.progress")


def epoch_line(row: EpochRow, epochs: int, rate: float, left: float) -> str:
    """One epoch in 80 columns, with the top-5 error if it is also counted in training."""
    error = "error -" if row["val_error"] is None else f"error {row['val_error']:6.2%}"
    if row["train_error_top5"] is not None and row["val_error"] is not None:
        error = f"{row['val_error']:.1%} top-5 {row['val_error_top5']:.1%}"
    if (mean_precision := row.get("val_map")) is not None:
        error = f"mAP {mean_precision:.4f}"
    loss = f"{row['train_loss']:.{4 if row['train_loss'] < 10 else 2}f}"
    line = (
        f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}  step {row['step']:>5}  "
        f"loss {loss}  val {error}  {rate:>5,.0f} img/s  {_clock(left)} left"
    )
    return line if len(line) <= WIDTH else " ".join(line.split())


def _clock(seconds: float) -> str:
    if seconds < 3_600:
        minutes, rest = divmod(int(seconds), 60)
        return f"{minutes:02}:{rest:02}"
    return f"{seconds / 3_600:.1f} h" if seconds < 36_000 else f"{seconds / 3_600:.0f} h"


class Bar(TQDMProgressBar):
    """Lightning's progress bar with the training loss and validation error, within 80 columns."""

    SHOWN: ClassVar = {"train/loss": "loss", "val/error": "val error"}

    def __init__(self) -> None:
        super().__init__(refresh_rate=5)

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        found = super().get_metrics(trainer, pl_module)
        return {name: found[key] for key, name in self.SHOWN.items() if key in found}


class EpochLines(pl.Callback):
    """Logs epoch, step, loss, validation error, images per second and the time left."""

    def __init__(self, history: History):
        self.history = history
        self._started, self._first_step, self._images = 0.0, 0, 0
        self._before = 0  # images of this epoch that were already used before the run was resumed

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ImageClassifier)
        self._started, self._first_step, self._images = time.monotonic(), trainer.global_step, 0
        self._before = pl_module.train_metrics.sums()["count"]

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._before = 0  # not called first in a run that is resumed within an epoch

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ImageClassifier)
        self._images += pl_module.train_metrics.sums()["count"] - self._before
        spent, steps = time.monotonic() - self._started, trainer.global_step
        rest = trainer.estimated_stepping_batches - steps
        left = spent / max(steps - self._first_step, 1) * max(rest, 0)
        row, epochs = self.history.rows[-1], trainer.max_epochs or 0
        log.info(epoch_line(row, epochs, self._images / max(spent, 1e-9), left))
