"""The curves of a run in TensorBoard: loss, error and rate, over steps and over epochs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from repronet.callbacks.recorder import EpochRecorder
from repronet.task import ImageClassifier

# One chart each for loss and error, training beside validation: the gap between them is what one looks for.
LAYOUT = {
    "training and validation": {
        "loss": ["Multiline", ["loss/train", "loss/val"]],
        "error": ["Multiline", ["error/train", "error/val"]],
    }
}


class Curves(pl.Callback):
    """Writes the training loss, error and rate every ``every`` steps, and all figures at the end of each epoch.

    A training point is the mean over the steps since the point before it, so the curve is smoothed by nothing but the
    distance between its points. With chunks of several batches a point comes at the end of the chunk that holds it; the
    last steps of an epoch make a point of their own.

    Args:
        writer: takes the curves over optimizer steps.
        epoch_writer: takes the same figures over epochs.
    """

    def __init__(self, writer: SummaryWriter, epoch_writer: SummaryWriter, recorder: EpochRecorder, every: int):
        self.writer = writer
        self.epoch_writer = epoch_writer
        self.recorder = recorder
        self.every = every

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for writer in (self.writer, self.epoch_writer):
            writer.add_custom_scalars(LAYOUT)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._restart(trainer)

    def _restart(self, trainer: pl.Trainer, loss: float = 0.0, wrong: int = 0, count: int = 0) -> None:
        self._step, self._loss, self._wrong, self._count = trainer.global_step, loss, wrong, count

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if trainer.global_step - self._step >= self.every:
            self._add_point(trainer, pl_module)

    def _add_point(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ImageClassifier)
        running, step = pl_module.running, trainer.global_step
        loss, wrong, count = float(running.loss), int(running.wrong), running.count
        images = count - self._count
        self.writer.add_scalar("loss/train", (loss - self._loss) / images, step)
        self.writer.add_scalar("error/train", (wrong - self._wrong) / images, step)
        self.writer.add_scalar("rate", pl_module.last_lr, step)
        self._restart(trainer, loss, wrong, count)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step > self._step:
            self._add_point(trainer, pl_module)
        row: dict[str, Any] = {**self.recorder.rows[-1]}
        for figure in ("loss", "error"):
            self.writer.add_scalar(f"{figure}/val", row[f"val_{figure}"], row["step"])
            for split in ("train", "val"):
                self.epoch_writer.add_scalar(f"{figure}/{split}", row[f"{split}_{figure}"], row["epoch"])
        for writer in (self.writer, self.epoch_writer):
            writer.flush()


def add_hyperparameters(writer: SummaryWriter, config: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """The config as TensorBoard hyperparameters, with the errors as the metrics that runs are compared by."""
    metrics = {
        f"hparams/{key}": float(result[key])
        for key in ("last_val_error", "best_val_error", "test_error")
        if result[key] is not None
    }
    events = writer.file_writer
    assert events is not None  # it is None only after close()
    for summary in hparams(_flat(config), metrics):
        events.add_summary(summary)  # SummaryWriter.add_hparams would open a run of its own for them
    for name, value in metrics.items():
        writer.add_scalar(name, value, result["steps"])


def _flat(config: Mapping[str, Any], path: str = "") -> dict[str, str | float | bool]:
    flat: dict[str, str | float | bool] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{path}{key}.")
        else:
            flat[f"{path}{key}"] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat
