"""The locally connected layer: a convolution whose weights are not shared between positions.

    y[o,r,c]             = Σ_{i,a,b} x[i, r·S−P+a·D, c·S−P+b·D]·w[o,i,a,b,r,c] + bias[o,r,c]
    ∂L/∂w[o,i,a,b,r,c]   = Σ_n ∂L/∂y[n,o,r,c]·x[n,i, r·S−P+a·D, c·S−P+b·D]
    ∂L/∂x[i,h,v]         = Σ ∂L/∂y[o,r,c]·w[o,i,a,b,r,c] over all o and all windows that contain (h,v)
    ∂L/∂bias[o,r,c]      = Σ_n ∂L/∂y[n,o,r,c]

(LeCun, "Generalization and network design strategies", 1989; Taigman et al., "DeepFace", 2014, section 3.) Every
position has its own small fully connected layer, so the whole layer is one batch of small matrix products.
"""

from torch import Tensor

from repronet.functional.function import differentiable, overridable
from repronet.functional.precision import autocast, require_operands, require_real, require_same_dtype
from repronet.functional.windows import Geometry, IntOrPair, Pair, image_size, of_images, overlap_add, pair, windows


def _columns(input: Tensor, geometry: Geometry) -> Tensor:
    """The inputs of each position: (N, C, H, W) → (Ho·Wo, N, C·kh·kw)."""
    views = windows(input, geometry)  # (N, C, Ho, Wo, kh, kw)
    return views.permute(2, 3, 0, 1, 4, 5).flatten(3, 5).flatten(0, 1)


def _matrices(weight: Tensor) -> Tensor:
    """The weights of each position: (O, C, kh, kw, Ho, Wo) → (Ho·Wo, C·kh·kw, O)."""
    return weight.flatten(4, 5).flatten(1, 3).permute(2, 1, 0)


def _by_position(output: Tensor) -> Tensor:
    """(N, O, Ho, Wo) → (Ho·Wo, N, O)."""
    return output.flatten(2).permute(2, 0, 1)


def locally_connected2d_forward(input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """(N, C, H, W) → (N, O, Ho, Wo)."""
    products = _columns(input, geometry) @ _matrices(weight)  # (Ho·Wo, N, O)
    output = products.permute(1, 2, 0).reshape(input.shape[0], weight.shape[0], *weight.shape[4:])
    return output.contiguous() if bias is None else output + bias


def locally_connected2d_input_gradient(grad_output: Tensor, weight: Tensor, size: Pair, geometry: Geometry) -> Tensor:
    """(N, O, Ho, Wo) → (N, C, H, W) with (H, W) = `size`."""
    columns = _by_position(grad_output) @ _matrices(weight).mT  # (Ho·Wo, N, C·kh·kw)
    shape = (*image_size(grad_output), grad_output.shape[0], weight.shape[1], len(geometry.offsets))
    pieces = columns.reshape(shape).permute(2, 3, 0, 1, 4).unbind(-1)  # kh·kw of (N, C, Ho, Wo)
    return overlap_add(pieces, size, geometry)


def locally_connected2d_weight_gradient(grad_output: Tensor, input: Tensor, geometry: Geometry) -> Tensor:
    """(N, O, Ho, Wo) and (N, C, H, W) → (O, C, kh, kw, Ho, Wo)."""
    products = _columns(input, geometry).mT @ _by_position(grad_output)  # (Ho·Wo, C·kh·kw, O)
    shape = (grad_output.shape[1], input.shape[1], *geometry.kernel, *image_size(grad_output))
    return products.permute(2, 1, 0).reshape(shape)


def locally_connected2d_bias_gradient(grad_output: Tensor) -> Tensor:
    """(N, O, Ho, Wo) → (O, Ho, Wo)."""
    return grad_output.sum(0)


_locally_connected2d = differentiable(
    locally_connected2d_forward,
    input=lambda grad, input, weight, geometry: locally_connected2d_input_gradient(
        grad, weight, image_size(input), geometry
    ),
    weight=locally_connected2d_weight_gradient,
    bias=locally_connected2d_bias_gradient,
)


@overridable
def locally_connected2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> Tensor:
    """Apply a locally connected layer: a convolution with separate weights at every position; see above.

    Args:
        input: (N, C, H, W), or (C, H, W) for one image.
        weight: (O, C, kh, kw, Ho, Wo), one filter bank for each output position.
        bias: (O, Ho, Wo) or None.
        stride: S, one integer or (height, width); likewise `padding` P and `dilation` D.

    Returns:
        (N, O, Ho, Wo), or (O, Ho, Wo).

    Raises:
        RuntimeError: for incompatible shapes, dtypes or window settings.
        TypeError: for arguments of the wrong type.
        NotImplementedError: for complex tensors.
    """
    require_operands("locally_connected2d", input, weight, bias)
    input, weight, bias = autocast(input, weight, bias)
    if input.dim() not in (3, 4) or weight.dim() != 6 or input.shape[-3] != weight.shape[1]:
        shapes = f"{tuple(input.shape)} and {tuple(weight.shape)}"
        raise RuntimeError(f"needs an input (N, C, H, W) and a weight (O, C, kh, kw, Ho, Wo), got {shapes}")
    require_real("locally_connected2d", input)
    require_same_dtype("locally_connected2d", input, weight, bias)
    kernel = (weight.shape[2], weight.shape[3])
    geometry = Geometry(kernel, pair(stride, "stride"), pair(padding, "padding"), pair(dilation, "dilation"))
    positions = geometry.output_size(image_size(input))
    if tuple(weight.shape[4:]) != positions:
        raise RuntimeError(f"there are {positions} output positions, but weights for {tuple(weight.shape[4:])}")
    if bias is not None and tuple(bias.shape) != (weight.shape[0], *positions):
        raise RuntimeError(f"bias must have shape {(weight.shape[0], *positions)}, got {tuple(bias.shape)}")
    return of_images(_locally_connected2d, input, weight, bias, geometry)
