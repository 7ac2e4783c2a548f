"""Random augmentation of training images, a whole batch at a time.

A policy is split in two so that its randomness can be a function of (seed, epoch, image) alone: :meth:`draw` makes one
row of uniform numbers for every image of the epoch, and :meth:`__call__` changes a batch by the rows of its images. So
the result does not depend on how the images are batched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


class Augmentation(Protocol):
    """The interface of an augmentation policy."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw one row of random numbers for each of ``count`` images: (count, as many as the policy needs)."""
        ...

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """Augment uint8 images (N, C, H, W) by their rows: the shape stays the same, and pixels stay 0..255."""
        ...


@dataclass(frozen=True)
class NoAugmentation:
    """No augmentation: the images stay as they are."""

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.empty(count, 0)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        return images


@dataclass(frozen=True)
class PadCropFlip:
    """Pad with background, crop to the original size at a random position, and flip horizontally half of the time.

    This is how ResNet and its successors were trained on CIFAR: He et al. 2016, section 4.2, ``padding`` = 4.
    """

    padding: int = 4
    flip: float = 0.5

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.rand(count, 3, generator=generator)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        places = 2 * self.padding + 1
        down, right = (draws[:, :2].to(images.device) * places).long().clamp_max(places - 1).unbind(1)
        mirrored = (draws[:, 2] < self.flip).to(images.device)
        padded = F.pad(images, (self.padding,) * 4)
        # The flip is one more index of a view, so that each image is copied only once. (2, N, C, H+2p, W+2p)
        both = torch.stack((padded, padded.flip(-1)))
        views = both.unfold(3, height, 1).unfold(4, width, 1)  # (2, N, C, places, places, H, W)
        right = torch.where(mirrored, places - 1 - right, right)
        rows = torch.arange(len(images), device=images.device)
        return views[mirrored.long(), rows, :, down, right]  # (N, C, H, W)


@dataclass(frozen=True)
class PlanarAffine:
    """Random planar affine distortion, bilinear: the distortions of LeNet-5's paper, section III.A, and rotation.

    For each strength s, a value v is drawn uniformly from [−s, s] for every image and epoch, and applied about the
    image's centre in this order:

    * ``scale``: size times 1 + v;
    * ``squeeze``: width times 1 + v and height divided by it;
    * ``shear``: horizontal shear by an angle in degrees;
    * ``rotate``: by an angle in degrees, clockwise;
    * ``translate``: shift in pixels, to the right and down.

    Pixels from outside the image are background, 0.
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
        """The map from output to input pixels, in the coordinates of affine_grid, [−1, 1] along each axis.

        With p' = A·p + t in pixels from the centre, an output pixel p' comes from A⁻¹·(p' − t). Dividing by half
        the width and half the height converts pixels to affine_grid's coordinates. (N, 6) → (N, 2, 3).
        """
        right, down, scale, squeeze, shear, rotate = draws.unbind(1)
        grown, squeezed = 1 + scale * self.scale, 1 + squeeze * self.squeeze
        slant, angle = (shear * math.radians(self.shear)).tan(), rotate * math.radians(self.rotate)
        zero, one, cos, sin = torch.zeros_like(right), torch.ones_like(right), angle.cos(), angle.sin()
        stretch = _matrix(grown * squeezed, zero, zero, grown / squeezed)
        forward = _matrix(cos, -sin, sin, cos) @ _matrix(one, slant, zero, one) @ stretch  # (N, 2, 2)
        half = torch.stack([draws.new_full((), size[1] / 2), draws.new_full((), size[0] / 2)])  # (x, y), no copy
        back = torch.linalg.inv(forward) * half / half.unsqueeze(1)  # pixels → [−1, 1] on both sides
        shift = torch.stack([right, down], dim=1) * self.translate / half  # (N, 2)
        return torch.cat([back, -back @ shift.unsqueeze(2)], dim=2)  # (N, 2, 2) and (N, 2, 1) → (N, 2, 3)


def _matrix(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """The matrix [[a, b], [c, d]] for each image: four tensors (N,) → (N, 2, 2)."""
    return torch.stack([torch.stack([a, b], dim=1), torch.stack([c, d], dim=1)], dim=1)
