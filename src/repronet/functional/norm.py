"""Batch normalisation, forward and its gradients.

Over the m = N·H·W elements of a channel, with mean μ and variance σ² of the batch,

    x̂ = (x − μ)/√(σ² + ε),      y = γ·x̂ + β

    ∂L/∂γ = Σ ∂L/∂y · x̂
    ∂L/∂β = Σ ∂L/∂y
    ∂L/∂x = γ/√(σ² + ε) · (∂L/∂y − (∂L/∂β + x̂·∂L/∂γ)/m)

(Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift",
2015; the last line combines their gradients through x̂, σ² and μ.) In evaluation, μ and σ² are the running statistics,
which are constants, so that ∂L/∂x = γ/√(σ² + ε) · ∂L/∂y.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from repronet.functional import native
from repronet.functional.algorithms import own_or_vendor
from repronet.functional.function import added, differentiable, is_plain, overridable
from repronet.functional.norm_operands import check_operands, check_settings
from repronet.functional.precision import accumulation_dtype, require_tensors
from repronet.functional.reductions import along_channels, dot_over_batch, elements, mean_over_batch, over_batch


def batch_statistics(input: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and (biased) variance of each channel, and x − μ: (N, C, …) → (C,), (C,), (N, C, …)."""
    mean = mean_over_batch(input)
    # Two passes: the one-pass E[x²] − μ² would lose digits by cancellation where the mean is large.
    centred = input - along_channels(mean, input)
    return mean, dot_over_batch(centred, centred) / elements(input), centred


def batch_statistics_input_gradient(
    grad_mean: Tensor | None, grad_variance: Tensor | None, input: Tensor, mean: Tensor
) -> Tensor:
    """∂L/∂x through μ and σ², by ∂μ/∂x = 1/m and ∂σ²/∂x = 2(x − μ)/m: two (C,), None for zeros → (N, C, …)."""
    total = torch.zeros_like(input)
    if grad_mean is not None:
        total = total + along_channels(grad_mean, input)
    if grad_variance is not None:
        centred = input - along_channels(mean, input)
        total = total + 2 * centred * along_channels(grad_variance, input)
    return total / elements(input)


