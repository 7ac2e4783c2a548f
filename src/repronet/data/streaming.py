"""Batches of images that are prepared one by one, by loader processes or in this process.

Which images are in a batch and how each is augmented depends on (seed, epoch, image) alone, so neither the number of
processes nor the source of the images changes a single pixel.
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
    """A change of one image, uint8 (C, H, W) of any size → uint8 (C, size, size), with randomness from ``seed``."""

    @property
    def size(self) -> int: ...

    def __call__(self, image: Tensor, seed: int) -> Tensor: ...


@dataclass(frozen=True)
class Frame:
    """Resize the shorter side to ``short_side``, then crop the centre; nothing random.

    Krizhevsky et al. 2012, section 2: shorter side 256, the central 224 × 224.
    """

    size: int
    short_side: int

    def __call__(self, image: Tensor, seed: int = 0) -> Tensor:
        return centre_crop(resize_short_side(image, self.short_side), self.size)


@dataclass(frozen=True)
class _Made(Dataset):
    """Item (index, seed) → the changed image and its label, or the error in reading it, which the caller raises."""

    split: LabelledImages
    change: ImageChange

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, Tensor] | ImageError:
        index, seed = item
        try:
            return self.change(self.split.image(index), seed), self.split.labels[index]
        except ImageError as error:  # a worker's own traceback would hide the message
            return error


def _stacked(items: list[Any], channels_last: bool) -> Batch | list[ImageError]:
    """Stack items to uint8 (N, C, H, W) and their labels; or return the errors among them."""
    wrong = [item for item in items if isinstance(item, ImageError)]
    if wrong:
        return wrong
    images, labels = zip(*items, strict=True)
    if not channels_last:
        return torch.stack(images), torch.stack(labels)
    lines = torch.stack([image.permute(1, 2, 0) for image in images])  # (N, H, W, C), the memory order of most images
    return lines.permute(0, 3, 1, 2), torch.stack(labels)


def _start_worker(worker: int) -> None:
    torch.set_num_threads(1)  # the workers share the cores with each other and with the training
    ignore_signals()


LOST_WORKER = "DataLoader worker"  # torch's words for a loader process that has died


def lost_worker(workers: int) -> str:
    """The error message for a killed loader process, with a remedy."""
    return f"a loader process was killed, often because memory ran out; data.workers={workers // 2} needs less"


def _guarded(made: Iterator[Any], workers: int) -> Iterator[Any]:
    """Raises: Fault, if a loader process has died."""
    try:
        yield from made
    except RuntimeError as error:
        if LOST_WORKER not in str(error):
            raise
        raise Fault(lost_worker(workers)) from error


class ImageMaker:
    """Makes batches of changed images with ``workers`` processes that live until :meth:`close`; 0 uses this process."""

    def __init__(self, split: LabelledImages, change: ImageChange, workers: int, channels_last: bool):
        self.split, self.change, self.workers, self.channels_last = split, change, workers, channels_last
        self._plan: list[list[tuple[int, int]]] = []  # the loader reads the batches of a pass from here
        self._loader: DataLoader | None = None

    def batches(self, plan: list[list[tuple[int, int]]]) -> Iterator[Batch]:
        """Yield the batches of ``plan``, which lists their images as (index, seed). A new pass ends an unfinished one.

        Raises:
            ImageError: if an image cannot be read correctly.
            UserError: if several of a batch cannot, with their names.
        """
        self._plan[:] = plan
        with warnings.catch_warnings():
            # More processes than cores are the user's choice, and slow at worst.
            warnings.filterwarnings("ignore", message="This DataLoader will create")
            self._loader = self._loader or self._started()
            made = iter(self._loader)
        for batch in _guarded(made, self.workers):
            if isinstance(batch[0], ImageError):  # a batch pinned for a GPU may also come as a list
                raise refusal(batch)
            yield batch

    def every(self, plan: list[list[tuple[int, int]]]) -> Iterator[Batch]:
        """As :meth:`batches`, for a plan in which batches may be empty."""
        made = self.batches([items for items in plan if items])
        for items in plan:
            yield next(made) if items else self._nothing()

    def _nothing(self) -> Batch:
        side = self.change.size
        return torch.zeros(0, self.split.channels, side, side, dtype=torch.uint8), self.split.labels[:0]

    def close(self) -> None:
        """End the loader processes; the garbage collector would wait five seconds for each."""
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
            generator=torch.Generator(),  # otherwise the loader would draw its workers' seed from the global one
        )


class ImageLoader(TrainingLoader):
    """The loader of a training split of images, in the same order as :class:`repronet.data.batches.TensorLoader`.

    Each image is first changed by itself, in a loader process if there are any; then a chunk of batches is augmented
    and mapped to numbers together, on ``device``; then, with ``mixing``, each batch is mixed. With ``channels_last``
    the channels stay innermost in memory, as in files, for networks that use this layout.
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
        """This process's share of every batch; with mixing, also the row before it."""
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
        return images[1:], labels[1:]  # the first image was only there to be mixed into the second


class ImageEvaluation:
    """One pass over a split in its own order, with each image cropped by ``frame`` and mapped to numbers."""

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
