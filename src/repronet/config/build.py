"""From a checked config to the objects it describes.

The names in a config select rows of tables; nothing is imported or called by a name that a user wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytorch_lightning as pl
import torch
import yaml
from omegaconf import DictConfig, OmegaConf
from torch import nn

from repronet import models
from repronet.config.build_data import data_module, dataset, settings
from repronet.config.build_weights import fill, keeping, tuning, with_wanted_pixels
from repronet.config.compose import checked
from repronet.data.module import ImageDataModule
from repronet.data.splits import ImageDataset
from repronet.errors import UserError
from repronet.layers import set_algorithm
from repronet.models.dropout import set_dropout
from repronet.models.initialization import initialize
from repronet.training.checkpoints import read_checkpoint
from repronet.training.classifier import built
from repronet.training.distillation import LearningWithoutForgetting
from repronet.training.losses import LOSSES
from repronet.training.module import ImageClassifier
from repronet.training.optimizers import OPTIMIZERS
from repronet.training.recipe import Averaging, Recipe
from repronet.training.schedules import (
    SHARES,
    Plateau,
    ScheduleBuilder,
    WarmUntil,
    by_share,
    constant,
    warmed_up,
    watching,
)


@dataclass(frozen=True)
class Parts:
    """What a config describes, built and fitted to each other."""

    task: ImageClassifier
    data: ImageDataModule
    vendor_twin: nn.Module  # the same network on torch.nn's layers, for TensorBoard's graph


def recorded_config(checkpoint: Path) -> DictConfig:
    """The config that stands in a checkpoint, checked like one from the command line.

    Raises:
        UserError: when the checkpoint is damaged or its config is not one of ``repronet train``.
    """
    config = read_checkpoint(checkpoint).get("hyper_parameters", {}).get("config")
    if not isinstance(config, dict) or not {"model", "data", "optimizer"} <= config.keys():
        raise UserError(f"{checkpoint}: holds no config of a run")
    return checked("train", OmegaConf.create(config))


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


def assemble(config: DictConfig, begins: bool = True) -> Parts:
    """Data, network and task of ``config``, with the weights that its seed gives.

    Args:
        begins: whether the weights of ``weights=`` are put in; not where those of a checkpoint are to follow.

    Raises:
        UserError: when the parts do not fit each other or the data cannot be had.
    """
    has_gpu = torch.cuda.is_available() or torch.backends.mps.is_available()
    if config.trainer.accelerator == "gpu" and not has_gpu:
        raise UserError("trainer.accelerator=gpu: torch sees no GPU here; it takes auto or cpu")
    if begins and config.trainer.precision == "16-mixed" and (config.trainer.accelerator == "cpu" or not has_gpu):
        raise UserError("trainer.precision=16-mixed: needs a GPU; a CPU has bf16-mixed")
    if config.trainer.threads is not None:
        torch.set_num_threads(config.trainer.threads)
    size = input_size(config)
    images = dataset(config, size)
    pl.seed_everything(config.seed, workers=True, verbose=False)
    net = network(config, images)
    if begins:
        fill(net, config)
    statistics = images.train.statistics()
    config = with_wanted_pixels(config, statistics)
    data = data_module(config, images, size, statistics)
    if data.policy and data.policy.mixing and config.model.loss != "cross_entropy":
        raise UserError(f"model.loss={config.model.loss}: knows no mixed labels; take cross_entropy, or another policy")
    kept = keeping(config, net, images.train.channels, begins)
    return Parts(task(config, net, len(images.classes), kept), data, vendor_twin(config, images))


def input_size(config: DictConfig) -> int:
    """Height and width that the network of ``model.name`` takes, which is known without its weights."""
    with torch.device("meta"), torch.random.fork_rng():
        return models.create(config.model.name, options=models.own_keys(config.model)).input_size  # type: ignore[return-value]


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


def task(
    config: DictConfig, net: nn.Module, num_classes: int, kept: LearningWithoutForgetting | None = None
) -> ImageClassifier:
    """The network with its loss, optimizer and schedule; the config goes into its checkpoints.

    Raises:
        UserError: for smoothed labels and a loss that knows none.
    """
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    if config.label_smoothing and config.model.loss != "cross_entropy":
        raise UserError(f"label_smoothing={config.label_smoothing}: model.loss={config.model.loss} knows none; take 0")
    if config.trainer.compile:
        net.compile()
    optimizer = settings(config.optimizer)
    decay = optimizer.pop("decay")
    return ImageClassifier(
        net,
        num_classes,
        LOSSES[config.model.loss],
        OPTIMIZERS[config.optimizer.name](**optimizer),
        schedule(config.schedule),
        recipe(config, decay),
        tuning(config, net),
        kept,
        config={str(key): value for key, value in plain.items()},
    )


def schedule(group: DictConfig) -> ScheduleBuilder:
    """The learning-rate schedule that ``group`` describes, warmed up as it says."""
    values = settings(group)
    epochs, start, shape, error = (values.pop(f"warmup_{key}") for key in ("epochs", "start", "shape", "error"))
    falling = Plateau(**values) if group.name == "plateau" else None
    share = warmed_up(constant() if falling else SHARES[group.name](**values), epochs, start, shape)
    warming = None if error is None else WarmUntil(error, start)
    return watching(share, falling, warming) if falling or warming else by_share(share)


def recipe(config: DictConfig, decay: str) -> Recipe:
    """What the config says of training beside loss, optimizer and schedule."""
    averaging = config.averaging
    decay_of_mean = averaging.decay if averaging.name == "ema" else None
    return Recipe(
        decay=decay,
        label_smoothing=config.label_smoothing,
        clip_norm=config.trainer.gradient_clip_val,
        filter_rms=config.trainer.filter_rms,
        parts=config.trainer.accumulate_grad_batches,
        averaging=None if averaging.name == "none" else Averaging(decay_of_mean, averaging.start),
        channels_last=config.trainer.channels_last,
        seed=config.seed,
    )
