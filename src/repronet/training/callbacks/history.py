"""One row per epoch, in ``history.csv`` and in the checkpoint, so that a resumed run continues the table."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import pytorch_lightning as pl

from repronet.runs import write_history
from repronet.runs.environment import git_commit
from repronet.training.metrics import to_be_low
from repronet.training.module import ImageClassifier


class EpochRow(TypedDict):
    """One finished epoch. Errors are fractions from 0 to 1; None without validation. The top-5 errors are also None for
    several labels per image, in training with fewer than 20 classes, and in validation with fewer than 6.
    """

    epoch: int  # counted from 1
    step: int  # optimizer steps since the start of the run
    train_loss: float
    train_error: float
    train_error_top5: float | None
    val_loss: float | None
    val_error: float | None
    val_error_top5: float | None
    val_map: NotRequired[float | None]  # mean average precision, where an image may have several labels
    lr: float  # of the epoch's last step
    seconds: float  # of training and validation since the start of the run


def to_be_low_in(row: EpochRow) -> float:
    """The figure that selects the best epoch among validated ones; lower is better."""
    map_ = row.get("val_map")
    return to_be_low({"error": row["val_error"] or 0.0} | ({} if map_ is None else {"map": map_}))


class Rows(pl.Callback):
    """Keeps one row per epoch, for ``history.csv`` and the checkpoint.

    Attributes:
        commits: commits of repronet: the one that the run started with, and any others that it was resumed with.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.rows: list[Any] = []
        self.commits = [git_commit() or "unknown"]
        self._seconds_before = 0.0
        self._started = time.monotonic()

    @property
    def best(self) -> Any:
        """The row of the epoch whose weights are kept as the best."""
        return self.rows[-1]

    @property
    def seconds(self) -> float:
        """The time spent on training and validation, including earlier parts of a resumed run."""
        return self._seconds_before + time.monotonic() - self._started

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        return {"rows": [dict(row) for row in self.rows], "seconds": self.seconds, "commits": self.commits}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows = [dict(row) for row in state_dict["rows"]]
        self._seconds_before = state_dict["seconds"]
        self.commits = list(dict.fromkeys([*state_dict["commits"], *self.commits]))


class History(Rows):
    """Collects an :class:`EpochRow` at the end of every epoch.

    Training figures are measured during the epoch, with augmentation; validation figures after the epoch.

    Attributes:
        validated_images: number of images in the latest validation.
    """

    rows: list[EpochRow]

    def __init__(self, folder: Path):
        super().__init__(folder)
        self._rate = 0.0
        self._validated: dict[str, float] = {}  # of this epoch
        self.validated_images = 0

    @property
    def best(self) -> EpochRow:
        """The row with the lowest validation error, or the highest mean average precision; of equal rows, the earliest.
        Without validation, the last row.
        """
        validated = [row for row in self.rows if row["val_error"] is not None]
        return min(validated, key=to_be_low_in) if validated else self.rows[-1]

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int):
        self._rate = trainer.optimizers[0].param_groups[-1]["lr"]  # the head's rate, if stages have different rates

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ImageClassifier)
        if not trainer.sanity_checking:
            self._validated = pl_module.evaluation.compute()
            self.validated_images = int(pl_module.evaluation.figures.count)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ImageClassifier)
        train = pl_module.train_metrics.compute()
        val, self._validated = self._validated, {}
        self.rows.append(
            EpochRow(
                epoch=trainer.current_epoch + 1,
                step=trainer.global_step,
                train_loss=train["loss"],
                train_error=train["error"],
                train_error_top5=train.get("error_top5"),
                val_loss=val.get("loss"),
                val_error=val.get("error"),
                val_error_top5=val.get("error_top5"),
                lr=self._rate,
                seconds=round(self.seconds, 3),
            )
        )
        if pl_module.multilabel:
            self.rows[-1]["val_map"] = val.get("map")
        if trainer.is_global_zero:
            write_history(self.folder, self.rows)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "validated": self._validated, "validated_images": self.validated_images}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict(state_dict)
        self._validated, self.validated_images = state_dict["validated"], state_dict["validated_images"]
