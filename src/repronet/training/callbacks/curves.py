"""The curves of a run in TensorBoard: loss, error and rate, over steps and over epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pytorch_lightning as pl
from tensorboard.plugins.hparams import plugin_data_pb2
from torch.utils.tensorboard.summary import hparams

from repronet.training.callbacks.board import Board
from repronet.training.callbacks.recorder import EpochRecorder
from repronet.training.module import ImageClassifier

# One chart each for loss and error, training beside validation: the gap between them is what one looks for.
LAYOUT = {
    "training and validation": {
        "loss": ["Multiline", ["loss/train", "loss/val"]],
        "error": ["Multiline", ["error/train", "error/val"]],
    }
}

# TensorBoard shows five hyperparameters, the first ones, unless asked for others.
COLUMNS = ("data.name", "model.name", "optimizer.lr", "seed", "trainer.max_epochs")


@dataclass(frozen=True)
class Since:
    """Where the latest point of the training curve stands: its step, and the epoch's sums up to it."""

    step: int = 0
    loss: float = 0.0
    wrong: int = 0
    count: int = 0


class Curves(pl.Callback):
    """Writes the training loss, error and rate every ``every`` steps, and all figures at the end of each epoch.

    A training point is the mean over the steps since the point before it, so the curve is smoothed by nothing but the
    distance between its points. With chunks of several batches a point comes at the end of the chunk that holds it; the
    last steps of an epoch make a point of their own.

    Args:
        writer: takes the curves over optimizer steps.
        epoch_writer: takes the same figures over epochs.
    """

    def __init__(self, writer: Board, epoch_writer: Board, recorder: EpochRecorder, every: int):
        self.writer = writer
        self.epoch_writer = epoch_writer
        self.recorder = recorder
        self.every = every
        self._since = Since()
        self._point: dict[str, float] = {}  # what is drawn at its step

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for writer in (self.writer, self.epoch_writer):
            writer.add_layout(LAYOUT)
        assert isinstance(pl_module, ImageClassifier)
        if pl_module.steps_done and self._since.step == trainer.global_step:
            # In the midst of an epoch everything from the checkpoint's own step on is purged: at an epoch's last step
            # more may stand there than the checkpoint knows of. So the point that it does know of is drawn again.
            self._draw_point()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ImageClassifier)
        if pl_module.steps_done == 0:  # else a resumed run, in the midst of an epoch
            self._since = Since(trainer.global_step, **pl_module.running.state_dict())

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        if batch and trainer.global_step - self._since.step >= self.every:
            self._add_point(trainer, pl_module)

    def _add_point(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ImageClassifier)
        running, since = pl_module.running, self._since
        images = running.count - since.count
        self._point = {
            "loss/train": (running.loss - since.loss) / images,
            "error/train": (running.wrong - since.wrong) / images,
            "rate": pl_module.last_lr,
        }
        self._since = Since(trainer.global_step, **running.state_dict())
        self._draw_point()

    def _draw_point(self) -> None:
        for tag, value in self._point.items():
            self.writer.add_scalar(tag, value, self._since.step)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step > self._since.step:
            self._add_point(trainer, pl_module)
        row: dict[str, Any] = {**self.recorder.rows[-1]}
        for figure in ("loss", "error"):
            self.writer.add_scalar(f"{figure}/val", row[f"val_{figure}"], row["step"])
            for split in ("train", "val"):
                self.epoch_writer.add_scalar(f"{figure}/{split}", row[f"{split}_{figure}"], row["epoch"])
        self.flush()

    def flush(self) -> None:
        """Hand everything to the system: what a checkpoint counts as drawn must not die with the process."""
        for writer in (self.writer, self.epoch_writer):
            writer.flush()

    def state_dict(self) -> dict[str, Any]:
        return {"since": asdict(self._since), "point": self._point}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._since, self._point = Since(**state_dict["since"]), state_dict["point"]


def add_hyperparameters(writer: Board, config: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """The config as TensorBoard hyperparameters, with the errors as the metrics that runs are compared by."""
    metrics = {
        f"hparams/{key}": float(result[key])
        for key in ("last_val_error", "best_val_error", "test_error")
        if result[key] is not None
    }
    experiment, *session = hparams(_flat(config), metrics)
    for summary in (_with_columns(experiment), *session):
        writer.add_summary(summary)
    for name, value in metrics.items():
        # A step behind the last: should the run be killed now and resumed, what stands behind its checkpoint goes.
        writer.add_scalar(name, value, result["steps"] + 1)


def _with_columns(experiment: Any) -> Any:
    """Have ``COLUMNS`` shown unasked: those that are said to differ between runs come first, the others by name."""
    metadata = experiment.value[0].metadata.plugin_data
    content = plugin_data_pb2.HParamsPluginData.FromString(metadata.content)  # type: ignore[attr-defined]
    for parameter in content.experiment.hparam_infos:
        parameter.differs = parameter.name in COLUMNS
    metadata.content = content.SerializeToString()
    return experiment


def _flat(config: Mapping[str, Any], path: str = "") -> dict[str, str | float | bool]:
    flat: dict[str, str | float | bool] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{path}{key}.")
        else:
            flat[f"{path}{key}"] = value if isinstance(value, (bool, int, float, str)) else str(value)
    return flat
