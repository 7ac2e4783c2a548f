"""Batch norm whose running statistics stay as they are at the end of training."""

from __future__ import annotations

import pytorch_lightning as pl
from torch.nn.modules.batchnorm import _BatchNorm


class FrozenStatistics(pl.Callback):
    """Normalizes by the running mean and variance, and keeps them, in the last ``epochs`` of ``trainer.max_epochs``.

    So the weights learn under the statistics that they are tested with. Gains and shifts are trained on.
    Hu et al., arXiv:1709.01507v4, appendix, of SENet-154; the paper does not say in how many epochs.
    """

    def __init__(self, epochs: int):
        self.epochs = epochs

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.max_epochs is not None and trainer.current_epoch >= trainer.max_epochs - self.epochs:
            for part in pl_module.modules():
                if isinstance(part, _BatchNorm):
                    part.eval()

    on_train_start = on_train_epoch_start  # a run that is resumed within an epoch does not begin that epoch again