def batch_norm_forward(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """y = γ·x̂ + β with the batch's own statistics; also μ and σ²: (N, C, …) → (N, C, …), (C,), (C,)."""
    mean, variance, centred = batch_statistics(input)
    scale = channel_scale(variance, weight, eps)
    return shifted(centred, along_channels(scale, input), bias), mean, variance


def channel_scale(variance: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """γ/√(σ² + ε): (C,)."""
    scale = (variance + eps).rsqrt()
    return scale if weight is None else scale * weight


def shifted(centred: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """(x − μ)·scale + β with x − μ given as `centred`, which is overwritten unless a graph is recorded."""
    if not is_plain():
        return centred * scale if bias is None else centred * scale + along_channels(bias, centred)
    centred.mul_(scale)
    return centred if bias is None else centred.add_(along_channels(bias, centred))


def batch_norm_constant_forward(
    input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """y = γ·(x − μ)/√(σ² + ε) + β with μ and σ² given, as in evaluation: (N, C, …) → (N, C, …)."""
    scale = channel_scale(variance, weight, eps)  # (C,)
    shift = -mean * scale if bias is None else bias - mean * scale  # (C,)
    scaled, shift = input * along_channels(scale, input), along_channels(shift, input)
    return scaled.add_(shift) if is_plain() else scaled + shift


def batch_norm_weight_gradient(grad_output: Tensor, centred: Tensor, variance: Tensor, eps: float) -> Tensor:
    """∂L/∂γ = Σ ∂L/∂y · x̂, with x̂ = `centred`/√(σ² + ε): (N, C, …) → (C,)."""
    return dot_over_batch(grad_output, centred) * (variance + eps).rsqrt()


def batch_norm_bias_gradient(grad_output: Tensor) -> Tensor:
    """∂L/∂β = Σ ∂L/∂y: (N, C, …) → (C,)."""
    return over_batch(grad_output)


def batch_norm_input_gradient(
    grad_output: Tensor,
    centred: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    weight_gradient: Tensor,
    bias_gradient: Tensor,
    eps: float,
    count: int | None = None,
) -> Tensor:
    """∂L/∂x = γ/√(σ² + ε) · (∂L/∂y − (∂L/∂β + x̂·∂L/∂γ)/m) with the batch's own μ and σ²: (N, C, …).

    `count` gives m if the statistics and the two sums cover more than this tensor. Computed as
    scale·∂L/∂y + slope·(x − μ) + level, overwriting `centred` unless a graph is recorded.
    """
    scale, count = channel_scale(variance, weight, eps), count or elements(grad_output)  # (C,)
    slope = -scale * weight_gradient * (variance + eps).rsqrt() / count
    level = along_channels(-scale * bias_gradient / count, grad_output)
    slope, scale = along_channels(slope, grad_output), along_channels(scale, grad_output)
    if not is_plain():
        return level + centred * slope + grad_output * scale
    return centred.mul_(slope).add_(level).addcmul_(grad_output, scale)


def batch_norm_constant_input_gradient(
    grad_output: Tensor, variance: Tensor, weight: Tensor | None, eps: float
) -> Tensor:
    """∂L/∂x = γ/√(σ² + ε) · ∂L/∂y with μ and σ² constant, as in evaluation: (N, C, …)."""
    return grad_output * along_channels(channel_scale(variance, weight, eps), grad_output)


def _gradients(
    grad_output: Tensor, input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients for input, γ and β by our formulas."""
    centred = input - along_channels(mean, input)
    of_weight = batch_norm_weight_gradient(grad_output, centred, variance, eps)
    of_bias = batch_norm_bias_gradient(grad_output)
    of_input = batch_norm_input_gradient(grad_output, centred, variance, weight, of_weight, of_bias, eps)
    return of_input, of_weight, of_bias


def _vendor_forward(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`batch_norm_forward` by torch's kernel, which returns the variance only as running variance, unbiased."""
    unbiased = input.new_zeros(input.shape[1], dtype=accumulation_dtype(input.dtype))
    count = elements(input)
    ignored = torch.zeros_like(unbiased)
    output, mean, _ = torch.native_batch_norm(input, weight, bias, ignored, unbiased, True, 1.0, eps)
    return output, mean, unbiased * ((count - 1) / count)


def _vendor_gradients(
    grad_output: Tensor, input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`_gradients` by torch's kernel."""
    deviation, wanted = (variance + eps).rsqrt(), [True, weight is not None, True]
    found = torch.ops.aten.native_batch_norm_backward(
        grad_output, input, weight, None, None, mean, deviation, True, eps, wanted
    )
    return found[0], found[1], found[2]


def _constant_gradients(
    grad_output: Tensor,
    input: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    eps: float,
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The wanted gradients for input, γ and β in evaluation, by our formulas."""
    of_weight = None
    if wanted[1]:
        of_weight = batch_norm_weight_gradient(grad_output, input - along_channels(mean, input), variance, eps)
    return (
        batch_norm_constant_input_gradient(grad_output, variance, weight, eps) if wanted[0] else None,
        of_weight,
        batch_norm_bias_gradient(grad_output) if wanted[2] else None,
    )


def _vendor_constant_forward(
    input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """`batch_norm_constant_forward` by torch's kernel."""
    return torch.native_batch_norm(input, weight, bias, mean, variance, False, 0.0, eps)[0]


def _vendor_constant_gradients(
    grad_output: Tensor,
    input: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    eps: float,
    wanted: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """`_constant_gradients` by torch's kernel."""
    return torch.ops.aten.native_batch_norm_backward(
        grad_output, input, weight, mean, variance, None, None, False, eps, list(wanted)
    )


def _native_gradients(
    grad_output: Tensor, input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`_gradients` by the compiled kernel."""
    of_input, _, of_weight, of_bias = native.norm_gradients(grad_output, input, mean, variance, weight, eps)
    return of_input, of_weight, of_bias


def _native_constant_forward(
    input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """`batch_norm_constant_forward` by the compiled kernel."""
    return native.norm_forward(input, weight, bias, eps, statistics=(mean, variance))[0]


_ALGORITHMS: dict[str, dict[str, Callable[..., Any]]] = {
    "forward": {"own": batch_norm_forward, "vendor": _vendor_forward, "native": native.norm_forward},
    "gradient": {"own": _gradients, "vendor": _vendor_gradients, "native": _native_gradients},
    "evaluation forward": {
        "own": batch_norm_constant_forward,
        "vendor": _vendor_constant_forward,
        "native": _native_constant_forward,
    },
    "evaluation gradient": {"own": _constant_gradients, "vendor": _vendor_constant_gradients},
}


def _computed(operation: str, algorithm: str, *args: Any) -> Any:
    """Run the algorithm's function; for "auto" the faster one, or ours where a graph is recorded.

    Our functions get half-precision tensors as float32. The vendor's kernels compute in float32 internally, so they get
    the maps unconverted, unless the maps' memory layouts differ: then the vendor would sum them in bfloat16.

    Measured: the vendor's kernels are up to five times faster, except for the gradient in evaluation, where ours takes
    half the vendor's time on a CPU.
    """
    functions, input = _ALGORITHMS[operation], args[0]
    maps = args[:2] if operation.endswith("gradient") else args[:1]
    if algorithm == "native" and not (algorithm in functions and native.serves(*maps)):
        algorithm = "auto"
    if algorithm == "auto":
        graph = not is_plain() or input.device.type == "meta" or input.numel() == 0
        faster = operation == "evaluation gradient" and input.device.type == "cpu"
        algorithm = "own" if graph or faster else "vendor"
    if algorithm != "vendor" or not (is_plain() and _lie_alike(maps)):
        args = tuple([_wide(value) if isinstance(value, Tensor) else value for value in args])
    return functions[algorithm](*args)


def _lie_alike(maps: Sequence[Tensor]) -> bool:
    formats = torch.contiguous_format, torch.channels_last
    return any(all(tensor.is_contiguous(memory_format=layout) for tensor in maps) for layout in formats)


def _wide(maps: Tensor) -> Tensor:
    return maps.to(accumulation_dtype(maps.dtype))


def _train(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    momentum: float,
    eps: float,
    algorithm: str,
) -> tuple[Tensor, Tensor, Tensor]:
    # The input is saved for backward in its own dtype, so that half-precision inputs take half the memory.
    output, mean, variance = _computed("forward", algorithm, input, weight, bias, eps)
    move_running(running_mean, running_var, mean, variance, momentum, input)
    return output.to(input.dtype), mean, variance


def move_running(
    running_mean: Tensor | None,
    running_var: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    momentum: float,
    input: Tensor,
) -> None:
    """running ← (1 − momentum)·running + momentum·batch, in place, with the unbiased variance m/(m − 1)·σ²."""
    if running_mean is not None and running_var is not None and input.numel() > 0:
        unbiased = momentum * elements(input) / (elements(input) - 1)
        running_mean.copy_(torch.add(running_mean * (1 - momentum), mean, alpha=momentum))
        running_var.copy_(torch.add(running_var * (1 - momentum), variance, alpha=unbiased))


def train_gradients(
    grad_output: Tensor | None,
    grad_mean: Tensor | None,
    grad_variance: Tensor | None,
    input: Tensor,
    weight: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    eps: float,
    algorithm: str,
    needs: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """The gradients for input, γ and β in training, from those for the output and for the batch's statistics."""
    of_input = of_weight = of_bias = through = None
    if grad_output is not None:
        algorithm = algorithm if is_plain() else "own"  # second derivatives come from our formula
        known = (grad_output, input, mean, variance, weight, eps)
        of_input, of_weight, of_bias = _computed("gradient", algorithm, *known)
    if grad_mean is not None or grad_variance is not None:
        through = batch_statistics_input_gradient(grad_mean, grad_variance, _wide(input), mean)
    total = added(of_input, through)
    found = None if total is None else total.to(input.dtype), of_weight, of_bias
    return tuple([gradient if needed else None for gradient, needed in zip(found, needs, strict=False)])


# Mean and variance are outputs with gradients of their own, so that second derivatives can flow through them. First
# derivatives never do.
_batch_norm = differentiable(_train, train_gradients, outputs=("output", "mean", "variance"))


def _evaluate(
    input: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float,
    algorithm: str,
) -> Tensor:
    return _computed("evaluation forward", algorithm, input, mean, variance, weight, bias, eps).to(input.dtype)


def _evaluate_gradients(
    grad_output: Tensor,
    input: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    eps: float,
    algorithm: str,
    needs: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    wanted = needs[0], needs[3], needs[4]
    algorithm = algorithm if is_plain() else "own"  # second derivatives come from our formula
    known = (grad_output, input, mean, variance, weight, eps, wanted)
    of_input, of_weight, of_bias = _computed("evaluation gradient", algorithm, *known)
    return None if of_input is None else of_input.to(input.dtype), None, None, of_weight, of_bias


_batch_norm_constant = differentiable(_evaluate, _evaluate_gradients)


@overridable
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    algorithm: str = "auto",
) -> Tensor:
    """Normalise each channel: y = γ·(x − μ)/√(σ² + ε) + β.

    Args:
        input: (N, C, …), any number of further dimensions.
        running_mean, running_var: (C,), the statistics used in evaluation, both or neither. In training they are
            updated in place: running ← (1 − momentum)·running + momentum·batch, with the unbiased variance.
        weight, bias: γ and β, (C,); None for 1 and 0.
        training: use the statistics of this batch.
        algorithm: "own" for the formulas above, "vendor" for torch's kernels, "auto" for the faster of the two, chosen
            separately for the output and the gradients; "native" for our compiled kernels.

    Raises:
        ValueError: in training with a single value per channel, with only one of the running statistics, for ε < 0 (in
            training ε ≤ 0), or for an unknown or unavailable algorithm.
        RuntimeError: for incompatible sizes or dtypes, in evaluation without both running statistics, or for running
            statistics that require grad.
        TypeError: for anything but tensors, or a momentum that is not a number.
        NotImplementedError: for integer and complex tensors.
    """
    require_tensors("batch_norm", running_mean, running_var, weight, bias)
    if isinstance(input, Tensor) and input.shape == (0,):  # an empty vector, which torch accepts as well
        return input.clone()
    check_settings(input, running_mean, running_var, training, momentum, eps)
    check_operands(input, running_mean, running_var, weight, bias)
    if input.shape[1] == 0:
        return input.clone()
    dtype = accumulation_dtype(input.dtype)
    gamma = None if weight is None else weight.flatten().to(dtype)
    beta = None if bias is None else bias.flatten().to(dtype)
    chosen = own_or_vendor(algorithm) if algorithm != "native" else algorithm
    if chosen == "native":
        native.require()
    if training:
        output, _, _ = _batch_norm(input, gamma, beta, running_mean, running_var, momentum, eps, chosen)
    else:
        assert running_mean is not None  # check_settings
        assert running_var is not None
        constants = running_mean.to(dtype), running_var.to(dtype)
        output = _batch_norm_constant(input, *constants, gamma, beta, eps, chosen)
    return output
