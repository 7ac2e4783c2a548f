"""``repronet eval``: the test figures of a run, from its folder alone."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from repronet import runs, weights, zoo
from repronet.analysis.class_figures import LISTED, class_figures, lines, reliability
from repronet.analysis.interval import interval
from repronet.cli.trained import CHECKPOINTS, chosen
from repronet.config.build import assemble, look_for_data, recorded_config
from repronet.config.build_data import dataset
from repronet.config.compose import checked, compose
from repronet.errors import UserError
from repronet.functional import nll_loss
from repronet.session.console import interruptible, quiet_lightning, tracked
from repronet.training.answers import Answers, of_logits
from repronet.training.checkpoints import load_weights, position_in, read_checkpoint
from repronet.training.metrics import TOP5_COUNTED, TOP5_SHOWN, LossAndError

VIEWED = 50  # images at a time if each has many views


def run(config: DictConfig, console: Console) -> dict[str, Any]:
    """Rebuild data and network of ``config.run`` or ``config.weights`` and test them."""
    known = config.run is not None or zoo.is_named(config.weights)
    if config.run is not None:
        recorded = recorded_config(_checkpoint(config))
    elif known:
        recorded = checked("train", OmegaConf.create(zoo.config_of(config.weights)))
    elif config.get("data") is None:
        raise UserError(f"{_named(config)}: does not say which images it was trained on; add data=NAME")
    else:  # the config of any run on the dataset, of which only the data part is used
        recorded = compose("train", [f"data={config.data.name}"])
    recorded.trainer.accelerator = config.accelerator or recorded.trainer.accelerator
    recorded.layers = config.layers or recorded.layers
    other = config.get("data") is not None and config.data.name != recorded.data.name
    root = config.data_root
    if config.get("data") is not None:
        root = root or config.data.root
        if other or not known:
            recorded.data = config.data
        else:
            _refuse_other_keys(config.data, recorded.data)
    look_for_data(recorded, root, "data_root")
    if recorded.augmentation.generator is not None:  # it added training images, but nothing is trained here
        recorded.augmentation.generator, recorded.augmentation.generated, recorded.data.balance = None, None, "none"
    if config.protocol != "center" or other or not known:
        return _by_views(config, recorded, console)
    parts = assemble(recorded, begins=False)
    task, data = parts.task, parts.data
    if data.test is None:
        raise UserError(f"{_named(config)}: its data has no test split; {runs.RESULT} holds the validation figures")
    if config.run is None:
        weights.load(task.network, config.weights)
    else:
        load_weights(task, _checkpoint(config))
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
    with closing(data), interruptible():
        trainer.test(task, datamodule=data, verbose=False)
    epoch, words = _epoch(config)
    result = {**task.evaluation.compute(), "epoch": epoch, "images": len(data.test)}
    _report(result, words, data.classes, console)
    _of_classes(of_logits(*task.test_outputs.compute()), data.classes, console)
    return result


def _refuse_other_keys(given: DictConfig, recorded: DictConfig) -> None:
    """Refuse keys of the run's own data: it is tested on the test split that it recorded."""
    default = compose("train", [f"data={given.name}"]).data
    for key in sorted({str(key) for key in given} - {"root"}):
        if given[key] not in (default.get(key), recorded.get(key)):
            said = f"data.{key}={given[key]}: the run is tested on its own {given.name} as it recorded it"
            raise UserError(f"{said}; leave data.{key} out")


def _named(config: DictConfig) -> str:
    return f"weights={config.weights}" if config.run is None else f"run={Path(config.run).expanduser()}"


def _checkpoint(config: DictConfig) -> Path:
    return runs.require_run(Path(config.run).expanduser(), CHECKPOINTS[config.checkpoint], "run")


def _epoch(config: DictConfig) -> tuple[int | None, str]:
    """The epoch of the tested weights, as a number and in words."""
    if config.run is None:
        return None, config.weights
    position = position_in(read_checkpoint(_checkpoint(config)))
    within = f" and {position['batches']} batches" if position["batches"] else ""
    return position["epochs"], f"weights of epoch {position['epochs']}{within} ({config.checkpoint})"


def _by_views(config: DictConfig, recorded: DictConfig, console: Console) -> dict[str, Any]:
    """Test as the papers do: average each image's probabilities over several views."""
    classifier = chosen(config, recorded.layers)
    images = dataset(recorded, classifier.transform.size)
    test = images.test
    if test is None:
        raise UserError(f"{_named(config)}: its data has no test split; {runs.RESULT} holds the validation figures")
    if len(images.classes) != len(classifier.classes):
        raise UserError(
            f"data={recorded.data.name}: has {len(images.classes)} classes, the weights {len(classifier.classes)}"
        )
    if test.labels.ndim == 2:
        raise UserError(f"protocol={config.protocol}: needs one label per image; use center")
    figures, likely = LossAndError(top5=len(classifier.classes) >= TOP5_COUNTED), []
    parts = torch.arange(len(test)).split(VIEWED)
    for rows in tracked(parts, config.protocol, console):
        answers = classifier.probabilities([test.image(row) for row in rows.tolist()], config.protocol)
        labels = test.labels[rows]
        figures.update(nll_loss(answers.clamp_min(1e-30).log(), labels), answers, labels)
        likely.append(answers)
    epoch, words = _epoch(config)
    result = {**figures.compute(), "epoch": epoch, "images": len(test)}
    _report(result, f"{config.protocol}, {words}", classifier.classes, console)
    _of_classes(Answers(test.labels, torch.cat(likely)), classifier.classes, console)
    return result


def _report(result: dict[str, Any], weights: str, classes: Sequence[str], console: Console) -> None:
    images, top5 = result["images"], len(classes) >= TOP5_SHOWN and "error_top5" in result
    for name, key in [("test error ", "error")] + [("top-5 error", "error_top5")] * top5:
        wrong, known = round(result[key] * images), interval(result[key], images)
        console.print(f"{name}  {result[key]:.2%}  {wrong} of {images:,}, {weights}", soft_wrap=True)
        console.print(f"             {known} with 95 % confidence (Wilson's interval)")
    if "map" in result:
        console.print("             of images with at least one wrong label")
    keys = ("error", *["error_top5"] * top5, *["map"] * ("map" in result), "loss")
    for key in keys:
        console.print(f"test_{key:<{max(map(len, keys))}}  {result[key]!r}")


def _of_classes(answers: Answers, classes: Sequence[str], console: Console) -> None:
    """Print the calibration error and, if there are few classes, the worst ones; nothing if an output is not finite."""
    if not answers.likely.isfinite().all():
        return
    console.print(f"calibration error  {reliability(answers.likely, answers.labels).error:.2%}")
    if len(classes) <= LISTED:
        found = class_figures(answers.likely, answers.labels, classes)
        console.print("\n" + "\n".join(lines(found)), markup=False, soft_wrap=True)
