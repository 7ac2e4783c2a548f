"""Where a state dict and a network differ, and the two differences that can be bridged: classes and input channels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from repronet.weights.files import printable

_COUNTER = "num_batches_tracked"  # of batch normalisation; checkpoints older than torch 0.4.1 have none

_LISTED = 3  # keys of each kind that an error names


@dataclass(frozen=True)
class Differences:
    """What keeps a state dict from filling a network.

    Attributes:
        missing: keys of the network that the state dict has not; counters of batch normalisation may be absent.
        unexpected: keys of the state dict that the network has not.
        stem: the weight of the network's first convolution, where nothing but its input channels is other.
        heads: the weights and biases of output layers, auxiliary ones too, where nothing but the classes is other.
        unlike: every other key of both whose tensors are unlike in shape or kind.
        shapes: of stem, heads and unlike: theirs and the network's, in words.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    stem: str | None
    heads: tuple[str, ...]
    unlike: tuple[str, ...]
    shapes: Mapping[str, str]

    @property
    def beyond_the_ends(self) -> bool:
        """Whether more differs than classes and input channels."""
        return bool(self.missing or self.unexpected or self.unlike)

    def __bool__(self) -> bool:
        return bool(self.beyond_the_ends or self.stem or self.heads)

    def __str__(self) -> str:
        """All of it in one line, the names shortened after a few."""
        mis_shaped = [*([self.stem] if self.stem else []), *self.heads, *self.unlike]
        kinds = (
            ("missing", self.missing),
            ("unexpected", self.unexpected),
            ("mis-shaped", [f"{printable(key)} {self.shapes[key]}" for key in mis_shaped]),
        )
        return "; ".join(f"{len(names)} {kind}: {_shortened(names)}" for kind, names in kinds if names)


def differences(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> Differences:
    """Compare a state dict with that of a network."""
    missing = tuple(key for key in ours if key not in theirs and key.rpartition(".")[2] != _COUNTER)
    unexpected = tuple(key for key in theirs if key not in ours)
    unlike = [key for key in ours if key in theirs and not _alike(theirs[key], ours[key])]
    shapes = {key: _in_words(theirs[key], ours[key]) for key in unlike}
    stem = _stem(unlike, theirs, ours)
    rest = [key for key in unlike if key != stem]
    heads = tuple(rest) if _are_heads(rest, theirs, ours) else ()
    return Differences(missing, unexpected, stem, heads, () if heads else tuple(rest), shapes)


def first_convolution(ours: Mapping[str, Tensor]) -> str | None:
    """The key of a network's first convolution, out of its own state dict, which is in the order of definition."""
    return next((key for key, tensor in ours.items() if tensor.ndim == 4), None)


def with_input_channels(weight: Tensor, channels: int) -> Tensor:
    """The first convolution's weight (O, C, k, k) for images of other ``channels``: (O, ``channels``, k, k).

    To one channel: w'[:, 0] = Σ_c w[:, c], which answers a grey image as w answers it repeated over all C planes.
    To several: w'[:, c] = w[:, c mod C] · C / ``channels``, which keeps the size of the answer.
    """
    given = weight.shape[1]
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)  # (O, C, k, k) → (O, 1, k, k)
    planes = [c % given for c in range(channels)]
    return weight[:, planes] * (given / channels)  # (O, C, k, k) → (O, channels, k, k)


def _stem(unlike: list[str], theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> str | None:
    key = first_convolution(ours)
    if key is None or key not in unlike or theirs[key].ndim != 4 or not _same_kind(theirs[key], ours[key]):
        return None
    (out, _, *kernel), (own_out, _, *own_kernel) = theirs[key].shape, ours[key].shape
    return key if (out, kernel) == (own_out, own_kernel) and theirs[key].shape[1] > 0 else None


def _are_heads(keys: list[str], theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> bool:
    """Whether nothing but class counts sets these keys apart.

    Output layers are told by that nobody consumes their outputs: were a layer within the network of another width, so
    would be the normalisation or the layer after it.
    """
    counts = {(theirs[key].shape[:1], ours[key].shape[:1]) for key in keys}
    return len(counts) == 1 and all(_is_of_a_head(key, keys, theirs[key], ours[key]) for key in keys)


def _is_of_a_head(key: str, keys: list[str], their: Tensor, our: Tensor) -> bool:
    layer, _, kind = key.rpartition(".")
    if not _same_kind(their, our) or their.ndim != our.ndim or their.shape[1:] != our.shape[1:]:
        return False
    is_linear = our.ndim == 2 or (our.ndim == 4 and our.shape[2:] == (1, 1))
    return (kind == "weight" and is_linear) or (kind == "bias" and our.ndim == 1 and f"{layer}.weight" in keys)


def _alike(their: Tensor, our: Tensor) -> bool:
    return their.shape == our.shape and _same_kind(their, our)


def _same_kind(their: Tensor, our: Tensor) -> bool:
    return _kind(their) == _kind(our)


def _kind(tensor: Tensor) -> str:
    if tensor.is_complex():
        return "complex"
    return "floating" if tensor.is_floating_point() else "whole"


def _in_words(their: Tensor, our: Tensor) -> str:
    words = f"{tuple(their.shape)} for {tuple(our.shape)}"
    return words if _same_kind(their, our) else f"{words}, {_kind(their)} numbers for {_kind(our)} ones"


def _shortened(names: Iterable[str]) -> str:
    listed = [printable(name) for name in names]
    more = len(listed) - _LISTED
    return ", ".join(listed[:_LISTED]) + (f" and {more} more" if more > 0 else "")
