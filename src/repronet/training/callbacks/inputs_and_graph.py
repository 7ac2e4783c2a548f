"""The inputs of a run, drawn in its folder and in TensorBoard; and the network's graph, in TensorBoard."""

from __future__ import annotations

import io
import time
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.tensorboard.writer import SummaryWriter

from repronet.data.module import ImageDataModule
from repronet.figures.images import image_grid
from repronet.runs import PICTURES
from repronet.training.callbacks.figure_files import save_figure
from repronet.training.callbacks.tensorboard import INCHES, draw

SOON = 10.0  # seconds of training


class InputsAndGraph(pl.Callback):
    """Draws sixteen augmented inputs with their labels, and the model graph, after the first epoch.

    Or after ten seconds of training in a long epoch: nothing is drawn before training is known to work.

    Args:
        graph_network: the network whose graph is drawn. TensorBoard gets graphs by tracing, which supports torch's
            layers but not ours; the same network on torch's layers has the same graph.
        folder: the run folder, which gets ``pictures/inputs.png``; a resumed run that has this file draws nothing.
    """

    def __init__(self, graph_network: nn.Module, folder: Path):
        self.graph_network, self.folder = graph_network, folder
        self._drawn, self._began = False, 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._drawn, self._began = (self.folder / PICTURES / "inputs.png").exists(), time.monotonic()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs, batch, batch_idx) -> None:
        if not self._drawn and time.monotonic() - self._began > SOON:
            self._draw(trainer)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._drawn:
            self._draw(trainer)

    def _draw(self, trainer: pl.Trainer) -> None:
        self._drawn = True
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ImageDataModule)
        images, labels = data.first_training_batch()
        titles = [_title(label, data) for label in labels[:16]]
        small = image_grid(images[:16], titles, inch=INCHES / 4)
        draw(trainer, lambda writer: writer.add_figure("view_inputs/augmented", small, 0))
        save_figure(self.folder, "inputs", lambda: image_grid(images[:16], titles))
        draw(trainer, lambda writer: self._add_graph(writer, images[:1].cpu()))

    def _add_graph(self, writer: SummaryWriter, images: torch.Tensor) -> None:
        with warnings.catch_warnings(), torch.no_grad(), redirect_stdout(io.StringIO()):  # prints its errors
            warnings.simplefilter("ignore")  # tracing warns about uses of the trace that do not occur here
            writer.add_graph(self.graph_network.eval(), images)


def _title(label: torch.Tensor, data: ImageDataModule) -> str:
    """The class of an image; with mixed labels the most probable one, with several labels all."""
    if label.ndim == 0:
        return data.classes[int(label)][:14]
    if data.eval_transform.multilabel:
        return ", ".join(data.classes[row] for row in label.nonzero().flatten().tolist())[:14] or "(none)"
    return data.classes[int(label.argmax())][:14]
