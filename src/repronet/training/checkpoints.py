"""Checkpoints: written whole, with a checksum inside, and read without running anything that stands in them."""

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
    """SHA-256 over every key, value, shape, dtype and byte of ``content``, but for a checksum in it.

    PyTorch's container has a checksum too, which its reader does not check.
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
    """Write ``content`` with its checksum; ``path`` is at every moment whole.

    Raises:
        Fault: when it cannot be written; what stood there before still does.
    """
    file = io.BytesIO()  # torch.save into a full disk leaves an error that names nothing
    torch.save({**content, CHECKSUM: checksum(content)}, file)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, file.getbuffer())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a run's checkpoint: tensors and plain values only.

    Raises:
        UserError: when the file is damaged, another Trainer's, or holds anything else, which is then not loaded.
    """
    content = read_any(path)
    if lacking := sorted(_NEEDED - content.keys()):
        hint = "" if CHECKSUM in content else "; of a plain Trainer's: ImageClassifier.load_from_checkpoint(path)"
        raise UserError(f"{path}: not a checkpoint of a run; it lacks {', '.join(lacking)}{hint}")
    return content


def read_any(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, a run's or that of a Trainer of the user's own: tensors and plain values only.

    Raises:
        UserError: as :func:`read_checkpoint`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle's protocol; what is not plain is refused below
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
    """The config of the run that a checkpoint is of, plain values.

    Raises:
        UserError: when it holds none.
    """
    config = content.get("repronet", {}).get("config") or content.get("hyper_parameters", {}).get("config")
    if not isinstance(config, dict) or not {"model", "data", "optimizer"} <= config.keys():
        raise UserError(f"{path}: holds no config of a run")
    return config


def position_in(content: Mapping[str, Any]) -> dict[str, int]:
    """How many epochs a checkpoint has done, and how many batches of the next."""
    if "repronet" in content:
        return content["repronet"]["position"]
    return {"epochs": content["position"]["epochs"], "batches": content["position"]["steps"]}  # of version 0.1


class AtomicCheckpointIO(CheckpointIO):
    """How a Trainer writes and reads checkpoints: by the functions of this file."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        write_checkpoint(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def load_weights(task: ImageClassifier, path: Path) -> dict[str, Any]:
    """Put the evaluated weights of a checkpoint into ``task``; returns the content of the checkpoint.

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
    """The evaluated network's tensors of a checkpoint, averaged where there is an average.

    Version 0.1 kept averaged weights beside the others.
    """
    weights = content["state_dict"]
    averaged = int(weights.get("averaged.n_averaged", 0)) > 0
    prefix = "averaged.module." if averaged else "network."
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
