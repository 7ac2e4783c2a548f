"""What a network that was tuned still knows of the task that it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from repronet import runs
from repronet.cli.build import Parts, input_size, recorded_config
from repronet.cli.build_data import dataset
from repronet.data.batches import EvaluationBatches
from repronet.data.module import fitted_splits
from repronet.data.splits import Split
from repronet.data.whitening import Preprocessing
from repronet.keeping import head_of, with_head
from repronet.models.stages import class_layers
from repronet.recognizer import of_run


def old_task(config: DictConfig, parts: Parts) -> dict[str, Any] | None:
    """Errors on the test split of the run that the weights came from, before the tuning and after it.

    After it the tuned network answers with the old head: the one that was kept, or else the one that it had. None where
    the weights are no run of ours, its data are no longer there or have no test split, or nothing was tuned.
    """
    folder = Path(config.weights).expanduser() if config.weights else None
    if folder is None or not folder.is_dir() or config.finetune.name in ("none", "scratch"):
        return None
    network = parts.task.judged
    if len(class_layers(network)) != 1:
        return None
    old = of_run(folder)
    recorded = recorded_config(folder / runs.BEST)
    images = fitted_splits(dataset(recorded, input_size(recorded)), old.lens.size, pad=old.lens.pad)
    if not isinstance(images.test, Split):
        return None
    kept = parts.task.keeping.old_head if parts.task.keeping else old.network.get_submodule(head_of(network))
    return {
        "classes": list(old.lens.classes),
        "images": len(images.test),
        "error_before": _error(old.network, images.test, old.lens.pixel_map),
        "error_after": _error(with_head(network.cpu(), kept.cpu()), images.test, parts.data.pixel_map),
    }


@torch.inference_mode()
def _error(network: nn.Module, split: Split, pixel_map: Preprocessing) -> float:
    wrong = 0
    for images, labels in EvaluationBatches(split, pixel_map, batch_size=250):
        wrong += int((network(images).argmax(dim=1) != labels).sum())
    return wrong / len(split)
