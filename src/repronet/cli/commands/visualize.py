"""``repronet visualize``: what the network of a run has learnt, as pictures."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from repronet import runs
from repronet.cli.drawings import DRAWINGS
from repronet.cli.drawings.subject import Subject, Wishes
from repronet.cli.failures import writing
from repronet.config.compose import checked
from repronet.errors import UserError
from repronet.training.checkpoints import read_checkpoint
from repronet.training.classifier import of_run

FOLDER = "pictures"  # below the run's


def run(config: DictConfig, console: Console) -> list[Path]:
    """Draw what ``config.what`` names; returns the files.

    With several, one that a network does not offer is said and the others are drawn.

    Raises:
        UserError: when there is no run, its data cannot be had, or the one drawing asked for is not offered.
    """
    folder = Path(config.run).expanduser()
    which = {"best": runs.BEST, "last": runs.LAST}[config.checkpoint]
    subject = subject_of(folder, which, config, console)
    out = folder / FOLDER if config.out is None else Path(config.out).expanduser()
    step = read_checkpoint(folder / which)["global_step"]
    wanted = list(DRAWINGS) if config.what == ["all"] else list(dict.fromkeys(config.what))
    written = []
    for name in wanted:
        started = time.monotonic()
        try:
            figure = DRAWINGS[name](subject)
        except UserError as error:
            if len(wanted) == 1:
                raise
            console.print(f"left out: {error}", markup=False, soft_wrap=True)
            continue
        with writing("out", out / f"{name}.png") as path:
            figure.savefig(path)
            with torch.no_grad(), SummaryWriter(out) as writer:
                writer.add_figure(name, figure, step)
        written.append(path)
        seconds = time.monotonic() - started
        console.print(f"{path}  ({seconds:.1f} s)", markup=False, highlight=False, soft_wrap=True)
    console.print(f"see them together:  tensorboard --logdir {out}", markup=False, highlight=False, soft_wrap=True)
    return written


def subject_of(folder: Path, which: str, config: DictConfig, console: Console) -> Subject:
    """The run's network and data, and what is wished of them.

    Raises:
        UserError: when there is no run, or not yet that checkpoint.
    """
    classifier = of_run(folder, which, config.layers)
    recorded = checked("train", OmegaConf.create(classifier.config))
    recorded.data.root = config.data_root or recorded.data.root
    wishes = Wishes(config.layer, config.images, config.maps, config.seed)
    return Subject(folder, recorded, classifier, config.split, wishes, console)
