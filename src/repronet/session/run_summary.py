"""The reports of a run: messages at its start, ``result.json``, and a summary at its end."""

from __future__ import annotations

import logging
import shlex
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

import pytorch_lightning as pl
from omegaconf import DictConfig

from repronet.analysis.class_figures import LISTED, ClassFigures, shortened
from repronet.analysis.class_figures import lines as class_lines
from repronet.analysis.interval import interval
from repronet.config import plugins
from repronet.config.advice import advise
from repronet.config.build import Parts, run_name
from repronet.config.groups import chosen
from repronet.data.folders import SPLITS
from repronet.data.module import ImageDataModule
from repronet.data.splits import Split
from repronet.layers import unconverted
from repronet.runs.environment import environment
from repronet.training.callbacks.history import History
from repronet.training.metrics import TOP5_SHOWN

log = logging.getLogger("repronet.train")
HARDLY = 0.9  # a network has hardly learned if its error is at least this share of that of predicting one class


def announce(config: DictConfig, parts: Parts, folder: Path) -> None:
    """Log the network, data, statistics and folder before the first step."""
    data = parts.data
    mean, std = (", ".join(f"{v:.4f}" for v in values) for values in (data.statistics.mean, data.statistics.std))
    log.info(f"{config.model.name} ({config.layers} layers), {parts.task.parameter_count:,} parameters")
    left = Counter(kind for _, kind in unconverted(parts.task.network)) if config.layers == "custom" else Counter()
    if left:
        kinds = ", ".join(f"{count} {kind}" for kind, count in left.most_common())
        log.info(f"  {left.total()} layers stay as their library made them: {kinds}")
    tested = f"{len(data.test):,} test" if data.test is not None else "no test split"
    log.info(f"{config.data.name}: {len(data.train):,} train, {len(data.val):,} validation, {tested}")
    log.info(f"pixel mean {mean}, std {std} over the training split")
    log.info(f"as {data.frame.size}×{data.frame.size} pixels, augmentation {_steps(config)}")
    log.info(f"run folder {folder}")
    if parts.task.stage_plan:
        log.info(f"finetune={config.finetune.name}:")
        for line in parts.task.stage_plan.lines(config.optimizer.lr):
            log.info(line)
    for line in advise(config, parts):
        log.info(f"note: {line}")


def _steps(config: DictConfig) -> str:
    """The name of the augmentation, or for a policy its first steps."""
    group = config.augmentation
    if group.name != "policy":
        return chosen("augmentation", group.name)
    more = ", …" if len(group.steps) > 2 else ""
    return f"in {len(group.steps)} steps: " + ", ".join(step.op for step in group.steps[:2]) + more


def make_result(
    config: DictConfig, parts: Parts, history: History, trainer: pl.Trainer, test_seconds: float
) -> dict[str, Any]:
    """The content of ``result.json``, after the test of the best-validation weights."""
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
        **({"best_val_map": best.get("val_map")} if task.multilabel else {}),
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
        "data_sha256": data_hashes(data),
        "pixel_mean": list(data.statistics.mean),
        "pixel_std": list(data.statistics.std),
        "train_seconds": last["seconds"],
        "test_seconds": round(test_seconds, 3),
        "finished": datetime.now().astimezone().isoformat(timespec="seconds"),
        **environment(),
        "git_commits": history.commits,
    }


def data_hashes(data: ImageDataModule) -> dict[str, str | None]:
    """Hashes of the network's input before augmentation, by split; None for images that are read one by one."""
    splits = {name: getattr(data, name) for name in SPLITS}
    return {name: split.fingerprint() if isinstance(split, Split) else None for name, split in splits.items()}


def _tested(parts: Parts) -> dict[str, Any]:
    """The figures of the test split; None values if the data has no test split."""
    evaluation, test = parts.task.evaluation, parts.data.test
    if test is None:
        nothing = dict.fromkeys(("test_error", "test_error_top5", "test_loss"))
        return {**nothing, "test_images": 0, "test_error_by_class": {}}
    figures = evaluation.compute()
    return {
        **({"test_map": figures["map"]} if parts.task.multilabel else {}),
        "test_error": figures["error"],
        "test_error_top5": figures.get("error_top5"),
        "test_loss": figures["loss"],
        "test_images": int(evaluation.figures.count),
        "test_error_by_class": dict(zip(parts.data.classes, evaluation.class_errors(), strict=True)),
    }


