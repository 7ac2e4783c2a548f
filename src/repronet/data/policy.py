"""Augmentation policies: steps from a config that change one image at a time, and mixing of whole batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2

from repronet.data.augmentation_ops import MIXING, Step, completed
from repronet.data.operations import COLOUR_ONLY, operation
from repronet.data.reading import centre_crop, resize_short_side
from repronet.errors import UserError


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Seed torch's CPU generator with ``seed`` inside the context, and restore its state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class Mixing:
    """Mixup (Zhang et al. 2018) or CutMix (Yun et al. 2019) of a batch with itself, by torchvision.

    Each image is mixed with the one before it (the first with the last), and so are their labels, with one λ drawn from
    Beta(α, α) for the batch.
    """

    def __init__(self, step: Step):
        self.step = step

    def __call__(self, images: Tensor, labels: Tensor, num_classes: int, seed: int) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) and int64 (N,) → the same shape, and probabilities (N, num_classes)."""
        mix = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[self.step.op]
        with drawn_from(seed):
            if torch.rand(()) < self.step.p:
                return mix(alpha=float(self.step.values["alpha"]), num_classes=num_classes)(images, labels)
        return images, torch.nn.functional.one_hot(labels, num_classes).to(images.dtype)


class Policy:
    """Steps that change an image, applied one after another, each with its probability.

    Args:
        steps: mappings as :mod:`repronet.data.augmentation_ops` describes them.
        size: height and width of the output. An image that no step brought to that size has its shorter side resized
            and its centre cropped.

    Raises:
        UserError: for an unknown or invalid step or value.
    """

    def __init__(self, steps: Sequence[Mapping[str, Any]], size: int):
        checked = completed(steps)
        mixing = [step for step in checked if step.op in MIXING]
        self.mixing = Mixing(mixing[0]) if mixing else None
        self.size = size
        self.steps = [step for step in checked if step.op not in MIXING]
        self._operations = [operation(step.op, step.values, size) for step in self.steps]

    def __call__(self, image: Tensor, seed: int) -> Tensor:
        """uint8 (C, H, W) → uint8 (C, size, size). The same image and seed give the same bytes, in any process.

        Raises:
            UserError: for a grey image if a step needs colours.
        """
        with drawn_from(seed):
            for step, change in zip(self.steps, self._operations, strict=True):
                if step.p < 1 and torch.rand(()) >= step.p:
                    continue
                if image.shape[0] == 1 and step.op in COLOUR_ONLY:
                    raise UserError(f"augmentation: {step.op} needs colours, and the images are grey; leave it out")
                image = change(image)
        if image.shape[-2:] == (self.size, self.size):
            return image
        return centre_crop(resize_short_side(image, self.size), self.size)
