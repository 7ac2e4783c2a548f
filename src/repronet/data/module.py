"""The LightningDataModule: a dataset, how it is preprocessed, and how it is dealt out."""

from __future__ import annotations

from dataclasses import replace

import pytorch_lightning as pl
import torch

from repronet.data.augmentation import Augmentation, NoAugmentation
from repronet.data.batches import EvaluationBatches, TrainingBatches
from repronet.data.preprocessing import PixelStatistics, pad_to
from repronet.data.splits import ImageDataset, Split
from repronet.data.whitening import Preprocessing


class ImageDataModule(pl.LightningDataModule):
    """Hands a dataset that fits in memory to a Trainer.

    Args:
        dataset: the three splits.
        statistics: of the training images before any padding, as everybody quotes them; kept to be stated.
        pixel_map: from pixels to network input; see :mod:`repronet.data.whitening`.
        augmentation: applied to training images only.
        image_size: images are padded with background to this height and width; None leaves them.
        batch_size: images a training step.
        eval_batch_size: images a validation or test step; it changes speed and memory, not results.
        batches_per_chunk: training batches that are prepared together; see :mod:`repronet.data.batches`.
        seed: of the order and the augmentation.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        statistics: PixelStatistics,
        pixel_map: Preprocessing,
        augmentation: Augmentation | None = None,
        *,
        image_size: int | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        batches_per_chunk: int = 16,
        seed: int = 0,
    ):
        super().__init__()
        self.classes = dataset.classes
        self.statistics = statistics
        self.train, self.val, self.test = (
            _padded(split, image_size) for split in (dataset.train, dataset.val, dataset.test)
        )
        self.pixel_map = pixel_map
        self.augmentation = augmentation or NoAugmentation()
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.batches_per_chunk = batches_per_chunk
        self.seed = seed

    def setup(self, stage: str) -> None:
        """Move the splits to the training device once: batches are gathered, augmented and mapped there."""
        device = self.trainer.strategy.root_device if self.trainer is not None else torch.device("cpu")
        self.train, self.val, self.test = (split.to(device) for split in (self.train, self.val, self.test))

    def _current_epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer is not None else 0

    def train_dataloader(self) -> TrainingBatches:
        return TrainingBatches(
            self.train,
            self.augmentation,
            self.pixel_map,
            batch_size=self.batch_size,
            batches_per_chunk=self.batches_per_chunk,
            seed=self.seed,
            epoch=self._current_epoch,
        )

    def val_dataloader(self) -> EvaluationBatches:
        return EvaluationBatches(self.val, self.pixel_map, batch_size=self.eval_batch_size)

    def test_dataloader(self) -> EvaluationBatches:
        return EvaluationBatches(self.test, self.pixel_map, batch_size=self.eval_batch_size)


def _padded(split: Split, image_size: int | None) -> Split:
    return split if image_size is None else replace(split, images=pad_to(split.images, image_size))
