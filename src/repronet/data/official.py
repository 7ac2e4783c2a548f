"""Datasets that torchvision reads and that fit in memory: MNIST, Fashion-MNIST, SVHN and STL-10."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from repronet.data.cuts import carve
from repronet.data.decoded import require_folder
from repronet.data.downloads import fetch
from repronet.data.splits import ImageDataset, Split
from repronet.errors import UserError


@dataclass(frozen=True)
class Official:
    """The description of a dataset."""

    name: str
    source: str  # the class in torchvision.datasets that reads it; it raises RuntimeError if the files are missing
    counts: tuple[int, int]  # images in the official training and test sets
    shape: tuple[int, int, int]  # of one image, (C, H, W)
    classes: tuple[str, ...]
    megabytes: int
    holds: str  # what ``data.root`` holds, in words
    marker: str | None = None  # a file that exists in ``data.root`` if it is one folder too deep
    validation: int | None = None  # validation images under ``data.val=paper``; None if no paper defines any


def load_official(known: Official, root: Path | None, cache: Path, val: float | int | str) -> ImageDataset:
    """Load the dataset with its official test set and a stratified validation set out of the training images.

    Args:
        root: a folder with torchvision's files; None for ``cache``. Downloaded if absent.
        val: the share or number of training images used for validation, or "paper".

    Raises:
        UserError: if ``root`` is not a folder, the download fails, or the files are damaged.
    """
    if root is not None:
        require_folder(root)
        if known.marker and (root / known.marker).exists():
            raise UserError(
                f"data.root={root}: names the folder of {known.name} itself; give the one that holds it: {root.parent}"
            )
    folder = root or cache
    train, test = (_part(known, folder, train) for train in (True, False))
    share = validation_share(known.name, val, known.validation)
    return ImageDataset(known.name, *carve(train, share, "data.val"), test, known.classes)


def validation_share(name: str, val: float | int | str, paper: int | None) -> float | int:
    """Resolve ``data.val`` to a fraction or a number of images.

    Raises:
        UserError: for "paper" if no paper defines a validation split.
    """
    if not isinstance(val, str):
        return val
    if paper is None:
        raise UserError(
            f"data.val=paper: no paper defines a validation split for {name}; give a fraction or a number, 0.1 or 5000"
        )
    return paper


def _part(known: Official, folder: Path, train: bool) -> Split:
    try:
        images, labels = _read(known.source, str(folder), train)
    except (RuntimeError, ValueError, AssertionError, EOFError, OSError) as error:
        if "not found" not in str(error):
            raise UserError(
                f"data.root={folder}: the files of {known.name} there are damaged ({error}); remove them"
            ) from error
        fetch(known.name, known.megabytes, folder, partial(_download, known.source), known.holds)
        images, labels = _read(known.source, str(folder), train)
    expected = (known.counts[0 if train else 1], *known.shape)
    if images.shape != expected or len(labels) != len(images):
        found = "×".join(map(str, images.shape))
        raise UserError(f"data.root={folder}: {known.name} there is {found}, not {'×'.join(map(str, expected))}")
    return Split(images, labels)


def _read(source: str, folder: str, train: bool, download: bool = False) -> tuple[Tensor, Tensor]:
    """Read images (N, C, H, W) and labels (N,) of torchvision's dataset ``source``."""
    build = getattr(import_module("torchvision.datasets"), source)
    if source.endswith("MNIST"):
        part = build(folder, train=train, download=download)
        images, labels = part.data.unsqueeze(1).numpy(), part.targets  # (N, 28, 28) → (N, 1, 28, 28)
    else:
        part = build(folder, split="train" if train else "test", download=download)
        images, labels = part.data, part.labels
    return torch.from_numpy(np.ascontiguousarray(images)), torch.from_numpy(np.asarray(labels, np.int64))


def _download(source: str, folder: str) -> None:
    for train in (True, False):
        _read(source, folder, train, download=True)


DIGITS = tuple("0123456789")

MNIST = Official(
    *("mnist", "MNIST", (60_000, 10_000), (1, 28, 28), DIGITS, 11),
    *("a folder that holds MNIST/raw", "raw/train-images-idx3-ubyte"),
)
FASHION_MNIST = Official(
    *("fashion_mnist", "FashionMNIST", (60_000, 10_000), (1, 28, 28)),
    ("T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
    *(30, "a folder that holds FashionMNIST/raw", "raw/train-images-idx3-ubyte"),
)
SVHN = Official(
    *("svhn", "SVHN", (73_257, 26_032), (3, 32, 32), DIGITS, 246),
    "a folder that holds train_32x32.mat and test_32x32.mat",
    # Sermanet, Chintala and LeCun 2012 take 400 per class from training, and 200 from the extra set, unused here.
    validation=4_000,
)
STL10 = Official(
    *("stl10", "STL10", (5_000, 8_000), (3, 96, 96)),
    ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
    *(2_640, "a folder that holds stl10_binary", "train_X.bin"),
)
