"""Builds datasets, augmentation and preprocessing from a checked config."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from repronet.config import plugins
from repronet.data import sources
from repronet.data.augmentation import Augmentation, NoAugmentation, PadCropFlip, PlanarAffine
from repronet.data.cuts import few
from repronet.data.images import ImageFiles, ImageSplit
from repronet.data.module import Enlarged, ImageDataModule, fitted_splits
from repronet.data.policy import Policy
from repronet.data.preprocessing import PixelMap, PixelStatistics
from repronet.data.splits import SPLIT_SEED, ImageDataset, LabelledImages, Split, of_classes
from repronet.data.table import Columns, paths_of
from repronet.data.whitening import GlobalContrast, LocalContrast, PerImage, PerPixelMean, Preprocessing, Zca
from repronet.errors import UserError

AUGMENTATIONS = {"none": NoAugmentation, "affine": PlanarAffine, "cifar_standard": PadCropFlip}


# Keys that are also fields of a request.
KNOWN = (
    *("val", "test", "split_seed", "folds", "fold", "groups", "fit", "memory", "on_error", "max_skipped"),
    *("hub", "subset", "revision", "image_column", "label_column"),
)


def settings(group: DictConfig) -> dict[str, Any]:
    """A group's values without its name, with lists as tuples: the arguments for its row of a table."""
    plain = OmegaConf.to_container(group, resolve=True)
    assert isinstance(plain, dict)
    return {str(k): tuple(v) if isinstance(v, list) else v for k, v in plain.items() if k != "name"}


def dataset(config: DictConfig, image_size: int) -> ImageDataset:
    """The dataset of ``data.name``, read from ``data.root``, for a network that takes ``image_size`` pixels."""
    group = settings(config.data)
    known = {key: group[key] for key in KNOWN if key in group}
    root = Path(config.data.root).expanduser() if config.data.root is not None else None
    side = None if config.data.get("resize") == "original" else short_side(config, image_size)
    own = plugins.options(group | {"name": config.data.name})
    table = None
    if config.data.name == "table":
        table = paths_of(group)[0], Columns.named_by(group)
    images = sources.load(config.data.name, sources.Request(root, short_side=side, options=own, table=table, **known))
    if config.data.classes is not None:
        images = of_classes(images, [str(name) for name in config.data.classes])
    most, seed = group["per_class"], group["per_class_seed"]
    return images if most is None else few(images, most, SPLIT_SEED if seed is None else seed)


# From this size on, an image is resized to 8/7 of it (256 for 224) and cropped: Krizhevsky et al. 2012, section 2.
CROPPED_FROM = 64


def short_side(config: DictConfig, image_size: int) -> int:
    """The length that the shorter side of an image is resized to before the center crop."""
    given = config.data.get("resize")
    if isinstance(given, int):
        if given < image_size:
            seen = f"model={config.model.name} sees {image_size}×{image_size} pixels"
            remedy = f"give at least {image_size}, or image_size={given}, or leave it out"
            raise UserError(f"data.resize={given}: {seen}; {remedy}")
        return given
    if config.data.get("fit") in ("letterbox", "squash"):
        return image_size
    return round(image_size * 8 / 7) if image_size >= CROPPED_FROM else image_size


def augmenting(group: DictConfig, image_size: int) -> tuple[Augmentation | None, Policy | None]:
    """The augmentation, which changes whole batches, or the policy, which changes single images; the other is None."""
    if group.name == "policy":
        return None, Policy(OmegaConf.to_container(group.steps, resolve=True), image_size)  # type: ignore[arg-type]
    own = {key: value for key, value in settings(group).items() if key not in ("generator", "generated")}
    return AUGMENTATIONS[group.name](**own), None


def data_module(
    config: DictConfig, images: ImageDataset, image_size: int, statistics: PixelStatistics
) -> ImageDataModule:
    """The dataset with augmentation and preprocessing, which may use ``statistics``, resized to ``image_size``."""
    augmentation, policy = augmenting(config.augmentation, image_size)
    fit, original = config.data.get("fit"), config.data.get("resize", "original") == "original"
    whole = images.train.images.shape[-1] if fit == "crop" and isinstance(images.train, Split) else None
    images = fitted_splits(images, image_size, fit, whole_train=policy is not None)
    if config.augmentation.generator is not None:
        from repronet.gan import sampling  # few runs need it

        found = sampling.of_run(Path(config.augmentation.generator).expanduser())
        sampling.require_same_split(found, config.data)
        share = config.augmentation.generated or (None if config.data.balance == "gan" else 0.5)
        images = sampling.with_generated(images, found, share, config.seed)
    workers = config.data.workers
    if workers is None:  # for images in memory, the transfer between processes costs more than it saves
        from_disk = isinstance(images.train, ImageSplit) and isinstance(images.train.images, ImageFiles)
        workers = usual_processes() if from_disk else 0
    return ImageDataModule(
        images,
        statistics,
        Enlarged(preprocessing(config.preprocessing, images.train, statistics), image_size),
        augmentation,
        policy,
        image_size=image_size,
        short_side=whole or short_side(config, image_size),
        read_side=None if original else short_side(config, image_size),
        fit=fit if isinstance(fit, str) and not isinstance(images.train, Split) else "crop",
        pad=fit == "pad",
        batch_size=config.data.batch_size,
        eval_batch_size=config.data.eval_batch_size,
        batches_per_chunk=config.data.batches_per_chunk,
        workers=workers,
        balanced=config.data.balance == "sampler",
        seed=config.seed,
    )


def usual_processes() -> int:
    """The default number of worker processes that load images."""
    return min(8, os.cpu_count() or 1)


PREPROCESSING: dict[str, Callable[..., Preprocessing]] = {
    # name: function of the fitted training split, its statistics before fitting, and the group's values
    "standardize": lambda train, statistics, mean, std: PixelMap.standardize(given_or(statistics, mean, std)),
    "scale": lambda train, statistics, low, high: PixelMap.scale(low, high, channels=len(statistics.mean)),
    "per_pixel_mean": lambda train, statistics: PerPixelMean.of(in_memory(train, "per_pixel_mean")),
    "per_image": lambda train, statistics: PerImage(),
    "global_contrast": lambda train, statistics, scale, regularizer: GlobalContrast(scale, regularizer),
    "local_contrast": lambda train, statistics, size: LocalContrast(size),
    "zca": lambda train, statistics, epsilon: Zca.of(in_memory(train, "zca"), epsilon),
}


def given_or(statistics: PixelStatistics, mean: list[float] | None, std: list[float] | None) -> PixelStatistics:
    """The statistics that the config gives, or else those of the training split."""
    if mean is None or std is None:
        return statistics
    if len(mean) != len(statistics.mean):
        channels = f"{len(statistics.mean)} channel{'s' if len(statistics.mean) > 1 else ''}"
        raise UserError(f"preprocessing.mean={list(mean)}: {len(mean)} numbers for images of {channels}; give as many")
    return PixelStatistics(tuple(mean), tuple(std))


def in_memory(split: LabelledImages, name: str) -> Tensor:
    """The images of a split that is one tensor."""
    if isinstance(split, Split):
        return split.images
    raise UserError(f"preprocessing={name}: needs images of one size, not a folder of images; take standardize")


def preprocessing(group: DictConfig, train: LabelledImages, statistics: PixelStatistics) -> Preprocessing:
    """The map from pixels to network inputs that ``group`` names, fitted to the training split."""
    return PREPROCESSING[group.name](train, statistics, **settings(group))
