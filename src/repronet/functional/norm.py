"""Batch normalisation, forward and its gradients.

Over the m = N·H·W elements of a channel, with mean μ and variance σ² of the batch,

    x̂ = (x − μ)/√(σ² + ε),      y = γ·x̂ + β

    ∂L/∂γ = Σ ∂L/∂y · x̂
    ∂L/∂β = Σ ∂L/∂y
    ∂L/∂x = γ/√(σ² + ε) · (∂L/∂y − (∂L/∂β + x̂·∂L/∂γ)/m)

(Ioffe and Szegedy, "Batch normalization: accelerating deep network training by reducing internal covariate shift",
2015; the last line is their chain of gradients through x̂, σ² and μ, put together.) In evaluation μ and σ² are the
running statistics, constants, and only the first factor remains: ∂L/∂x = γ/√(σ² + ε) · ∂L/∂y.
"""

import math
from functools import partial
from typing import Any

import torch
from torch import Tensor

from repronet.functional.algorithms import own_or_vendor
from repronet.functional.choice import fastest
from repronet.functional.function import Function, is_plain
from repronet.functional.precision import accumulation_dtype, is_lowered, require_real, require_tensors


def _along_channels(values: Tensor, input: Tensor) -> Tensor:
    """(C,) → (1, C, 1, …), to broadcast against the input."""
    return values.reshape((1, -1) + (1,) * (input.dim() - 2))


def _over_batch(values: Tensor) -> Tensor:
    """Sum over everything but channels: (N, C, …) → (C,)."""
    return values.sum((0, *range(2, values.dim())))


def _dot_over_batch(left: Tensor, right: Tensor) -> Tensor:
    """Sum of products over everything but channels, if it can without room for them: two of (N, C, …) → (C,)."""
    # Under autocast vecdot would be computed in half precision.
    if is_lowered(left) or left.dim() == 2 or not (left.is_contiguous() and right.is_contiguous()):
        return _over_batch(left * right)
    return torch.linalg.vecdot(left.flatten(2), right.flatten(2)).sum(0)


def _elements(input: Tensor) -> int:
    """m: how many elements a channel has in the batch; 1 for an empty one, whose sums are 0."""
    return max(1, input.shape[0] * math.prod(input.shape[2:]))


