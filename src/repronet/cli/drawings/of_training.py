"""Drawings of a run's training, and of the loss around its weights."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from torch import nn

from repronet import runs
from repronet.cli.commands.augment import contact_sheet, policy_name, variants
from repronet.cli.drawings.subject import Subject
from repronet.errors import UserError
from repronet.figures import charts
from repronet.training.losses import LOSSES
from repronet.visualization.loss_surface import random_direction, surface

REACH, LINE, PLANE = 1.0, 31, 13  # half the side of the surface; points along the line, and along a side


def loss_surface(subject: Subject) -> Figure:
    """The loss of images around the weights, along one random direction and over two."""
    subject.require_one_label("loss_surface")
    sample = subject.sample(256)
    loss = LOSSES[subject.config.model.loss]
    drawn = torch.Generator().manual_seed(subject.wishes.seed)
    directions = (random_direction(subject.network, drawn), random_direction(subject.network, drawn))

    def mean_loss(network: nn.Module) -> float:
        losses = [
            float(loss(network(images), labels)) * len(labels)
            for images, labels in zip(sample.inputs.split(128), sample.labels.split(128), strict=True)
        ]
        return sum(losses) / len(sample)

    along, over = (torch.linspace(-REACH, REACH, points).tolist() for points in (LINE, PLANE))
    with subject.progress(LINE + PLANE**2, "losses") as advance:
        line = surface(subject.network, mean_loss, directions, along, [0.0], advance)[0]
        plane = surface(subject.network, mean_loss, directions, over, over, advance)
    heading = f"{subject.name}: the loss of {len(sample)} {subject.split} images around the weights"
    return charts.surface(line, plane, REACH, heading)


def curves(subject: Subject) -> Figure:
    """Loss, error and learning rate by epoch."""
    if not subject.history:
        raise UserError(f"run={subject.folder}: has no {runs.HISTORY}; no epoch is finished yet")
    return charts.curves({subject.name: subject.history})


def augmentations(subject: Subject) -> Figure:
    """Training images beside versions augmented as in the run."""
    wanted = {"seed": subject.wishes.seed, "images": subject.wishes.images or 4, "variants": 8}
    config = OmegaConf.create({**wanted, "augmentation": subject.config.augmentation})
    images = subject.data
    shown = torch.randperm(len(images.train), generator=torch.Generator().manual_seed(subject.wishes.seed))
    rows = variants(config, images, subject.transform.native or subject.transform.size, shown.tolist())
    return contact_sheet(rows, f"augmentation={policy_name(config)}")
