"""Progress: a live bar on a terminal, one plain line an epoch everywhere else and in the log."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from repronet.training.callbacks.recorder import EpochRecorder, EpochRow
from repronet.training.module import ImageClassifier

log = logging.getLogger("repronet.progress")


def epoch_line(row: EpochRow, epochs: int, rate: float, left: float) -> str:
    """One epoch in under 80 columns."""
    return (
        f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}  step {row['step']:>5}  "
        f"loss {row['train_loss']:.4f}  val error {row['val_error']:6.2%}  "
        f"{rate:>5,.0f} img/s  {_clock(left)} left"
    )


def _clock(seconds: float) -> str:
    whole = str(timedelta(seconds=round(seconds)))
    return whole.removeprefix("0:")


class _TimeLeft(ProgressColumn):
    def render(self, task: Task) -> Text:
        left = task.fields.get("left")
        return Text("" if left is None else f"{_clock(left)} left", style="cyan")


class TrainingProgress(pl.Callback):
    """Shows epoch, step, loss, validation error, images a second and the time left.

    The bar is drawn only when ``console`` is a terminal; the plain lines go to the log in both cases, and the log's
    console handler shows them only when there is no bar.
    """

    def __init__(self, recorder: EpochRecorder, console: Console):
        self.recorder = recorder
        self.console = console
        self.bar: Progress | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ImageClassifier)
        self._started, self._first_step = time.monotonic(), trainer.global_step
        self._steps = pl_module.steps_per_epoch * (trainer.max_epochs or 1)
        self._images = 0
        if not self.console.is_terminal or self.console.is_dumb_terminal:
            return
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=None),
            TextColumn("step {task.completed:.0f}"),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("val error {task.fields[val]}"),
            TextColumn("{task.fields[rate]} img/s"),
            _TimeLeft(),
            console=self.console,
            transient=True,
        )
        self._task = self.bar.add_task(
            "", total=self._steps, completed=self._first_step, epoch="-", loss="-", val="-", rate="-", left=None
        )
        self.bar.start()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self._images += sum(len(labels) for _, labels in batch)
        if self.bar is None or not batch:
            return
        assert isinstance(pl_module, ImageClassifier)
        self.bar.update(
            self._task,
            completed=trainer.global_step,
            epoch=f"{trainer.current_epoch + 1}/{trainer.max_epochs}",
            loss=f"{pl_module.running.compute()['loss']:.4f}",
            rate=f"{self._rate():,.0f}",
            left=self._left(trainer),
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        row = self.recorder.rows[-1]
        if self.bar is not None:
            self.bar.update(self._task, val=f"{row['val_error']:.2%}")
        log.info(epoch_line(row, trainer.max_epochs or 0, self._rate(), self._left(trainer)))

    def _rate(self) -> float:
        return self._images / max(time.monotonic() - self._started, 1e-9)

    def _left(self, trainer: pl.Trainer) -> float:
        done = trainer.global_step - self._first_step
        spent = time.monotonic() - self._started
        return spent / max(done, 1) * max(self._steps - trainer.global_step, 0)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._close()
