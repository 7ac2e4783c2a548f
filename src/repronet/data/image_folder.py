"""Image datasets: your own folders, tables, shards and Hugging Face's data; Imagenette and ImageNet."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from repronet.data.cuts import Cut, carve, partition
from repronet.data.decoded import key_of
from repronet.data.downloads import fetch
from repronet.data.folders import (
    WHOLE,
    LabelledFile,
    Layout,
    classes_in,
    read_layout,
    require_whole_groups,
    split_folders,
    too_many,
)
from repronet.data.hub import HubData, fingerprint, read_hub
from repronet.data.images import ImageFiles, ImageSplit, fits, named, split_of, unreadable
from repronet.data.shards import read_shards
from repronet.data.splits import SPLIT_SEED, ImageDataset
from repronet.data.table import Columns, read_table
from repronet.errors import UserError

log = logging.getLogger(__name__)

# The ten classes of Imagenette, by WordNet ID.
IMAGENETTE_CLASSES = {
    "n01440764": "tench",
    "n02102040": "English springer",
    "n02979186": "cassette player",
    "n03000684": "chain saw",
    "n03028079": "church",
    "n03394916": "French horn",
    "n03417042": "garbage truck",
    "n03425413": "gas pump",
    "n03445777": "golf ball",
    "n03888257": "parachute",
}


@dataclass(frozen=True)
class Reading:
    """How a folder's images are read."""

    short_side: int | None  # pixels that each image's shorter side is resized to; None: not resized
    memory: float  # gigabytes that decoded images may take; if they need more, each is decoded whenever it is used
    cache: Path  # where decoded images are kept
    # how many unreadable images may be left out, a share or a number; None: none
    max_skipped: float | int | None = None
    fit: str = "crop"  # "crop", or how images become squares, see :func:`repronet.data.reading.squared`


def image_folder(root: Path | None, reading: Reading, cut: Cut, groups: str | None = None) -> ImageDataset:
    """Load a folder of images: ``root/train/<class>/…`` with ``val`` and ``test`` beside it, or ``root/<class>/…``.

    Missing splits are carved out of training, see :func:`repronet.data.cuts.partition`. With ``val`` but no ``test``
    folder there is no test split.

    Args:
        groups: how images are grouped, a key of :data:`repronet.data.folders.GROUPS`; None: no groups.

    Raises:
        UserError: for a layout that :func:`repronet.data.folders.read_layout` refuses, or for an unreadable image if
            all images are decoded at the start.
    """
    if root is None:
        raise UserError("data=image_folder: data.root must name the folder of images")
    layout = read_layout(root, groups)
    require_whole_groups(layout, f"data.groups={groups}")
    if layout.others:
        count, example = len(layout.others), layout.others[0]
        log.info("%d files in the classes are not named like images and are left out, %s for one", count, example)
    return _cut(layout, "image_folder", reading, cut)


def image_table(file: Path | None, columns: Columns, root: Path | None, reading: Reading, cut: Cut) -> ImageDataset:
    """Load images and labels from a table, see :mod:`repronet.data.table`; split and read like those of a folder.

    Args:
        root: the folder of the images; None: the folder of the table.

    Raises:
        UserError: for a table that :func:`repronet.data.table.read_table` refuses, or an image that cannot be read.
    """
    layout = read_table(file, root, columns, reading.max_skipped)
    require_whole_groups(layout, f"data.group_column={columns.group}")
    below = all(item.path.is_relative_to(layout.root) for items in layout.files.values() for item in items)
    return _cut(layout if below else replace(layout, root=Path(layout.root.anchor)), "table", reading, cut)


def shard_images(root: Path | None, label: str | None, reading: Reading, cut: Cut) -> ImageDataset:
    """Load images from tar files, see :func:`repronet.data.shards.read_shards`; split and read like a folder's."""
    layout = read_shards(root, label, reading.cache / "shards")
    shards = {file.path.shard for files in layout.files.values() for file in files}
    return _cut(layout, "webdataset", reading, cut, key_of(shards, Path("/")))


def hub_images(where: HubData, reading: Reading, cut: Cut) -> ImageDataset:
    """Load images from Arrow tables, see :func:`repronet.data.hub.read_hub`; split and read like a folder's."""
    layout = read_hub(where)
    return _cut(layout, "huggingface", reading, cut, fingerprint(layout))


def _cut(layout: Layout, name: str, reading: Reading, cut: Cut, key: str | None = None) -> ImageDataset:
    for note in layout.notes:
        log.info(note)
    splits = _splits(layout.files, layout.root, name, reading, key)
    return ImageDataset(name, *partition(splits, cut), layout.classes)


def imagenette(root: Path | None, default: Path, reading: Reading, val: float | int | str) -> ImageDataset:
    """Load Imagenette at 320 pixels: ten easy classes of ImageNet, 9,469 images for training and 3,925 for test.

    Published results are on its ``val`` folder, so that is the test split here; validation is carved out of training.

    Raises:
        UserError: as :func:`image_folder`, or if the download fails.
    """
    folder = root or default
    images = folder if (folder / "train").is_dir() else folder / "imagenette2-320"
    if not images.is_dir():
        fetch("imagenette", 342, folder, _download_imagenette, "a folder that holds imagenette2-320")
    dataset = _published("imagenette", images, reading, val)
    return replace(dataset, classes=tuple(IMAGENETTE_CLASSES.get(wnid, wnid) for wnid in dataset.classes))


