"""Builds the objects that a checked config describes.

The names in a config select rows of tables; nothing is imported or called by a name that a user wrote.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
from omegaconf import DictConfig, OmegaConf
from torch import nn

from repronet import models, native
from repronet.config import plugins
from repronet.config.build_data import data_module, dataset
from repronet.config.build_weights import PLAN_KEYS, distillation, fill, shapes_of_weights, with_wanted_pixels
from repronet.config.compose import checked
from repronet.config.schema import LOSSES
from repronet.data.module import ImageDataModule
from repronet.data.splits import ImageDataset
from repronet.errors import UserError, first_line
from repronet.layers import set_algorithm
from repronet.models.dropout import set_dropout
from repronet.models.fixed_size import require_size
from repronet.models.initialization import initialize
from repronet.training.checkpoints import config_in, read_checkpoint
from repronet.training.classifier import built
from repronet.training.distillation import LearningWithoutForgetting
from repronet.training.layout import channels_last
from repronet.training.losses import MULTILABEL, balancing_weights, logits_of
from repronet.training.module import ImageClassifier

FOLDERS = ("image_folder", "imagenet", "npz", "table")  # those that exist only at data.root

log = logging.getLogger("repronet.train")


@dataclass(frozen=True)
class Parts:
    """The objects that a config describes, built to fit each other."""

    task: ImageClassifier
    data: ImageDataModule
    vendor_twin: nn.Module  # the same network on torch.nn's layers, for TensorBoard's graph
    config: dict[str, Any]  # plain values, with the preprocessing that the weights expect


def recorded_config(checkpoint: Path) -> DictConfig:
    """The config stored in a checkpoint, checked like one from the command line.

    Raises:
        UserError: when the checkpoint is damaged or its config is not one of ``repronet train``.
    """
    return checked("train", OmegaConf.create(config_in(read_checkpoint(checkpoint), checkpoint)))


def look_for_data(recorded: DictConfig, now: str | None, key: str) -> None:
    """Set the data folder of a run's config to ``now``, the value of ``key``; None keeps it, if it still exists."""
    recorded.data.root = now or recorded.data.root
    there = recorded.data.name not in FOLDERS or recorded.data.root is None or Path(recorded.data.root).exists()
    if now is None and not there:
        raise UserError(f"data.root={recorded.data.root}: no longer exists; give its new place with {key}=")


def written_config(path: Path, command: str = "train") -> DictConfig:
    """The config of a run that has no checkpoint yet, from its ``config.yaml``."""
    needed = {"train": {"model", "data", "optimizer"}, "gan_train": {"kind", "data"}}[command]
    try:
        config = OmegaConf.load(path)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: cannot be read as YAML") from error
    if not isinstance(config, DictConfig) or not needed <= config.keys():
        raise UserError(f"{path}: is not the config of a run of repronet {command.replace('_', ' ')}")
    return checked(command, config)


def run_name(config: DictConfig) -> str:
    """The experiment's name, or the names of model and data if there is none."""
    return config.experiment or f"{config.model.name.replace('/', '-')}-{config.data.name}"


