"""Convolution as the lecture writes it: shift the image by each filter element, multiply, accumulate.

    y   = Σ_ab  W[a,b] · x shifted by (a, b)
    ∂x  : Σ_ab  W[a,b]ᵀ · ∂y, added where the shifted image was read
    ∂w[a,b] = ∂y · (x shifted by (a, b))ᵀ

Each term is a small matrix product over channels; for depthwise filters, which have one channel, a plain product.
"""

import torch
from torch import Tensor

from repronet.functional.convolution.conv_spec import ConvSpec, layout_of, with_bias
from repronet.functional.precision import accumulation_dtype
from repronet.functional.windows import Pair, image_size, overlap_add, slices


def _taps(weight: Tensor, groups: int) -> list[Tensor]:
    """The filter elements in scan order, one matrix per group: (O, C/G, kh, kw) → kh·kw of (G, O/G, C/G)."""
    return list(weight.flatten(2).unflatten(0, (groups, -1)).unbind(-1))


def _grouped(maps: Tensor, groups: int) -> Tensor:
    """(N, C, Ho, Wo) → (N, G, C/G, Ho·Wo)."""
    return maps.flatten(2).unflatten(1, (groups, -1))


def _is_depthwise(filters: int, spec: ConvSpec) -> bool:
    return spec.groups == filters


def forward(input: Tensor, weight: Tensor, bias: Tensor | None, spec: ConvSpec) -> Tensor:
    """(N, C, H, W) → (N, O, Ho, Wo)."""
    dtype = accumulation_dtype(input.dtype)
    taps, images = _taps(weight.to(dtype), spec.groups), slices(input.to(dtype), spec.geometry)
    shape = (input.shape[0], weight.shape[0], *spec.geometry.output_size(image_size(input)))
    total = torch.zeros(shape, dtype=dtype, device=input.device)
    for tap, image in zip(taps, images, strict=True):
        if weight.shape[1] == 1 and _is_depthwise(weight.shape[0], spec):
            total.addcmul_(image, tap[:, :, 0, None])  # (N, C, Ho, Wo) · (C, 1, 1)
        else:
            product = tap @ _grouped(image, spec.groups)  # (G, O/G, C/G) @ (N, G, C/G, Ho·Wo)
            total += product.flatten(1, 2).view(shape)
    return with_bias(total, bias).to(input.dtype).contiguous(memory_format=layout_of(input, weight))


def input_gradient(grad_output: Tensor, weight: Tensor, size: Pair, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) → (N, C, H, W) with (H, W) = `size`."""
    dtype = accumulation_dtype(grad_output.dtype)
    taps, wide = _taps(weight.to(dtype), spec.groups), grad_output.to(dtype)
    if weight.shape[1] == 1 and _is_depthwise(weight.shape[0], spec):
        pieces = (wide * tap[:, :, 0, None] for tap in taps)  # (N, C, Ho, Wo)
    else:
        grads, output_size = _grouped(wide, spec.groups), image_size(wide)  # (N, G, O/G, Ho·Wo)
        pieces = ((tap.mT @ grads).flatten(1, 2).unflatten(2, output_size) for tap in taps)  # (N, C, Ho, Wo)
    gradient = overlap_add(pieces, size, spec.geometry).to(grad_output.dtype)
    return gradient.contiguous(memory_format=layout_of(grad_output, weight))


def weight_gradient(grad_output: Tensor, input: Tensor, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) and (N, C, H, W) → (O, C/G, kh, kw)."""
    dtype = accumulation_dtype(input.dtype)
    images, wide = slices(input.to(dtype), spec.geometry), grad_output.to(dtype)
    if spec.groups == input.shape[1] == grad_output.shape[1]:
        sums = [(wide * image).sum((0, 2, 3))[:, None] for image in images]  # (C, 1)
    else:
        grads = _grouped(wide, spec.groups)  # (N, G, O/G, Ho·Wo)
        products = ((grads @ _grouped(image, spec.groups).mT).sum(0) for image in images)
        sums = [product.flatten(0, 1) for product in products]  # (O, C/G)
    return torch.stack(sums, dim=-1).unflatten(-1, spec.geometry.kernel).to(input.dtype)
