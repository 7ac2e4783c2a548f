"""Stopping a run whose loss or gradient is no longer finite, and naming the first layer affected."""

from __future__ import annotations

import math
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from repronet.errors import UserError
from repronet.training.synchronized import apart

EVERY = 10  # steps


class StopAtNonFinite(pl.Callback):
    """Checks the loss and all gradients of each step.

    On a CPU the run stops before the weights are updated. On other devices flags are collected and read every 10 steps
    and at the end of an epoch, since reading one makes the device wait. With gradients that are scaled for half
    precision, only the loss is checked: the scaler itself skips a step that overflows.

    Raises:
        UserError: with the step and the cause: where known, the first layer that became non-finite.
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
        if not losses:  # a fitted classical pipeline has no backward pass
            return
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
        assert isinstance(network, nn.Module)
        assert self._images is not None
        if math.isfinite(loss.item()):
            what, reason = "gradient", f"first in {first_bad_gradient(network)}"
        else:
            what, reason = "loss", explain(network, self._images)
        raise UserError(f"the {what} is no longer finite at step {step}: {reason}; lower optimizer.lr")


def explain(network: nn.Module, images: Tensor) -> str:
    """Why the network's output for ``images`` is not finite, as far as its weights and layer outputs show.

    The network is run once more, without gradients and in its current mode; its weights are not changed.
    """
    if not _finite(images):
        return "the images are not finite"
    weights = first_bad_weight(network)
    if weights is not None:
        return f"{weights} is not finite after the previous update"
    output = first_bad_output(network, images)
    return f"the first non-finite output is that of {output}" if output else "every layer's output is finite"


def first_bad_weight(network: nn.Module) -> str | None:
    """The first parameter that is not finite; None if all are."""
    return next((name for name, weight in network.named_parameters() if not _finite(weight)), None)


def any_infinite(gradients: list[Tensor]) -> Tensor:
    """1 if any of ``gradients`` contains an infinity or NaN, else 0: (), on their device, without waiting for it.

    It uses the check of torch's gradient scaler, which takes a quarter of the time of a norm.
    """
    found = torch.zeros((), device=gradients[0].device)
    look = torch._amp_foreach_non_finite_check_and_unscale_  # type: ignore[attr-defined]
    look(gradients, found, torch.ones_like(found))  # this multiplies the gradients by 1
    return found


def first_bad_gradient(network: nn.Module) -> str | None:
    """The parameter whose gradient became non-finite first: the last one, since gradients are computed backwards."""
    graded = [(name, weight.grad) for name, weight in network.named_parameters() if weight.grad is not None]
    return next((name for name, gradient in reversed(graded) if not _finite(gradient)), None)


def first_bad_output(network: nn.Module, images: Tensor) -> str | None:
    """The first layer without sublayers whose output is not finite, with its class; None if all are finite."""
    found: list[str] = []

    def look(name: str, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        outputs = [output] if isinstance(output, Tensor) else list(output)
        if not found and not all(map(_finite, outputs)):
            found.append(f"{name} ({type(layer).__name__})")

    with torch.no_grad(), apart(network), ExitStack() as hooks:
        for name, layer in network.named_modules():
            if not list(layer.children()):
                hooks.enter_context(layer.register_forward_hook(partial(look, name)))
        network(images)
    return found[0] if found else None


def _finite(values: Tensor) -> bool:
    return bool(torch.isfinite(values).all())
