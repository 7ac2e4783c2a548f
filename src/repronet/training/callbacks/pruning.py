"""Reporting a run's progress to an Optuna study, and ending the run if the study prunes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytorch_lightning as pl

from repronet.training.callbacks.history import History, to_be_low_in

if TYPE_CHECKING:
    import optuna

PRUNED = "pruned"  # attribute that marks the trial in the study


class ReportsToStudy(pl.Callback):
    """Reports the figure to minimize after every validated epoch; a pruned run ends as in early stopping.

    It is thus tested and writes its result, like any other run. A resumed run does not report an epoch again.
    """

    def __init__(self, trial: optuna.Trial):
        self.trial = trial

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.trial.user_attrs.get(PRUNED):  # pruned, but killed before it ended
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
