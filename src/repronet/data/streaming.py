"""Batches of images that are made one by one: by loader processes, or in this one.

Which images make a batch and how each is changed depends on (seed, epoch, image) alone, so neither the number of
processes nor where the images come from changes a single pixel.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from repronet.data.augmentation import Augmentation
from repronet.data.batches import Batch, Dealing, TrainingLoader, share_of, shares
from repronet.data.images import refusal
from repronet.data.randomness import counter_generator
from repronet.data.reading import ImageError, centre_crop, resize_short_side
from repronet.data.splits import LabelledImages
from repronet.data.whitening import Preprocessing
from repronet.errors import Fault
from repronet.runs.stopping import ignore_signals

if TYPE_CHECKING:
    from repronet.data.policy import Mixing


class ImageChange(Protocol):
    """One image, uint8 (C, H, W) of any size → uint8 (C, size, size), by the numbers that ``seed`` gives."""

    @property
    def size(self) -> int: ...

    def __call__(self, image: Tensor, seed: int) -> Tensor: ...


@dataclass(frozen=True)
class Frame:
    """The middle of the image, the shorter side reduced or enlarged to ``short_side`` first; nothing random.

    Krizhevsky et al. 2012, section 2: shorter side 256, the central 224 × 224.
    """

    size: int
    short_side: int

    def __call__(self, image: Tensor, seed: int = 0) -> Tensor:
        return centre_crop(resize_short_side(image, self.short_side), self.size)


@dataclass(frozen=True)
class _Made(Dataset):
    """Item (index, seed) → that image, changed, and its label; or the error that it met, which the caller raises."""

    split: LabelledImages
    change: ImageChange

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, Tensor] | ImageError:
        index, seed = item
        try:
            return self.change(self.split.image(index), seed), self.split.labels[index]
        except ImageError as error:  # a worker's own traceback would bury the line
            return error


def _stacked(items: list[Any], channels_last: bool) -> Batch | list[ImageError]:
    """uint8 (N, C, H, W) and labels (N,), or the errors that were met."""
    wrong = [item for item in items if isinstance(item, ImageError)]
    if wrong:
        return wrong
    images, labels = zip(*items, strict=True)
    if not channels_last:
        return torch.stack(images), torch.stack(labels)
    lines = torch.stack([image.permute(1, 2, 0) for image in images])  # (N, H, W, C), as most images lie in memory
    return lines.permute(0, 3, 1, 2), torch.stack(labels)


def _start_worker(worker: int) -> None:
    torch.set_num_threads(1)  # the workers share the cores with each other and with the training
    ignore_signals()


LOST_WORKER = "DataLoader worker"  # torch's words for a loader process that is gone


def lost_worker(workers: int) -> str:
    """What a person can do about it."""
    return f"a loader process was killed, often because memory ran out; data.workers={workers // 2} needs less"


def _guarded(made: Iterator[Any], workers: int) -> Iterator[Any]:
    """Raises: Fault when a loader process is gone."""
    try:
        yield from made
    except RuntimeError as error:
        if LOST_WORKER not in str(error):
            raise
        raise Fault(lost_worker(workers)) from error


class ImageMaker:
    """Makes batches of changed images, by ``workers`` processes that live until it is closed, or by none."""

    def __init__(self, split: LabelledImages, change: ImageChange, workers: int, channels_last: bool):
        self.split, self.change, self.workers, self.channels_last = split, change, workers, channels_last
        self._plan: list[list[tuple[int, int]]] = []  # the loader looks here for the batches of a pass
        self._loader: DataLoader | None = None

    def batches(self, plan: list[list[tuple[int, int]]]) -> Iterator[Batch]:
        """The images of each batch of ``plan`` as (index, seed). Another pass ends one that is not finished.

        Raises:
            ImageError: when an image cannot be read right.
            UserError: when several of a batch cannot, with their names.
        """
        self._plan[:] = plan
        with warnings.catch_warnings():
            # More processes than cores are the user's choice, and slow at worst.
            warnings.filterwarnings("ignore", message="This DataLoader will create")
            self._loader = self._loader or self._started()
            made = iter(self._loader)
        for batch in _guarded(made, self.workers):
            if isinstance(batch[0], ImageError):  # what is pinned for a GPU may come as a list, too
                raise refusal(batch)
            yield batch

    def every(self, plan: list[list[tuple[int, int]]]) -> Iterator[Batch]:
        """As :meth:`batches`, of a plan in which batches may be empty."""
        made = self.batches([items for items in plan if items])
        for items in plan:
            yield next(made) if items else self._nothing()

    def _nothing(self) -> Batch:
        side = self.change.size
        return torch.zeros(0, self.split.channels, side, side, dtype=torch.uint8), self.split.labels[:0]

    def close(self) -> None:
        """End the processes; the garbage collector would wait five seconds for each."""
        self._loader = None

    def _started(self) -> DataLoader:
        return DataLoader(
            _Made(self.split, self.change),
            batch_sampler=self._plan,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            collate_fn=partial(_stacked, channels_last=self.channels_last),
            worker_init_fn=_start_worker,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # or the loader would draw a seed for its workers from the global one
        )


class ImageLoader(TrainingLoader):
    """Deals a training split of images, like :class:`repronet.data.batches.TensorLoader` and in the same order.

    Each image is first changed alone, in a loader process where there are any; then a chunk of batches is
    augmented and mapped to numbers together, on ``device``; then, with ``mixing``, each batch is mixed. With
    ``channels_last`` the channels stay innermost in memory, as in files: for a network that wants them so.
    """

    def __init__(
        self,
        split: LabelledImages,
        change: ImageChange,
        augmentation: Augmentation,
        pixel_map: Preprocessing,
        mixing: Mixing | None = None,
        *,
        dealing: Dealing,
        num_classes: int,
        workers: int,
        device: torch.device,
        channels_last: bool = False,
    ):
        super().__init__(len(split), dealing, augmentation, pixel_map)
        self.split, self.mixing, self.num_classes, self.device = split, mixing, num_classes, device
        self._maker = ImageMaker(split, change, workers, channels_last)

    def close(self) -> None:
        """End the loader processes; another pass starts new ones."""
        self._maker.close()

    def _batches(self, epoch: int, first: int) -> Iterator[Batch]:
        draws = self.augmentation.draw(self.images, counter_generator("augmentation", self.dealing.seed, epoch))
        seeds = torch.randint(2**62, (self.images,), generator=counter_generator("picture", self.dealing.seed, epoch))
        chunks = list(self.chunks(epoch, first))
        items = [
            list(zip(rows.tolist(), seeds[own].tolist(), strict=True))
            for _, batches, drawn in chunks
            for rows, own in zip(batches, drawn, strict=True)
        ]
        made = self._maker.every(items)
        for number, batches, drawn in chunks:
            mapped = self._mapped(list(islice(made, len(batches))), draws[torch.cat(drawn)])
            for step, batch in enumerate(mapped, start=number):
                yield self._mixed(batch, epoch, step)

    def _mapped(self, chunk: list[Batch], draws: Tensor) -> list[Batch]:
        images = torch.cat([images for images, _ in chunk]).to(self.device, non_blocking=True)
        labels = torch.cat([labels for _, labels in chunk]).to(self.device, non_blocking=True)
        sizes = [len(labels) for _, labels in chunk]
        return list(zip(self._changed(images, draws).split(sizes), labels.split(sizes), strict=True))

    def _dealt(self, rows: Tensor) -> list[Tensor]:
        """This process's share of every batch, with the row before it where images are mixed."""
        dealing = self.dealing
        if self.mixing is None or dealing.world_size == 1:
            return super()._dealt(rows)
        found = []
        for part in rows.split(dealing.batch_size):
            share = share_of(len(part), dealing.rank, dealing.world_size)
            found.append(
                torch.cat([part[share.start - 1, None], part[share]]) if share.stop > share.start else part[:0]
            )
        return found

    def _mixed(self, batch: Batch, epoch: int, step: int) -> Batch:
        if self.mixing is None:
            return batch
        drawn = counter_generator("mixing", self.dealing.seed, epoch, step)
        seed = int(torch.randint(2**62, (), generator=drawn))
        if self.dealing.world_size == 1:
            return self.mixing(*batch, self.num_classes, seed)
        if not len(batch[1]):
            return batch[0], batch[0].new_zeros(0, self.num_classes)
        images, labels = self.mixing(*batch, self.num_classes, seed)
        return images[1:], labels[1:]  # the first is there for the second to be mixed with


class ImageEvaluation:
    """One pass over a split in its own order, each image framed and mapped to numbers."""

    def __init__(
        self,
        split: LabelledImages,
        frame: ImageChange,
        pixel_map: Preprocessing,
        *,
        batch_size: int,
        workers: int,
        device: torch.device,
        channels_last: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ):
        self.split, self.pixel_map, self.batch_size, self.device = split, pixel_map, batch_size, device
        self.rank, self.world_size = rank, world_size
        self._maker = ImageMaker(split, frame, workers, channels_last)

    def close(self) -> None:
        """End the loader processes; another pass starts new ones."""
        self._maker.close()

    def __len__(self) -> int:
        return math.ceil(len(self.split) / self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        rows = shares(len(self.split), self.batch_size, self.rank, self.world_size)
        for images, labels in self._maker.every([[(index, 0) for index in share] for share in rows]):
            mapped = self.pixel_map((images if len(images) else images.new_zeros(1, *images.shape[1:])).to(self.device))
            yield mapped[: len(images)], labels.to(self.device)
