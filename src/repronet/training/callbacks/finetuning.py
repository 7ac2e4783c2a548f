"""Freezing and unfreezing the stages of a network according to its plan."""

from __future__ import annotations

import pytorch_lightning as pl

from repronet.training.finetune import StagePlan


class FineTuning(pl.Callback):
    """Trains in each epoch the stages that the plan names; the others are frozen and in evaluation mode.

    A plan depends on the epoch only, so a resumed run continues with it.
    """

    def __init__(self, plan: StagePlan):
        self.plan = plan

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.plan.begin_epoch(trainer.current_epoch)
        self.plan.hold()

    on_train_start = on_train_epoch_start  # resuming within an epoch does not start the epoch again
