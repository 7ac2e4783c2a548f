"""Telling a study of Optuna's how a run gets on, and ending the run where the study thinks little of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytorch_lightning as pl

from repronet.training.callbacks.history import History, to_be_low_in

if TYPE_CHECKING:
    import optuna

PRUNED = "pruned"  # what the trial then says of itself in the study


class ReportsToStudy(pl.Callback):
    """Reports what is to be low after every validated epoch; a pruned run ends as one does that has lost patience.

    So it is tested and leaves its result, like every other. What a resumed run reports again is left as it was.
    """

    def __init__(self, trial: optuna.Trial):
        self.trial = trial

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.trial.user_attrs.get(PRUNED):  # killed before it had ended
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        history = next(callback for callback in trainer.callbacks if isinstance(callback, History))  # type: ignore
        row = history.rows[-1]
        if row["val_error"] is None:
            return
        reported = self.trial.study.trials[self.trial.number].intermediate_values
        if row["epoch"] not in reported:
            self.trial.report(to_be_low_in(row), row["epoch"])
        if self.trial.should_prune():
            self.trial.set_user_attr(PRUNED, True)
            trainer.should_stop = True
