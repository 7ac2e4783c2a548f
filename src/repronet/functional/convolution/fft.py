"""Convolution by the Fourier transform: a product of spectra for each pair of channels.

    Y = X · conj(W),      ∂X = ∂Y · W,      ∂W = conj(∂Y) · X        summed over channels, filters, images

where X, W and ∂Y are the spectra of x with its padding, of w with its dilation and of ∂y with its stride. It is faster
for large filters only (Mathieu, Henaff and LeCun, "Fast training of convolutional networks through FFTs", 2014). The
transforms have the size of the padded input: sums that wrap around its edges fall outside the part that is kept.
"""

import torch
from torch import Tensor

from repronet.functional.convolution.conv_spec import ConvSpec, layout_of, with_bias
from repronet.functional.precision import accumulation_dtype
from repronet.functional.windows import Geometry, Pair, image_size, pad


def refusal(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why the transform cannot be used for this dtype, or None; it can be used for any windows."""
    return None if dtype.is_floating_point else f"a Fourier transform needs floating point, got {dtype}"


def _spread(elements: Tensor, step: Pair, size: Pair) -> Tensor:
    """Put zeros between the elements, and after them up to `size`: (…, h, w) → (…, H, W)."""
    spread = elements.new_zeros((*elements.shape[:-2], *size))
    (h, w), (sh, sw) = image_size(elements), step
    spread[..., : (h - 1) * sh + 1 : sh, : (w - 1) * sw + 1 : sw] = elements
    return spread


def _spectrum(maps: Tensor, groups: int) -> Tensor:
    """(A, G·B, H, W) → (G, H, W/2+1, A, B), ready for products over channels."""
    wide = maps.to(accumulation_dtype(maps.dtype))
    return torch.fft.rfft2(wide).unflatten(1, (groups, -1)).permute(1, 3, 4, 0, 2)


def _image(spectrum: Tensor, size: Pair) -> Tensor:
    """Inverse of `_spectrum`: (G, H, W/2+1, A, B) → (A, G·B, H, W)."""
    return torch.fft.irfft2(spectrum.permute(3, 0, 4, 1, 2).flatten(1, 2), s=size)


def _filters(weight: Tensor, geometry: Geometry, groups: int, size: Pair) -> Tensor:
    """W with its dilation: (O, C/G, kh, kw) → (G, H, W/2+1, O/G, C/G)."""
    exchanged = weight.unflatten(0, (groups, -1)).transpose(0, 1).flatten(1, 2)  # (O/G, G·C/G, kh, kw)
    return _spectrum(_spread(exchanged, geometry.dilation, size), groups)


def forward(input: Tensor, weight: Tensor, bias: Tensor | None, spec: ConvSpec) -> Tensor:
    """(N, C, H, W) → (N, O, Ho, Wo)."""
    geometry, padded = spec.geometry, pad(input, spec.geometry)
    size, (ho, wo), (sh, sw) = image_size(padded), geometry.output_size(image_size(input)), geometry.stride
    filters = _filters(weight, geometry, spec.groups, size)  # (G, H, W/2+1, O/G, C/G)
    spectrum = _spectrum(padded, spec.groups) @ filters.conj().mT  # (G, H, W/2+1, N, O/G)
    output = _image(spectrum, size)[:, :, : (ho - 1) * sh + 1 : sh, : (wo - 1) * sw + 1 : sw]  # (N, O, Ho, Wo)
    return with_bias(output.to(input.dtype).clone(memory_format=layout_of(input, weight)), bias)


def input_gradient(grad_output: Tensor, weight: Tensor, size: Pair, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) → (N, C, H, W) with (H, W) = `size`."""
    geometry = spec.geometry
    padded, (ph, pw) = geometry.padded_size(size), geometry.padding
    grads = _spectrum(_spread(grad_output, geometry.stride, padded), spec.groups)  # (G, H, W/2+1, N, O/G)
    gradient = _image(grads @ _filters(weight, geometry, spec.groups, padded), padded)  # (N, C, Hp, Wp)
    inside = gradient[:, :, ph : ph + size[0], pw : pw + size[1]].to(grad_output.dtype)
    return inside.contiguous(memory_format=layout_of(grad_output, weight))


def weight_gradient(grad_output: Tensor, input: Tensor, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) and (N, C, H, W) → (O, C/G, kh, kw)."""
    geometry, padded = spec.geometry, pad(input, spec.geometry)
    size, (dh, dw), (fh, fw) = image_size(padded), geometry.dilation, geometry.span
    grads = _spectrum(_spread(grad_output, geometry.stride, size), spec.groups)  # (G, H, W/2+1, N, O/G)
    spectrum = grads.conj().mT @ _spectrum(padded, spec.groups)  # (G, H, W/2+1, O/G, C/G)
    sums = torch.fft.irfft2(spectrum.permute(0, 3, 4, 1, 2), s=size)  # (G, O/G, C/G, H, W)
    return sums.flatten(0, 1)[:, :, :fh:dh, :fw:dw].to(input.dtype).contiguous()
