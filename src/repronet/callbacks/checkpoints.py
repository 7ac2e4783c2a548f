"""Two checkpoints a run: the lowest validation error so far, and the end of the last finished epoch."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from repronet import runs
from repronet.callbacks.recorder import EpochRecorder


class BestAndLast(Checkpoint):
    """Writes ``best.ckpt`` when the epoch's validation error is the lowest yet, and ``last.ckpt`` after every epoch.

    Which epoch is best is the recorder's word, which travels inside the checkpoints: a run folder can be moved and its
    run resumed without the two falling apart. Being a Lightning ``Checkpoint``, it is called after all other callbacks.
    """

    def __init__(self, folder: Path, recorder: EpochRecorder):
        self.folder = folder
        self.recorder = recorder

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.recorder.rows[-1] is self.recorder.best:
            save(trainer, self.folder / runs.BEST)
        save(trainer, self.folder / runs.LAST)  # after best: a stop in between repeats the epoch and loses nothing


def save(trainer: pl.Trainer, path: Path) -> None:
    """Write a checkpoint beside ``path`` and rename it, so that ``path`` is at every moment a whole checkpoint."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(3)}")
    try:
        trainer.save_checkpoint(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
