"""Callbacks around single steps: seeds by step number, and limits on the size of filters."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from repronet.data.batches import share_of
from repronet.data.module import ImageDataModule
from repronet.data.randomness import counter_seed
from repronet.functional.dropout import draw_as_share
from repronet.layers.layer import Layer


class CountedSeeds(pl.Callback):
    """Makes the random numbers of a step, such as dropout's, a function of ``seed`` and the step number.

    They are thus the same after an interruption. A network of our layers drops the same units of every image with any
    number of processes; in other networks each process draws its own random numbers.
    """

    def __init__(self, seed: int):
        self.seed = seed
        self._alike = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        data = getattr(trainer, "datamodule", None)
        self._alike = isinstance(data, ImageDataModule) and all(map(_draws_by_share, pl_module.modules()))

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        draw_as_share(None)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        draw_as_share(None)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int):
        part, rank = batch_idx % trainer.accumulate_grad_batches, trainer.global_rank
        if self._alike and trainer.world_size > 1:
            total = trainer.datamodule.images_in_batch(batch_idx)  # type: ignore[attr-defined]
            draw_as_share(share_of(total, rank, trainer.world_size), total)
            rank = 0
        others = (part, rank) if part or rank else ()
        seed = counter_seed("dropout", self.seed, trainer.global_step + 1, *others)
        torch.default_generator.manual_seed(seed)
        if pl_module.device.type in ("cuda", "mps"):
            getattr(torch, pl_module.device.type).manual_seed(seed)


def _draws_by_share(module: nn.Module) -> bool:
    """Whether, judged by its class, a module draws nothing in training or uses `repronet.functional.dropout`."""
    home = type(module).__module__
    known = home.startswith(("repronet.", "torch.nn.", "torchmetrics."))
    return known and (isinstance(module, Layer) or not isinstance(module, _DropoutNd))


class CapFilters(pl.Callback):
    """After each step, scales every convolution filter whose root mean square exceeds ``rms`` down to ``rms``.

    Zeiler and Fergus 2014, section 3.1, with 0.1: it prevents a few filters of the first layer from dominating.
    """

    def __init__(self, rms: float):
        self.rms = rms

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs, batch, batch_idx) -> None:
        network = pl_module.network
        assert isinstance(network, nn.Module)
        cap_filters([weight for weight in filters_of(network) if weight.requires_grad], self.rms)


@torch.no_grad()
def cap_filters(weights: list[Tensor], rms: float) -> None:
    """Scale filters whose root mean square exceeds ``rms`` down to it, in place; each weight: (out, in, k, k)."""
    for weight in weights:
        found = weight.flatten(1).square().mean(dim=1).sqrt()  # (out, in, k, k) → (out,)
        weight.mul_((rms / found.clamp_min(1e-30)).clamp_max(1)[:, None, None, None])


def filters_of(network: nn.Module) -> list[Tensor]:
    """The weights of the network's convolutions, except parametrized ones."""
    weights = [module.weight for module in network.modules() if isinstance(module, nn.Conv2d)]
    return [weight for weight in weights if isinstance(weight, nn.Parameter)]
