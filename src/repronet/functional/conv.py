"""Two-dimensional convolution and its gradients.

As usual in deep learning, convolution here means cross-correlation. For one channel and stride 1,

    y[r,c]      = Σ_ab  x[r+a, c+b] · w[a,b]
    ∂L/∂w[a,b]  = Σ_rc  ∂L/∂y[r,c] · x[r+a, c+b]
    ∂L/∂x[r,c]  = Σ_ab  ∂L/∂y[r−a, c−b] · w[a,b]
    ∂L/∂bias    = Σ_rc  ∂L/∂y[r,c]

(LeCun et al., "Gradient-based learning applied to document recognition", 1998; the CS231n notes on convolutional
networks.) Weights are (O, C/groups, kh, kw): group g connects its own C/groups input channels to its own O/groups
filters, and groups = C is the depthwise convolution.

Each of the first three sums is linear in both of its factors, and its gradients have the form of the other two: that of
∂x with respect to ∂y has the form of y, with respect to w that of ∂w, and so on. Three functions therefore give all
higher derivatives, whichever algorithm computes them (`repronet.functional.convolution`, one file per algorithm).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from repronet.functional.algorithms import ALGORITHMS
from repronet.functional.convolution import ALGORITHMS as FILES
from repronet.functional.convolution import ConvSpec, fft, native, vendor, winograd
from repronet.functional.function import Operator, by_batch, differentiable, is_plain, overridable
from repronet.functional.precision import autocast, require_operands, require_real, require_same_dtype
from repronet.functional.windows import Geometry, IntOrPair, Pair, image_size, pair, remembered, size_in


def _algorithm(step: str, spec: ConvSpec) -> str:
    """The requested algorithm. "auto" and "own" follow fixed rules, so that the choice is the same everywhere.

    For the shapes in ResNet-20 and ResNet-50 nothing beat the vendor's kernels beyond noise (`repronet bench conv`). Of
    our algorithms, the fastest for gradients is `adjoint` (gradients as convolutions) at stride 1, `im2col` otherwise.
    """
    if spec.algorithm == "auto":
        return "vendor"
    if spec.algorithm == "own":
        return "adjoint" if step == "forward" or spec.geometry.stride == (1, 1) else "im2col"
    return spec.algorithm


def algorithm_here(step: str, first: Tensor, second: Tensor, spec: ConvSpec) -> str:
    """The algorithm that computes a step for these operands: "vendor" where our compiled kernels are not faster."""
    name = _algorithm(step, spec)
    return "vendor" if name == "native" and native.kernel_for(step, first, second, spec) is None else name


def _compute(step: str, first: Tensor, second: Tensor, extra: Any, spec: ConvSpec) -> Tensor:
    """Run one of the three functions of the chosen algorithm."""
    file: Any = FILES[algorithm_here(step, first, second, spec)]
    if step == "weight_gradient":
        return file.weight_gradient(first, second, spec)
    return getattr(file, step)(first, second, extra, spec)


def conv2d_forward(input: Tensor, weight: Tensor, bias: Tensor | None, spec: ConvSpec) -> Tensor:
    """y[r,c] = Σ x[r+a,c+b]·w[a,b] + bias: (N, C, H, W) → (N, O, Ho, Wo)."""
    if input.numel() == 0:
        return input.new_zeros((input.shape[0], weight.shape[0], *spec.geometry.output_size(image_size(input))))
    return _compute("forward", input, weight, bias, spec)


def conv2d_input_gradient(grad_output: Tensor, weight: Tensor, size: Pair, spec: ConvSpec) -> Tensor:
    """∂L/∂x[r,c] = Σ ∂L/∂y[r−a,c−b]·w[a,b]: (N, O, Ho, Wo) → (N, C, H, W) with (H, W) = `size`."""
    if grad_output.numel() == 0 or weight.numel() == 0:
        return grad_output.new_zeros((grad_output.shape[0], weight.shape[1] * spec.groups, *size))
    return _compute("input_gradient", grad_output, weight, size, spec)


def conv2d_weight_gradient(grad_output: Tensor, input: Tensor, spec: ConvSpec) -> Tensor:
    """∂L/∂w[a,b] = Σ ∂L/∂y[r,c]·x[r+a,c+b]: (N, O, Ho, Wo) and (N, C, H, W) → (O, C/G, kh, kw)."""
    if grad_output.numel() == 0 or input.numel() == 0:
        return input.new_zeros((grad_output.shape[1], input.shape[1] // spec.groups, *spec.geometry.kernel))
    return _compute("weight_gradient", grad_output, input, None, spec)


def conv2d_bias_gradient(grad_output: Tensor) -> Tensor:
    """∂L/∂bias = Σ ∂L/∂y over batch and positions: (N, O, Ho, Wo) → (O,)."""
    return grad_output.sum((0, 2, 3))


def _conv2d_gradients(
    grad_output: Tensor, input: Tensor, weight: Tensor, spec: ConvSpec, needs: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """∂L/∂x, ∂L/∂w and ∂L/∂bias; None for those not needed."""
    if is_plain() and grad_output.numel() > 0 and weight.numel() > 0:
        return _gradients(grad_output, input, weight, spec, needs)
    needs_input, needs_weight, needs_bias, _ = needs
    return (
        input_gradient(grad_output, weight, image_size(input), spec) if needs_input else None,
        weight_gradient(grad_output, input, spec) if needs_weight else None,
        conv2d_bias_gradient(grad_output) if needs_bias else None,
    )


def _gradients(
    grad_output: Tensor, input: Tensor, weight: Tensor, spec: ConvSpec, needs: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients that are needed, if nothing will differentiate them in turn.

    If the vendor computes those for input and weight, one call of its kernel computes all three, which saves a step.
    """
    size, (needs_input, needs_weight, needs_bias, *_) = image_size(input), needs
    for_input = algorithm_here("input_gradient", grad_output, weight, spec) if needs_input else None
    for_weight = algorithm_here("weight_gradient", grad_output, input, spec) if needs_weight else None
    if for_input == for_weight == "vendor":
        return vendor.gradients(grad_output, input, weight, spec, needs_bias)
    return (
        FILES[for_input].input_gradient(grad_output, weight, size, spec) if for_input else None,
        FILES[for_weight].weight_gradient(grad_output, input, spec) if for_weight else None,
        conv2d_bias_gradient(grad_output) if needs_bias else None,
    )