def require_accelerator(wanted: str) -> bool:
    """Whether there is a GPU.

    Raises:
        UserError: for an accelerator that PyTorch does not find.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if not {"gpu": cuda or mps, "cuda": cuda, "mps": mps}.get(wanted, True):
        raise UserError(f"trainer.accelerator={wanted}: PyTorch finds no such device; use auto or cpu")
    return cuda or mps


@plugins.naming_parts()
def assemble(config: DictConfig, begins: bool = True, processes: int = 1) -> Parts:
    """Build data, network and task of ``config``, with weights initialized from its seed.

    Args:
        begins: whether to load the weights of ``weights=``; False if those of a checkpoint are loaded afterwards.
        processes: number of processes that share every batch.
    """
    has_gpu = require_accelerator(config.trainer.accelerator)
    if begins and config.trainer.precision == "16-mixed" and (config.trainer.accelerator == "cpu" or not has_gpu):
        raise UserError("trainer.precision=16-mixed: needs a GPU; a CPU has bf16-mixed")
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    size = input_size(config)
    if begins:
        shapes_of_weights(config)  # before the images are decoded, which may take an hour
    images = dataset(config, size)
    if begins:
        _refuse_a_batch_of_one(config, images, size, processes)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    net, twin = network(config, images), vendor_twin(config, images)
    if begins:
        if isinstance(models.MODELS.get(config.model.name), models.Own):
            _refuse_wrong_logits(config, twin, images, size)
        fill(net, config)
    statistics = images.train.statistics()
    config = with_wanted_pixels(config, statistics, size)
    config = with_fitting_loss(config, images.multilabel)
    data = data_module(config, images, size, statistics)
    if config.data.workers is None:
        data.workers = -(-data.workers // processes)  # the processes share the same cores
    if data.policy and data.policy.mixing and config.model.loss != "cross_entropy":
        raise UserError(f"model.loss={config.model.loss}: needs unmixed labels; use cross_entropy, or another policy")
    kept = distillation(config, net, images.train.channels, begins)
    task = classifier(config, net, images, kept)
    return Parts(task, data, twin, plain(config))


def _refuse_a_batch_of_one(config: DictConfig, images: ImageDataset, size: int, processes: int) -> None:
    """Raises: UserError, if a batch, or one process's share of it, is one image, which batch norm cannot normalize."""
    count, batch, trainer = len(images.train), config.data.batch_size, config.trainer
    sharing = 1 if trainer.sync_batchnorm else processes
    if not _has_a_share_of_one(count, batch, sharing) or trainer.overfit_batches:
        return
    if trainer.limit_train_batches not in (1.0, None):
        return
    channels = images.train.channels
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            built(config, len(images.classes), channels, "torch").train()(torch.zeros(1, channels, size, size))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        near = (*range(batch - 1, 1, -1), *range(batch + 1, 2 * batch + 3))
        other = next((n for n in near if not _has_a_share_of_one(count, n, sharing)), 2 * sharing)
        reason = f"the last batch has only one of {count:,} training images"
        if sharing > 1:
            reason = f"one of {sharing} processes gets a single image of a batch"
        cannot = f"which {config.model.name} cannot normalize"
        raise UserError(f"data.batch_size={batch}: {reason}, {cannot}; use data.batch_size={other}") from error
    except (NotImplementedError, RuntimeError):  # a network that cannot be built without memory has no batch norm
        return


