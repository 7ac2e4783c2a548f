"""What goes into a run, and the network's graph, in TensorBoard."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.tensorboard.writer import SummaryWriter

from repronet.data.module import ImageDataModule
from repronet.figures.images import image_grid
from repronet.training.callbacks.tensorboard import draw


class InputsAndGraph(pl.Callback):
    """Sixteen augmented inputs with their labels, and the model graph, at the start of a run.

    Args:
        graph_network: the network that the graph is drawn of. TensorBoard gets its graphs by tracing, which knows the
            vendor's layers and not ours; the same network on those layers has the same graph.
    """

    def __init__(self, graph_network: nn.Module):
        self.graph_network = graph_network

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.global_step > 0:  # a resumed run has them already
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ImageDataModule)
        images, labels = data.first_training_batch()
        likeliest = labels if labels.ndim == 1 else labels.argmax(dim=1)  # mixed labels are probabilities
        titles = [data.classes[label] for label in likeliest[:16].tolist()]
        draw(trainer, lambda writer: writer.add_figure("view_inputs/augmented", image_grid(images[:16], titles), 0))
        draw(trainer, lambda writer: self._add_graph(writer, images[:1].cpu()))

    def _add_graph(self, writer: SummaryWriter, images: torch.Tensor) -> None:
        with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(io.StringIO()):  # prints what it raises
            warnings.simplefilter("ignore")  # tracing warns about uses of the trace that this is not
            writer.add_graph(self.graph_network.eval(), images)
