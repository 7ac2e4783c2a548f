"""Measure how well a fine-tuned network still solves the task that its weights came from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from repronet import runs
from repronet.config.build import Parts, recorded_config
from repronet.config.build_data import dataset
from repronet.config.build_weights import begins_with
from repronet.data.splits import LabelledImages
from repronet.models.stages import class_layers
from repronet.training.classifier import Classifier, of_run
from repronet.training.distillation import head_of, with_head

AT_ONCE = 100  # images per batch


def old_task(config: DictConfig, parts: Parts) -> dict[str, Any] | None:
    """The errors before and after fine-tuning, on the test split of the run that the weights came from.

    After fine-tuning, the network is tested with the old head: the one that was kept, else the old run's own. None if
    the weights are not from a run of ours, it has no test split or several labels per image, or nothing was tuned.
    """
    name = begins_with(config)
    folder = Path(name).expanduser() if name else None
    if folder is None or not folder.is_dir() or config.finetune.name in ("none", "scratch"):
        return None
    network = parts.task.network
    if len(class_layers(network)) != 1:
        return None
    old = of_run(folder)
    test = dataset(recorded_config(folder / runs.BEST), old.transform.size).test
    if test is None or test.labels.ndim == 2:
        return None
    kept = parts.task.distillation.old_head if parts.task.distillation else old.network.get_submodule(head_of(network))
    # Resized and cropped as the old task's images, standardised as the new task's.
    transform = replace(old.transform, pixel_map=parts.data.eval_transform.pixel_map)
    tuned = Classifier(with_head(network.cpu(), kept.cpu()), transform, old.config)
    return {
        "classes": list(old.transform.classes),
        "images": len(test),
        "error_before": _error(old, test),
        "error_after": _error(tuned, test),
    }


def _error(classifier: Classifier, test: LabelledImages) -> float:
    wrong = 0
    for rows in torch.arange(len(test)).split(AT_ONCE):
        answers = classifier.probabilities([test.image(row) for row in rows.tolist()])
        wrong += int((answers.argmax(dim=1) != test.labels[rows]).sum())
    return wrong / len(test)
