"""Warnings, before the first step, about settings that are allowed but probably not intended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from PIL import Image

from repronet.analysis.class_figures import shortened
from repronet.config.build import Parts
from repronet.data.balance import class_counts
from repronet.data.reading import FORMATS
from repronet.data.splits import LabelledImages, Split
from repronet.data.table import paths_of

# SGD with momentum: 0.1 for a batch of 256 suits most of these networks, other batches in proportion (Goyal et al.
# 2017, section 2.1). Recipes differ from it by small factors; factors beyond these are a slip of a digit or two.
REFERENCE_RATE, REFERENCE_BATCH = 0.1, 256
TOO_HIGH, TOO_LOW = 16, 1 / 250
ADAPTIVE_RATE = 0.02  # with higher rates, Adam hardly trains
LARGE, ENLARGED = 64, 3  # input size of networks that begin with 7×7 filters and pooling; factor
FEW, UNBALANCED = 5, 10  # training images of a class; ratio of the largest class to the smallest
FEW_STEPS = 8  # in an epoch
SAMPLED, OBLONG = 32, 1.25  # images whose size is read; their median aspect ratio
LOW_ERROR = 0.2  # an error that a network may never reach at a tenth of its learning rate
FOREIGN = 0.25  # difference of means, in deviations, or relative one of deviations, that means another dataset
DIGITS = ("mnist5k", "mnist", "fashion_mnist", "svhn", "npz")  # datasets whose images differ by shifts and rotations


def advise(config: DictConfig, parts: Parts) -> Iterator[str]:
    """One line for each odd setting, with the usual value."""
    if OmegaConf.select(config, "model.costs"):
        yield f"model={config.model.name} is fitted; optimizer, schedule and augmentation have no effect"
    else:
        yield from _schedule(config, parts)
        yield from _rate(config)
        yield from _steps(config, parts)
    yield from _size(config, parts)
    yield from _statistics(config, parts)
    yield from _classes(config, parts)
    if config.augmentation.name == "affine" and config.data.name not in DIGITS:
        yield "augmentation=mnist suits digits; cifar_standard suits small images, inception large ones"


def _schedule(config: DictConfig, parts: Parts) -> Iterator[str]:
    group, epochs = config.schedule, config.trainer.max_epochs
    if group.warmup_epochs >= epochs:
        yield f"schedule.warmup_epochs={group.warmup_epochs:g}: the warm-up takes all {epochs} epochs or more"
    if group.warmup_error is not None:
        chance = 1 - 1 / len(parts.data.classes)
        if group.warmup_error >= chance:
            yield f"schedule.warmup_error={group.warmup_error:g}: guessing gives {chance:.2g}, so it ends at once"
        if group.warmup_error < LOW_ERROR:
            yield f"schedule.warmup_error={group.warmup_error:g}: the warm-up may never end; ResNet-110 uses 0.8"
    if group.name == "multistep":
        steps = parts.data.steps_per_epoch
        length = epochs if group.unit == "epochs" else epochs * steps
        late = [f"{milestone:g}" for milestone in group.milestones if milestone >= length]
        if late:
            yield f"schedule.milestones: the run ends after {length:,} {group.unit}, before {', '.join(late)}"
    if group.name == "stages" and sum(group.epochs_each[:-1]) >= epochs:
        yield f"schedule.epochs_each={list(group.epochs_each)}: the run ends after {epochs}, before the last rate"
    if group.name == "plateau" and group.patience >= epochs:
        yield f"schedule.patience={group.patience}: the run ends after {epochs} epochs, before the rate can fall"


def _rate(config: DictConfig) -> Iterator[str]:
    rate, batch = config.optimizer.lr, config.data.batch_size * config.trainer.accumulate_grad_batches
    if config.optimizer.name == "sgd" and config.model.loss == "cross_entropy":
        usual = REFERENCE_RATE * batch / REFERENCE_BATCH
        usual *= (1 - config.optimizer.momentum) / 0.1 if config.optimizer.momentum < 0.9 else 1
        if not TOO_LOW <= rate / usual <= TOO_HIGH:
            yield f"optimizer.lr={rate:g}: with batches of {batch} something like {usual:.2g} is usual"
    if config.optimizer.name in ("adam", "adamw") and rate > ADAPTIVE_RATE:
        yield f"optimizer.lr={rate:g}: Adam seldom trains with more than {ADAPTIVE_RATE:g}; 0.001 is usual"


def _statistics(config: DictConfig, parts: Parts) -> Iterator[str]:
    group, own = config.preprocessing, parts.data.statistics
    if group.name != "standardize" or group.mean is None or config.weights is not None:
        return  # weights need the preprocessing that they were trained with, whatever the dataset
    pairs = zip(group.mean, group.std, own.mean, own.std, strict=True)
    if any(abs(mean - m) > FOREIGN * s or not 1 / (1 + FOREIGN) < std / s < 1 + FOREIGN for mean, std, m, s in pairs):
        shown = ", ".join(f"{value:.3f}" for value in own.mean)
        yield (
            f"preprocessing.mean={list(group.mean)}: of another dataset, these images have {shown}; "
            "keep it only for weights that were trained with it, otherwise use standardize"
        )


def _classes(config: DictConfig, parts: Parts) -> Iterator[str]:
    counts = class_counts(parts.data.train.labels, len(parts.data.classes)).tolist()
    named = sorted(zip(counts, map(shortened, parts.data.classes), strict=True))
    tiny = [f"{name} {count}" for count, name in named if count < FEW]
    if tiny:
        more = f" and {len(tiny) - 3} more" if len(tiny) > 3 else ""
        yield f"few training images of {', '.join(tiny[:3])}{more}; errors of such classes are little more than chance"
    (least, rarest), (most, commonest) = named[0], named[-1]
    weighs = OmegaConf.select(config, "model.costs") is None  # the loss; a fitted pipeline has none
    if least and most > UNBALANCED * least and config.data.balance == "none" and weighs:
        yield (
            f"unbalanced: {most:,} training images of {commonest} and {least:,} of {rarest}; a network may ignore rare "
            "classes: check the error of each class, or weight classes equally with data.balance=loss"
        )
    if isinstance(config.data.per_class, int) and config.data.per_class > most:
        yield f"data.per_class={config.data.per_class}: no class has more than {most:,} training images"


def _steps(config: DictConfig, parts: Parts) -> Iterator[str]:
    steps, images, batch = parts.data.steps_per_epoch, len(parts.data.train), config.data.batch_size
    smaller = 2 ** ((images // FEW_STEPS).bit_length() - 1) if images >= FEW_STEPS else 1
    if steps < FEW_STEPS and smaller < batch:
        all_steps, optimizer = steps * config.trainer.max_epochs, config.optimizer
        # In proportion, as above. With 71 images of 3 classes, ResNet-20 and two seeds, the test errors are 0 and 7 %
        # with the lower rate, 13 and 20 % without.
        rate = f" with optimizer.lr={optimizer.lr * smaller / batch:.2g}" if optimizer.name == "sgd" else ""
        yield (
            f"data.batch_size={batch}: {images:,} images make {steps} step{'s' if steps > 1 else ''} an epoch, "
            f"{all_steps:,} in all; data.batch_size={smaller}{rate} makes more of them"
        )


def _size(config: DictConfig, parts: Parts) -> Iterator[str]:
    train, wanted = parts.data.train, parts.data.frame.size
    sizes = [tuple(train.images.shape[-2:])] if isinstance(train, Split) else list(_of_files(config, train))
    if not sizes:
        return
    size = sorted(map(min, sizes))[len(sizes) // 2]
    if wanted >= LARGE and wanted >= ENLARGED * size:
        yield (
            f"model={config.model.name}: takes {wanted} pixels, so images of {size} are enlarged "
            f"{wanted / size:.1f} times; for small images use a …_32px network, resnet20 or similar"
        )
    oblong = sorted(max(pair) / min(pair) for pair in sizes)[len(sizes) // 2]
    if config.data.get("fit") == "crop" and not isinstance(train, Split) and oblong >= OBLONG:
        yield (
            f"data.fit=crop: half of the images have an aspect ratio of {oblong:.2g} or more and lose at least "
            f"{1 - 1 / oblong:.0%}; letterbox keeps the whole image, squash keeps it but distorts it"
        )


def _of_files(config: DictConfig, images: LabelledImages) -> Iterator[tuple[int, int]]:
    """Height and width of some image files, read from their headers."""
    root = (paths_of(config.data)[1] if config.data.name == "table" else config.data.root) or ""
    for row in range(0, len(images), max(1, len(images) // SAMPLED)):
        too_large = Image.DecompressionBombError, Image.DecompressionBombWarning
        with suppress(OSError, *too_large), Image.open(Path(root, images.name(row)), formats=FORMATS) as image:
            yield image.height, image.width