def _download_imagenette(folder: str) -> None:
    from torchvision.datasets import Imagenette

    Imagenette(folder, split="train", size="320px", download=True)
    Path(folder, "imagenette2-320.tgz").unlink(missing_ok=True)


def imagenet(root: Path | None, reading: Reading, val: float | int | str) -> ImageDataset:
    """Load ImageNet (ILSVRC 2012): ``root/train/<wnid>/*.JPEG``, ``root/val/<wnid>/*.JPEG``, from image-net.org.

    The labels of its test set were never published; papers report errors on ``val``, which is the test split here.

    Raises:
        UserError: if no root is given, since ImageNet cannot be downloaded without an account.
    """
    if root is None:
        raise UserError(
            "data=imagenet: data.root must name a folder with train/<wnid>/ and val/<wnid>/ (from image-net.org, "
            "which asks for an account); data=imagenette is a small part of it and is downloaded"
        )
    dataset = _published("imagenet", root, reading, val)
    if len(dataset.classes) == 1000:
        from torchvision.models import ResNet18_Weights

        names = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]  # in the order of their wnids
        return replace(dataset, classes=tuple(names))
    return dataset


def _published(name: str, root: Path, reading: Reading, val: float | int | str) -> ImageDataset:
    if val == "paper":
        raise UserError(
            f"data.val=paper: no paper defines a validation split for {name}; give a fraction or a number, 0.1 or 5000"
        )
    folders = split_folders(root)
    if folders.keys() != {"train", "val"}:
        there = "neither" if WHOLE in folders else ", ".join(f"{folder.name}/" for folder in folders.values())
        raise UserError(f"data.root={root}: {name} has train/<wnid>/ and val/<wnid>/; there is {there}")
    layout = read_layout(root)
    splits = _splits(layout.files, root, name, reading)
    train, validation = carve(splits["train"], val, "data.val", SPLIT_SEED)  # type: ignore[arg-type]
    return ImageDataset(name, train, validation, splits["val"], layout.classes)


def _splits(
    files: dict[str, list[LabelledFile]], root: Path, name: str, reading: Reading, key: str | None = None
) -> dict[str, ImageSplit]:
    """The images of each split, in memory if all of them fit. ``key``: as in :func:`split_of`."""
    if reading.max_skipped is not None:
        files = _readable(files, root, name, reading, key)
    count = sum(map(len, files.values()))
    keep = fits(count, reading.short_side, reading.memory)
    if not keep:
        log.info("%s: %s images are decoded as they are needed (more than data.memory holds)", name, f"{count:,}")
    splits = {}
    for split, members in files.items():
        if not members:
            raise UserError(f"data.root={root}: no image in {split}")
        images = ImageFiles(tuple(file.path for file in members), reading.short_side, reading.fit)
        labels = torch.tensor([file.label for file in members])
        cut = split_of(images, labels, root, f"{name}-{split}", reading.cache / "decoded", keep, key)
        splits[split] = replace(cut, groups=_numbered([file.group for file in members]))
    return splits


def _numbered(groups: list[str | None]) -> Tensor | None:
    """The group number of each image, int64 (N,); None if there are no groups."""
    numbers = {group: number for number, group in enumerate(sorted({group for group in groups if group is not None}))}
    return torch.tensor([numbers[group] for group in groups]) if numbers else None  # type: ignore[index]


def _readable(
    files: dict[str, list[LabelledFile]], root: Path, name: str, reading: Reading, key: str | None
) -> dict[str, list[LabelledFile]]:
    """The files without the unreadable ones, which are logged."""
    kept, errors = {}, []
    for split, members in files.items():
        images = ImageFiles(tuple(file.path for file in members), reading.short_side, reading.fit)
        bad = unreadable(images, root, f"{name}-{split}", reading.cache / "decoded", key)
        errors += bad.values()
        kept[split] = [file for row, file in enumerate(members) if row not in bad]
    total, limit = sum(map(len, files.values())), reading.max_skipped or 0
    if too_many(len(errors), total, limit):
        raise UserError(
            f"data.max_skipped={limit}: {len(errors):,} of {total:,} images cannot be read: {named(errors)}"
        )
    if errors:
        log.warning("left out: %s of %s images, which cannot be read", f"{len(errors):,}", f"{total:,}")
    for error in errors:
        log.warning("  %s", error)
    for split in files.keys() & {"train", WHOLE}:
        gone = classes_in(files[split]) - classes_in(kept[split])
        if gone:
            example = next(file.path for file in files[split] if gone & classes_in([file]))
            raise UserError(
                f"data.root={root}: no image of the class of {example} can be read; fill or remove that class"
            )
    return kept
