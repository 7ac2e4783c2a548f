"""Convolution whose gradients are convolutions too, so that all three run on the fast forward kernel.

For stride 1, ∂x is ∂y convolved with the filters rotated by 180°, with channels and filters exchanged:

    ∂x[r,c] = Σ_ab  ∂y[r+P−a·D, c+P−b·D] · w[a,b]

For stride S, the positions r of the padded input fall into S classes by r mod S. Only every S-th filter element (every
(S/gcd(S,D))-th, with dilation D) contributes to a class, by a convolution of stride 1. This makes S·S small
convolutions, without the multiplications by zeros of one large convolution with zeros between the elements of ∂y.

∂w is x convolved with ∂y, with the batch in place of the channels, and with stride and dilation exchanged:

    ∂w[o,i,a,b] = Σ_n,r,c  x[n, i, a·D + r·S − P, …] · ∂y[n,o,r,c]
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from repronet.functional.convolution.conv_spec import ConvSpec, layout_of
from repronet.functional.convolution.vendor import forward
from repronet.functional.windows import Geometry, Pair, image_size

__all__ = ["forward", "input_gradient", "weight_gradient"]


@dataclass(frozen=True)
class _Class:
    """One class of input positions along one axis: `first_position` and every S-th position after it."""

    first_position: int  # of the class, in the input
    positions: int
    first_element: int  # of the filter
    element_step: int
    dilation: int
    lead: int  # zeros (or, if negative, elements to cut) before ∂y
    trail: int  # and after it


def _classes(size: int, outputs: int, geometry: Geometry, axis: int) -> list[_Class]:
    """The classes along one axis to which some filter element contributes."""
    k, s, p, d = (pairs[axis] for pairs in (geometry.kernel, geometry.stride, geometry.padding, geometry.dilation))
    common = math.gcd(s, d)
    step, dilation = s // common, d // common
    found = []
    for first in range(min(s, size)):
        meeting = [a for a in range(min(k, step)) if (first + p - a * d) % s == 0]
        if not meeting:
            continue
        (a,) = meeting  # the elements a, a + step, a + 2·step, … contribute to this class
        elements = len(range(a, k, step))
        positions = len(range(first, size, s))
        # Position number q reads ∂y at q + (first + p − a·d)/s − t·dilation, for element number t.
        lead = dilation * (elements - 1) - (first + p - a * d) // s
        trail = positions - 1 + dilation * (elements - 1) - lead - (outputs - 1)
        found.append(_Class(first, positions, a, step, dilation, lead, trail))
    return found


def _turned(weight: Tensor, groups: int) -> Tensor:
    """Filters rotated by 180°, with channels and filters exchanged: (O, C/G, kh, kw) → (C, O/G, kh, kw)."""
    exchanged = weight.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1)  # (C, O/G, kh, kw)
    return exchanged.flip(2, 3)


def input_gradient(grad_output: Tensor, weight: Tensor, size: Pair, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) → (N, C, H, W) with (H, W) = `size`."""
    geometry, outputs = spec.geometry, image_size(grad_output)
    rows, columns = (_classes(size[axis], outputs[axis], geometry, axis) for axis in (0, 1))
    if geometry.stride == (1, 1):
        return _class_gradient(grad_output, weight, spec.groups, rows[0], columns[0])
    shape = (grad_output.shape[0], weight.shape[1] * spec.groups, *size)
    gradient = grad_output.new_zeros(shape).contiguous(memory_format=layout_of(grad_output, weight))
    for row in rows:
        for column in columns:
            elements = weight[:, :, row.first_element :: row.element_step, column.first_element :: column.element_step]
            part = _class_gradient(grad_output, elements, spec.groups, row, column)  # (N, C, positions, positions)
            (sh, sw) = geometry.stride
            gradient[:, :, row.first_position :: sh, column.first_position :: sw] = part
    return gradient


def _class_gradient(grad_output: Tensor, weight: Tensor, groups: int, row: _Class, column: _Class) -> Tensor:
    """∂x at the positions of one class: a convolution of stride 1."""
    leads, trails = (row.lead, column.lead), (row.trail, column.trail)
    padding = leads
    if leads != trails or min(leads) < 0:
        grad_output = torch.constant_pad_nd(grad_output, (leads[1], trails[1], leads[0], trails[0]))
        padding = (0, 0)
    dilation = (row.dilation, column.dilation)
    return torch.convolution(
        grad_output, _turned(weight, groups), None, (1, 1), padding, dilation, False, (0, 0), groups
    )


def weight_gradient(grad_output: Tensor, input: Tensor, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) and (N, C, H, W) → (O, C/G, kh, kw)."""
    geometry, groups = spec.geometry, spec.groups
    images = input.unflatten(1, (groups, -1)).permute(2, 1, 0, 3, 4).flatten(1, 2)  # (C/G, G·N, H, W)
    filters = grad_output.transpose(0, 1)  # (O, N, Ho, Wo)
    sums = torch.convolution(
        images, filters, None, geometry.dilation, geometry.padding, geometry.stride, False, (0, 0), groups
    )  # (C/G, O, ≥ kh, ≥ kw): larger than the filter if the stride leaves input rows or columns unused
    kh, kw = geometry.kernel
    return sums[:, :, :kh, :kw].transpose(0, 1).contiguous()
