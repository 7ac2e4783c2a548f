"""CIFAR-10 and CIFAR-100: 60,000 images of 32 × 32 pixels.

A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report, 2009. There are 50,000
training images and 10,000 test images.
"""

from __future__ import annotations

import io
import logging
import tarfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from repronet.data.cuts import carve
from repronet.data.decoded import decoded, key_of, require_folder
from repronet.data.downloads import fetch
from repronet.data.official import validation_share
from repronet.data.reading import FORMATS, progress
from repronet.data.splits import ImageDataset, Split
from repronet.errors import UserError

log = logging.getLogger(__name__)

_SPLITS = {"train": 50_000, "test": 10_000}
VALIDATION = 5_000  # He et al. 2016, section 4.2: 45k/5k


Encoded = tuple[str, bytes]  # <split>/<class>/<file>, and the file's content, still encoded


def cifar(name: str, root: Path | None, cache: Path, val: float | int | str = "paper") -> ImageDataset:
    """Load the official training set, by default as 45,000 training and 5,000 validation images, and the test set.

    Args:
        name: "cifar10" or "cifar100".
        root: a folder with ``cifar10/train/<class>/*.png`` and ``cifar10/test/…`` (or ``*.tar.gz`` shards of them),
            or torchvision's ``cifar-10-batches-py``; None for the user's cache. Downloaded by torchvision when absent.
        cache: where decoded images are kept.
        val: the share or number of the official training images used for validation, or "paper" for 5,000.

    Raises:
        UserError: if ``root`` is not a folder, the download fails, or files are missing or damaged.
    """
    if root is not None:
        require_folder(root)
    folder = root or cache
    if folder.name == name and (folder / "train").is_dir() and (folder / "test").is_dir():
        folder = folder.parent
    images = folder / name
    if images.is_dir():
        tensors, classes = _from_images(name, images, cache)
    else:
        tensors, classes = _from_torchvision(name, folder)
    official = {split: Split(tensors[f"{split}_images"], tensors[f"{split}_labels"]) for split in _SPLITS}
    for split, expected in _SPLITS.items():
        if len(official[split]) != expected:
            raise UserError(f"data.root={folder}: {name} has {len(official[split])} {split} images, not {expected}")
    train, validation = carve(official["train"], validation_share(name, val, VALIDATION), "data.val")
    return ImageDataset(name, train, validation, official["test"], classes)


cifar10, cifar100 = partial(cifar, "cifar10"), partial(cifar, "cifar100")


def _from_images(name: str, folder: Path, cache: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Load class folders of PNG files, or tar archives of such folders, which are decoded only once."""
    loose = [path for split in _SPLITS for path in sorted((folder / split).glob("*/*")) if path.is_file()]
    files = loose or sorted(folder.glob("*.tar.gz"))
    if not files:
        raise UserError(f"data.root={folder.parent}: {folder} holds neither train/<class>/*.png nor *.tar.gz")

    def decode() -> dict[str, Tensor]:
        log.info("data=%s: decoding the images in %s, once", name, folder)
        read = ((str(file.relative_to(folder)), file.read_bytes()) for file in loose)
        return _decode(read if loose else _unpack(files))

    tensors = decoded(cache / "decoded", name, key_of(files, folder), decode)
    return tensors, tuple(bytes(tensors["classes"].tolist()).decode().split("\n"))


def _unpack(archives: list[Path]) -> Iterator[Encoded]:
    """The PNG files in the archives, each as <split>/<class>/<file>; nothing is written to disk."""
    for archive in archives:
        try:
            with tarfile.open(archive) as opened:
                for member in opened:
                    if member.isfile() and member.name.endswith(".png"):
                        file = opened.extractfile(member)
                        assert file is not None
                        yield "/".join(Path(member.name).parts[-3:]), file.read()
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise UserError(f"{archive}: a damaged archive ({error}); fetch it again") from error


def _decode(encoded: Iterator[Encoded]) -> dict[str, Tensor]:
    """Every split's images and labels, and the classes in alphabetical order."""
    found: dict[str, list[tuple[str, str, np.ndarray]]] = {split: [] for split in _SPLITS}
    with ThreadPoolExecutor() as pool:
        for path, pixels in progress(pool.map(_pixels, encoded), "decoding", sum(_SPLITS.values())):
            split, label, _ = Path(path).parts
            if split in found:
                found[split].append((label, path, pixels))
    classes = sorted({label for label, _, _ in found["train"]})
    tensors = {"classes": torch.tensor(list("\n".join(classes).encode()), dtype=torch.uint8)}
    for split, rows in found.items():
        rows.sort(key=lambda row: row[:2])  # so that the order does not depend on the storage
        stray = next((label for label, _, _ in rows if label not in classes), None)
        if stray is not None:
            raise UserError(f"{split}/{stray}: a class that train/ has not")
        images = np.stack([pixels for _, _, pixels in rows]) if rows else np.empty((0, 32, 32, 3), np.uint8)
        tensors[f"{split}_images"] = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()  # (N, 3, 32, 32)
        tensors[f"{split}_labels"] = torch.tensor([classes.index(label) for label, _, _ in rows], dtype=torch.int64)
    return tensors


def _pixels(encoded: Encoded) -> tuple[str, np.ndarray]:
    """The image's path and its pixels, (32, 32, 3) uint8."""
    path, content = encoded
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            pixels = np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as an image ({error})") from error
    if pixels.shape != (32, 32, 3):
        height, width = pixels.shape[:2]
        raise UserError(f"{path}: is {height}×{width} pixels; CIFAR's are 32×32")
    return path, pixels


def _from_torchvision(name: str, folder: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Load torchvision's copy, downloaded if absent; torchvision checks the MD5 of its files before it reads them."""
    from torchvision.datasets import CIFAR10, CIFAR100

    dataset = CIFAR10 if name == "cifar10" else CIFAR100

    def read() -> dict[str, Any]:
        return {split: dataset(str(folder), train=split == "train", download=False) for split in _SPLITS}

    try:
        parts = read()
    except RuntimeError:
        holds = f"a folder that holds {name}/train/<class>/*.png or torchvision's files"
        fetch(name, 170, folder, lambda draft: dataset(draft, download=True), holds)
        parts = read()
    tensors = {}
    for split, part in parts.items():
        tensors[f"{split}_images"] = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()  # (N, 3, 32, 32)
        tensors[f"{split}_labels"] = torch.tensor(part.targets, dtype=torch.int64)
    return tensors, tuple(parts["train"].classes)
