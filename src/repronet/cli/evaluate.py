"""``repronet eval``: the test figures of a run, from its folder alone."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig
from rich.console import Console

from repronet import runs
from repronet.checkpoints import load_weights
from repronet.cli.build import assemble, recorded_config
from repronet.cli.console import interruptible, quiet_lightning
from repronet.errors import UserError
from repronet.functional.choice import recorded_in


def evaluate(config: DictConfig, console: Console) -> dict[str, Any]:
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
    parts = assemble(recorded, begins=False)
    task, data = parts.task, parts.data
    if data.test is None:
        raise UserError(f"run={folder}: its data has no test split; {runs.RESULT} holds the validation figures")
    position = load_weights(task, checkpoint)["position"]
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
    within = f" and {position['steps']} steps" if position["steps"] else ""
    _report(result, f"weights of epoch {position['epochs']}{within} ({config.checkpoint})", console)
    return result


def _report(result: dict[str, Any], weights: str, console: Console) -> None:
    wrong, images = round(result["error"] * result["images"]), result["images"]
    console.print(f"test error  {result['error']:.2%}  {wrong} of {images:,}, {weights}")
    console.print(f"test_error  {result['error']!r}")
    console.print(f"test_loss   {result['loss']!r}")
