"""Window geometry: which input elements each output of a convolution or a pool depends on.

One description, `Geometry`, serves every operator with a sliding window; its lengths are (height, width) pairs.
Along one axis of an input of length W, with filter length F, padding P, stride S and dilation D, window number r covers
the elements

    r·S − P + a·D        for a = 0 … F−1,

and there are (W − D·(F−1) − 1 + 2P)/S + 1 windows; for D = 1 this is the lecture's (W − F + 2P)/S + 1.

Four forms of the same windows, so that each operator can use the one that suits it:

- `windows`: all windows at once, a view (N, C, Ho, Wo, kh, kw) without copying;
- `slices`: one shifted and strided image (N, C, Ho, Wo) per window element (a, b);
- `im2col`: windows as the columns of one matrix, so that a convolution is a matrix product;
- `overlap_add` and `col2im`: the adjoints of `slices` and `im2col`, which carry gradients back to the input.
"""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from repronet.functional.precision import accumulation_dtype

Pair = tuple[int, int]
IntOrPair = int | Sequence[int]
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def remembered(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Cache the results: training repeats the same few calls. Not cached while torch.compile traces, which warns."""
    cached = lru_cache(maxsize=1024)(function)

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        return (function if torch.compiler.is_compiling() else cached)(*args, **kwargs)

    return call


def pair(value: IntOrPair, name: str) -> Pair:
    """Convert an argument that is one integer for both axes, or (height, width), to a pair.

    Raises:
        TypeError: for anything but integers.
        RuntimeError: for a sequence that does not hold one or two of them.
    """
    values: tuple[Any, ...] = (value,)
    if isinstance(value, Sequence) and not isinstance(value, str):
        values = tuple(value)
    if len(values) not in (1, 2):
        raise RuntimeError(f"{name} must be one integer or two (height, width), got {len(values)}: {values}")
    for item in values:
        if isinstance(item, bool) or not hasattr(item, "__index__"):
            raise TypeError(f"{name} must be an integer or two (height, width), got {value!r}")
    return operator.index(values[0]), operator.index(values[-1])


@dataclass(frozen=True)
class Geometry:
    """The positions of a layer's windows; every pair is (height, width).

    `ceil_mode` keeps a last window that extends beyond the edge, if it starts inside the input or its left padding.

    Raises:
        RuntimeError: for a kernel, stride or dilation below 1, or a negative padding.
    """

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    ceil_mode: bool = False

    def __post_init__(self) -> None:
        for name, values, least in (
            ("kernel size", self.kernel, 1),
            ("stride", self.stride, 1),
            ("padding", self.padding, 0),
            ("dilation", self.dilation, 1),
        ):
            if min(values) < least:
                raise RuntimeError(f"{name} must be at least {least}, got {values}")

    @property
    def span(self) -> Pair:
        """Length that one window covers: D·(F−1) + 1."""
        (kh, kw), (dh, dw) = self.kernel, self.dilation
        return dh * (kh - 1) + 1, dw * (kw - 1) + 1

    @property
    def offsets(self) -> list[Pair]:
        """The window elements (a, b) in scan order, row by row."""
        kh, kw = self.kernel
        return [(a, b) for a in range(kh) for b in range(kw)]

    def fits(self, size: Pair) -> bool:
        """Whether the windows end exactly at the edge: (W − F + 2P)/S is a whole number of at least 0."""
        return all(room >= 0 and room % s == 0 for room, s in zip(self._room(size), self.stride, strict=True))

    def output_size(self, size: Pair) -> Pair:
        """Number of windows along (height, width) of an input of this size.

        Raises:
            RuntimeError: if the window is larger than the padded input, or the input has no elements.
        """
        if min(size) < 1:
            raise RuntimeError(f"only the batch may be empty, got an input of height and width {size}")
        rows, columns = (self._count(axis, size) for axis in (0, 1))
        if min(rows, columns) < 1:
            raise RuntimeError(
                f"window {self.span} is larger than the padded input: size {size}, padding {self.padding};"
                " use a smaller kernel or dilation, or more padding"
            )
        return rows, columns

    def transposed_size(self, size: Pair) -> Pair:
        """Size of the smallest image with this number of windows n along each axis: (n − 1)·S + D·(F−1) + 1 − 2P."""
        sides = zip(size, self.stride, self.span, self.padding, strict=True)
        rows, columns = ((n - 1) * s + f - 2 * p for n, s, f, p in sides)
        return rows, columns

    def receptive_field(self, field: Pair = (1, 1)) -> Pair:
        """Size of the input region that `field` neighbouring outputs depend on: r(l−1) = s·r(l) + (f − s)."""
        (sh, sw), (fh, fw) = self.stride, self.span
        return sh * field[0] + (fh - sh), sw * field[1] + (fw - sw)

    def _room(self, size: Pair) -> Pair:
        """How far the first window can slide: W − F + 2P."""
        (h, w), (ph, pw), (fh, fw) = size, self.padding, self.span
        return h - fh + 2 * ph, w - fw + 2 * pw

    def _count(self, axis: int, size: Pair) -> int:
        room, stride = self._room(size)[axis], self.stride[axis]
        if not self.ceil_mode:
            return room // stride + 1
        count = -(-room // stride) + 1
        starts_outside = (count - 1) * stride >= size[axis] + self.padding[axis]
        return count - 1 if starts_outside else count

    def padded_size(self, size: Pair) -> Pair:
        """Size of the smallest image that contains the left padding, the input and every window."""
        last = zip(self.output_size(size), self.stride, self.span, strict=True)
        reach = tuple((n - 1) * s + f for n, s, f in last)
        return max(reach[0], size[0] + self.padding[0]), max(reach[1], size[1] + self.padding[1])


def receptive_field(layers: Sequence[Geometry]) -> Pair:
    """Size of the input region that one output of a stack of layers depends on, computed from the last layer back."""
    field = (1, 1)
    for layer in reversed(layers):
        field = layer.receptive_field(field)
    return field


def image_size(input: Tensor) -> Pair:
    """(H, W) of an image (…, H, W)."""
    return input.shape[-2], input.shape[-1]


def size_in(shape: Sequence[int]) -> Pair:
    """(H, W) of an image's shape (…, H, W)."""
    return shape[-2], shape[-1]


def of_images(operator: Callable[..., Tensor], input: Tensor, *args: Any) -> Tensor:
    """Apply an operator for (N, C, H, W) to such an input, or to one image (C, H, W)."""
    return operator(input, *args) if input.dim() == 4 else operator(input.unsqueeze(0), *args).squeeze(0)


def pad(input: Tensor, geometry: Geometry, value: float = 0.0) -> Tensor:
    """Surround the input with `value` so that every window lies inside: (N, C, H, W) → (N, C, Hp, Wp)."""
    (h, w), (ph, pw) = image_size(input), geometry.padding
    hp, wp = geometry.padded_size((h, w))
    if (hp, wp) == (h, w):
        return input
    return torch.constant_pad_nd(input, (pw, wp - w - pw, ph, hp - h - ph), value)


def windows(input: Tensor, geometry: Geometry, value: float = 0.0) -> Tensor:
    """A view of every window of the padded input: (N, C, H, W) → (N, C, Ho, Wo, kh, kw)."""
    (fh, fw), (sh, sw), (dh, dw) = geometry.span, geometry.stride, geometry.dilation
    strips = pad(input, geometry, value).unfold(2, fh, sh)  # (N, C, Ho, Wp, fh)
    spans = strips.unfold(3, fw, sw)  # (N, C, Ho, Wo, fh, fw)
    return spans[..., ::dh, ::dw]  # (N, C, Ho, Wo, kh, kw)


def _slice(padded: Tensor, geometry: Geometry, output_size: Pair, a: int, b: int) -> Tensor:
    """A strided view of element (a, b) of every window: (N, C, Hp, Wp) → (N, C, Ho, Wo)."""
    (ho, wo), (sh, sw), (dh, dw) = output_size, geometry.stride, geometry.dilation
    rows = slice(a * dh, a * dh + (ho - 1) * sh + 1, sh)
    columns = slice(b * dw, b * dw + (wo - 1) * sw + 1, sw)
    return padded[:, :, rows, columns]


def slices(input: Tensor, geometry: Geometry, value: float = 0.0) -> Iterator[Tensor]:
    """The kh·kw images x[r·S − P + a·D, c·S − P + b·D], each (N, C, Ho, Wo), with (a, b) in scan order."""
    output_size = geometry.output_size(image_size(input))
    padded = pad(input, geometry, value)
    for a, b in geometry.offsets:
        yield _slice(padded, geometry, output_size, a, b)


def overlap_add(pieces: Iterable[Tensor], size: Pair, geometry: Geometry) -> Tensor:
    """Adjoint of `slices`: add each piece (N, C, Ho, Wo) at the positions of its slice → (N, C, H, W), (H, W) = `size`.

    Elements in several windows receive the sum of their pieces; what lies on the padding is dropped.
    """
    output_size, (hp, wp) = geometry.output_size(size), geometry.padded_size(size)
    total: Tensor | None = None
    dtype = torch.float32
    for (a, b), piece in zip(geometry.offsets, pieces, strict=True):
        if total is None:
            dtype = piece.dtype
            # new_zeros, not zeros: under vmap the sum must have the batch dimension of its pieces.
            total = piece.new_zeros((*piece.shape[:2], hp, wp), dtype=accumulation_dtype(dtype))
        _slice(total, geometry, output_size, a, b).add_(piece)
    assert total is not None  # a window has at least one element
    (h, w), (ph, pw) = size, geometry.padding
    return total[:, :, ph : ph + h, pw : pw + w].to(dtype)


def im2col(input: Tensor, geometry: Geometry) -> Tensor:
    """Windows as the columns of one matrix: (N, C, H, W) → (C·kh·kw, N·Ho·Wo).

    The batch is part of the columns, so that a whole batch is one matrix product instead of N small ones.
    """
    by_element = windows(input, geometry).permute(1, 4, 5, 0, 2, 3)  # (C, kh, kw, N, Ho, Wo)
    return by_element.flatten(3, 5).flatten(0, 2)  # (C·kh·kw, N·Ho·Wo)


def col2im(columns: Tensor, batch: int, size: Pair, geometry: Geometry) -> Tensor:
    """Adjoint of `im2col`: (C·kh·kw, N·Ho·Wo) → (N, C, H, W) with (H, W) = `size`, adding where windows overlap."""
    channels = columns.shape[0] // len(geometry.offsets)
    by_element = columns.unflatten(0, (channels, -1)).unflatten(2, (batch, *geometry.output_size(size)))
    pieces = by_element.unbind(1)  # kh·kw pieces, each (C, N, Ho, Wo)
    return overlap_add((piece.transpose(0, 1) for piece in pieces), size, geometry)
