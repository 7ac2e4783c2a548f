"""Freezing and thawing stages of a network as its plan says."""

from __future__ import annotations

import pytorch_lightning as pl

from repronet.training.finetune import StagePlan


class FineTuning(pl.Callback):
    """Trains at each epoch the stages whose time has come; the others stay as in evaluation.

    A plan is a function of the epoch alone, so a run that was stopped goes on with it.
    """

    def __init__(self, plan: StagePlan):
        self.plan = plan

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.plan.begin_epoch(trainer.current_epoch)
        self.plan.hold()

    on_train_start = on_train_epoch_start  # a run that is resumed within an epoch does not begin that epoch again
