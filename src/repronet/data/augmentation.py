"""Random changes of training images, a whole batch at a time.

A policy is split in two so that its randomness can be a function of (seed, epoch, image) alone: :meth:`draw` makes one
row of uniform numbers for every image of the epoch, and :meth:`__call__` changes a batch by the rows that belong to its
images. How the images are batched then changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Augmentation(Protocol):
    """What a policy must offer."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """One row of numbers for each of ``count`` images: (count, whatever the policy needs)."""
        ...

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """uint8 images (N, C, H, W) and their rows → images of the same shape, pixels still 0..255."""
        ...


@dataclass(frozen=True)
class NoAugmentation:
    """The images as they are."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.empty(count, 0)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        return images


@dataclass(frozen=True)
class PlanarAffine:
    """Random planar affine distortion, bilinear: the distortions of LeNet-5's paper, section III.A, and rotation.

    Each strength s is drawn uniformly from [−s, s] for every image and epoch:

    * ``translate``: shift in pixels, across and down;
    * ``scale``: size 1 + s;
    * ``squeeze``: compression across with elongation down by the same factor 1 + s, or the other way round;
    * ``shear``: horizontal shear in degrees;
    * ``rotate``: degrees.

    What comes in from outside the image is background, 0.
    """

    translate: float = 0.0
    scale: float = 0.0
    squeeze: float = 0.0
    shear: float = 0.0
    rotate: float = 0.0

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.rand(count, 6, generator=generator) * 2 - 1

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        matrices = self._matrices(draws.to(images.device), images.shape[-2:])  # (N, 2, 3)
        grid = F.affine_grid(matrices, list(images.shape), align_corners=False)  # (N, H, W, 2)
        return F.grid_sample(images.float(), grid, padding_mode="zeros", align_corners=False)

    def _matrices(self, draws: Tensor, size: torch.Size) -> Tensor:
        """The maps from output to input coordinates in [−1, 1] that affine_grid wants; (N, 6) → (N, 2, 3)."""
        across, down, scale, squeeze, shear, rotate = draws.unbind(1)
        angle, slant = rotate * math.radians(self.rotate), (shear * math.radians(self.shear)).tan()
        width = (1 + scale * self.scale) * (1 + squeeze * self.squeeze)
        height = (1 + scale * self.scale) / (1 + squeeze * self.squeeze)
        cos, sin = angle.cos(), angle.sin()
        top = torch.stack([cos / width, (sin + slant * cos) / width, 2 * across * self.translate / size[1]], dim=1)
        bottom = torch.stack([-sin / height, (cos - slant * sin) / height, 2 * down * self.translate / size[0]], dim=1)
        return torch.stack([top, bottom], dim=1)
