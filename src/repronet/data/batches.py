"""Batches out of memory: the split is one uint8 tensor, and a batch is rows of it.

Training takes its batches in *chunks*: a chunk is a list of consecutive batches that were gathered, augmented and
mapped to floats together. That spreads the fixed costs of indexing, of augmentation and of the training loop over many
steps, which matters where a step takes two milliseconds, and changes no number: which images make a batch and how they
are augmented depends on (seed, epoch, image) alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from repronet.data.augmentation import Augmentation
from repronet.data.randomness import counter_generator
from repronet.data.splits import Split
from repronet.data.whitening import Preprocessing

Batch = tuple[Tensor, Tensor]  # images float32 (N, C, H, W), labels int64 (N,)


class TrainingPass:
    """What every pass over a training split has: its length, and the order that (seed, epoch) give it.

    Args:
        images: how many there are.
        epoch: called at the start of each pass; the pass's order and augmentation depend on it and on ``seed``.

    Attributes:
        left_out: batches at the beginning of the next pass that are not made, since a run was resumed behind them.
            Chunks stay as they were: those that are wholly left out come as empty lists.
    """

    def __init__(self, images: int, *, batch_size: int, batches_per_chunk: int, seed: int, epoch: Callable[[], int]):
        self.images = images
        self.batch_size = batch_size
        self.batches_per_chunk = batches_per_chunk
        self.seed = seed
        self.epoch = epoch
        self.left_out = 0

    @property
    def steps(self) -> int:
        """Batches in one pass; the last may be smaller."""
        return math.ceil(self.images / self.batch_size)

    def __len__(self) -> int:
        return math.ceil(self.steps / self.batches_per_chunk)

    def order(self, epoch: int) -> Tensor:
        """The images in the order of ``epoch``, int64 (N,)."""
        return torch.randperm(self.images, generator=counter_generator("order", self.seed, epoch))

    def chunks(self, order: Tensor) -> tuple[Tensor, ...]:
        """``order`` cut into what is prepared together."""
        return order.split(self.batch_size * self.batches_per_chunk)

    def whole_chunks_left_out(self) -> int:
        """Chunks at the beginning of the next pass of which no batch is wanted."""
        return self.left_out // self.batches_per_chunk

    def wanted(self, number: int, chunk: list[Batch]) -> list[Batch]:
        """What of the ``number``-th chunk is not left out."""
        return chunk[max(0, self.left_out - number * self.batches_per_chunk) :]


class TrainingBatches(TrainingPass):
    """One pass over a split that is one tensor, as chunks of ``batches_per_chunk`` batches."""

    def __init__(
        self,
        split: Split,
        augmentation: Augmentation,
        pixel_map: Preprocessing,
        *,
        batch_size: int,
        batches_per_chunk: int,
        seed: int,
        epoch: Callable[[], int],
    ):
        super().__init__(len(split), batch_size=batch_size, batches_per_chunk=batches_per_chunk, seed=seed, epoch=epoch)
        self.split = split
        self.augmentation = augmentation
        self.pixel_map = pixel_map

    def __iter__(self) -> Iterator[list[Batch]]:
        epoch = self.epoch()
        draws = self.augmentation.draw(self.images, counter_generator("augmentation", self.seed, epoch))
        empty = self.whole_chunks_left_out()
        for number, rows in enumerate(self.chunks(self.order(epoch))):
            if number < empty:
                yield []
                continue
            images = self.pixel_map(self.augmentation(self.split.images[rows], draws[rows]))
            labels = self.split.labels[rows]
            batches = zip(images.split(self.batch_size), labels.split(self.batch_size), strict=True)
            yield self.wanted(number, list(batches))


class EvaluationBatches:
    """One pass over a split in its own order, unchanged but for the pixel map."""

    def __init__(self, split: Split, pixel_map: Preprocessing, *, batch_size: int):
        self.split = split
        self.pixel_map = pixel_map
        self.batch_size = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.split) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self.split), self.batch_size):
            rows = slice(start, start + self.batch_size)
            yield self.pixel_map(self.split.images[rows]), self.split.labels[rows]
