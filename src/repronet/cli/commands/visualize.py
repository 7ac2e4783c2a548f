"""``repronet visualize``: what the network of a run has learnt, as images."""

from __future__ import annotations

import time
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter

from repronet import runs, zoo
from repronet.cli.drawings import BY_GRADIENT, DRAWINGS
from repronet.cli.drawings.subject import Subject
from repronet.cli.failures import writing
from repronet.cli.trained import CHECKPOINTS, chosen
from repronet.config.build import look_for_data
from repronet.config.compose import checked
from repronet.errors import UserError
from repronet.figures.charts import read_history
from repronet.training.checkpoints import read_checkpoint


def run(config: DictConfig, console: Console) -> list[Path]:
    """Make the drawings that ``config.what`` names; returns the files.

    If there are several, one that the network does not support is reported and the others are drawn.
    """
    folder = None if config.run is None else Path(config.run).expanduser()
    subject = subject_of(folder, config, console)
    out = (folder or Path()) / runs.PICTURES if config.out is None else Path(config.out).expanduser()
    step = 0 if folder is None else read_checkpoint(folder / CHECKPOINTS[config.checkpoint])["global_step"]
    wanted = list(DRAWINGS) if config.what == ["all"] else list(dict.fromkeys(config.what))
    written = []
    for name in wanted:
        started = time.monotonic()
        try:
            if name in BY_GRADIENT:
                subject.require_gradient(name)
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


def subject_of(folder: Path | None, config: DictConfig, console: Console) -> Subject:
    """The network, its data, and the settings of the drawings."""
    classifier = chosen(config, config.layers)
    if not classifier.config:
        raise UserError(f"weights={config.weights}: does not say which images it is of; give run= or repronet/NAME")
    recorded = checked("train", OmegaConf.create(classifier.config))
    look_for_data(recorded, config.data_root, "data_root")
    history = read_history(folder / runs.HISTORY) if folder and (folder / runs.HISTORY).is_file() else []
    if zoo.is_named(config.weights):
        history = zoo.record_of(config.weights)["history"]
    return Subject(folder, recorded, classifier, config, console, history)
