"""Preprocessing beyond one gain and offset per channel: uint8 pixels to float32, (N, C, H, W) → the same shape.

Maps with fitted values are fitted on the training images and then fixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from repronet.errors import UserError
from repronet.functional.local_norm import local_contrast_norm

_BATCH = 4096  # images per step in fitting


class Preprocessing(Protocol):
    """uint8 or float pixels 0..255, (N, C, H, W) → float32 of the same shape."""

    def __call__(self, images: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class PerPixelMean:
    """x/255 minus that pixel's mean over the training images (Krizhevsky et al. 2012, section 2; He et al. 2016)."""

    mean: Tensor  # (C, H, W)

    @classmethod
    def of(cls, images: Tensor) -> PerPixelMean:
        """Fit the mean on images, uint8 (N, C, H, W)."""
        total = sum(part.double().sum(0) for part in images.split(_BATCH))
        assert isinstance(total, Tensor)
        return cls((total / (255 * len(images))).float())

    def __call__(self, images: Tensor) -> Tensor:
        return (images / 255).sub_(self.mean.to(images.device))


@dataclass(frozen=True)
class PerImage:
    """Standardise each image by its own mean and deviation: (x − μ)/max(σ, 1/√n) over its n values in [0, 1]."""

    def __call__(self, images: Tensor) -> Tensor:
        x = images / 255
        deviation, mean = torch.std_mean(x, dim=(1, 2, 3), correction=0, keepdim=True)  # (N, 1, 1, 1)
        return (x - mean) / deviation.clamp_min(x[0].numel() ** -0.5)


@dataclass(frozen=True)
class GlobalContrast:
    """s·(x − μ)/max(ε, √(λ + mean (x − μ)²)), for each image separately.

    Goodfellow, Bengio and Courville, "Deep Learning", 2016, section 12.2.1.1, equation 12.3; pixels in [0, 1].
    """

    scale: float = 1.0
    regularizer: float = 0.0
    epsilon: float = 1e-8

    def __call__(self, images: Tensor) -> Tensor:
        x = images / 255
        x = x - x.mean(dim=(1, 2, 3), keepdim=True)
        contrast = (self.regularizer + x.square().mean(dim=(1, 2, 3), keepdim=True)).sqrt()  # (N, 1, 1, 1)
        return self.scale * x / contrast.clamp_min(self.epsilon)


@dataclass(frozen=True)
class LocalContrast:
    """Subtractive, then divisive normalisation in a Gaussian window: `repronet.functional.local_contrast_norm`."""

    size: int = 9

    def __call__(self, images: Tensor) -> Tensor:
        return local_contrast_norm(images / 255, self.size)


@dataclass(frozen=True)
class Zca:
    """W·(x − μ) with W = U(Λ + εI)^(−1/2)Uᵀ, where UΛUᵀ is the covariance of the training images.

    Of all maps that decorrelate the pixels, it changes the images least (Krizhevsky 2009, appendix A). Every image is
    first normalised to zero mean and unit contrast (`GlobalContrast`).
    """

    LARGEST = 4096  # values per image, enough for 3 × 36 × 36; the covariance takes 4 times its square in bytes

    mean: Tensor  # (C·H·W,)
    matrix: Tensor  # W, (C·H·W, C·H·W), symmetric

    @classmethod
    def of(cls, images: Tensor, epsilon: float) -> Zca:
        """Fit the map on images, uint8 (N, C, H, W).

        Raises:
            UserError: for images with more than `LARGEST` values.
        """
        size = images[0].numel()
        if size > cls.LARGEST:
            shape = "×".join(map(str, images.shape[1:]))
            raise UserError(f"preprocessing=zca: images of {shape} are too large for it; up to {cls.LARGEST} numbers")
        flat = torch.cat([GlobalContrast()(part).flatten(1) for part in images.split(_BATCH)])  # (N, C·H·W)
        mean = flat.double().mean(0).float()
        centred = flat.sub_(mean)
        covariance = (centred.t() @ centred).double() / len(flat)
        values, vectors = torch.linalg.eigh(covariance)
        matrix = (vectors / (values.clamp_min(0) + epsilon).sqrt()) @ vectors.t()
        return cls(mean, matrix.float())

    def __call__(self, images: Tensor) -> Tensor:
        flat = GlobalContrast()(images).flatten(1) - self.mean.to(images.device)  # (N, C·H·W)
        return (flat @ self.matrix.to(images.device)).reshape(images.shape)
