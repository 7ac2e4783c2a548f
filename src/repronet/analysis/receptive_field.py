"""The receptive field of a layer's units, the part of the image that they can see, followed through any network.

Looking back through a window of length f and stride s, r units see s·r + (f − s) units of the layer below (the
lectures; `repronet.functional.windows.receptive_field`). Forward from the image, if neighbouring units are j pixels
apart, the same windows give

    size' = size + (f − 1)·j        j' = j·s        padding' = padding + p·j        f = d·(k − 1) + 1.

`FieldTracker` keeps size, stride j and padding for every tensor of a forward pass. It looks at torch's low-level
operations (ATen), so it follows functions, methods, operators and in-place additions as well as layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

Lengths = tuple[int, ...]
aten = torch.ops.aten


@dataclass(frozen=True)
class Field:
    """The receptive field of the units of a map, in pixels, one number per axis: (height, width)."""

    size: Lengths  # side of the region that one unit sees, including what lies beyond the image's edge
    stride: Lengths  # distance between the regions of neighbouring units
    padding: Lengths  # how far before the image the first unit's region begins
    whole: bool = False  # every unit sees all of the image; `size` is then the image's

    @classmethod
    def pixels(cls, axes: int) -> Field:
        """The field of the image itself: each pixel sees itself. A vector has no axes, so its units see all of it."""
        return cls((1,) * axes, (1,) * axes, (0,) * axes, whole=axes == 0)

    def behind(
        self, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int]
    ) -> Field:
        """The field after a window over this map. Arguments may have one number for all axes."""
        k, s, p, d = (self._an_axis_each(values) for values in (kernel, stride, padding, dilation))
        axes = range(len(self.size))
        strides = tuple(self.stride[i] * s[i] for i in axes)
        if self.whole:
            return replace(self, stride=strides)
        size = tuple(self.size[i] + d[i] * (k[i] - 1) * self.stride[i] for i in axes)
        return Field(size, strides, tuple(self.padding[i] + p[i] * self.stride[i] for i in axes))

    def shifted(self, axis: int, units: int, step: int = 1) -> Field:
        """The field of every `step`-th unit from number `units` on; a negative number starts in an added border."""
        padding, stride = list(self.padding), list(self.stride)
        padding[axis] -= 0 if self.whole else units * stride[axis]
        stride[axis] *= step
        return replace(self, padding=tuple(padding), stride=tuple(stride))

    def _an_axis_each(self, values: Sequence[int]) -> Sequence[int]:
        """One number for each axis of the image, the last ones: a 3-D pool over channels has one number more."""
        axes = len(self.size)
        return list(values) * axes if len(values) == 1 else list(values)[len(values) - axes :]


def union(fields: Sequence[Field]) -> Field:
    """The field of units that combine one unit of each map, as sums and concatenations do; the first map's stride."""
    first = fields[0]
    seeing_all = next((field for field in fields if field.whole), None)
    if seeing_all is not None:
        return replace(seeing_all, stride=first.stride)
    axes = range(len(first.size))
    padding = tuple(max(field.padding[i] for field in fields) for i in axes)
    ends = tuple(max(field.size[i] - field.padding[i] for field in fields) for i in axes)
    return Field(tuple(p + end for p, end in zip(padding, ends, strict=True)), first.stride, padding)


class FieldTracker:
    """The field of every tensor of one forward pass that began with `image`, (N, C, H, W).

    Windows, borders, slices and joins are followed exactly. A flattened or globally averaged map sees all of the image
    unless it had one unit only, and so does a matrix product of two maps (attention). Upsampled maps are not followed.
    All other operations keep the field of their input, normalisations too: their statistics do not count as seeing.
    """

    def __init__(self, image: Tensor):
        self._size = tuple(image.shape[2:])
        self._known: dict[int, tuple[Tensor, Field | None]] = {}  # the tensor is kept, so that its id is not reused
        self.put(image, Field.pixels(image.ndim - 2))

    def of(self, tensor: Tensor) -> Field | None:
        """The field of the tensor's units; None if it could not be followed or was not computed from the image."""
        return self._known.get(id(tensor), (tensor, None))[1]

    def follows(self, tensor: Tensor) -> bool:
        """Whether the tensor was computed from the image, unlike weights."""
        return id(tensor) in self._known

    def put(self, tensor: Tensor, field: Field | None) -> None:
        self._known[id(tensor)] = (tensor, field)

    def whole(self, stride: Lengths) -> Field:
        """The field of units that see all of the image."""
        return Field(self._size, stride, (0,) * len(self._size), whole=True)

    def follow(self, operation: OpOverload, given: Mapping[str, Any], result: Any) -> None:
        """Record the fields of an operation's results; `given` are its arguments by name."""
        maps = [tensor for tensor in tensors(given.values()) if self.follows(tensor)]
        if not maps:
            return
        maps.sort(key=lambda tensor: -math.prod(tensor.shape[2:]))  # largest first: broadcast maps come last
        for tensor in tensors([result]):
            self.put(tensor, self._field(operation, given, maps, tensor))

    def _field(
        self, operation: OpOverload, given: Mapping[str, Any], maps: list[Tensor], result: Tensor
    ) -> Field | None:
        fields = [self.of(tensor) for tensor in maps]
        packet, source = operation.overloadpacket, maps[0]
        if None in fields or packet in _NOT_FOLLOWED or given.get("transposed"):
            return None
        field = union([field for field in fields if field is not None])
        mixes = packet in _ATTENTION or (packet in (aten.mm, aten.bmm, aten.baddbmm) and len(maps) > 1)
        rule = _RULES.get(packet)
        if mixes or ((rule is None or rule is _adaptive) and _gathers(field, source, result)):
            return self.whole(field.stride)
        is_map = source.ndim >= len(field.size) + 2
        return rule(field, given, source, result) if rule and is_map else field


