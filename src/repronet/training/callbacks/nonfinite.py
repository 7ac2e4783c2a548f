"""Stopping a training whose loss or gradient is no longer a number, before the weights take it up."""

from __future__ import annotations

import math
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer

from repronet.errors import UserError
from repronet.training.nonfinite import any_infinite, explain, first_bad_gradient

EVERY = 10  # steps


class StopAtNonFinite(pl.Callback):
    """Looks at the loss and every gradient of each step.

    On a CPU the run stops before the weights are updated. On other devices the flags are collected and looked at every
    10 steps and at the end of an epoch, since asking for one makes the device wait. With gradients
    that are scaled for half precision, the loss alone is looked at: there the scaler leaves out a step that overflows.

    Raises:
        UserError: that names the step, and the layer that went bad.
    """

    def __init__(self) -> None:
        self._images: Tensor | None = None
        self._losses: list[Tensor] = []  # of the batches of one step
        self._flags: list[tuple[int, Tensor, Tensor]] = []  # step, loss, flag

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int):
        self._images = batch[0]

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        self._losses.append(loss.detach())

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        losses, self._losses = self._losses, []
        tensors = list(losses)
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            weights = (weight for group in optimizer.param_groups for weight in group["params"])
            tensors += [weight.grad for weight in weights if weight.grad is not None]
        loss, flag = losses[-1], any_infinite(tensors)
        if flag.device.type == "cpu":
            if flag.item():
                self._stop(pl_module, trainer.global_step + 1, loss)
            return
        self._flags.append((trainer.global_step + 1, loss, flag))

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs, batch, batch_idx) -> None:
        if self._flags and (trainer.global_step % EVERY == 0 or trainer.is_last_batch):
            flags, self._flags = self._flags, []
            found = torch.stack([flag for _, _, flag in flags]).tolist()
            for (step, loss, _), bad in zip(flags, found, strict=True):
                if bad:
                    self._stop(pl_module, step, loss)

    def _stop(self, pl_module: pl.LightningModule, step: int, loss: Tensor) -> None:
        network = pl_module.network
        assert isinstance(network, torch.nn.Module)
        assert self._images is not None
        if math.isfinite(loss.item()):
            what, reason = "gradient", f"that of {first_bad_gradient(network)} is the first that is not"
        else:
            what, reason = "loss", explain(network, self._images)
        raise UserError(f"the {what} is no longer finite at step {step}: {reason}; lower optimizer.lr")
