"""Convert other libraries' names of tensors into ours, which are torchvision's."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from torch import Tensor

# Prefixes that wrappers put before every key: our LightningModule, DataParallel, torch.compile, other people's.
_PREFIXES = ("network.", "module.", "_orig_mod.", "model.", "net.")

_STEM = ("conv1", "bn1", "conv2", "bn2", "conv3", "bn3")  # ours: three convolutions in one sequence, then bn1
_DEEP_STEM = dict(zip(_STEM, ("conv1.0", "conv1.1", "conv1.3", "conv1.4", "conv1.6", "bn1"), strict=True))
_OLD_DENSE_LAYER = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")


def _legacy_senet(key: str) -> str:
    """timm's legacy_seresnet50, legacy_seresnext50_32x4d and legacy_senet154, after Cadene's port from Caffe.

    There the stem is a separate module: ``layer0.conv1`` is our ``conv1``.
    """
    key = key.removeprefix("layer0.").replace(".se_module.", ".se.")
    return f"fc.{key.removeprefix('last_linear.')}" if key.startswith("last_linear.") else key


def _deep_legacy_senet(key: str) -> str:
    """timm's legacy_senet154: the stem's three convolutions, which are one sequence in ours."""
    for theirs, ours in _DEEP_STEM.items():
        if key.startswith(f"layer0.{theirs}."):
            return key.replace(f"layer0.{theirs}", ours, 1)
    return _legacy_senet(key)


def _old_densenet(key: str) -> str:
    """torchvision's published DenseNets, older than its code: ``denselayer1.norm.1`` is now ``denselayer1.norm1``."""
    return _OLD_DENSE_LAYER.sub(r"\1\2", key)


def _akamaster(key: str) -> str:
    """github.com/akamaster/pytorch_resnet_cifar10: ``linear`` is the last layer, ``shortcut`` the option B shortcut."""
    key = key.replace(".shortcut.", ".downsample.")
    return f"fc.{key.removeprefix('linear.')}" if key.startswith("linear.") else key


# The first leaves every key as it is.
RENAMINGS: tuple[Callable[[str], str], ...] = (str, _legacy_senet, _deep_legacy_senet, _old_densenet, _akamaster)


def convert(tensors: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    """The tensors under the naming whose keys differ least from the ``wanted`` ones.

    Only keys change, never a tensor. A tensor is dropped only if all wanted keys are below one prefix and its own is
    not, such as a loss's tensor beside ``model.``, or the counter of an averaged network beside ``module.``. timm's
    resnet50, seresnet50 and similar networks already have our keys.
    """
    bare = dict(tensors)
    while found := [p for p in _PREFIXES if _all_begin(bare, p) and not _all_begin(wanted, p)]:
        bare = {key.removeprefix(found[0]): tensor for key, tensor in bare.items()}
    naming = _renamed(bare, wanted)
    places = [] if _fills(naming, wanted) else places_of(bare, wanted)
    chosen = [place for place in places if place in _PREFIXES] or places
    if len(chosen) != 1:  # none, or several, of which any may be meant
        return naming
    return _renamed({key.removeprefix(chosen[0]): bare[key] for key in bare if key.startswith(chosen[0])}, wanted)


def places_of(keys: Collection[str], wanted: Collection[str]) -> list[str]:
    """The prefixes below which all ``wanted`` keys are found, under some naming."""
    first = next((key for key in wanted if not is_counter(key)), None)
    cuts = {(key[: dot + 1], key[dot + 1 :]) for key in keys for dot, sign in enumerate(key) if sign == "."}
    places = {prefix for prefix, rest in cuts if any(rename(rest) == first for rename in RENAMINGS)}
    below = {place: [key.removeprefix(place) for key in keys if key.startswith(place)] for place in sorted(places)}
    return [p for p, rest in below.items() if any(_fills(set(map(rename, rest)), wanted) for rename in RENAMINGS)]


def is_counter(key: str) -> bool:
    """Whether a key is a batch normalisation counter, which checkpoints older than torch 0.4.1 lack."""
    return key.rpartition(".")[2] == "num_batches_tracked"


def _renamed(tensors: Mapping[str, Tensor], wanted: Collection[str]) -> dict[str, Tensor]:
    namings = [{rename(key): tensor for key, tensor in tensors.items()} for rename in RENAMINGS]
    whole = [naming for naming in namings if len(naming) == len(tensors)]  # no two keys became one
    return min(whole, key=lambda naming: len(naming.keys() ^ set(wanted)))  # in a tie the first, so unchanged keys


def _fills(found: Collection[str], wanted: Collection[str]) -> bool:
    return all(key in found or is_counter(key) for key in wanted)


def _all_begin(keys: Collection[str], prefix: str) -> bool:
    return len(keys) > 0 and all(key.startswith(prefix) for key in keys)
