"""Records of GAN training: one row per epoch, and a sheet of generated images."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from matplotlib.figure import Figure
from torch import Tensor

from repronet.data.randomness import counter_generator
from repronet.figures.images import image_grid, montage
from repronet.gan.module import GAN
from repronet.gan.score import Judge
from repronet.runs import write_history
from repronet.training.callbacks.history import Rows
from repronet.training.callbacks.tensorboard import draw

log = logging.getLogger("repronet.progress")
COLUMNS = 10  # images per row of a sheet


class GANHistory(Rows):
    """One row per epoch with mean losses and the judge's score; the best row has the lowest Fréchet distance."""

    def __init__(self, folder: Path, judge: Judge | None):
        super().__init__(folder)
        self.judge = judge

    @property
    def best(self) -> dict[str, Any]:
        """The row with the lowest distance, the earliest of equal ones; without a judge, the last row."""
        judged = [row for row in self.rows if row["frechet"] is not None]
        return min(judged, key=lambda row: row["frechet"]) if judged else self.rows[-1]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GAN)
        row: dict[str, Any] = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step}
        row |= pl_module.mean_losses()
        competing = trainer.current_epoch >= pl_module.autoencoder_epochs
        score = self.judge.score(pl_module) if self.judge is not None and competing else None
        row |= {"frechet": score and score.frechet, "recognized": score and score.recognized}
        shown = {f"val/{key}": row[key] for key in ("frechet", "recognized") if row[key] is not None}
        for logger in trainer.loggers:
            logger.log_metrics(shown, step=trainer.global_step - 1)
        self.rows.append({**row, "seconds": round(self.seconds, 3)})
        write_history(self.folder, self.rows)
        log.info(epoch_line(self.rows[-1], trainer.max_epochs or 0))


def epoch_line(row: dict[str, Any], epochs: int) -> str:
    """One epoch in 80 columns."""
    losses = [
        f"{name} {row[name]:.3f}" for name in ("discriminator", "generator", "autoencoder") if row[name] is not None
    ]
    judged = [] if row["frechet"] is None else [f"Fréchet {row['frechet']:.1f}"]
    known = [] if row["recognized"] is None else [f"recognized {row['recognized']:.0%}"]
    return "  ".join([f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}", *losses, *judged, *known])


class Sheets(pl.Callback):
    """Draws images of the same codes in TensorBoard after every epoch, one row per class for conditional GANs."""

    def __init__(self, seed: int):
        self.seed = seed

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, GAN)
        if trainer.current_epoch >= pl_module.autoencoder_epochs:
            grid = montage(samples(pl_module, self.seed), COLUMNS)
            draw(trainer, lambda writer: writer.add_image("generated", grid, trainer.global_step - 1))


def samples(gan: GAN, seed: int) -> Tensor:
    """Ten images of each class, uint8 (10·classes, C, S, S), class by class."""
    labels = torch.arange(gan.classes).repeat_interleave(COLUMNS)
    return gan.images(labels, counter_generator("sheet", seed)).cpu()


def sheet(gan: GAN, seed: int, classes: tuple[str, ...], title: str) -> Figure:
    """:func:`samples` as a figure."""
    rows = f"; one row per class: {', '.join(classes)}" if gan.conditional else ""
    return image_grid(samples(gan, seed), heading=f"{title}{rows}", columns=COLUMNS, inch=0.6)
