"""The LightningDataModule: a dataset, its preprocessing, and its loaders."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F

from repronet.data.augmentation import Augmentation, NoAugmentation
from repronet.data.balance import chances
from repronet.data.batches import Batch, Dealing, TensorEvaluation, TensorLoader
from repronet.data.eval_transform import EvalTransform
from repronet.data.preprocessing import PixelMap, PixelStatistics, pad_to
from repronet.data.reading import centre_crop
from repronet.data.splits import ImageDataset, LabelledImages, Split
from repronet.data.streaming import Frame, ImageEvaluation, ImageLoader
from repronet.data.whitening import Preprocessing
from repronet.errors import UserError

if TYPE_CHECKING:  # torchvision's transforms are slow to import
    from repronet.data.policy import Policy


@dataclass(frozen=True)
class Enlarged:
    """A pixel map whose results are resized to ``size`` × ``size``, for a network that takes larger images."""

    pixel_map: Preprocessing
    size: int

    def __call__(self, images: Tensor) -> Tensor:
        mapped = self.pixel_map(images)  # (N, C, H, W)
        if mapped.shape[-2:] == (self.size, self.size):  # a policy has already resized them
            return mapped
        return F.interpolate(mapped, (self.size, self.size), mode="bilinear", align_corners=False)


def fitted_splits(dataset: ImageDataset, size: int, fit: str | None, whole_train: bool = False) -> ImageDataset:
    """Bring the dataset's tensors to ``size`` × ``size``, except by enlarging, which would cost memory.

    Smaller images that are not padded stay small: :class:`Enlarged` resizes each batch when it is used.

    Args:
        fit: "pad" pads images with background, "crop" crops their centre; otherwise they are reduced.
        whole_train: leave training images uncropped under "crop", for a policy that crops them itself.
    """

    def fitted(split: LabelledImages) -> LabelledImages:
        return replace(split, images=_fitted(split.images, size, fit)) if isinstance(split, Split) else split

    test = None if dataset.test is None else fitted(dataset.test)
    train = dataset.train if fit == "crop" and whole_train else fitted(dataset.train)
    return replace(dataset, train=train, val=fitted(dataset.val), test=test)


def _fitted(images: Tensor, size: int, fit: str | None) -> Tensor:
    """uint8 (N, C, H, W) → (N, C, size, size): padded, cropped, or reduced with antialiasing."""
    if fit == "pad":
        return pad_to(images, size)
    if min(images.shape[-2:]) <= size:
        return images
    if fit == "crop":
        return centre_crop(images, size)
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)


class ImageDataModule(pl.LightningDataModule):
    """Provides a dataset to a Trainer.

    Images in memory as one tensor are moved to the training device, and batches are made there; images of any size are
    prepared one by one, see :mod:`repronet.data.streaming`. With several processes, each gets its share of every batch,
    so Lightning needs no sampler.

    Args:
        dataset: the splits; their tensors must have gone through :func:`fitted_splits` for ``image_size``.
        statistics: of the training images before any padding, as usually reported; None: those of ``dataset``.
        pixel_map: the map from pixels to network input, see :mod:`repronet.data.whitening`; None: standardised.
        augmentation: applied to training images, a batch at a time.
        policy: applied to training images one at a time, instead of ``augmentation``.
        image_size: height and width of the network's input.
        short_side: pixels that an image's shorter side is resized to before the centre crop in evaluation.
        read_side, fit: how an image file is read, see :class:`~repronet.data.eval_transform.EvalTransform`.
        pad: whether smaller images were padded with background; stored for the evaluation transform.
        batch_size: images per training step, over all processes.
        eval_batch_size: images per validation or test step; it changes speed and memory, not results.
        batches_per_chunk: training batches that are prepared together; see :mod:`repronet.data.batches`.
        workers: loader processes that prepare images; 0 prepares them in this process.
        balanced: draw training images with replacement, so that all classes are equally likely.
        seed: determines the order and the augmentation.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        statistics: PixelStatistics | None = None,
        pixel_map: Preprocessing | None = None,
        augmentation: Augmentation | None = None,
        policy: Policy | None = None,
        *,
        image_size: int,
        short_side: int | None = None,
        read_side: int | None = None,
        fit: str = "crop",
        pad: bool = False,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        batches_per_chunk: int = 16,
        workers: int = 0,
        balanced: bool = False,
        seed: int = 0,
    ):
        super().__init__()
        self.classes = dataset.classes
        self.multilabel = dataset.multilabel
        self.statistics = statistics or dataset.train.statistics()
        self.train, self.val, self.test = dataset.train, dataset.val, dataset.test
        self.pixel_map = pixel_map or Enlarged(PixelMap.standardize(self.statistics), image_size)
        self.augmentation = augmentation or NoAugmentation()
        self.policy = policy
        self.frame = Frame(image_size, short_side or image_size)
        self.read_side, self.fit = read_side, fit
        self.pad = pad
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.batches_per_chunk = batches_per_chunk
        self.workers = workers
        self.chances = chances(dataset.train.labels, len(dataset.classes)) if balanced else None
        self.seed = seed
        self.device = torch.device("cpu")
        self._holding_processes: WeakSet[ImageLoader | ImageEvaluation] = WeakSet()  # the loaders still in use

    def setup(self, stage: str) -> None:
        """Move tensors to the training device once, so that batches are gathered, augmented and mapped there."""
        if self.trainer is None:
            return
        self.device = self.trainer.strategy.root_device
        if self.policy is None:  # a policy changes images one by one, on the CPU
            self.train = self._moved(self.train)
        self.val = self._moved(self.val)
        self.test = self._moved(self.test) if self.test is not None else None

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """As Lightning's, but without cost for a batch that is already there, as batches from tensors are."""
        if isinstance(batch, tuple) and all(isinstance(part, Tensor) and part.device == device for part in batch):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint stores about the data: the evaluation transform, including the classes."""
        return {"lens": self.eval_transform.plain()}

    @property
    def eval_transform(self) -> EvalTransform:
        """The transform from an image to the network's input."""
        pixel_map = self.pixel_map.pixel_map if isinstance(self.pixel_map, Enlarged) else self.pixel_map
        side = self.train.images.shape[-1] if isinstance(self.train, Split) else self.frame.size
        native = side if side < self.frame.size else None
        return EvalTransform(
            self.classes,
            self.train.channels,
            self.frame.size,
            self.frame.short_side,
            self.pad,
            pixel_map,
            native,
            self.read_side,
            self.multilabel,
            self.fit,
        )

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in one pass over the training split."""
        return -(-len(self.train) // self.batch_size)

    def images_in_batch(self, number: int) -> int:
        """The number of images in training batch ``number`` (from 0), over all processes."""
        return min(self.batch_size, len(self.train) - number * self.batch_size)

    def write_tensors(self, file: Path) -> None:
        """Save the splits that are tensors to a file, which other processes can map into memory."""
        splits = {"train": self.train, "val": self.val, "test": self.test}
        tensors = {name: split for name, split in splits.items() if isinstance(split, Split)}
        torch.save({name: (split.images.cpu(), split.labels.cpu()) for name, split in tensors.items()}, file)

    def map_tensors(self, file: Path) -> None:
        """Map the splits that are tensors from the file that :meth:`write_tensors` wrote for the same data.

        The processes of a machine then share one copy in memory.
        """
        for name, tensors in torch.load(file, mmap=True, weights_only=True).items():
            setattr(self, name, Split(*tensors))

    def teardown(self, stage: str) -> None:
        """End the loader processes; Lightning calls this after training or a test."""
        self.close()

    def close(self) -> None:
        """End the loader processes; a new pass starts new ones."""
        for loader in self._holding_processes:
            loader.close()
        self._holding_processes.clear()

    def _moved(self, split: LabelledImages) -> LabelledImages:
        return split.to(self.device) if isinstance(split, Split) else split

    @property
    def _processes(self) -> tuple[int, int]:
        """The rank of this process and the number of processes."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def train_dataloader(self) -> TensorLoader | ImageLoader:
        trainer = self.trainer
        epoch = None if trainer is None else lambda: trainer.current_epoch
        if trainer is not None and trainer.overfit_batches:  # type: ignore[attr-defined]  # the same images every epoch
            epoch = lambda: 0  # noqa: E731
        rank, world_size = self._processes
        dealing = Dealing(self.batch_size, self.batches_per_chunk, self.seed, epoch, self.chances, rank, world_size)
        if isinstance(self.train, Split) and self.policy is None:
            return TensorLoader(self.train, self.augmentation, self.pixel_map, dealing)
        loader = ImageLoader(
            self.train,
            self.policy or self.frame,
            self.augmentation,
            self.pixel_map,
            self.policy.mixing if self.policy else None,
            dealing=dealing,
            num_classes=len(self.classes),
            workers=self.workers,
            device=self.device,
            channels_last=self._wants_channels_last(),
        )
        self._holding_processes.add(loader)
        return loader

    def _wants_channels_last(self) -> bool:
        """Whether the trained module asks for it; another LightningModule gets batches on which ``view`` works."""
        trained = None if self.trainer is None else self.trainer.lightning_module
        return getattr(trained, "channels_last", False) is True

    def first_training_batch(self) -> Batch:
        """The first batch of the first epoch, made in this process and without the other batches of its chunk."""
        given = self.workers, self.batches_per_chunk
        self.workers, self.batches_per_chunk = 0, 1
        try:
            return next(iter(self.train_dataloader()))
        finally:
            self.workers, self.batches_per_chunk = given

    def val_dataloader(self) -> TensorEvaluation | ImageEvaluation:
        return self.in_order(self.val)

    def test_dataloader(self) -> TensorEvaluation | ImageEvaluation:
        """Raises: UserError, when the dataset has no test split."""
        if self.test is None:
            raise UserError("the dataset has no test split; validate it, or name a share with data.test=")
        return self.in_order(self.test)

    def predict_dataloader(self) -> TensorEvaluation | ImageEvaluation:
        """The test split, or the validation split if there is no test split."""
        return self.in_order(self.val if self.test is None else self.test)

    def in_order(self, split: LabelledImages) -> TensorEvaluation | ImageEvaluation:
        """The batches of a split in its own order, without augmentation."""
        rank, world_size = self._processes
        if isinstance(split, Split):
            return TensorEvaluation(
                split, self.pixel_map, batch_size=self.eval_batch_size, rank=rank, world_size=world_size
            )
        loader = ImageEvaluation(
            split,
            self.frame,
            self.pixel_map,
            batch_size=self.eval_batch_size,
            workers=self.workers,
            device=self.device,
            channels_last=self._wants_channels_last(),
            rank=rank,
            world_size=world_size,
        )
        self._holding_processes.add(loader)
        return loader
