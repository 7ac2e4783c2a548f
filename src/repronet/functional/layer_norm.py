"""Layer and group normalisation: each image is normalised independently of the rest of the batch.

For the M elements that are normalised together, with their mean μ and variance σ²,

    x̂ = (x − μ)/√(σ² + ε),      y = γ·x̂ + β
    ∂L/∂x = (ĝ − mean(ĝ) − x̂·mean(ĝ·x̂))/√(σ² + ε),      ĝ = ∂L/∂y · γ
    ∂L/∂γ = Σ ∂L/∂y · x̂,        ∂L/∂β = Σ ∂L/∂y

(Ba, Kiros and Hinton, "Layer normalization", 2016; Wu and He, "Group normalization", 2018.) The two differ in which
elements are normalised together, and in the shape of γ and β.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from repronet.functional.function import added, differentiable, is_plain, overridable
from repronet.functional.precision import (
    accumulation_dtype,
    autocast_to_float32,
    require_real_floating,
    require_tensors,
)
from repronet.functional.reductions import row_dot


def standardized_forward(input: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x̂ and 1/√(σ² + ε) of each row: (…, M) → (…, M), (…, 1)."""
    centred = input - input.mean(-1, keepdim=True)
    scale = (_row_mean(centred, centred) + eps).rsqrt()
    return (centred.mul_(scale) if is_plain() else centred * scale), scale


def _row_mean(left: Tensor, right: Tensor) -> Tensor:
    """mean(left·right) of each row: two of (…, M) → (…, 1)."""
    return row_dot(left, right).unsqueeze(-1) / left.shape[-1]


def standardized_input_gradient(grad_output: Tensor, output: Tensor, scale: Tensor) -> Tensor:
    """∂L/∂x = (∂L/∂x̂ − mean(∂L/∂x̂) − x̂·mean(∂L/∂x̂ · x̂))/√(σ² + ε): (…, M)."""
    mean, slope = grad_output.mean(-1, keepdim=True), _row_mean(grad_output, output)
    if not is_plain():
        return (grad_output - mean - output * slope) * scale
    return (output * -slope).sub_(mean).add_(grad_output).mul_(scale)


def standardized_scale_gradient(grad_scale: Tensor, output: Tensor, scale: Tensor) -> Tensor:
    """The gradient of x through 1/√(σ² + ε), whose derivative is −x̂/(M·(σ² + ε)): (…, 1) → (…, M)."""
    return grad_scale * scale * scale * output / -output.shape[-1]


