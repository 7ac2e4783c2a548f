"""Reading state dicts out of files without running anything that stands in them."""

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

# Where training programs put the state dict: ours, Lightning's, timm's and akamaster's; torchvision's references; the
# tutorials'. The first of these that is there; a moving mean only where it stands alone.
_WRAPPERS = ("state_dict", "model", "net", "network", "model_state_dict", "model_state", "state")
_MEANS = ("state_dict_ema", "model_ema", "ema_state_dict", "ema")
_DEPTH = 3  # of wrappers in wrappers

_LISTED = 3  # names of each kind that a line has room for
_SHOWN = 80  # characters of a name out of a file; a damaged or hostile one may be of any length


@dataclass(frozen=True)
class Source:
    """Named tensors, and what is known of where they come from."""

    origin: str  # what an error calls them: a path, or torchvision's name
    tensors: dict[str, Tensor]  # under the keys of whoever wrote them
    network: str | None = None  # the name of the network that they say they belong to, or None where they do not say


def read(path: Path) -> Source:
    """The tensors in a ``.safetensors`` file, or in anything that :func:`torch.save` wrote: .pth, .pt, .th, .ckpt.

    Of a run folder its best checkpoint.

    Raises:
        UserError: when the file is absent, damaged, or holds more than tensors and plain values.
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
    """The state dict in a checkpoint: under a customary name, or else the one mapping of tensors that it holds."""
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
    """A state dict that is in memory already.

    Raises:
        UserError: when a key is no text, or a value no dense tensor of finite numbers.
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
    """Floats of eight bits as float32, which holds them exactly; torch computes nothing with them."""
    if not tensor.is_floating_point() or tensor.element_size() > 1:
        return tensor
    try:
        return tensor.float()
    except NotImplementedError as error:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise UserError(f"{origin}: {printable(key)} is {kind}, which torch cannot convert; save float32") from error


def printable(name: object) -> str:
    """A name out of a file, fit to stand in one line."""
    text = name if isinstance(name, str) and name.isprintable() else repr(name)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def listed(names: Sequence[object]) -> str:
    """Names out of a file in one line, the first of them where they are many."""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(map(printable, names[:_LISTED])) + more


def metadata(path: Path) -> dict[str, str]:
    """What a ``.safetensors`` file says beside its tensors.

    Raises:
        UserError: when it is damaged, or another kind of file.
    """
    return _read_safetensors(path, with_tensors=False)[1]


def _read_safetensors(path: Path, with_tensors: bool = True) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            keys = file.keys() if with_tensors else ()
            return {key: file.get_tensor(key) for key in keys}, file.metadata() or {}
    except Exception as error:  # the format's own error, or the system's
        raise UserError(f"{path}: damaged or no safetensors file ({type(error).__name__} while reading it)") from error


_AVERAGED = "averaged."  # of version 0.1; since then averaged weights stand in place of the others
_OTHERS = (_AVERAGED, "keeping.", "distillation.")  # what a run of ours has beside its network


def _evaluated(tensors: Mapping[Any, Any]) -> dict[Any, Any]:
    """The averaged weights of a run of ours that has them, as its figures are theirs; else the network's own."""
    mean = f"{_AVERAGED}module."
    if any(isinstance(key, str) and key.startswith(mean) for key in tensors) and tensors[f"{_AVERAGED}n_averaged"] > 0:
        return {key.removeprefix(mean): tensor for key, tensor in tensors.items() if str(key).startswith(mean)}
    return {key: tensor for key, tensor in tensors.items() if not str(key).startswith(_OTHERS)}


def plain_content(path: Path) -> Any:
    """What :func:`torch.save` wrote: tensors and plain values, with stand-ins for what else no network needs.

    Raises:
        UserError: when the file is damaged or holds anything else, which is then not loaded.
    """
    try:
        if zipfile.is_zipfile(path):  # an old torch wrote none, and no checksums; torch itself checks none
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()
            if damaged is not None:
                name = printable(damaged)
                raise UserError(f"{path}: damaged, {name} in it is not what was written; fetch it again")
        with warnings.catch_warnings(), torch.serialization.safe_globals(STAND_INS):
            warnings.simplefilter("ignore")  # about pickle's protocol; what is not plain is refused below
            return torch.load(path, weights_only=True, map_location="cpu")
    except UserError:
        raise
    except Exception as error:  # on garbage the unpickler fails in any way: IndexError, struct.error, AssertionError
        raise UserError(f"{path}: refused, {_reason(error, path)}") from error


def _reason(error: Exception, path: Path) -> str:
    """Why torch would not read a file, and what its owner can do."""
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


_OLD_NAME = ("hyper_parameters", "config", "model", "name")  # where version 0.1 kept it


def _network_of_the_run(content: Mapping[str, Any]) -> str | None:
    """The network's name in the config that every checkpoint of ours carries."""
    for path in (("repronet", "config", "model", "name"), ("hyper_parameters", "network", "name"), _OLD_NAME):
        found: Any = content
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        if isinstance(found, str):
            return found
    return None
