"""Max pooling, forward and gradient.

    y[r,c] = max_ab x[r·S−P+a·D, c·S−P+b·D]          all of ∂L/∂y[r,c] goes to the winner, the largest element

Where windows overlap, an element's gradient is the sum of what it receives from each window. Among equal elements the
first in scan order wins, and the last NaN wins over everything, as in torch. (The CS231n notes on pooling; overlapping
3×3 windows with stride 2: Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", 2012.)

The forward pass does not store the winners. The backward pass finds them again from the input: first, for each window,
the row that contains the window's maximum, then the column that contains the row's. This costs a few passes over
memory, and saves one index per window and the comparisons that the forward pass would need to find it. torch's kernel,
used where it is faster, stores the indices; for large pools we store them in a smaller integer type.
"""

from collections.abc import Callable, Iterator
from functools import partial, reduce
from typing import Any, Literal, overload

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from repronet.functional.algorithms import own_or_vendor
from repronet.functional.function import differentiable, is_differentiated, is_traced, is_transformed, overridable
from repronet.functional.pool_windows import (
    Axis,
    Phases,
    Step,
    axes,
    fold_batch,
    own_wins,
    phased,
    pool_geometry,
    unphased_into,
)
from repronet.functional.precision import accumulation_dtype, require_input
from repronet.functional.windows import Geometry, IntOrPair, image_size

Maxima = tuple[Tensor, Tensor | None]  # maxima and their indices, if requested or computed anyway

# The gradient processes about this many input elements at a time, so that the next pass finds them in the cache.
_BLOCK = 2**19

# The winner receives a number and the others receive 0: the number's bits, read as an integer, are multiplied by 1 or
# 0. A floating-point product would give NaN for ∞ · 0, and torch.where takes ten times as long.
_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def _lowest(dtype: torch.dtype) -> float:
    """The lowest value of the dtype, which never wins against an element."""
    return -torch.inf if dtype.is_floating_point else torch.iinfo(dtype).min


def _maximum_along(phases: Phases, axis: Axis) -> Tensor:
    """Maximum of the windows along one axis, given the input's phases from `axis.phases` or `phased`."""
    elements = [axis.elements(phases, step) for step in axis.steps]
    everywhere = [element for element, step in zip(elements, axis.steps, strict=True) if step.count == axis.windows]
    if len(everywhere) == len(elements) > 1:
        return reduce(torch.maximum, everywhere)
    shape = list(phases[0].shape)
    shape[axis.dim] = axis.windows
    best = phases[0].new_full(shape, _lowest(phases[0].dtype))
    for element, step in zip(elements, axis.steps, strict=True):
        axis.owners(best, step).clamp_(min=element)
    return best


def max_pool2d_forward(input: Tensor, geometry: Geometry) -> Tensor:
    """Maximum of every window: (N, C, H, W) → (N, C, Ho, Wo)."""
    rows, columns = axes(image_size(input), geometry)
    # Rows first: that pass reads contiguous memory, and leaves less data for the second pass, which does not.
    best = _maximum_along(rows.phases(input), rows)  # (N, C, Ho, W)
    return _maximum_along(columns.phases(best), columns)  # (N, C, Ho, Wo)


def _shares(rest: Tensor, phases: Phases, output: Tensor, axis: Axis) -> Iterator[tuple[Step, Tensor]]:
    """For each step, what its elements receive if every window gives all of `rest` (bits, an integer) to its winner.

    `rest` is overwritten. Each share is valid only until the next step.
    """
    if not axis.steps:  # all elements of dilated windows may lie in the padding
        return
    room = rest.new_empty(rest.numel())

    def hand_out(step: Step, compare: Callable[..., Tensor], element: Tensor, other: Tensor) -> Tensor:
        left = axis.owners(rest, step)
        share = compare(element, other, out=room[: left.numel()].view(left.shape)).mul_(left)
        left.sub_(share)  # nothing is left for later elements of the same value
        return share

    *steps, last = axis.steps
    nan = _may_hold_nan(output)
    for step in axis.steps if nan or last.count < axis.windows else steps:
        yield step, hand_out(step, torch.eq, axis.elements(phases, step), axis.owners(output, step))
    if not nan and last.count == axis.windows:
        yield last, rest  # windows without a winner so far have their winner in the last step
    if nan:  # NaN does not equal anything, not even itself
        for step in reversed(axis.steps):
            element = axis.elements(phases, step)
            yield step, hand_out(step, torch.ne, element, element)


def _may_hold_nan(output: Tensor) -> bool:
    """Whether to search for NaN. Always on a GPU, where waiting for the answer would cost more than the search."""
    return torch.compiler.is_compiling() or not output.is_cpu or bool(output.sum().isnan())


