"""Differences between a state dict and a network; those in classes and input channels can be adapted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from repronet.weights.converters import is_counter
from repronet.weights.files import listed, printable


@dataclass(frozen=True)
class Differences:
    """The differences that prevent a state dict from filling a network."""

    # keys of the network that the state dict lacks; counters of batch normalisation may be absent
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]  # keys of the state dict that the network lacks
    stem: str | None  # the weight of the first convolution, if it differs only in its input channels
    # the weights and biases of output layers, including auxiliary ones, if they differ only in their number of classes
    heads: tuple[str, ...]
    unlike: tuple[str, ...]  # every other common key whose tensors differ in shape or kind
    shapes: Mapping[str, str]  # for stem, heads and unlike: both shapes, in words

    @property
    def beyond_the_ends(self) -> bool:
        """Whether more differs than classes and input channels."""
        return bool(self.missing or self.unexpected or self.unlike)

    def __bool__(self) -> bool:
        return bool(self.beyond_the_ends or self.stem or self.heads)

    def __str__(self) -> str:
        """All differences in one line, with the first few names of each kind."""
        mis_shaped = [*([self.stem] if self.stem else []), *self.heads, *self.unlike]
        kinds = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "mis-shaped": [f"{printable(key)} {self.shapes[key]}" for key in mis_shaped],
        }
        return "; ".join(f"{len(names)} {kind}: {listed(names)}" for kind, names in kinds.items() if names)


def differences(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> Differences:
    """Compare a state dict with that of a network."""
    missing = tuple(key for key in ours if key not in theirs and not is_counter(key))
    unexpected = tuple(key for key in theirs if key not in ours)
    shapes = {}
    for key in ours.keys() & theirs.keys():
        shape, kind = tuple(theirs[key].shape), _kind(theirs[key])
        if kind != _kind(ours[key]):
            shapes[key] = f"{shape} for {tuple(ours[key].shape)}, {kind} numbers for {_kind(ours[key])} ones"
        elif shape != ours[key].shape:
            shapes[key] = f"{shape} for {tuple(ours[key].shape)}"
    unlike = [key for key in ours if key in shapes]
    stem = first_convolution(ours)
    if stem not in unlike or not _differs_in_planes(theirs[stem], ours[stem]):
        stem = None
    rest = [key for key in unlike if key != stem]
    heads = tuple(rest) if _are_heads(rest, theirs, ours) else ()
    return Differences(missing, unexpected, stem, heads, () if heads else tuple(rest), shapes)


def first_convolution(ours: Mapping[str, Tensor]) -> str | None:
    """The key of a network's first convolution in its own state dict, which is in the order of definition."""
    return next((key for key, tensor in ours.items() if tensor.ndim == 4), None)


def with_input_channels(weight: Tensor, channels: int) -> Tensor:
    """Adapt the first convolution's weight (O, C, k, k) to another number of ``channels``: (O, ``channels``, k, k).

    To one channel: w'[:, 0] = Σ_c w[:, c], whose output for a grey image is that of w for the image repeated over all C
    channels. To several: w'[:, c] = w[:, c mod C] · C / ``channels``, which keeps the scale of the output.
    """
    given = weight.shape[1]
    if channels == 1:
        return weight.sum(dim=1, keepdim=True)  # (O, C, k, k) → (O, 1, k, k)
    planes = [c % given for c in range(channels)]
    return weight[:, planes] * (given / channels)  # (O, C, k, k) → (O, channels, k, k)


def _differs_in_planes(their: Tensor, our: Tensor) -> bool:
    """Whether two convolutions' weights differ only in their input channels, and theirs has at least one."""
    if their.ndim != 4 or _kind(their) != _kind(our) or their.shape[1] == 0:
        return False
    return (their.shape[0], their.shape[2:]) == (our.shape[0], our.shape[2:])


def _are_heads(keys: list[str], theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> bool:
    """Whether these keys belong to output layers that differ only in their number of classes.

    No layer follows an output layer: if an inner layer had another width, so would the normalisation or the layer after
    it.
    """
    if len({(theirs[key].shape[:1], ours[key].shape[:1]) for key in keys}) != 1:
        return False
    for key in keys:
        their, our = theirs[key], ours[key]
        layer, _, kind = key.rpartition(".")
        is_weight = kind == "weight" and (our.ndim == 2 or (our.ndim == 4 and our.shape[2:] == (1, 1)))
        is_bias = kind == "bias" and our.ndim == 1 and f"{layer}.weight" in keys
        alike = _kind(their) == _kind(our) and their.ndim == our.ndim and their.shape[1:] == our.shape[1:]
        if not alike or not (is_weight or is_bias):
            return False
    return True


def _kind(tensor: Tensor) -> str:
    if tensor.is_complex():
        return "complex"
    return "floating" if tensor.is_floating_point() else "whole"
