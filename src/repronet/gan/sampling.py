"""Loading a trained GAN, and adding its images to real training images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from repronet import runs
from repronet.constraints import is_side
from repronet.data.balance import class_counts
from repronet.data.eval_transform import EvalTransform
from repronet.data.randomness import counter_generator
from repronet.data.splits import ImageDataset, Split
from repronet.errors import UserError, first_line
from repronet.gan.module import GAN
from repronet.training.checkpoints import read_checkpoint

KEY = "augmentation.generator"
SPLITS = ("name", "val", "test", "split_seed", "folds", "fold")  # data keys that select the training images


@dataclass(frozen=True)
class TrainedGAN:
    """The best weights of a run of ``repronet gan train``, with the names of its classes."""

    folder: Path  #: the run folder
    gan: GAN
    classes: tuple[str, ...]
    channels: int
    data: dict[str, Any]  #: the run's config of the dataset


def of_run(folder: Path) -> TrainedGAN:
    """Load the GAN of a run folder.

    Raises:
        UserError: when there is none, or it is damaged, or the run is a classifier's, or the GAN is not conditional.
    """
    path = runs.require_run(folder, runs.BEST, KEY)
    content = read_checkpoint(path)
    given = content.get("hyper_parameters", {})
    if "kind" not in given:
        raise UserError(f"{KEY}={folder}: the run of a classifier; give one of repronet gan train")
    if given["kind"] == "dcgan":
        raise UserError(f"{KEY}={folder}: a dcgan knows no classes; train one with kind=acgan or kind=bagan")
    try:
        gan = GAN(**given)
        gan.load_state_dict(content["state_dict"])
    except (TypeError, RuntimeError) as error:
        raise UserError(f"{path}: its weights belong to another network ({first_line(error)})") from error
    transform = EvalTransform.of(content["ImageDataModule"]["lens"])
    return TrainedGAN(folder, gan.eval(), transform.classes, transform.channels, content["repronet"]["config"]["data"])


def require_same_split(found: TrainedGAN, data: Mapping[str, Any]) -> None:
    """Refuse a GAN that was trained on another split: its images could resemble validation and test images.

    Args:
        data: the config of the dataset.
    """
    for key in SPLITS:
        there, here, folder = found.data.get(key), data.get(key), found.folder
        if there != here:
            raise UserError(
                f"{KEY}={folder}: was trained with data.{key}={there}, here {here}; it needs the same split"
            )


def with_generated(images: ImageDataset, found: TrainedGAN, share: float | None, seed: int) -> ImageDataset:
    """The dataset with generated training images appended to the real ones.

    Args:
        found: the GAN.
        share: of each class's images in the result, the fraction that is generated; None: as many as bring every
            class to the size of the largest.
        seed: the seed of the codes.

    Raises:
        UserError: when classes, channels or size differ from the GAN's, or images are multi-label or not in memory.
    """
    train, folder = images.train, found.folder
    if not isinstance(train, Split) or images.multilabel:
        raise UserError(f"{KEY}={folder}: needs images of one size with one label each, in memory")
    if found.classes != images.classes:
        raise UserError(f"{KEY}={folder}: was trained on classes {', '.join(found.classes)}, the data have others")
    made, real = (found.channels, found.gan.size, found.gan.size), tuple(train.images.shape[1:])
    if made != real:
        right = f"give size={real[-1]}" if is_side(real[-1]) else "its size is a power of 2"
        raise UserError(f"{KEY}={folder}: makes images {made}, the network is trained on {real}; {right}")
    counts = class_counts(train.labels, len(images.classes))
    more = counts.max() - counts if share is None else (counts * share / (1 - share)).round().long()
    labels = torch.arange(len(counts)).repeat_interleave(more)
    if not len(labels):
        return images
    new = found.gan.images(labels, counter_generator("generated", seed))
    both = Split(torch.cat((train.images, new)), torch.cat((train.labels, labels)))
    return ImageDataset(images.name, both, images.val, images.test, images.classes)