def _has_a_share_of_one(count: int, batch: int, processes: int) -> bool:
    sizes = {min(batch, count), count % batch}
    return any(1 in {size // processes, -(-size // processes)} for size in sizes)


def _refuse_wrong_logits(config: DictConfig, twin: nn.Module, images: ImageDataset, size: int) -> None:
    """Raises: UserError, if a user's network fails on an image or returns another number of logits."""
    shape, classes, name = (1, images.train.channels, size, size), len(images.classes), config.model.name
    try:
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            logits = logits_of(twin.eval()(torch.zeros(shape)))
    except Exception as error:
        place = plugins.place_in(error)
        reason = f"{type(error).__name__}: {first_line(error)}" + (f" ({place})" if place else "")
        raise UserError(f"model={name}: fails on an image {shape}: {reason}") from error
    if tuple(logits.shape) == (1, classes):
        return
    given = f"{logits.shape[1]} logits" if logits.ndim == 2 else f"{tuple(logits.shape)} for one image"
    raise UserError(f"model={name}: gives {given}, the data have {classes} classes")


@plugins.naming_parts()
def data_of(config: DictConfig) -> ImageDataModule:
    """The data that a config describes, without a network.

    Raises:
        UserError: when it cannot be loaded.
    """
    size = input_size(config)
    images = dataset(config, size)
    return data_module(config, images, size, images.train.statistics())


def input_size(config: DictConfig) -> int:
    """Height and width of the network's images: ``image_size``, or that of ``model.name``, read without weights."""
    with torch.device("meta"), torch.random.fork_rng():
        net = models.create(config.model.name, options=models.own_keys(config.model))
    size = getattr(net, "input_size", None)
    if type(size) is not int:
        needed = "needs an attribute input_size, the height and width of the images that it takes"
        raise UserError(f"model={config.model.name}: the network {needed}")
    wanted = config.get("image_size")  # missing in runs of earlier versions
    if wanted is None:
        return size
    require_size(net, wanted)
    return wanted


def network(config: DictConfig, images: ImageDataset) -> nn.Module:
    """The network of ``model.name``, fitted to the dataset's classes and channels."""
    net = built(config, len(images.classes), images.train.channels, config.layers)
    if config.initialization != "paper":
        initialize(net, config.initialization)
    if config.dropout is not None:
        set_dropout(net, config.dropout)
    if config.layers == "custom":
        if config.algorithm == "native" and native.missing():
            raise UserError(f"algorithm=native: {native.missing()}; or leave algorithm=auto")
        set_algorithm(net, config.algorithm)
    return net


def vendor_twin(config: DictConfig, images: ImageDataset) -> nn.Module:
    """The same network on torch.nn's layers; the state of the global random generator stays unchanged."""
    with torch.random.fork_rng():
        return network(OmegaConf.merge(config, {"layers": "torch"}), images)  # type: ignore[arg-type]


def with_fitting_loss(config: DictConfig, multilabel: bool) -> DictConfig:
    """The config with the sigmoid loss instead of cross-entropy if an image may have several labels.

    An .npz archive needs an explicit loss, since rows with more or fewer than one 1 may be a mistake.
    """
    if not multilabel:
        return config
    if config.schedule.warmup_error is not None:
        word = f"schedule.warmup_error={config.schedule.warmup_error}"
        raise UserError(f"{word}: needs one label per image; leave it out")
    if config.model.loss == "cross_entropy":
        if config.data.name == "npz":
            found = "it has several labels per image, rows of 0 and 1"
            raise UserError(f"data.root={config.data.root}: {found}; model.loss=binary trains them")
        log.info("several labels per image: using model.loss=binary; the best weights have the highest val/map")
        return OmegaConf.merge(config, {"model": {"loss": "binary"}})  # type: ignore[return-value]
    if config.model.loss in LOSSES and config.model.loss not in MULTILABEL:
        instead = " or ".join(MULTILABEL)
        raise UserError(f"model.loss={config.model.loss}: needs one label for each image; use {instead}")
    return config


def classifier(
    config: DictConfig, net: nn.Module, images: ImageDataset, distillation: LearningWithoutForgetting | None = None
) -> ImageClassifier:
    """The network with its loss, optimizer and schedule.

    Raises:
        UserError: for smoothed labels or class weights with a loss that does not support them.
    """
    labels, num_classes = images.train.labels, len(images.classes)
    balanced = config.data.balance == "loss"
    if config.trainer.compile:
        net.compile()
    fine_tuned = config.finetune.name not in ("none", "scratch")
    kind = getattr(net, "task_class", ImageClassifier)  # a fitted pipeline has its own
    return kind(
        net,
        num_classes,
        loss=config.model.loss,
        optimizer=plain(config.optimizer),
        schedule=plain(config.schedule),
        label_smoothing=config.label_smoothing,
        finetune={k: v for k, v in plain(config.finetune).items() if k in PLAN_KEYS} if fine_tuned else None,
        distillation=distillation,
        channels_last=channels_last(config.trainer.channels_last, net, config.trainer.accelerator),
        multilabel=images.multilabel,
        class_weights=balancing_weights(config.model.loss, labels, num_classes) if balanced else None,
    )


def plain(config: DictConfig) -> dict[str, Any]:
    """The config as plain values."""
    found = OmegaConf.to_container(config, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}
