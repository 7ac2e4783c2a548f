"""Checkpoints: written atomically, with a checksum inside, and read without running any code that they contain."""

from __future__ import annotations

import hashlib
import io
import pickle
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from torch import Tensor

from repronet.errors import UserError
from repronet.runs.atomic import write_whole
from repronet.training.module import ImageClassifier

CHECKSUM = "sha256"
_NEEDED = {"state_dict", "epoch", "global_step", "optimizer_states", "lr_schedulers", "callbacks", "loops", CHECKSUM}


def checksum(content: Mapping[str, Any]) -> str:
    """SHA-256 over every key, value, shape, dtype and byte of ``content``, except for a checksum in it.

    PyTorch's file format has a checksum too, but its reader does not check it.
    """
    total = hashlib.sha256()
    for piece in _pieces({key: value for key, value in content.items() if key != CHECKSUM}):
        total.update(piece)
    return total.hexdigest()


def _pieces(value: Any) -> Iterator[Any]:
    if isinstance(value, Tensor):
        flat = value.detach().cpu().contiguous().flatten()
        yield f"tensor {value.dtype} {tuple(value.shape)}".encode()
        yield flat.view(torch.uint8).numpy() if flat.numel() else b""
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)}".encode()
        for key, item in value.items():
            yield repr(key).encode()
            yield from _pieces(item)
    elif isinstance(value, list | tuple):
        yield f"list {len(value)}".encode()
        for item in value:
            yield from _pieces(item)
    else:
        yield repr(value).encode()


def write_checkpoint(content: Mapping[str, Any], path: Path) -> None:
    """Write ``content`` with its checksum; ``path`` never holds a partly written file.

    Raises:
        Fault: when it cannot be written; the earlier file is then kept.
    """
    file = io.BytesIO()  # torch.save to a full disk raises an error that does not name the cause
    torch.save({**content, CHECKSUM: checksum(content)}, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, file.getbuffer())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read the checkpoint of a run: tensors and plain values only.

    Raises:
        UserError: when the file is damaged, comes from another Trainer, or holds anything else, which is not loaded.
    """
    content = read_any(path)
    if lacking := sorted(_NEEDED - content.keys()):
        hint = "" if CHECKSUM in content else "; of a plain Trainer's: ImageClassifier.load_from_checkpoint(path)"
        raise UserError(f"{path}: not a checkpoint of a run; it lacks {', '.join(lacking)}{hint}")
    return content


def read_any(path: Path) -> dict[str, Any]:
    """Read a checkpoint, of a run or of a user's own Trainer: tensors and plain values only.

    Raises:
        UserError: when the file is damaged, is no checkpoint, or holds anything else, which is not loaded.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle's protocol; values that are not plain are refused below
            content = torch.load(path, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise UserError(f"{path}: refused, it holds more than tensors and plain values, or is damaged") from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: damaged or no checkpoint ({type(error).__name__} while reading it)") from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise UserError(f"{path}: not a checkpoint of a run; it lacks a state_dict")
    if CHECKSUM in content and content[CHECKSUM] != checksum(content):
        raise UserError(f"{path}: damaged, the checksum is wrong")
    return content


def config_in(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The config of the run that wrote a checkpoint, as plain values.

    Raises:
        UserError: when it holds none.
    """
    config = content.get("repronet", {}).get("config") or content.get("hyper_parameters", {}).get("config")
    if not isinstance(config, dict) or not {"model", "data", "optimizer"} <= config.keys():
        raise UserError(f"{path}: holds no config of a run")
    return config


def position_in(content: Mapping[str, Any]) -> dict[str, int]:
    """The number of finished epochs in a checkpoint, and of finished batches in the next epoch."""
    if "repronet" in content:
        return content["repronet"]["position"]
    return {"epochs": content["position"]["epochs"], "batches": content["position"]["steps"]}  # written by version 0.1


class AtomicCheckpointIO(CheckpointIO):
    """Makes a Trainer write and read checkpoints with the functions of this module."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def load_weights(task: ImageClassifier, path: Path) -> dict[str, Any]:
    """Load the evaluated weights of a checkpoint into ``task``, and return the content of the checkpoint.

    Raises:
        UserError: when they belong to another network.
    """
    content = read_checkpoint(path)
    try:
        task.network.load_state_dict(network_weights(content))
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{path}: the weights belong to another network ({reason})") from error
    return content


def network_weights(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of the evaluated network in a checkpoint: the averaged weights if there are any.

    Version 0.1 stored averaged weights next to the others.
    """
    weights = content["state_dict"]
    averaged = int(weights.get("averaged.n_averaged", 0)) > 0
    prefix = "averaged.module." if averaged else "network."
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
