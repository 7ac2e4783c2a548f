"""Freezing the running statistics of batch norm at the end of training."""

from __future__ import annotations

import pytorch_lightning as pl
from torch.nn.modules.batchnorm import _BatchNorm


class FrozenStatistics(pl.Callback):
    """Normalizes with the frozen running mean and variance in the last ``epochs`` of ``trainer.max_epochs``.

    The weights thus train with the same statistics as in testing. Gains and shifts are still trained.
    Hu et al., arXiv:1709.01507v4, appendix, for SENet-154; the paper does not give the number of epochs.
    """

    def __init__(self, epochs: int):
        self.epochs = epochs

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.max_epochs is not None and trainer.current_epoch >= trainer.max_epochs - self.epochs:
            for part in pl_module.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()

    on_train_start = on_train_epoch_start  # resuming within an epoch does not start the epoch again
