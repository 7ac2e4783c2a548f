"""``repronet augment``: pictures beside what an augmentation makes of them."""

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

from repronet.cli.build_data import CROPPED_FROM, augmenting, dataset
from repronet.data.policy import Mixing, Policy
from repronet.data.randomness import counter_generator
from repronet.data.splits import ImageDataset, Split
from repronet.data.streaming import Frame
from repronet.errors import UserError

FOLDER_SIZE = 224  # what most networks of ImageNet take
CELL = 1.1  # inches


@dataclass(frozen=True)
class Row:
    """A picture and its variants, uint8 (C, H, W), with what stands before them."""

    title: str
    pictures: list[Tensor]


def draw(config: DictConfig, console: Console) -> None:
    """Write the sheet that ``config`` asks for.

    Raises:
        UserError: when the data cannot be had, the policy does not fit it, or the file cannot be written.
    """
    size = config.size or FOLDER_SIZE
    images = dataset(config, size)
    if isinstance(images.train, Split) and config.size is None:
        size = images.train.images.shape[-1]
    shown = torch.randperm(len(images.train), generator=counter_generator("sheet", config.seed))
    rows = (_each_step if config.each else _variants)(config, images, size, shown.tolist())
    figure = contact_sheet(rows, f"augmentation={_name(config)}")
    path = Path(config.out).expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise UserError(f"out={path}: cannot be written ({error.strerror})") from error
    console.print(f"{path}: {len(rows)} rows of {len(rows[0].pictures)} pictures", markup=False, soft_wrap=True)
    if config.logdir is not None:
        with SummaryWriter(Path(config.logdir).expanduser()) as writer:
            writer.add_figure(f"augmentation/{_name(config)}", figure)
        console.print(f"see it:  tensorboard --logdir {config.logdir}", markup=False, soft_wrap=True)


def _name(config: DictConfig) -> str:
    group = config.augmentation
    return ", ".join(step.op for step in group.steps) if group.name == "policy" else group.name


def _variants(config: DictConfig, images: ImageDataset, size: int, shown: list[int]) -> list[Row]:
    """A row a picture."""
    change = _change(config, images, size)
    return [
        Row(
            images.classes[int(images.train.labels[index])],
            [_framed(images, index, size), *(change(index, variant) for variant in range(config.variants))],
        )
        for index in shown[: config.images]
    ]


def _each_step(config: DictConfig, images: ImageDataset, size: int, shown: list[int]) -> list[Row]:
    """A row a step of the policy, which every variant undergoes."""
    if config.augmentation.name != "policy":
        raise UserError(f"each=true: augmentation={config.augmentation.name} has no steps; augmentation=lecture has")
    rows = []
    for number, step in enumerate(config.augmentation.steps):
        index = shown[number % min(len(shown), config.images)]
        alone = {"augmentation": {"name": "policy", "steps": [{**step, "p": 1.0}]}, "seed": config.seed}
        change = _change(DictConfig(alone), images, size)
        variants = [change(index, variant) for variant in range(config.variants)]
        rows.append(Row(step.op, [_framed(images, index, size), *variants]))
    return rows


def _framed(images: ImageDataset, index: int, size: int) -> Tensor:
    picture = images.train.picture(index)
    if isinstance(images.train, Split) and picture.shape[-2:] == (size, size):
        return picture
    return Frame(size, round(size * 8 / 7) if size >= CROPPED_FROM else size)(picture)


def _change(config: DictConfig, images: ImageDataset, size: int) -> Callable[[int, int], Tensor]:
    """(index, variant) → that picture, changed as in epoch ``variant`` of a run with the seed."""
    augmentation, policy = augmenting(config.augmentation, size)

    def change(index: int, variant: int) -> Tensor:
        drawn = counter_generator("sheet", config.seed, index, variant)
        if augmentation is not None:
            picture = _framed(images, index, size).unsqueeze(0)  # (1, C, H, W)
            return augmentation(picture, augmentation.draw(1, drawn))[0].round().clamp(0, 255).to(torch.uint8)
        assert policy is not None
        seed = int(torch.randint(2**62, (), generator=drawn))
        picture = policy(images.train.picture(index), seed)
        return picture if policy.mixing is None else _mixed(policy, policy.mixing, picture, images, index, seed)

    return change


def _mixed(policy: Policy, mixing: Mixing, picture: Tensor, images: ImageDataset, index: int, seed: int) -> Tensor:
    """The picture mixed with one more of another class, where there is one."""
    labels = images.train.labels
    others = torch.nonzero(labels != labels[index]).flatten()
    other = int(others[seed % len(others)]) if len(others) else index
    pair = torch.stack([picture, policy(images.train.picture(other), seed + 1)]) / 255  # (2, C, H, W)
    mixed, _ = mixing(pair, labels[[index, other]], len(images.classes), seed)
    return (mixed[0] * 255).round().to(torch.uint8)


def contact_sheet(rows: list[Row], heading: str) -> Figure:
    """A row of pictures for each of ``rows``, the first of them the original, its title before it."""
    columns = len(rows[0].pictures)
    figure = Figure(figsize=(CELL * columns + 1.3, CELL * len(rows) + 0.5), dpi=110, layout="constrained")
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for row, line in zip(rows, grid, strict=True):
        for column, (picture, axes) in enumerate(zip(row.pictures, line, strict=True)):
            pixels = picture.permute(1, 2, 0).numpy()  # (H, W, C)
            axes.imshow(pixels if pixels.shape[-1] == 3 else pixels[..., 0], cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
            for side in axes.spines.values():
                side.set_visible(column == 0)
        line[0].set_ylabel(row.title.replace("_", " "), rotation=0, ha="right", va="center", fontsize=9)
    grid[0][0].set_title("original", fontsize=9)
    figure.suptitle(heading if len(heading) < 12 * columns else heading[: 12 * columns] + "…", fontsize=10)
    return figure
