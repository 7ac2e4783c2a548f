"""Reading state dicts out of files without running anything that stands in them."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from repronet.errors import UserError

# Where training programs put the state dict: ours, Lightning's, timm's and akamaster's; torchvision's references.
_WRAPPERS = ("state_dict", "model")

_SHOWN = 80  # characters of a name out of a file; a damaged or hostile one may be of any length


@dataclass(frozen=True)
class Source:
    """Named tensors, and what is known of where they come from.

    Attributes:
        origin: what an error calls them: a path, or torchvision's name.
        tensors: under the keys of whoever wrote them.
        network: the name of the network that they say they belong to, or None where they do not say.
    """

    origin: str
    tensors: dict[str, Tensor]
    network: str | None = None


def read(path: Path) -> Source:
    """The tensors in a ``.safetensors`` file, or in anything that :func:`torch.save` wrote: .pth, .pt, .th, .ckpt.

    Raises:
        UserError: when the file is absent, damaged, or holds more than tensors and plain values.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name the file in it that holds the weights (checkpoints/best.ckpt)")
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        tensors, said = _read_safetensors(path)
        return from_mapping(tensors, str(path), said.get("network"))
    content = plain_content(path)
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a state dict")
    for wrapper in _WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            return from_mapping(_evaluated(content[wrapper]), str(path), _network_of_the_run(content))
    return from_mapping(content, str(path))


def from_mapping(tensors: Mapping[Any, Any], origin: str, network: str | None = None) -> Source:
    """A state dict that is in memory already.

    Raises:
        UserError: when a key is no text, or a value no dense tensor of finite numbers.
    """
    for key, value in tensors.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise UserError(f"{origin}: no state dict: {printable(key)} is a {type(value).__name__}, not a tensor")
        if value.layout != torch.strided or value.is_quantized:
            raise UserError(f"{origin}: {printable(key)} is no dense tensor; only dense ones can be loaded")
        if value.is_floating_point() and not value.is_meta and not value.isfinite().all():
            raise UserError(
                f"{origin}: {printable(key)} holds numbers that are not finite; damaged, or a failed training"
            )
    if not tensors:
        raise UserError(f"{origin}: holds no tensor")
    return Source(origin, dict(tensors), network)


def printable(name: object) -> str:
    """A name out of a file, fit to stand in one line."""
    text = name if isinstance(name, str) and name.isprintable() else repr(name)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


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
    """What :func:`torch.save` wrote, tensors and plain values only.

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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle's protocol; what is not plain is refused below
            return torch.load(path, weights_only=True, map_location="cpu")
    except UserError:
        raise
    except Exception as error:  # on garbage the unpickler fails in any way: IndexError, struct.error, AssertionError
        raise UserError(
            f"{path}: refused, it holds more than tensors and plain values, or is damaged "
            f"({type(error).__name__} while reading it)"
        ) from error


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
