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
    """How a training split is dealt out."""

    batch_size: int  # images of a global batch, which all processes share; the last one may be smaller
    batches_per_chunk: int = 16  # batches that are prepared together
    seed: int = 0  # of order and augmentation, with the epoch
    epoch: Callable[[], int] | None = None  # the number of the pass that begins, counted from 0; None counts the passes
    # float64 (N,), how likely each image is in proportion; images are drawn with replacement then. None: each
    # comes once an epoch.
    chances: Tensor | None = None
    # rank, world_size: this process takes its share of every global batch; of one that has fewer images than
    # there are processes, some have none
    rank: int = 0
    world_size: int = 1


class TrainingLoader:
    """What every loader of a training split has: its length, its order, and a state that a checkpoint can hold.

    A pass yields the batches of one epoch. Lightning stores :meth:`state_dict` in its checkpoints, so a run that is
    resumed within an epoch goes on with the next batch.

    Args:
        images: size of the split.
    """

    def __init__(self, images: int, dealing: Dealing, augmentation: Augmentation, pixel_map: Preprocessing):
        self.images = images
        self.dealing = dealing
        self.augmentation = augmentation
        self.pixel_map = pixel_map
        self._position: tuple[int, int] | None = None  # epoch and batches handed out of the latest pass
        self._resumed = False

    def __len__(self) -> int:
        return math.ceil(self.images / self.dealing.batch_size)

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
        drawn, chances = counter_generator("order", self.dealing.seed, epoch), self.dealing.chances
        if chances is None:
            return torch.randperm(self.images, generator=drawn)
        return torch.multinomial(chances, self.images, replacement=True, generator=drawn)

    def chunks(self, epoch: int, first: int) -> Iterator[tuple[int, list[Tensor], list[Tensor]]]:
        """The rows of this process's batches, a chunk at a time, each chunk with the number of its first batch.

        Beside the rows stands which of the epoch's random numbers augment them: an image's own, or, where an image may
        come twice, those of its place. Chunks always begin at multiples of ``batches_per_chunk``; in the first one the
        batches before ``first`` are missing.
        """
        order = self.order(epoch)
        batches = self._dealt(order)
        draws = batches if self.dealing.chances is None else self._dealt(torch.arange(self.images, device=order.device))
        for start in range(0, len(self), self.dealing.batches_per_chunk):
            begin, end = max(start, first), min(start + self.dealing.batches_per_chunk, len(self))
            if begin < end:
                yield begin, batches[begin:end], draws[begin:end]

    def _changed(self, images: Tensor, draws: Tensor) -> Tensor:
        """Augmented and mapped to numbers: uint8 (N, C, H, W) → float32, by the rows of ``draws``."""
        if not len(images):  # not everything that changes images takes none
            return self._changed(images.new_zeros(1, *images.shape[1:]), draws.new_zeros(1, *draws.shape[1:]))[:0]
        return self.pixel_map(self.augmentation(images, draws))

    def _dealt(self, rows: Tensor) -> list[Tensor]:
        """This process's share of every batch."""
        parts = rows.split(self.dealing.batch_size)
        return [part[share_of(len(part), self.dealing.rank, self.dealing.world_size)] for part in parts]


class TensorLoader(TrainingLoader):
    """Deals a training split that is one tensor."""

    def __init__(self, split: Split, augmentation: Augmentation, pixel_map: Preprocessing, dealing: Dealing):
        super().__init__(len(split), dealing, augmentation, pixel_map)
        self.split = split

    def order(self, epoch: int) -> Tensor:
        """As any loader's, moved to where the images are: once an epoch and not with every chunk."""
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
    """One pass over a split in its own order, unchanged but for the pixel map; a process takes its share of each batch.

    All have as many batches, the last of which may be empty.
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
    """Which of the ``count`` images of a batch are this process's: as many for each, the first have one more."""
    least, rest = divmod(count, world_size)
    start = rank * least + min(rank, rest)
    return slice(start, start + least + (rank < rest))


def shares(count: int, batch_size: int, rank: int, world_size: int) -> list[range]:
    """This process's rows of each batch of a split in its own order; each row is one process's."""
    batches = [range(start, min(start + batch_size, count)) for start in range(0, count, batch_size)]
    return [batch[share_of(len(batch), rank, world_size)] for batch in batches]
