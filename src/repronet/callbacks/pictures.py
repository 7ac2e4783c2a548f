"""Pictures of a run in TensorBoard: what goes in, what the first layer learns, and the network's graph."""

from __future__ import annotations

import math
import warnings

import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from repronet.callbacks.board import Board
from repronet.data.module import ImageDataModule


def image_grid(images: Tensor, titles: list[str] | None = None, heading: str | None = None) -> Figure:
    """Images (N, C, H, W) of any range as a near-square grid, each over its own title, pixels drawn sharp.

    One colour scale serves all of them, so that brightness can be compared between them.
    """
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    figure = Figure(figsize=(1.5 * columns, 1.5 * rows + 0.25 * bool(titles) * rows), dpi=100, layout="constrained")
    low, high = float(images.min()), float(images.max())
    shown = ((images - low) / max(high - low, 1e-12)).permute(0, 2, 3, 1).cpu().numpy()  # (N, H, W, C)
    for index, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_axis_off()
        if index < len(shown):
            image = shown[index]
            axes.imshow(image if image.shape[-1] == 3 else image[..., 0], cmap="gray", vmin=0, vmax=1)
            axes.set_title(titles[index] if titles else "", fontsize=9)
    figure.suptitle(heading or "", fontsize=11)
    return figure


def first_filters(network: nn.Module) -> Tensor | None:
    """The kernels of the first convolution as images (filters · in_channels, 1 or 3, k, k); None without one."""
    first = next((layer for layer in network.modules() if isinstance(layer, nn.Conv2d)), None)
    if first is None:
        return None
    kernels = first.weight.detach()  # (O, C, k, k)
    return kernels if kernels.shape[1] in (1, 3) else kernels.flatten(0, 1).unsqueeze(1)


class Pictures(pl.Callback):
    """Sixteen augmented inputs with their labels, the first layer's filters at start and end, and the model graph.

    Args:
        graph_network: the network that the graph is drawn of. TensorBoard gets its graphs by tracing, which knows the
            vendor's layers and not ours; the same network on those layers has the same graph.
    """

    def __init__(self, writer: Board, graph_network: nn.Module):
        self.writer = writer
        self.graph_network = graph_network

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step > 0:  # a resumed run has them already
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ImageDataModule)
        images, labels = next(iter(data.train_dataloader()))[0]
        likeliest = labels if labels.ndim == 1 else labels.argmax(dim=1)  # mixed labels are probabilities
        titles = [data.classes[label] for label in likeliest[:16].tolist()]
        self.writer.add_figure("inputs/augmented", image_grid(images[:16], titles), 0)
        self._add_filters(pl_module, step=0, when="before training")
        self._add_graph(images[:1].cpu())

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Before the last checkpoint, so that no kill comes between the two.
        if trainer.current_epoch + 1 == trainer.max_epochs or trainer.should_stop:
            self._add_filters(pl_module, step=trainer.global_step, when="after training")

    def _add_filters(self, pl_module: pl.LightningModule, step: int, when: str) -> None:
        filters = first_filters(pl_module)
        if filters is not None:
            self.writer.add_figure("filters/first_layer", image_grid(filters, heading=when), step)

    def _add_graph(self, images: Tensor) -> None:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # tracing warns about uses of the trace that this is not
            self.writer.add_graph(self.graph_network.eval(), images)
