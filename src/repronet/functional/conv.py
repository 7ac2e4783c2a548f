"""Two-dimensional convolution, forward and its three gradients.

What is called convolution here, as everywhere in the field, is cross-correlation. For one channel and stride 1,

    y[r,c]      = Σ_ab  x[r+a, c+b] · w[a,b]
    ∂L/∂w[a,b]  = Σ_rc  ∂L/∂y[r,c] · x[r+a, c+b]
    ∂L/∂x[r,c]  = Σ_ab  ∂L/∂y[r−a, c−b] · w[a,b]
    ∂L/∂bias    = Σ_rc  ∂L/∂y[r,c]

(LeCun et al., "Gradient-based learning applied to document recognition", 1998; the CS231n notes on convolutional
networks.) With the windows of x as the columns of a matrix X, the four sums are matrix products: Y = W·X + b,
∂W = ∂Y·Xᵀ, ∂X = Wᵀ·∂Y, ∂b = ∂Y·1; and ∂x collects ∂X from all the windows that an element lies under.

Weights are (O, C/groups, kh, kw): group g joins its own C/groups input channels to its own O/groups filters, and
groups = C is the depthwise convolution.
"""

from typing import Any

import torch
from torch import Tensor

from repronet.functional.precision import autocast, require_real, require_same_dtype
from repronet.functional.windows import Geometry, IntOrPair, Pair, col2im, im2col, image_size, pair

# Elements of the column matrix made at a time. The matrix repeats every input element kh·kw times; in pieces it stays
# near the cache and reuses its memory, which on a CPU is 2-3 times as fast as all at once. A GPU wants large products.
_COLUMN_ELEMENTS_CPU = 2**21
_COLUMN_ELEMENTS_GPU = 2**27


