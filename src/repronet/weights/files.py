"""Read state dicts from files without running any code from them."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from repronet.errors import UserError
from repronet.runs import BEST, require_run
from repronet.weights.beside import STAND_INS

# Keys under which training programs store the state dict: ours, Lightning, timm, akamaster; torchvision's references;
# tutorials. The first one present is used; a moving average only if there is no other.
_WRAPPERS = ("state_dict", "model", "net", "network", "model_state_dict", "model_state", "state")
_MEANS = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
_DEPTH = 3  # greatest depth of nested wrappers

_LISTED = 3  # number of names of each kind listed in a line
_SHOWN = 80  # characters shown of a name from a file; in a damaged or hostile file it may have any length


@dataclass(frozen=True)
class Source:
    """Named tensors, with what is known about their origin."""

    origin: str  # the name of the source in error messages: a path, or torchvision's name
    tensors: dict[str, Tensor]  # under the keys of the program that wrote them
    network: str | None = None  # the name of the network that the source says it belongs to; None if it does not say


def read(path: Path) -> Source:
    """Read the tensors in a ``.safetensors`` file, or in a file of :func:`torch.save`: .pth, .pt, .th, .ckpt.

    From a run folder, the best checkpoint is read.

    Raises:
        UserError: if the file is absent, damaged, or holds more than tensors and plain values.
    """
    if path.is_dir():
        path = require_run(path, BEST, "weights")
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        tensors, said = _read_safetensors(path)
        return from_mapping(tensors, str(path), said.get("network"))
    content = plain_content(path)
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a state dict")
    return from_mapping(_evaluated(_unwrapped(content, path)), str(path), _network_of_the_run(content))


def _unwrapped(content: Mapping[Any, Any], path: Path) -> Mapping[Any, Any]:
    """The state dict in a checkpoint: under a common key, or else the only mapping of tensors that it holds."""
    for _ in range(_DEPTH):
        inner = {key: value for key, value in content.items() if isinstance(value, Mapping)}
        plain = [key for key, value in inner.items() if value and all(isinstance(v, Tensor) for v in value.values())]
        named = [name for name in (*_WRAPPERS, *_MEANS) if name in inner]
        if len(plain) > 1 and not named:
            raise UserError(f"{path}: holds several state dicts ({listed(plain)}); save the one that is meant alone")
        if not (named or plain):
            break
        content = inner[(named or plain)[0]]
    return content


def from_mapping(tensors: Mapping[Any, Any], origin: str, network: str | None = None) -> Source:
    """A source from a state dict in memory.

    Raises:
        UserError: if a key is not a string, or a value is not a dense tensor of finite numbers.
    """
    found = {}
    for key, value in tensors.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise UserError(f"{origin}: no state dict: {printable(key)} is a {type(value).__name__}, not a tensor")
        if value.layout != torch.strided or value.is_quantized:
            raise UserError(f"{origin}: {printable(key)} is not dense; only dense tensors can be loaded")
        value = found[key] = _wide(value, key, origin)
        if value.is_floating_point() and not value.is_meta and not value.isfinite().all():
            raise UserError(
                f"{origin}: {printable(key)} holds numbers that are not finite; damaged, or a failed training"
            )
    if not tensors:
        raise UserError(f"{origin}: holds no tensor")
    return Source(origin, found, network)


def _wide(tensor: Tensor, key: str, origin: str) -> Tensor:
    """Convert 8-bit floats, with which torch cannot compute, to float32, which represents them exactly."""
    if not tensor.is_floating_point() or tensor.element_size() > 1:
        return tensor
    try:
        return tensor.float()
    except NotImplementedError as error:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise UserError(f"{origin}: {printable(key)} is {kind}, which torch cannot convert; save float32") from error


def printable(name: object) -> str:
    """A name from a file, made printable in one line."""
    text = name if isinstance(name, str) and name.isprintable() else repr(name)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def listed(names: Sequence[object]) -> str:
    """Names from a file in one line; only the first if there are many."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(printable, names[:_LISTED])) + more


def metadata(path: Path) -> dict[str, str]:
    """The metadata of a ``.safetensors`` file.

    Raises:
        UserError: if it is damaged, or another kind of file.
    """
    return _read_safetensors(path, with_tensors=False)[1]


def _read_safetensors(path: Path, with_tensors: bool = True) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            keys = file.keys() if with_tensors else ()
            return {key: file.get_tensor(key) for key in keys}, file.metadata() or {}
    except Exception as error:  # the format's own error, or the system's
        raise UserError(f"{path}: damaged or no safetensors file ({type(error).__name__} while reading it)") from error


_AVERAGED = "averaged."  # used by version 0.1; since then averaged weights replace the others
_OTHERS = (_AVERAGED, "keeping.", "distillation.")  # prefixes of tensors that a run of ours has beside its network


def _evaluated(tensors: Mapping[Any, Any]) -> dict[Any, Any]:
    """The averaged weights if a run of ours has them, since its figures are from those; else the network's own."""
    mean = f"{_AVERAGED}module."
    if any(isinstance(key, str) and key.startswith(mean) for key in tensors) and tensors[f"{_AVERAGED}n_averaged"] > 0:
        return {key.removeprefix(mean): tensor for key, tensor in tensors.items() if str(key).startswith(mean)}
    return {key: tensor for key, tensor in tensors.items() if not str(key).startswith(_OTHERS)}


def plain_content(path: Path) -> Any:
    """Read a file of :func:`torch.save`: tensors and plain values, with stand-ins for objects that no network needs.

    Raises:
        UserError: if the file is damaged or holds anything else, which is then not loaded.
    """
    try:
        if zipfile.is_zipfile(path):  # files of an old torch are no zip and have no checksums; torch checks none
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged is not None:
                name = printable(damaged)
                raise UserError(f"{path}: damaged, {name} in it is not what was written; fetch it again")
        with warnings.catch_warnings(), torch.serialization.safe_globals(STAND_INS):
            warnings.simplefilter("ignore")  # warnings about pickle's protocol; anything not plain is refused below
            return torch.load(path, weights_only=True, map_location="cpu")
    except UserError:
        raise
    except Exception as error:  # on garbage the unpickler raises anything: IndexError, struct.error, AssertionError
        raise UserError(f"{path}: refused, {_reason(error, path)}") from error


def _reason(error: Exception, path: Path) -> str:
    """The reason why torch refused a file, and what its owner can do."""
    if "TorchScript" in str(error):
        way = f"torch.save(torch.jit.load({path.name!r}).state_dict(), 'weights.pth')"
        return f"it is a TorchScript program; save only its weights: {way}"
    found = re.search(r"GLOBAL (\S+)", str(error))
    if found is None:
        return f"it holds more than tensors and plain values, or is damaged ({type(error).__name__} while reading it)"
    way = f"torch.save(torch.load({path.name!r}, weights_only=False).state_dict(), 'weights.pth')"
    return (
        f"it holds {printable(found[1])}, and unpickling that may run code. If you trust it, save only its "
        f"tensors: {way}; for a checkpoint, use ['state_dict'] instead of .state_dict()"
    )


_OLD_NAME = ("hyper_parameters", "config", "model", "name")  # its path in checkpoints of version 0.1


def _network_of_the_run(content: Mapping[str, Any]) -> str | None:
    """The network's name from the config in every checkpoint of ours; None for other files."""
    for path in (("repronet", "config", "model", "name"), ("hyper_parameters", "network", "name"), _OLD_NAME):
        found: Any = content
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(found, str):
            return found
    return None
