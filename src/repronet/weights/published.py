"""The weights that torchvision publishes, by torchvision's names, such as IMAGENET1K_V1.

torchvision's GoogLeNet and Inception-v3 were trained on pixels normalised with mean 0.5 and standard deviation 0.5 in
each channel; its builders convert the other networks' pixels to these (``transform_input``), which a state dict cannot.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import sys
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

from torch import Tensor, hub

from repronet import models
from repronet.errors import UserError
from repronet.weights.files import Source, from_mapping

if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

# Our network: torchvision's builder of the same network. If one name means two networks, ours is the paper's.
BUILDERS: dict[str, str] = {
    "alexnet_owt": "alexnet",
    "googlenet_bn": "googlenet",
    "inception_v3": "inception_v3",
    **{f"vgg{depth}{norm}": f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")},
    **{f"resnet{depth}": f"resnet{depth}" for depth in (18, 34)},
    **{f"resnet{depth}_v1_5": f"resnet{depth}" for depth in (50, 101, 152)},
    **{name: name for name in ("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d")},
    **{f"densenet{depth}": f"densenet{depth}" for depth in (121, 161, 169, 201)},
}

# torchvision's name, if it means another network here: our name of torchvision's network.
OTHERWISE_NAMED: dict[str, str] = {builder: name for name, builder in BUILDERS.items() if builder not in BUILDERS}

_OWN = "torchvision/"  # the prefix of torchvision's own networks

ATTEMPTS = 3  # number of tries of a download that is cut off

_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # torch.hub puts the first digits of the file's SHA-256 into its name


def is_a_name(source: str) -> bool:
    """Whether ``source`` looks like one of torchvision's names and not like a path: IMAGENET1K_V1, DEFAULT."""
    return re.fullmatch(r"[A-Z][A-Z0-9_]*", source) is not None


def builder_of(network: str) -> str | None:
    """The name of torchvision's builder of a network, ours or its own; None if it has no such network."""
    return network.removeprefix(_OWN) if network.startswith(_OWN) else BUILDERS.get(network)


def are_alike(network: str, other: str) -> bool:
    """Whether weights of ``network`` may be loaded into ``other``: the same network, or one with the same builder.

    torchvision's weights may also be loaded into a network from timm; the keys and shapes then decide.
    """
    builder = builder_of(network)
    return network == other or (builder is not None and (other.startswith("timm/") or builder == builder_of(other)))


def entries_for(network: str) -> Mapping[str, WeightsEnum]:
    """torchvision's weights for a network, by name; empty if it has no such network."""
    from torchvision.models import get_model_weights

    builder = builder_of(network)
    return get_model_weights(builder).__members__ if builder else {}


def names_for(network: str) -> list[str]:
    """torchvision's names of weights for ``network``; empty if it has no such network."""
    return [entry for entry in entries_for(network) if entry != "DEFAULT"]


def fetch(name: str, network: str | None) -> Source:
    """torchvision's weights ``name`` for ``network``, from torch.hub's folder or downloaded into it.

    The SHA-256 of the file is compared with its name at every call, not only at the download.

    Raises:
        UserError: if torchvision has no such weights for the network, they cannot be downloaded, or the file is
            damaged; a damaged file in torch.hub's folder is removed.
    """
    url = entry(name, network).url
    file = Path(hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name
    origin = f"weights={name}"
    if file.exists() and not _hash_holds(file):
        file.unlink()
        raise UserError(
            f"{origin}: {file} was damaged (its SHA-256 is not the one in its name) and is removed; try again"
        )
    return from_mapping(_downloaded(url, file, origin), origin, network)


def _downloaded(url: str, file: Path, origin: str, attempts: int = ATTEMPTS) -> Mapping[str, Tensor]:
    """The state dict at ``url``; the download is repeated if it was cut off or damaged."""
    try:
        return hub.load_state_dict_from_url(
            url, map_location="cpu", progress=sys.stderr.isatty(), check_hash=True, weights_only=True
        )
    except pickle.UnpicklingError as error:
        file.unlink(missing_ok=True)
        raise UserError(f"{origin}: {url} is refused, it holds more than tensors and plain values") from error
    except (OSError, RuntimeError, HTTPException) as error:  # no connection (URLError is an OSError), or cut off
        if attempts > 1 and not isinstance(error, FileNotFoundError):
            return _downloaded(url, file, origin, attempts - 1)
        reason = str(getattr(error, "reason", "") or error).splitlines()[0]
        raise UserError(f"{origin}: {url} cannot be downloaded ({reason}); save the file as {file}") from error


def network_of(file: Path) -> str | None:
    """The network whose weights torchvision publishes under this file name, by our name if there is one.

    None for any other file.

    Raises:
        UserError: if the file has such a name but other content.
    """
    if _HASH.search(file.name) is None:
        return None
    from torchvision.models import get_model_weights

    foreign = {name: name.removeprefix(_OWN) for name in models.foreign.names("torchvision")}
    names = [
        name
        for name, builder in (*BUILDERS.items(), *foreign.items())
        if any(urlparse(entry.url).path.endswith(f"/{file.name}") for entry in get_model_weights(builder))
    ]
    if names and not _hash_holds(file):
        raise UserError(f"{file}: damaged, its SHA-256 is not the one in its name; download it again, or rename it")
    return names[0] if names else None


def entry(name: str, network: str | None) -> WeightsEnum:
    if network is None:
        raise UserError(
            f"weights={name}: this is no network of repronet.models, so torchvision's cannot be found by name"
        )
    if network in OTHERWISE_NAMED:
        ours = OTHERWISE_NAMED[network]
        raise UserError(f"weights={name}: torchvision's {network} is not model={network} here; it is model={ours}")
    entries = entries_for(network)
    if not entries:
        raise UserError(f"weights={name}: torchvision has no weights for model={network}; give the path of a file")
    if name not in entries:
        choices = ", ".join(names_for(network))
        raise UserError(f"weights={name}: torchvision has none of that name for model={network} (choices: {choices})")
    return entries[name]


def _hash_holds(file: Path) -> bool:
    found = _HASH.search(file.name)
    if found is None:
        return True  # all of torchvision's file names have a hash
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest().startswith(found[1])
