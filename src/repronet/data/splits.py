"""Splits of a labelled set of images: what is trained on, what selects the weights, and what is tested once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self, TypeVar

import torch
from torch import Tensor

from repronet.data.folders import class_named
from repronet.data.preprocessing import PixelStatistics
from repronet.data.randomness import counter_generator
from repronet.errors import UserError

# The split is part of the dataset, not of a run: runs with different seeds are compared on the same images.
SPLIT_SEED = 0


class LabelledPictures(Protocol):
    """A split, be it one tensor or pictures of different sizes, in memory or on disk."""

    @property
    def labels(self) -> Tensor:
        """int64 (N,)."""
        ...

    @property
    def channels(self) -> int:
        """1 for grey, 3 for RGB."""
        ...

    def __len__(self) -> int: ...

    def picture(self, index: int) -> Tensor:
        """One image, uint8 (C, H, W)."""
        ...

    def statistics(self) -> PixelStatistics:
        """Mean and standard deviation of each channel over all pixels."""
        ...

    def rows(self, index: Tensor) -> Self:
        """The images and labels at ``index``."""
        ...

    def relabelled(self, labels: Tensor) -> Self:
        """The same images under other labels, int64 (N,)."""
        ...


Part = TypeVar("Part", bound=LabelledPictures)


@dataclass(frozen=True)
class Split:
    """Images as uint8 (N, C, H, W) and their labels as int64 (N,)."""

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise ValueError(f"images must be uint8 (N, C, H, W), not {self.images.dtype} {tuple(self.images.shape)}")
        if self.labels.shape != (len(self.images),) or self.labels.dtype != torch.int64:
            raise ValueError(
                f"labels must be int64 ({len(self.images)},), not {self.labels.dtype} {tuple(self.labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def channels(self) -> int:
        return self.images.shape[1]

    def picture(self, index: int) -> Tensor:
        return self.images[index]

    def statistics(self) -> PixelStatistics:
        return PixelStatistics.of(self.images)

    def fingerprint(self) -> str:
        """SHA-256 of the SHA-256s of every picture with its label, sorted: another order has the same."""
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

    A folder of a person's own may have no test split; then nothing is tested, and the result says so.
    """

    name: str
    train: LabelledPictures
    val: LabelledPictures
    test: LabelledPictures | None
    classes: tuple[str, ...]


def carve(whole: Part, share: float | int, key: str, seed: int = SPLIT_SEED) -> tuple[Part, Part]:
    """What is left of ``whole``, and the stratified part that was taken out of it.

    Args:
        share: how much is taken: a fraction, or a number of images.
        key: the config key that says so, for the errors.

    Raises:
        UserError: when nothing would be taken or left.
    """
    total = len(whole.labels)
    count = share if isinstance(share, int) else round(share * total)
    if not 0 < count < total:
        raise UserError(f"{key}={share}: is {count} of {total:,} images; something must be taken and something left")
    kept, taken = stratified_parts(whole.labels, sizes=(total - count, count), seed=seed)
    return whole.rows(kept), whole.rows(taken)


def of_classes(dataset: ImageDataset, names: Sequence[str]) -> ImageDataset:
    """The images of these classes alone, with labels in the order of ``names``.

    Raises:
        UserError: for a name that the dataset has not.
    """
    found = [class_named(name, dataset.classes) for name in names]
    if None in found:
        unknown = names[found.index(None)]
        raise UserError(f"data.classes={list(names)}: no class {unknown}; there are {', '.join(dataset.classes)}")
    old = torch.tensor([dataset.classes.index(name) for name in found if name is not None])
    new = torch.full((len(dataset.classes),), -1).scatter(0, old, torch.arange(len(names)))  # old label → new, or −1

    def chosen(split: LabelledPictures) -> LabelledPictures:
        kept = split.rows(torch.nonzero(new[split.labels] >= 0).flatten())
        return kept.relabelled(new[kept.labels])

    test = None if dataset.test is None else chosen(dataset.test)
    return ImageDataset(dataset.name, chosen(dataset.train), chosen(dataset.val), test, tuple(names))


def few(dataset: ImageDataset, per_class: int) -> ImageDataset:
    """At most ``per_class`` training images of each class, always the same; validation and test stay whole."""
    chosen = [rows[:per_class] for rows in _shuffled(dataset.train.labels, "few", SPLIT_SEED)]
    return replace(dataset, train=dataset.train.rows(torch.cat(chosen).sort().values))


def stratified_parts(labels: Tensor, sizes: tuple[int, ...], seed: int) -> tuple[Tensor, ...]:
    """Rows of ``labels`` dealt into parts of exactly ``sizes``, each class in every part by its share of the whole.

    Within a class the rows are shuffled by ``seed``. Rounding is settled by largest remainder, so that the parts have
    exactly the sizes asked for.

    Raises:
        ValueError: when the sizes do not add up to the number of labels.
    """
    if sum(sizes) != len(labels):
        raise ValueError(f"sizes {sizes} add up to {sum(sizes)}, but there are {len(labels)} labels")
    shuffled = list(_shuffled(labels, "split", seed))
    parts = []
    for position, size in enumerate(sizes):
        left = torch.tensor([len(rows) for rows in shuffled])
        last = position == len(sizes) - 1
        take = left if last else _shares(left, size)
        parts.append(torch.cat([rows[:n] for rows, n in zip(shuffled, take.tolist(), strict=True)]).sort().values)
        shuffled = [rows[n:] for rows, n in zip(shuffled, take.tolist(), strict=True)]
    return tuple(parts)


def _shuffled(labels: Tensor, purpose: str, seed: int) -> Iterator[Tensor]:
    """The rows of each class, shuffled by the generator of ``purpose``, ``seed`` and the class."""
    for label in range(int(labels.max()) + 1):
        rows = torch.nonzero(labels == label).flatten()
        yield rows[torch.randperm(len(rows), generator=counter_generator(purpose, seed, label))]


def _shares(counts: Tensor, size: int) -> Tensor:
    """``size`` dealt out in proportion to ``counts``: floors first, then one more to the largest remainders."""
    exact = counts.double() * size / counts.sum()
    shares = exact.floor().long()
    short = size - int(shares.sum())
    shares[(exact - shares).sort(descending=True, stable=True).indices[:short]] += 1
    return shares
