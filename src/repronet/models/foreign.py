"""Networks of timm and torchvision, by names with a slash: ``timm/convnext_tiny``, ``torchvision/resnet50``.

A name is accepted only if the library registers a network under it; it is never a path, an address or a keyword. The
names are read from the library's source code, so that a wrong one is refused before torch is imported. Like all of our
networks, they are built with the requested classes, channels and layers, and have an ``input_size``.
"""

from __future__ import annotations

import re
import warnings
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from repronet.errors import UserError, nearest

if TYPE_CHECKING:
    from torch import nn

    from repronet.models.variant import Build

LIBRARIES = ("timm", "torchvision")
CLASSES = 1000  # of ImageNet, the default in both libraries

_REGISTERED = re.compile(r"^@register_model\b.*\n(?:@.*\n)*def (\w+)\(", re.MULTILINE)
_AUX_WEIGHTS = {"googlenet": 0.3, "inception_v3": 0.4}  # as in our networks of these names


def is_foreign(name: str) -> bool:
    """Whether ``name`` has the form of another library's network: ``LIBRARY/NAME``."""
    library, slash, _ = name.partition("/")
    return bool(slash) and library in LIBRARIES


@cache
def names(library: str) -> tuple[str, ...]:
    """The library's classification networks, each as ``LIBRARY/NAME``; none if it is not installed."""
    spec = find_spec(library)
    if spec is None or spec.origin is None:
        return ()
    files = sorted((Path(spec.origin).parent / "models").glob("*.py"))
    found = [name for file in files for name in _REGISTERED.findall(file.read_text(encoding="utf-8"))]
    return tuple(f"{library}/{name}" for name in sorted(found))


def require_library(library: str, word: str) -> None:
    """Raises: UserError, beginning with ``word``, if the library is not installed."""
    if not names(library):
        raise UserError(f"{word}: needs {library}: pip install {library}")


def require(name: str) -> None:
    """Refuse a name that its library does not have; needs no torch.

    Raises:
        UserError: for such a name, with the nearest known name, or if the library is not installed.
    """
    library = name.partition("/")[0]
    require_library(library, f"model={name}")
    known = names(library)
    if name in known:
        return
    plain, dot, _ = name.partition(".")
    if dot and plain in known:  # timm's form for pretrained weights
        raise UserError(f"model={name}: has weights in its name; use model={plain} weights={name}")
    listed = f"`repronet list {library}` names all {len(known)}"
    raise UserError(f"model={name}: no such network{nearest(name, known)} ({listed})")


def builder(name: str) -> Build[nn.Module]:
    """The function that builds the network ``name`` with fresh weights, like those of our own.

    Raises:
        UserError: for a name that its library does not have.
    """
    from repronet.models.variant import variant  # here, because refusing a name must not need torch

    require(name)
    library, _, short = name.partition("/")
    make, classes = (_timm, _timm_classes(short)) if library == "timm" else (_torchvision, CLASSES)
    return variant(name, partial(make, short), num_classes=classes)


def _timm_classes(short: str) -> int:
    import timm

    published = timm.get_pretrained_cfg(short)
    return (published.num_classes if published else 0) or CLASSES  # 0: published without a classifier


def _timm(short: str, num_classes: int, in_channels: int, layers: ModuleType) -> nn.Module:
    """A network of timm, which adapts the head and the input channels itself."""
    import timm

    network: Any = timm.create_model(short, num_classes=num_classes, in_chans=in_channels)
    if not hasattr(network, "get_classifier"):
        raise UserError(f"model=timm/{short}: has no classifier; use another network")
    return _with_input_size(network, f"timm/{short}", network.pretrained_cfg["input_size"][1:], layers)


def _torchvision(short: str, num_classes: int, in_channels: int, layers: ModuleType) -> nn.Module:
    """A network of torchvision, which adapts the head itself but builds for three input channels only."""
    import torch
    from torchvision.models import get_model, get_model_weights

    build = partial(get_model, short, weights=None, num_classes=num_classes)
    with warnings.catch_warnings():  # two networks warn that their initialisation is slow
        warnings.simplefilter("ignore", FutureWarning)
        try:
            network = build()
        except NotImplementedError:  # RegNet computes its widths with tensors, which fails on the meta device
            with torch.device("cpu"):
                network = build()
            network.to(torch.get_default_device())
    if in_channels != 3:
        _adapt_channels(network, in_channels)
    if short in _AUX_WEIGHTS:
        network.aux_weight = _AUX_WEIGHTS[short]  # type: ignore[assignment]
    crop = get_model_weights(short).DEFAULT.transforms().crop_size[0]  # type: ignore[attr-defined]
    side = getattr(network, "image_size", crop)  # a vision transformer's own, which may differ from its weights'
    return _with_input_size(network, f"torchvision/{short}", (side, side), layers)  # type: ignore[arg-type]


def _adapt_channels(network: nn.Module, channels: int) -> None:
    """Replace the first convolution by one for ``channels`` channels; its new weights have the same spread."""
    import torch
    from torch import nn

    path, old = next((path, module) for path, module in network.named_modules() if isinstance(module, nn.Conv2d))
    sizes = (old.kernel_size, old.stride, old.padding, old.dilation, old.groups, old.bias is not None)
    new = nn.Conv2d(channels, old.out_channels, *sizes)  # type: ignore[arg-type]
    with torch.no_grad():
        new.weight.copy_(torch.randn_like(new.weight) * old.weight.std())
    parent, _, child = path.rpartition(".")
    setattr(network.get_submodule(parent), child, new)


def _with_input_size(network: nn.Module, name: str, size: tuple[int, int], layers: ModuleType) -> nn.Module:
    from torch import nn

    if size[0] != size[1]:
        raise UserError(f"model={name}: needs images of {size[0]}×{size[1]}, not square; use another network")
    network.input_size = size[0]  # type: ignore[assignment]
    if layers is not nn:
        from repronet.layers import convert

        convert(network)
    return network


def stage_numbers(network: nn.Module) -> dict[str, int]:
    """The number of each parameter's stage in a network of timm, as timm groups them; empty if it does not.

    It does not for networks of other libraries, for some of its own, and for those that use a weight in two places.
    """
    if not str(getattr(network, "architecture", "")).startswith("timm/") or not hasattr(network, "group_matcher"):
        return {}
    from timm.models import group_parameters

    try:
        groups = group_parameters(network, network.group_matcher(coarse=True))  # type: ignore[operator]
    except AssertionError:  # raised by timm for what it has not implemented
        return {}
    numbers = {name: number for number, members in groups.items() for name in members}
    places = dict(network.named_parameters(remove_duplicate=False))
    return numbers if numbers.keys() == places.keys() else {}
