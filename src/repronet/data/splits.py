"""Splits of a labelled set of images: training, validation (which selects the weights) and test (used once)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from repronet.data.folders import chosen_classes
from repronet.data.preprocessing import PixelStatistics

# The split is part of the dataset, not of a run: runs with different seeds are compared on the same images.
SPLIT_SEED = 0


class LabelledImages(Protocol):
    """A split of any kind: one tensor, or images of different sizes, in memory or on disk."""

    @property
    def labels(self) -> Tensor:
        """int64 (N,), or (N, classes) of zeros and ones if an image may have several labels."""
        ...

    @property
    def groups(self) -> Tensor | None:
        """Groups, int64 (N,), or None: images of one group, such as one person, stay on one side of every cut."""
        ...

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        ...

    def __len__(self) -> int: ...

    def image(self, index: int) -> Tensor:
        """One image, uint8 (C, H, W)."""
        ...

    def name(self, index: int) -> str:
        """The name by which a person finds the image: its file below the data's root, or its number in the split."""
        ...

    def statistics(self) -> PixelStatistics:
        """Mean and standard deviation of each channel over all pixels."""
        ...

    def rows(self, index: Tensor) -> Self:
        """The images and labels at ``index``."""
        ...

    def relabelled(self, labels: Tensor) -> Self:
        """The same images under other labels."""
        ...


Part = TypeVar("Part", bound=LabelledImages)


@dataclass(frozen=True)
class Split:
    """Images as uint8 (N, C, H, W) and their labels as int64 (N,), or (N, classes) of zeros and ones."""

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise ValueError(f"images must be uint8 (N, C, H, W), not {self.images.dtype} {tuple(self.images.shape)}")
        count, labels = len(self.images), self.labels
        if labels.ndim not in (1, 2) or len(labels) != count or labels.dtype != torch.int64:
            wanted = f"int64 ({count},), or ({count}, classes) where there are several per image"
            raise ValueError(f"labels must be {wanted}, not {labels.dtype} {tuple(labels.shape)}")

    def __len__(self) -> int:
        return len(self.images)

    @property
    def groups(self) -> None:
        return None

    @property
    def channels(self) -> int:
        return self.images.shape[1]

    def image(self, index: int) -> Tensor:
        return self.images[index]

    def name(self, index: int) -> str:
        return str(index)

    def statistics(self) -> PixelStatistics:
        return PixelStatistics.of(self.images)

    def fingerprint(self) -> str:
        """SHA-256 of the sorted SHA-256s of every image with its label, so it does not depend on the order."""
        digests = []
        for image, label in zip(self.images.cpu(), self.labels.tolist(), strict=True):
            head = f"{label} {tuple(image.shape)}".encode()
            digests.append(hashlib.sha256(head + image.numpy().tobytes()).digest())
        return hashlib.sha256(b"".join(sorted(digests))).hexdigest()

    def to(self, device: torch.device) -> Split:
        """The same split on ``device``."""
        return Split(self.images.to(device), self.labels.to(device))

    def rows(self, index: Tensor) -> Split:
        """The images and labels at ``index``."""
        return Split(self.images[index], self.labels[index])

    def relabelled(self, labels: Tensor) -> Split:
        """The same images under other labels."""
        return Split(self.images, labels)


@dataclass(frozen=True)
class ImageDataset:
    """A dataset with its three splits and the name of each class, in label order.

    A user's own folder may have no test split; then nothing is tested, and the result says so.
    """

    name: str
    train: LabelledImages
    val: LabelledImages
    test: LabelledImages | None
    classes: tuple[str, ...]

    @property
    def multilabel(self) -> bool:
        """Whether an image may have several of the classes, or none."""
        return self.train.labels.ndim == 2


def of_classes(dataset: ImageDataset, names: Sequence[str]) -> ImageDataset:
    """Keep only images of these classes (all images if multi-label), with labels in the order of ``names``.

    Raises:
        UserError: for a name that is not a class of the dataset.
    """
    old = torch.tensor([dataset.classes.index(name) for name in chosen_classes(names, dataset.classes)])
    if dataset.multilabel:
        return each_split(dataset, lambda split: split.relabelled(split.labels[:, old]), names)
    new = torch.full((len(dataset.classes),), -1).scatter(0, old, torch.arange(len(names)))  # old label → new, or −1

    def chosen(split: LabelledImages) -> LabelledImages:
        kept = split.rows(torch.nonzero(new[split.labels] >= 0).flatten())
        return kept.relabelled(new[kept.labels])

    return each_split(dataset, chosen, names)


def each_split(
    dataset: ImageDataset, change: Callable[[LabelledImages], LabelledImages], names: Sequence[str]
) -> ImageDataset:
    """Apply ``change`` to every split of the dataset, and set its classes to ``names``."""
    test = None if dataset.test is None else change(dataset.test)
    return ImageDataset(dataset.name, change(dataset.train), change(dataset.val), test, tuple(names))