def _in_channels(maps: Tensor) -> Tensor:
    """(B, N, C, H, W) → (N, B·C, H, W)."""
    return maps.transpose(0, 1).flatten(1, 2)


def _out_of_channels(maps: Tensor, many: int) -> Tensor:
    """(N, B·C, H, W) → (B, N, C, H, W)."""
    return maps.unflatten(1, (many, -1)).transpose(0, 1)


def as_groups(
    operator: Operator[..., Tensor], info: Any, in_dims: Sequence[int | None], *args: Any
) -> tuple[Tensor, int]:
    """The rule of torch.func.vmap for all these operators: compute B convolutions as one with B times the groups."""
    many, (first, second, *extra, spec) = info.batch_size, args
    grouped = ConvSpec(spec.geometry, spec.groups * many, spec.algorithm)
    first, second = by_batch(first, in_dims[0], many), by_batch(second, in_dims[1], many)
    if operator is weight_gradient:
        return operator(_in_channels(first), _in_channels(second), grouped).unflatten(0, (many, -1)), 0
    bias = extra[0] if isinstance(extra[0], Tensor) else None  # added after the convolution
    sizes = extra if bias is None else [None, *extra[1:]]
    output = operator(_in_channels(first), second.flatten(0, 1), *sizes, grouped)
    output = _out_of_channels(output, many)  # (B, N, O, Ho, Wo), or (B, N, C, H, W) for the gradient
    return (output if bias is None else output + by_batch(bias, in_dims[2], many)[:, None, :, None, None]), 0


# The gradients of each of the three operators are the other two.
convolve = differentiable(conv2d_forward, _conv2d_gradients, vmap=as_groups)
input_gradient = differentiable(
    conv2d_input_gradient,
    grad_output=lambda grad, weight, spec: convolve(grad, weight, None, spec),
    weight=lambda grad, grad_output, spec: weight_gradient(grad_output, grad, spec),
    vmap=as_groups,
)
weight_gradient = differentiable(
    conv2d_weight_gradient,
    grad_output=lambda grad, input, spec: convolve(input, grad, None, spec),
    input=lambda grad, grad_output, input_shape, spec: input_gradient(grad_output, grad, size_in(input_shape), spec),
    vmap=as_groups,
)


