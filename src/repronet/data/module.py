"""The LightningDataModule: a dataset, how it is preprocessed, and how it is dealt out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import functional as F

from repronet.data.augmentation import Augmentation, NoAugmentation
from repronet.data.batches import EvaluationBatches, TrainingBatches
from repronet.data.eval_transform import EvalTransform
from repronet.data.preprocessing import PixelStatistics, pad_to
from repronet.data.splits import ImageDataset, LabelledPictures, Split
from repronet.data.streaming import Frame, Mixing, PictureBatches, PictureChange, PictureEvaluation
from repronet.data.whitening import Preprocessing


class Policy(PictureChange, Protocol):
    """A change of single pictures that brings them to the network's size, and perhaps mixes their batches."""

    @property
    def mixing(self) -> Mixing | None: ...


@dataclass(frozen=True)
class Enlarged:
    """A pixel map whose results are brought to ``size`` × ``size``, for a network that takes larger images."""

    pixel_map: Preprocessing
    size: int

    def __call__(self, images: Tensor) -> Tensor:
        mapped = self.pixel_map(images)  # (N, C, H, W)
        if mapped.shape[-2:] == (self.size, self.size):  # a policy has done it
            return mapped
        return F.interpolate(mapped, (self.size, self.size), mode="bilinear", align_corners=False)


def fitted_splits(dataset: ImageDataset, size: int, pad: bool) -> ImageDataset:
    """The dataset with its tensors as near to ``size`` × ``size`` as costs no memory: padded, or else reduced.

    What is smaller and not padded stays small: :class:`Enlarged` brings each batch to its size when it is wanted.
    """

    def fit(split: LabelledPictures) -> LabelledPictures:
        return replace(split, images=_fitted(split.images, size, pad)) if isinstance(split, Split) else split

    test = None if dataset.test is None else fit(dataset.test)
    return replace(dataset, train=fit(dataset.train), val=fit(dataset.val), test=test)


def _fitted(images: Tensor, size: int, pad: bool) -> Tensor:
    """uint8 (N, C, H, W) → the same, padded to (N, C, size, size), or reduced to it with antialiasing."""
    if pad:
        return pad_to(images, size)
    if min(images.shape[-2:]) <= size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)


