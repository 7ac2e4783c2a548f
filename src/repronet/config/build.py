"""From a checked config to the objects it describes.

The names in a config select rows of tables; nothing is imported or called by a name that a user wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import yaml
from omegaconf import DictConfig, OmegaConf
from torch import nn

from repronet import models
from repronet.config import plugins
from repronet.config.build_data import data_module, dataset
from repronet.config.build_weights import PLAN_KEYS, distillation, fill, shapes_of_weights, with_wanted_pixels
from repronet.config.compose import checked
from repronet.data.module import ImageDataModule
from repronet.data.splits import ImageDataset
from repronet.errors import UserError, first_line
from repronet.layers import set_algorithm
from repronet.models.dropout import set_dropout
from repronet.models.initialization import initialize
from repronet.training.checkpoints import config_in, read_checkpoint
from repronet.training.classifier import built
from repronet.training.distillation import LearningWithoutForgetting
from repronet.training.losses import logits_of
from repronet.training.module import ImageClassifier


@dataclass(frozen=True)
class Parts:
    """What a config describes, built and fitted to each other."""

    task: ImageClassifier
    data: ImageDataModule
    vendor_twin: nn.Module  # the same network on torch.nn's layers, for TensorBoard's graph
    config: dict[str, Any]  # plain values, with what the weights say of their pixels


def recorded_config(checkpoint: Path) -> DictConfig:
    """The config that stands in a checkpoint, checked like one from the command line.

    Raises:
        UserError: when the checkpoint is damaged or its config is not one of ``repronet train``.
    """
    return checked("train", OmegaConf.create(config_in(read_checkpoint(checkpoint), checkpoint)))


def written_config(path: Path) -> DictConfig:
    """The config of a run that has no checkpoint yet, from its ``config.yaml``.

    Raises:
        UserError: when the file is damaged or no config of ``repronet train``.
    """
    try:
        config = OmegaConf.load(path)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: cannot be read as YAML") from error
    if not isinstance(config, DictConfig) or not {"model", "data", "optimizer"} <= config.keys():
        raise UserError(f"{path}: is no config of a run")
    return checked("train", config)


def run_name(config: DictConfig) -> str:
    """The experiment's name, or else model and data."""
    return config.experiment or f"{config.model.name}-{config.data.name}"


