"""Two-dimensional convolution and its gradients.

What is called convolution here, as everywhere in the field, is cross-correlation. For one channel and stride 1,

    y[r,c]      = Σ_ab  x[r+a, c+b] · w[a,b]
    ∂L/∂w[a,b]  = Σ_rc  ∂L/∂y[r,c] · x[r+a, c+b]
    ∂L/∂x[r,c]  = Σ_ab  ∂L/∂y[r−a, c−b] · w[a,b]
    ∂L/∂bias    = Σ_rc  ∂L/∂y[r,c]

(LeCun et al., "Gradient-based learning applied to document recognition", 1998; the CS231n notes on convolutional
networks.) Weights are (O, C/groups, kh, kw): group g joins its own C/groups input channels to its own O/groups filters,
and groups = C is the depthwise convolution.

Each of the first three sums is linear in both of its factors, and the derivative of each is made of the other two:
∂x by ∂y is y again, ∂x by w is ∂w, and so on. Three functions therefore give derivatives of every order, by whatever
algorithm computes their numbers (`repronet.functional.convolution`, one file an algorithm).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from repronet.functional.algorithms import ALGORITHMS
from repronet.functional.autotune import Candidates, fastest
from repronet.functional.convolution import ALGORITHMS as FILES
from repronet.functional.convolution import ConvSpec, fft, vendor, winograd
from repronet.functional.function import Operator, by_batch, differentiable, is_plain, overridable
from repronet.functional.precision import autocast, require_operands, require_real, require_same_dtype
from repronet.functional.windows import Geometry, IntOrPair, Pair, image_size, pair, remembered, size_in

# What "auto" and "own" measure, the preferred one first. Winograd in torch's operations and the Fourier transform never
# won here, and need much memory; adjoint's forward is the vendor's.
_CANDIDATES = {
    ("auto", "forward"): ("vendor", "im2col", "direct"),
    ("auto", "input_gradient"): ("vendor", "adjoint", "im2col", "direct"),
    ("auto", "weight_gradient"): ("vendor", "adjoint", "im2col", "direct"),
    ("own", "forward"): ("adjoint", "im2col", "direct"),
    ("own", "input_gradient"): ("adjoint", "im2col", "direct"),
    ("own", "weight_gradient"): ("adjoint", "im2col", "direct"),
}


def _algorithm(step: str, first: Tensor, second: Tensor, extra: Any, spec: ConvSpec) -> str:
    """The algorithm that is asked for, or the fastest one for these tensors."""
    if spec.algorithm not in ("auto", "own"):
        return spec.algorithm
    names = _CANDIDATES[spec.algorithm, step]
    if first.device.type == "meta":
        return names[0]

    def candidates() -> Candidates:
        return {name: partial(_call, FILES[name], step, first, second, extra, spec) for name in names}

    return fastest(f"conv2d {step}", (*_layout(first), *_layout(second), spec), first.device, candidates)


def _compute(step: str, first: Tensor, second: Tensor, extra: Any, spec: ConvSpec) -> Tensor:
    """Run one of the three functions of the algorithm."""
    return _call(FILES[_algorithm(step, first, second, extra, spec)], step, first, second, extra, spec)


def _layout(tensor: Tensor) -> tuple[object, ...]:
    return tuple(tensor.shape), tensor.stride(), tensor.dtype


def _call(file: Any, step: str, first: Tensor, second: Tensor, extra: Any, spec: ConvSpec) -> Tensor:
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
    """∂L/∂x, ∂L/∂w and ∂L/∂bias, those that are needed."""
    if is_plain() and grad_output.numel() > 0 and weight.numel() > 0:
        return _gradients(grad_output, input, weight, spec, needs)
    needs_input, needs_weight, needs_bias, _ = needs
    return (
        _input_gradient(grad_output, weight, image_size(input), spec) if needs_input else None,
        _weight_gradient(grad_output, input, spec) if needs_weight else None,
        conv2d_bias_gradient(grad_output) if needs_bias else None,
    )


def _gradients(
    grad_output: Tensor, input: Tensor, weight: Tensor, spec: ConvSpec, needs: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients that are needed, when nothing will differentiate them: each by its algorithm, chosen once.

    If both fall to the vendor, its one call for all three saves a step.
    """
    size, (needs_input, needs_weight, needs_bias, *_) = image_size(input), needs
    for_input = _algorithm("input_gradient", grad_output, weight, size, spec) if needs_input else None
    for_weight = _algorithm("weight_gradient", grad_output, input, None, spec) if needs_weight else None
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