def _pictures_at_once(device: torch.device, channels: int, output_size: Pair, geometry: Geometry) -> int:
    """How many pictures of the batch share one column matrix."""
    limit = _COLUMN_ELEMENTS_CPU if device.type == "cpu" else _COLUMN_ELEMENTS_GPU
    return max(1, limit // (max(1, channels) * len(geometry.offsets) * output_size[0] * output_size[1]))


def _filters(weight: Tensor, groups: int) -> Tensor:
    """W, one matrix per group: (O, C/G, kh, kw) → (G, O/G, C/G·kh·kw)."""
    return weight.flatten(1).unflatten(0, (groups, -1))


def _columns(input: Tensor, geometry: Geometry, groups: int) -> Tensor:
    """X, one matrix per group: (N, C, H, W) → (G, C/G·kh·kw, N·Ho·Wo)."""
    return im2col(input, geometry).unflatten(0, (groups, -1))


def _maps(output: Tensor, groups: int) -> Tensor:
    """Y or ∂Y, one matrix per group: (N, O, Ho, Wo) → (G, O/G, N·Ho·Wo)."""
    return output.transpose(0, 1).flatten(1).unflatten(0, (groups, -1))


def _from_maps(maps: Tensor, output_size: Pair) -> Tensor:
    """Inverse of `_maps`: (G, O/G, N·Ho·Wo) → (N, O, Ho, Wo)."""
    return maps.flatten(0, 1).unflatten(1, (-1, *output_size)).transpose(0, 1)


def conv2d_forward(input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int) -> Tensor:
    """y[r,c] = Σ x[r+a,c+b]·w[a,b] + bias: (N, C, H, W) → (N, O, Ho, Wo)."""
    output_size = geometry.output_size(image_size(input))
    filters = _filters(weight, groups)
    pictures = _pictures_at_once(input.device, input.shape[1], output_size, geometry)
    products = [filters @ _columns(part, geometry, groups) for part in input.split(pictures)]  # (G, O/G, n·Ho·Wo)
    output = torch.cat([_from_maps(product, output_size) for product in products])  # (N, O, Ho, Wo)
    return output if bias is None else output + bias[:, None, None]


def conv2d_input_gradient(grad_output: Tensor, weight: Tensor, size: Pair, geometry: Geometry, groups: int) -> Tensor:
    """∂L/∂x[r,c] = Σ ∂L/∂y[r−a,c−b]·w[a,b]: (N, O, Ho, Wo) → (N, C, H, W) with (H, W) = `size`."""
    filters = _filters(weight, groups).transpose(1, 2)  # (G, C/G·kh·kw, O/G)
    pictures = _pictures_at_once(grad_output.device, weight.shape[1] * groups, image_size(grad_output), geometry)
    parts = []
    for grad in grad_output.split(pictures):
        columns = (filters @ _maps(grad, groups)).flatten(0, 1)  # (C·kh·kw, n·Ho·Wo)
        parts.append(col2im(columns, grad.shape[0], size, geometry))  # (n, C, H, W)
    return torch.cat(parts)


def conv2d_weight_gradient(grad_output: Tensor, input: Tensor, geometry: Geometry, groups: int) -> Tensor:
    """∂L/∂w[a,b] = Σ ∂L/∂y[r,c]·x[r+a,c+b]: (N, O, Ho, Wo) and (N, C, H, W) → (O, C/G, kh, kw)."""
    pictures = _pictures_at_once(input.device, input.shape[1], image_size(grad_output), geometry)
    pairs = zip(grad_output.split(pictures), input.split(pictures), strict=True)
    products = [_maps(grad, groups) @ _columns(part, geometry, groups).transpose(1, 2) for grad, part in pairs]
    total = torch.stack(products).sum(0).flatten(0, 1)  # (O, C/G·kh·kw)
    return total.unflatten(1, (input.shape[1] // groups, *geometry.kernel))


def conv2d_bias_gradient(grad_output: Tensor) -> Tensor:
    """∂L/∂bias = Σ ∂L/∂y[r,c] over batch and positions: (N, O, Ho, Wo) → (O,)."""
    return grad_output.sum((0, 2, 3))


class _Conv2d(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, groups: int) -> Tensor:
        return conv2d_forward(input, weight, bias, geometry, groups)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, weight, _, ctx.geometry, ctx.groups = inputs
        ctx.save_for_backward(input, weight)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad_output,), (input, weight) = grad_outputs, ctx.saved_tensors
        geometry, groups = ctx.geometry, ctx.groups
        needs_input, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        return (
            conv2d_input_gradient(grad_output, weight, image_size(input), geometry, groups) if needs_input else None,
            conv2d_weight_gradient(grad_output, input, geometry, groups) if needs_weight else None,
            conv2d_bias_gradient(grad_output) if needs_bias else None,
            None,
            None,
        )


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: str | IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve `input` with `weight`: y[o,r,c] = Σ_{i,a,b} x[i, r·S−P+a·D, c·S−P+b·D]·w[o,i,a,b] + bias[o].

    Args:
        input: (N, C, H, W), or (C, H, W) for one picture.
        weight: (O, C/groups, kh, kw).
        bias: (O,) or None.
        stride: S, one integer or (height, width); so are `padding` P and `dilation` D.
        padding: zeros on every side; also "valid" for none, "same" for an output as large as the input.
        groups: number of channel groups that do not see each other.

    Returns:
        (N, O, Ho, Wo), or (O, Ho, Wo); Ho = (H − D·(kh−1) − 1 + 2P)/S + 1, rounded down.

    Raises:
        RuntimeError: for shapes, dtypes or window settings that do not go together.
        TypeError: for arguments of the wrong kind.
        NotImplementedError: for complex tensors.
    """
    if not isinstance(input, Tensor) or not isinstance(weight, Tensor):
        raise TypeError(f"conv2d needs tensors, got {type(input).__name__} and {type(weight).__name__}")
    input, weight, bias = autocast(input, weight, bias)
    _check_operands(input, weight, bias, groups)
    geometry = _geometry((weight.shape[2], weight.shape[3]), stride, padding, dilation)
    if input.dim() == 3:
        return _Conv2d.apply(input.unsqueeze(0), weight, bias, geometry, groups).squeeze(0)
    return _Conv2d.apply(input, weight, bias, geometry, groups)


def _geometry(kernel: Pair, stride: IntOrPair, padding: str | IntOrPair, dilation: IntOrPair) -> Geometry:
    strides, dilations = pair(stride, "stride"), pair(dilation, "dilation")
    if not isinstance(padding, str):
        return Geometry(kernel, strides, pair(padding, "padding"), dilations)
    if padding == "valid":
        return Geometry(kernel, strides, (0, 0), dilations)
    if padding != "same":
        raise RuntimeError(f"padding must be integers, 'valid' or 'same', got {padding!r}")
    if strides != (1, 1):
        raise RuntimeError(f"padding='same' needs stride 1, got {strides}")
    total = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]  # an odd total has its larger half at the end
    return Geometry(kernel, strides, (total[0] // 2, total[1] // 2), dilations, surplus=(total[0] % 2, total[1] % 2))


def _check_operands(input: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> None:
    if input.dim() not in (3, 4):
        raise RuntimeError(f"conv2d needs an input (N, C, H, W) or (C, H, W), got shape {tuple(input.shape)}")
    if weight.dim() != 4 or weight.shape[0] == 0:
        raise RuntimeError(f"conv2d needs a weight (O, C/groups, kh, kw), got shape {tuple(weight.shape)}")
    if groups < 1 or weight.shape[0] % groups:
        raise RuntimeError(
            f"groups must divide the number of filters, got groups={groups} for {weight.shape[0]} filters"
        )
    channels, expected = input.shape[-3], weight.shape[1] * groups
    if channels != expected:
        raise RuntimeError(
            f"weight {tuple(weight.shape)} with groups={groups} needs {expected} input channels,"
            f" got {channels} in {tuple(input.shape)}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise RuntimeError(f"bias must have shape ({weight.shape[0]},), one per filter, got {tuple(bias.shape)}")
    require_real("conv2d", input)
    require_same_dtype("conv2d", input, weight, bias)