@overridable
def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntOrPair = 1,
    padding: str | IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Tensor:
    """Convolve `input` with `weight`: y[o,r,c] = Σ_{i,a,b} x[i, r·S−P+a·D, c·S−P+b·D]·w[o,i,a,b] + bias[o].

    Args:
        input: (N, C, H, W), or (C, H, W) for one image.
        weight: (O, C/groups, kh, kw).
        bias: (O,) or None.
        stride: S, one integer or (height, width); likewise `padding` P and `dilation` D.
        padding: number of zeros on every side; or "valid" for none, "same" for an output as large as the input.
        groups: number of channel groups, convolved independently of each other.
        algorithm: "direct", "im2col", "adjoint", "winograd", "fft", "native" or "vendor", which compute the same
            numbers in different ways; "auto" for "vendor", "own" for the fastest without torch's backward kernels.

    Returns:
        (N, O, Ho, Wo), or (O, Ho, Wo); Ho = (H − D·(kh−1) − 1 + 2P)/S + 1, rounded down.

    Raises:
        RuntimeError: for incompatible shapes, dtypes or window settings.
        ValueError: for an unknown algorithm, or one that does not apply here.
        TypeError: for arguments of the wrong type.
        NotImplementedError: for complex tensors.
    """
    require_operands("conv2d", input, weight, bias)
    input, weight, bias = autocast(input, weight, bias)
    check_operands("conv2d", input, weight, bias, groups)
    kernel, strides, dilations = (weight.shape[2], weight.shape[3]), pair(stride, "stride"), pair(dilation, "dilation")
    pads, surplus = _padding(padding, kernel, strides, dilations)
    spec = spec_for(kernel, strides, pads, dilations, groups, algorithm, input.dtype)
    batch = input if input.dim() == 4 else input.unsqueeze(0)
    if surplus != (0, 0):
        batch = torch.constant_pad_nd(batch, (0, surplus[1], 0, surplus[0]))
    spec.geometry.output_size(image_size(batch))  # raises for windows larger than the input
    output = convolve(batch, weight, bias, spec)
    return output if input.dim() == 4 else output.squeeze(0)


def spec_for(
    kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int, algorithm: str, dtype: torch.dtype
) -> ConvSpec:
    """Check the settings of a layer, and return them as a spec.

    Raises:
        RuntimeError: for impossible windows.
        ValueError: for an unknown algorithm, or one that does not apply to these windows or numbers.
    """
    spec = _spec(kernel, stride, padding, dilation, groups, algorithm)
    reason = refusal(algorithm, spec.geometry, dtype)
    if reason is not None:
        raise ValueError(f"algorithm={algorithm!r} does not apply: {reason}")
    return spec


@remembered
def _spec(kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int, algorithm: str) -> ConvSpec:
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    return ConvSpec(Geometry(kernel, stride, padding, dilation), groups, algorithm)


_REFUSALS: dict[str, Callable[[Geometry, torch.dtype], str | None]] = {
    "winograd": winograd.refusal,
    "fft": fft.refusal,
    "native": native.refusal,
}


def refusal(algorithm: str, geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why an algorithm does not apply to these windows or numbers, or None if it does."""
    reason = _REFUSALS.get(algorithm)
    return reason(geometry, dtype) if reason else None


def _padding(padding: str | IntOrPair, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Number of zeros on every side, and of extra zeros at the bottom and right that "same" needs for even spans."""
    if not isinstance(padding, str):
        return pair(padding, "padding"), (0, 0)
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        raise RuntimeError(f"padding must be integers, 'valid' or 'same', got {padding!r}")
    if stride != (1, 1):
        raise RuntimeError(f"padding='same' needs stride 1, got {stride}")
    total = dilation[0] * (kernel[0] - 1), dilation[1] * (kernel[1] - 1)
    return (total[0] // 2, total[1] // 2), (total[0] % 2, total[1] % 2)


def check_operands(
    name: str, input: Tensor, weight: Tensor, bias: Tensor | None, groups: int, transposed: bool = False
) -> None:
    """Refuse incompatible shapes and dtypes.

    Args:
        name: the function's name, for messages.
        transposed: whether the convolution is transposed: weight (C, O/groups, kh, kw), not (O, C/groups, kh, kw).

    Raises:
        RuntimeError: for incompatible shapes or dtypes.
        TypeError: if `groups` is not an integer.
        NotImplementedError: for complex or bool tensors.
    """
    first, second, whole = ("C", "O", "channels") if transposed else ("O", "C", "filters")
    if not isinstance(groups, int):
        raise TypeError(f"groups must be an integer, got {groups!r}")
    if input.dim() not in (3, 4):
        raise RuntimeError(f"{name} needs an input (N, C, H, W) or (C, H, W), got shape {tuple(input.shape)}")
    if weight.dim() != 4 or weight.shape[0] == 0:
        raise RuntimeError(f"{name} needs a weight ({first}, {second}/groups, kh, kw), got shape {tuple(weight.shape)}")
    if groups < 1 or weight.shape[0] % groups:
        raise RuntimeError(
            f"groups must divide the number of {whole}, got groups={groups} for {weight.shape[0]} {whole}"
        )
    filters, channels = weight.shape[0], weight.shape[1] * groups
    if transposed:
        filters, channels = channels, filters
    if input.shape[-3] != channels:
        raise RuntimeError(
            f"weight {tuple(weight.shape)} with groups={groups} needs {channels} input channels,"
            f" got {input.shape[-3]} in {tuple(input.shape)}"
        )
    if bias is not None and bias.shape != (filters,):
        raise RuntimeError(f"bias must have shape ({filters},), one per filter, got {tuple(bias.shape)}")
    require_real(name, input)
    if input.dtype == torch.bool:
        raise NotImplementedError(f"{name} needs numbers, got torch.bool")
    require_same_dtype(name, input, weight, bias)
