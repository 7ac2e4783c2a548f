"""What a config may say of data, augmentation and preprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from repronet.config.fields import optional, required, tag
from repronet.constraints import (
    ANGLE,
    ANY_NUMBER,
    COUNT,
    FOLDER,
    MEANS,
    NOT_NEGATIVE,
    POSITIVE,
    PROBABILITY,
    RATES,
    SEED,
    SHARE,
    Constraint,
    one_of,
)
from repronet.data.augmentation_ops import completed


def _is_part(found: Any) -> bool:
    """A share between 0 and 1, or a number of images."""
    if isinstance(found, bool):
        return False
    return (isinstance(found, float) and 0 < found < 1) or (isinstance(found, int) and 1 <= found < 2**31)


PART = Constraint(_is_part, "a share above 0 and below 1, or a whole number of images")
VALIDATION = Constraint(lambda x: x == "paper" or _is_part(x), f"paper, {PART.expected}")
CLASSES = Constraint(lambda xs: len(xs) >= 2 and len(set(map(str, xs))) == len(xs), "two or more names of classes")
PROCESSES = Constraint(lambda x: 0 <= x <= 1024, "a whole number of processes from 0 to 1024")
RESIZE = Constraint(
    lambda x: x == "original" or (type(x) is int and 1 <= x < 2**15), "original or a whole number of pixels above 0"
)


@dataclass
class Data:
    """What every dataset has."""

    name: str = tag()
    root: str | None = optional(FOLDER, "the folder or file; default: the user's cache, where downloads go")
    val: Any = required(VALIDATION, "validation images out of the training images: number, share, or as the paper had")
    classes: list[Any] | None = optional(CLASSES, "these classes alone, [cat,dog] for instance; default: all")
    per_class: int | None = optional(COUNT, "at most so many training images a class; default: all")
    batch_size: int = required(COUNT, "training images a batch")
    eval_batch_size: int = required(COUNT, "validation and test images a batch")
    batches_per_chunk: int = required(COUNT, "batches that the loader prepares at once")
    workers: int | None = optional(
        PROCESSES, "loader processes; default: none for images in memory, else one a core, at most 8"
    )


@dataclass
class OneSize(Data):
    """Images of one size, in memory as one tensor."""

    fit: str = required(
        one_of("pad", "resize", "crop"),
        "how images get the network's size; crop: the middle, in training by augmentation",
    )


@dataclass
class Npz(OneSize):
    test: Any = optional(PART, "test images, number or share, where the data have no test split", 0.15)
    split_seed: int = optional(SEED, "of the splits that are drawn", 0)


@dataclass
class Published(Data):
    """Pictures in folders."""

    resize: Any = optional(
        RESIZE, "pixels of the shorter side, or original; default: 8/7 of the network's size from 64 on"
    )
    memory: float = optional(NOT_NEGATIVE, "GB for decoded pictures; larger data are decoded when needed", 4.0)
    on_error: str = optional(one_of("stop", "skip"), "what is done about pictures that cannot be read", "stop")
    max_skipped: Any = optional(PART, "on_error=skip: at most so many, number or share", 0.05)


@dataclass
class Folder(Published):
    test: Any = optional(PART, "test images, number or share, where the data have no test split", 0.15)
    split_seed: int = optional(SEED, "of the splits that are drawn", 0)


@dataclass
class Nothing:
    name: str = tag("none")


@dataclass
class PadCropFlip:
    name: str = tag("cifar_standard")
    padding: int = required(Constraint(lambda x: 0 <= x < 2**15, "a whole number of pixels, at least 0"), "pixels")
    flip: float = required(PROBABILITY, "probability of a flip from left to right")


@dataclass
class Affine:
    name: str = tag("affine")
    translate: float = required(NOT_NEGATIVE, "pixels, across and down")
    scale: float = required(SHARE, "0.15: sizes from 0.85 to 1.15")
    squeeze: float = required(SHARE, "0.15: up to 0.15 narrower and taller, or wider and lower")
    shear: float = required(ANGLE, "degrees")
    rotate: float = required(NOT_NEGATIVE, "degrees")


@dataclass
class Policy:
    """Steps for one picture at a time; :mod:`repronet.data.augmentation_ops` has their rules."""

    name: str = tag("policy")
    steps: list[Any] = required(None, "a list of steps, {op: rotate, degrees: 15, p: 0.5} for instance")

    def conflict(self) -> str | None:
        completed(self.steps)
        return None


@dataclass
class Standardize:
    name: str = tag("standardize")
    mean: list[float] | None = optional(MEANS, "of pixels in [0, 1], one a channel; default: of the training split")
    std: list[float] | None = optional(RATES, "their deviation, one a channel; default: of the training split")

    def conflict(self) -> str | None:
        counts = [None if values is None else len(values) for values in (self.mean, self.std)]
        wrong = f"preprocessing.mean={self.mean}: needs as many of preprocessing.std, not {self.std}"
        return wrong if counts[0] != counts[1] else None


@dataclass
class Scale:
    name: str = tag("scale")
    low: float = required(ANY_NUMBER, "value of a black pixel")
    high: float = required(ANY_NUMBER, "value of a white pixel")

    def conflict(self) -> str | None:
        wrong = self.low >= self.high
        return f"preprocessing.low={self.low}: must be below preprocessing.high={self.high}" if wrong else None


@dataclass
class GlobalContrast:
    name: str = tag("global_contrast")
    scale: float = required(POSITIVE, "contrast that each image gets")
    regularizer: float = required(NOT_NEGATIVE, "keeps images of little contrast from being blown up")


@dataclass
class LocalContrast:
    name: str = tag("local_contrast")
    size: int = required(
        Constraint(lambda x: x > 0 and x % 2 == 1, "an odd number of pixels"), "side of the window, pixels"
    )


@dataclass
class Zca:
    name: str = tag("zca")
    epsilon: float = required(POSITIVE, "added to every variance")
