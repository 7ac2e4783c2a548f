"""``data=npz``: a dataset in one NumPy archive, such as the files of MedMNIST or Keras."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
from torch import Tensor

from repronet.data.cuts import Cut, partition
from repronet.data.folders import SPLITS
from repronet.data.splits import ImageDataset, Split
from repronet.errors import UserError

# The names of a split's arrays of images and labels in an archive: MedMNIST's, then Keras'.
_NAMES = (("{}_images", "{}_labels"), ("x_{}", "y_{}"))
_FORMS = "train_images and train_labels, or x_train and y_train"


def load_npz(file: Path | None, cut: Cut) -> ImageDataset:
    """Load the splits in ``file``; missing ones are carved out of the training split.

    Images are (N, H, W), (N, H, W, C) or (N, C, H, W), C = 1 or 3: uint16, which is divided by 257, floats from
    0 to 1, times 255, or whole numbers from 0 to 255 of any other type. Labels are whole numbers from 0, (N,) or
    (N, 1), or rows of zeros and ones, (N, classes): one-hot, or several labels per image. An optional array ``classes``
    names the classes.

    Raises:
        UserError: if there is no such archive, or its arrays are not of this form.
    """
    if file is None:
        raise UserError("data=npz: data.root must name the .npz file")
    if not file.is_file():
        raise UserError(f"data.root={file}: no such file; data=npz needs a .npz file")
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as archive:  # a pickle could run code
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"data.root={file}: cannot be read as a .npz archive of numbers ({reason})") from error
    given = {split: found for split in SPLITS if (found := _split(arrays, split, file)) is not None}
    if "train" not in given:
        raise UserError(f"data.root={file}: holds {', '.join(sorted(arrays)) or 'nothing'}; it needs {_FORMS}")
    given = _one_hot_as_numbers(given, file)
    train, validation, tested = partition(given, cut, tested=True)
    assert tested is not None
    classes = _classes(arrays, file, train, validation, tested)
    return ImageDataset("npz", train, validation, tested, classes)


def _split(arrays: dict[str, np.ndarray], split: str, file: Path) -> Split | None:
    for images, labels in ((i.format(split), t.format(split)) for i, t in _NAMES):
        if images in arrays and labels in arrays:
            pixels, numbers = _pixels(arrays[images], images, file), _labels(arrays[labels], labels, file)
            if len(pixels) != len(numbers) or not len(pixels):
                raise UserError(f"data.root={file}: {len(pixels)} {images} and {len(numbers)} {labels}")
            return Split(pixels, numbers)
    return None


def _pixels(values: np.ndarray, name: str, file: Path) -> Tensor:
    """Images as uint8 (N, C, H, W); uint16 and floats are scaled, never clipped."""
    if values.ndim == 3:
        values = values[..., None]  # (N, H, W) → (N, H, W, 1)
    elif values.ndim == 4 and values.shape[-1] not in (1, 3) and values.shape[1] in (1, 3):
        values = values.transpose(0, 2, 3, 1)  # (N, C, H, W) → (N, H, W, C)
    if values.ndim != 4 or values.shape[-1] not in (1, 3) or 0 in values.shape:
        wanted = "(N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3"
        raise UserError(f"data.root={file}: {name} is {values.shape}; it must be {wanted}")
    low, high = values.min(), values.max()  # NaN if any value is NaN
    floating = np.issubdtype(values.dtype, np.floating)
    if values.dtype == np.uint16:
        values = (values / 257).round().astype(np.uint8)
    elif floating and low >= 0 and high <= 1:
        values = (values * 255).round().astype(np.uint8)
    elif (floating or np.issubdtype(values.dtype, np.integer)) and low >= 0 and high <= 255 and _whole(values):
        values = values.astype(np.uint8)
    else:
        wanted = "whole numbers from 0 to 255, floats from 0 to 1, or uint16"
        between = f" from {low:g} to {high:g}" if np.issubdtype(values.dtype, np.number) else ""
        raise UserError(f"data.root={file}: {name} is {values.dtype}{between}; it must be {wanted}")
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))  # (N, H, W, C) → (N, C, H, W)


def _whole(values: np.ndarray) -> bool:
    return bool((values == np.floor(values)).all())


def _labels(values: np.ndarray, name: str, file: Path) -> Tensor:
    """Labels as int64: (N,) from whole numbers of any type, (N,) or (N, 1); or rows of zeros and ones, (N, classes)."""

    def refuse(what: str) -> NoReturn:
        raise UserError(f"data.root={file}: {name} {what}")

    if values.dtype.kind in "USO":
        refuse("are words; labels are whole numbers from 0: np.unique(labels, return_inverse=True) gives both")
    if values.ndim == 2 and values.shape[1] > 1:
        if not np.isin(values, (0, 1)).all():
            refuse(f"is {values.shape} and not all 0 or 1; several labels per image are a 0 or 1 for each class")
        return torch.from_numpy(values.astype(np.int64))
    if values.ndim == 2:
        values = values[:, 0]
    if values.ndim != 1:
        refuse(f"is {values.shape}; one label per image is needed, (N,)")
    if len(values) and values.dtype.kind not in "iub" and not (values.dtype.kind == "f" and _whole(values)):
        strange = values[values != np.floor(values)] if values.dtype.kind == "f" else values
        refuse(f"is {values.dtype} with {strange[0]}; labels are whole numbers from 0")
    if len(values) and values.min() < 0:
        refuse(f"has {values.min():g}, which is below 0; labels are whole numbers from 0")
    return torch.from_numpy(values.astype(np.int64))


def _one_hot_as_numbers(given: dict[str, Split], file: Path) -> dict[str, Split]:
    """The splits with class numbers for one-hot rows, if every image of every split has exactly one label."""
    rows = [split.labels for split in given.values() if split.labels.ndim == 2]
    if all((labels.sum(dim=1) == 1).all() for labels in rows):
        flat = {name: s.labels.argmax(dim=1) if s.labels.ndim == 2 else s.labels for name, s in given.items()}
        return {name: split.relabelled(flat[name]) for name, split in given.items()}
    if len({split.labels.shape[1:] for split in given.values()}) > 1:
        shapes = ", ".join(f"{name}_labels {tuple(split.labels.shape)}" for name, split in given.items())
        raise UserError(f"data.root={file}: {shapes}; several labels per image must be so in every split")
    return given


def _classes(arrays: dict[str, np.ndarray], file: Path, train: Split, *others: Split) -> tuple[str, ...]:
    several = train.labels.ndim == 2
    count = train.labels.shape[1] if several else int(train.labels.max()) + 1
    strange = 0 if several else max(int(split.labels.max()) for split in others)
    if strange >= count:
        raise UserError(f"data.root={file}: label {strange} is in validation or test; training has 0 to {count - 1}")
    if count == 1:
        raise UserError(f"data.root={file}: all training images have label 0; there must be two classes or more")
    there = train.labels.any(dim=0).nonzero().flatten() if several else train.labels
    absent = sorted(set(range(count)) - set(there.tolist()))
    if absent:
        wanted = f"; labels must be 0 to {count - 1}{'; subtract 1' if absent == [0] else ''}" if not several else ""
        raise UserError(f"data.root={file}: no training image has label {absent[0]}{wanted}")
    if any(split.images.shape[1:] != train.images.shape[1:] for split in others):
        raise UserError(f"data.root={file}: the images of its splits differ in size")
    names = arrays.get("classes")
    if names is None:
        return tuple(map(str, range(count)))
    if len(names) != count:
        raise UserError(f"data.root={file}: {len(names)} classes are named; the labels are 0 to {count - 1}")
    return tuple(map(str, names.tolist()))