class ImageDataModule(pl.LightningDataModule):
    """Hands a dataset to a Trainer.

    Images that lie in memory as one tensor are moved to the training device and dealt out there; pictures of any size
    are made one by one, see :mod:`repronet.data.streaming`.

    Args:
        dataset: the splits; its tensors went through :func:`fitted_splits` for ``image_size``.
        statistics: of the training images before any padding, as everybody quotes them; kept to be stated.
        pixel_map: from pixels to network input; see :mod:`repronet.data.whitening`.
        augmentation: of training images, a batch at a time.
        policy: of training pictures, one at a time; instead of ``augmentation``.
        image_size: height and width that the network takes.
        short_side: what a picture's shorter side is brought to before the middle of it is taken, to be evaluated.
        pad: whether smaller images were laid on background to fit; kept for the lens.
        batch_size: images a training step.
        eval_batch_size: images a validation or test step; it changes speed and memory, not results.
        batches_per_chunk: training batches that are prepared together; see :mod:`repronet.data.batches`.
        workers: processes that make pictures; 0 makes them in this one.
        seed: of the order and the augmentation.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        statistics: PixelStatistics,
        pixel_map: Preprocessing,
        augmentation: Augmentation | None = None,
        policy: Policy | None = None,
        *,
        image_size: int,
        short_side: int | None = None,
        pad: bool = False,
        batch_size: int = 64,
        eval_batch_size: int = 500,
        batches_per_chunk: int = 16,
        workers: int = 0,
        seed: int = 0,
    ):
        super().__init__()
        self.classes = dataset.classes
        self.statistics = statistics
        self.train, self.val, self.test = dataset.train, dataset.val, dataset.test
        self.pixel_map = pixel_map
        self.augmentation = augmentation or NoAugmentation()
        self.policy = policy
        self.frame = Frame(image_size, short_side or image_size)
        self.pad = pad
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.batches_per_chunk = batches_per_chunk
        self.workers = workers
        self.seed = seed
        self.device = torch.device("cpu")
        self._training: TrainingBatches | PictureBatches | None = None
        self._dealing: list[PictureBatches | PictureEvaluation] = []  # those that may hold processes

    def setup(self, stage: str) -> None:
        """Move tensors to the training device once: batches are gathered, augmented and mapped there."""
        if self.trainer is None:
            return
        self.device, self._training = self.trainer.strategy.root_device, None
        if self.policy is None:  # a policy changes pictures one by one, on the CPU
            self.train = self._moved(self.train)
        self.val = self._moved(self.val)
        self.test = self._moved(self.test) if self.test is not None else None

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint holds of the data: how a picture is brought to the network, and its classes."""
        return {"lens": self.lens.plain()}

    @property
    def lens(self) -> EvalTransform:
        """How a picture is brought to the network."""
        pixel_map = self.pixel_map.pixel_map if isinstance(self.pixel_map, Enlarged) else self.pixel_map
        side = self.train.images.shape[-1] if isinstance(self.train, Split) else self.frame.size
        native = side if side < self.frame.size else None
        return EvalTransform(
            self.classes, self.train.channels, self.frame.size, self.frame.short_side, self.pad, pixel_map, native
        )

    def teardown(self, stage: str) -> None:
        """Lightning's word for the end of training or of a test."""
        self.close()

    def close(self) -> None:
        """End the processes that make pictures; a new pass starts others."""
        for dealing in self._dealing:
            dealing.close()

    def _moved(self, split: LabelledPictures) -> LabelledPictures:
        return split.to(self.device) if isinstance(split, Split) else split

    def _current_epoch(self) -> int:
        return self.trainer.current_epoch if self.trainer is not None else 0

    def train_dataloader(self) -> TrainingBatches | PictureBatches:
        """The same object at every call, since it may hold processes."""
        self._training = self._training or self._training_batches()
        return self._training

    def _training_batches(self) -> TrainingBatches | PictureBatches:
        if isinstance(self.train, Split) and self.policy is None:
            return TrainingBatches(
                self.train,
                self.augmentation,
                self.pixel_map,
                batch_size=self.batch_size,
                batches_per_chunk=self.batches_per_chunk,
                seed=self.seed,
                epoch=self._current_epoch,
            )
        pictures = PictureBatches(
            self.train,
            self.policy or self.frame,
            self.augmentation,
            self.pixel_map,
            self.policy.mixing if self.policy else None,
            num_classes=len(self.classes),
            batch_size=self.batch_size,
            batches_per_chunk=self.batches_per_chunk,
            workers=self.workers,
            device=self.device,
            seed=self.seed,
            epoch=self._current_epoch,
        )
        self._dealing.append(pictures)
        return pictures

    def leave_out(self, batches: int) -> None:
        """Leave out the first ``batches`` of the next pass over the training split, which a resumed run has done."""
        self.train_dataloader().left_out = batches

    def val_dataloader(self) -> EvaluationBatches | PictureEvaluation:
        return self._evaluation(self.val)

    def test_dataloader(self) -> EvaluationBatches | PictureEvaluation:
        if self.test is None:
            raise ValueError("the dataset has no test split")
        return self._evaluation(self.test)

    def _evaluation(self, split: LabelledPictures) -> EvaluationBatches | PictureEvaluation:
        if isinstance(split, Split):
            return EvaluationBatches(split, self.pixel_map, batch_size=self.eval_batch_size)
        pictures = PictureEvaluation(
            split,
            self.frame,
            self.pixel_map,
            batch_size=self.eval_batch_size,
            workers=self.workers,
            device=self.device,
        )
        self._dealing.append(pictures)
        return pictures
