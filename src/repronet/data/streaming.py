"""Batches of pictures that are made one by one: by loader processes, or in this one.

Which pictures make a batch and how each is changed depends on (seed, epoch, picture) alone, so neither the number of
processes nor where the pictures come from changes a single pixel.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from repronet.data.augmentation import Augmentation
from repronet.data.batches import Batch
from repronet.data.randomness import counter_generator
from repronet.data.reading import PictureError, centre_crop, resize_short_side
from repronet.data.splits import LabelledPictures
from repronet.data.whitening import Preprocessing


class PictureChange(Protocol):
    """One picture, uint8 (C, H, W) of any size → uint8 (C, size, size), by the numbers that ``seed`` gives."""

    def __call__(self, picture: Tensor, seed: int) -> Tensor: ...


class Mixing(Protocol):
    """Images and labels of a batch mixed: labels come out as probabilities (N, num_classes)."""

    def __call__(self, images: Tensor, labels: Tensor, num_classes: int, seed: int) -> tuple[Tensor, Tensor]: ...


@dataclass(frozen=True)
class Frame:
    """The middle of the picture, the shorter side reduced or enlarged to ``short_side`` first; nothing random.

    Krizhevsky et al. 2012, section 2: shorter side 256, the central 224 × 224.
    """

    size: int
    short_side: int

    def __call__(self, picture: Tensor, seed: int = 0) -> Tensor:
        return centre_crop(resize_short_side(picture, self.short_side), self.size)


@dataclass(frozen=True)
class _Made(Dataset):
    """Item (index, seed) → that picture, changed, and its label; or the error that it met, which the caller raises."""

    split: LabelledPictures
    change: PictureChange

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, Tensor] | PictureError:
        index, seed = item
        try:
            return self.change(self.split.picture(index), seed), self.split.labels[index]
        except PictureError as error:  # a worker's own traceback would bury the line
            return error


def _stacked(items: list[Any]) -> Batch | PictureError:
    """uint8 (N, C, H, W) and labels (N,), or the first error."""
    wrong = next((item for item in items if isinstance(item, PictureError)), None)
    if wrong is not None:
        return wrong
    images, labels = zip(*items, strict=True)
    return torch.stack(images), torch.stack(labels)


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)  # the workers share the cores with each other and with the training


def made(
    split: LabelledPictures, change: PictureChange, items: list[tuple[int, int]], batch_size: int, workers: int
) -> Iterator[Batch]:
    """Batches of the pictures in ``items`` = (index, seed), in that order.

    Raises:
        PictureError: when a picture cannot be read right.
    """
    with warnings.catch_warnings():
        # More processes than cores are the user's choice, and slow at worst.
        warnings.filterwarnings("ignore", message="This DataLoader will create")
        batches = iter(
            DataLoader(
                _Made(split, change),
                batch_sampler=[items[start : start + batch_size] for start in range(0, len(items), batch_size)],
                num_workers=workers,
                collate_fn=_stacked,
                worker_init_fn=_one_thread,
                pin_memory=torch.cuda.is_available(),
                generator=torch.Generator(),  # or the loader would draw a seed for its workers from the global one
            )
        )
    for batch in batches:
        if isinstance(batch, PictureError):
            raise batch
        yield batch


class PictureBatches:
    """One pass over the training split, like :class:`repronet.data.batches.TrainingBatches` and in the same order.

    Each picture is first changed by itself, in a loader process where there are any; then a chunk of batches is
    augmented and mapped to numbers together, on ``device``; then, with ``mixing``, each batch is mixed.
    """

    def __init__(
        self,
        split: LabelledPictures,
        change: PictureChange,
        augmentation: Augmentation,
        pixel_map: Preprocessing,
        mixing: Mixing | None = None,
        *,
        num_classes: int,
        batch_size: int,
        batches_per_chunk: int,
        workers: int,
        device: torch.device,
        seed: int,
        epoch: Callable[[], int],
    ):
        self.split, self.change, self.augmentation, self.pixel_map = split, change, augmentation, pixel_map
        self.mixing, self.num_classes = mixing, num_classes
        self.batch_size, self.batches_per_chunk = batch_size, batches_per_chunk
        self.workers, self.device, self.seed, self.epoch = workers, device, seed, epoch

    @property
    def steps(self) -> int:
        """Batches in one pass; the last may be smaller."""
        return math.ceil(len(self.split) / self.batch_size)

    def __len__(self) -> int:
        return math.ceil(self.steps / self.batches_per_chunk)

    def __iter__(self) -> Iterator[list[Batch]]:
        epoch, count = self.epoch(), len(self.split)
        order = torch.randperm(count, generator=counter_generator("order", self.seed, epoch))
        draws = self.augmentation.draw(count, counter_generator("augmentation", self.seed, epoch))
        seeds = torch.randint(2**62, (count,), generator=counter_generator("picture", self.seed, epoch))
        items = list(zip(order.tolist(), seeds[order].tolist(), strict=True))
        batches, step = made(self.split, self.change, items, self.batch_size, self.workers), 0
        for rows in order.split(self.batch_size * self.batches_per_chunk):
            chunk = list(islice(batches, math.ceil(len(rows) / self.batch_size)))
            yield [self._mixed(batch, epoch, step + n) for n, batch in enumerate(self._mapped(chunk, draws[rows]))]
            step += len(chunk)

    def _mapped(self, chunk: list[Batch], draws: Tensor) -> list[Batch]:
        images = torch.cat([images for images, _ in chunk]).to(self.device, non_blocking=True)
        labels = torch.cat([labels for _, labels in chunk]).to(self.device, non_blocking=True)
        numbers = self.pixel_map(self.augmentation(images, draws))
        return list(zip(numbers.split(self.batch_size), labels.split(self.batch_size), strict=True))

    def _mixed(self, batch: Batch, epoch: int, step: int) -> Batch:
        if self.mixing is None:
            return batch
        drawn = counter_generator("mixing", self.seed, epoch, step)
        return self.mixing(*batch, self.num_classes, int(torch.randint(2**62, (), generator=drawn)))


class PictureEvaluation:
    """One pass over a split in its own order, each picture framed and mapped to numbers."""

    def __init__(
        self,
        split: LabelledPictures,
        frame: PictureChange,
        pixel_map: Preprocessing,
        *,
        batch_size: int,
        workers: int,
        device: torch.device,
    ):
        self.split, self.frame, self.pixel_map = split, frame, pixel_map
        self.batch_size, self.workers, self.device = batch_size, workers, device

    def __len__(self) -> int:
        return math.ceil(len(self.split) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        items = [(index, 0) for index in range(len(self.split))]
        for images, labels in made(self.split, self.frame, items, self.batch_size, self.workers):
            yield self.pixel_map(images.to(self.device)), labels.to(self.device)