@plugins.naming_parts()
def assemble(config: DictConfig, begins: bool = True) -> Parts:
    """Data, network and task of ``config``, with the weights that its seed gives.

    Args:
        begins: whether the weights of ``weights=`` are put in; not where those of a checkpoint are to follow.

    Raises:
        UserError: when the parts do not fit each other or the data cannot be had.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    has_gpu, wanted = cuda or mps, config.trainer.accelerator
    if not {"gpu": has_gpu, "cuda": cuda, "mps": mps}.get(wanted, True):
        raise UserError(f"trainer.accelerator={wanted}: torch sees no such device here; it takes auto or cpu")
    if mps and not cuda and wanted in ("gpu", "mps"):
        reason = "Apple's GPU has no 64-bit floats, which losses are summed in"
        raise UserError(f"trainer.accelerator={wanted}: {reason}; take cpu")
    _refuse_several_processes(config)
    if begins and config.trainer.precision == "16-mixed" and (config.trainer.accelerator == "cpu" or not has_gpu):
        raise UserError("trainer.precision=16-mixed: needs a GPU; a CPU has bf16-mixed")
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    size = input_size(config)
    if begins:
        shapes_of_weights(config)  # before the pictures are decoded, which may take an hour
    images = dataset(config, size)
    if begins:
        _refuse_a_batch_of_one(config, images, size)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    net, twin = network(config, images), vendor_twin(config, images)
    if begins:
        if isinstance(models.MODELS.get(config.model.name), models.Own):
            _refuse_wrong_logits(config, twin, images, size)
        fill(net, config)
    statistics = images.train.statistics()
    config = with_wanted_pixels(config, statistics, size)
    data = data_module(config, images, size, statistics)
    if data.policy and data.policy.mixing and config.model.loss != "cross_entropy":
        raise UserError(f"model.loss={config.model.loss}: knows no mixed labels; take cross_entropy, or another policy")
    kept = distillation(config, net, images.train.channels, begins)
    task = classifier(config, net, len(images.classes), kept)
    return Parts(task, data, twin, plain(config))


def _refuse_several_processes(config: DictConfig) -> None:
    """Raises: UserError, where Lightning would start several processes, which a run folder is not made for yet."""
    devices, found = config.trainer.devices, max(torch.cuda.device_count(), 1)
    if isinstance(devices, str | int):
        count = found if str(devices) in ("auto", "-1") else int(devices)
    else:
        count = len(devices)
    if count > 1 or config.trainer.num_nodes > 1:
        key = f"trainer.devices={devices}" if count > 1 else f"trainer.num_nodes={config.trainer.num_nodes}"
        own = "a Trainer of your own trains ImageClassifier on several (docs/how_to/python.md)"
        raise UserError(f"{key}: repronet train uses one process; take trainer.devices=1, or {own}")


def _refuse_a_batch_of_one(config: DictConfig, images: ImageDataset, size: int) -> None:
    """Raises: UserError, where an epoch ends with a single picture and a layer cannot normalise over one."""
    count, batch, trainer = len(images.train), config.data.batch_size, config.trainer
    if (count % batch != 1 and batch != 1) or trainer.overfit_batches or trainer.limit_train_batches not in (1.0, None):
        return
    channels = images.train.channels
    try:
        with torch.device("meta"), torch.random.fork_rng(devices=[]):
            built(config, len(images.classes), channels, "torch").train()(torch.zeros(1, channels, size, size))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        other = next((n for n in (*range(batch - 1, 1, -1), *range(batch + 1, 2 * batch + 3)) if count % n != 1), 2)
        reason = f"the last of {count:,} training pictures is a batch of its own"
        cannot = f"which {config.model.name} cannot normalise"
        raise UserError(f"data.batch_size={batch}: {reason}, {cannot}; take data.batch_size={other}") from error
    except (NotImplementedError, RuntimeError):  # what cannot be built without memory normalises nothing
        return


def _refuse_wrong_logits(config: DictConfig, twin: nn.Module, images: ImageDataset, size: int) -> None:
    """Raises: UserError, where a network of the user's fails on an image or gives another number of logits."""
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
        UserError: when it cannot be had.
    """
    size = input_size(config)
    images = dataset(config, size)
    return data_module(config, images, size, images.train.statistics())


def input_size(config: DictConfig) -> int:
    """Height and width that the network of ``model.name`` takes, which is known without its weights."""
    with torch.device("meta"), torch.random.fork_rng():
        net = models.create(config.model.name, options=models.own_keys(config.model))
    size = getattr(net, "input_size", None)
    if type(size) is not int:
        needed = "needs an attribute input_size, the height and width of the images that it takes"
        raise UserError(f"model={config.model.name}: the network {needed}")
    return size


def network(config: DictConfig, images: ImageDataset) -> nn.Module:
    """The network of ``model.name``, fitted to the dataset's classes and channels."""
    net = built(config, len(images.classes), images.train.channels, config.layers)
    if config.initialization != "paper":
        initialize(net, config.initialization)
    if config.dropout is not None:
        set_dropout(net, config.dropout)
    if config.layers == "custom":
        # What is the fastest is found by measuring, and may be another algorithm next time.
        measured = config.algorithm == "auto" and config.deterministic
        set_algorithm(net, "vendor" if measured else config.algorithm)
    return net


def vendor_twin(config: DictConfig, images: ImageDataset) -> nn.Module:
    """The same network on torch.nn's layers, without a draw from the global generator being missed afterwards."""
    with torch.random.fork_rng():
        return network(OmegaConf.merge(config, {"layers": "torch"}), images)  # type: ignore[arg-type]


def classifier(
    config: DictConfig, net: nn.Module, num_classes: int, distillation: LearningWithoutForgetting | None = None
) -> ImageClassifier:
    """The network with its loss, optimizer and schedule.

    Raises:
        UserError: for smoothed labels and a loss that knows none.
    """
    if config.trainer.compile:
        net.compile()
    fine_tuned = config.finetune.name not in ("none", "scratch")
    return ImageClassifier(
        net,
        num_classes,
        loss=config.model.loss,
        optimizer=plain(config.optimizer),
        schedule=plain(config.schedule),
        label_smoothing=config.label_smoothing,
        finetune={k: v for k, v in plain(config.finetune).items() if k in PLAN_KEYS} if fine_tuned else None,
        distillation=distillation,
        channels_last=config.trainer.channels_last,
    )


def plain(config: DictConfig) -> dict[str, Any]:
    """The config as plain values."""
    found = OmegaConf.to_container(config, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}
