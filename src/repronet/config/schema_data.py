"""The config keys of data, augmentation and preprocessing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from repronet.config.fields import Choice, optional, required
from repronet.constraints import (
    ANGLE,
    ANY_NUMBER,
    COUNT,
    FOLDER,
    MEANS,
    NOT_NEGATIVE,
    OPEN_SHARE,
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
    """Whether ``found`` is a share between 0 and 1, or a number of images."""
    if isinstance(found, bool):
        return False
    return (isinstance(found, float) and 0 < found < 1) or (isinstance(found, int) and 1 <= found < 2**31)


PART = Constraint(_is_part, "a share above 0 and below 1, or a whole number of images")
VALIDATION = Constraint(lambda x: x == "paper" or _is_part(x), f"paper, {PART.expected}")
CLASSES = Constraint(lambda xs: len(xs) >= 2 and len(set(map(str, xs))) == len(xs), "two or more names of classes")
FOLDS = Constraint(lambda x: 2 <= x <= 1000, "a whole number of parts from 2 to 1000", "N")
NOT_NEGATIVE_COUNT = Constraint(lambda x: 0 <= x < 1000, "a whole number from 0", "N")


def _is_most(found: Any) -> bool:
    """Whether ``found`` is a number of images, or gives some classes a number or a share each."""
    if isinstance(found, dict):
        return bool(found) and all(_is_part(most) for most in found.values())
    return type(found) is int and COUNT.check(found)


MOST = Constraint(_is_most, "a whole number above 0, or numbers and shares of some classes, such as {8: 0.1}", "N")
COLUMNS = Constraint(CLASSES.check, "two or more names of columns")
FILE = Constraint(FOLDER.check, "a file", "FILE")
SEPARATOR = Constraint(lambda x: x != "", "one or more characters")
PROCESSES = Constraint(lambda x: 0 <= x <= 1024, "a whole number of processes from 0 to 1024")
RESIZE = Constraint(
    lambda x: x == "original" or (type(x) is int and 1 <= x < 2**15), "original or a whole number of pixels above 0"
)


@dataclass
class Data(Choice):
    """What every dataset has."""

    root: str | None = optional(
        FOLDER, "folder or file of the data; default: the user's cache, where downloads are kept"
    )
    val: Any = required(VALIDATION, "validation images, taken from the training images: a number, a fraction, or paper")
    classes: list[Any] | None = optional(CLASSES, "only these classes, such as [cat,dog]; default: all")
    per_class: Any = optional(
        MOST,
        "maximum number of training images of each class, or of some ({8: 0.1} is a tenth of the 8s); default: all",
    )
    per_class_seed: int | None = optional(SEED, "which images per_class takes; default: the same for every run")
    batch_size: int = required(COUNT, "training images in a batch")
    eval_batch_size: int = required(COUNT, "validation and test images in a batch")
    batches_per_chunk: int = required(COUNT, "batches that the loader prepares at once")
    balance: str = optional(
        one_of("none", "sampler", "loss", "gan"),
        "for uneven classes: draw each equally often (sampler), weight the loss, or add generated images (gan)",
        "none",
    )
    workers: int | None = optional(
        PROCESSES, "loader processes; default: 0 for images in memory, otherwise one for each core, at most 8"
    )


@dataclass
class OneSize(Data):
    """Images of one size, in memory as one tensor."""

    fit: str = required(
        one_of("pad", "resize", "crop"),
        "how images get the network's size; crop: the middle (in training, the augmentation crops)",
    )


@dataclass
class Drawn:
    """Splits that are made if the data have none."""

    test: Any = optional(PART, "test images, a number or a fraction, if the data have no test split", 0.15)
    split_seed: int = optional(SEED, "seed of the splits that are made", 0)
    folds: int | None = optional(FOLDS, "number of parts for cross-validation, one of which is held out")
    fold: int | None = optional(
        NOT_NEGATIVE_COUNT,
        "the part to hold out, from 0: it is the test split, or, if there is a test split, the validation split",
    )

    def conflict(self) -> str | None:
        if self.folds is None:
            return None if self.fold is None else f"data.fold={self.fold}: needs the number of folds; add data.folds=5"
        if self.fold is None:
            every = f"-m 'data.fold=range({self.folds})'"
            return f"data.folds={self.folds}: needs the fold to hold out; add data.fold=0, or run all with {every}"
        wrong = f"data.fold={self.fold}: must be from 0 to {self.folds - 1}, with data.folds={self.folds}"
        return wrong if self.fold >= self.folds else None


@dataclass
class Npz(Drawn, OneSize):
    pass


@dataclass
class Published(Data):
    """Images in folders."""

    resize: Any = optional(
        RESIZE, "pixels of the shorter side, or original; default: the network's size, times 8/7 from 64 pixels on"
    )
    fit: str = optional(
        one_of("crop", "letterbox", "squash"),
        "for images that are not square: show the middle, show all on grey, or stretch",
        "crop",
    )
    memory: float = optional(NOT_NEGATIVE, "GB for decoded images; larger data are decoded during training", 4.0)
    on_error: str = optional(one_of("stop", "skip"), "what to do about images that cannot be read", "stop")
    max_skipped: Any = optional(PART, "on_error=skip: skip at most this number or fraction", 0.05)

    def conflict(self) -> str | None:
        wrong = self.fit != "crop" and self.resize == "original"
        return f"data.fit={self.fit}: makes squares of one size; leave out data.resize=original" if wrong else None


@dataclass
class Own(Drawn, Published):
    """Images of the user's, which may come without splits."""

    def conflict(self) -> str | None:
        return Drawn.conflict(self) or Published.conflict(self)


