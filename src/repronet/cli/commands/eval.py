"""``repronet eval``: the test figures of a run, from its folder alone."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.progress import track

from repronet import runs
from repronet.analysis.interval import interval
from repronet.config.build import assemble, recorded_config
from repronet.config.build_data import dataset
from repronet.errors import UserError
from repronet.functional import nll_loss
from repronet.functional.autotune import recorded_in
from repronet.session.console import interruptible, quiet_lightning
from repronet.training.checkpoints import load_weights, position_in, read_checkpoint
from repronet.training.classifier import of_run
from repronet.training.metrics import TOP5_COUNTED, TOP5_SHOWN, LossAndError

VIEWED = 50  # pictures at a time where each has many views


def run(config: DictConfig, console: Console) -> dict[str, Any]:
    """Rebuild data and network from ``config.run`` and test the weights of ``config.checkpoint``.

    Raises:
        UserError: when the folder holds no run, or not yet that checkpoint.
    """
    folder = Path(config.run).expanduser()
    checkpoint = runs.require_run(folder, {"best": runs.BEST, "last": runs.LAST}[config.checkpoint], "run")
    recorded = recorded_config(checkpoint)
    recorded.trainer.accelerator = config.accelerator or recorded.trainer.accelerator
    recorded.layers = config.layers or recorded.layers
    recorded.data.root = config.data_root or recorded.data.root
    if config.protocol != "center":
        return _by_views(config, folder, recorded, console)
    parts = assemble(recorded, begins=False)
    task, data = parts.task, parts.data
    if data.test is None:
        raise UserError(f"run={folder}: its data has no test split; {runs.RESULT} holds the validation figures")
    position = position_in(load_weights(task, checkpoint))
    quiet_lightning()
    trainer = pl.Trainer(
        accelerator=recorded.trainer.accelerator,
        precision=recorded.trainer.precision,
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with recorded_in(folder / runs.ALGORITHMS), closing(data), interruptible():
        trainer.test(task, datamodule=data, verbose=False)
    result = {**task.evaluation.compute(), "epoch": position["epochs"], "images": len(data.test)}
    _report(result, _weights(position, config.checkpoint), len(data.classes), console)
    return result


def _weights(position: dict[str, Any], which: str) -> str:
    within = f" and {position['batches']} batches" if position["batches"] else ""
    return f"weights of epoch {position['epochs']}{within} ({which})"


def _by_views(config: DictConfig, folder: Path, recorded: DictConfig, console: Console) -> dict[str, Any]:
    """As papers test: each picture's probabilities are the mean over several views of it."""
    which = {"best": runs.BEST, "last": runs.LAST}[config.checkpoint]
    classifier = of_run(folder, which, recorded.layers)
    test = dataset(recorded, classifier.transform.size).test
    if test is None:
        raise UserError(f"run={folder}: its data has no test split; {runs.RESULT} holds the validation figures")
    figures = LossAndError(top5=len(classifier.classes) >= TOP5_COUNTED)
    parts = torch.arange(len(test)).split(VIEWED)
    for rows in track(parts, config.protocol, console=console, transient=True):
        answers = classifier.probabilities([test.picture(row) for row in rows.tolist()], config.protocol)
        labels = test.labels[rows]
        figures.update(nll_loss(answers.clamp_min(1e-30).log(), labels), answers, labels)
    position = position_in(read_checkpoint(folder / which))
    result = {**figures.compute(), "epoch": position["epochs"], "images": len(test)}
    _report(result, f"{config.protocol}, {_weights(position, config.checkpoint)}", len(classifier.classes), console)
    return result


def _report(result: dict[str, Any], weights: str, classes: int, console: Console) -> None:
    images, top5 = result["images"], classes >= TOP5_SHOWN
    for name, key in [("test error ", "error")] + [("top-5 error", "error_top5")] * top5:
        wrong, known = round(result[key] * images), interval(result[key], images)
        console.print(f"{name}  {result[key]:.2%}  {wrong} of {images:,}, {weights}", soft_wrap=True)
        console.print(f"             {known} with 95 % confidence (Wilson's interval)")
    keys = ("error", *["error_top5"] * top5, "loss")
    for key in keys:
        console.print(f"test_{key:<{max(map(len, keys))}}  {result[key]!r}")
