"""A trained network with all that it needs to name a picture, out of a run folder alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from repronet import models, runs, weights
from repronet.data.eval_transform import EvalTransform, mean_probabilities
from repronet.errors import UserError
from repronet.training.checkpoints import read_checkpoint


@dataclass(frozen=True)
class Classifier:
    """Names pictures.

    Attributes:
        network: in evaluation mode.
        lens: how a picture is brought to it.
        config: of the run, plain values.
    """

    network: nn.Module
    lens: EvalTransform
    config: dict[str, Any]

    @torch.inference_mode()
    def probabilities(self, pictures: list[Tensor], protocol: str = "center") -> Tensor:
        """Pictures uint8 (3, H, W) of any sizes → (N, classes)."""
        views = [self.lens.views(picture, protocol) for picture in pictures]
        logits = self.network(torch.cat(views))
        return torch.stack([mean_probabilities(part) for part in logits.split([len(view) for view in views])])


def of_run(folder: Path, which: str = runs.BEST, layers: str = "custom") -> Classifier:
    """The network of a run's checkpoint.

    Raises:
        UserError: when there is no run, or not yet that checkpoint, or it is damaged.
    """
    checkpoint = runs.require_run(folder, which, "run")
    content = read_checkpoint(checkpoint)
    config = content.get("hyper_parameters", {}).get("config")
    plain = content.get("ImageDataModule", {}).get("lens")
    if not isinstance(config, dict) or not isinstance(plain, dict):
        raise UserError(f"{checkpoint}: holds no config of a run")
    lens = EvalTransform.of(plain)
    network = built(OmegaConf.create(config), len(lens.classes), lens.channels, layers)
    weights.load(network, checkpoint)
    return Classifier(network.eval(), lens, config)


def built(config: Any, num_classes: int, channels: int, layers: str) -> nn.Module:
    """The network of ``model.name``, for so many classes and channels, with fresh weights."""
    return models.create(
        config.model.name,
        num_classes=num_classes,
        in_channels=channels,
        layers=layers,
        normalization=None if config.normalization.name == "paper" else config.normalization.name,
        options=models.own_keys(config.model),
    )
