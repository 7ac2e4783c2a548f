"""The map from uint8 pixels to a network's input: one gain and one offset per channel, y = gain · x + offset."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from repronet.errors import UserError


@dataclass(frozen=True)
class PixelStatistics:
    """Mean and standard deviation per channel, (C,), over all pixels of all training images, with pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, images: Tensor) -> PixelStatistics:
        """The statistics of images, uint8 (N, C, H, W)."""
        return cls.from_counts(value_counts(images.transpose(0, 1)))  # (N, C, H, W) → (C, N, H, W)

    @classmethod
    def from_counts(cls, counts: Tensor) -> PixelStatistics:
        """The statistics from the counts of each value, int64 (C, 256), computed in float64."""
        values = torch.arange(256, dtype=torch.float64) / 255
        share = counts.double() / counts.sum(dim=1, keepdim=True)  # (C, 256)
        mean = (share * values).sum(dim=1, keepdim=True)  # (C, 1)
        std = (share * (values - mean).square()).sum(dim=1).sqrt()  # (C,)
        return cls(tuple(mean.flatten().tolist()), tuple(std.tolist()))


def value_counts(image: Tensor) -> Tensor:
    """Count how often each of the 256 values occurs per channel: uint8 (C, …) → int64 (C, 256)."""
    return torch.stack([torch.bincount(channel.flatten(), minlength=256) for channel in image])


@dataclass(frozen=True)
class PixelMap:
    """y = gain · pixel/255 + offset per channel, applied after padding with the background (pixel value 0)."""

    gain: tuple[float, ...]
    offset: tuple[float, ...]

    @classmethod
    def standardize(cls, statistics: PixelStatistics) -> PixelMap:
        """(x − mean) / std with the statistics of the training split."""
        gain = tuple(1 / std if std > 0 else 1.0 for std in statistics.std)
        return cls(gain, tuple(-mean * g for mean, g in zip(statistics.mean, gain, strict=True)))

    @property
    def statistics(self) -> PixelStatistics:
        """The mean and std for which :meth:`standardize` gives this map: gain · x + offset = (x − mean) / std."""
        pairs = list(zip(self.gain, self.offset, strict=True))
        return PixelStatistics(tuple(-offset / gain for gain, offset in pairs), tuple(1 / gain for gain, _ in pairs))

    @classmethod
    def scale(cls, low: float, high: float, channels: int) -> PixelMap:
        """Map pixel 0 to ``low`` and pixel 255 to ``high``; LeNet-5's paper has −0.1 and 1.175 (section II.B)."""
        return cls((high - low,) * channels, (low,) * channels)

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 or float pixels 0..255, (N, C, H, W) → float32 of the same shape and memory layout."""
        gain, offset = _by_channel(self.gain, images) / 255, _by_channel(self.offset, images)
        # In place on one copy: mixed types and a second copy would take 2.5 times as long.
        mapped = images.to(torch.float32, copy=True)
        if mapped.is_contiguous() or not mapped.is_contiguous(memory_format=torch.channels_last):
            return mapped.mul_(gain).add_(offset)  # (N, C, H, W) · (C, 1, 1)
        count, channels, height, width = mapped.shape
        # A line of pixels as one long vector; otherwise each operation would handle a pixel's few channels at a time.
        lines = mapped.permute(0, 2, 3, 1).view(count * height, width * channels)  # (N, C, H, W) → (N·H, W·C)
        lines.mul_(gain.flatten().repeat(width)).add_(offset.flatten().repeat(width))
        return mapped


def _by_channel(values: tuple[float, ...], images: Tensor) -> Tensor:
    """float32 (C, 1, 1), filled on the images' device: a copy from the host would make a GPU wait."""
    numbers = [torch.full((), value, dtype=torch.float32, device=images.device) for value in values]
    return torch.stack(numbers).reshape(-1, 1, 1)


def pad_to(images: Tensor, size: int) -> Tensor:
    """Pad each image with background (0) to ``size`` × ``size``: LeNet-5 sees 28-pixel digits in 32 × 32.

    Shapes: (N, C, H, W) → (N, C, size, size).

    Raises:
        UserError: if the images are larger than ``size``.
    """
    height, width = images.shape[-2:]
    if height > size or width > size:
        raise UserError(f"the images are {height}×{width}, larger than the {size}×{size} that the network takes")
    if height == width == size:
        return images
    top, left = (size - height) // 2, (size - width) // 2
    return F.pad(images, (left, size - width - left, top, size - height - top))
