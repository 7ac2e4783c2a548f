"""The base class of pipelines and their training: features are computed once, each epoch fits the SVM for another C."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from pytorch_lightning.utilities.types import OptimizerLRScheduler
from scipy.sparse import csr_array, vstack
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from tqdm import tqdm

from repronet.classical.svm import Rows, matrix_of, scores_of, solved
from repronet.data.batches import Batch
from repronet.data.module import ImageDataModule
from repronet.errors import UserError
from repronet.models.fixed_size import FixedSize
from repronet.training.module import ImageClassifier

log = logging.getLogger("repronet.train")
LEARNED_FROM = 2000  # maximum number of training images that a vocabulary is fitted to
SPARSE = 0.2  # fraction of nonzero values, below which features are stored as a sparse matrix


class Solver(Optimizer):
    """An optimizer whose single step goes all the way to the optimum; its learning rate is the SVM's C."""

    def __init__(self, params: Any):
        super().__init__(params, {"lr": 1.0})

    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        assert closure is not None
        closure()


class FittedClassifier(ImageClassifier):
    """An ImageClassifier for a :class:`Pipeline`, which is fitted instead of trained.

    Each epoch stands for one value of C: the epoch with the lowest validation error gives the chosen C. Training
    figures are computed on all training images after the fit, without augmentation.
    """

    network: Pipeline

    def setup(self, stage: str) -> None:
        """Raises: UserError, if an image may have several labels."""
        if self.multilabel:
            raise UserError(f"model={self.network.architecture}: knows one label per image, and these have several")
        self.automatic_optimization = False

    def configure_optimizers(self) -> OptimizerLRScheduler:
        solver, costs = Solver(self.network.svm.parameters()), self.network.costs
        schedule = LambdaLR(solver, lambda epoch: costs[min(epoch, len(costs) - 1)])
        return {"optimizer": solver, "lr_scheduler": {"scheduler": schedule, "interval": "epoch", "name": "train/lr"}}

    def on_train_start(self) -> None:
        """Fit the vocabulary, unless a resumed run already has one, and compute the features of the training images."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ImageDataModule)
        self._validated = dict[int, Rows]()
        if self.network.fits and self.trainer.current_epoch == 0:
            started = time.monotonic()
            rows = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(data.seed))[:LEARNED_FROM]
            log.info(f"fitting {self.network.fits} to {len(rows):,} of the training images")
            self.network.learn(torch.cat([images for images, _ in data.in_order(data.train.rows(rows))]), data.seed)
            log.info(f"fitted ({time.monotonic() - started:.1f} s); now the features of all")
        self._features, self._labels = self._gathered(data)

    @torch.no_grad()
    def _gathered(self, data: ImageDataModule) -> tuple[Rows, Tensor]:
        """Compute features and labels of the training split."""
        started, quiet, labels = time.monotonic(), self.trainer.progress_bar_callback is None, list[Tensor]()

        def blocks() -> Iterator[Tensor]:
            for images, its_labels in tqdm(data.in_order(data.train), "features", leave=False, disable=quiet):
                labels.append(its_labels.cpu())
                yield self.network.features(images)

        rows = stacked(blocks(), len(data.train))
        size = f"{rows.shape[0]:,} images × {rows.shape[1]:,} features"
        log.info(f"{size} ({time.monotonic() - started:.1f} s)")
        return rows, torch.cat(labels)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # type: ignore[override]
        """Fit the SVM to all training images with the epoch's C; the batch is ignored."""
        solver = self.optimizers()
        assert isinstance(solver, LightningOptimizer)
        solver.step(closure=partial(self._solve, solver.param_groups[0]["lr"]))
        logits, labels = self._scores(self._features), self._labels.to(self.device)
        loss = self.training_loss(logits, labels)
        self.train_metrics.update(loss, logits, labels)
        self._draw_point(self.trainer.global_step)
        return loss

    @torch.no_grad()
    def _solve(self, cost: float) -> None:
        """Fit the SVM, starting from the solution for the previous C; the first fit starts from zero."""
        svm = self.network.svm
        start = self._weights() if self.trainer.current_epoch else torch.zeros(svm.out_features, svm.in_features + 1)
        found = solved(self._features, self._labels, cost, start)
        svm.weight.copy_(found[:, :-1])
        svm.bias.copy_(found[:, -1])

    @torch.no_grad()
    def _weights(self) -> Tensor:
        """The SVM's weights (classes, D + 1), the bias last."""
        return torch.cat([self.network.svm.weight, self.network.svm.bias[:, None]], 1).cpu()

    def _scores(self, features: Rows) -> Tensor:
        return scores_of(matrix_of(features), self._weights()).to(self.device)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Evaluate a batch; its features are computed in the first epoch and kept for the later ones."""
        if self.trainer.state.fn != "fit":
            super().validation_step(batch, batch_idx)
            return
        images, labels = batch
        if batch_idx not in self._validated:
            self._validated[batch_idx] = compact(self.network.features(images))
        logits = self._scores(self._validated[batch_idx])
        self.evaluation.update(self.loss(logits, labels), logits, labels)

    def on_train_epoch_end(self) -> None:
        self.lr_schedulers().step()  # type: ignore[union-attr]

    def on_train_end(self) -> None:
        del self._features, self._validated


class Pipeline(FixedSize):
    """Features followed by a linear SVM, one class against all others.

    Args:
        features: number of features per image.
        costs: values of C, in the order in which they are tried.

    Shapes: (N, channels, size, size) → scores (N, num_classes).
    """

    task_class = FittedClassifier
    fits = ""  # description of the part before the SVM that is fitted to images; "" if none is
    architecture: str

    def __init__(self, features: int, num_classes: int, layers: ModuleType, costs: list[float], size: int):
        super().__init__()
        self.costs, self.input_size, self.sizes = list(costs), size, (size, size)
        self.svm: nn.Linear = layers.Linear(features, num_classes)

    def learn(self, images: Tensor, seed: int) -> None:
        """Fit :attr:`fits` to images (N, C, H, W)."""

    def features(self, images: Tensor) -> Tensor:
        """(N, C, H, W) → (N, features)."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        return self.svm(self.features(images))


def compact(features: Tensor) -> Rows:
    """Features (N, D) as a NumPy array, or as a sparse matrix if most values are zero."""
    found = features.detach().cpu().numpy()
    return csr_array(found) if _sparse(found) else found


def _sparse(features: np.ndarray) -> bool:
    return bool(np.count_nonzero(features) < SPARSE * features.size)


def stacked(blocks: Iterable[Tensor], rows: int) -> Rows:
    """Stack blocks of features: as a sparse matrix if the first block is sparse, else in a memory-mapped file."""
    sparse, mapped, done = list[csr_array](), None, 0
    for block in blocks:
        found = block.detach().cpu().numpy()
        if done == 0 and not _sparse(found):
            with tempfile.TemporaryFile() as file:  # the file is deleted when the memory map is released
                mapped = np.memmap(file, np.float32, "w+", shape=(rows, block.shape[1]))
        if mapped is None:
            sparse.append(csr_array(found))
        else:
            mapped[done : done + len(block)] = found
        done += len(block)
    return vstack(sparse, "csr") if mapped is None else mapped
