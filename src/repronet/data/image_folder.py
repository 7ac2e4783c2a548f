"""Folders of pictures as datasets: a person's own, Imagenette and ImageNet."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from repronet.data.downloads import fetch
from repronet.data.folders import WHOLE, LabelledFile, read_layout, split_folders
from repronet.data.pictures import PictureFiles, PictureSplit, fits, named, split_of, unreadable
from repronet.data.splits import SPLIT_SEED, ImageDataset, carve
from repronet.errors import UserError

log = logging.getLogger(__name__)

# The ten classes of Imagenette, by WordNet's numbers.
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
    """How a folder's pictures are read.

    Attributes:
        short_side: pixels that each picture's shorter side is brought to; None leaves it as it is.
        memory: gigabytes that decoded pictures may take; more are decoded anew whenever they are wanted.
        cache: where decoded pictures are kept.
        max_skipped: how many pictures that cannot be read may be left out, a share or a number; None: none.
    """

    short_side: int | None
    memory: float
    cache: Path
    max_skipped: float | int | None = None


def image_folder(
    root: Path | None, reading: Reading, val: float | int | str, test: float | int, seed: int
) -> ImageDataset:
    """Any folder of pictures: ``root/train/<class>/…`` with ``val`` and ``test`` beside it, or ``root/<class>/…``.

    What is not there is carved out of training, stratified: validation always, and test where there is neither a
    ``val`` nor a ``test`` folder. With a ``val`` folder alone there is no test split.

    Raises:
        UserError: for a layout that :func:`repronet.data.folders.read_layout` refuses, or a picture that cannot be
            read when all of them are.
    """
    if root is None:
        raise UserError("data=image_folder: data.root must name the folder of pictures")
    if val == "paper":
        raise UserError("data.val=paper: your own pictures have no paper; give a share or a number, 0.1 or 500")
    layout = read_layout(root)
    if layout.others:
        log.info(
            "%d files in the classes are not named like pictures and are left out, %s for one",
            len(layout.others),
            layout.others[0],
        )
    splits = _splits(layout.files, layout.root, "image_folder", reading)
    train = splits.get("train") or splits[WHOLE]
    tested = splits.get("test")
    if tested is None and "val" not in splits:
        train, tested = carve(train, test, "data.test", seed)
    validation = splits.get("val")
    if validation is None:
        train, validation = carve(train, val, "data.val", seed)  # type: ignore[arg-type]
    return ImageDataset("image_folder", train, validation, tested, layout.classes)


def imagenette(root: Path | None, default: Path, reading: Reading, val: float | int | str) -> ImageDataset:
    """Imagenette at 320 pixels: ten easy classes of ImageNet, 9,469 pictures for training and 3,925 for test.

    Its ``val`` folder is what is published and compared on, so that is the test split here; validation comes out of
    training.

    Raises:
        UserError: as :func:`image_folder`, or when the download fails.
    """
    folder = root or default
    pictures = folder if (folder / "train").is_dir() else folder / "imagenette2-320"
    if not pictures.is_dir():
        fetch("imagenette", 342, folder, _download_imagenette, "a folder that holds imagenette2-320")
    dataset = _published("imagenette", pictures, reading, val)
    return replace(dataset, classes=tuple(IMAGENETTE_CLASSES.get(wnid, wnid) for wnid in dataset.classes))


def _download_imagenette(folder: str) -> None:
    from torchvision.datasets import Imagenette

    Imagenette(folder, split="train", size="320px", download=True)
    Path(folder, "imagenette2-320.tgz").unlink(missing_ok=True)


def imagenet(root: Path | None, reading: Reading, val: float | int | str) -> ImageDataset:
    """ImageNet (ILSVRC 2012): ``root/train/<wnid>/*.JPEG`` and ``root/val/<wnid>/*.JPEG``, from image-net.org.

    The labels of its test set were never published; papers quote errors on ``val``, which is the test split here.

    Raises:
        UserError: when no root is given, since ImageNet cannot be downloaded without an account.
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
        raise UserError(f"data.val=paper: no paper takes any from {name}; give a share or a number, 0.1 or 5000")
    folders = split_folders(root)
    if folders.keys() != {"train", "val"}:
        there = "neither" if WHOLE in folders else ", ".join(f"{folder.name}/" for folder in folders.values())
        raise UserError(f"data.root={root}: {name} has train/<wnid>/ and val/<wnid>/; there is {there}")
    layout = read_layout(root)
    splits = _splits(layout.files, root, name, reading)
    train, validation = carve(splits["train"], val, "data.val", SPLIT_SEED)  # type: ignore[arg-type]
    return ImageDataset(name, train, validation, splits["val"], layout.classes)


def _splits(files: dict[str, list[LabelledFile]], root: Path, name: str, reading: Reading) -> dict[str, PictureSplit]:
    """One split for each folder; in memory when all of them fit."""
    if reading.max_skipped is not None:
        files = _readable(files, root, name, reading)
    count = sum(map(len, files.values()))
    keep = fits(count, reading.short_side, reading.memory)
    if not keep:
        log.info("%s: %s pictures are decoded as they are needed (more than data.memory holds)", name, f"{count:,}")
    splits = {}
    for split, members in files.items():
        if not members:
            raise UserError(f"data.root={root}: no picture in {split}")
        pictures = PictureFiles(tuple(file.path for file in members), reading.short_side)
        labels = torch.tensor([file.label for file in members])
        splits[split] = split_of(pictures, labels, root, f"{name}-{split}", reading.cache / "decoded", keep)
    return splits


def _readable(
    files: dict[str, list[LabelledFile]], root: Path, name: str, reading: Reading
) -> dict[str, list[LabelledFile]]:
    """The files without those that cannot be read, which are named.

    Raises:
        UserError: when they are more than ``reading.max_skipped``, or all of a class in training.
    """
    kept, errors = {}, []
    for split, members in files.items():
        pictures = PictureFiles(tuple(file.path for file in members), reading.short_side)
        bad = unreadable(pictures, root, f"{name}-{split}", reading.cache / "decoded")
        errors += bad.values()
        kept[split] = [file for row, file in enumerate(members) if row not in bad]
    total, limit = sum(map(len, files.values())), reading.max_skipped or 0
    if len(errors) > (limit if isinstance(limit, int) else limit * total):
        raise UserError(f"data.max_skipped={limit}: {len(errors):,} of {total:,} pictures are worse: {named(errors)}")
    if errors:
        log.warning("left out: %s of %s pictures, which cannot be read", f"{len(errors):,}", f"{total:,}")
    for error in errors:
        log.warning("  %s", error)
    for split in files.keys() & {"train", WHOLE}:
        gone = {file.label for file in files[split]} - {file.label for file in kept[split]}
        if gone:
            example = next(file.path.parent for file in files[split] if file.label in gone)
            raise UserError(f"data.root={root}: no picture in {example} can be read; fill or remove that class")
    return kept
