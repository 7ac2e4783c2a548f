"""Two checkpoints a run: the lowest validation error so far, and the latest state, in the midst of an epoch too."""

from __future__ import annotations

import copy
import logging
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from repronet import runs
from repronet.errors import UserError
from repronet.runs.atomic import write_whole
from repronet.runs.stopping import StopRequested, StopSwitch
from repronet.training.callbacks.curves import Curves
from repronet.training.callbacks.recorder import EpochRecorder
from repronet.training.module import ImageClassifier
from repronet.training.nonfinite import first_bad_weight

log = logging.getLogger("repronet.train")

_STEPS = "epoch_loop.manual_optimization.optim_step_progress"


class BestAndLast(Checkpoint):
    """Writes ``best.ckpt`` when the epoch's validation error is the lowest yet, and ``last.ckpt`` after every epoch.

    ``last.ckpt`` is written besides every ``minutes``, and before a run stops that was asked to. A checkpoint says in
    ``position`` how many epochs are finished and how many steps of the next are done; what Lightning notes of its own
    loops is put as it was at that epoch's beginning, and the data leaves out the steps that are done.

    Which epoch is best is the recorder's word, which travels inside the checkpoints: a run folder can be moved and its
    run resumed without the two falling apart. Being a Lightning ``Checkpoint``, it is called after all other callbacks.
    """

    def __init__(self, folder: Path, recorder: EpochRecorder, curves: Curves, switch: StopSwitch, minutes: float):
        self.folder = folder
        self.recorder = recorder
        self.curves = curves
        self.switch = switch
        self.seconds = 60 * minutes
        self._saved = time.monotonic()
        self._epoch_over = False
        self._loops: dict[str, Any] = {}  # Lightning's state at the beginning of the epoch

    def on_load_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        self._loops = copy.deepcopy(checkpoint["loops"])
        position = checkpoint["position"]
        assert isinstance(pl_module, ImageClassifier)
        pl_module.steps_done = position["steps"]
        pl_module.last_lr = position["rate"]
        pl_module.running.load_state_dict(position["running"])

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ImageClassifier)
        self._loops = self._loops or {"fit_loop": copy.deepcopy(trainer.fit_loop.state_dict())}
        self._saved = time.monotonic()
        pl_module.between_steps = lambda: self._between_steps(trainer, pl_module)

    def _between_steps(self, trainer: pl.Trainer, task: ImageClassifier) -> None:
        """Save if it is time to; stop if that was asked for.

        Raises:
            StopRequested: once what is done is saved.
        """
        stop = self.switch.received is not None
        if not stop and time.monotonic() - self._saved < self.seconds:
            return
        if trainer.state.fn == "fit" and task.steps_done:  # else the checkpoint of the last epoch says it all
            task.settle()
            self.curves.flush()
            self._save(trainer, task, runs.LAST)
        if stop:
            raise StopRequested

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        assert isinstance(pl_module, ImageClassifier)
        if self.switch.received is not None:  # now, for Lightning ends here after SIGTERM, unsaved
            self._between_steps(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, ImageClassifier)
        self._epoch_over = True
        if self.recorder.rows[-1] is self.recorder.best:
            self._save(trainer, pl_module, runs.BEST)
            # Last after best: a stop in between repeats the epoch and loses nothing.
            write_whole(self.folder / runs.LAST, (self.folder / runs.BEST).read_bytes())
        else:
            self._save(trainer, pl_module, runs.LAST)
        self._epoch_over = False

    def _save(self, trainer: pl.Trainer, task: ImageClassifier, name: str) -> None:
        """Raises: UserError when the weights are no longer finite; the checkpoint before stays."""
        bad = first_bad_weight(task.network)
        if bad:
            raise UserError(f"{bad} is no longer finite after step {trainer.global_step}; lower optimizer.lr")
        trainer.save_checkpoint(self.folder / name)
        self._saved = time.monotonic()

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        assert isinstance(pl_module, ImageClassifier)
        if self._epoch_over:
            self._loops = copy.deepcopy(checkpoint["loops"])
        else:
            done = checkpoint["loops"]["fit_loop"][_STEPS]
            checkpoint["loops"] = copy.deepcopy(self._loops)
            checkpoint["loops"]["fit_loop"][_STEPS] = copy.deepcopy(done)
        checkpoint["position"] = {
            "epochs": trainer.current_epoch + self._epoch_over,
            "steps": pl_module.steps_done,
            "rate": pl_module.last_lr,
            "running": pl_module.running.state_dict(),
        }
        checkpoint["threads"] = torch.get_num_threads()