def _add_to_winners(totals: Tensor, gradient: Tensor, phases: Tensor, output: Tensor, axis: Axis) -> None:
    """Along one axis, add each window's gradient to its winner in `totals`, which has the same phases as the input."""
    for step, share in _shares(gradient.view(_BITS[gradient.itemsize]), phases, output, axis):
        axis.elements(totals, step).add_(share.view(gradient.dtype))


def _of_winners(values: Tensor, phases: Tensor, output: Tensor, axis: Axis) -> Tensor:
    """Along one axis, the element of `values` at the position of each window's winner."""
    bits = _BITS[values.itemsize]
    found = torch.zeros_like(output, dtype=bits)
    for step, ones in _shares(torch.full_like(found, -1), phases, output, axis):  # all bits of −1 are 1
        axis.owners(found, step).bitwise_or_(axis.elements(values.view(bits), step) & ones)
    return found.view(values.dtype)


def _blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Split all tensors in the same way along the batch, the first one into pieces of about _BLOCK elements."""
    first = tensors[0]
    if first.device.type != "cpu" or first.numel() <= _BLOCK:
        return iter([tensors])
    images = max(1, _BLOCK * first.shape[0] // first.numel())
    return zip(*(tensor.split(images) for tensor in tensors), strict=True)


def max_pool2d_input_gradient(grad_output: Tensor, input: Tensor, geometry: Geometry) -> Tensor:
    """∂L/∂x: all of ∂L/∂y goes to the winner, summed where windows overlap: (N, C, Ho, Wo) → (N, C, H, W)."""
    gradient = torch.empty_like(input, dtype=grad_output.dtype)
    dtype = accumulation_dtype(grad_output.dtype)
    rows, columns = axes(image_size(input), geometry)
    for x, g, into in _blocks(input, grad_output, gradient):
        phases = phased(x, rows, columns)  # (Sw, Sh, N, C, H/Sh, W/Sw)
        best = _maximum_along(phases, columns)  # (Sh, N, C, H/Sh, Wo), maximum of each row of a window
        of_best = torch.zeros_like(best, dtype=dtype)
        output = _maximum_along(best, rows)  # (N, C, Ho, Wo)
        _add_to_winners(of_best, g.to(dtype, copy=True), best, output, rows)  # (Sh, N, C, H/Sh, Wo)
        total = torch.zeros_like(phases, dtype=dtype)
        _add_to_winners(total, of_best, phases, best, columns)  # (Sw, Sh, N, C, H/Sh, W/Sw)
        unphased_into(into, total)  # (N, C, H, W)
    return gradient


def max_pool2d_at_winners(values: Tensor, input: Tensor, geometry: Geometry) -> Tensor:
    """For each window, the element of `values` at the position of its winner: (N, C, H, W) → (N, C, Ho, Wo).

    This is the adjoint of `max_pool2d_input_gradient`, and so it gives the second derivative.
    """
    rows, columns = axes(image_size(input), geometry)
    pieces = []
    for x, v in _blocks(input, values):
        phases = phased(x, rows, columns)  # (Sw, Sh, N, C, H/Sh, W/Sw)
        best = _maximum_along(phases, columns)  # (Sh, N, C, H/Sh, Wo)
        of_best = _of_winners(phased(v, rows, columns), phases, best, columns)  # (Sh, N, C, H/Sh, Wo)
        pieces.append(_of_winners(of_best, best, _maximum_along(best, rows), rows))  # (N, C, Ho, Wo)
    return torch.cat(pieces)


def max_pool2d_indices(input: Tensor, geometry: Geometry) -> Tensor:
    """Position h·W + w of each window's winner in the input: (N, C, Ho, Wo), int64."""
    h, w = image_size(input)
    positions = torch.arange(h * w, device=input.device).reshape(h, w).expand(input.shape)
    return _at_winners(positions, input, geometry)


_max_pool2d = differentiable(
    max_pool2d_forward,
    input=lambda grad, input, geometry: _input_gradient(grad, input.detach(), geometry),
    vmap=fold_batch,
)
# Both are linear in their first argument, and each is the other's adjoint. The winners are treated as constants, since
# nearby inputs have the same winners.
_input_gradient = differentiable(
    max_pool2d_input_gradient,
    grad_output=lambda grad, input, geometry: _at_winners(grad, input, geometry),
    vmap=fold_batch,
)
_at_winners = differentiable(
    max_pool2d_at_winners,
    values=lambda grad, input, geometry: _input_gradient(grad, input, geometry),
    vmap=fold_batch,
)


def _own(input: Tensor, geometry: Geometry, return_indices: bool) -> Maxima:
    output = _max_pool2d(input, geometry)
    return output, max_pool2d_indices(input.detach(), geometry) if return_indices else None


