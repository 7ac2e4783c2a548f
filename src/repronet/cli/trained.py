"""The trained network that ``run=`` or ``weights=`` names."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig

from repronet import runs
from repronet.training.classifier import Classifier, of_run, of_source

CHECKPOINTS = {"best": runs.BEST, "last": runs.LAST}


def chosen(config: DictConfig, layers: str = "custom") -> Classifier:
    """The trained network for a command with the keys of ``Trained``."""
    if config.run is None:
        return of_source(config.weights, layers)
    return of_run(Path(config.run).expanduser(), CHECKPOINTS[config.checkpoint], layers)
