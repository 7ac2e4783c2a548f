"""What a run says of itself: at its start, in ``result.json``, and in the few lines at its end."""

from __future__ import annotations

import logging
import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from repronet.analysis.interval import interval
from repronet.config import plugins
from repronet.config.advice import advise
from repronet.config.build import Parts, run_name
from repronet.data.splits import LabelledPictures, Split
from repronet.runs.environment import environment
from repronet.training.callbacks.history import History
from repronet.training.metrics import TOP5_SHOWN

log = logging.getLogger("repronet.train")


def announce(config: DictConfig, parts: Parts, folder: Path) -> None:
    """Network, data, statistics and folder, before the first step."""
    data = parts.data
    mean, std = (", ".join(f"{v:.4f}" for v in values) for values in (data.statistics.mean, data.statistics.std))
    log.info(f"{config.model.name} ({config.layers} layers), {parts.task.parameter_count:,} parameters")
    tested = f"{len(data.test):,} test" if data.test is not None else "no test split"
    log.info(f"{config.data.name}: {len(data.train):,} train, {len(data.val):,} validation, {tested}")
    log.info(f"pixel mean {mean}, std {std} over the training split")
    log.info(f"run folder {folder}")
    if parts.task.stage_plan:
        log.info(f"finetune={config.finetune.name}:")
        for line in parts.task.stage_plan.lines(config.optimizer.lr):
            log.info(line)
    for line in advise(config, parts):
        log.info(f"note: {line}")


def make_result(
    config: DictConfig, parts: Parts, history: History, trainer: pl.Trainer, test_seconds: float
) -> dict[str, Any]:
    """The content of ``result.json``, after the one test with the best-validation weights."""
    task, data = parts.task, parts.data
    best, last = history.best, history.rows[-1]
    return {
        "name": run_name(config),
        "experiment": config.experiment,
        "model": config.model.name,
        "data": config.data.name,
        "layers": config.layers,
        "augmented": config.augmentation.name != "none",
        "seed": config.seed,
        "precision": config.trainer.precision,
        "device": trainer.strategy.root_device.type,
        **_tested(parts),
        "best_val_error": best["val_error"],
        "best_val_error_top5": best.get("val_error_top5"),
        "best_epoch": best["epoch"],
        "last_val_error": last["val_error"],
        "last_val_loss": last["val_loss"],
        "last_train_error": last["train_error"],
        "last_train_loss": last["train_loss"],
        "val_images": history.validated_images or len(data.val),
        "epochs": last["epoch"],
        "steps": last["step"],
        "parameters": task.parameter_count,
        "trained_parameters": task.trained_parameter_count,
        "weights": None if config.finetune.name == "scratch" else config.weights,
        "finetune": config.finetune.name,
        "data_sha256": {name: _fingerprint(getattr(data, name)) for name in ("train", "val", "test")},
        "pixel_mean": list(data.statistics.mean),
        "pixel_std": list(data.statistics.std),
        "train_seconds": last["seconds"],
        "test_seconds": round(test_seconds, 3),
        "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
        **environment(),
        "git_commits": history.commits,
    }


def _fingerprint(split: LabelledPictures | None) -> str | None:
    """Of what the network was shown before any augmentation; none of pictures that are read one by one."""
    return split.fingerprint() if isinstance(split, Split) else None


def _tested(parts: Parts) -> dict[str, Any]:
    """The figures of the test split, or nulls where the data has none."""
    evaluation, test = parts.task.evaluation, parts.data.test
    if test is None:
        return {
            "test_error": None,
            "test_error_top5": None,
            "test_loss": None,
            "test_images": 0,
            "test_error_by_class": {},
        }
    figures = evaluation.compute()
    return {
        "test_error": figures["error"],
        "test_error_top5": figures.get("error_top5"),
        "test_loss": figures["loss"],
        "test_images": int(evaluation.figures.count),
        "test_error_by_class": dict(zip(parts.data.classes, evaluation.class_errors(), strict=True)),
    }


def report(result: dict[str, Any], folder: Path, config: DictConfig) -> None:
    """The result in a few lines, with the commands that come next."""
    tested, validated = result["test_images"], result["val_images"]
    best = result["best_epoch"]
    on = "on augmented images, " if result["augmented"] else ""
    epochs = f"{result['epochs']} epoch{'' if result['epochs'] == 1 else 's'}"
    test_lines = ["test error               -  the data has no test split"]
    if tested:
        wrong = round(result["test_error"] * tested)
        test_lines = [
            f"test error        {result['test_error']:7.2%}  {wrong} of {tested:,}, weights of epoch {best}",
            f"  95 % interval            {interval(result['test_error'], tested)}",
        ]
    if tested and len(result["test_error_by_class"]) >= TOP5_SHOWN:
        top5 = result["test_error_top5"]
        test_lines.append(f"top-5 error       {top5:7.2%}  {round(top5 * tested)} of {tested:,}")
    validated_line = "validation error         -  nothing was validated"
    if result["best_val_error"] is not None:
        last = "-" if result["last_val_error"] is None else f"{result['last_val_error']:.2%}"
        validated_line = (
            f"validation error  {result['best_val_error']:7.2%}  best (epoch {best}); {last} last; of {validated:,}"
        )
    old = result["old_task"]
    kept = [f"the old task      {old['error_after']:7.2%}  {old['error_before']:.2%} before"] if old else []
    worst = sorted(result["test_error_by_class"].items(), key=lambda pair: -pair[1])[:3]
    shown = ", ".join(f"{name} {error:.1%}" for name, error in worst if error)
    hardest = [f"hardest classes            {shown}"] if shown and len(result["test_error_by_class"]) > 3 else []
    lines = [
        "",
        *test_lines,
        *hardest,
        *kept,
        validated_line,
        f"training error    {result['last_train_error']:7.2%}  {on}last epoch",
        f"training time     {result['train_seconds']:6.1f} s  {epochs}, {result['steps']:,} steps",
        "",
        f"see the curves:  tensorboard --logdir {shlex.quote(str(folder))}",
        f"test it again:   repronet eval run={shlex.quote(str(folder))}{plugins.words(config)}",
    ]
    for line in lines:
        log.info(line)