def _gathers(field: Field, source: Tensor, result: Tensor) -> bool:
    """Whether several units of the map go into one vector or one unit, by flattening or a mean over the whole map."""
    axes = len(field.size)
    is_map = source.ndim >= axes + 2
    if field.whole or (is_map and math.prod(source.shape[-axes:]) == 1):
        return False
    to_vector = source.ndim > 2 and result.ndim == 2 and result.shape[0] == source.shape[0]
    return to_vector or (is_map and result.ndim == source.ndim and math.prod(result.shape[-axes:]) == 1)


def _window(field: Field, given: Mapping[str, Any], source: Tensor, result: Tensor) -> Field:
    kernel = given["kernel_size"]
    return field.behind(kernel, given["stride"] or kernel, given["padding"], given.get("dilation", [1]))


def _adaptive(field: Field, given: Mapping[str, Any], source: Tensor, result: Tensor) -> Field:
    """Window r of n covers ⌊r·W/n⌋ to ⌈(r+1)·W/n⌉; the field uses the longest window and the smallest step."""
    axes = len(field.size)
    lengths = zip(source.shape[-axes:], result.shape[-axes:], strict=True)
    longest = [(max(-(-(r + 1) * w // n) - r * w // n for r in range(n)), max(w // n, 1)) for w, n in lengths]
    return field.behind([kernel for kernel, _ in longest], [step for _, step in longest], [0], [1])


def _border(field: Field, given: Mapping[str, Any], source: Tensor, result: Tensor) -> Field:
    """Padding lists (before, after), last dimension first; padding around channels changes nothing."""
    amounts, axes = given["pad"] if "pad" in given else given["padding"], len(field.size)
    for position, before in enumerate(amounts[::2][:axes]):
        field = field.shifted(axes - 1 - position, -before)
    return field


def _slice(field: Field, given: Mapping[str, Any], source: Tensor, result: Tensor) -> Field:
    axis = given["dim"] % source.ndim - (source.ndim - len(field.size))
    start = given["start"] or 0
    return field if axis < 0 else field.shifted(axis, start % (source.shape[given["dim"]] or 1), given["step"])


_RULES: dict[Any, Callable[[Field, Mapping[str, Any], Tensor, Tensor], Field]] = {
    aten.convolution: lambda field, given, source, result: field.behind(
        given["weight"].shape[2:], given["stride"], given["padding"], given["dilation"]
    ),
    aten.max_pool2d_with_indices: _window,
    aten.max_pool3d_with_indices: _window,
    aten.avg_pool1d: _window,
    aten.avg_pool2d: _window,
    aten.avg_pool3d: _window,
    aten._adaptive_avg_pool2d: _adaptive,
    aten.adaptive_max_pool2d: _adaptive,
    aten.constant_pad_nd: _border,
    aten.reflection_pad2d: _border,
    aten.replication_pad2d: _border,
    aten.slice: _slice,
    aten.select: lambda field, given, source, result: field,
}
_ATTENTION = {
    aten.scaled_dot_product_attention,
    aten._scaled_dot_product_attention_math,
    aten._scaled_dot_product_flash_attention,
    aten._scaled_dot_product_flash_attention_for_cpu,
}
_NOT_FOLLOWED = {
    aten.upsample_nearest1d,
    aten.upsample_nearest2d,
    aten.upsample_bilinear2d,
    aten.upsample_bicubic2d,
    aten.pixel_shuffle,
}


def tensors(nested: Any) -> Iterator[Tensor]:
    """Every tensor in a value or in nested lists, tuples and dicts."""
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, Mapping):
        yield from tensors(list(nested.values()))
    elif not isinstance(nested, str) and hasattr(nested, "__iter__"):
        for item in nested:
            yield from tensors(item)