def affine_forward(standardized: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """y = γ·x̂ + β, where γ and β may be broadcast: any shape."""
    scaled = standardized.clone() if weight is None else standardized * weight
    if bias is None:
        return scaled
    return scaled.add_(bias) if is_plain() else scaled + bias


def affine_weight_gradient(grad_output: Tensor, standardized: Tensor, shape: torch.Size) -> Tensor:
    """∂L/∂γ = Σ ∂L/∂y · x̂ over all elements that share a γ: → `shape`."""
    return (grad_output * standardized).sum_to_size(shape)


def affine_bias_gradient(grad_output: Tensor, shape: torch.Size) -> Tensor:
    """∂L/∂β = Σ ∂L/∂y over all elements that share a β: → `shape`."""
    return grad_output.sum_to_size(shape)


# The scale is an extra output with its own gradient, for second derivatives only: first derivatives never reach it.
def _standardized_gradient(
    grad_output: Tensor | None, grad_scale: Tensor | None, output: Tensor, scale: Tensor
) -> Tensor | None:
    return added(
        None if grad_output is None else standardized_input_gradient(grad_output, output, scale),
        None if grad_scale is None else standardized_scale_gradient(grad_scale, output, scale),
    )


_standardized = differentiable(standardized_forward, outputs=("output", "scale"), input=_standardized_gradient)


_scaled_and_shifted = differentiable(
    affine_forward,
    standardized=lambda grad, weight: grad if weight is None else grad * weight,
    weight=lambda grad, standardized, weight_shape: affine_weight_gradient(grad, standardized, weight_shape),
    bias=lambda grad, bias_shape: affine_bias_gradient(grad, bias_shape),
)


@overridable
def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the last dimensions: y = γ·(x − μ)/√(σ² + ε) + β.

    Args:
        input: (…, *normalized_shape).
        normalized_shape: sizes of the last dimensions, at least one, which are normalised together.
        weight, bias: γ and β, of shape `normalized_shape`; None for 1 and 0.

    Raises:
        RuntimeError: for incompatible shapes or dtypes.
        TypeError: for anything but a tensor and a sequence of sizes.
        NotImplementedError: for integer and complex tensors.
    """
    require_real_floating("layer_norm", input)
    require_tensors("layer_norm", weight, bias)
    input, weight, bias = _autocast(input, weight, bias)
    if isinstance(normalized_shape, str):
        raise TypeError(f"normalized_shape must be a sequence of sizes, got {normalized_shape!r}")
    shape = tuple(normalized_shape)
    if not shape or tuple(input.shape[-len(shape) :]) != shape:
        raise RuntimeError(f"layer_norm needs an input (…, *normalized_shape), got {tuple(input.shape)} and {shape}")
    for name, values in (("weight", weight), ("bias", bias)):
        if values is not None and tuple(values.shape) != shape:
            raise RuntimeError(f"{name} must have the normalized shape {shape}, got {tuple(values.shape)}")
    if input.numel() == 0:
        return _affine(input.clone(), weight, bias, input.dtype)
    rows = _wide(input).flatten(-len(shape))  # (…, M)
    standardized, _ = _standardized(rows, eps)
    return _affine(standardized.unflatten(-1, shape), weight, bias, input.dtype)


@overridable
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over groups of C/num_groups channels and all positions: y = γ·(x − μ)/√(σ² + ε) + β.

    Args:
        input: (N, C, …).
        num_groups: 1 to normalise all channels together, C to normalise each separately.
        weight, bias: γ and β, (C,); None for 1 and 0.

    Raises:
        RuntimeError: for incompatible shapes or dtypes, or groups that do not divide the channels.
        ValueError: for one image with a single value in each group.
        TypeError: for anything but a tensor.
        NotImplementedError: for integer and complex tensors.
    """
    require_real_floating("group_norm", input)
    require_tensors("group_norm", weight, bias)
    input, weight, bias = _autocast(input, weight, bias)
    if not isinstance(num_groups, int) or isinstance(num_groups, bool):
        raise TypeError(f"num_groups must be an integer, got {num_groups!r}")
    if input.dim() < 2 or 0 in input.shape[1:]:
        raise RuntimeError(f"group_norm needs an input (N, C, …) with elements, got shape {tuple(input.shape)}")
    channels = input.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise RuntimeError(f"num_groups must divide the {channels} channels, got {num_groups}")
    if input.numel() == num_groups:  # one image, one channel per group, one position
        raise ValueError(f"group_norm needs more than one value a group, got input {tuple(input.shape)}")
    for name, values in (("weight", weight), ("bias", bias)):
        if values is not None and values.shape != (channels,):
            raise RuntimeError(f"{name} must have shape ({channels},), one a channel, got {tuple(values.shape)}")
    along = (channels, *(1,) * (input.dim() - 2))  # to broadcast against the input
    gamma, beta = (None if values is None else values.reshape(along) for values in (weight, bias))
    if input.numel() == 0:
        return _affine(input.clone(), gamma, beta, input.dtype)
    rows = _wide(input).reshape(input.shape[0], num_groups, -1)  # (N, G, C/G·…)
    standardized, _ = _standardized(rows, eps)
    return _affine(standardized.reshape(input.shape), gamma, beta, input.dtype)


def _autocast(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
    gamma, beta = (None if values is None else autocast_to_float32(values) for values in (weight, bias))
    return autocast_to_float32(input), gamma, beta


def _wide(input: Tensor) -> Tensor:
    return input.to(accumulation_dtype(input.dtype))


def _affine(standardized: Tensor, weight: Tensor | None, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """γ·x̂ + β in the input's dtype."""
    for name, values in (("weight", weight), ("bias", bias)):
        if values is not None and values.dtype not in (dtype, accumulation_dtype(dtype)):
            raise RuntimeError(f"{name} must have the input's dtype {dtype}, got {values.dtype}")
    if weight is None and bias is None:
        return standardized.to(dtype)
    wide = accumulation_dtype(dtype)
    gamma, beta = (None if values is None else values.to(wide) for values in (weight, bias))
    return _scaled_and_shifted(standardized.to(wide), gamma, beta).to(dtype)