@dataclass
class Folder(Own):
    groups: str | None = optional(
        one_of("folder", "prefix"),
        "images that stay in one split: those in a folder below their class, or with the same name up to _ or -",
    )


@dataclass
class Table(Own):
    file: str | None = optional(
        FILE, "the table, .csv or .parquet, with a row for each image; data.root is their folder, if another"
    )
    image_column: str | None = optional(None, "column of the image files; default: found by its usual names")
    label_column: str | None = optional(None, "column of the labels; default: found by its usual names")
    label_columns: list[str] | None = optional(COLUMNS, "columns of 0 and 1, one for each class, for several labels")
    label_separator: str | None = optional(SEPARATOR, "separator of several labels in a cell, such as ;")
    split_column: str | None = optional(None, "column of train, val and test; default: split, if there is one")
    group_column: str | None = optional(None, "column of persons (or other groups) whose images stay in one split")

    def conflict(self) -> str | None:
        if self.label_columns and (self.label_column or self.label_separator):
            return "data.label_columns: has the labels; leave out data.label_column and data.label_separator"
        return super().conflict()


@dataclass
class Shards(Own):
    label_column: str | None = optional(None, "name of the label in the samples' .json; default: by its usual names")


@dataclass
class HuggingFace(Own):
    hub: str | None = optional(None, "a dataset on the Hub, user/name; data.root: a folder of save_to_disk instead")
    subset: str | None = optional(None, "configuration of the dataset; default: its only one")
    revision: str | None = optional(None, "branch, tag or commit of the dataset; default: the newest")
    image_column: str | None = optional(None, "column of the images; default: found by type or usual name")
    label_column: str | None = optional(None, "column of the labels; default: found by type or usual name")


@dataclass
class Unchanged(Choice):
    """What every augmentation has, and the one that changes nothing."""

    generator: str | None = optional(
        FOLDER, "run folder of `repronet gan train` whose images are added to the training images"
    )
    generated: float | None = optional(
        OPEN_SHARE, "share of generated images in each class; default: 0.5, or with data.balance=gan what is missing"
    )

    def conflict(self) -> str | None:
        wrong = self.generated is not None and self.generator is None
        return (
            f"augmentation.generated={self.generated}: needs a GAN; add augmentation.generator=DIR" if wrong else None
        )


@dataclass
class PadCropFlip(Unchanged):
    padding: int = required(Constraint(lambda x: 0 <= x < 2**15, "a whole number of pixels, at least 0"), "pixels")
    flip: float = required(PROBABILITY, "probability of a horizontal flip")


@dataclass
class Affine(Unchanged):
    translate: float = required(NOT_NEGATIVE, "largest shift in pixels, horizontally and vertically")
    scale: float = required(SHARE, "0.15: sizes from 0.85 to 1.15")
    squeeze: float = required(SHARE, "0.15: up to 0.15 narrower and taller, or wider and lower")
    shear: float = required(ANGLE, "degrees")
    rotate: float = required(NOT_NEGATIVE, "degrees")


@dataclass
class Policy(Unchanged):
    """Steps for one image at a time; :mod:`repronet.data.augmentation_ops` has their rules."""

    steps: list[Any] = required(None, "a list of steps, such as {op: rotate, degrees: 15, p: 0.5}")

    def conflict(self) -> str | None:
        completed(self.steps)
        return super().conflict()


@dataclass
class Standardize(Choice):
    mean: list[float] | None = optional(
        MEANS, "mean of pixels in [0, 1], for each channel; default: that of the training split"
    )
    std: list[float] | None = optional(
        RATES, "their standard deviation, for each channel; default: that of the training split"
    )

    def conflict(self) -> str | None:
        counts = [None if values is None else len(values) for values in (self.mean, self.std)]
        wrong = f"preprocessing.mean={self.mean}: needs the same number of values in preprocessing.std, not {self.std}"
        return wrong if counts[0] != counts[1] else None


@dataclass
class Scale(Choice):
    low: float = required(ANY_NUMBER, "value of a black pixel")
    high: float = required(ANY_NUMBER, "value of a white pixel")

    def conflict(self) -> str | None:
        wrong = self.low >= self.high
        return f"preprocessing.low={self.low}: must be below preprocessing.high={self.high}" if wrong else None


@dataclass
class GlobalContrast(Choice):
    scale: float = required(POSITIVE, "contrast of each image afterwards")
    regularizer: float = required(NOT_NEGATIVE, "limits the amplification of images with little contrast")


@dataclass
class LocalContrast(Choice):
    size: int = required(
        Constraint(lambda x: x > 0 and x % 2 == 1, "an odd number of pixels"), "side of the window, pixels"
    )


@dataclass
class Zca(Choice):
    epsilon: float = required(POSITIVE, "added to every variance")
