"""Splits of a labelled set of images: what is trained on, what selects the weights, and what is tested once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from repronet.data.randomness import counter_generator


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

    def picture(self, index: int) -> Tensor:
        """One image, uint8 (C, H, W)."""
        return self.images[index]

    def to(self, device: torch.device) -> Split:
        """The same split on ``device``."""
        return Split(self.images.to(device), self.labels.to(device))

    def rows(self, index: Tensor) -> Split:
        """The images and labels at ``index``."""
        return Split(self.images[index], self.labels[index])


@dataclass(frozen=True)
class ImageDataset:
    """A dataset with its three splits and the name of each class, in label order."""

    name: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]


def stratified_parts(labels: Tensor, sizes: tuple[int, ...], seed: int) -> tuple[Tensor, ...]:
    """Rows of ``labels`` dealt into parts of exactly ``sizes``, each class in every part by its share of the whole.

    Within a class the rows are shuffled by ``seed``. Rounding is settled by largest remainder, so that the parts have
    exactly the sizes asked for.

    Raises:
        ValueError: when the sizes do not add up to the number of labels.
    """
    if sum(sizes) != len(labels):
        raise ValueError(f"sizes {sizes} add up to {sum(sizes)}, but there are {len(labels)} labels")
    shuffled = [
        rows[torch.randperm(len(rows), generator=counter_generator("split", seed, label))]
        for label, rows in enumerate(_rows_by_class(labels))
    ]
    parts = []
    for position, size in enumerate(sizes):
        left = torch.tensor([len(rows) for rows in shuffled])
        last = position == len(sizes) - 1
        take = left if last else _shares(left, size)
        parts.append(torch.cat([rows[:n] for rows, n in zip(shuffled, take.tolist(), strict=True)]).sort().values)
        shuffled = [rows[n:] for rows, n in zip(shuffled, take.tolist(), strict=True)]
    return tuple(parts)


def _rows_by_class(labels: Tensor) -> list[Tensor]:
    return [torch.nonzero(labels == label).flatten() for label in range(int(labels.max()) + 1)]


def _shares(counts: Tensor, size: int) -> Tensor:
    """``size`` dealt out in proportion to ``counts``: floors first, then one more to the largest remainders."""
    exact = counts.double() * size / counts.sum()
    shares = exact.floor().long()
    short = size - int(shares.sum())
    shares[(exact - shares).sort(descending=True, stable=True).indices[:short]] += 1
    return shares
