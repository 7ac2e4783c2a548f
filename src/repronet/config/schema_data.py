"""What a config may say of data, augmentation and preprocessing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING

from repronet.config.fields import required, tag
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

    name: str = MISSING
    root: str | None = field(default=None, metadata={"rule": FOLDER})
    val: Any = required(VALIDATION)
    classes: list[Any] | None = field(default=None, metadata={"rule": CLASSES})
    per_class: int | None = field(default=None, metadata={"rule": COUNT})
    batch_size: int = required(COUNT)
    eval_batch_size: int = required(COUNT)
    batches_per_chunk: int = required(COUNT)
    workers: int | None = field(default=None, metadata={"rule": PROCESSES})


@dataclass
class OneSize(Data):
    """Images of one size, in memory as one tensor."""

    fit: str = required(one_of("pad", "resize"))


@dataclass
class Npz(OneSize):
    test: Any = required(PART)
    split_seed: int = required(SEED)


@dataclass
class Published(Data):
    """Pictures in folders."""

    resize: Any = field(default=None, metadata={"rule": RESIZE})
    memory: float = required(NOT_NEGATIVE)


@dataclass
class Folder(Published):
    test: Any = required(PART)
    split_seed: int = required(SEED)


@dataclass
class Nothing:
    name: str = tag("none")


@dataclass
class PadCropFlip:
    name: str = tag("cifar_standard")
    padding: int = required(Constraint(lambda x: 0 <= x < 2**15, "a whole number of pixels, at least 0"))
    flip: float = required(PROBABILITY)


@dataclass
class Affine:
    name: str = tag("affine")
    translate: float = required(NOT_NEGATIVE)
    scale: float = required(SHARE)
    squeeze: float = required(SHARE)
    shear: float = required(ANGLE)
    rotate: float = required(NOT_NEGATIVE)


@dataclass
class Policy:
    """Steps for one picture at a time; :mod:`repronet.data.augmentation_ops` has their rules."""

    name: str = tag("policy")
    steps: list[Any] = MISSING

    def conflict(self) -> str | None:
        completed(self.steps)
        return None


@dataclass
class Standardize:
    name: str = tag("standardize")
    mean: list[float] | None = field(default=None, metadata={"rule": MEANS})
    std: list[float] | None = field(default=None, metadata={"rule": RATES})

    def conflict(self) -> str | None:
        counts = [None if values is None else len(values) for values in (self.mean, self.std)]
        wrong = f"preprocessing.mean={self.mean}: needs as many of preprocessing.std, not {self.std}"
        return wrong if counts[0] != counts[1] else None


@dataclass
class Scale:
    name: str = tag("scale")
    low: float = required(ANY_NUMBER)
    high: float = required(ANY_NUMBER)

    def conflict(self) -> str | None:
        wrong = self.low >= self.high
        return f"preprocessing.low={self.low}: must be below preprocessing.high={self.high}" if wrong else None


@dataclass
class GlobalContrast:
    name: str = tag("global_contrast")
    scale: float = required(POSITIVE)
    regularizer: float = required(NOT_NEGATIVE)


@dataclass
class LocalContrast:
    name: str = tag("local_contrast")
    size: int = required(Constraint(lambda x: x > 0 and x % 2 == 1, "an odd number of pixels"))


@dataclass
class Zca:
    name: str = tag("zca")
    epsilon: float = required(POSITIVE)