# For inputs of at least this many elements, the winners' indices are saved for backward in 2 or 4 bytes instead of
# torch's 8. A small pool would become slower, and has little to save.
_SHORTENED_FROM = 2**20


def _vendor(input: Tensor, geometry: Geometry) -> Maxima:
    g = geometry
    settings = g.kernel, g.stride, g.padding, g.dilation, g.ceil_mode
    pool = partial(torch.ops.aten.max_pool2d_with_indices, input, *settings)
    # is_transformed comes first: torch.export would read the size comparison as a limit on the batch size.
    if is_transformed() or input.numel() < _SHORTENED_FROM or not is_differentiated(input) or _are_hooks_in_use():
        return pool()
    height, width = image_size(input)
    short = torch.int16 if height * width <= 2**15 else torch.int32
    with saved_tensors_hooks(partial(_shortened, dtype=short), _lengthened):
        return pool()


def _are_hooks_in_use() -> bool:
    """Whether other saved-tensor hooks are active, as in activation checkpointing, or such hooks are disabled."""
    hooks: Any = torch._C._autograd  # type: ignore[attr-defined]
    return not hooks._saved_tensors_hooks_is_enabled() or hooks._top_saved_tensors_default_hooks(False) is not None


def _shortened(saved: Tensor, dtype: torch.dtype) -> tuple[Tensor, bool]:
    places = saved.dtype == torch.int64
    return (saved.to(dtype) if places else saved), places


def _lengthened(kept: tuple[Tensor, bool]) -> Tensor:
    saved, places = kept
    return saved.long() if places else saved


def pooled(way: Callable[[Tensor], Maxima], input: Tensor, return_indices: bool) -> Tensor | tuple[Tensor, Tensor]:
    """Pool (N, C, H, W) or (C, H, W) by `way`; return the maxima, with their indices if requested."""
    output, indices = way(input.unsqueeze(0) if input.dim() == 3 else input)
    output = output.squeeze(0) if input.dim() == 3 else output
    if not return_indices:
        return output
    assert indices is not None  # they were requested
    return output, indices.reshape(output.shape)


def _is_own(algorithm: str, input: Tensor, geometry: Geometry, return_indices: bool) -> bool:
    """Whether our formulas compute the pool. "auto" uses them where they are faster.

    They find the maxima up to ten times faster than the vendor's kernel, which also stores their indices. With a
    gradient, which has to find the winners, they are faster only for stride 1, where the vendor's index list is long.
    """
    if return_indices and is_traced():  # torch.jit has no views of another dtype, which finding the winners needs
        return False
    if algorithm == "auto":
        return own_wins(input) and not return_indices and (not is_differentiated(input) or geometry.stride == (1, 1))
    return algorithm == "own"


@overload
def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
    algorithm: str = "auto",
) -> Tensor: ...
@overload
def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
    algorithm: str = "auto",
) -> tuple[Tensor, Tensor]: ...
@overload
def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    algorithm: str = "auto",
) -> Tensor | tuple[Tensor, Tensor]: ...
@overridable
def max_pool2d(
    input: Tensor,
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    algorithm: str = "auto",
) -> Tensor | tuple[Tensor, Tensor]:
    """Maximum of every window: y[r,c] = max_ab x[r·S−P+a·D, c·S−P+b·D].

    Args:
        input: (N, C, H, W) or (C, H, W), floating point or integer.
        kernel_size: (kh, kw), or one integer for both; likewise `stride` S (None: the kernel size), `padding` P
            (with −∞) and `dilation` D.
        ceil_mode: keep a last window that extends beyond the edge.
        return_indices: also return the position of each maximum in the input, as h·W + w.
        algorithm: "own" for the formulas above, "vendor" for torch's kernels, "auto" for the faster of the two.

    Returns:
        (N, C, Ho, Wo) or (C, Ho, Wo), and the indices in the same shape if requested.

    Raises:
        RuntimeError: for incompatible shapes or window settings.
        ValueError: for an unknown algorithm.
        TypeError: for arguments of the wrong kind.
        NotImplementedError: for bool and complex tensors.
    """
    require_input("max_pool2d", input)
    geometry = pool_geometry("max_pool2d", input, kernel_size, stride, padding, dilation, ceil_mode)
    if input.dtype == torch.bool or input.is_complex():
        raise NotImplementedError(f"max_pool2d needs real numbers, got {input.dtype}")
    if _is_own(own_or_vendor(algorithm), input, geometry, return_indices):
        return pooled(lambda batch: _own(batch, geometry, return_indices), input, return_indices)
    return pooled(lambda batch: _vendor(batch, geometry), input, return_indices)
