"""Batches out of memory: the split is one uint8 tensor, and a batch is rows of it.

Training batches are gathered, augmented and mapped to floats many at a time, a *chunk*, and handed out one by one. That
spreads the fixed costs of indexing and augmentation over many steps and changes no number: which images make a batch
and how they are augmented depends on (seed, epoch, image) alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from repronet.data.augmentation import Augmentation
from repronet.data.randomness import counter_generator
from repronet.data.splits import Split
from repronet.data.whitening import Preprocessing

Batch = tuple[Tensor, Tensor]  # images float32 (N, C, H, W), labels int64 (N,)


@dataclass(frozen=True)
class Dealing:
    """How a training split is dealt out.

    Attributes:
        batch_size: images of a global batch, which all processes share; the last one may be smaller.
        batches_per_chunk: batches that are prepared together.
        seed: of order and augmentation, with the epoch.
        epoch: the number of the pass that begins, counted from 0; None counts the passes.
        rank, world_size: this process takes its share of every global batch. A last batch that has fewer images than
            there are processes is left out.
    """

    batch_size: int
    batches_per_chunk: int = 16
    seed: int = 0
    epoch: Callable[[], int] | None = None
    rank: int = 0
    world_size: int = 1


class TrainingLoader:
    """What every loader of a training split has: its length, its order, and a state that a checkpoint can hold.

    A pass yields the batches of one epoch. Lightning stores :meth:`state_dict` in its checkpoints, so a run that is
    resumed within an epoch goes on with the next batch.

    Args:
        images: size of the split.
    """

    def __init__(self, images: int, dealing: Dealing):
        self.images = images
        self.dealing = dealing
        self._position: tuple[int, int] | None = None  # epoch and batches handed out of the latest pass
        self._resumed = False

    def __len__(self) -> int:
        whole, rest = divmod(self.images, self.dealing.batch_size)
        return whole + (rest >= self.dealing.world_size)

    def __iter__(self) -> Iterator[Batch]:
        epoch, first = self._begin()
        for number, batch in enumerate(self._batches(epoch, first), start=first):
            self._position = (epoch, number + 1)
            yield batch

    def _batches(self, epoch: int, first: int) -> Iterator[Batch]:
        """The batches of ``epoch`` from number ``first`` on."""
        raise NotImplementedError

    def _begin(self) -> tuple[int, int]:
        """The epoch of the pass that begins, and its first batch."""
        resumed, self._resumed = self._resumed, False
        if self._position is None:
            return (self.dealing.epoch() if self.dealing.epoch else 0), 0
        epoch, done = self._position
        if resumed and done < len(self):
            return epoch, done
        return (self.dealing.epoch() if self.dealing.epoch and not resumed else epoch + 1), 0

    def state_dict(self) -> dict[str, int]:
        """The position: an epoch, and how many of its batches are done."""
        epoch, done = self._position or (0, 0)
        return {"epoch": epoch, "batches": done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """The next pass goes on behind that position."""
        self._position, self._resumed = (state["epoch"], state["batches"]), True

    def order(self, epoch: int) -> Tensor:
        """The images in the order of ``epoch``, int64 (N,)."""
        return torch.randperm(self.images, generator=counter_generator("order", self.dealing.seed, epoch))

    def chunks(self, epoch: int, first: int) -> Iterator[tuple[int, list[Tensor]]]:
        """The rows of this process's batches, a chunk at a time, each chunk with the number of its first batch.

        Chunks always begin at multiples of ``batches_per_chunk``; in the first one the batches before ``first`` are
        missing.
        """
        batches = [
            rows.tensor_split(self.dealing.world_size)[self.dealing.rank]
            for rows in self.order(epoch).split(self.dealing.batch_size)
        ]
        for start in range(0, len(self), self.dealing.batches_per_chunk):
            begin, end = max(start, first), min(start + self.dealing.batches_per_chunk, len(self))
            if begin < end:
                yield begin, batches[begin:end]


class TensorLoader(TrainingLoader):
    """Deals a training split that is one tensor."""

    def __init__(
        self,
        split: Split,
        augmentation: Augmentation,
        pixel_map: Preprocessing,
        dealing: Dealing,
    ):
        super().__init__(len(split), dealing)
        self.split = split
        self.augmentation = augmentation
        self.pixel_map = pixel_map

    def _batches(self, epoch: int, first: int) -> Iterator[Batch]:
        draws = self.augmentation.draw(self.images, counter_generator("augmentation", self.dealing.seed, epoch))
        for _, batches in self.chunks(epoch, first):
            rows = torch.cat(batches)
            images = self.pixel_map(self.augmentation(self.split.images[rows], draws[rows]))  # (chunk, C, H, W)
            labels, sizes = self.split.labels[rows], [len(batch) for batch in batches]
            yield from zip(images.split(sizes), labels.split(sizes), strict=True)


class TensorEvaluation:
    """One pass over a split in its own order, unchanged but for the pixel map; every process takes its share."""

    def __init__(self, split: Split, pixel_map: Preprocessing, *, batch_size: int, rank: int = 0, world_size: int = 1):
        self.split = split
        self.pixel_map = pixel_map
        self.batch_size = batch_size
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return len(shares(len(self.split), self.batch_size, self.rank, self.world_size))

    def __iter__(self) -> Iterator[Batch]:
        for share in shares(len(self.split), self.batch_size, self.rank, self.world_size):
            rows = slice(share.start, share.stop)
            yield self.pixel_map(self.split.images[rows]), self.split.labels[rows]


def shares(count: int, batch_size: int, rank: int, world_size: int) -> list[range]:
    """The batches of one process: the rows are dealt to the processes in pieces, each row once."""
    size = math.ceil(count / world_size)
    rows = range(min(rank * size, count), min((rank + 1) * size, count))
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