def batch_statistics(input: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and (biased) variance of each channel, and x − μ: (N, C, …) → (C,), (C,), (N, C, …)."""
    mean = _over_batch(input) / _elements(input)
    # Two passes: E[x²] − μ² would cancel where the mean is large.
    centred = input - _along_channels(mean, input)
    return mean, _dot_over_batch(centred, centred) / _elements(input), centred


def batch_statistics_input_gradient(
    grad_mean: Tensor | None, grad_variance: Tensor | None, input: Tensor, mean: Tensor
) -> Tensor:
    """∂μ/∂x = 1/m and ∂σ²/∂x = 2(x − μ)/m: two of (C,), None for zeros → (N, C, …)."""
    total = torch.zeros_like(input)
    if grad_mean is not None:
        total = total + _along_channels(grad_mean, input)
    if grad_variance is not None:
        centred = input - _along_channels(mean, input)
        total = total + 2 * centred * _along_channels(grad_variance, input)
    return total / _elements(input)


def batch_norm_forward(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """y = γ·x̂ + β with the batch's own statistics, and these: (N, C, …) → (N, C, …), (C,), (C,)."""
    mean, variance, centred = batch_statistics(input)
    scale = _scale(variance, weight, eps)
    return _scaled(centred, _along_channels(scale, input), bias), mean, variance


def _scale(variance: Tensor, weight: Tensor | None, eps: float) -> Tensor:
    """γ/√(σ² + ε): (C,)."""
    scale = (variance + eps).rsqrt()
    return scale if weight is None else scale * weight


def _scaled(centred: Tensor, scale: Tensor, bias: Tensor | None) -> Tensor:
    """(x − μ)·scale + β, in the memory of x − μ where nobody looks."""
    if not is_plain():
        return centred * scale if bias is None else centred * scale + _along_channels(bias, centred)
    centred.mul_(scale)
    return centred if bias is None else centred.add_(_along_channels(bias, centred))


def batch_norm_constant_forward(
    input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> Tensor:
    """y = γ·(x − μ)/√(σ² + ε) + β with μ and σ² given, as in evaluation: (N, C, …) → (N, C, …)."""
    scale = _scale(variance, weight, eps)  # (C,)
    shift = -mean * scale if bias is None else bias - mean * scale  # (C,)
    return torch.addcmul(_along_channels(shift, input), input, _along_channels(scale, input))


def batch_norm_weight_gradient(grad_output: Tensor, centred: Tensor, variance: Tensor, eps: float) -> Tensor:
    """∂L/∂γ = Σ ∂L/∂y · x̂, with x̂ = `centred`/√(σ² + ε): (N, C, …) → (C,)."""
    return _dot_over_batch(grad_output, centred) * (variance + eps).rsqrt()


def batch_norm_bias_gradient(grad_output: Tensor) -> Tensor:
    """∂L/∂β = Σ ∂L/∂y: (N, C, …) → (C,)."""
    return _over_batch(grad_output)


def batch_norm_input_gradient(
    grad_output: Tensor,
    centred: Tensor,
    variance: Tensor,
    weight: Tensor | None,
    weight_gradient: Tensor,
    bias_gradient: Tensor,
    eps: float,
) -> Tensor:
    """∂L/∂x = γ/√(σ² + ε) · (∂L/∂y − (∂L/∂β + x̂·∂L/∂γ)/m) with the batch's own μ and σ²: (N, C, …).

    It is put together as scale·∂L/∂y + slope·(x − μ) + level, two passes in the memory of x − μ where nobody looks.
    """
    scale, elements = _scale(variance, weight, eps), _elements(grad_output)  # (C,)
    slope = -scale * weight_gradient * (variance + eps).rsqrt() / elements
    level = _along_channels(-scale * bias_gradient / elements, grad_output)
    slope, scale = _along_channels(slope, grad_output), _along_channels(scale, grad_output)
    if not is_plain():
        return level + centred * slope + grad_output * scale
    return torch.addcmul(level, centred, slope, out=centred).addcmul_(grad_output, scale)


def batch_norm_constant_input_gradient(
    grad_output: Tensor, variance: Tensor, weight: Tensor | None, eps: float
) -> Tensor:
    """∂L/∂x = γ/√(σ² + ε) · ∂L/∂y with μ and σ² constant, as in evaluation: (N, C, …)."""
    return grad_output * _along_channels(_scale(variance, weight, eps), grad_output)


def _gradients(
    grad_output: Tensor, input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients for input, γ and β: ours."""
    centred = input - _along_channels(mean, input)
    of_weight = batch_norm_weight_gradient(grad_output, centred, variance, eps)
    of_bias = batch_norm_bias_gradient(grad_output)
    of_input = batch_norm_input_gradient(grad_output, centred, variance, weight, of_weight, of_bias, eps)
    return of_input, of_weight, of_bias


def _vendor_forward(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`batch_norm_forward` by torch's kernel, which tells the variance only as a running one, unbiased."""
    unbiased, elements = input.new_zeros(input.shape[1]), _elements(input)
    ignored = torch.zeros_like(unbiased)
    output, mean, _ = torch.native_batch_norm(input, weight, bias, ignored, unbiased, True, 1.0, eps)
    return output, mean, unbiased * ((elements - 1) / elements)


def _vendor_gradients(
    grad_output: Tensor, input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """`_gradients` by torch's kernel."""
    deviation, wanted = (variance + eps).rsqrt(), [True, weight is not None, True]
    found = torch.ops.aten.native_batch_norm_backward(
        grad_output, input, weight, None, None, mean, deviation, True, eps, wanted
    )
    return found[0], found[1], found[2]


_FORWARDS = {"own": batch_norm_forward, "vendor": _vendor_forward}
_GRADIENTS = {"own": _gradients, "vendor": _vendor_gradients}


def _chosen(operation: str, algorithm: str, functions: dict[str, Any], *args: Any) -> Any:
    """Run the function of the algorithm, or for "auto" the faster one. Where a graph is wanted, ours."""
    input: Tensor = args[0]
    if algorithm == "auto":
        if not is_plain() or input.device.type == "meta" or input.numel() == 0:
            algorithm = "own"
        else:
            signature = (tuple(input.shape), input.stride(), input.dtype)
            candidates = {name: partial(function, *args) for name, function in functions.items()}
            algorithm = fastest(f"batch_norm {operation}", signature, input.device, candidates)
    return functions[algorithm](*args)


class _BatchNorm(Function):
    """Training. Mean and variance are outputs with gradients of their own, so that second derivatives flow through."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        input: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        momentum: float,
        eps: float,
        algorithm: str,
    ) -> tuple[Tensor, Tensor, Tensor]:
        output, mean, variance = _chosen("forward", algorithm, _FORWARDS, input, weight, bias, eps)
        if running_mean is not None and running_var is not None and input.numel() > 0:
            _move_running_statistics(running_mean, running_var, mean, variance, _elements(input), momentum)
        return output, mean, variance

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        input, weight, *_, ctx.eps, ctx.algorithm = inputs
        ctx.save_for_backward(input, weight, output[1], output[2])
        ctx.set_materialize_grads(False)  # first derivatives never reach mean and variance

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        grad_output, grad_mean, grad_variance = grad_outputs
        input, weight, mean, variance = ctx.saved_tensors
        of_input = of_weight = of_bias = None
        if grad_output is not None:
            algorithm = ctx.algorithm if is_plain() else "own"  # second derivatives are those of our formula
            known = (grad_output, input, mean, variance, weight, ctx.eps)
            of_input, of_weight, of_bias = _chosen("gradient", algorithm, _GRADIENTS, *known)
        if grad_mean is not None or grad_variance is not None:
            through = batch_statistics_input_gradient(grad_mean, grad_variance, input, mean)
            of_input = through if of_input is None else of_input + through
        needs_input, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        return (
            of_input if needs_input else None,
            of_weight if needs_weight else None,
            of_bias if needs_bias else None,
            *(None,) * 5,
        )


class _BatchNormConstant(Function):
    """Evaluation: mean and variance are constants."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        input: Tensor, mean: Tensor, variance: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> Tensor:
        return batch_norm_constant_forward(input, mean, variance, weight, bias, eps)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        input, mean, variance, weight, _, ctx.eps = inputs
        ctx.save_for_backward(input, mean, variance, weight)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (grad_output,), (input, mean, variance, weight) = grad_outputs, ctx.saved_tensors
        needs_input, _, _, needs_weight, needs_bias, _ = ctx.needs_input_grad
        of_weight = None
        if needs_weight:
            centred = input - _along_channels(mean, input)
            of_weight = batch_norm_weight_gradient(grad_output, centred, variance, ctx.eps)
        return (
            batch_norm_constant_input_gradient(grad_output, variance, weight, ctx.eps) if needs_input else None,
            None,
            None,
            of_weight,
            batch_norm_bias_gradient(grad_output) if needs_bias else None,
            None,
        )


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
        running_mean, running_var: (C,), the statistics used in evaluation. In training they are moved in place:
            running ← (1 − momentum)·running + momentum·batch, the variance in its unbiased form. Both or neither.
        weight, bias: γ and β, (C,); None for 1 and 0.
        training: use the statistics of this batch.
        algorithm: of the training, "own" for the formulas above, "vendor" for torch's kernels, "auto" for the faster of
            the two, apart for output and gradients.

    Raises:
        ValueError: in training with a single value per channel, with only one of the running statistics, ε < 0, or an
            unknown algorithm.
        RuntimeError: for sizes or dtypes that do not go together, in evaluation without running statistics, or for
            running statistics that require grad.
        TypeError: for a momentum that is not a number.
        NotImplementedError: for integer and complex tensors.
    """
    require_tensors("batch_norm", running_mean, running_var, weight, bias)
    if isinstance(input, Tensor) and input.shape == (0,):  # nothing at all, which torch takes for no channels
        return input.clone()
    _check_settings(input, running_mean, running_var, training, momentum, eps)
    _check_operands(input, running_mean, running_var, weight, bias)
    if input.shape[1] == 0:
        return input.clone()
    dtype = accumulation_dtype(input.dtype)
    x = input.to(dtype)
    gamma = None if weight is None else weight.flatten().to(dtype)
    beta = None if bias is None else bias.flatten().to(dtype)
    if training:
        settings = (running_mean, running_var, momentum, eps, own_or_vendor(algorithm))
        output, _, _ = _BatchNorm.apply(x, gamma, beta, *settings)
    else:
        assert running_mean is not None  # _check_settings
        assert running_var is not None
        output = _BatchNormConstant.apply(x, running_mean.to(dtype), running_var.to(dtype), gamma, beta, eps)
    return output.to(input.dtype)


def _move_running_statistics(
    running_mean: Tensor, running_var: Tensor, mean: Tensor, variance: Tensor, elements: int, momentum: float
) -> None:
    """running ← (1 − momentum)·running + momentum·batch, in place; the variance unbiased, m/(m − 1)·σ²."""
    unbiased = variance * (elements / (elements - 1))
    running_mean.copy_((1 - momentum) * running_mean + momentum * mean)
    running_var.copy_((1 - momentum) * running_var + momentum * unbiased)


def _check_settings(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> None:
    if not isinstance(input, Tensor) or not isinstance(momentum, int | float):
        raise TypeError(f"batch_norm needs a tensor and a momentum, got {type(input).__name__} and {momentum!r}")
    if eps < 0 or (training and eps == 0):
        raise ValueError(f"eps must be above 0, in evaluation at least 0, got {eps}")
    if input.dim() < 2:
        raise RuntimeError(f"batch_norm needs an input (N, C, …), got shape {tuple(input.shape)}")
    if training and input.numel() == input.shape[1] > 0:
        raise ValueError(f"training needs more than one value per channel, got input {tuple(input.shape)}")
    if not training and (running_mean is None or running_var is None):
        raise RuntimeError("evaluation needs running_mean and running_var, got None")
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var go together, got only one of them")


def _check_operands(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
) -> None:
    require_real("batch_norm", input)
    if not input.is_floating_point():
        raise NotImplementedError(f"batch_norm needs floating point, got {input.dtype}")
    given = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    present = {name: values for name, values in given.items() if values is not None}
    for name, values in present.items():
        wrong = values.numel() != input.shape[1] or (name.startswith("running") and values.dim() != 1)
        if wrong and input.shape[1] > 0:  # without channels, torch looks at none of these
            raise RuntimeError(f"{name} must hold {input.shape[1]} values, one a channel, got {tuple(values.shape)}")
        if name.startswith("running") and values.requires_grad:
            raise RuntimeError(f"{name} is a constant, but requires grad")
    # Half-precision pictures may be normalised with float32 parameters; nothing else is mixed.
    dtypes = {values.dtype for values in present.values()} or {input.dtype}
    if len(dtypes) > 1 or not dtypes <= {input.dtype, accumulation_dtype(input.dtype)}:
        shown = ", ".join(f"{name} {values.dtype}" for name, values in present.items())
        raise RuntimeError(f"batch_norm needs parameters of the input's dtype {input.dtype}, got {shown}")
