"""``repronet augment``: images beside their augmented versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib.figure import Figure
from omegaconf import DictConfig
from rich.console import Console
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from repronet.cli.failures import writing
from repronet.config.build_data import CROPPED_FROM, augmenting, dataset
from repronet.config.groups import chosen
from repronet.data.cuts import by_rarest
from repronet.data.policy import Mixing, Policy
from repronet.data.randomness import counter_generator
from repronet.data.splits import ImageDataset, Split
from repronet.data.streaming import Frame
from repronet.errors import UserError
from repronet.figures.images import Panel, sheet

FOLDER_SIZE = 224  # input size of most ImageNet networks
CELL = 1.1  # inches


@dataclass(frozen=True)
class Row:
    """An image and its variants, uint8 (C, H, W), with their title."""

    title: str
    images: list[Tensor]


def run(config: DictConfig, console: Console) -> None:
    """Write the sheet that ``config`` asks for."""
    size = config.size or FOLDER_SIZE
    images = by_rarest(dataset(config, size))
    if isinstance(images.train, Split) and config.size is None:
        size = images.train.images.shape[-1]
    shown = torch.randperm(len(images.train), generator=counter_generator("sheet", config.seed))
    rows = (_each_step if config.each else variants)(config, images, size, shown.tolist())
    figure = contact_sheet(rows, f"augmentation={policy_name(config)}")
    with writing("out", config.out) as path:
        figure.savefig(path)
    console.print(f"{path}: {len(rows)} rows of {len(rows[0].images)} images", markup=False, soft_wrap=True)
    if config.logdir is not None:
        with SummaryWriter(Path(config.logdir).expanduser()) as writer:
            writer.add_figure(f"augmentation/{policy_name(config)}", figure)
        console.print(f"see it:  tensorboard --logdir {config.logdir}", markup=False, soft_wrap=True)


def policy_name(config: DictConfig) -> str:
    """The steps of the config's policy, or the name of its augmentation."""
    group = config.augmentation
    return ", ".join(step.op for step in group.steps) if group.name == "policy" else chosen("augmentation", group.name)


def variants(config: DictConfig, images: ImageDataset, size: int, shown: list[int]) -> list[Row]:
    """A row for each image: the image and ``config.variants`` augmented versions of it."""
    change = _change(config, images, size)
    return [
        Row(
            images.classes[int(images.train.labels[index])],
            [_framed(images, index, size), *(change(index, variant) for variant in range(config.variants))],
        )
        for index in shown[: config.images]
    ]


def _each_step(config: DictConfig, images: ImageDataset, size: int, shown: list[int]) -> list[Row]:
    """A row for each step of the policy, applied alone to every variant."""
    if config.augmentation.name != "policy":
        raise UserError(f"each=true: augmentation={policy_name(config)} has no steps; augmentation=lecture has")
    rows = []
    for number, step in enumerate(config.augmentation.steps):
        index = shown[number % min(len(shown), config.images)]
        alone = {"augmentation": {"name": "policy", "steps": [{**step, "p": 1.0}]}, "seed": config.seed}
        change = _change(DictConfig(alone), images, size)
        variants = [change(index, variant) for variant in range(config.variants)]
        rows.append(Row(step.op, [_framed(images, index, size), *variants]))
    return rows


def _framed(images: ImageDataset, index: int, size: int) -> Tensor:
    image = images.train.image(index)
    if isinstance(images.train, Split) and image.shape[-2:] == (size, size):
        return image
    return Frame(size, round(size * 8 / 7) if size >= CROPPED_FROM else size)(image)


def _change(config: DictConfig, images: ImageDataset, size: int) -> Callable[[int, int], Tensor]:
    """(index, variant) → that image, augmented with random numbers from seed, index and variant."""
    augmentation, policy = augmenting(config.augmentation, size)

    def change(index: int, variant: int) -> Tensor:
        drawn = counter_generator("sheet", config.seed, index, variant)
        if augmentation is not None:
            image = _framed(images, index, size).unsqueeze(0)  # (1, C, H, W)
            return augmentation(image, augmentation.draw(1, drawn))[0].round().clamp(0, 255).to(torch.uint8)
        assert policy is not None
        seed = int(torch.randint(2**62, (), generator=drawn))
        image = policy(images.train.image(index), seed)
        return image if policy.mixing is None else _mixed(policy, policy.mixing, image, images, index, seed)

    return change


def _mixed(policy: Policy, mixing: Mixing, image: Tensor, images: ImageDataset, index: int, seed: int) -> Tensor:
    """The image mixed with one of another class, if there is one."""
    labels = images.train.labels
    others = torch.nonzero(labels != labels[index]).flatten()
    other = int(others[seed % len(others)]) if len(others) else index
    pair = torch.stack([image, policy(images.train.image(other), seed + 1)]) / 255  # (2, C, H, W)
    mixed, _ = mixing(pair, labels[[index, other]], len(images.classes), seed)
    return (mixed[0] * 255).round().to(torch.uint8)


def contact_sheet(rows: list[Row], heading: str) -> Figure:
    """A row of images for each of ``rows``, the original first."""
    columns = len(rows[0].images)
    panels = [[Panel(image, "" if n else "original") for n, image in enumerate(row.images)] for row in rows]
    short = heading if len(heading) < 12 * columns else heading[: 12 * columns] + "…"
    return sheet(panels, [row.title.replace("_", " ") for row in rows], short, inch=CELL)