def _as_groups(
    operator: Operator[..., Tensor], info: Any, in_dims: Sequence[int | None], *args: Any
) -> tuple[Tensor, int]:
    """torch.func.vmap for all three operators: B convolutions are one with B times the groups."""
    many, (first, second, *extra, spec) = info.batch_size, args
    grouped = ConvSpec(spec.geometry, spec.groups * many, spec.algorithm)
    first, second = by_batch(first, in_dims[0], many), by_batch(second, in_dims[1], many)
    if operator is _weight_gradient:
        return operator(_in_channels(first), _in_channels(second), grouped).unflatten(0, (many, -1)), 0
    bias, size = (extra[0], None) if operator is _conv2d else (None, extra[0])
    output = operator(_in_channels(first), second.flatten(0, 1), size, grouped)  # the bias comes after, if any
    output = _out_of_channels(output, many)  # (B, N, O, Ho, Wo), or (B, N, C, H, W) for the gradient
    return (output if bias is None else output + by_batch(bias, in_dims[2], many)[:, None, :, None, None]), 0


# The derivatives of each of the three are the other two.
_conv2d = differentiable(conv2d_forward, _conv2d_gradients, vmap=_as_groups)
_input_gradient = differentiable(
    conv2d_input_gradient,
    grad_output=lambda grad, weight, spec: _conv2d(grad, weight, None, spec),
    weight=lambda grad, grad_output, spec: _weight_gradient(grad_output, grad, spec),
    vmap=_as_groups,
)
_weight_gradient = differentiable(
    conv2d_weight_gradient,
    grad_output=lambda grad, input, spec: _conv2d(input, grad, None, spec),
    input=lambda grad, grad_output, input_shape, spec: _input_gradient(grad_output, grad, size_in(input_shape), spec),
    vmap=_as_groups,
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
        input: (N, C, H, W), or (C, H, W) for one picture.
        weight: (O, C/groups, kh, kw).
        bias: (O,) or None.
        stride: S, one integer or (height, width); so are `padding` P and `dilation` D.
        padding: zeros on every side; also "valid" for none, "same" for an output as large as the input.
        groups: number of channel groups that do not see each other.
        algorithm: "direct", "im2col", "adjoint", "winograd", "fft" or "vendor", the same numbers computed in another
            way; "auto" for the fastest of all, measured once a shape, apart for the output and both gradients; "own"
            for the fastest without torch's backward kernels.

    Returns:
        (N, O, Ho, Wo), or (O, Ho, Wo); Ho = (H − D·(kh−1) − 1 + 2P)/S + 1, rounded down.

    Raises:
        RuntimeError: for shapes, dtypes or window settings that do not go together.
        ValueError: for an unknown algorithm, or one that does not apply here.
        TypeError: for arguments of the wrong kind.
        NotImplementedError: for complex tensors.
    """
    require_operands("conv2d", input, weight, bias)
    if not isinstance(groups, int):
        raise TypeError(f"groups must be an integer, got {groups!r}")
    input, weight, bias = autocast(input, weight, bias)
    _check_operands(input, weight, bias, groups)
    kernel, strides, dilations = (weight.shape[2], weight.shape[3]), pair(stride, "stride"), pair(dilation, "dilation")
    pads, surplus = _padding(padding, kernel, strides, dilations)
    spec = _spec(kernel, strides, pads, dilations, groups, algorithm)
    reason = refusal(algorithm, spec.geometry, input.dtype)
    if reason is not None:
        raise ValueError(f"algorithm={algorithm!r} does not apply: {reason}")
    batch = input if input.dim() == 4 else input.unsqueeze(0)
    if surplus != (0, 0):
        batch = torch.constant_pad_nd(batch, (0, surplus[1], 0, surplus[0]))
    spec.geometry.output_size(image_size(batch))  # refuses windows larger than the input
    output = _conv2d(batch, weight, bias, spec)
    return output if input.dim() == 4 else output.squeeze(0)


@remembered
def _spec(kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int, algorithm: str) -> ConvSpec:
    """The checked settings of a layer."""
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm must be one of {', '.join(ALGORITHMS)}, got {algorithm!r}")
    return ConvSpec(Geometry(kernel, stride, padding, dilation), groups, algorithm)


_REFUSALS: dict[str, Callable[[Geometry, torch.dtype], str | None]] = {
    "winograd": winograd.refusal,
    "fft": fft.refusal,
}


def refusal(algorithm: str, geometry: Geometry, dtype: torch.dtype) -> str | None:
    """Why an algorithm does not apply to these windows or numbers, or None if it does."""
    reason = _REFUSALS.get(algorithm)
    return reason(geometry, dtype) if reason else None


def _padding(padding: str | IntOrPair, kernel: Pair, stride: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Zeros on every side, and the surplus at the bottom and the right that "same" needs for even spans."""
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
    if input.dtype == torch.bool:
        raise NotImplementedError("conv2d needs numbers, got torch.bool")
    require_same_dtype("conv2d", input, weight, bias)
