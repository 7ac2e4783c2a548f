"""Convolution with 3×3 filters by minimal filtering: F(m×m, 3×3) with m = 2 or 4.

A tile d of (m+2)×(m+2) inputs gives m×m outputs by

    Y = Aᵀ[ (G·w·Gᵀ) ⊙ (Bᵀ·d·B) ]A

with (m+2)² products instead of 9·m²: 16 instead of 36, or 36 instead of 144 (Winograd, "Arithmetic complexity of
computations", 1980; Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015, section 4). Summed over
channels, the products are one matrix product for each of the (m+2)² positions in a tile. ∂x is the same computation
with the filters rotated by 180°; ∂w is the transpose of the map from w to Y:

    ∂w = Gᵀ[ Σ (A·∂Y·Aᵀ) ⊙ (Bᵀ·d·B) ]G

The transforms lose precision: about 1e-4 of the largest output in float32 for m = 4, only rounding error in float64.
"""

import torch
from torch import Tensor

from repronet.functional.convolution.conv_spec import ConvSpec, layout_of, with_bias
from repronet.functional.precision import accumulation_dtype
from repronet.functional.windows import Geometry, Pair, image_size, windows

# m: (Bᵀ, G, Aᵀ), from the points 0, 1, −1, (2, −2,) ∞.
_TRANSFORMS: dict[int, tuple[list[list[float]], list[list[float]], list[list[float]]]] = {
    2: (
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
        [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
        [[1, 1, 1, 0], [0, 1, -1, -1]],
    ),
    4: (
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ],
        [
            [1 / 4, 0, 0],
            [-1 / 6, -1 / 6, -1 / 6],
            [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6],
            [1 / 24, -1 / 12, 1 / 6],
            [0, 0, 1],
        ],
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    ),
}


def refusal(geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why minimal filtering cannot be used for these windows or this dtype, or None."""
    if geometry.kernel != (3, 3):
        return f"it is written for 3×3 filters, got {geometry.kernel[0]}×{geometry.kernel[1]}"
    if geometry.stride != (1, 1) or geometry.dilation != (1, 1):
        return f"it needs stride 1 and dilation 1, got stride {geometry.stride} and dilation {geometry.dilation}"
    return None if dtype.is_floating_point else f"its transforms need floating point, got {dtype}"


def _tile(size: Pair) -> int:
    """m: 4 for outputs of at least 4×4, else 2."""
    return 4 if min(size) >= 4 else 2


def _matrices(m: int, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bᵀ, G and Aᵀ."""
    dtype = accumulation_dtype(like.dtype)
    bt, g, at = (torch.tensor(rows, dtype=dtype, device=like.device) for rows in _TRANSFORMS[m])
    return bt, g, at


def _both_sides(left: Tensor, tiles: Tensor) -> Tensor:
    """left · tile · leftᵀ for every tile (…, h, w)."""
    return left @ tiles.to(left.dtype) @ left.mT


def _tiles(input: Tensor, output_size: Pair, padding: Pair, m: int, groups: int) -> Tensor:
    """Bᵀ·d·B of overlapping tiles: (N, C, H, W) → ((m+2)², G, C/G, N·tiles)."""
    rows, columns = (-(-n // m) for n in output_size)
    (h, w), (ph, pw) = image_size(input), padding
    reach = rows * m + 2 - h - ph, columns * m + 2 - w - pw  # what the last tile needs beyond the input's end
    padded = torch.constant_pad_nd(input, (pw, reach[1], ph, reach[0]))
    tiles = windows(padded, Geometry((m + 2, m + 2), (m, m)))  # (N, C, rows, columns, m+2, m+2)
    return _by_place(_both_sides(_matrices(m, input)[0], tiles), groups)


def _by_place(tiles: Tensor, groups: int) -> Tensor:
    """(N, C, rows, columns, m+2, m+2) → ((m+2)², G, C/G, N·rows·columns)."""
    return tiles.flatten(4).permute(4, 1, 0, 2, 3).flatten(2).unflatten(1, (groups, -1))


def _transformed_filters(weight: Tensor, m: int, groups: int) -> Tensor:
    """G·w·Gᵀ: (O, C/G, 3, 3) → ((m+2)², G, O/G, C/G)."""
    return _both_sides(_matrices(m, weight)[1], weight).flatten(2).permute(2, 0, 1).unflatten(1, (groups, -1))


def _filtered(input: Tensor, weight: Tensor, output_size: Pair, padding: Pair, groups: int) -> Tensor:
    """(N, C, H, W) → (N, O, Ho, Wo)."""
    m = _tile(output_size)
    rows, columns = (-(-n // m) for n in output_size)
    products = _transformed_filters(weight, m, groups) @ _tiles(input, output_size, padding, m, groups)
    places = products.flatten(1, 2).unflatten(2, (input.shape[0], rows, columns))  # ((m+2)², O, N, rows, columns)
    tiles = places.permute(2, 1, 3, 4, 0).unflatten(4, (m + 2, m + 2))  # (N, O, rows, columns, m+2, m+2)
    outputs = _both_sides(_matrices(m, input)[2], tiles)  # (N, O, rows, columns, m, m)
    joined = outputs.transpose(3, 4).flatten(4, 5).flatten(2, 3)  # (N, O, rows·m, columns·m)
    return joined[:, :, : output_size[0], : output_size[1]]


def forward(input: Tensor, weight: Tensor, bias: Tensor | None, spec: ConvSpec) -> Tensor:
    """(N, C, H, W) → (N, O, Ho, Wo)."""
    geometry = spec.geometry
    output = _filtered(input, weight, geometry.output_size(image_size(input)), geometry.padding, spec.groups)
    return with_bias(output.to(input.dtype).clone(memory_format=layout_of(input, weight)), bias)


def input_gradient(grad_output: Tensor, weight: Tensor, size: Pair, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) → (N, C, H, W) with (H, W) = `size`."""
    turned = weight.unflatten(0, (spec.groups, -1)).transpose(1, 2).flatten(0, 1).flip(2, 3)  # (C, O/G, 3, 3)
    (ph, pw) = spec.geometry.padding
    gradient = _filtered(grad_output, turned, size, (2 - ph, 2 - pw), spec.groups)  # negative padding crops
    return gradient.to(grad_output.dtype).contiguous(memory_format=layout_of(grad_output, weight))


def weight_gradient(grad_output: Tensor, input: Tensor, spec: ConvSpec) -> Tensor:
    """(N, O, Ho, Wo) and (N, C, H, W) → (O, C/G, 3, 3)."""
    output_size = image_size(grad_output)
    m = _tile(output_size)
    _, g, at = _matrices(m, input)
    (ho, wo), (rows, columns) = output_size, (-(-n // m) for n in output_size)
    filled = torch.constant_pad_nd(grad_output, (0, columns * m - wo, 0, rows * m - ho))
    grads = _both_sides(at.mT, windows(filled, Geometry((m, m), (m, m))))  # (N, O, rows, columns, m+2, m+2)
    tiles = _tiles(input, output_size, spec.geometry.padding, m, spec.groups)
    sums = _by_place(grads, spec.groups) @ tiles.mT  # ((m+2)², G, O/G, C/G)
    places = sums.flatten(1, 2).permute(1, 2, 0).unflatten(2, (m + 2, m + 2))  # (O, C/G, m+2, m+2)
    return _both_sides(g.mT, places).to(input.dtype)
