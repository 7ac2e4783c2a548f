"""Load weights from a file, from torchvision or from a state dict into a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from repronet import zoo
from repronet.errors import UserError
from repronet.weights import files, identity, published
from repronet.weights.adapt import Differences, differences, with_input_channels
from repronet.weights.converters import convert, places_of
from repronet.weights.files import Source


@dataclass(frozen=True)
class Loaded:
    """The result of :func:`load`."""

    origin: str  # the path, torchvision's name, or "the given state dict"
    network: str | None  # the network that the source says it belongs to; None if it does not say
    fresh: tuple[str, ...] = ()  # keys of the heads that were left unchanged, because the classes differ
    reshaped: str | None = None  # the first convolution's key if its input channels were adapted, else None
    # unused keys of the source, which do not belong to the network: a loss's, a metric's, a counter
    aside: tuple[str, ...] = ()


def load(
    network: nn.Module,
    source: str | Path | Mapping[str, Tensor],
    *,
    adapt_head: bool = False,
    adapt_input: bool = False,
) -> Loaded:
    """Load the weights of ``source`` into ``network``, all of them or none.

    Args:
        network: any module; its parameters keep their device and dtype. One on the meta device gets memory on the CPU.
        source: the path of a file of :func:`repronet.weights.save` or of ``torch.save``; a run folder, for its best
            checkpoint; ``"repronet/NAME"`` from ``repronet list weights``; torchvision's name of published weights,
            such as ``"IMAGENET1K_V1"``; or a state dict. Keys may be those of torchvision, of timm's SENets (old or
            new) or of akamaster's CIFAR ResNets, below any prefix; for a network from timm or torchvision, that
            library's.
        adapt_head: leave output layers, including auxiliary ones, unchanged if the number of classes differs.
        adapt_input: adapt the first convolution to other input channels by
            :func:`repronet.weights.adapt.with_input_channels`.

    A state dict without a name fills every network with its keys and shapes: nothing in it distinguishes resnet50 from
    resnet50_v1_5. Published files, .safetensors files of :func:`save` and checkpoints of our runs name their network.

    Raises:
        UserError: if the source cannot be read, says that it belongs to another network, or does not fit key by key;
            the network is then unchanged.
    """
    found, tensors, unlike = _matched(network, source)
    ours = network.state_dict()
    if (unlike.heads and not adapt_head) or (unlike.stem and not adapt_input):
        needed = [*(["adapt_head=True"] if unlike.heads else []), *(["adapt_input=True"] if unlike.stem else [])]
        raise UserError(f"{found.origin}: does not fit: {unlike}; {' and '.join(needed)} would load the rest")
    taken = {id(tensor) for tensor in tensors.values()}
    aside = tuple(key for key, tensor in found.tensors.items() if id(tensor) not in taken)
    if unlike.stem:
        tensors[unlike.stem] = with_input_channels(tensors[unlike.stem], ours[unlike.stem].shape[1])
    left = {key: ours[key] for key in ours if key not in tensors or key in unlike.heads}
    _put(network, {**tensors, **left}, found.origin)
    return Loaded(found.origin, found.network, unlike.heads, unlike.stem, aside)


def shapes(network: nn.Module, source: str | Path | Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes of a source's tensors under the network's keys, for the same sources as :func:`load`.

    Raises:
        UserError: if the source cannot be read, belongs to another network, or differs in more than its number of
            classes and of input channels.
    """
    return {key: tuple(tensor.shape) for key, tensor in _matched(network, source)[1].items()}


def _matched(
    network: nn.Module, source: str | Path | Mapping[str, Tensor]
) -> tuple[Source, dict[str, Tensor], Differences]:
    """The source, its tensors under the network's keys, and their differences, at most in the first and last layers."""
    found, ours = _find(network, source), network.state_dict()
    tensors = convert(found.tensors, ours.keys())
    unlike = differences(tensors, ours)
    if unlike.beyond_the_ends:
        names, places = identity.fitting(found.tensors), places_of(found.tensors, ours)
        hint = f"; its keys and shapes are those of model={' or '.join(names)}" if names else ""
        if len(places) > 1:
            hint = f"; the network is in it under {' and '.join(map(files.printable, places))}; keep one of them"
        raise UserError(f"{found.origin}: does not fit: {unlike}{hint}")
    return found, tensors, unlike


def _find(network: nn.Module, source: str | Path | Mapping[str, Tensor]) -> Source:
    """Read the source; raises UserError if it says that it belongs to another network."""
    if isinstance(source, Mapping):
        return files.from_mapping(source, "the given state dict")
    if not isinstance(source, (str, Path)):
        raise UserError(f"weights: a {type(source).__name__} is not a source; give a path, a name or a state dict")
    path, name = Path(source).expanduser(), identity.name_of(network)
    if isinstance(source, str) and published.is_a_name(source) and not path.exists():
        return published.fetch(source, name)
    named = zoo.is_named(source)
    read = files.read(zoo.path_of(str(source)) if named else path)
    found = Source(
        f"weights={source}" if named else read.origin, read.tensors, read.network or published.network_of(path)
    )
    if name is not None and found.network is not None and not published.are_alike(found.network, name):
        theirs = files.printable(found.network)
        raise UserError(f"{found.origin}: holds weights of model={theirs}, not of model={name}")
    return found


def _put(network: nn.Module, tensors: Mapping[str, Tensor], origin: str) -> None:
    """Copy ``tensors``, one per key of the network, into it; a network without memory (meta device) first gets some."""
    if any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers())):
        counters = [key for key, tensor in tensors.items() if tensor.is_meta and tensor.ndim == 0]
        tensors = {**tensors, **{key: torch.zeros((), dtype=tensors[key].dtype) for key in counters}}
        constants = [key for key, _ in network.named_buffers() if key not in tensors]
        empty = [key for key, tensor in tensors.items() if tensor.is_meta]
        if constants or empty:
            key = (constants + empty)[0]
            raise UserError(
                f"{origin}: nothing in it fills {key}, and the network is on the meta device; build it on the CPU"
            )
        network.to_empty(device="cpu")
    state = network.state_dict()  # has the layers' versions, without which torchvision's MnasNet rejects it
    state.update(tensors)
    network.load_state_dict(state)
