"""Averages of the weights during training, which are validated, tested and saved instead of the latest weights."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from torch import nn


class AverageWeights(WeightAveraging):
    """Lightning's weight averaging, starting after a given fraction of the run.

    Args:
        decay: w̄ ← decay · w̄ + (1 − decay) · w after every step, an exponential moving average; None for the mean of
            all steps (Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992).
        start: fraction of the run's steps before averaging starts; until then the network itself is evaluated.
    """

    def __init__(self, decay: float | None = None, start: float = 0.0):
        super().__init__()
        self.decay = decay
        self.start = start
        self._first = 0
        self._count = 0  # steps averaged so far; kept on the host, since reading it from a GPU makes it wait

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        steps = trainer.estimated_stepping_batches
        self._first = int(self.start * steps) if self.start else 0
        assert self._average_model is not None
        self._count = int(self._average_model.n_averaged)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs, batch, batch_idx) -> None:
        step = trainer.global_step
        if step > self._latest_update_step and self.should_update(step_idx=step - 1):
            self._take_up(pl_module)
            self._latest_update_step = step

    @torch.no_grad()
    def _take_up(self, module: nn.Module) -> None:
        """Update the average: w̄ ← w̄ + share · (w − w̄) for weights and buffers. torch's `update_parameters` does the
        same but reads its count from the device twice. Integer values, such as counts of batches, are copied.
        """
        assert self._average_model is not None
        share = 1 / (self._count + 1) if self.decay is None or self._count == 0 else 1 - self.decay
        averages, latest = ([*part.parameters(), *part.buffers()] for part in (self._average_model.module, module))
        pairs = list(zip(averages, latest, strict=True))
        floating = [pair for pair in pairs if pair[0].is_floating_point()]
        whole = [pair for pair in pairs if not pair[0].is_floating_point()]
        if floating:
            torch._foreach_lerp_(*map(list, zip(*floating, strict=True)), weight=share)  # type: ignore[attr-defined]
        if whole:
            torch._foreach_copy_(*map(list, zip(*whole, strict=True)))  # type: ignore[attr-defined]
        self._count += 1
        self._average_model.n_averaged += 1

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        return step_idx is not None and step_idx >= self._first

    @property
    def average(self) -> nn.Module | None:
        """The network with the averaged weights."""
        return self._average_model

    @property
    def _begun(self) -> bool:
        return self._average_model is not None and self._count > 0

    def _evaluates(self, trainer: pl.Trainer) -> bool:
        """Whether the average replaces the network for an evaluation; after a fit, the network already holds it."""
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
        """As Lightning's, but until averaging has started, ``state_dict`` holds the network's own weights."""
        if self._average_model is None:
            return
        latest = checkpoint["state_dict"]
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        if not self._begun:
            checkpoint["state_dict"] = latest

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        if trainer.state.fn == "fit" and self._average_model is not None:  # a test uses only ``state_dict``
            super().on_load_checkpoint(trainer, pl_module, checkpoint)
