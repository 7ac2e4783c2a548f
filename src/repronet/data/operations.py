"""The operations of an augmentation policy's steps on one image, uint8 (C, H, W).

Most of geometry and colour is torchvision's, weather uses kornia, and superpixels scikit-image. All random numbers
come from torch's global generator, which :class:`repronet.data.policy.Policy` seeds for each image.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as TF

from repronet.data.reading import resize_short_side, resized
from repronet.errors import UserError

Operation = Callable[[Tensor], Tensor]  # uint8 (C, H, W) → uint8 (C, H', W')


def uniform(low: float, high: float) -> float:
    """Draw a number between ``low`` and ``high``."""
    return low + (high - low) * torch.rand(()).item()


def whole(low: int, high: int) -> int:
    """Draw a whole number from ``low`` to ``high``, both included."""
    return int(torch.randint(low, high + 1, ()))


# Geometry


def _crop_and_pad(image: Tensor, share: float) -> Tensor:
    """Cut or pad each side with background by up to ``share`` of the image, then resize to the original size."""
    height, width = image.shape[-2:]
    top, bottom = (round(height * uniform(-share, share)) for _ in range(2))
    left, right = (round(width * uniform(-share, share)) for _ in range(2))
    moved = F.pad(image, (left, right, top, bottom))  # negative padding crops
    return TF.resize(moved, [height, width], antialias=True)


class _ResizedCrop(v2.RandomResizedCrop):
    """RandomResizedCrop with torchvision's draws and, on processors with AVX2, its pixels in half the time.

    torchvision's resizing would convert the image to channels first; without AVX2 it uses floats and may differ by 1.
    """

    def transform(self, inpt: Tensor, params: dict[str, Any]) -> Tensor:
        top, left = params["top"], params["left"]
        cut = inpt[..., top : top + params["height"], left : left + params["width"]]
        return resized(cut, *self.size)  # type: ignore[misc]  # a pair, once made


# Colour

# Principal components of RGB values from 0 to 1 over ImageNet's training images, as in Torch's recipes; Krizhevsky et
# al. 2012, section 4.1, give the method but not the numbers.
PRINCIPAL_VALUES = torch.tensor([0.2175, 0.0188, 0.0045])
PRINCIPAL_VECTORS = torch.tensor([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


def _pca_colour(image: Tensor, std: float) -> Tensor:
    """Add [p₁ p₂ p₃][α₁λ₁ α₂λ₂ α₃λ₃]ᵀ to every pixel: principal components p, their values λ, Gaussian draws α."""
    added = PRINCIPAL_VECTORS @ (torch.randn(3) * std * PRINCIPAL_VALUES)  # (3,)
    return _as_bytes(image / 255 + added.view(3, 1, 1))


# Texture


def _blur(image: Tensor, sigma: tuple[float, float]) -> Tensor:
    drawn = uniform(*sigma)
    side = 2 * max(1, round(3 * drawn)) + 1
    return TF.gaussian_blur(image, [side, side], [drawn, drawn])


def _salt(image: Tensor, share: float, grain: int) -> Tensor:
    """Cover about ``share`` of the image with white squares, ``grain`` pixels wide."""
    height, width = image.shape[-2:]
    coarse = torch.rand(1, 1, -(-height // grain), -(-width // grain)) < share
    fine = coarse.repeat_interleave(grain, 2).repeat_interleave(grain, 3)[0, 0, :height, :width]
    return image.masked_fill(fine, 255)


def _superpixels(image: Tensor, count: int) -> Tensor:
    """Fill about ``count`` regions of similar colour with their mean colour: SLIC, Achanta et al. 2012."""
    slic = _library("skimage.segmentation", "superpixels").slic
    pixels = image.permute(1, 2, 0).numpy()
    found = slic(pixels, n_segments=count, start_label=0, channel_axis=-1)
    regions = torch.from_numpy(found).flatten()  # (H·W,)
    number = int(regions.max()) + 1
    sums = torch.zeros(image.shape[0], number).index_add_(1, regions, image.flatten(1).float())
    means = sums / torch.bincount(regions, minlength=number).clamp_min(1)  # (C, regions)
    return means[:, regions].round().to(torch.uint8).view(image.shape)


_RELIEF = torch.tensor([[-1.0, -1.0, 0.0], [-1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])  # light from the upper left


def _emboss(image: Tensor, strength: float) -> Tensor:
    """Blend the image with its relief."""
    filter2d = _library("kornia.filters", "emboss").filter2d
    relief = filter2d((image / 255).unsqueeze(0), _RELIEF.unsqueeze(0))[0]
    return _as_bytes((1 - strength) * image / 255 + strength * relief)


def _erase(image: Tensor, length: int) -> Tensor:
    """Set a square at a random centre, clipped at the borders, to background: cutout, DeVries and Taylor 2017."""
    height, width = image.shape[-2:]
    top, left = whole(0, height - 1) - length // 2, whole(0, width - 1) - length // 2
    erased = image.clone()
    erased[:, max(top, 0) : max(top + length, 0), max(left, 0) : max(left + length, 0)] = 0
    return erased


# Weather


def _plasma(image: Tensor, roughness: float, op: str) -> Tensor:
    """A cloudy field from 0 to 1, (1, H, W), by the diamond-square method."""
    diamond_square = _library("kornia.contrib", op).diamond_square
    height, width = image.shape[-2:]
    return diamond_square((1, 1, height, width), roughness=roughness, normalize_range=(0.0, 1.0))[0]


def _clouds(image: Tensor, strength: float) -> Tensor:
    """Add white patches where the plasma field is above 0.5."""
    cover = ((_plasma(image, 0.5, "clouds") - 0.5) * 2).clamp(0, 1) * strength
    return _as_bytes(image / 255 * (1 - cover) + cover)


def _fog(image: Tensor, strength: float) -> Tensor:
    """Add white everywhere, in varying strength."""
    cover = (0.6 + 0.4 * _plasma(image, 0.4, "fog")) * strength
    return _as_bytes(image / 255 * (1 - cover) + cover)


def _snow(image: Tensor, cover: float, brightness: float) -> Tensor:
    """Add snow: pixels with a lightness below ``cover`` of the maximum become ``brightness`` times as light."""
    snow = _library("kornia.augmentation", "snow").RandomSnow
    change = snow((cover, cover), (brightness, brightness), p=1.0)
    return _as_bytes(change((image / 255).unsqueeze(0))[0])


def _colour_cast(image: Tensor, shift: float) -> Tensor:
    """Make each channel brighter or darker by up to ``shift`` of full brightness."""
    augmentation = _library("kornia.augmentation", "colour_cast")
    change = augmentation.RandomRGBShift(shift, shift, shift, p=1.0)
    return _as_bytes(change((image / 255).unsqueeze(0))[0])


def _library(name: str, op: str) -> ModuleType:
    """Import ``name``, a module of one of the two libraries that only some steps need."""
    try:
        return import_module(name)
    except ImportError as error:
        package = {"skimage": "scikit-image"}.get(name.partition(".")[0], name.partition(".")[0])
        raise UserError(f"augmentation: {op} needs {package}: pip install {package}") from error


def _as_bytes(values: Tensor) -> Tensor:
    """Floats 0..1 → uint8; values out of range are clipped."""
    return (values * 255).round().clamp(0, 255).to(torch.uint8)


def operation(op: str, values: dict[str, Any], size: int) -> Operation:
    """Build the step ``op`` with its ``values``, for a policy whose images become ``size`` × ``size``."""
    ours = OURS.get(op)
    return partial(ours, **values) if ours else _TORCHVISION[op](size, **values)


OURS: dict[str, Callable[..., Tensor]] = {
    # VGG's scale jittering, section 3.1: the shorter side is drawn from a range.
    "resize": lambda image, short_side: resize_short_side(image, whole(int(short_side[0]), int(short_side[1]))),
    "crop_and_pad": _crop_and_pad,
    "gamma": lambda image, gamma: TF.adjust_gamma(image, uniform(*gamma)),
    "colour_cast": _colour_cast,
    "pca_colour": _pca_colour,
    "blur": _blur,
    "noise": lambda image, sigma: _as_bytes(image / 255 + sigma * torch.randn(image.shape)),
    "salt": _salt,
    "superpixels": _superpixels,
    "emboss": _emboss,
    "erase": _erase,
    "clouds": _clouds,
    "fog": _fog,
    "snow": _snow,
}
BILINEAR = v2.InterpolationMode.BILINEAR
COLOUR_ONLY = ("colour_cast", "pca_colour", "snow")

_TORCHVISION: dict[str, Callable[..., Operation]] = {
    # name: a builder from the policy's size and the step's values
    "flip": lambda size: v2.RandomHorizontalFlip(p=1.0),
    "flip_vertical": lambda size: v2.RandomVerticalFlip(p=1.0),
    "crop": lambda size: v2.RandomCrop(size, pad_if_needed=True),
    "centre_crop": lambda size: v2.CenterCrop(size),
    "pad_crop": lambda size, padding: v2.RandomCrop(size, padding=padding, pad_if_needed=True),
    "random_resized_crop": lambda size, scale, ratio: _ResizedCrop(size, tuple(scale), tuple(ratio)),
    "rotate": lambda size, degrees: v2.RandomRotation(degrees, BILINEAR),
    "shear": lambda size, degrees: v2.RandomAffine([0, 0], shear=degrees, interpolation=BILINEAR),
    "translate": lambda size, share: v2.RandomAffine([0, 0], translate=(share, share), interpolation=BILINEAR),
    "affine": lambda size, degrees, translate, scale, shear: v2.RandomAffine(
        degrees, (translate, translate), tuple(scale), shear, BILINEAR
    ),
    "perspective": lambda size, distortion: v2.RandomPerspective(distortion, p=1.0),
    "elastic": lambda size, alpha, sigma: v2.ElasticTransform(float(alpha), float(sigma)),
    "sharpen": lambda size, factor: v2.RandomAdjustSharpness(factor, p=1.0),
    "brighten": lambda size, factor: v2.ColorJitter(brightness=tuple(factor)),
    "contrast": lambda size, factor: v2.ColorJitter(contrast=tuple(factor)),
    "saturation": lambda size, factor: v2.ColorJitter(saturation=tuple(factor)),
    "hue": lambda size, turn: v2.ColorJitter(hue=turn),
    "invert": lambda size: v2.RandomInvert(p=1.0),
    "grayscale": lambda size: v2.RandomGrayscale(p=1.0),
    "solarize": lambda size, threshold: v2.RandomSolarize(threshold, p=1.0),
    "posterize": lambda size, bits: v2.RandomPosterize(bits, p=1.0),
    "equalize": lambda size: v2.RandomEqualize(p=1.0),
    "randaugment": lambda size, operations, magnitude: v2.RandAugment(
        operations, int(magnitude), interpolation=BILINEAR
    ),
    "trivial": lambda size: v2.TrivialAugmentWide(interpolation=BILINEAR),
    "augmix": lambda size, severity, width: v2.AugMix(severity, width),
}