def report(result: dict[str, Any], folder: Path, config: DictConfig, found: Sequence[ClassFigures]) -> None:
    """Log the result in a few lines, with the next commands to run."""
    old, on = result["old_task"], "on augmented images, " if result["augmented"] else ""
    epochs = f"{result['epochs']} epoch{'' if result['epochs'] == 1 else 's'}"
    steps = f"{result['steps']:,} step{'' if result['steps'] == 1 else 's'}"
    lines = [
        "",
        *_test_lines(result),
        f"calibration error {result['calibration_error']:7.2%}  of the answers' probabilities",
        *([f"the old task      {old['error_after']:7.2%}  {old['error_before']:.2%} before"] if old else []),
        _validation_line(result),
        f"training error    {result['last_train_error']:7.2%}  {on}last epoch",
        f"training time     {result['train_seconds']:6.1f} s  {epochs}, {steps}",
        *(["", *class_lines(found)] if 0 < len(found) <= LISTED else _hardest(result)),
        "",
        *_hardly_learned(result, found, config),
        f"see the curves:  tensorboard --logdir {shlex.quote(str(folder))}",
        f"test it again:   repronet eval run={shlex.quote(str(folder))}{plugins.words(config)}",
    ]
    for line in lines:
        log.info(line)


def _test_lines(result: dict[str, Any]) -> list[str]:
    tested = result["test_images"]
    if not tested:
        return ["test error               -  the data has no test split"]
    error, epoch = result["test_error"], result["best_epoch"]
    lines = [
        f"test error        {error:7.2%}  {round(error * tested)} of {tested:,}, weights of epoch {epoch}",
        f"  95 % interval            {interval(error, tested)}",
    ]
    if "best_val_map" in result:
        lines.append("  of images with at least one wrong label")
        lines.append(f"mean av. precision  {result['test_map']:.4f}  over the labels that some image has")
    elif len(result["test_error_by_class"]) >= TOP5_SHOWN:
        top5 = result["test_error_top5"]
        lines.append(f"top-5 error       {top5:7.2%}  {round(top5 * tested)} of {tested:,}")
    return lines


def _validation_line(result: dict[str, Any]) -> str:
    best, last = result["best_val_error"], result["last_val_error"]
    if best is None:
        return "validation error         -  nothing was validated"
    latest = "-" if last is None else f"{last:.2%}"
    ranked = f"; mAP {result['best_val_map']:.4f}" if "best_val_map" in result else ""
    of = f"of {result['val_images']:,}"
    return f"validation error  {best:7.2%}  best (epoch {result['best_epoch']}); {latest} last; {of}{ranked}"


def _hardly_learned(result: dict[str, Any], found: Sequence[ClassFigures], config: DictConfig) -> list[str]:
    """Advice if the network is hardly better than always predicting one class; for one label per image.

    If training weighted classes equally, the mean of the classes' errors is judged.
    """
    images, error = sum(one.support for one in found), result["test_error"]
    error = result["best_val_error"] if error is None else error
    if not images or error is None or "best_val_map" in result:
        return []
    guessing, of = 1 - max(one.support for one in found) / images, "the commonest class"
    if config.data.get("balance", "none") != "none":
        recalls = [one.recall for one in found if one.recall is not None]
        guessing, error, of = 1 - 1 / len(recalls), 1 - mean(recalls), "one class, by the mean of the classes' errors"
    if error < HARDLY * guessing:
        return []
    better = "hardly" if round(error - guessing, 6) < 0 else "no"
    advice = "a lower optimizer.lr, more epochs, a smaller data.batch_size, or weights=pretrained where it has some"
    if "costs" in config.model:  # a fitted pipeline, which has no optimizer
        advice = "other values of model.costs, or more images"
    return [f"note: {better} better than always predicting {of}, {guessing:.2%}: try {advice}", ""]


def _hardest(result: dict[str, Any]) -> list[str]:
    worst = sorted(result["test_error_by_class"].items(), key=lambda pair: -pair[1])[:3]
    shown = ", ".join(f"{shortened(name)} {error:.1%}" for name, error in worst if error)
    return [f"hardest classes            {shown}"] if shown and len(result["test_error_by_class"]) > 3 else []
