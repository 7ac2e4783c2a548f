"""Reading checkpoints without running anything that stands in them."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import torch

from repronet.errors import UserError
from repronet.task import ImageClassifier

_NEEDED = {"state_dict", "epoch", "global_step", "optimizer_states", "lr_schedulers", "callbacks", "loops"}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of ``path``: tensors and plain values only.

    Raises:
        UserError: when the file is damaged or holds anything else, which is then not loaded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle's protocol; what is not plain is refused below
            content = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise UserError(f"{path}: refused, it holds more than tensors and plain values, or is damaged") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path}: damaged or no checkpoint ({type(error).__name__} while reading it)") from error
    if not isinstance(content, dict) or not content.keys() >= _NEEDED:
        raise UserError(f"{path}: not a checkpoint of a run; it lacks one of {', '.join(sorted(_NEEDED))}")
    return content


def load_weights(task: ImageClassifier, path: Path) -> int:
    """Put the weights of a checkpoint into ``task``; returns the epoch they are of, counted from 1.

    Raises:
        UserError: when they belong to another network.
    """
    content = read_checkpoint(path)
    try:
        task.load_state_dict(content["state_dict"])
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{path}: the weights are of another network ({reason})") from error
    return content["epoch"] + 1
