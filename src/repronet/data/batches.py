"""Batches of a split in memory: the split is one uint8 tensor, and a batch is some of its rows.

Training batches are gathered, augmented and mapped to floats many at a time, a *chunk*, and handed out one by one. This
spreads the fixed costs of indexing and augmentation over many steps and does not change the results: which images are
in a batch and how they are augmented depends on (seed, epoch, image) alone.
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
    """How a training split is divided into batches."""

    batch_size: int  # images per global batch, which all processes share; the last one may be smaller
    batches_per_chunk: int = 16  # batches that are prepared together
    seed: int = 0  # with the epoch, determines order and augmentation
    epoch: Callable[[], int] | None = None  # gives the epoch of a new pass, from 0; None counts the passes
    # float64 (N,), sampling weights with which images are drawn with replacement; None: each image comes once
    # per epoch
    chances: Tensor | None = None
    # rank, world_size: this process takes its share of every global batch; if a batch has fewer images than
    # there are processes, some processes get none
    rank: int = 0
    world_size: int = 1


class TrainingLoader:
    """The base of all loaders of a training split: length, order, and a state that a checkpoint can store.

    A pass yields the batches of one epoch. Lightning stores :meth:`state_dict` in its checkpoints, so a run that is
    resumed within an epoch continues with the next batch.

    Args:
        images: the number of images in the split.
    """

    def __init__(self, images: int, dealing: Dealing, augmentation: Augmentation, pixel_map: Preprocessing):
        self.images = images
        self.dealing = dealing
        self.augmentation = augmentation
        self.pixel_map = pixel_map
        self._position: tuple[int, int] | None = None  # of the latest pass: epoch, batches handed out
        self._resumed = False

    def __len__(self) -> int:
        return math.ceil(self.images / self.dealing.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        epoch, first = self._begin()
        for number, batch in enumerate(self._batches(epoch, first), start=first):
            self._position = (epoch, number + 1)
            yield batch

    def _batches(self, epoch: int, first: int) -> Iterator[Batch]:
        """The batches of ``epoch``, starting with number ``first``."""
        raise NotImplementedError

    def _begin(self) -> tuple[int, int]:
        """Begin a pass: its epoch and the number of its first batch."""
        resumed, self._resumed = self._resumed, False
        if self._position is None:
            return (self.dealing.epoch() if self.dealing.epoch else 0), 0
        epoch, done = self._position
        if resumed and done < len(self):
            return epoch, done
        return (self.dealing.epoch() if self.dealing.epoch and not resumed else epoch + 1), 0

    def state_dict(self) -> dict[str, int]:
        """The position: an epoch, and the number of its batches that are done."""
        epoch, done = self._position or (0, 0)
        return {"epoch": epoch, "batches": done}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Make the next pass continue after that position."""
        self._position, self._resumed = (state["epoch"], state["batches"]), True

    def order(self, epoch: int) -> Tensor:
        """The image indices in the order of ``epoch``, int64 (N,)."""
        drawn, chances = counter_generator("order", self.dealing.seed, epoch), self.dealing.chances
        if chances is None:
            return torch.randperm(self.images, generator=drawn)
        return torch.multinomial(chances, self.images, replacement=True, generator=drawn)

    def chunks(self, epoch: int, first: int) -> Iterator[tuple[int, list[Tensor], list[Tensor]]]:
        """The rows of this process's batches, one chunk at a time, each with the number of its first batch.

        The last item says which of the epoch's rows of random numbers augment the images: an image's own row or, if an
        image may come twice, the row of its place in the order. Chunks always begin at multiples of
        ``batches_per_chunk``; the first one lacks the batches before ``first``.
        """
        order = self.order(epoch)
        batches = self._dealt(order)
        draws = batches if self.dealing.chances is None else self._dealt(torch.arange(self.images, device=order.device))
        for start in range(0, len(self), self.dealing.batches_per_chunk):
            begin, end = max(start, first), min(start + self.dealing.batches_per_chunk, len(self))
            if begin < end:
                yield begin, batches[begin:end], draws[begin:end]

    def _changed(self, images: Tensor, draws: Tensor) -> Tensor:
        """Augment images by the rows of ``draws`` and apply the pixel map: uint8 (N, C, H, W) → float32."""
        if not len(images):  # some operations fail on an empty batch
            return self._changed(images.new_zeros(1, *images.shape[1:]), draws.new_zeros(1, *draws.shape[1:]))[:0]
        return self.pixel_map(self.augmentation(images, draws))

    def _dealt(self, rows: Tensor) -> list[Tensor]:
        """This process's share of every batch."""
        parts = rows.split(self.dealing.batch_size)
        return [part[share_of(len(part), self.dealing.rank, self.dealing.world_size)] for part in parts]


class TensorLoader(TrainingLoader):
    """The loader of a training split that is one tensor."""

    def __init__(self, split: Split, augmentation: Augmentation, pixel_map: Preprocessing, dealing: Dealing):
        super().__init__(len(split), dealing, augmentation, pixel_map)
        self.split = split

    def order(self, epoch: int) -> Tensor:
        """The order on the images' device, moved there once per epoch instead of with every chunk."""
        return super().order(epoch).to(self.split.images.device)

    def _batches(self, epoch: int, first: int) -> Iterator[Batch]:
        drawn_by = counter_generator("augmentation", self.dealing.seed, epoch)
        draws = self.augmentation.draw(self.images, drawn_by).to(self.split.images.device)
        for _, batches, drawn in self.chunks(epoch, first):
            rows = torch.cat(batches)
            images = self._changed(self.split.images[rows], draws[torch.cat(drawn)])  # (chunk, C, H, W)
            labels, sizes = self.split.labels[rows], [len(batch) for batch in batches]
            yield from zip(images.split(sizes), labels.split(sizes), strict=True)


class TensorEvaluation:
    """One pass over a split in its own order, with the pixel map alone; each process takes its share of every batch.

    All processes have the same number of batches; in the last one, a process's share may be empty.
    """

    def __init__(self, split: Split, pixel_map: Preprocessing, *, batch_size: int, rank: int = 0, world_size: int = 1):
        self.split = split
        self.pixel_map = pixel_map
        self.batch_size = batch_size
        self.rank, self.world_size = rank, world_size

    def __len__(self) -> int:
        return math.ceil(len(self.split) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        for share in shares(len(self.split), self.batch_size, self.rank, self.world_size):
            rows = slice(share.start, share.stop)
            if len(share):
                yield self.pixel_map(self.split.images[rows]), self.split.labels[rows]
            else:
                yield self.pixel_map(self.split.images[:1])[:0], self.split.labels[:0]


def share_of(count: int, rank: int, world_size: int) -> slice:
    """This process's part of a batch of ``count`` images: equal parts, with one more image for the first processes."""
    least, rest = divmod(count, world_size)
    start = rank * least + min(rank, rest)
    return slice(start, start + least + (rank < rest))


def shares(count: int, batch_size: int, rank: int, world_size: int) -> list[range]:
    """This process's rows of each batch of a split in its own order; each row belongs to exactly one process."""
    batches = [range(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]
    return [batch[share_of(len(batch), rank, world_size)] for batch in batches]
