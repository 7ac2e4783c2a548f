"""Snapshots of the network a few times per run: histograms, dead units, filters, and feature maps of fixed images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.tensorboard.writer import SummaryWriter

from repronet.data.module import ImageDataModule
from repronet.figures.images import enlarged, montage
from repronet.training.callbacks.gradient_norms import LAYERS, layer_weights
from repronet.training.callbacks.tensorboard import draw, experiment
from repronet.training.module import network_of
from repronet.visualization.filters import first_filters
from repronet.visualization.layer_outputs import has_places, spread, watched

TIMES = 15  # at most
IMAGES = 32  # from the validation split, always the same ones
MAPS, DRAWN_LAYERS = 16, 5
BUCKETS, COUNTED = 48, 100_000  # of a histogram, and the maximum number of values in it


class Counted(TypedDict):
    """A histogram in TensorBoard's format."""

    min: float
    max: float
    num: int
    sum: float
    sum_squares: float
    bucket_limits: list[float]
    bucket_counts: list[float]


class Snapshots(pl.Callback):
    """Draws at the end of the first epoch, of the last, and of some in between; and the filters before the first."""

    def __init__(self) -> None:
        self._images: Tensor | None = None  # (N, C, H, W)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        network = network_of(pl_module)
        if trainer.global_step == 0:  # a resumed run has them already
            draw(trainer, lambda writer: draw_filters(writer, network, step=0))

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Drawn before the last checkpoint is saved, so that it is not lost if the run is killed in between.
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs or 1
        wanted = epoch in snapshot_epochs(epochs) or trainer.should_stop
        if not wanted or experiment(trainer) is None:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ImageDataModule)
        if self._images is None:
            rows = range(min(IMAGES, len(data.val)))
            self._images = torch.cat([data.eval_transform.views(data.val.image(row), "center") for row in rows])
        images = self._images.to(pl_module.device)
        draw(trainer, lambda writer: _draw(writer, network_of(pl_module), images, trainer.global_step - 1))


@torch.no_grad()
def _draw(writer: SummaryWriter, network: nn.Module, images: Tensor, step: int) -> None:
    for name, weight in layer_weights(network).items():
        writer.add_histogram_raw(f"watch_weights/{name}", global_step=step, **counted(weight))
    with evaluating(network), watched(network) as outputs:
        network(images)
    for name in spread(list(outputs.of), LAYERS):
        output = outputs.of[name].float()
        writer.add_histogram_raw(f"watch_activations/{name}", global_step=step, **counted(output))
        if output.min() >= 0:
            writer.add_scalar(f"watch_dead/{name}", dead_share(output), step)
    draw_filters(writer, network, step)
    for name in spread(list(outputs.maps()), DRAWN_LAYERS):
        maps = outputs.of[name][0, :MAPS, None].float()  # (K, 1, h, w)
        writer.add_image(f"view_maps/{name}", enlarged(montage(maps, each=True)), step)


def snapshot_epochs(epochs: int) -> set[int]:
    """The epochs, counted from 1, after which a snapshot is taken."""
    if epochs <= TIMES:
        return set(range(1, epochs + 1))
    return {round(1 + index * (epochs - 1) / (TIMES - 1)) for index in range(TIMES)}


def draw_filters(writer: SummaryWriter, network: nn.Module, step: int) -> None:
    """Draw the kernels of the first layer, if they can be shown as images."""
    filters = first_filters(network)
    if filters is not None:
        writer.add_image("view_filters/first_layer", enlarged(montage(filters[:256], each=True)), step)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Context with the network in evaluation mode and without in-place operations; restored afterwards."""
    modes = {module: module.training for module in network.modules()}
    in_place = [module for module in network.modules() if getattr(module, "inplace", False)]
    network.eval()
    for module in in_place:
        module.inplace = False  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in in_place:
            module.inplace = True  # type: ignore[assignment]
        for module, training in modes.items():
            module.training = training


def counted(values: Tensor) -> Counted:
    """A histogram of a tensor's values; of every n-th value for a very large tensor."""
    flat = values.detach().flatten().float()
    flat = flat[:: -(-len(flat) // COUNTED)].cpu()
    low, high = flat.min().item(), flat.max().item()
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = torch.histc(flat, BUCKETS, low, high)
    return Counted(
        min=low,
        max=high,
        num=len(flat),
        sum=flat.sum().item(),
        sum_squares=flat.square().sum().item(),
        bucket_limits=torch.linspace(low, high, BUCKETS + 1)[1:].tolist(),
        bucket_counts=counts.tolist(),
    )


def dead_share(output: Tensor) -> float:
    """The fraction of maps or features that are never above zero; ``output``: rectified, (N, C, H, W) or (N, C)."""
    reached = output.amax(dim=(0, 2, 3)) if has_places(output) else output.flatten(1).amax(dim=0)  # → (C,)
    return float((reached <= 0).float().mean())
