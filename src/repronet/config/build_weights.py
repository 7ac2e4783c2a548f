"""Initial weights and fine-tuning, as ``weights=`` and ``finetune=`` describe them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from repronet import models, weights
from repronet.config.preflight import require_something_to_tune
from repronet.config.schema_commands import PRETRAINED
from repronet.data.preprocessing import PixelStatistics
from repronet.errors import UserError, closest
from repronet.models.stages import class_layers
from repronet.training.classifier import built
from repronet.training.distillation import LearningWithoutForgetting, head_of
from repronet.weights import published
from repronet.weights.files import listed
from repronet.weights.pixels import TIMM, of_timm, pixels_of

PLAN_KEYS = ("name", "epochs_each", "head_epochs", "factor")  # the keys of a way that its plan is made from

log = logging.getLogger("repronet.train")


def begins_with(config: DictConfig) -> str | None:
    """The source of the initial weights; None for fresh ones.

    Raises:
        UserError: for a way of fine-tuning without weights.
    """
    require_something_to_tune(config)
    if config.finetune.name == "scratch":
        return None
    return _published(config.model.name) if config.weights == PRETRAINED else config.weights


def _published(network: str) -> str:
    """What ``weights=pretrained`` stands for: the weights that the network's library publishes first."""
    return network if network.startswith(TIMM) else "DEFAULT"


def source_of(name: str) -> str | Path | Mapping[str, Tensor]:
    """timm's weights for ``timm/NAME``; any other name or path unchanged.

    Raises:
        UserError: when timm is missing or has none of that name.
    """
    path = Path(name).expanduser()
    if path.exists():
        return path
    return of_timm(name.removeprefix(TIMM)).state_dict() if name.startswith(TIMM) else name


@contextmanager
def about_weights(config: DictConfig) -> Iterator[None]:
    """Prefix errors about the weights with the word that named them, and suggest similar names."""
    try:
        yield
    except UserError as error:
        name, reason = config.weights, str(error)
        if reason.startswith("weights="):
            named = f"weights={_published(config.model.name)}" if name == PRETRAINED else ""
            raise UserError(f"weights={name}{reason.removeprefix(named)}" if named else reason) from error
        if Path(name).expanduser().exists():
            raise UserError(f"weights={reason}") from error
        raise UserError(f"weights={name}: no such file, run or name of torchvision's{_meant(config)}") from error


def _meant(config: DictConfig) -> str:
    """``; nearest: X`` from torchvision's names for the network and the files in that folder, if one is similar."""
    folder = Path(config.weights).parent
    beside = list(folder.iterdir()) if folder.is_dir() else []
    known = {name.lower(): name for name in (*published.names_for(config.model.name), *map(str, beside))}
    near = closest(config.weights.lower(), known)
    return f"; nearest: {known[near]}" if near else ""


def fill(network: nn.Module, config: DictConfig) -> None:
    """Load the weights into the network, except a head for other classes, and log what was done.

    A fine-tuned network gets a fresh head even for the same number of classes: they are hardly the same classes.

    Raises:
        UserError: when they cannot be loaded or belong to another network.
    """
    name = begins_with(config)
    if name is None:
        return
    heads = class_layers(network)
    drawn = {key: value.clone() for key, value in network.state_dict().items() if key.rpartition(".")[0] in heads}
    with about_weights(config):
        loaded = weights.load(network, source_of(name), adapt_head=True, adapt_input=True)
    if config.finetune.name != "none":
        state = network.state_dict()
        state.update(drawn)
        network.load_state_dict(state)
    log.info(f"weights of {name if name.startswith(TIMM) else loaded.origin}")
    if loaded.fresh or config.finetune.name != "none":
        log.info(f"  fresh: {', '.join(sorted(heads))}")
    if loaded.reshaped:
        log.info(f"  fitted to the images' channels: {loaded.reshaped}")
    if loaded.aside:
        log.info(f"  not used: {listed(loaded.aside)}")


IMAGENET_FROM = 200  # pixels: networks for images this large are mostly pretrained on ImageNet


def with_wanted_pixels(config: DictConfig, own: PixelStatistics, image_size: int) -> DictConfig:
    """The config with mean and deviation for ``preprocessing=standardize`` as the weights expect them, if known.

    They are stored in the run's checkpoints, which then need no other file.
    """
    name, group = begins_with(config), config.preprocessing
    if name is None or group.name != "standardize" or group.mean is not None:
        return config
    found = pixels_of(name, config.model.name)
    if found is None:
        shown = "mean {}, std {}".format(*_in_words(own))
        like_imagenet = len(own.mean) == 3 and image_size >= IMAGENET_FROM
        hint = "; preprocessing=imagenet if they come from ImageNet" if like_imagenet else ""
        log.info(f"  their preprocessing is not known: using the training split's, {shown}{hint}")
        return config
    if len(found.mean) != len(own.mean):
        # One number for all channels, the mean over those of the weights, since a grey image has no colours.
        mean, std = (sum(values) / len(values) for values in (found.mean, found.std))
        found = PixelStatistics((mean,) * len(own.mean), (std,) * len(own.mean))
    log.info("  standardizing by their mean {}, std {}".format(*_in_words(found)))
    return OmegaConf.merge(config, {"preprocessing": {"mean": list(found.mean), "std": list(found.std)}})  # type: ignore[return-value]


def _in_words(statistics: PixelStatistics) -> list[str]:
    return [", ".join(f"{value:.3f}" for value in values) for values in (statistics.mean, statistics.std)]


def with_old_classes(config: DictConfig) -> DictConfig:
    """The config with ``finetune.old_classes`` filled in if ``finetune=lwf`` needs it, so that the run records it."""
    if begins_with(config) is None or config.finetune.name != "lwf" or config.finetune.old_classes is not None:
        return config
    network = _without_memory(config)
    found = shapes_of_weights(config)[f"{head_of(network)}.weight"][0]
    return OmegaConf.merge(config, {"finetune": {"old_classes": found}})  # type: ignore[return-value]


def shapes_of_weights(config: DictConfig) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors of ``weights=`` under the network's keys; empty for fresh weights.

    Raises:
        UserError: when they cannot be loaded or belong to another network.
    """
    name = begins_with(config)
    if name is None:
        return {}
    with about_weights(config):
        return weights.shapes(_without_memory(config), source_of(name))


def _without_memory(config: DictConfig) -> nn.Module:
    """The network of ``model.name`` for comparing shapes; its classes and channels fit no particular dataset."""
    norm = config.normalization.name
    return models.without_memory(config.model.name, None if norm == "paper" else norm, models.own_keys(config.model))


def distillation(
    config: DictConfig, network: nn.Module, channels: int, begins: bool
) -> LearningWithoutForgetting | None:
    """The distillation of the old task for ``finetune=lwf``; None for any other way."""
    group, name = config.finetune, begins_with(config)
    if group.name != "lwf" or name is None:
        return None
    if config.trainer.compile:
        raise UserError("trainer.compile=true: does not work with finetune=lwf; leave it out")
    with torch.random.fork_rng(devices=[]):
        old = built(config, group.old_classes, channels, config.layers)
    if begins:
        weights.load(old, source_of(name), adapt_input=True)
    return LearningWithoutForgetting(network, old, group.old_weight, group.temperature)
