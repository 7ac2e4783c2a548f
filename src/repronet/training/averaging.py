"""Averages of the weights along the way, which are validated, tested and kept in place of the latest ones."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch.optim.swa_utils import get_ema_multi_avg_fn


class AverageWeights(WeightAveraging):
    """Lightning's weight averaging, begun after a share of the run.

    Args:
        decay: w̄ ← decay · w̄ + (1 − decay) · w after every step, an exponential mean; None for the plain mean of all
            steps (Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992).
        start: share of the run's steps before the first that counts; until then the network itself is evaluated.
    """

    def __init__(self, decay: float | None = None, start: float = 0.0):
        super().__init__(multi_avg_fn=None if decay is None else get_ema_multi_avg_fn(decay))
        self.start = start
        self._first = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        steps = trainer.estimated_stepping_batches
        self._first = int(self.start * steps) if self.start else 0

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return step_idx is not None and step_idx >= self._first

    @property
    def _begun(self) -> bool:
        return self._average_model is not None and int(self._average_model.n_averaged) > 0

    def _evaluates(self, trainer: pl.Trainer) -> bool:
        """Whether the average takes the network's place; after a fit it is in it already."""
        return self._begun and trainer.state.fn == "fit"

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._evaluates(trainer):
            super().on_validation_epoch_start(trainer, pl_module)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._evaluates(trainer):
            super().on_validation_epoch_end(trainer, pl_module)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._begun:
            super().on_train_end(trainer, pl_module)

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """As Lightning's, but that ``state_dict`` holds the weights which are evaluated, averaged or not yet."""
        if self._average_model is None:
            return
        latest = checkpoint["state_dict"]
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if not self._begun:
            checkpoint["state_dict"] = latest

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn == "fit" and self._average_model is not None:  # a test takes ``state_dict`` alone
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
